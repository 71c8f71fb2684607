"""The central system's listener: stations connect, are checked, and are led to the door behind which actors work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
import trio
from ocpp import exceptions as ocpp
from websockets.frames import CloseCode
from websockets.http11 import Request

from protocols.ocpp.admission import Admission, Refusal, identity_in
from protocols.ocpp.dialect import Dialect
from protocols.ocpp.frames import CallError, CallResult
from protocols.ocpp.limits import Limits
from protocols.ocpp.rpc import CallEnd, NoAnswer, NotSent, RpcPeer
from protocols.ocpp.v16 import V16
from protocols.ocpp.websocket import ServerWebSocket
from statecharts.ports import StationDirectory, StationDoor
from statecharts.station_vocabulary import CallOutcome, CallVerdict, StationCommand

DIALECTS: dict[str, Dialect] = {dialect.subprotocol: dialect for dialect in (V16,)}
_SPOKEN_WITHOUT_SAYING = V16.subprotocol
"""What a station speaks that offers no subprotocol at all."""

_NO_COMMON_SUBPROTOCOL = f"none of the subprotocols offered is known here: {', '.join(DIALECTS)}"


class LiveConnection:
    """One connection of a station: the `StationConnection` that actors see."""

    def __init__(
        self,
        identity: str,
        dialect: Dialect,
        socket: ServerWebSocket,
        *,
        door: StationDoor,
        epoch: str,
        limits: Limits,
        tolerated: Counter[str],
    ) -> None:
        self.identity, self.socket = identity, socket
        self._dialect, self._door, self._limits, self._tolerated = dialect, door, limits, tolerated
        self._log = structlog.get_logger().bind(station=identity, epoch=epoch)
        self._rpc = RpcPeer(socket, epoch=epoch, handler=self._handle, limits=limits, log=self._log)

    def __repr__(self) -> str:
        return f"<LiveConnection {self.identity} {self.protocol} {self._rpc!r}>"

    @property
    def protocol(self) -> str:
        return self._dialect.subprotocol

    async def call(self, command: StationCommand) -> CallOutcome:
        try:
            action = self._dialect.commands.action_of(command)
            payload = self._dialect.commands.write_request(command)
        except (KeyError, msgspec.ValidationError) as error:
            return CallOutcome(verdict=CallVerdict.NEVER_SENT, cause=f"{self.protocol} cannot say this: {error}")
        end = await self._rpc.call(action, payload)
        return _OUTCOMES[type(end)](self, action, end)

    async def close(self, code: int, reason: str) -> None:
        await self._rpc.close(code, reason)

    async def run(self) -> None:
        """Serves the connection from `connected` to `disconnected`; raises what made its handling impossible."""
        try:
            await self._rpc.run(opened=self._connected)
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + self._limits.drain_timeout_s):
                await self._door.disconnected(self.identity, self)

    async def _connected(self) -> None:
        with trio.fail_after(self._limits.handler_timeout_s):
            await self._door.connected(self.identity, self)

    async def _handle(self, action: str, payload: bytes) -> bytes:
        reports = self._dialect.reports
        report = reports.read_request(action, payload, partial(self._note_tolerated, action))
        return reports.write_answer(action, await self._door.reported(self.identity, self, report))

    def _note_tolerated(self, action: str, what: str) -> None:
        self._tolerated[action] += 1
        self._log.warning("ocpp.tolerated", action=action, what=what)

    def _answered(self, action: str, end: CallResult) -> CallOutcome:
        try:
            return self._dialect.commands.read_answer(action, bytes(end.payload), partial(self._note_tolerated, action))
        except ocpp.OCPPError as error:
            # It did answer, but what it meant nobody can tell: only a fact or a deadline decides.
            return CallOutcome(verdict=CallVerdict.UNKNOWN, cause=f"unreadable answer: {error.description}")

    def _call_error(self, action: str, end: CallError) -> CallOutcome:
        cause = f"{end.code}: {end.description}" if end.description else end.code
        return CallOutcome(verdict=CallVerdict.ERROR, status=end.code, cause=cause)

    def _never_sent(self, action: str, end: NotSent) -> CallOutcome:
        return CallOutcome(verdict=CallVerdict.NEVER_SENT, cause=end.cause)

    def _unanswered(self, action: str, end: NoAnswer) -> CallOutcome:
        return CallOutcome(verdict=CallVerdict.UNKNOWN, cause=end.cause)


_OUTCOMES: dict[type[CallEnd], Callable[[LiveConnection, str, Any], CallOutcome]] = {
    CallResult: LiveConnection._answered,
    CallError: LiveConnection._call_error,
    NotSent: LiveConnection._never_sent,
    NoAnswer: LiveConnection._unanswered,
}


class StationServer:
    """A running listener, as `serve_stations` hands it out.

    `tolerated` counts, by action, messages that broke the specification and were taken all the same.
    """

    def __init__(
        self,
        listeners: Sequence[trio.abc.Listener[Any]],
        *,
        directory: StationDirectory,
        door: StationDoor,
        epochs: Callable[[], str],
        limits: Limits,
    ) -> None:
        self.tolerated: Counter[str] = Counter()
        self._listeners, self._door, self._epochs, self._limits = listeners, door, epochs, limits
        self._admission = Admission(directory, limits)
        # Insertion-ordered, as a set is not: a simulation with the same seed must close in the same order.
        self._live: dict[LiveConnection, None] = {}
        self._streams = 0
        self._accepting = trio.CancelScope()
        self._serving = trio.CancelScope()
        self._log = structlog.get_logger()

    def __repr__(self) -> str:
        return f"<StationServer {len(self._live)} stations online, {self._streams} streams>"

    @property
    def connections(self) -> tuple[LiveConnection, ...]:
        return tuple(self._live)

    @property
    def ports(self) -> tuple[int, ...]:
        """The TCP ports listened on."""
        plain = [each.transport_listener if isinstance(each, trio.SSLListener) else each for each in self._listeners]
        return tuple(each.socket.getsockname()[1] for each in plain if isinstance(each, trio.SocketListener))

    async def close_all(self, code: int = CloseCode.SERVICE_RESTART, reason: str = "the node restarts") -> None:
        """Accepts no more, closes every connection with this code, and ends within the bounded time of a drain."""
        self._accepting.cancel()
        self._serving.deadline = trio.current_time() + self._limits.drain_timeout_s
        async with trio.open_nursery() as nursery:
            for connection in self._live:
                nursery.start_soon(connection.close, code, reason)

    async def serve(self, task_status: trio.TaskStatus[StationServer]) -> None:
        with self._serving:
            async with trio.open_nursery() as nursery:
                sweeper = trio.CancelScope()
                nursery.start_soon(self._sweep, sweeper)
                async with trio.open_nursery() as connections:
                    task_status.started(self)
                    with self._accepting:
                        await trio.serve_listeners(self.handle, list(self._listeners), handler_nursery=connections)
                sweeper.cancel()

    # -- one connection ------------------------------------------------------------------------------------------------

    async def handle(self, stream: trio.abc.Stream) -> None:
        """Serves one stream until it ends. Nothing that happens here ends the listener."""
        socket = ServerWebSocket(stream, subprotocols=tuple(DIALECTS), limits=self._limits)
        self._streams += 1
        try:
            await self._serve_stream(socket, _address(stream))
        except* (OSError, trio.BrokenResourceError) as broken:
            # Whoever looks for open ports breaks off so, in the middle of TLS.
            reason = broken.exceptions[0].__cause__ or broken.exceptions[0]
            self._log.info("ocpp.connection_broken", address=_address(stream), reason=str(reason))
        except* Exception as failures:
            self._log.error("ocpp.connection_failed", exc_info=failures)
        finally:
            self._streams -= 1
            await socket.finish()

    async def _serve_stream(self, socket: ServerWebSocket, address: str) -> None:
        identity = await self._admit(socket, address)
        if identity is None:
            return
        if socket.speaks_nothing_known:
            # OCPP-J 1.6, 3.1.2: complete the handshake without the header, then close.
            await socket.close(CloseCode.PROTOCOL_ERROR, _NO_COMMON_SUBPROTOCOL)
        else:
            await self._serve_station(identity, socket)
        if socket.complaint:
            self._log.warning("ocpp.closed", station=identity, address=address, reason=socket.complaint)

    async def _serve_station(self, identity: str, socket: ServerWebSocket) -> None:
        connection = LiveConnection(
            identity,
            DIALECTS[socket.subprotocol or _SPOKEN_WITHOUT_SAYING],
            socket,
            door=self._door,
            epoch=self._epochs(),
            limits=self._limits,
            tolerated=self.tolerated,
        )
        self._live[connection] = None
        try:
            await connection.run()
        finally:
            del self._live[connection]

    async def _admit(self, socket: ServerWebSocket, address: str) -> str | None:
        """The identity of a station that was let in within the deadline of the handshake."""
        asked: list[Request] = []

        def decide(request: Request) -> Refusal | None:
            asked.append(request)
            return self._refusal(request, address)

        with trio.move_on_after(self._limits.handshake_timeout_s):
            if await socket.open(decide):
                return identity_in(asked[0].path)
        if not asked:
            self._log.info("ocpp.no_upgrade", address=address)
        return None

    def _refusal(self, request: Request, address: str) -> Refusal | None:
        if self._streams > self._limits.connections_max or self._accepting.cancel_called:
            refusal: Refusal | None = (HTTPStatus.SERVICE_UNAVAILABLE, "try again later", {"Retry-After": "60"})
        else:
            refusal = self._admission.refusal(request, address)
        if refusal:
            self._log.warning("ocpp.turned_away", path=request.path[:120], address=address, status=int(refusal[0]))
        return refusal

    # -- keep-alive ----------------------------------------------------------------------------------------------------

    async def _sweep(self, scope: trio.CancelScope) -> None:
        """One task for all connections: pings the silent ones and drops those that stay silent."""
        with scope:
            async with trio.open_nursery() as nursery:
                while True:
                    await trio.sleep(min(self._limits.ping_interval_s, self._limits.pong_timeout_s) / 2)
                    for connection in self._live:
                        self._keep_alive(connection, nursery)

    def _keep_alive(self, connection: LiveConnection, nursery: trio.Nursery) -> None:
        socket, now = connection.socket, trio.current_time()
        answered = socket.heard_at >= socket.pinged_at
        if not answered and now - socket.pinged_at >= self._limits.pong_timeout_s:
            self._log.warning("ocpp.silent", station=connection.identity)
            nursery.start_soon(socket.abort)
        elif answered and now - socket.heard_at >= self._limits.ping_interval_s:
            nursery.start_soon(socket.ping)


async def serve_stations(
    listeners: Sequence[trio.abc.Listener[Any]],
    *,
    directory: StationDirectory,
    door: StationDoor,
    epochs: Callable[[], str],
    limits: Limits | None = None,
    task_status: trio.TaskStatus[StationServer] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serves charging stations at `/ocpp/<identity>` until the `StationServer` it starts with is told to `close_all`.

    `listeners` are open ones: `trio.open_tcp_listeners(port, host=host)`, each in a `trio.SSLListener` for TLS.
    `epochs` gives a text of at most 24 characters, never the same twice, that marks the message ids of a connection.
    """
    server = StationServer(listeners, directory=directory, door=door, epochs=epochs, limits=limits or Limits())
    await server.serve(task_status)


def _address(stream: trio.abc.Stream) -> str:
    """The IP address at the other end; streams without one, as in memory, share a name."""
    transport = stream.transport_stream if isinstance(stream, trio.SSLStream) else stream
    try:
        return str(transport.socket.getpeername()[0]) if isinstance(transport, trio.SocketStream) else "-"
    except OSError:
        return "-"
