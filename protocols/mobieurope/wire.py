"""HTTP/1.1 to a partner: POSTs over connections that are kept, on h11 and bare trio streams.

A call between operators costs a few milliseconds in all, of which a general HTTP client takes half: cookies, redirects,
authentication flows, an event loop to choose. None of that is wanted here (docs/performance.md).
"""

from __future__ import annotations

import math
import socket
import ssl
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit, urlunsplit

import certifi
import h11
import trio
from werkzeug.http import parse_options_header

from statecharts.bounds import PEER_CONNECTIONS, Watermarks
from statecharts.limits import PEER_ADDRESSES_KEPT, PEER_ANSWER

# Below the 5 s after which Hypercorn and others close: a request must not cross with the end of its connection
IDLE_CONNECTION_S = 3.0

_RECEIVE_BYTES = 65_536
_PORTS = {"http": 80, "https": 443}


class NoExchange(Exception):
    """No answer was had; nobody knows how far the request got. The text is for apps and operators, the cause beside it
    for the log, and `kind` for programs.
    """

    kind = "broken"


class Unreachable(NoExchange):
    """There is no connection, so that nothing was sent."""

    def __init__(self, reason: str, kind: str = "no-connection") -> None:
        super().__init__(reason)
        self.kind = kind


class HttpAnswer(NamedTuple):
    """`body` is None where it was not wanted, is longer than `limits.PEER_ANSWER`, or broke off."""

    status: int
    headers: dict[str, str]
    body: bytes | None

    @property
    def charset(self) -> str | None:
        """The character set that the Content-Type names."""
        return _charset(self.headers.get("content-type", ""))


class Http(Protocol):
    """What carries our requests. `certificate_until` is when the certificate ends that was shown to us last."""

    certificate_until: datetime | None

    async def post(self, url: str, headers: Mapping[str, str], content: bytes, wanted: Collection[int]) -> HttpAnswer:
        """The answer to a POST, its body only where its status is among the `wanted`. Raises `NoExchange`."""

    async def aclose(self) -> None: ...


class _Place(NamedTuple):
    """What a connection leads to."""

    secure: bool
    host: str
    port: int


class _Address(NamedTuple):
    """Where a URL leads; `authority` is what the Host header says."""

    place: _Place
    authority: str
    target: str


Connect = Callable[[str, int], Awaitable[trio.SocketStream]]
"""Connects to a port of a host. Raises OSError, or `Unreachable` with its reason."""


class HttpConnections:
    """Connections to a partner, as many at once as `bounds.PEER_CONNECTIONS`; further requests wait. An `Http`.

    `tls` is whose certificates are believed and which is shown; None stands for the public authorities. `connect` is
    for who wants a say in what is connected to. Deadlines are the caller's. Redirects are not followed and proxies of
    the environment not used.
    """

    def __init__(
        self, watermarks: Watermarks, tls: ssl.SSLContext | None = None, connect: Connect | None = None
    ) -> None:
        self._watermarks, self._tls, self._connect = watermarks, tls, connect
        self.certificate_until: datetime | None = None
        self._free = trio.Semaphore(PEER_CONNECTIONS.limit)
        self._kept: defaultdict[_Place, list[_Connection]] = defaultdict(list)

    async def post(self, url: str, headers: Mapping[str, str], content: bytes, wanted: Collection[int]) -> HttpAnswer:
        address = _address(url)
        async with self._free:
            self._watermarks.saw(PEER_CONNECTIONS, PEER_CONNECTIONS.limit - self._free.value)
            connection = await self._connection(address.place)
            try:
                answer = await connection.post(address, headers, content, wanted)
            except BaseException:
                await connection.aclose()
                raise
            await self._keep(address.place, connection)
            return answer

    async def aclose(self) -> None:
        for kept in self._kept.values():
            while kept:
                await kept.pop().aclose()

    async def _connection(self, place: _Place) -> _Connection:
        """One that was kept and is still good, else a new one."""
        kept = self._kept[place]
        while kept:
            connection = kept.pop()
            if connection.is_fresh and connection.is_quiet:
                return connection
            await connection.aclose()
        return await self._open(place)

    async def _keep(self, place: _Place, connection: _Connection) -> None:
        """Keeps a connection for the next request, if this one has left it fit for that; lets go of stale ones."""
        kept = self._kept[place]
        if connection.can_go_on:
            kept.append(connection)
        else:
            await connection.aclose()
        while kept and not kept[0].is_fresh:
            await kept.pop(0).aclose()

    async def _open(self, place: _Place) -> _Connection:
        try:
            stream = await (self._connect or trio.open_tcp_stream)(place.host, place.port)
            secured = await self._secured(stream, place.host) if place.secure else stream
        except (OSError, ValueError, trio.BrokenResourceError) as error:  # ValueError: no name that DNS could know
            raise _unreachable(error) from error
        return _Connection(secured, stream.socket)

    async def _secured(self, stream: trio.SocketStream, host: str) -> trio.abc.Stream:
        secured: trio.SSLStream[trio.SocketStream] = trio.SSLStream(
            stream, self._tls or _public_authorities(), server_hostname=host, https_compatible=True
        )
        try:
            await secured.do_handshake()
        except BaseException:
            await trio.aclose_forcefully(secured)
            raise
        shown: Any = secured.getpeercert()
        self.certificate_until = datetime.fromtimestamp(ssl.cert_time_to_seconds(shown["notAfter"]), UTC)
        return secured


