"""A page by http.client, as docs/from/http-client.md has it before connie."""

import http.client
import sys

connection = http.client.HTTPConnection(sys.argv[1], timeout=10)
connection.request("GET", "/")
print(connection.getresponse().read().decode(), end="")
