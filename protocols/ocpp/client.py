"""The station's own end: a WebSocket client on trio-websocket, for simulated stations.

Nothing of the server's transport is used here, so that both ends of a test are different code.
"""

from __future__ import annotations

import base64
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from typing import Any, Protocol
from urllib.parse import SplitResult, quote, urlsplit

import structlog
import trio
from ocpp import exceptions as ocpp
from trio_websocket import ConnectionClosed, ConnectionRejected, WebSocketConnection, wrap_client_stream

from protocols.ocpp.dialect import Dialect
from protocols.ocpp.frames import CallError, CallResult
from protocols.ocpp.limits import Limits
from protocols.ocpp.odd_transport import OddTransport
from protocols.ocpp.rpc import NoAnswer, RpcPeer
from protocols.ocpp.transport import NothingSent, Transport
from protocols.ocpp.v16 import V16
from protocols.ocpp.versions import spoken
from statecharts.promises import Promise
from statecharts.simulated_equipment import StationPlan
from statecharts.station_commands import StationCommand
from statecharts.station_reports import ReportAnswer, StationReport
from statecharts.vocabulary import Acknowledgement


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


class StationTransport(Transport, Protocol):
    """What carries a station's messages."""

    async def run(self) -> None:
        """Sends what is posted, in order, until `close`; then closes the connection."""


class ClientTransport:
    """A trio-websocket connection as a transport of messages; `run` sends them."""

    def __init__(self, socket: WebSocketConnection, limits: Limits) -> None:
        self._socket, self._limits = socket, limits
        self._to_send, self._sending = trio.open_memory_channel[bytes](limits.incoming_calls_max + 1)
        self._good_bye = 1000, ""

    async def run(self) -> None:
        """Sends what is posted, in order, until `close`; then closes the connection."""
        with suppress(ConnectionClosed):
            async for data in self._sending:
                await self._socket.send_message(data.decode())
        with trio.move_on_after(self._limits.close_timeout_s):
            await self._socket.aclose(*self._good_bye)

    async def recv(self) -> bytes | None:
        try:
            message = await self._socket.get_message()
        except ConnectionClosed:
            return None
        return message.encode() if isinstance(message, str) else message

    def post(self, data: bytes) -> None:
        if self._socket.closed:
            raise NothingSent("the connection is closed")
        try:
            self._to_send.send_nowait(data)
        except trio.ClosedResourceError:
            raise NothingSent("the connection is closed") from None
        except trio.WouldBlock:
            raise NothingSent("the central system does not read") from None

    def close(self, code: int, reason: str) -> None:
        self._good_bye = code, reason
        self._to_send.close()


class Command:
    """A command of the central system, waiting for its answer: an `IncomingCommand`."""

    def __init__(self, command: StationCommand, action: str, dialect: Dialect) -> None:
        self._command, self._action, self._dialect = command, action, dialect
        self.answered: Promise[bytes] = Promise()

    def __repr__(self) -> str:
        return f"<Command {self._command} {'answered' if self.answered.settled else 'waiting'}>"

    @property
    def command(self) -> StationCommand:
        return self._command

    async def answer(self, status: str, data: Mapping[str, Any] | None = None) -> None:
        """Answers; GetConfiguration has fields only. Raises msgspec.ValidationError for what its schema forbids."""
        self.answered.set(self._dialect.commands.write_answer(self._action, (status, data or {})))
        await trio.lowlevel.checkpoint()

    async def refuse(self) -> None:
        """Answers with a CALLERROR: the action is known here, and not done."""
        self.answered.fail(ocpp.NotSupportedError(f"{self._action} is not supported"))
        await trio.lowlevel.checkpoint()


