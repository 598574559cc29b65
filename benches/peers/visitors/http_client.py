# Python's own client.
import http.client
import sys
import urllib.parse

place = urllib.parse.urlsplit(sys.argv[1])
print("ready", flush=True)
for _ in sys.stdin:
    try:
        connection = http.client.HTTPConnection(place.netloc)
        connection.request("GET", "/")
        connection.getresponse().read()
        connection.close()
        print("ok", flush=True)
    except OSError as error:
        print(error, flush=True)
