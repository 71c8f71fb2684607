"""Serves an ASGI app over HTTP/1.1 on trio, so that no client can take the server, or the node around it, down.

Hypercorn speaks HTTP to each connection; accepting, bounding and draining are done here, because Hypercorn's own
`serve` ends when one connection fails (pgjones/hypercorn#225: `Upgrade: websocket` with bytes behind the head), knows
no cap on connections, and lets a client that reads nothing hold a connection, and a shutdown, for ever.

Every wait on a client has a limit in `HttpLimits`: the handshake and the head here, the body by the app's
BODY_TIMEOUT, each write by `send_timeout_s`. Hypercorn's `websocket_ping_interval` and `read_timeout` stay None: the
first can end a connection's task with an error of its own, the second would cut every event stream. Only HTTP/1 is
spoken: a proposal to switch to WebSocket or HTTP/2 is ignored; stations have a server of their own.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import h11
import msgspec
import structlog
import trio
from hypercorn.config import Config
from hypercorn.events import Event, Updated
from hypercorn.logging import Logger
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.lifespan import Lifespan
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework, HTTPScope, LifespanState

BODY_BYTES_MAX = 256 * 1024
"""The longest request body that an app of ours reads; a longer one is answered 413."""

BODY_TIMEOUT_S = 20
"""How long a client may take to send its body before it is answered 408."""

LINGER_S = 1.0
"""How long a connection that we close still reads, so that the client gets the end of its answer."""

TOO_MANY_CONNECTIONS = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
)

log = structlog.get_logger(__name__)


class HttpLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one listening server grants its clients.

    `head_timeout_s` bounds both a request head that is under way and the idle time between two requests;
    `send_timeout_s` one write to a client that reads slowly; `drain_timeout_s` the requests in flight at the end.
    """

    connections_max: int = 1000
    head_bytes_max: int = 16 * 1024
    handshake_timeout_s: float = 10.0
    head_timeout_s: float = 10.0
    send_timeout_s: float = 20.0
    drain_timeout_s: float = 5.0


