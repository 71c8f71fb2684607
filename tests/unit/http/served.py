"""An app that is served for tests, with handlers that can be held, and what its clients send and read."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx
import trio
from quart import request
from quart_trio import QuartTrio

from protocols.http import HttpLimits, serve_http
from statecharts.meters import Meters


class Served:
    """A served app: its URL, its address, and the events that its handlers wait for and set."""

    def __init__(self) -> None:
        self.url = ""
        self.draining = trio.Event()
        self.entered = trio.Event()
        self.release = trio.Event()
        self.cancelled = trio.Event()
        self.started = self.stopped = False
        self.meters = Meters()
        self.trust: ssl.SSLContext | bool = True

    async def connect(self, source: str | None = None) -> trio.SocketStream:
        return await trio.open_tcp_stream("127.0.0.1", httpx.URL(self.url).port or 0, local_address=source)

    async def room(self) -> None:
        """Returns once one more connection finds room."""
        with trio.fail_after(5):
            while not await self._has_room():
                pass

    async def _has_room(self) -> bool:
        answer = await self.ask(b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return answer.startswith(b"HTTP/1.1 200 ")

    async def ask(self, raw: bytes) -> bytes:
        """Sends these bytes on a connection of their own and returns all that comes back."""
        async with await self.connect() as stream:
            with trio.fail_after(5):
                await stream.send_all(raw)
                return await everything(stream)


async def everything(stream: trio.abc.ReceiveStream) -> bytes:
    answer = b""
    try:
        async for chunk in stream:
            answer += chunk
    except trio.BrokenResourceError:
        pass
    return answer


def app_of(served: Served, body_timeout_s: float = 5) -> QuartTrio:
    app = QuartTrio(__name__)
    app.config.update(BODY_TIMEOUT=body_timeout_s)

    @app.before_serving
    async def _start() -> None:
        served.started = True

    @app.after_serving
    async def _stop() -> None:
        served.stopped = True

    @app.get("/hello")
    async def _hello() -> str:
        return "hello"

    @app.post("/unread")
    async def _unread() -> tuple[str, int]:
        return "no", 401

    @app.post("/body")
    async def _body() -> str:
        return str(len(await request.get_data()))

    @app.get("/certificate")
    async def _certificate() -> dict[str, Any]:
        extension: dict[str, Any] = dict(request.scope["extensions"])["tls"]
        return extension

    _add_held(app, served)
    return app


def _add_held(app: QuartTrio, served: Served) -> None:
    """Routes that last until something happens."""

    @app.get("/slow")
    async def _slow() -> str:
        served.entered.set()
        try:
            await served.release.wait()
        except trio.Cancelled:
            served.cancelled.set()
            raise
        return "done"

    @app.get("/long")
    async def _long() -> bytes:
        return bytes(1_000_000)

    @app.get("/big")
    async def _big() -> bytes:
        served.entered.set()
        return bytes(50_000_000)

    @app.get("/cut")
    async def _cut() -> AsyncIterator[bytes]:
        yield b"some of it"
        raise ValueError("no more of it")


@asynccontextmanager
async def serving(
    limits: HttpLimits | None = None, tls: ssl.SSLContext | None = None, *, body_timeout_s: float = 5
) -> AsyncIterator[Served]:
    served = Served()
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        app, draining, meters = app_of(served, body_timeout_s), served.draining, served.meters
        serve = partial(serve_http, app, listeners, draining=draining, limits=limits, tls=tls, meters=meters)
        [served.url] = await nursery.start(serve)
        yield served
        served.release.set()
        served.draining.set()


async def is_alive(served: Served, source: str | None = None) -> bool:
    """Whether a client, perhaps of another address, is served."""
    transport = httpx.AsyncHTTPTransport(local_address=source, verify=served.trust)
    async with httpx.AsyncClient(transport=transport) as client:
        return (await client.get(f"{served.url}/hello")).text == "hello"
