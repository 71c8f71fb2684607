"""HTTP/1.1 as h11 reads it for Hypercorn, without its ways to another protocol."""

from __future__ import annotations

from typing import Any

import h11
import structlog
from hypercorn.events import RawData
from hypercorn.protocol.events import Event, Response
from hypercorn.protocol.h11 import H11Protocol

from statecharts.bounds import HTTP_HEAD, Watermarks

log = structlog.get_logger(__name__)


class Http1(h11.Connection):
    """Ignores proposals to speak another protocol, as a server may (RFC 9110 section 7.8), and logs what is no HTTP."""

    def __init__(self, client: tuple[str, int] | None, head_bytes_max: int, watermarks: Watermarks) -> None:
        super().__init__(h11.SERVER, max_incomplete_event_size=head_bytes_max)
        self.address = client[0] if client else ""
        self.head_bytes_max = head_bytes_max
        self.watermarks = watermarks

    def next_event(self) -> Any:
        if self.their_state is h11.ERROR:
            return super().next_event()
        try:
            return self._next_event()
        except h11.RemoteProtocolError as error:
            status = error.error_status_hint
            log.info("http.request_unreadable", address=self.address, reason=str(error), status=status)
            raise

    def _next_event(self) -> Any:
        event = super().next_event()
        if not isinstance(event, h11.Request):
            return event
        length = sum(len(name) + len(value) for name, value in event.headers) + len(event.target)
        self.watermarks.saw(HTTP_HEAD, min(length, self.head_bytes_max))
        if length > self.head_bytes_max:
            # h11 itself only bounds a head that arrives in pieces
            raise h11.RemoteProtocolError("the head is too long", error_status_hint=431)
        if event.http_version > b"1.1":
            raise h11.RemoteProtocolError("only HTTP/1.0 and HTTP/1.1 are spoken here", error_status_hint=505)
        names = {name for name, _ in event.headers}
        if {b"content-length", b"transfer-encoding"} <= names:
            # RFC 9112 section 6.1: between servers that believe one or the other, a second request can be smuggled
            raise h11.RemoteProtocolError("a body has one length, not two", error_status_hint=400)
        headers = [(name, value) for name, value in event.headers if name != b"upgrade"]
        return h11.Request(method=event.method, target=event.target, headers=headers, http_version=event.http_version)


class Http1Protocol(H11Protocol):
    """Sends an answer whose length is known in one piece, where Hypercorn writes its head, its body and its end.

    Says so where the connection ends with the answer, because the request's body has not been read (RFC 9112
    section 9.6): a client would send its next request on it and hear nothing.
    """

    _head = b""

    async def stream_send(self, event: Event) -> None:
        if isinstance(event, Response) and self.connection.their_state is h11.SEND_BODY:
            event = Response(event.stream_id, [*event.headers, (b"connection", b"close")], event.status_code)
        await super().stream_send(event)

    async def _send_h11_event(self, event: Any) -> None:
        try:
            data = self._head + (self.connection.send(event) or b"")
        except h11.LocalProtocolError:
            if self.connection.their_state is not h11.ERROR:
                raise
            return
        # An event stream has no length: its head must not wait for what happens first.
        waits = isinstance(event, h11.Response) and any(name == b"content-length" for name, _ in event.headers)
        self._head = data if waits else b""
        if data and not waits:
            await self.send(RawData(data=data))
