"""A page by urllib3, as docs/from/urllib3.md has it over connie."""

import socket
import sys

import connie
import urllib3
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

MEMORY = connie.Memory()


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


with PoolManager() as pool:
    print(pool.request("GET", sys.argv[1], timeout=10).data.decode(), end="")
