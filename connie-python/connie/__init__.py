"""connie: connect to the address of a host that answers first.

    import connie

    memory = connie.Memory()
    connected = connie.create_connection(("example.org", 443), timeout=10, memory=memory)

`create_connection` has the arguments and the behaviour of `socket.create_connection`; `await connie.open_connection(host, port)` those of
asyncio's. `HTTPConnection` and `HTTPSConnection` are http.client's in all but how they connect, and `build_opener` makes an opener of
urllib.request that uses them. With a `Memory` one SYN is enough on nearly every visit to a host but the first. Errors are the ones that
the standard library raises: ConnectionRefusedError, TimeoutError, socket.gaierror, OSError.
"""

from ._asyncio import connect, open_connection
from ._connect import connect_addresses, create_connection
from ._http import HTTPConnection, HTTPHandler, HTTPSConnection, HTTPSHandler, build_opener
from ._memory import Memory, Verdict, report
from ._native import library_version

__all__ = [
    "HTTPConnection",
    "HTTPHandler",
    "HTTPSConnection",
    "HTTPSHandler",
    "Memory",
    "Verdict",
    "build_opener",
    "connect",
    "connect_addresses",
    "create_connection",
    "open_connection",
    "report",
]

__version__ = library_version()
