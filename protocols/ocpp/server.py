"""The central system's listener: stations connect, are checked, and are led to the door behind which actors work."""

from __future__ import annotations

import math
import ssl
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from http import HTTPStatus
from typing import Any

import structlog
import trio
from websockets.frames import CloseCode
from websockets.http11 import Request

from protocols.http.places import Burst
from protocols.ocpp.admission import Admission, Knock
from protocols.ocpp.connection import LiveConnection
from protocols.ocpp.entrance import Entrance, Visitor
from protocols.ocpp.limits import Limits
from protocols.ocpp.lines import Line
from protocols.ocpp.listening import lines_of
from protocols.ocpp.turnstile import Turnstile
from protocols.ocpp.v16 import V16
from protocols.ocpp.versions import DIALECTS
from protocols.ocpp.websocket import Refusal, ServerWebSocket
from statecharts.meters import Meters
from statecharts.ports import StationDirectory, StationDoor
from statecharts.station_credentials import Login
from statecharts.vocabulary import Refused

_SPOKEN_WITHOUT_SAYING = V16.subprotocol
"""What a station speaks that offers no subprotocol at all, and for which no version is configured."""

RETRY_AFTER_S = 30, 90
"""When to come again: those that are turned away together shall not come back together."""

_NO_COMMON_SUBPROTOCOL = f"none of the subprotocols offered is known here: {', '.join(DIALECTS)}"


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
        jitter: Callable[[], float],
        limits: Limits,
        meters: Meters,
    ) -> None:
        self._meters, self._jitter = meters, jitter
        self.tolerated: Counter[str] = Counter()
        self._listeners, self._tls, self._plain = listeners, tls, plain
        self._door, self._epochs, self._limits = door, epochs, limits
        self._admission, self._directory = Admission(directory, limits, door.turned_away), directory
        # Insertion-ordered, as a set is not: a simulation with the same seed must close in the same order.
        self._live: dict[LiveConnection, None] = {}
        self._somebody = trio.Event()
        self._turnstile, self._entrance, self._crowd = Turnstile(limits), Entrance(limits), Burst()
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
                            lines = [lines_of(listener, self._tls) for listener in self._listeners]
                            lines += [lines_of(listener, None) for listener in self._plain]
                            serve = partial(trio.serve_listeners, handler_nursery=self._connections)
                            accepting.start_soon(serve, self.handle, lines)
                nursery.cancel_scope.cancel()

    # -- one connection ------------------------------------------------------------------------------------------------

    async def handle(self, line: Line) -> None:
        """Serves one connection until it ends. Nothing that happens here ends the listener."""
        assert self._connections is not None, "there are connections only while it serves"
        address = line.address
        socket = ServerWebSocket(line, limits=self._limits, spawn=self._connections.start_soon)
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
                await socket.open(self._try_again)
            else:
                await socket.abort()

    async def _serve_socket(self, socket: ServerWebSocket, address: str) -> None:
        with Visitor(self._entrance) as visitor:
            admitted = await self._admit(socket, address, visitor)
            if admitted is None:
                return
            identity, login = admitted
            if socket.speaks_nothing_known:
                # OCPP-J 1.6, 3.1.2: complete the handshake without the header, then close.
                socket.close(CloseCode.PROTOCOL_ERROR, _NO_COMMON_SUBPROTOCOL)
            else:
                await self._serve_station(identity, login, socket, visitor)
        if socket.complaint:
            self._log.warning("ocpp.closed", station=identity, address=address, reason=socket.complaint)

    async def _serve_station(self, identity: str, login: Login, socket: ServerWebSocket, visitor: Visitor) -> None:
        connection = LiveConnection(
            identity,
            DIALECTS[socket.subprotocol or self._configured(identity) or _SPOKEN_WITHOUT_SAYING],
            socket,
            login=login,
            door=self._door,
            epoch=self._epochs(),
            limits=self._limits,
            tolerated=self.tolerated,
            meters=self._meters,
        )
        self._live[connection] = None
        self._somebody.set()
        try:
            await connection.run(visitor.leave)
        finally:
            del self._live[connection]
            if not self._live:
                self._somebody = trio.Event()

    async def _admit(self, socket: ServerWebSocket, address: str, visitor: Visitor) -> tuple[str, Login] | None:
        """Which station was let in and by what: within the deadline of the handshake, and when its turn came."""
        asked: list[Knock] = []
        logins: list[Login] = []

        async def decide(request: Request) -> Refusal | None:
            knock = Knock(request, address, socket.is_tls, socket.certificate)
            asked.append(knock)
            verdict = await self._verdict(knock)
            refusal = None if isinstance(verdict, Login) else verdict
            if isinstance(verdict, Login):
                logins.append(verdict)
                # What is waited for from here on is not the client's fault, and holds up no other's handshake.
                patience.deadline = math.inf
                await handshake.aclose()
                if not await visitor.enter(first=self._door.is_charging(knock.identity)):
                    refusal = await self._try_again(request)
            return refusal

        async with AsyncExitStack() as handshake:
            await handshake.enter_async_context(self._turnstile.handshake(address))
            with trio.move_on_after(self._limits.handshake_timeout_s) as patience:
                if await socket.open(decide, lambda offered: self._chosen(asked[0].identity, offered)):
                    return asked[0].identity, logins[0]
        if not asked:
            self._log.info("ocpp.no_upgrade", address=address)
        return None

    async def _try_again(self, _: Request) -> Refusal:
        return self._later()

    def _later(self) -> Refusal:
        soonest, latest = RETRY_AFTER_S
        after_s = soonest + round((latest - soonest) * self._jitter())
        return HTTPStatus.SERVICE_UNAVAILABLE, "try again later", {"Retry-After": str(after_s)}

    def _chosen(self, identity: str | None, offered: Sequence[str]) -> str | None:
        """The version that the station is configured for, if it offers it; else the first of its own that we speak."""
        known = [name for name in offered if name in DIALECTS]
        configured = self._configured(identity or "")
        return configured if configured in known else next(iter(known), None)

    def _configured(self, identity: str) -> str | None:
        version = self._directory.ocpp_version(identity)
        return version and f"ocpp{version}"

    async def _verdict(self, knock: Knock) -> Login | Refusal:
        verdict = await self._judged(knock)
        if not isinstance(verdict, Login):
            path, status = knock.request.path[:120], int(verdict[0])
            self._log.warning("ocpp.turned_away", path=path, address=knock.address, status=status)
        return verdict

    async def _judged(self, knock: Knock) -> Login | Refusal:
        if self._accepting.cancel_called:
            return self._later()
        try:
            await self._admission.introduce(knock)
        except Refused as no:
            self._log.warning("ocpp.not_introduced", address=knock.address, refusal=str(no))
            return self._later()
        return self._admission.verdict(knock)

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
    jitter: Callable[[], float] = lambda: 0.5,
    tls: ssl.SSLContext | None = None,
    plain: Sequence[trio.abc.Listener[Any]] = (),
    limits: Limits | None = None,
    meters: Meters | None = None,
    task_status: trio.TaskStatus[StationServer] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serves charging stations at `/ocpp/<identity>` until the `StationServer` it starts with is told to `close_all`.

    `listeners` are open ones: `trio.open_tcp_listeners(port, host=host)`; with `tls` stations speak TLS there,
    and none at the `plain` ones.
    `epochs` gives a text of at most 24 characters, never the same twice, that marks the message ids of a connection;
    `jitter` numbers in [0, 1).
    """
    server = StationServer(
        listeners,
        tls=tls,
        plain=plain,
        directory=directory,
        door=door,
        epochs=epochs,
        jitter=jitter,
        limits=limits or Limits(),
        meters=meters or Meters(),
    )
    await server.serve(task_status)


def _ports(listeners: Sequence[trio.abc.Listener[Any]]) -> tuple[int, ...]:
    tcp = [listener for listener in listeners if isinstance(listener, trio.SocketListener)]
    return tuple(listener.socket.getsockname()[1] for listener in tcp)
