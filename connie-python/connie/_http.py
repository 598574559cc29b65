"""http.client and urllib.request over create_connection."""

import functools
import http.client
import ssl
import typing
import urllib.request

from ._connect import create_connection
from ._memory import Memory, Verdict, is_tls_failure, report


class HTTPConnection(http.client.HTTPConnection):
    """http.client's. `memory` says which addresses to try first, and learns; it has one of its own unless you pass one."""

    def __init__(self, *args: typing.Any, memory: typing.Optional[Memory] = None, **kwargs: typing.Any) -> None:
        super().__init__(*args, **kwargs)
        self.memory = Memory() if memory is None else memory
        self._create_connection = functools.partial(create_connection, memory=self.memory)


class HTTPSConnection(http.client.HTTPSConnection):
    """The same for https. A failed TLS handshake is reported to the memory."""

    def __init__(self, *args: typing.Any, memory: typing.Optional[Memory] = None, **kwargs: typing.Any) -> None:
        super().__init__(*args, **kwargs)
        self.memory = Memory() if memory is None else memory
        self._create_connection = functools.partial(create_connection, memory=self.memory)

    def connect(self) -> None:
        try:
            super().connect()
        except OSError as error:
            # Through a proxy the address is the proxy's, which did its part.
            if self.sock is not None and not getattr(self, "_tunnel_host", None) and is_tls_failure(error):
                report(self.sock, Verdict.TLS_FAILED)
            raise


class HTTPHandler(urllib.request.HTTPHandler):
    def __init__(self, *args: typing.Any, memory: typing.Optional[Memory] = None, **kwargs: typing.Any) -> None:
        super().__init__(*args, **kwargs)
        self.memory = Memory() if memory is None else memory

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(functools.partial(HTTPConnection, memory=self.memory), request)


class HTTPSHandler(urllib.request.HTTPSHandler):
    def __init__(self, *args: typing.Any, memory: typing.Optional[Memory] = None, **kwargs: typing.Any) -> None:
        super().__init__(*args, **kwargs)
        self.memory = Memory() if memory is None else memory

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        connection = functools.partial(HTTPSConnection, memory=self.memory)
        return self.do_open(connection, request, context=getattr(self, "_context"))


class OpenerDirector(urllib.request.OpenerDirector):
    """urllib.request's, with the memory that its connections share."""

    memory: Memory


def build_opener(
    *handlers: urllib.request.BaseHandler,
    context: typing.Optional[ssl.SSLContext] = None,
    memory: typing.Optional[Memory] = None,
) -> OpenerDirector:
    """Like urllib.request.build_opener; `context` is for https. The opener has a `memory` of its own unless you pass one."""
    memory = Memory() if memory is None else memory
    https = HTTPSHandler(context=context, memory=memory)
    opener = urllib.request.build_opener(HTTPHandler(memory=memory), https, *handlers)
    # urllib.request makes its own class, which takes the handlers.
    opener.__class__ = OpenerDirector
    typed = typing.cast(OpenerDirector, opener)
    typed.memory = memory
    return typed
