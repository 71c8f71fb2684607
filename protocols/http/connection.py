"""One client's connection: its handshake, the protocol it speaks, and its end."""

from __future__ import annotations

from typing import Any

import trio
from hypercorn.config import Config
from hypercorn.events import Event, Updated
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState, LifespanState
from hypercorn.utils import parse_socket_addr

from protocols.http.gate import Gate
from protocols.http.http1 import Http1, Http1Protocol
from protocols.http.http2 import Http2
from protocols.http.limits import HttpLimits
from protocols.http.stream import TimedStream
from statecharts.meters import Meters


class Connection(TCPServer):
    """Hypercorn's connection, speaking HTTP/1.1 without its ways to other protocols, and HTTP/2 of our own."""

    protocol: Any
    over = False

    def __init__(
        self,
        gate: Gate,
        config: Config,
        context: WorkerContext,
        state: LifespanState,
        stream: TimedStream,
        limits: HttpLimits,
        meters: Meters,
    ) -> None:
        spoken_on: Any = gate.tls or stream
        super().__init__(gate, config, context, state, spoken_on)
        self._socket, self._tls = stream.socket, gate.tls
        self._limits, self._meters = limits, meters
        self._speaker: H11Protocol | Http2 | None = None

    async def run(self) -> None:
        """Serves the client until one of both ends it."""
        try:
            if not await self._shake_hands():
                return
            async with TaskGroup() as self._task_group:
                self.protocol = self._speaker = self._protocol()
                await self._speaker.initiate()
                await self.idle_task.restart(self._task_group, self._idle_timeout)
                await self._read_data()
        except OSError:
            pass  # it was gone before its address could be read
        finally:
            await self._close()

    def drain(self) -> None:
        """Takes nothing new; over HTTP/1 that is so once the server's context has terminated."""
        if isinstance(self._speaker, Http2):
            self._speaker.leave()

    async def protocol_send(self, event: Event) -> None:
        """Shielded: Quart cancels a request's task while its end is told here, and the connection would stay open.

        Once nothing more can be read, no idle time begins: the connection would outlive its client by it.
        """
        if not (self.over and isinstance(event, Updated)):
            with trio.CancelScope(shield=True):
                await super().protocol_send(event)

    async def _shake_hands(self) -> bool:
        """Whether client and server have agreed on TLS, in time, where it is spoken."""
        if self._tls is not None:
            try:
                with trio.fail_after(self._limits.handshake_timeout_s):
                    await self._tls.do_handshake()
            except (trio.BrokenResourceError, trio.TooSlowError):
                self._meters.http_refused.add("handshake")
                return False
        return True

    def _protocol(self) -> H11Protocol | Http2:
        family = self._socket.family
        client = parse_socket_addr(family, self._socket.getpeername())
        server = parse_socket_addr(family, self._socket.getsockname())
        common = (self.app, self.config, self.context, self._task_group)
        secure = self._tls is not None
        if self._tls is not None and self._tls.selected_alpn_protocol() == "h2":
            return Http2(
                lambda send, number: HTTPStream(*common, secure, client, server, send, number),
                self.state,
                client[0] if client else "",
                self.protocol_send,
                self._limits,
                self._meters.watermarks,
            )
        speaker = Http1Protocol(*common, ConnectionState(self.state), secure, client, server, self.protocol_send)
        speaker.connection = Http1(client, self._limits.head_bytes_max, self._meters.watermarks)
        return speaker

    async def _initiate_server_close(self) -> None:
        if isinstance(self._speaker, Http2):
            await self._speaker.say_goodbye()
        await super()._initiate_server_close()

    async def _read_data(self) -> None:
        await super()._read_data()
        self.over = True
        await self.idle_task.stop()