def _unreachable(error: BaseException) -> Unreachable:
    """Why there is no connection, as far as it says what a person can mend."""
    for each in causes(error):
        match each:
            case socket.gaierror():
                return Unreachable("no connection could be made: its name is not known", "name-unknown")
            case ssl.SSLCertVerificationError():
                why = f"its certificate is not believed ({each.verify_message})"
                return Unreachable(f"no connection could be made: {why}", "tls")
            case ssl.SSLError():
                return Unreachable("no connection could be made: TLS was not agreed on", "tls")
            case ConnectionRefusedError():
                return Unreachable("no connection could be made: it was refused", "connection-refused")
    return Unreachable("no connection could be made")


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what led to it; of what trio tried at several addresses the first."""
    while error is not None:
        yield error
        group = isinstance(error, BaseExceptionGroup)
        error = error.exceptions[0] if group else error.__cause__ or error.__context__  # type: ignore[attr-defined]


class _Connection:
    """One connection and the state of HTTP on it."""

    def __init__(self, stream: trio.abc.Stream, socket: trio.socket.SocketType) -> None:
        self._stream, self._socket = stream, socket
        self._http = h11.Connection(h11.CLIENT)
        self._answered_at = -math.inf

    @property
    def is_fresh(self) -> bool:
        return trio.current_time() - self._answered_at < IDLE_CONNECTION_S

    @property
    def is_quiet(self) -> bool:
        """Whether nothing has come since the last answer: neither the connection's end nor what nobody asked for."""
        return not self._socket.is_readable()

    @property
    def can_go_on(self) -> bool:
        """Whether the last answer was read to its end, nothing came behind it, and neither side means to close."""
        http = self._http
        return http.our_state is http.their_state is h11.DONE and http.trailing_data == (b"", False)

    async def post(
        self, address: _Address, headers: Mapping[str, str], content: bytes, wanted: Collection[int]
    ) -> HttpAnswer:
        if self.can_go_on:
            self._http.start_next_cycle()
        with suppress(trio.BrokenResourceError):  # it may have answered before it hung up
            await self._stream.send_all(self._written(address, headers, content))
        head = await self._head()
        answer = HttpAnswer(head.status_code, {k.decode("ascii"): v.decode("latin-1") for k, v in head.headers}, None)
        if answer.status in wanted:
            answer = answer._replace(body=await self._body())
        self._answered_at = trio.current_time()
        return answer

    async def aclose(self) -> None:
        """Closes at once: an end of TLS that the other side waits for is worth no time."""
        await trio.aclose_forcefully(self._stream)

    def _written(self, address: _Address, headers: Mapping[str, str], content: bytes) -> bytes:
        fields = [("Host", address.authority), ("Content-Length", str(len(content))), *headers.items()]
        request = h11.Request(method="POST", target=address.target, headers=fields)
        parts = (self._http.send(request), self._http.send(h11.Data(content)), self._http.send(h11.EndOfMessage()))
        return b"".join(part or b"" for part in parts)

    async def _head(self) -> h11.Response:
        while not isinstance(event := await self._event(), h11.Response):
            pass  # 100 Continue and other news that mean nothing to us
        return event

    async def _body(self) -> bytes | None:
        body = bytearray()
        try:
            while isinstance(event := await self._event(), h11.Data):
                body += event.data
                if len(body) > PEER_ANSWER.limit:
                    return None
        except NoExchange:
            return None
        return bytes(body)

    async def _event(self) -> h11.Event:
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                received = await self._stream.receive_some(_RECEIVE_BYTES)
                if not received and self._http.their_state is h11.SEND_RESPONSE:
                    raise NoExchange("the connection broke")
                self._http.receive_data(bytes(received))
        except h11.RemoteProtocolError as error:
            raise NoExchange("what came back is no HTTP") from error
        except trio.BrokenResourceError as error:
            raise NoExchange("the connection broke") from error
        assert isinstance(event, h11.Event), "the answer is read once, to its end"
        return event


@cache
def _public_authorities() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certifi.where())


@lru_cache(PEER_ADDRESSES_KEPT.limit)
def _address(url: str) -> _Address:
    """Raises `Unreachable` for what is no URL of HTTP."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError) as error:
        raise Unreachable("its address is no http or https URL") from error
    if not host:
        raise Unreachable("its address names no host")
    target = urlunsplit(("", "", parts.path or "/", parts.query, ""))
    return _Address(_Place(parts.scheme == "https", host, port), parts.netloc.rpartition("@")[2], target)


@lru_cache(PEER_ADDRESSES_KEPT.limit)
def _charset(content_type: str) -> str | None:
    return parse_options_header(content_type)[1].get("charset")
