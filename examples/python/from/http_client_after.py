"""A page by http.client, as docs/from/http-client.md has it over connie."""

import sys

import connie

connection = connie.HTTPConnection(sys.argv[1], timeout=10)
connection.request("GET", "/")
print(connection.getresponse().read().decode(), end="")
