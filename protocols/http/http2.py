"""HTTP/2 (RFC 9113) with one client: h2 reads and writes frames, Hypercorn's streams carry each request to the app.

Hypercorn's own HTTP/2 is not used. There, a client that resets its last stream keeps its connection for ever, one that
opens no window keeps a handler for ever, data for a request that is answered already ends the connection, and so do
priorities that make no sense; at the thousandth request those under way are lost. Here priorities mean nothing (RFC
9113 section 5.3.2 has given them up), there is no push and no CONNECT, and every wait has its limit.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any, ClassVar

import h2.events as told
import structlog
import trio
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError, StreamClosedError
from h2.settings import SettingCodes, Settings
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.events import Body, EndBody, Request, Response, StreamClosed
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.utils import filter_pseudo_headers

from protocols.http.limits import HttpLimits
from statecharts.bounds import HTTP_CONTROL_FRAMES, HTTP_STREAMS, HTTP_STREAMS_REMEMBERED, Watermarks

CONTROL_FRAMES_PER_S = 20
FRAMES_EARNED = 2
"""Control frames that a client earns with each frame of an answer: it opens the window by them."""

HOP_BY_HOP = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"})
"""Headers of an answer that speak of an HTTP/1 connection (RFC 9113 section 8.2.2)."""

log = structlog.get_logger(__name__)

Headers = Iterable[tuple[bytes, bytes]]
MakeStream = Callable[[Callable[[StreamEvent], Awaitable[None]], int], HTTPStream]


class Allowance:
    """How many control frames a client may still send: a burst at first, some each second, more for answers taken."""

    def __init__(self, now: float) -> None:
        self.left = float(HTTP_CONTROL_FRAMES.limit)
        self._then = now

    def spend(self, frames: int, now: float) -> bool:
        """Whether these frames were within the allowance."""
        self.left += (now - self._then) * CONTROL_FRAMES_PER_S
        self._then = now
        self.left = min(self.left, HTTP_CONTROL_FRAMES.limit) - frames
        return self.left >= 0

    def earn(self, frames: int) -> None:
        self.left += frames


class _Stream:
    """One request: where it is handed to the app, how far both sides are, and who waits for its window to open."""

    def __init__(self, to_app: HTTPStream) -> None:
        self.to_app = to_app
        self.heard_all = self.said_all = self.gone = False
        self.news = trio.Event()

    def wake(self) -> None:
        self.news.set()
        self.news = trio.Event()


class Http2:
    """One connection; takes the place of Hypercorn's protocols in its `TCPServer`."""

    def __init__(
        self,
        make_stream: MakeStream,
        state: Any,
        address: str,
        send: Callable[[Event], Awaitable[None]],
        limits: HttpLimits,
        watermarks: Watermarks,
    ) -> None:
        self._make_stream, self._state, self._address, self._send = make_stream, state, address, send
        self._limits, self._watermarks = limits, watermarks
        self._h2 = _server_side(limits)
        self._streams: dict[int, _Stream] = {}
        self._ended = 0
        self._leaving = False
        self._allowance = Allowance(trio.current_time())
        self._unfinished_since: float | None = None

    def __repr__(self) -> str:
        leaving = ", leaving" if self._leaving else ""
        return f"<Http2 {self._address} {len(self._streams)} streams{leaving}>"

    async def initiate(self) -> None:
        self._h2.initiate_connection()
        await self._flush()

    def leave(self) -> None:
        """Takes no more requests, and says goodbye once those under way are answered.

        Not before: some clients, those on h2 among them, hear no answer behind a GOAWAY.
        """
        self._leaving = True

    async def say_goodbye(self) -> None:
        """Tells the client that the connection ends here (RFC 9113 section 6.8)."""
        self._h2.close_connection(ErrorCodes.NO_ERROR)
        await self._flush()

    async def handle(self, event: Event) -> None:
        """What the connection tells: bytes, or its end."""
        if isinstance(event, RawData):
            await self._receive(event.data)
        elif isinstance(event, Closed):
            for number in tuple(self._streams):
                await self._forget(number)

    # -- from the client -----------------------------------------------------------------------------------------------

    async def _receive(self, data: bytes) -> None:
        try:
            events = self._h2.receive_data(data)
        except ProtocolError as error:
            await self._break_off(str(error))
            return
        if reason := self._abuse(data, events):
            self._h2.close_connection(ErrorCodes.ENHANCE_YOUR_CALM)
            await self._break_off(reason)
            return
        for event in events:
            react = self._REACTIONS.get(type(event))
            if react is not None:
                with suppress(ProtocolError):  # the stream was over before its event could be heard
                    await react(self, event)
        await self._flush()

    def _abuse(self, data: bytes, events: list[told.Event]) -> str | None:
        """What is wrong with how the client goes about it, if anything."""
        now = trio.current_time()
        if not self._allowance.spend(sum(map(_is_control, events)), now):
            return "too many control frames"
        self._watermarks.saw(HTTP_CONTROL_FRAMES, int(HTTP_CONTROL_FRAMES.limit - self._allowance.left))
        if events or not data:
            self._unfinished_since = None
        elif self._unfinished_since is None:
            self._unfinished_since = now
        elif now - self._unfinished_since > self._limits.head_timeout_s:
            return "a frame takes too long"
        return None

    async def _break_off(self, reason: str) -> None:
        log.info("http.request_unreadable", address=self._address, reason=reason, protocol="HTTP/2")
        await self._flush()
        await self._send(Closed())

    async def _requested(self, event: told.RequestReceived) -> None:
        headers = list(event.headers or ())
        target = _target(headers)
        if self._leaving:
            self._h2.reset_stream(event.stream_id, ErrorCodes.REFUSED_STREAM)
        elif target is None:
            log.info("http.request_unreadable", address=self._address, reason="its target names no path", status=400)
            self._h2.send_headers(event.stream_id, [(b":status", b"400")], end_stream=True)
            if event.stream_ended is None:
                self._h2.reset_stream(event.stream_id, ErrorCodes.NO_ERROR)
        else:
            await self._begin(event.stream_id, headers, *target)

    async def _begin(self, number: int, headers: list[tuple[bytes, bytes]], method: str, path: bytes) -> None:
        stream = self._streams[number] = _Stream(self._make_stream(self._say, number))
        self._watermarks.saw(HTTP_STREAMS, len(self._streams))
        await self._send(Updated(idle=False))
        await stream.to_app.handle(
            Request(
                stream_id=number,
                headers=filter_pseudo_headers(headers),
                http_version="2",
                method=method,
                raw_path=path,
                state=self._state,
            )
        )

    async def _data(self, event: told.DataReceived) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is not None and event.data:
            await stream.to_app.handle(Body(stream_id=event.stream_id, data=event.data))
        self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)

    async def _heard_all(self, event: told.StreamEnded) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is not None:
            stream.heard_all = True
            await stream.to_app.handle(EndBody(stream_id=event.stream_id))

    async def _reset(self, event: told.StreamReset) -> None:
        await self._forget(event.stream_id)

    async def _window(self, event: told.WindowUpdated | told.RemoteSettingsChanged) -> None:
        for stream in tuple(self._streams.values()):
            stream.wake()

    async def _terminated(self, event: told.ConnectionTerminated) -> None:
        await self._send(Closed())

    _REACTIONS: ClassVar[dict[type[told.Event], Callable[[Http2, Any], Awaitable[None]]]] = {
        told.RequestReceived: _requested,
        told.DataReceived: _data,
        told.StreamEnded: _heard_all,
        told.StreamReset: _reset,
        told.WindowUpdated: _window,
        told.RemoteSettingsChanged: _window,
        told.ConnectionTerminated: _terminated,
    }

    # -- from the app --------------------------------------------------------------------------------------------------

    async def _say(self, event: StreamEvent) -> None:
        """Sends what a request's stream has to tell; nothing where the client has given the request up."""
        stream = self._streams.get(event.stream_id)
        if stream is None:
            return
        try:
            if isinstance(event, Response):
                headers = [(name, value) for name, value in event.headers if name.lower() not in HOP_BY_HOP]
                self._h2.send_headers(event.stream_id, [(b":status", b"%d" % event.status_code), *headers])
                await self._flush()
            elif isinstance(event, Body):
                await self._write(event.stream_id, stream, event.data)
            elif isinstance(event, EndBody):
                self._h2.end_stream(event.stream_id)
                stream.said_all = True
                await self._flush()
            elif isinstance(event, StreamClosed):
                await self._end(event.stream_id, stream)
        except ProtocolError:
            await self._forget(event.stream_id)

    async def _write(self, number: int, stream: _Stream, data: bytes) -> None:
        sent = 0
        while sent < len(data) and not stream.gone:
            room = min(self._h2.local_flow_control_window(number), self._h2.max_outbound_frame_size)
            if room <= 0:
                await self._room(number, stream)
                continue
            self._h2.send_data(number, data[sent : sent + room])
            sent += room
            self._allowance.earn(FRAMES_EARNED)
            await self._flush()

    async def _room(self, number: int, stream: _Stream) -> None:
        """Waits for the client to open the window. Raises StreamClosedError if it does not in time."""
        with trio.move_on_after(self._limits.send_timeout_s):
            await stream.news.wait()
            return
        self._h2.reset_stream(number, ErrorCodes.CANCEL)
        await self._flush()
        raise StreamClosedError(number)

    async def _end(self, number: int, stream: _Stream) -> None:
        if not stream.said_all:
            self._h2.reset_stream(number, ErrorCodes.INTERNAL_ERROR)
        elif not stream.heard_all:
            # RFC 9113 section 8.1: the answer is whole, the rest of the body is not wanted
            self._h2.reset_stream(number, ErrorCodes.NO_ERROR)
        await self._flush()
        await self._forget(number)

    async def _forget(self, number: int) -> None:
        """Takes a stream out, ends its handler if that still runs, and lets the time of an idle connection begin."""
        stream = self._streams.pop(number, None)
        if stream is None:
            return
        self._ended += 1
        self._watermarks.saw(HTTP_STREAMS_REMEMBERED, min(self._ended, HTTP_STREAMS_REMEMBERED.limit))
        stream.gone = True
        stream.wake()
        # Shielded: the handler's task, which may be the one that is here, is cancelled by the first line.
        with trio.CancelScope(shield=True):
            await stream.to_app.handle(StreamClosed(stream_id=number))
            if not self._streams and self._leaving:
                await self.say_goodbye()
                await self._send(Closed())
            elif not self._streams:
                await self._send(Updated(idle=True))

    async def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data:
            await self._send(RawData(data))


