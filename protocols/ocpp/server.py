"""The central system's listener: stations connect, are checked, and are led to the door behind which actors work."""

from __future__ import annotations

import ssl
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

from protocols.http.places import Burst
from protocols.ocpp.admission import Admission, Knock, Refusal, identity_in
from protocols.ocpp.dialect import Dialect
from protocols.ocpp.frames import CallError, CallResult
from protocols.ocpp.limits import Limits
from protocols.ocpp.lines import address_of, line_over
from protocols.ocpp.rpc import CallEnd, NoAnswer, NotSent, RpcPeer
from protocols.ocpp.turnstile import Turnstile
from protocols.ocpp.v16 import V16
from protocols.ocpp.v21 import V21
from protocols.ocpp.v201 import V201
from protocols.ocpp.websocket import ServerWebSocket
from statecharts.meters import Meters
from statecharts.ports import StationDirectory, StationDoor
from statecharts.promises import Promise
from statecharts.station_commands import CallOutcome, CallVerdict, StationCommand
from statecharts.station_credentials import StationCertificate
from statecharts.vocabulary import Refused

DIALECTS: dict[str, Dialect] = {dialect.subprotocol: dialect for dialect in (V16, V201, V21)}
_SPOKEN_WITHOUT_SAYING = V16.subprotocol
"""What a station speaks that offers no subprotocol at all, and for which no version is configured."""

NOT_IMPLEMENTED = ocpp.NotImplementedError.code

