"""The library, by ctypes: one call, its options, and the exception for what it answers."""

import ctypes
import ctypes.util
import errno
import os
import pathlib
import socket
import sys
import typing
import weakref

# Of the codes in connie.h, in their order.
_ERRORS: typing.List[typing.Tuple[typing.Type[OSError], int]] = [
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


class Handle:
    """Something of the library's, which is freed with this."""

    def __init__(self, pointer: int, free: typing.Callable[[int], None]) -> None:
        self.pointer = pointer
        weakref.finalize(self, free, pointer).atexit = False


def new_memory() -> Handle:
    return Handle(_library.connie_memory_new(), _library.connie_memory_free)


def load_memory(path: bytes) -> Handle:
    pointer = ctypes.c_void_p()
    _check(_library.connie_memory_load(path, ctypes.byref(pointer)))
    return Handle(typing.cast(int, pointer.value), _library.connie_memory_free)


def save_memory(memory: Handle, path: bytes) -> None:
    _check(_library.connie_memory_save(memory.pointer, path))


def partition(memory: Handle, number: int) -> Handle:
    return Handle(_library.connie_memory_partition(memory.pointer, number), _library.connie_memory_free)


def forget(memory: Handle) -> None:
    _library.connie_memory_forget(memory.pointer)


def count(memory: Handle) -> int:
    return typing.cast(int, _library.connie_memory_count(memory.pointer))


def last_visit() -> typing.Optional[Handle]:
    """Of the last call of this thread."""
    visit = _library.connie_last_visit()
    return Handle(visit, _library.connie_visit_free) if visit else None


def report(visit: Handle, verdict: int) -> None:
    _library.connie_visit_report(visit.pointer, verdict)


class Call(typing.NamedTuple):
    """What is asked for: a host that is looked up, or addresses that were."""

    host: typing.Optional[bytes]
    addresses: typing.Sequence[bytes]
    port: int
    milliseconds: int
    # 4 or 6 where it has to be one of them, else 0.
    family: int
    source: typing.Optional[bytes]
    source_port: int
    memory: typing.Optional[Handle]

    def run(self, cancel: int) -> int:
        """The descriptor of the connection. The descriptor `cancel` ends it once it is ready to read."""
        options = _library.connie_options_new()
        try:
            _check(_library.connie_options_set_cancel_fd(options, cancel))
            # As for sockets of Python's: the program turns it on where it wants it.
            _check(_library.connie_options_set_nodelay(options, 0))
            _check(_library.connie_options_set_family(options, self.family))
            for address in _addresses_of(self.source):
                _check(_library.connie_options_set_source(options, address))
            if self.source_port:
                _check(_library.connie_options_set_local_ports(options, self.source_port, self.source_port))
            if self.memory is not None:
                _check(_library.connie_options_set_memory(options, self.memory.pointer))
            fd = ctypes.c_int(-1)
            rest = (self.port, self.milliseconds, ctypes.byref(fd))
            if self.host is not None:
                # All else that an argument can be was looked at before, so this is the host.
                error = _library.connie_connect_with(options, self.host, *rest)
                _check(error, invalid=(socket.gaierror, socket.EAI_NONAME))
            else:
                array = (ctypes.c_char_p * len(self.addresses))(*self.addresses)
                _check(_library.connie_connect_addresses_with(options, array, len(self.addresses), *rest))
            return fd.value
        finally:
            _library.connie_options_free(options)


def _addresses_of(source: typing.Optional[bytes]) -> typing.Iterable[bytes]:
    """The first of each family, since it is not known yet which one will be needed. As for bind, it may be a name."""
    if source is None:
        return ()
    found = socket.getaddrinfo(source, None, type=socket.SOCK_STREAM)
    first = {family: str(address[0]) for family, _, _, _, address in reversed(found)}
    return [address.encode() for address in first.values()]


def _check(error: int, invalid: typing.Tuple[typing.Type[OSError], int] = _ERRORS[0]) -> None:
    if error:
        message = ctypes.create_string_buffer(_library.connie_last_error(None, 0) + 1)
        _library.connie_last_error(message, len(message))
        kind, number = invalid if error == -1 else _ERRORS[-error - 1]
        # An OSError with a number becomes the subclass for it: ConnectionRefusedError, TimeoutError and the like.
        exception = kind(number, message.value.decode())
        setattr(exception, FAILURES, list(_failures()))
        raise exception


# What an exception has of each address, for all_errors.
FAILURES = "_connie_failures"


def _failures() -> typing.Iterator[OSError]:
    line = ctypes.create_string_buffer(256)
    for index in range(2**31):
        error = _library.connie_last_error_at(index, line, len(line))
        if not error:
            return
        kind, number = _ERRORS[-error - 1]
        yield kind(number, line.value.decode())


def library_version() -> str:
    return typing.cast(bytes, _library.connie_version()).decode()


def _load() -> ctypes.CDLL:
    name = "libconnie.dylib" if sys.platform == "darwin" else "libconnie.so"
    here = pathlib.Path(__file__).resolve()
    # Beside this file in a wheel, in the target folder of a checkout, or where the system keeps libraries.
    places = [here.with_name(name), here.parents[2] / "target" / "release" / name]
    path = os.environ.get("CONNIE_LIBRARY") or next((str(place) for place in places if place.exists()), None)
    path = path or ctypes.util.find_library("connie")
    if path is None:
        raise ImportError(f"{name} was not found: run cargo build --release -p connie-c, or set CONNIE_LIBRARY to its path")
    library = ctypes.CDLL(path)
    handle, number, text = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
    rest = [ctypes.c_uint16, ctypes.c_uint32, ctypes.POINTER(ctypes.c_int)]
    functions: typing.Dict[str, typing.Tuple[typing.Any, typing.List[typing.Any]]] = {
        "connie_connect_with": (number, [handle, text, *rest]),
        "connie_connect_addresses_with": (number, [handle, ctypes.POINTER(text), ctypes.c_size_t, *rest]),
        "connie_options_new": (handle, []),
        "connie_options_free": (None, [handle]),
        "connie_options_set_cancel_fd": (number, [handle, number]),
        "connie_options_set_nodelay": (number, [handle, number]),
        "connie_options_set_family": (number, [handle, ctypes.c_uint32]),
        "connie_options_set_source": (number, [handle, text]),
        "connie_options_set_local_ports": (number, [handle, ctypes.c_uint16, ctypes.c_uint16]),
        "connie_options_set_memory": (number, [handle, handle]),
        "connie_memory_new": (handle, []),
        "connie_memory_free": (None, [handle]),
        "connie_memory_load": (number, [text, ctypes.POINTER(handle)]),
        "connie_memory_save": (number, [handle, text]),
        "connie_memory_partition": (handle, [handle, ctypes.c_uint32]),
        "connie_memory_forget": (None, [handle]),
        "connie_memory_count": (ctypes.c_size_t, [handle]),
        "connie_last_visit": (handle, []),
        "connie_visit_report": (None, [handle, number]),
        "connie_visit_free": (None, [handle]),
        "connie_last_error": (ctypes.c_size_t, [text, ctypes.c_size_t]),
        "connie_last_error_at": (number, [ctypes.c_size_t, text, ctypes.c_size_t]),
        "connie_version": (text, []),
    }
    for function, (answer, arguments) in functions.items():
        getattr(library, function).restype = answer
        getattr(library, function).argtypes = arguments
    return library


_library = _load()