class ServerSide(H2Connection):
    """Our end of a connection, which remembers fewer of the streams that have ended than h2 would by itself."""

    MAX_CLOSED_STREAMS = HTTP_STREAMS_REMEMBERED.limit


def _server_side(limits: HttpLimits) -> H2Connection:
    connection = ServerSide(H2Configuration(client_side=False, header_encoding=None))
    # Set anew and not changed: a change holds only once the client has acknowledged it.
    connection.local_settings = Settings(
        client=False,
        initial_values={
            SettingCodes.MAX_CONCURRENT_STREAMS: HTTP_STREAMS.limit,
            SettingCodes.MAX_HEADER_LIST_SIZE: limits.head_bytes_max,
        },
    )
    connection.decoder.max_header_list_size = limits.head_bytes_max
    return connection


def _is_control(event: told.Event) -> bool:
    """Whether an event costs the client nothing and us some work: anything but requests, their data and their ends."""
    if isinstance(event, told.DataReceived):
        return not event.data
    return not isinstance(event, told.RequestReceived | told.StreamEnded)


def _target(headers: Headers) -> tuple[str, bytes] | None:
    """Method and path of a request that is to be served; None for CONNECT, and for what is not ASCII."""
    found = {name: value for name, value in headers if name.startswith(b":")}
    method, path = found.get(b":method", b""), found.get(b":path", b"")
    if method == b"CONNECT" or not path.isascii() or not method.isascii() or not method:
        return None
    return method.decode().upper(), path