TRY_AGAIN_LATER: Refusal = (HTTPStatus.SERVICE_UNAVAILABLE, "try again later", {"Retry-After": "60"})
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
        meters: Meters,
    ) -> None:
        self.identity, self.socket = identity, socket
        self._dialect, self._door, self._limits, self._tolerated = dialect, door, limits, tolerated
        self._meters = meters
        self._log = structlog.get_logger(station=identity, epoch=epoch)
        handle, count = self._handle, self._count
        self._rpc = RpcPeer(
            socket,
            epoch=epoch,
            handler=handle,
            limits=limits,
            framing=dialect.framing,
            log=self._log,
            handled=count,
        )

    def __repr__(self) -> str:
        return f"<LiveConnection {self.identity} {self.protocol} {self._rpc!r}>"

    @property
    def protocol(self) -> str:
        return self._dialect.subprotocol

    @property
    def certificate(self) -> StationCertificate | None:
        return self.socket.certificate

    async def call(self, command: StationCommand) -> CallOutcome:
        try:
            action = self._dialect.commands.action_of(command)
            payload = self._dialect.commands.write_request(command)
        except msgspec.ValidationError as error:
            return CallOutcome(verdict=CallVerdict.NEVER_SENT, cause=f"{self.protocol} cannot say this: {error}")
        end = await self._rpc.call(action, payload)
        outcome = _OUTCOMES[type(end)](self, action, end)
        self._meters.ocpp_sent.add(action, outcome.verdict)
        return outcome

    def close(self, code: int, reason: str) -> None:
        self._rpc.close(code, reason)

    async def run(self) -> None:
        """Serves the connection from `connected` to `disconnected`; raises what made its handling impossible.

        A station that is refused behind the door, as one in quarantine, is told to come again later.
        """
        try:
            await self._rpc.run(self._door.connected(self.identity, self))
        except Refused as no:
            log = structlog.get_logger()
            log.warning("ocpp.not_let_in", station=self.identity, refusal=str(no))
            self.socket.close(CloseCode.TRY_AGAIN_LATER, no.refusal.kind)
        finally:
            self._door.disconnected(self.identity, self)

    def expire(self, now: float) -> None:
        """Ends what is handled for too long."""
        self._rpc.expire(now)

    def _handle(self, action: str, payload: bytes) -> bytes | Promise[bytes]:
        reports = self._dialect.reports
        report = reports.read_request(action, payload, partial(self._note_tolerated, action))
        answer = self._door.reported(self.identity, self, report)
        if isinstance(answer, Promise):
            return answer.then(partial(reports.write_answer, action))
        return reports.write_answer(action, answer)

    def _count(self, action: str, outcome: str) -> None:
        # What is no action of ours is a station's own word, of which there may be any number.
        self._meters.ocpp_received.add("other" if outcome == NOT_IMPLEMENTED else action, outcome)

    def _note_tolerated(self, action: str, what: str) -> None:
        self._tolerated[action] += 1
        self._log.warning("ocpp.tolerated", action=action, what=what)

    def _answered(self, action: str, end: CallResult) -> CallOutcome:
        try:
            return self._dialect.commands.read_answer(action, bytes(end.payload), partial(self._note_tolerated, action))
        except ocpp.OCPPError as error:
            # It did answer, but what it meant nobody can tell: only a fact or a deadline decides.
            self._rpc.refuse_result(end, error)
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
        tls: ssl.SSLContext | None,
        plain: Sequence[trio.abc.Listener[Any]],
        directory: StationDirectory,
        door: StationDoor,
        epochs: Callable[[], str],
        limits: Limits,
        meters: Meters,
    ) -> None:
        self._meters = meters
        self.tolerated: Counter[str] = Counter()
        self._listeners, self._tls, self._plain = listeners, tls, plain
        self._door, self._epochs, self._limits = door, epochs, limits
        self._admission, self._directory = Admission(directory, limits, door.turned_away), directory
        # Insertion-ordered, as a set is not: a simulation with the same seed must close in the same order.
        self._live: dict[LiveConnection, None] = {}
        self._somebody = trio.Event()
        self._turnstile, self._crowd = Turnstile(limits), Burst()
        self._accepting = trio.CancelScope()
        self._serving = trio.CancelScope()
        self._connections: trio.Nursery | None = None
        self._log = structlog.get_logger()

    def __repr__(self) -> str:
        return f"<StationServer {len(self._live)} stations online, {self._turnstile!r}>"

    @property
    def connections(self) -> tuple[LiveConnection, ...]:
        return tuple(self._live)

    @property
    def ports(self) -> tuple[int, ...]:
        """The TCP ports listened on, with TLS where there is any."""
        return _ports(self._listeners)

    @property
    def plain_ports(self) -> tuple[int, ...]:
        """Those without TLS beside them."""
        return _ports(self._plain)

    def stop_accepting(self) -> None:
        """Takes no more connections; those that stand go on."""
        self._accepting.cancel()

    async def close_all(self, code: int = CloseCode.SERVICE_RESTART, reason: str = "the node restarts") -> None:
        """Accepts no more and closes every connection with this code; all end within the bounded time of a drain."""
        self.stop_accepting()
        self._serving.deadline = trio.current_time() + self._limits.drain_timeout_s
        for connection in self.connections:
            connection.close(code, reason)
        await trio.lowlevel.checkpoint()

    async def serve(self, task_status: trio.TaskStatus[StationServer]) -> None:
        with self._serving:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._sweep)
                async with trio.open_nursery() as self._connections:
                    task_status.started(self)
                    with self._accepting:
                        async with trio.open_nursery() as accepting:
                            serve = partial(trio.serve_listeners, handler_nursery=self._connections)
                            accepting.start_soon(serve, self.handle, list(self._listeners))
                            if self._plain:
                                accepting.start_soon(serve, self._plainly, list(self._plain))
                nursery.cancel_scope.cancel()

    # -- one connection ------------------------------------------------------------------------------------------------

    async def handle(self, stream: trio.abc.Stream) -> None:
        """Serves one stream until it ends. Nothing that happens here ends the listener."""
        await self._serve_stream(stream, self._tls)

    async def _plainly(self, stream: trio.abc.Stream) -> None:
        await self._serve_stream(stream, None)

    async def _serve_stream(self, stream: trio.abc.Stream, tls: ssl.SSLContext | None) -> None:
        assert self._connections is not None, "there are connections only while it serves"
        address = address_of(stream)
        socket = ServerWebSocket(line_over(stream, tls), limits=self._limits, spawn=self._connections.start_soon)
        serve = self._serve_socket if self._turnstile.enter(address) else self._turn_away
        try:
            try:
                await serve(socket, address)
            finally:
                await socket.finish()
        except OSError as broken:
            # Whoever looks for open ports breaks off so, in the middle of TLS.
            self._log.info("ocpp.connection_broken", address=address, reason=str(broken))
        except Exception as failure:
            self._log.error("ocpp.connection_failed", exc_info=failure)
        finally:
            self._turnstile.leave(address)

    async def _turn_away(self, socket: ServerWebSocket, address: str) -> None:
        """Tells a client that there is no room, unless that costs too much: a handshake of TLS, or too many of them."""
        if untold := self._crowd.count(trio.current_time()):
            self._log.warning("ocpp.no_room", address=address, turned_away=untold)
        with self._turnstile.turning_away() as may_be_told, trio.move_on_after(self._limits.close_timeout_s):
            if may_be_told and not socket.is_tls:
                await socket.open(lambda _: TRY_AGAIN_LATER)
            else:
                await socket.abort()

    async def _serve_socket(self, socket: ServerWebSocket, address: str) -> None:
        identity = await self._admit(socket, address)
        if identity is None:
            return
        if socket.speaks_nothing_known:
            # OCPP-J 1.6, 3.1.2: complete the handshake without the header, then close.
            socket.close(CloseCode.PROTOCOL_ERROR, _NO_COMMON_SUBPROTOCOL)
        else:
            await self._serve_station(identity, socket)
        if socket.complaint:
            self._log.warning("ocpp.closed", station=identity, address=address, reason=socket.complaint)

    async def _serve_station(self, identity: str, socket: ServerWebSocket) -> None:
        connection = LiveConnection(
            identity,
            DIALECTS[socket.subprotocol or self._configured(identity) or _SPOKEN_WITHOUT_SAYING],
            socket,
            door=self._door,
            epoch=self._epochs(),
            limits=self._limits,
            tolerated=self.tolerated,
            meters=self._meters,
        )
        self._live[connection] = None
        self._somebody.set()
        try:
            await connection.run()
        finally:
            del self._live[connection]
            if not self._live:
                self._somebody = trio.Event()

    async def _admit(self, socket: ServerWebSocket, address: str) -> str | None:
        """The identity of a station that was let in within the deadline of the handshake."""
        asked: list[Request] = []

        def decide(request: Request) -> Refusal | None:
            asked.append(request)
            return self._refusal(Knock(request, address, socket.is_tls, socket.certificate))

        async with self._turnstile.handshake(address):
            with trio.move_on_after(self._limits.handshake_timeout_s):
                if await socket.open(decide, lambda offered: self._chosen(identity_in(asked[0].path), offered)):
                    return identity_in(asked[0].path)
        if not asked:
            self._log.info("ocpp.no_upgrade", address=address)
        return None

    def _chosen(self, identity: str | None, offered: Sequence[str]) -> str | None:
        """The version that the station is configured for, if it offers it; else the first of its own that we speak."""
        known = [name for name in offered if name in DIALECTS]
        configured = self._configured(identity or "")
        return configured if configured in known else next(iter(known), None)

    def _configured(self, identity: str) -> str | None:
        version = self._directory.ocpp_version(identity)
        return version and f"ocpp{version}"

    def _refusal(self, knock: Knock) -> Refusal | None:
        draining = self._accepting.cancel_called
        refusal = TRY_AGAIN_LATER if draining else self._admission.refusal(knock)
        if refusal:
            path, status = knock.request.path[:120], int(refusal[0])
            self._log.warning("ocpp.turned_away", path=path, address=knock.address, status=status)
        return refusal

    # -- keep-alive ----------------------------------------------------------------------------------------------------

    async def _sweep(self) -> None:
        """One task for all connections: pings the silent, drops those that stay silent, ends what takes too long."""
        limits = self._limits
        while True:
            await self._somebody.wait()
            await trio.sleep(min(limits.ping_interval_s, limits.pong_timeout_s, limits.handler_timeout_s) / 2)
            now = trio.current_time()
            for connection in self.connections:
                connection.expire(now)
                await self._keep_alive(connection, now)

    async def _keep_alive(self, connection: LiveConnection, now: float) -> None:
        socket = connection.socket
        answered = socket.heard_at >= socket.pinged_at
        if socket.begun_at is not None and now - socket.begun_at >= self._limits.message_timeout_s:
            connection.close(CloseCode.POLICY_VIOLATION, "a message that was begun did not come to its end in time")
        if not answered and now - socket.pinged_at >= self._limits.pong_timeout_s:
            self._log.warning("ocpp.silent", station=connection.identity)
            await socket.abort()
        elif answered and now - socket.heard_at >= self._limits.ping_interval_s:
            socket.ping()


