"""The server's end of a WebSocket over any trio stream: TCP, TLS, or in memory.

`websockets`' sans-I/O protocol does the talking. There is no reader task and no queue: whoever does not read is pushed
back by the stream itself. A frame glued to the upgrade request is read like any other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from http import HTTPStatus

import trio
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from protocols.ocpp.limits import Limits
from protocols.ocpp.rpc import GONE, NothingSent

_RECEIVE_BYTES = 65_536
_CLOSE_REASON_BYTES_MAX = 123  # RFC 6455, 5.5: a control frame carries 125 bytes, two of them the code
_END_OF_HEAD = b"\r\n\r\n"
_THEIR_FAULT = frozenset({CloseCode.PROTOCOL_ERROR, CloseCode.INVALID_DATA, CloseCode.MESSAGE_TOO_BIG})
_DATA = frozenset({Opcode.TEXT, Opcode.BINARY, Opcode.CONT})

Decide = Callable[[Request], tuple[HTTPStatus, str, dict[str, str]] | None]
"""Looks at an upgrade request: None lets it in; else status, text and further headers of the refusal."""


class ServerWebSocket:
    """A WebSocket that a client opened to us: `open`, then `recv`, `send`, `close`, and in any case `finish`."""

    def __init__(self, stream: trio.abc.Stream, *, subprotocols: tuple[str, ...], limits: Limits) -> None:
        self._stream, self._limits, self._known = stream, limits, subprotocols
        self._protocol = ServerProtocol(
            select_subprotocol=lambda _, offered: self._select(offered), max_size=limits.frame_bytes_max
        )
        self._writing = trio.Lock()
        self._messages: deque[bytes] = deque()
        self._fragments: list[bytes] = []
        self._reading: trio.CancelScope | None = None
        self._offered: Sequence[str] = ()
        self.heard_at = trio.current_time()
        self.pinged_at = self.heard_at

    @property
    def is_open(self) -> bool:
        return self._protocol.state is State.OPEN

    @property
    def subprotocol(self) -> str | None:
        return self._protocol.subprotocol

    @property
    def speaks_nothing_known(self) -> bool:
        """Whether the client offered subprotocols, and none of ours is among them."""
        return bool(self._offered) and self.subprotocol is None

    @property
    def complaint(self) -> str | None:
        """What the client did that made us close, as we told it; None if it kept to RFC 6455 and our limits."""
        sent = self._protocol.close_sent
        return str(sent) if sent and sent.code in _THEIR_FAULT else None

    # -- opening handshake ---------------------------------------------------------------------------------------------

    async def open(self, decide: Decide) -> bool:
        """Reads the upgrade request and answers it; whether there is a WebSocket now. The caller sets a deadline."""
        head, end, glued_frames = (await self._read_head()).partition(_END_OF_HEAD)
        response = self._response(head + end, decide)
        self._protocol.send_response(response)
        await self._flush()
        if self.is_open and glued_frames:
            self._receive(glued_frames)
        return self.is_open

    async def _read_head(self) -> bytes:
        """The request's head, with whatever came glued to it, as far as its bound allows."""
        data = b""
        while _END_OF_HEAD not in data and len(data) < self._limits.head_bytes_max:
            more = await self._receive_some(self._limits.head_bytes_max - len(data))
            if not more:
                break
            data += more
        return data

    def _response(self, head: bytes, decide: Decide) -> Response:
        if len(head) >= self._limits.head_bytes_max:
            return self._protocol.reject(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the request head is too long\n")
        self._protocol.receive_data(head)
        requests = [event for event in self._protocol.events_received() if isinstance(event, Request)]
        if not requests:
            # This protocol has given up on what it read, and can say no more; another one can.
            self._protocol = ServerProtocol()
            return self._protocol.reject(HTTPStatus.BAD_REQUEST, "this is no HTTP request\n")
        return self._decided(requests[0], decide)

    def _decided(self, request: Request, decide: Decide) -> Response:
        refusal = decide(request)
        if refusal is None:
            return self._protocol.accept(request)
        status, text, headers = refusal
        response = self._protocol.reject(status, f"{text}\n")
        for name, value in headers.items():
            response.headers[name] = value
        return response

    def _select(self, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        """The first one we know; None goes on without the header, as OCPP-J 1.6, 3.1.2, has it."""
        self._offered = offered
        return next((name for name in offered if name in self._known), None)

    # -- messages ------------------------------------------------------------------------------------------------------

    async def recv(self) -> bytes | None:
        """The next whole message; None when the WebSocket is no longer open and all that came before is read."""
        while not self._messages:
            if not self.is_open:
                return None
            self._receive(await self._receive_some())
            await self._flush_quietly()
        return self._messages.popleft()

    async def send(self, data: bytes) -> None:
        """Sends a text message. Raises `NothingSent` if the WebSocket is not open, OSError if it broke on the way."""
        if not self.is_open:
            raise NothingSent("the connection is closed")
        self._protocol.send_text(data)
        await self._flush()

    async def ping(self) -> None:
        self.pinged_at = trio.current_time()
        if self.is_open:
            self._protocol.send_ping(b"")
            await self._flush_quietly()

    async def close(self, code: int, reason: str) -> None:
        """Sends a close frame within `close_timeout_s`, and ends a waiting `recv`."""
        if self.is_open:
            self._protocol.send_close(code, reason.encode()[:_CLOSE_REASON_BYTES_MAX].decode(errors="ignore"))
            with trio.move_on_after(self._limits.close_timeout_s):
                await self._flush_quietly()
        if self._reading:
            self._reading.cancel()

    async def abort(self) -> None:
        """Drops the connection without a word."""
        await trio.aclose_forcefully(self._stream)

    async def finish(self) -> None:
        """Releases the stream. A client gets `close_timeout_s` to read our last bytes and to close its own end.

        Closing earlier, with its bytes unread, would reset the connection and lose the close frame that tells it why.
        """
        with trio.CancelScope(shield=True, deadline=trio.current_time() + self._limits.close_timeout_s):
            await self.close(CloseCode.INTERNAL_ERROR, "")
            with suppress(*GONE):
                if isinstance(self._stream, trio.abc.HalfCloseableStream):
                    async with self._writing:
                        await self._stream.send_eof()
                while await self._stream.receive_some(_RECEIVE_BYTES):
                    pass
        with trio.CancelScope(shield=True):
            await self.abort()

    def _receive(self, data: bytes) -> None:
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
        for event in self._protocol.events_received():
            if isinstance(event, Frame) and event.opcode in _DATA:
                self._collect(event)

    def _collect(self, frame: Frame) -> None:
        self._fragments.append(bytes(frame.data))
        if frame.fin:
            self._messages.append(b"".join(self._fragments))
            self._fragments.clear()

    async def _receive_some(self, bytes_max: int = _RECEIVE_BYTES) -> bytes:
        """Bytes of the client; none at the end of the stream, or when `close` was called meanwhile."""
        with trio.CancelScope() as self._reading:
            try:
                data = bytes(await self._stream.receive_some(bytes_max))
            except GONE:
                return b""
            self.heard_at = trio.current_time()
            return data
        return b""

    async def _flush(self) -> None:
        async with self._writing:
            data = b"".join(self._protocol.data_to_send())
            if not data:
                return
            try:
                await self._stream.send_all(data)
            except trio.Cancelled:
                # Half a frame may have left, and whatever followed would be read as its other half.
                await self.abort()
                raise
            except GONE as error:
                raise ConnectionError("the connection is gone") from error

    async def _flush_quietly(self) -> None:
        """For what nobody waits for; that the connection is gone shows at the next read."""
        with suppress(*GONE):
            await self._flush()
