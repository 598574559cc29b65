"""http.client and urllib.request over create_connection."""

import http.client
import ssl
import typing
import urllib.request

from ._connect import create_connection


class HTTPConnection(http.client.HTTPConnection):
    def __init__(self, *args: typing.Any, **kwargs: typing.Any) -> None:
        super().__init__(*args, **kwargs)
        self._create_connection = create_connection


class HTTPSConnection(http.client.HTTPSConnection):
    def __init__(self, *args: typing.Any, **kwargs: typing.Any) -> None:
        super().__init__(*args, **kwargs)
        self._create_connection = create_connection


class HTTPHandler(urllib.request.HTTPHandler):
    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(HTTPConnection, request)


class HTTPSHandler(urllib.request.HTTPSHandler):
    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(HTTPSConnection, request, context=getattr(self, "_context"))


def build_opener(
    *handlers: urllib.request.BaseHandler, context: typing.Optional[ssl.SSLContext] = None
) -> urllib.request.OpenerDirector:
    """As urllib.request.build_opener; `context` is for https."""
    return urllib.request.build_opener(HTTPHandler(), HTTPSHandler(context=context), *handlers)
