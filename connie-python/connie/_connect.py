"""create_connection, with the arguments and the behaviour of the socket module's."""

import errno
import math
import re
import socket
import typing

from . import _race
from ._memory import Memory
from ._native import FAILURES, Call

# What socket.create_connection takes for "not given".
_DEFAULT: typing.Any = getattr(socket, "_GLOBAL_DEFAULT_TIMEOUT")

Host = typing.Union[str, bytes, None]
Port = typing.Union[int, str, bytes, None]
Timeout = typing.Optional[float]
SourceAddress = typing.Optional[typing.Tuple[Host, int]]
SocketOptions = typing.Iterable[typing.Tuple[int, int, typing.Union[int, bytes]]]


def create_connection(
    address: typing.Tuple[Host, Port],
    timeout: Timeout = _DEFAULT,
    source_address: SourceAddress = None,
    socket_options: typing.Optional[SocketOptions] = None,
    *,
    all_errors: bool = False,
    memory: typing.Optional[Memory] = None,
) -> socket.socket:
    """Like socket.create_connection, but all addresses of the host are tried at once.

    The timeout covers the lookup and all addresses together, and then holds for the socket. Ctrl-C, and whatever else a signal's handler
    raises, ends the call at once and leaves nothing open. `socket_options` are what urllib3 has under this name: arguments of setsockopt, set on the
    connected socket. With `all_errors` what is raised is an ExceptionGroup, of one exception for each address, unless the lookup has failed. `memory`
    says what to try first, and learns.
    """
    call, timeout = prepare(address, timeout, source_address, memory)
    try:
        return finish(_race.run(call), timeout, socket_options)
    except OSError as error:
        if all_errors and not isinstance(error, socket.gaierror):
            each = getattr(error, FAILURES, None) or [error]
            raise ExceptionGroup("create_connection failed", each) from None  # noqa: F821
        raise


def connect_addresses(
    addresses: typing.Iterable[Host],
    port: Port,
    timeout: Timeout = _DEFAULT,
    source_address: SourceAddress = None,
    socket_options: typing.Optional[SocketOptions] = None,
    *,
    memory: typing.Optional[Memory] = None,
) -> socket.socket:
    """Like create_connection, for a host that was resolved before: `addresses` are literal addresses, best first."""
    texts = [_octets(address) for address in addresses]
    call, timeout = prepare((None, port), timeout, source_address, memory)
    return finish(_race.run(call._replace(addresses=texts)), timeout, socket_options)


def prepare(
    address: typing.Tuple[Host, Port],
    timeout: Timeout,
    source_address: SourceAddress,
    memory: typing.Optional[Memory],
    family: int = socket.AF_UNSPEC,
) -> typing.Tuple[Call, Timeout]:
    if timeout is _DEFAULT:
        timeout = socket.getdefaulttimeout()
    host, port = address
    # One of IPv6 may have more parts.
    source, source_port = (source_address or (None, 0))[:2]
    call = Call(
        host=None if host is None else _octets(_dotted(host)),
        # As getaddrinfo has it for no host: this machine.
        addresses=[b"::1", b"127.0.0.1"],
        port=_destination(port),
        milliseconds=_milliseconds(timeout),
        family=_family(family),
        source=_octets(source) if source else None,
        source_port=_port(source_port),
        memory=None if memory is None else memory._handle,
    )
    return call, timeout


def finish(
    connected: socket.socket, timeout: Timeout, socket_options: typing.Optional[SocketOptions]
) -> socket.socket:
    try:
        for option in socket_options or ():
            connected.setsockopt(*option)
        connected.settimeout(timeout)
        return connected
    except BaseException:
        connected.close()
        raise


def _dotted(host: Host) -> Host:
    """`127.1` and its like, which the C library takes for an IPv4 address, in four numbers."""
    text = host.decode("latin-1") if isinstance(host, bytes) else host
    if text and re.fullmatch(r"\d[\dA-Fa-fXx.]*", text):
        try:
            return socket.inet_ntoa(socket.inet_aton(text))
        except OSError:
            pass
    return host


def _octets(host: Host) -> bytes:
    if isinstance(host, str):
        # As the socket module does it: names of other scripts are sent in their ASCII form.
        host = host.encode("ascii" if host.isascii() else "idna")
    if not isinstance(host, (bytes, bytearray)):
        raise TypeError(f"a host is a str, bytes or None, not {type(host).__name__}")
    if b"\0" in host:
        raise ValueError("a host name cannot contain a NUL")
    if not host:
        raise socket.gaierror(socket.EAI_NONAME, "the host name is empty")
    return bytes(host)


def _family(family: int) -> int:
    try:
        return {socket.AF_UNSPEC: 0, socket.AF_INET: 4, socket.AF_INET6: 6}[socket.AddressFamily(family)]
    except (KeyError, ValueError):
        raise socket.gaierror(socket.EAI_FAMILY, f"no addresses of the family {family}") from None


def _destination(port: Port) -> int:
    number = -1 if isinstance(port, int) and port < 0 else _port(port)
    if number < 0:
        raise socket.gaierror(socket.EAI_SERVICE, f"unknown service {port!r}")
    if number == 0:
        raise ConnectionRefusedError(errno.ECONNREFUSED, "nothing listens on port 0")
    return number


def _port(port: Port) -> int:
    if isinstance(port, (bytes, bytearray)):
        port = port.decode("ascii")
    if isinstance(port, str):
        try:
            port = int(port) if port.isascii() and port.isdigit() else socket.getservbyname(port, "tcp")
        except OSError:
            raise socket.gaierror(socket.EAI_SERVICE, f"unknown service {port!r}") from None
    if port is None:
        port = 0
    if not isinstance(port, int):
        raise OSError(f"a port is an int, a str, bytes or None, not {type(port).__name__}")
    if not 0 <= port <= 65535:
        raise OverflowError(f"a port is between 0 and 65535, not {port}")
    return port


def _milliseconds(timeout: Timeout) -> int:
    if timeout is None:
        return 0
    if not timeout > 0:
        raise ValueError(f"a timeout of {timeout} leaves no time to connect")
    return min(math.ceil(timeout * 1000), 2**32 - 1)
