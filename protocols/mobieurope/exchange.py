"""One HTTP request over ASGI and its answer: as much of HTTP as a SOAP service needs.

A web framework's request and answer cost as much as reading and writing the SOAP in them (docs/performance.md).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from functools import lru_cache
from typing import Any, NamedTuple

import trio
from werkzeug.http import parse_options_header

from statecharts.limits import CONTENT_TYPES_KEPT

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[..., Awaitable[None]]
"""An ASGI application: called with scope, receive and send."""


class HttpRefusal(Exception):
    """A request that is answered by HTTP alone, before there is a SOAP message in it."""

    def __init__(self, status: int, text: str, **headers: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Gone(Exception):
    """The client hung up."""


class MediaType(NamedTuple):
    """What a Content-Type says: "text/xml" and the character set of it, if it names one."""

    name: str
    charset: str | None


class Exchange:
    """A request and the way to answer it. `headers` have small letters; of one that came twice the first counts."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(scope["headers"])}
        self._receive, self._send = receive, send

    @property
    def method(self) -> str:
        return str(self.scope["method"])

    @property
    def query(self) -> str:
        """What stands behind the address's question mark."""
        return str(self.scope["query_string"].decode("latin-1"))

    @property
    def address(self) -> str:
        """The address of the connection itself; headers that claim another are not believed."""
        client = self.scope.get("client")
        return str(client[0]) if client else "local"

    @property
    def url(self) -> str:
        """The address asked, made of the Host header alone: what a proxy claims in X-Forwarded-* is not believed."""
        return f"{self.scope['scheme']}://{self.headers.get('host', '')}{self.scope['path']}"

    @property
    def media_type(self) -> MediaType:
        return _media_type(self.headers.get("content-type", ""))

    async def body(self, bytes_max: int, timeout_s: float) -> bytes:
        """The whole body. Raises `HttpRefusal` (408, 413) for one that is late or too long, `Gone`."""
        with trio.move_on_after(timeout_s):
            if int(self.headers.get("content-length", 0)) > bytes_max:
                raise _too_long(bytes_max)
            return await self._read(bytes_max)
        raise HttpRefusal(408, f"The body did not arrive within {timeout_s:g} s.")

    async def _read(self, bytes_max: int) -> bytes:
        body = b""
        more = True
        while more:
            event = await self._receive()
            if event["type"] != "http.request":
                raise Gone
            body += event.get("body", b"")
            if len(body) > bytes_max:
                raise _too_long(bytes_max)
            more = event.get("more_body", False)
        return body

    async def unless_gone(self, work: Callable[[], Awaitable[None]]) -> None:
        """Does the work, and gives it up when the client hangs up; the body has been read before."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._cancel_when_gone, nursery.cancel_scope)
            await work()
            nursery.cancel_scope.cancel()

    async def _cancel_when_gone(self, scope: trio.CancelScope) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        scope.cancel()

    async def answer(self, status: int, body: bytes, content_type: str, headers: Mapping[str, str]) -> None:
        """Sends the answer; to a HEAD, its headers alone."""
        fields = {"content-type": content_type, "content-length": str(len(body)), **headers}
        encoded = [(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in fields.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": encoded})
        await self._send({"type": "http.response.body", "body": b"" if self.method == "HEAD" else body})


def _too_long(bytes_max: int) -> HttpRefusal:
    return HttpRefusal(413, f"The body is larger than {bytes_max} bytes.")


@lru_cache(CONTENT_TYPES_KEPT.limit)
def _media_type(content_type: str) -> MediaType:
    name, options = parse_options_header(content_type)
    return MediaType(name.lower(), options.get("charset"))
