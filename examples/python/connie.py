"""connie under Python's own HTTP client: connect to the address of a host that answers first.

    import connie

    connection = connie.HTTPConnection("example.org", timeout=10)
    connection.request("GET", "/")
    print(connection.getresponse().read())

`HTTPConnection` and `HTTPSConnection` are http.client's in all but how they connect; `build_opener` makes an opener of
urllib.request that uses them; `create_connection` has the signature of socket.create_connection. Errors are the ones that the
standard library raises: ConnectionRefusedError, TimeoutError, socket.gaierror, OSError.

Needs the library: `cargo build --release -p connie-c`. It is taken from CONNIE_LIBRARY (a file), from target/release of the checkout
that this file is in, or from where the system keeps libraries.
"""

import ctypes
import ctypes.util
import errno
import http.client
import math
import os
import pathlib
import socket
import sys
import urllib.request

__all__ = ["HTTPConnection", "HTTPSConnection", "build_opener", "create_connection", "connect_addresses"]


class HTTPConnection(http.client.HTTPConnection):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._create_connection = create_connection


class HTTPSConnection(http.client.HTTPSConnection):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._create_connection = create_connection


class HTTPHandler(urllib.request.HTTPHandler):
    def http_open(self, request):
        return self.do_open(HTTPConnection, request)


class HTTPSHandler(urllib.request.HTTPSHandler):
    def https_open(self, request):
        return self.do_open(HTTPSConnection, request, context=self._context)


def build_opener(*handlers, context=None):
    """As urllib.request.build_opener; `context` is the ssl.SSLContext for https."""
    return urllib.request.build_opener(HTTPHandler(), HTTPSHandler(context=context), *handlers)


def create_connection(address, timeout=socket._GLOBAL_DEFAULT_TIMEOUT, source_address=None):
    """As socket.create_connection, with all addresses of the host tried at once.

    The time-out covers the look-up and all addresses together, and then holds for the socket. While the call is under way other
    threads run, but Ctrl-C is not seen before it returns: give a time-out.
    """
    if source_address is not None:
        raise ValueError("connie has the system choose the source address")
    host, port = address
    return _connect(lambda *rest: _library.connie_connect(_octets(host), *rest), port, timeout)


def connect_addresses(addresses, port, timeout=socket._GLOBAL_DEFAULT_TIMEOUT):
    """As create_connection, for a host that has been looked up: `addresses` are literal addresses, best first."""
    texts = [_octets(address) for address in addresses]
    array = (ctypes.c_char_p * len(texts))(*texts)
    return _connect(lambda *rest: _library.connie_connect_addresses(array, len(texts), *rest), port, timeout)


def _connect(call, port, timeout):
    if timeout is socket._GLOBAL_DEFAULT_TIMEOUT:
        timeout = socket.getdefaulttimeout()
    fd = ctypes.c_int()
    error = call(_port(port), _milliseconds(timeout), ctypes.byref(fd))
    if error:
        raise _exception(error)
    connected = socket.socket(fileno=fd.value)
    connected.settimeout(timeout)
    return connected


def _octets(host):
    if isinstance(host, str):
        # As the socket module does it: names of other scripts are sent in their ASCII form.
        host = host.encode("ascii" if host.isascii() else "idna")
    if b"\0" in host:
        raise ValueError("a host's name cannot hold a NUL")
    return host


def _port(port):
    if not 0 <= port <= 65535:
        raise OverflowError(f"a port is 0 to 65535, not {port}")
    return port


def _milliseconds(timeout):
    if timeout is None:
        return 0
    if not timeout > 0:
        raise ValueError(f"a time-out of {timeout} leaves no time to connect")
    return min(math.ceil(timeout * 1000), 2**32 - 1)


# Of the codes in connie.h, in their order.
_ERRORS = [
    (OSError, errno.EINVAL),
    (socket.gaierror, socket.EAI_NONAME),
    (socket.gaierror, socket.EAI_AGAIN),
    (OSError, errno.ETIMEDOUT),
    (OSError, errno.EMFILE),
    (OSError, errno.ECONNREFUSED),
    (OSError, errno.ECONNRESET),
    (OSError, errno.EHOSTUNREACH),
    (OSError, errno.ENETDOWN),
    (OSError, errno.EIO),
    (OSError, errno.ECANCELED),
    (OSError, errno.EACCES),
]


def _exception(error):
    message = ctypes.create_string_buffer(_library.connie_last_error(None, 0) + 1)
    _library.connie_last_error(message, len(message))
    kind, number = _ERRORS[-error - 1]
    # An OSError with a number becomes the subclass for it: ConnectionRefusedError, TimeoutError and the like.
    return kind(number, message.value.decode())


def _load():
    name = "libconnie.dylib" if sys.platform == "darwin" else "libconnie.so"
    built = pathlib.Path(__file__).resolve().parents[2] / "target" / "release" / name
    path = os.environ.get("CONNIE_LIBRARY") or (str(built) if built.exists() else ctypes.util.find_library("connie"))
    if path is None:
        raise ImportError(f"no {name}: cargo build --release -p connie-c, or set CONNIE_LIBRARY to where it is")
    library = ctypes.CDLL(path)
    rest = [ctypes.c_uint16, ctypes.c_uint32, ctypes.POINTER(ctypes.c_int)]
    library.connie_connect.argtypes = [ctypes.c_char_p, *rest]
    library.connie_connect_addresses.argtypes = [ctypes.POINTER(ctypes.c_char_p), ctypes.c_size_t, *rest]
    library.connie_last_error.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    library.connie_last_error.restype = ctypes.c_size_t
    library.connie_strerror.argtypes = [ctypes.c_int]
    library.connie_strerror.restype = ctypes.c_char_p
    return library


_library = _load()
