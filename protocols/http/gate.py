"""What stands between HTTP and the app: requests that name a path, so many at a time, with the client's identity."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import structlog
import trio
from hypercorn.typing import ASGIFramework, HTTPScope

from protocols.http.certificates import tls_extension
from protocols.http.limits import LONG_BODIES, body_bytes_max
from protocols.http.places import Burst
from protocols.http.stream import TimedStream
from statecharts.bounds import HTTP_BODY, HTTP_LONG_BODIES, HTTP_REQUESTS, Watermarks
from statecharts.meters import Meters

log = structlog.get_logger(__name__)

Send = Callable[[dict[str, Any]], Awaitable[None]]


class Requests:
    """How many requests a server has under way: over HTTP/2 one connection may bring many."""

    def __init__(self, requests_max: int, meters: Meters) -> None:
        self.requests_max = requests_max
        self.under_way = self.with_long_bodies = 0
        self.watermarks = meters.watermarks
        self._meters = meters
        self._burst = Burst()

    def begin(self) -> bool:
        """Whether there is room for one more, which is counted then."""
        if self.under_way >= self.requests_max:
            self._meters.http_refused.add(HTTP_REQUESTS.name)
            if refused := self._burst.count(trio.current_time()):
                log.warning("http.requests_refused", requests_max=self.requests_max, refused=refused)
            return False
        self.under_way += 1
        self.watermarks.saw(HTTP_REQUESTS, self.under_way)
        return True

    def end(self) -> None:
        self.under_way -= 1

    @contextmanager
    def long_body(self) -> Iterator[bool]:
        """Whether there is room for one more body that may be long; it is counted until the block ends."""
        has_room = self.with_long_bodies < HTTP_LONG_BODIES.limit
        self.with_long_bodies += has_room
        self.watermarks.saw(HTTP_LONG_BODIES, self.with_long_bodies)
        if not has_room:
            self._meters.http_refused.add(HTTP_LONG_BODIES.name)
        try:
            yield has_room
        finally:
            self.with_long_bodies -= has_room


class Gate:
    """What Hypercorn calls for a request of one connection: passes on to the app what it can take."""

    def __init__(self, app: ASGIFramework, requests: Requests, tls: trio.SSLStream[TimedStream] | None = None) -> None:
        self.app = app
        self.requests = requests
        self.tls = tls

    async def __call__(self, scope: Any, receive: Any, send: Any, sync_spawn: Any, call_soon: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif not self.requests.begin():
            await _answer_bare(send, 503, (b"retry-after", b"5"))
        else:
            try:
                await self._http(scope, receive, send)
            finally:
                self.requests.end()

    async def _http(self, scope: HTTPScope, receive: Any, send: Any) -> None:
        path = _path_of_target(scope["path"])
        if path is None:
            log.info("http.request_unreadable", reason="its target names no path", status=400)
            await _answer_bare(send, 400)
            return
        # Of what Hypercorn offers over HTTP/2 (push, hints, trailers) nothing is used here.
        scope["extensions"] = {"tls": tls_extension(self.tls)} if self.tls else {}
        scope["path"] = path
        bounded = _BoundedBody(receive, body_bytes_max(path), self.requests.watermarks)
        if path not in LONG_BODIES:
            await self.app(scope, bounded, send)
            return
        with self.requests.long_body() as has_room:
            if has_room:
                await self.app(scope, bounded, send)
            else:
                await _answer_bare(send, 503, (b"retry-after", b"5"))


class _BoundedBody:
    """What an app receives of its client: of a body, no more than shows that it is longer than it may be.

    That piece is the app's last, which refuses the body by its own limit. The rest is read and dropped: Quart, from
    0.23 on, keeps everything that comes, whatever its limit and whether its handler reads it or not.
    """

    def __init__(self, receive: Any, bytes_max: int, watermarks: Watermarks) -> None:
        self._receive, self._bytes_max, self._watermarks = receive, bytes_max, watermarks
        self._bytes = 0

    async def __call__(self) -> Any:
        while True:
            event = await self._receive()
            if event["type"] != "http.request":
                return event
            if self._bytes <= self._bytes_max:
                self._bytes += len(event["body"])
                self._watermarks.saw(HTTP_BODY, min(self._bytes, HTTP_BODY.limit))
                return event | {"more_body": event["more_body"] and self._bytes <= self._bytes_max}


def _path_of_target(target: str) -> str | None:
    """The path that a request asks for (RFC 9112 section 3.2: origin or absolute form), None where it names none."""
    if target.startswith("/"):
        return target
    try:
        absolute = urlsplit(target)
    except ValueError:
        return None
    return absolute.path or "/" if absolute.scheme in ("http", "https") else None


async def _answer_bare(send: Send, status: int, *headers: tuple[bytes, bytes]) -> None:
    every = [(b"content-length", b"0"), (b"connection", b"close"), *headers]
    await send({"type": "http.response.start", "status": status, "headers": every})
    await send({"type": "http.response.body", "body": b""})
