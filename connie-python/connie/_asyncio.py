"""The race as a coroutine."""

import asyncio
import socket
import typing

from ._connect import Host, Port, SocketOptions, SourceAddress, finish, prepare
from ._memory import Memory, Verdict, is_tls_failure, report
from ._race import Race


async def connect(
    host: Host,
    port: Port,
    timeout: typing.Optional[float] = None,
    source_address: SourceAddress = None,
    socket_options: typing.Optional[SocketOptions] = None,
    *,
    family: int = socket.AF_UNSPEC,
    memory: typing.Optional[Memory] = None,
) -> socket.socket:
    """A connected socket that does not block, for `loop.create_connection(..., sock=...)` and its like.

    A task that is canceled, by `asyncio.timeout` say, ends the call at once, and nothing stays open.
    """
    loop = asyncio.get_running_loop()
    ended: "asyncio.Future[None]" = loop.create_future()

    def end() -> None:
        if not ended.done():
            ended.set_result(None)

    def tell() -> None:
        try:
            loop.call_soon_threadsafe(end)
        except RuntimeError:
            # The loop has been closed.
            pass

    call, _ = prepare((host, port), timeout, source_address, memory, family)
    race = Race(call, tell)
    try:
        race.start()
        await ended
        return finish(race.take(), 0, socket_options)
    except BaseException:
        race.cancel()
        raise


async def open_connection(
    host: Host = None,
    port: Port = None,
    *,
    limit: int = 2**16,
    timeout: typing.Optional[float] = None,
    source_address: SourceAddress = None,
    local_addr: SourceAddress = None,
    family: int = socket.AF_UNSPEC,
    socket_options: typing.Optional[SocketOptions] = None,
    ssl: typing.Any = None,
    server_hostname: typing.Optional[str] = None,
    memory: typing.Optional[Memory] = None,
    **kwargs: typing.Any,
) -> typing.Tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """As asyncio.open_connection. `timeout` is for the lookup and all addresses together; TLS comes on top.

    `local_addr` is asyncio's name of `source_address`. Its `happy_eyeballs_delay`, `interleave`, `proto` and `flags` change nothing here.
    """
    source = source_address or local_addr
    connected = await connect(host, port, timeout, source, socket_options, family=family, memory=memory)
    try:
        if ssl:
            kwargs["ssl"] = ssl
            name = host.decode() if isinstance(host, bytes) else host
            server_hostname = name if server_hostname is None else server_hostname
        if server_hostname is not None:
            kwargs["server_hostname"] = server_hostname
        return await asyncio.open_connection(sock=connected, limit=limit, **kwargs)
    except BaseException as error:
        if ssl and is_tls_failure(error):
            report(connected, Verdict.TLS_FAILED)
        connected.close()
        raise
