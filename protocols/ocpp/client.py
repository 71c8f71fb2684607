"""The station's own end: a WebSocket client on trio-websocket, for simulated stations.

Nothing of the server's transport is used here, so that both ends of a test are different code.
"""

from __future__ import annotations

import base64
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import structlog
import trio
from trio_websocket import (
    ConnectionClosed,
    ConnectionRejected,
    DisconnectionTimeout,
    HandshakeError,
    WebSocketConnection,
    open_websocket_url,
)

from protocols.ocpp.dialect import Dialect
from protocols.ocpp.frames import CallError, CallResult
from protocols.ocpp.limits import Limits
from protocols.ocpp.rpc import NoAnswer, NothingSent, RpcPeer
from protocols.ocpp.v16 import V16
from statecharts.station_vocabulary import ReportAnswer, StationCommand, StationReport


class ConnectionRefused(ConnectionError):
    """The central system turned the station down before a WebSocket was there; `status` is its HTTP answer."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class ReportRefused(TimeoutError):
    """The central system answered a report with a CALLERROR.

    To a station that is as good as no answer (OCPP 1.6, 3.7.1): it may send the report again.
    """

    def __init__(self, code: str, description: str) -> None:
        super().__init__(f"{code}: {description}")
        self.code, self.description = code, description


class ClientTransport:
    """A trio-websocket connection as a transport of messages."""

    def __init__(self, socket: WebSocketConnection, limits: Limits) -> None:
        self._socket, self._limits = socket, limits

    async def recv(self) -> bytes | None:
        try:
            message = await self._socket.get_message()
        except ConnectionClosed:
            return None
        return message.encode() if isinstance(message, str) else message

    async def send(self, data: bytes) -> None:
        if self._socket.closed:
            raise NothingSent("the connection is closed")
        try:
            await self._socket.send_message(data.decode())
        except ConnectionClosed as error:
            raise ConnectionError("the connection is gone") from error

    async def close(self, code: int, reason: str) -> None:
        with trio.move_on_after(self._limits.close_timeout_s):
            await self._socket.aclose(code, reason)


class Command:
    """A command of the central system, waiting for its answer: an `IncomingCommand`."""

    def __init__(self, command: StationCommand, action: str, dialect: Dialect) -> None:
        self._command, self._action, self._dialect = command, action, dialect
        self._payload = b""
        self._answered = trio.Event()

    def __repr__(self) -> str:
        return f"<Command {self._command} {'answered' if self._answered.is_set() else 'waiting'}>"

    @property
    def command(self) -> StationCommand:
        return self._command

    async def answer(self, status: str, data: Mapping[str, Any] | None = None) -> None:
        """Answers; GetConfiguration has fields only. Raises msgspec.ValidationError for what its schema forbids."""
        self._payload = self._dialect.commands.write_answer(self._action, (status, data or {}))
        self._answered.set()
        await trio.lowlevel.checkpoint()

    async def payload(self) -> bytes:
        await self._answered.wait()
        return self._payload


class StationEnd:
    """The `CentralSystem` a simulated station speaks through."""

    def __init__(self, transport: ClientTransport, *, dialect: Dialect, epoch: str, limits: Limits, log: Any) -> None:
        self._dialect, self._log = dialect, log
        self._rpc = RpcPeer(transport, epoch=epoch, handler=self._handle, limits=limits, log=log)
        self._arrived, self._commands = trio.open_memory_channel[Command](0)

    def __repr__(self) -> str:
        return f"<StationEnd {self._rpc!r}>"

    async def call(self, report: StationReport) -> ReportAnswer:
        """The answer to a report. Raises `ReportRefused` for a CALLERROR, beside what `CentralSystem` says."""
        action = self._dialect.reports.action_of(report)
        end = await self._rpc.call(action, self._dialect.reports.write_request(report))
        if isinstance(end, CallResult):
            return self._dialect.reports.read_answer(action, bytes(end.payload), self._note_tolerated)
        if isinstance(end, CallError):
            raise ReportRefused(end.code, end.description)
        if isinstance(end, NoAnswer) and end.timed_out:
            raise TimeoutError(end.cause)
        raise ConnectionError(end.cause)

    async def next_command(self) -> Command:
        try:
            return await self._commands.receive()
        except (trio.EndOfChannel, trio.ClosedResourceError):
            raise ConnectionError("the connection ended") from None

    async def aclose(self) -> None:
        await self._rpc.close(1000, "")

    async def run(self) -> None:
        with self._arrived:
            await self._rpc.run()

    async def _handle(self, action: str, payload: bytes) -> bytes:
        command = Command(
            self._dialect.commands.read_request(action, payload, self._note_tolerated), action, self._dialect
        )
        await self._arrived.send(command)
        return await command.payload()

    def _note_tolerated(self, what: str) -> None:
        self._log.warning("ocpp.tolerated", what=what)


@asynccontextmanager
async def open_central_system(
    url: str,
    identity: str,
    password: bytes | None,
    *,
    epoch: str,
    limits: Limits | None = None,
    ssl_context: ssl.SSLContext | None = None,
) -> AsyncIterator[StationEnd]:
    """A live connection to the central system at `url` ("ws://host:9000/ocpp"), closed at the end of the block.

    `identity` is percent-encoded and appended to the URL (OCPP-J 1.6, 3.1.1); `epoch` as in `RpcPeer`. Raises OSError
    when there is no connection to be had, `ConnectionRefused` with the HTTP status where there is one. Heartbeats are
    the caller's business.
    """
    limits = limits or Limits()
    log = structlog.get_logger().bind(station_end=identity)
    failure: Exception | None = None
    async with _open_socket(
        _address_of(url, identity), _credentials(identity, password), limits, ssl_context
    ) as socket:
        end = StationEnd(ClientTransport(socket, limits), dialect=V16, epoch=epoch, limits=limits, log=log)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(end.run)
            try:
                yield end
            except Exception as error:
                # Carried around the nursery, so that it reaches the caller as itself and not in a group.
                failure = error
            await end.aclose()
            nursery.cancel_scope.cancel()
    if failure:
        raise failure


def _address_of(url: str, identity: str) -> str:
    return f"{url.rstrip('/')}/{quote(identity, safe='')}"


def _credentials(identity: str, password: bytes | None) -> list[tuple[bytes, bytes]]:
    """The Basic Authorization header; the password as it is, any bytes (OCPP-J 1.6, 6.2.2)."""
    if password is None:
        return []
    return [(b"Authorization", b"Basic " + base64.b64encode(identity.encode() + b":" + password))]


@asynccontextmanager
async def _open_socket(
    url: str, headers: list[tuple[bytes, bytes]], limits: Limits, ssl_context: ssl.SSLContext | None
) -> AsyncIterator[WebSocketConnection]:
    """A WebSocket to this URL; what trio-websocket raises on the way there becomes a `ConnectionRefused`."""
    opening = open_websocket_url(
        url,
        ssl_context,
        subprotocols=[V16.subprotocol],
        extra_headers=headers,
        max_message_size=limits.frame_bytes_max,
        connect_timeout=limits.handshake_timeout_s,
        disconnect_timeout=limits.close_timeout_s,
    )
    try:
        async with opening as socket:
            yield socket
    except ConnectionRejected as error:
        raise ConnectionRefused(f"{url} answered HTTP {error.status_code}", error.status_code) from error
    except DisconnectionTimeout:
        return
    except HandshakeError as error:
        raise ConnectionRefused(f"no connection to {url}: {error.__cause__ or type(error).__name__}") from error