class StationEnd:
    """The `CentralSystem` a simulated station speaks through."""

    def __init__(self, transport: StationTransport, *, dialect: Dialect, epoch: str, limits: Limits, log: Any) -> None:
        self._transport, self._dialect, self._limits, self._log = transport, dialect, limits, log
        self._arrived, self._commands = trio.open_memory_channel[Command](limits.incoming_calls_max)
        self._closed = trio.Event()
        # Whoever waits for commands learns of the end at once, not when the last one is answered.
        ended = self._arrived.close
        self._rpc = RpcPeer(
            transport,
            epoch=epoch,
            handler=self._handle,
            limits=limits,
            framing=dialect.framing,
            log=log,
            ended=ended,
        )

    def __repr__(self) -> str:
        return f"<StationEnd {self._rpc!r}>"

    async def call(self, report: StationReport) -> ReportAnswer:
        """The answer to a report. Raises `ReportRefused` for a CALLERROR, beside what `CentralSystem` says."""
        action = self._dialect.reports.action_of(report)
        payload = self._dialect.reports.write_request(report)
        if not self._dialect.reports.is_answered(action):
            return self._tell(action, payload)
        end = await self._rpc.call(action, payload)
        if isinstance(end, CallResult):
            return self._dialect.reports.read_answer(action, bytes(end.payload), self._note_tolerated)
        if isinstance(end, CallError):
            raise ReportRefused(end.code, end.description)
        if isinstance(end, NoAnswer) and end.timed_out:
            raise TimeoutError(end.cause)
        raise ConnectionError(end.cause)

    def _tell(self, action: str, payload: bytes) -> ReportAnswer:
        failed = self._rpc.send(action, payload)
        if failed is not None:
            raise ConnectionError(failed.cause)
        return Acknowledgement()

    async def next_command(self) -> Command:
        try:
            return await self._commands.receive()
        except (trio.EndOfChannel, trio.ClosedResourceError):
            raise ConnectionError("the connection ended") from None

    async def aclose(self) -> None:
        self._rpc.close(1000, "")
        await self._closed.wait()

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._send)
            nursery.start_soon(self._expire)
            await self._rpc.run()
            self._transport.close(1000, "")
            await self._closed.wait()
            nursery.cancel_scope.cancel()

    async def _send(self) -> None:
        try:
            await self._transport.run()
        finally:
            self._closed.set()

    async def _expire(self) -> None:
        while True:
            await trio.sleep(self._limits.handler_timeout_s / 2)
            self._rpc.expire(trio.current_time())

    def _handle(self, action: str, payload: bytes) -> Promise[bytes]:
        request = self._dialect.commands.read_request(action, payload, self._note_tolerated)
        command = Command(request, action, self._dialect)
        self._arrived.send_nowait(command)
        return command.answered

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
    stream: trio.abc.Stream | None = None,
    dialect: Dialect = V16,
    carried_by: Callable[[StationTransport], StationTransport] = lambda transport: transport,
) -> AsyncIterator[StationEnd]:
    """A live connection to the central system at `url` ("ws://host:9000/ocpp"), closed at the end of the block.

    `identity` is percent-encoded and appended to the URL (OCPP-J 1.6, 3.1.1); `epoch` as in `RpcPeer`; `stream` takes
    the place of a TCP connection, as in a simulation, where `carried_by` may stand between the WebSocket and the calls
    on it; `dialect` is the version it speaks. Raises OSError when there is no connection to be had,
    `ConnectionRefused` with the HTTP status where there is one. Heartbeats are the caller's business.
    """
    limits = limits or Limits()
    address = urlsplit(f"{url.rstrip('/')}/{quote(identity, safe='')}")
    log = structlog.get_logger().bind(station_end=identity)
    stream = stream or await _open_stream(address, ssl_context, limits)
    # Failures are carried around the nursery, so that they reach the caller as themselves and not in a group.
    failure: Exception | None = None
    try:
        async with trio.open_nursery() as nursery:
            try:
                socket = await _shake_hands(nursery, stream, address, _credentials(identity, password), limits, dialect)
                transport = carried_by(ClientTransport(socket, limits))
                end = StationEnd(transport, dialect=dialect, epoch=epoch, limits=limits, log=log)
                nursery.start_soon(end.run)
                try:
                    yield end
                finally:
                    await end.aclose()
            except Exception as error:
                failure = error
            nursery.cancel_scope.cancel()
    except* ConnectionRejected as rejections:
        failure = _refusal(rejections)
    finally:
        await trio.aclose_forcefully(stream)
    if failure:
        raise failure


class Dialling:
    """How a simulated station connects, in the version that it speaks; each connection has an epoch of its own."""

    def __init__(self, plan: StationPlan, epochs: Callable[[], str]) -> None:
        self._plan, self._epochs = plan, epochs
        self._password = plan.password.encode() if plan.password is not None else None

    def __call__(self) -> AbstractAsyncContextManager[StationEnd]:
        plan = self._plan
        connect = partial(open_central_system, plan.url, plan.identity, self._password, epoch=self._epochs())
        if plan.odd:
            connect = partial(connect, carried_by=lambda transport: OddTransport(transport, plan.odd))
        return connect(dialect=spoken(plan.ocpp_version))

    def rekey(self, password: bytes) -> None:
        """From the next connection on it shows this password; another process begins with the old one again."""
        self._password = password


def _credentials(identity: str, password: bytes | None) -> list[tuple[bytes, bytes]]:
    """The Basic Authorization header; the password as it is, any bytes (OCPP-J 1.6, 6.2.2)."""
    if password is None:
        return []
    return [(b"Authorization", b"Basic " + base64.b64encode(identity.encode() + b":" + password))]


async def _open_stream(address: SplitResult, ssl_context: ssl.SSLContext | None, limits: Limits) -> trio.abc.Stream:
    secure = address.scheme == "wss"
    host, port = address.hostname or "", address.port or (443 if secure else 80)
    with trio.move_on_after(limits.handshake_timeout_s):
        if not secure:
            return await trio.open_tcp_stream(host, port)
        stream = await trio.open_ssl_over_tcp_stream(host, port, ssl_context=ssl_context, https_compatible=True)
        try:
            await stream.do_handshake()
        except trio.BrokenResourceError as error:
            await trio.aclose_forcefully(stream)
            raise ConnectionRefused(f"no TLS with {address.netloc}: {error.__cause__ or error}") from error
        return stream
    raise ConnectionRefused(f"no connection to {address.netloc} within {limits.handshake_timeout_s:g} s")


async def _shake_hands(
    nursery: trio.Nursery,
    stream: Any,
    address: SplitResult,
    headers: list[tuple[bytes, bytes]],
    limits: Limits,
    dialect: Dialect,
) -> WebSocketConnection:
    """The WebSocket; a refusal by HTTP is raised in the nursery, where trio-websocket's reader works."""
    with trio.move_on_after(limits.handshake_timeout_s):
        return await wrap_client_stream(
            nursery,
            stream,
            address.netloc,
            address.path,
            subprotocols=[dialect.subprotocol],
            extra_headers=headers,
            max_message_size=limits.frame_bytes_max,
        )
    raise ConnectionRefused(f"{address.netloc} opened no WebSocket within {limits.handshake_timeout_s:g} s")


def _refusal(rejections: BaseExceptionGroup[ConnectionRejected]) -> ConnectionRefused:
    (rejected,) = (error for error in rejections.exceptions if isinstance(error, ConnectionRejected))
    return ConnectionRefused(f"the central system answered HTTP {rejected.status_code}", rejected.status_code)
