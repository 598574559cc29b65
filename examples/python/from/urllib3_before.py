"""A page by urllib3, as docs/from/urllib3.md has it before connie."""

import sys

import urllib3

with urllib3.PoolManager() as pool:
    print(pool.request("GET", sys.argv[1], timeout=10).data.decode(), end="")
