"""The race under five HTTP clients of Python, each by a few lines: copy those that you need.

    python3 clients.py http://example.org/

http.client and urllib.request need none: connie.HTTPConnection, connie.build_opener. What begins with an underscore is not promised by its package; these
lines were run with urllib3 2.8, requests 2.34, httpx 0.28 and aiohttp 3.14.
"""

import asyncio
import socket
import sys

import connie

# What all of them learn.
MEMORY = connie.Memory()


def by_urllib3(url):
    import urllib3
    from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

    class Raced:
        def _new_conn(self):
            try:
                return connie.create_connection(
                    (self._dns_host, self.port),
                    self.timeout,
                    self.source_address,
                    self.socket_options,
                    memory=MEMORY,
                )
            except socket.gaierror as error:
                raise NameResolutionError(self.host, self, error) from error
            except TimeoutError as error:
                raise ConnectTimeoutError(self, str(error)) from error
            except OSError as error:
                raise NewConnectionError(self, str(error)) from error

    class HTTPConnection(Raced, urllib3.connection.HTTPConnection):
        pass

    class HTTPSConnection(Raced, urllib3.connection.HTTPSConnection):
        pass

    class HTTPPool(urllib3.HTTPConnectionPool):
        ConnectionCls = HTTPConnection

    class HTTPSPool(urllib3.HTTPSConnectionPool):
        ConnectionCls = HTTPSConnection

    class PoolManager(urllib3.PoolManager):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.pool_classes_by_scheme = {"http": HTTPPool, "https": HTTPSPool}

    if url is None:
        return PoolManager
    with PoolManager() as pool:
        return pool.request("GET", url, timeout=10).data


def by_requests(url):
    import requests

    class Adapter(requests.adapters.HTTPAdapter):
        def init_poolmanager(self, connections, maxsize, block=False, **kwargs):
            manager = by_urllib3(None)
            self.poolmanager = manager(num_pools=connections, maxsize=maxsize, block=block, **kwargs)

    with requests.Session() as session:
        session.mount("http://", Adapter())
        session.mount("https://", Adapter())
        return session.get(url, timeout=10).content


def by_httpx(url):
    import httpcore
    import httpx
    from httpcore._backends.sync import SyncStream

    class Backend(httpcore.SyncBackend):
        def connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None):
            source = None if local_address is None else (local_address, 0)
            options = [*(socket_options or []), (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
            try:
                return SyncStream(connie.create_connection((host, port), timeout, source, options, memory=MEMORY))
            except TimeoutError as error:
                raise httpcore.ConnectTimeout(error) from error
            except OSError as error:
                raise httpcore.ConnectError(error) from error

    transport = httpx.HTTPTransport()
    transport._pool._network_backend = Backend()
    with httpx.Client(transport=transport, timeout=10) as client:
        return client.get(url).content


def by_aiohttp(url):
    import aiohttp

    class Resolver(aiohttp.abc.AbstractResolver):
        """Hands the name on: the connector looks it up while it connects."""

        async def resolve(self, host, port=0, family=socket.AF_INET):
            return [{"hostname": host, "host": host, "port": port, "family": socket.AF_INET, "proto": 0, "flags": 0}]

        async def close(self):
            pass

    class RaceConnector(aiohttp.TCPConnector):
        async def _wrap_create_connection(self, *args, addr_infos, req, timeout, client_error, **kwargs):
            host, port = addr_infos[0][4][:2]
            # All of its addresses have been tried when this fails.
            addr_infos.clear()
            nodelay = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
            try:
                connected = await connie.connect(
                    host, port, timeout.sock_connect, socket_options=nodelay, memory=MEMORY
                )
            except OSError as error:
                raise client_error(req.connection_key, error) from error
            return await self._wrap_existing_connection(
                *args, req=req, timeout=timeout, client_error=client_error, sock=connected, **kwargs
            )

    async def get():
        connector = RaceConnector(resolver=Resolver(), use_dns_cache=False)
        async with aiohttp.ClientSession(connector=connector) as session:
            async with session.get(url, timeout=aiohttp.ClientTimeout(total=10)) as response:
                return await response.read()

    return asyncio.run(get())


def by_aiohttp_resolver(url):
    """For a session whose connector is to stay as it is."""
    import aiohttp

    class OrderedResolver(aiohttp.abc.AbstractResolver):
        """A host's addresses, the one that wins a race in front. It races at most every ten minutes for a host: that is a connection more."""

        def __init__(self, memory):
            self._memory = memory
            self._winners = {}

        async def resolve(self, host, port=0, family=socket.AF_UNSPEC):
            loop = asyncio.get_running_loop()
            found = await loop.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
            addresses = [(info[0], info[4][0]) for info in found]
            until, winner = self._winners.get((host, port), (0, None))
            if len(addresses) > 1 and (loop.time() > until or winner not in dict(map(reversed, addresses))):
                try:
                    probe = await connie.connect(host, port, 5, memory=self._memory)
                    winner = probe.getpeername()[0]
                    probe.close()
                    self._winners[host, port] = (loop.time() + 600, winner)
                except OSError:
                    # The session finds out by itself what is wrong.
                    pass
            addresses.sort(key=lambda address: address[1] != winner)
            flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
            return [
                {"hostname": host, "host": address, "port": port, "family": family, "proto": 0, "flags": flags}
                for family, address in addresses
            ]

        async def close(self):
            pass

    async def get():
        connector = aiohttp.TCPConnector(resolver=OrderedResolver(MEMORY))
        async with aiohttp.ClientSession(connector=connector) as session:
            async with session.get(url, timeout=aiohttp.ClientTimeout(total=10)) as response:
                return await response.read()

    return asyncio.run(get())


def by_urllib(url):
    with connie.build_opener(memory=MEMORY).open(url, timeout=10) as response:
        return response.read()


CLIENTS = [by_urllib, by_urllib3, by_requests, by_httpx, by_aiohttp, by_aiohttp_resolver]


def main():
    for client in CLIENTS:
        try:
            print(f"{client.__name__}: {len(client(sys.argv[1]))} octets")
        except ImportError as error:
            print(f"{client.__name__}: {error}")


if __name__ == "__main__":
    main()