async def serve_http(
    app: ASGIFramework,
    listeners: Sequence[trio.SocketListener],
    *,
    draining: trio.Event,
    limits: HttpLimits | None = None,
    tls: ssl.SSLContext | None = None,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serves `app` on `listeners` until `draining` is set; then ends what is under way and returns.

    Draining stops accepting at once and closes idle connections; requests in flight finish within
    `limits.drain_timeout_s` and are cut off then. The listeners are closed in any case. With `tls` every listener
    speaks TLS, and a client certificate that was asked for stands in `scope["extensions"]["tls"]` as the ASGI TLS
    extension has it. Starts (`nursery.start`) with the URLs it listens at.

    Raises hypercorn's `LifespanFailureError` in an exception group when the app does not start.
    """
    await _Server(app, limits or HttpLimits(), tls).run(listeners, draining, task_status)


class _Server:
    def __init__(self, app: ASGIFramework, limits: HttpLimits, tls: ssl.SSLContext | None) -> None:
        self.app = app
        self.limits = limits
        self.tls = tls
        self.config = _hypercorn_config(limits)
        self.context = WorkerContext(None)
        self.lifespan_state: LifespanState = {}
        self.open: set[_TimedStream] = set()

    async def run(
        self, listeners: Sequence[trio.SocketListener], draining: trio.Event, task_status: trio.TaskStatus[list[str]]
    ) -> None:
        lifespan = Lifespan(_Gate(self.app), self.config, self.lifespan_state)
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
        if len(self.open) >= self.limits.connections_max:
            await self._turn_away(accepted)
            return
        stream = _TimedStream(accepted, self.limits.send_timeout_s)
        self.open.add(stream)
        try:
            await self._speak(stream)
        except* Exception as errors:
            log.warning("http connection failed", cause=repr(errors.exceptions[0]))
        finally:
            self.open.discard(stream)
            stream.socket.close()

    async def _speak(self, stream: _TimedStream) -> None:
        tls = trio.SSLStream(stream, self.tls, server_side=True, https_compatible=True) if self.tls else None
        spoken_on: Any = tls or stream
        await _Connection(_Gate(self.app, tls), self.config, self.context, self.lifespan_state, spoken_on).run()

    async def _turn_away(self, stream: trio.SocketStream) -> None:
        """Says 503 to a client beyond the cap; one that would need a TLS handshake for it is closed without a word."""
        log.warning("http connection turned away", connections_max=self.limits.connections_max)
        if self.tls is not None:
            await trio.aclose_forcefully(stream)
            return
        with trio.move_on_after(LINGER_S):
            async with _TimedStream(stream, LINGER_S) as last:
                await last.send_all(TOO_MANY_CONNECTIONS)

    def _url(self, listener: trio.SocketListener) -> str:
        host, port = listener.socket.getsockname()[:2]
        return f"{'https' if self.tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


class _TimedStream(trio.abc.HalfCloseableStream):
    """A socket stream whose writes give up after `send_timeout_s`, also where the caller has shielded them.

    It closes in two steps: closing on unread bytes, as those of a body that is too long, would reset the connection,
    and the client would never see its answer.
    """

    def __init__(self, stream: trio.SocketStream, send_timeout_s: float) -> None:
        self.socket = stream.socket
        self._stream = stream
        self._send_timeout_s = send_timeout_s
        self._reading = trio.Lock()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        with trio.move_on_after(self._send_timeout_s) as patience:
            await self._stream.send_all(data)
        if patience.cancelled_caught:
            self.socket.close()
            raise trio.BrokenResourceError("the client does not read")

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        async with self._reading:
            return await self._stream.receive_some(max_bytes)

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        try:
            with trio.move_on_after(LINGER_S):
                await self._read_off()
        finally:
            await self._stream.aclose()

    async def _read_off(self) -> None:
        try:
            await self.send_eof()
            while await self.receive_some():
                pass
        except (trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError):
            return  # the client is gone, or a write to it is stuck: nothing to wait for


class _Connection(TCPServer):
    """Hypercorn's connection, reading HTTP/1 only: its WebSockets can fail in ways that leave a connection for ever."""

    over = False

    async def protocol_send(self, event: Event) -> None:
        """Shielded: Quart cancels a request's task while its end is told here, and the connection would stay open.

        Once nothing more can be read, no idle time begins: the connection would outlive its client by it.
        """
        if not (self.over and isinstance(event, Updated)):
            with trio.CancelScope(shield=True):
                await super().protocol_send(event)

    async def _read_data(self) -> None:
        speaker = self.protocol.protocol
        if isinstance(speaker, H11Protocol):
            speaker.connection = _Http1(speaker.client, self.config.h11_max_incomplete_size)
        await super()._read_data()
        self.over = True
        await self.idle_task.stop()


class _Http1(h11.Connection):
    """Ignores proposals to speak another protocol, as a server may (RFC 9110 section 7.8), and logs what is no HTTP."""

    def __init__(self, client: tuple[str, int] | None, head_bytes_max: int) -> None:
        super().__init__(h11.SERVER, max_incomplete_event_size=head_bytes_max)
        self.address = client[0] if client else ""
        self.head_bytes_max = head_bytes_max

    def next_event(self) -> Any:
        if self.their_state is h11.ERROR:
            return super().next_event()
        try:
            return self._next_event()
        except h11.RemoteProtocolError as error:
            status = error.error_status_hint
            log.info("http request unreadable", address=self.address, reason=str(error), status=status)
            raise

    def _next_event(self) -> Any:
        event = super().next_event()
        if not isinstance(event, h11.Request):
            return event
        if sum(len(name) + len(value) for name, value in event.headers) + len(event.target) > self.head_bytes_max:
            # h11 itself only bounds a head that arrives in pieces
            raise h11.RemoteProtocolError("the head is too long", error_status_hint=431)
        if event.http_version > b"1.1":
            raise h11.RemoteProtocolError("only HTTP/1.0 and HTTP/1.1 are spoken here", error_status_hint=505)
        headers = [(name, value) for name, value in event.headers if name != b"upgrade"]
        return h11.Request(method=event.method, target=event.target, headers=headers, http_version=event.http_version)


class _Gate:
    """What Hypercorn calls for a request: passes on to the app what it can take."""

    def __init__(self, app: ASGIFramework, tls: trio.SSLStream[_TimedStream] | None = None) -> None:
        self.app = app
        self.tls = tls

    async def __call__(self, scope: Any, receive: Any, send: Any, sync_spawn: Any, call_soon: Any) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _http(self, scope: HTTPScope, receive: Any, send: Any) -> None:
        path = _path_of_target(scope["path"])
        if path is None:
            log.info("http request unreadable", reason="its target names no path", status=400)
            await _answer_bare(send, 400)
            return
        if self.tls is not None:
            scope["extensions"]["tls"] = {"client_cert_chain": _client_certificates(self.tls)}
        scope["path"] = path
        await self.app(scope, receive, send)


def _path_of_target(target: str) -> str | None:
    """The path that a request asks for (RFC 9112 section 3.2: origin or absolute form), None where it names none."""
    if target.startswith("/"):
        return target
    try:
        absolute = urlsplit(target)
    except ValueError:
        return None
    return absolute.path or "/" if absolute.scheme in ("http", "https") else None


async def _answer_bare(send: Any, status: int) -> None:
    headers = [(b"content-length", b"0"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _client_certificates(tls: trio.SSLStream[_TimedStream]) -> list[str]:
    """The client's own certificate as PEM, empty when it gave none."""
    der = tls.getpeercert(binary_form=True)
    return [ssl.DER_cert_to_PEM_cert(der)] if der else []


def _hypercorn_config(limits: HttpLimits) -> Config:
    config = Config()
    config.logger_class = _HypercornLog
    config.include_server_header = False
    config.ssl_handshake_timeout = limits.handshake_timeout_s
    config.keep_alive_timeout = limits.head_timeout_s
    config.h11_max_incomplete_size = limits.head_bytes_max
    return config


class _HypercornLog(Logger):
    """Hypercorn's log, written by structlog: no access lines, only what went wrong."""

    def __init__(self, config: Config) -> None:
        self.access_logger = None
        self.error_logger = None

    async def warning(self, message: str, *args: Any, **kwargs: Any) -> None:
        log.warning(message, *args, **kwargs)

    async def exception(self, message: str, *args: Any, **kwargs: Any) -> None:
        log.exception(message, *args, **kwargs)
