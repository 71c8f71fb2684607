"""The server's end of a WebSocket over any line: TCP, TLS, or in memory.

`websockets` does the opening handshake, `websocket_frames` the rest. There is no reader task and no queue: whoever does
not read is not read from. A frame glued to the upgrade request is read like any other.

Sending never waits. What the kernel does not take at once is kept and sent by a task of its own, and nothing more is
read of the client until it has taken it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from http import HTTPStatus

import trio
from websockets.frames import Close, CloseCode, Opcode
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from protocols.ocpp.limits import Limits
from protocols.ocpp.lines import GONE, Line
from protocols.ocpp.transport import NothingSent
from protocols.ocpp.websocket_frames import FrameReader, Violation, close_said, control_frame, text_frame
from statecharts.station_credentials import StationCertificate

_RECEIVE_BYTES = 65_536
_CLOSE_REASON_BYTES = 123  # RFC 6455, 5.5: a control frame carries 125 bytes, two of them the code
_END_OF_HEAD = b"\r\n\r\n"
_THEIR_FAULT = frozenset(
    {CloseCode.PROTOCOL_ERROR, CloseCode.INVALID_DATA, CloseCode.MESSAGE_TOO_BIG, CloseCode.POLICY_VIOLATION}
)

Refusal = tuple[HTTPStatus, str, dict[str, str]]
"""Status, text and further headers."""

Decide = Callable[[Request], Awaitable[Refusal | None]]
"""Looks at an upgrade request, and may take its time: None lets it in."""

Choose = Callable[[Sequence[str]], str | None]
"""Picks one of the subprotocols that a client offers, once it was let in; None if none will do."""

Spawn = Callable[[Callable[[], Awaitable[None]]], None]
"""Starts a task that may outlive its caller."""


class ServerWebSocket:
    """A WebSocket that a client opened to us: `open`, then `recv`, `post`, `close`, and in any case `finish`."""

    __slots__ = (
        "_frames",
        "_limits",
        "_line",
        "_messages",
        "_spawn",
        "_taken",
        "_unsent",
        "begun_at",
        "close_sent",
        "heard_at",
        "is_open",
        "offered",
        "pinged_at",
        "subprotocol",
    )

    def __init__(self, line: Line, *, limits: Limits, spawn: Spawn) -> None:
        self._line, self._limits, self._spawn = line, limits, spawn
        self._frames = FrameReader(limits.frame_bytes_max)
        self._messages: list[bytes] = []
        self._unsent = bytearray()
        self._taken: trio.Event | None = None
        self.is_open = False
        self.close_sent: Close | None = None
        self.offered: Sequence[str] = ()
        self.subprotocol: str | None = None
        self.heard_at = self.pinged_at = trio.current_time()
        self.begun_at: float | None = None

    @property
    def is_tls(self) -> bool:
        return self._line.is_tls

    @property
    def certificate(self) -> StationCertificate | None:
        """What the client has shown in the handshake of TLS, verified."""
        return self._line.certificate

    @property
    def speaks_nothing_known(self) -> bool:
        """Whether the client offered subprotocols, and none of ours is among them."""
        return bool(self.offered) and self.subprotocol is None

    @property
    def complaint(self) -> str | None:
        """What the client did that made us close, as we told it; None if it kept to RFC 6455 and our limits."""
        sent = self.close_sent
        return str(sent) if sent and sent.code in _THEIR_FAULT else None

    # -- opening handshake ---------------------------------------------------------------------------------------------

    async def open(self, decide: Decide, choose: Choose = lambda offered: None) -> bool:
        """Reads the upgrade request and answers it; whether there is a WebSocket now. The caller sets a deadline.

        Raises OSError where there is no TLS to be had.
        """
        await self._line.handshake()
        head, end, glued_frames = (await self._read_head()).partition(_END_OF_HEAD)
        request = self._request(head + end)
        refusal = await decide(request) if isinstance(request, Request) else request
        # A protocol of its own for the answer: whoever waits for that holds no other one meanwhile.
        protocol = ServerProtocol(select_subprotocol=lambda _, offered: self._select(offered, choose))
        response = _response(protocol, request, refusal)
        protocol.send_response(response)
        self._write_quietly(b"".join(protocol.data_to_send()))
        self.is_open = response.status_code == HTTPStatus.SWITCHING_PROTOCOLS
        self.subprotocol = protocol.subprotocol
        if self.is_open and glued_frames:
            self._receive(glued_frames)
        return self.is_open

    async def _read_head(self) -> bytes:
        """The request's head, with whatever came glued to it, as far as its bound allows."""
        data = b""
        while _END_OF_HEAD not in data and len(data) < self._limits.head_bytes_max:
            more = await self._line.receive(self._limits.head_bytes_max - len(data))
            if not more:
                break
            data += more
        return data

    def _request(self, head: bytes) -> Request | Refusal:
        """What was asked for, or how that is answered which is no request, or too long a one."""
        if len(head) >= self._limits.head_bytes_max:
            return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the request head is too long", {}
        protocol = ServerProtocol()
        protocol.receive_data(head)
        requests = (event for event in protocol.events_received() if isinstance(event, Request))
        return next(requests, (HTTPStatus.BAD_REQUEST, "this is no HTTP request", {}))

    def _select(self, offered: Sequence[Subprotocol], choose: Choose) -> Subprotocol | None:
        """The chosen one; None goes on without the header, as OCPP-J 1.6, 3.1.2, has it."""
        self.offered = offered
        chosen = choose(offered)
        return None if chosen is None else Subprotocol(chosen)

    # -- messages ------------------------------------------------------------------------------------------------------

    async def recv(self) -> bytes | None:
        """The next whole message; None when the WebSocket is no longer open and all that came before is read."""
        while not self._messages:
            if self._unsent:
                await self._until_taken()
            if not self.is_open:
                return None
            self._receive(await self._line.receive(_RECEIVE_BYTES))
        return self._messages.pop()

    def post(self, data: bytes) -> None:
        """Sends a text message. Raises `NothingSent` if the WebSocket is not open, OSError if it broke on the way."""
        if not self.is_open:
            raise NothingSent("the connection is closed")
        self._write(text_frame(data))

    def ping(self) -> None:
        self.pinged_at = trio.current_time()
        if self.is_open:
            self._write_quietly(control_frame(Opcode.PING, b""))

    def close(self, code: int, reason: str) -> None:
        """Sends a close frame, and ends a waiting `recv`."""
        if self.is_open:
            said = reason.encode()[:_CLOSE_REASON_BYTES].decode(errors="ignore")
            self.close_sent = Close(code, said)
            self._write_quietly(control_frame(Opcode.CLOSE, self.close_sent.serialize()))
            self.is_open = False
        if self._taken is not None:
            self._taken.set()
        self._line.interrupt()

    async def abort(self) -> None:
        """Drops the connection without a word."""
        self.is_open = False
        await self._line.aclose()

    async def finish(self) -> None:
        """Releases the line. A client gets `close_timeout_s` to read our last bytes and to close its own end.

        Closing earlier, with its bytes unread, would reset the connection and lose the close frame that tells it why.
        """
        with trio.CancelScope(shield=True, deadline=trio.current_time() + self._limits.close_timeout_s):
            self.close(CloseCode.INTERNAL_ERROR, "")
            if self._unsent:
                await self._until_taken()
            with suppress(*GONE):
                await self._line.send_eof()
            while await self._line.receive(_RECEIVE_BYTES):
                pass
        with trio.CancelScope(shield=True):
            await self.abort()

    def _receive(self, data: bytes) -> None:
        if not data:
            self.is_open = False
            return
        self.heard_at = trio.current_time()
        for opcode, content in self._frames.read(data):
            if opcode is Opcode.TEXT:
                self._messages.append(content)
            elif opcode is Opcode.PING:
                self._write_quietly(control_frame(Opcode.PONG, content))
            elif opcode is Opcode.CLOSE:
                self._closed_by_client(content)
                break
        if self._messages or not self._frames.is_within:
            self.begun_at = None
        if self.begun_at is None and self._frames.is_within:
            self.begun_at = self.heard_at
        self._messages.reverse()  # the next one is taken from the end
        violation = self._frames.violation
        if violation is not None:
            self.close(violation.code, violation.reason)

    def _closed_by_client(self, content: bytes) -> None:
        """RFC 6455, 5.5.1: answered with the same code."""
        try:
            close_said(content)
        except Violation as violation:
            self.close(violation.close.code, violation.close.reason)
        else:
            self._write_quietly(control_frame(Opcode.CLOSE, content[:2]))
            self.is_open = False

    # -- bytes on their way out ----------------------------------------------------------------------------------------

    def _write(self, data: bytes) -> None:
        """Sends these bytes after those that wait, at once as a rule. Raises ConnectionError if the line is gone."""
        if self._unsent:
            self._unsent += data
            return
        try:
            sent = self._line.send_now(data)
        except GONE as error:
            raise ConnectionError("the connection is gone") from error
        if sent < len(data):
            self._unsent += data[sent:]
            self._spawn(self._send_unsent)

    def _write_quietly(self, data: bytes) -> None:
        """For what nobody waits for; that the connection is gone shows at the next read."""
        with suppress(ConnectionError):
            self._write(data)

    async def _send_unsent(self) -> None:
        """Sends what waits. A client that takes nothing for `send_timeout_s` loses its connection."""
        with suppress(*GONE), trio.move_on_after(self._limits.send_timeout_s) as patience:
            while self._unsent:
                del self._unsent[: await self._line.send_some(self._unsent)]
                patience.deadline = trio.current_time() + self._limits.send_timeout_s
        if self._unsent:
            self._unsent.clear()
            await self.abort()
        if self._taken is not None:
            self._taken.set()

    async def _until_taken(self) -> None:
        """Waits until the client has taken all that was sent, or `close` was called meanwhile."""
        self._taken = trio.Event()
        await self._taken.wait()
        self._taken = None


def _response(protocol: ServerProtocol, request: Request | Refusal, refusal: Refusal | None) -> Response:
    if isinstance(request, Request) and refusal is None:
        return protocol.accept(request)
    assert refusal is not None, "only a request is let in"
    status, text, headers = refusal
    response = protocol.reject(status, f"{text}\n")
    for name, value in headers.items():
        response.headers[name] = value
    return response
