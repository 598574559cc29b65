# libcurl, one handle for all visits.
import pycurl
import sys

curl = pycurl.Curl()
curl.setopt(pycurl.URL, sys.argv[1])
curl.setopt(pycurl.WRITEFUNCTION, lambda page: None)
curl.setopt(pycurl.FRESH_CONNECT, 1)
curl.setopt(pycurl.FORBID_REUSE, 1)
# Each visit is a look-up.
curl.setopt(pycurl.DNS_CACHE_TIMEOUT, 0)
print("ready", flush=True)
for _ in sys.stdin:
    try:
        curl.perform()
        print("ok", flush=True)
    except pycurl.error as error:
        print(error, flush=True)