async def serve_stations(
    listeners: Sequence[trio.abc.Listener[Any]],
    *,
    directory: StationDirectory,
    door: StationDoor,
    epochs: Callable[[], str],
    tls: ssl.SSLContext | None = None,
    plain: Sequence[trio.abc.Listener[Any]] = (),
    limits: Limits | None = None,
    meters: Meters | None = None,
    task_status: trio.TaskStatus[StationServer] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serves charging stations at `/ocpp/<identity>` until the `StationServer` it starts with is told to `close_all`.

    `listeners` are open ones: `trio.open_tcp_listeners(port, host=host)`; with `tls` stations speak TLS there,
    and none at the `plain` ones.
    `epochs` gives a text of at most 24 characters, never the same twice, that marks the message ids of a connection.
    """
    server = StationServer(
        listeners,
        tls=tls,
        plain=plain,
        directory=directory,
        door=door,
        epochs=epochs,
        limits=limits or Limits(),
        meters=meters or Meters(),
    )
    await server.serve(task_status)


def _ports(listeners: Sequence[trio.abc.Listener[Any]]) -> tuple[int, ...]:
    tcp = [listener for listener in listeners if isinstance(listener, trio.SocketListener)]
    return tuple(listener.socket.getsockname()[1] for listener in tcp)
