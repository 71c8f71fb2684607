"""Accepts connections, bounds them, and drains them in the end."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from functools import partial
from typing import Any

import structlog
import trio
from hypercorn.config import Config
from hypercorn.logging import Logger
from hypercorn.trio.lifespan import Lifespan
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework, LifespanState

from protocols.http.connection import Connection
from protocols.http.gate import Gate, Requests
from protocols.http.limits import LINGER_S, HttpLimits
from protocols.http.places import Burst, Places
from protocols.http.stream import TimedStream
from statecharts.bounds import HTTP_TURNING_AWAY
from statecharts.meters import Meters

TOO_MANY_CONNECTIONS = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
)

log = structlog.get_logger(__name__)


async def serve_http(
    app: ASGIFramework,
    listeners: Sequence[trio.SocketListener],
    *,
    draining: trio.Event,
    limits: HttpLimits | None = None,
    tls: ssl.SSLContext | None = None,
    meters: Meters | None = None,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serves `app` on `listeners` until `draining` is set; then ends what is under way and returns.

    Draining stops accepting at once and closes idle connections; requests in flight finish within
    `limits.drain_timeout_s` and are cut off then. The listeners are closed in any case. With `tls` every listener
    speaks TLS, HTTP/2 too where its ALPN offers "h2", and a client certificate that was asked for stands in
    `scope["extensions"]["tls"]` as the ASGI TLS extension has it. Starts (`nursery.start`) with the URLs it listens at.

    Raises hypercorn's `LifespanFailureError` in an exception group when the app does not start.
    """
    await _Server(app, limits or HttpLimits(), tls, meters or Meters()).run(listeners, draining, task_status)


class _Server:
    def __init__(self, app: ASGIFramework, limits: HttpLimits, tls: ssl.SSLContext | None, meters: Meters) -> None:
        self.app = app
        self.limits = limits
        self.tls = tls
        self.meters = meters
        self.config = _hypercorn_config(limits)
        self.context = WorkerContext(None)
        self.lifespan_state: LifespanState = {}
        self.requests = Requests(limits.requests_max, meters)
        self.places = Places(limits.connections_max, limits.connections_per_address_max, meters.watermarks)
        self.burst = Burst()
        self.turning_away = 0
        self.open: dict[TimedStream, Connection] = {}

    async def run(
        self, listeners: Sequence[trio.SocketListener], draining: trio.Event, task_status: trio.TaskStatus[list[str]]
    ) -> None:
        lifespan = Lifespan(Gate(self.app, self.requests), self.config, self.lifespan_state)
        async with trio.open_nursery() as lifespan_nursery:
            await lifespan_nursery.start(lifespan.handle_lifespan)
            await lifespan.wait_for_startup()
            async with trio.open_nursery() as overseer:
                await self._serve_until(draining, listeners, overseer, task_status)
                overseer.cancel_scope.cancel()
            await lifespan.wait_for_shutdown()
            lifespan_nursery.cancel_scope.cancel()

    async def _serve_until(
        self,
        draining: trio.Event,
        listeners: Sequence[trio.SocketListener],
        overseer: trio.Nursery,
        task_status: trio.TaskStatus[list[str]],
    ) -> None:
        """Returns once `draining` is set and the last connection has ended."""
        async with trio.open_nursery() as connections:
            overseer.start_soon(self._cut_off_late, draining, connections.cancel_scope)
            async with trio.open_nursery() as accepting:
                serve = partial(trio.serve_listeners, handler_nursery=connections)
                accepting.start_soon(serve, self._connection, list(listeners))
                task_status.started([self._url(listener) for listener in listeners])
                await draining.wait()
                accepting.cancel_scope.cancel()
            for connection in tuple(self.open.values()):
                connection.drain()
            await self.context.terminated.set()

    async def _cut_off_late(self, draining: trio.Event, connections: trio.CancelScope) -> None:
        """Ends what is still under way when the drain has lasted too long, or when the server is cancelled."""
        try:
            await draining.wait()
            await trio.sleep(self.limits.drain_timeout_s)
        finally:
            self._cut_off()
            connections.cancel()

    def _cut_off(self) -> None:
        """Closes the sockets: Hypercorn shields its writes, so that cancelling alone would wait for slow readers."""
        for stream in tuple(self.open):
            stream.socket.close()

    async def _connection(self, accepted: trio.SocketStream) -> None:
        address = _address(accepted)
        if refused_by := self.places.refusal(address):
            await self._turn_away(accepted, address, refused_by)
            return
        stream = TimedStream(accepted, self.limits.send_timeout_s)
        try:
            self.open[stream] = connection = self._connected(stream)
            await connection.run()
        except* Exception as errors:
            log.warning("http.connection_failed", cause=repr(errors.exceptions[0]))
        finally:
            del self.open[stream]
            self.places.leave(address)
            stream.socket.close()

    def _connected(self, stream: TimedStream) -> Connection:
        tls = trio.SSLStream(stream, self.tls, server_side=True, https_compatible=True) if self.tls else None
        gate = Gate(self.app, self.requests, tls)
        return Connection(gate, self.config, self.context, self.lifespan_state, stream, self.limits, self.meters)

    async def _turn_away(self, stream: trio.SocketStream, address: str, refused_by: str) -> None:
        """Says 503 to a client that finds no room; one that speaks TLS is closed without a word."""
        self.meters.http_refused.add(refused_by)
        if refused := self.burst.count(trio.current_time()):
            log.warning("http.connections_turned_away", bound=refused_by, address=address, refused=refused)
        if self.tls is not None or self.turning_away >= HTTP_TURNING_AWAY.limit:
            await trio.aclose_forcefully(stream)
            return
        self.turning_away += 1
        self.meters.watermarks.saw(HTTP_TURNING_AWAY, self.turning_away)
        try:
            with trio.move_on_after(LINGER_S):
                async with TimedStream(stream, LINGER_S) as last:
                    await last.send_all(TOO_MANY_CONNECTIONS)
        except trio.BrokenResourceError:
            pass  # it did not wait for its answer
        finally:
            self.turning_away -= 1

    def _url(self, listener: trio.SocketListener) -> str:
        host, port = listener.socket.getsockname()[:2]
        return f"{'https' if self.tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def _address(stream: trio.SocketStream) -> str:
    try:
        return str(stream.socket.getpeername()[0])
    except OSError:
        return ""  # it is gone already


def _hypercorn_config(limits: HttpLimits) -> Config:
    config = Config()
    config.logger_class = _HypercornLog
    config.include_server_header = False
    config.keep_alive_timeout = limits.head_timeout_s
    config.h11_max_incomplete_size = limits.head_bytes_max
    return config


class _HypercornLog(Logger):
    """Hypercorn's log, written by structlog: no access lines, only what went wrong."""

    def __init__(self, config: Config) -> None:
        self.access_logger = None
        self.error_logger = None

    async def warning(self, message: str, *args: Any, **kwargs: Any) -> None:
        log.warning("http.hypercorn_warned", said=message % args if args else message, **kwargs)

    async def exception(self, message: str, *args: Any, **kwargs: Any) -> None:
        log.exception("http.hypercorn_failed", said=message % args if args else message, **kwargs)
