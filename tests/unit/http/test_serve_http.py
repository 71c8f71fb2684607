"""What the serve loop grants clients and what it survives, over real loopback sockets."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx
import pytest
import trio
import trustme
from quart import request
from quart_trio import QuartTrio
from structlog.testing import capture_logs

from protocols.http import HttpLimits, serve_http


class Served:
    """A served app: its URL, its address, and the events that its handlers wait for and set."""

    def __init__(self) -> None:
        self.url = ""
        self.draining = trio.Event()
        self.entered = trio.Event()
        self.release = trio.Event()
        self.cancelled = trio.Event()
        self.started = self.stopped = False

    async def connect(self) -> trio.SocketStream:
        return await trio.open_tcp_stream("127.0.0.1", httpx.URL(self.url).port or 0)

    async def ask(self, raw: bytes) -> bytes:
        """Sends these bytes on a connection of their own and returns all that comes back."""
        async with await self.connect() as stream:
            with trio.fail_after(5):
                await stream.send_all(raw)
                return await _everything(stream)


async def _everything(stream: trio.abc.ReceiveStream) -> bytes:
    answer = b""
    try:
        async for chunk in stream:
            answer += chunk
    except trio.BrokenResourceError:
        pass
    return answer


def _app(served: Served) -> QuartTrio:
    app = QuartTrio(__name__)

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

    @app.get("/slow")
    async def _slow() -> str:
        served.entered.set()
        try:
            await served.release.wait()
        except trio.Cancelled:
            served.cancelled.set()
            raise
        return "done"

    @app.get("/big")
    async def _big() -> bytes:
        served.entered.set()
        return bytes(50_000_000)

    @app.get("/certificate")
    async def _certificate() -> dict[str, Any]:
        extension: dict[str, Any] = dict(request.scope["extensions"])["tls"]
        return extension

    return app


@asynccontextmanager
async def serving(limits: HttpLimits | None = None, tls: ssl.SSLContext | None = None) -> AsyncIterator[Served]:
    served = Served()
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        serve = partial(serve_http, _app(served), listeners, draining=served.draining, limits=limits, tls=tls)
        [served.url] = await nursery.start(serve)
        yield served
        served.release.set()
        served.draining.set()


async def _is_alive(served: Served) -> bool:
    async with httpx.AsyncClient() as client:
        return (await client.get(f"{served.url}/hello")).text == "hello"


KILLERS = {
    "websocket upgrade with bytes behind the head": (
        b"GET /hello HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x81\x05hello"
    ),
    "websocket upgrade without a key": (
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nxx"
    ),
    "h2c upgrade with rubbish behind": (
        b"GET /hello HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        b"HTTP2-Settings: !!!\r\n\r\nrubbish"
    ),
    "HTTP/2 preface and rubbish": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nrubbish rubbish rubbish",
    "rubbish": b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
    "no host": b"GET /hello HTTP/1.1\r\n\r\n",
    "two lengths": b"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nabc",
    "endless head": b"GET /hello HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 40_000,
    "asterisk form": b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "unparsable absolute form": b"GET http://[ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "query without a path": b"GET ?a=b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "body of a thousand chunks that nobody reads": (
        b"POST /unread HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        + b"1\r\na\r\n" * 1000
        + b"0\r\n\r\n"
    ),
    "bad chunk": b"POST /unread HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
}


@pytest.mark.parametrize("raw", KILLERS.values(), ids=KILLERS.keys())
async def test_no_request_ends_the_server(raw: bytes) -> None:
    async with serving(HttpLimits(head_timeout_s=0.2)) as served:
        await served.ask(raw)
        assert await _is_alive(served)


@pytest.mark.parametrize("target", [b"*", b"http://[", b"?a=b", b"ftp://x/hello"])
async def test_a_target_without_a_path_is_answered_400(target: bytes) -> None:
    async with serving() as served:
        answer = await served.ask(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 400 ")


UNREADABLE = {
    "no HTTP": (b"\x16\x03\x01\r\n\r\n", 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "a head too long at once": (b"GET /hello HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20_000 + b"\r\n\r\n", 431),
    "no path": (b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 400),
}


@pytest.mark.parametrize(("raw", "status"), UNREADABLE.values(), ids=UNREADABLE)
async def test_what_is_no_request_is_refused_and_logged_once(raw: bytes, status: int) -> None:
    async with serving() as served:
        with capture_logs() as logs:
            answer = await served.ask(raw)
        assert answer.startswith(b"HTTP/1.1 %d " % status)
        assert [line["status"] for line in logs if line["event"] == "http request unreadable"] == [status]


async def test_the_absolute_form_of_a_target_is_served() -> None:
    async with serving() as served:
        answer = await served.ask(b"GET http://x/hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200 ")


async def test_a_client_that_hangs_up_cancels_its_own_handler_only() -> None:
    async with serving() as served:
        stream = await served.connect()
        await stream.send_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        await served.entered.wait()
        await stream.aclose()
        with trio.fail_after(5):
            await served.cancelled.wait()
        assert await _is_alive(served)


async def test_the_answer_arrives_though_the_body_was_never_read() -> None:
    async with serving() as served, httpx.AsyncClient() as client:
        for _ in range(5):
            response = await client.post(f"{served.url}/unread", content=bytes(3_000_000))
            assert (response.status_code, response.text) == (401, "no")


async def test_an_unfinished_head_is_closed_after_its_time() -> None:
    async with serving(HttpLimits(head_timeout_s=0.1)) as served:
        assert await served.ask(b"GET /hello HTTP/1.1\r\nHost:") == b""


async def test_a_connection_beyond_the_cap_is_turned_away_and_a_freed_place_is_given_again() -> None:
    async with serving(HttpLimits(connections_max=1, head_timeout_s=0.5)) as served:
        first = await served.connect()
        await first.send_all(b"GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        await served.entered.wait()
        async with await served.connect() as second:
            await second.send_eof()
            assert (await _everything(second)).startswith(b"HTTP/1.1 503 ")
        served.release.set()
        assert (await _everything(first)).endswith(b"done")
        await first.aclose()
        with trio.fail_after(5):
            while not await _has_room(served):
                pass


async def test_a_client_that_reads_nothing_is_closed_after_its_time() -> None:
    limits = HttpLimits(connections_max=1, send_timeout_s=0.1)
    async with serving(limits) as served, await served.connect() as stream:
        await stream.send_all(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
        await served.entered.wait()
        with trio.fail_after(5):
            while not await _has_room(served):
                pass


async def _has_room(served: Served) -> bool:
    async with await served.connect() as stream:
        await stream.send_all(b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return (await _everything(stream)).startswith(b"HTTP/1.1 200 ")


async def test_draining_closes_idle_connections_and_finishes_requests_in_flight() -> None:
    async with serving() as served, await served.connect() as idle, await served.connect() as busy:
        await idle.send_all(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await idle.receive_some()).startswith(b"HTTP/1.1 200 ")
        await busy.send_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        await served.entered.wait()
        served.draining.set()
        with trio.fail_after(2):
            await _everything(idle)
            with pytest.raises(OSError):
                while True:
                    await (await served.connect()).aclose()
            served.release.set()
            assert (await _everything(busy)).endswith(b"done")
    assert served.started
    assert served.stopped


async def test_a_request_that_outlasts_the_drain_is_cut_off() -> None:
    async with serving(HttpLimits(drain_timeout_s=0.1)) as served, await served.connect() as busy:
        await busy.send_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        await served.entered.wait()
        served.draining.set()
        with trio.fail_after(2):
            assert await _everything(busy) == b""
            await served.cancelled.wait()


async def test_a_client_that_reads_nothing_does_not_hold_up_the_drain() -> None:
    with trio.fail_after(5):
        async with serving(HttpLimits(drain_timeout_s=0.1, send_timeout_s=60)) as served:
            stream = await served.connect()
            await stream.send_all(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
            await served.entered.wait()
    await stream.aclose()


async def test_cancelling_the_server_does_not_wait_for_a_client_that_reads_nothing() -> None:
    served = Served()
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            [served.url] = await nursery.start(partial(serve_http, _app(served), listeners, draining=served.draining))
            stream = await served.connect()
            await stream.send_all(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
            await served.entered.wait()
            nursery.cancel_scope.cancel()
    await stream.aclose()


def _tls(authority: trustme.CA) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The contexts of a server that asks for a client certificate, and of a client that has one."""
    server, client = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(server)
    server.verify_mode = ssl.CERT_OPTIONAL
    authority.configure_trust(client)
    authority.issue_cert("app@example.org").configure_cert(client)
    return server, client


async def test_tls_is_served_and_the_client_certificate_reaches_the_app() -> None:
    server, client = _tls(trustme.CA())
    async with serving(tls=server) as served, httpx.AsyncClient(verify=client) as http:
        assert served.url.startswith("https://")
        chain = (await http.get(f"{served.url}/certificate")).json()["client_cert_chain"]
        assert [pem.startswith("-----BEGIN CERTIFICATE-----") for pem in chain] == [True]


async def test_a_failed_or_missing_tls_handshake_ends_its_own_connection_only() -> None:
    server, client = _tls(trustme.CA())
    async with serving(HttpLimits(handshake_timeout_s=0.1), server) as served:
        await served.ask(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
        await served.ask(b"\x16")
        async with httpx.AsyncClient(verify=client) as http:
            assert (await http.get(f"{served.url}/hello")).text == "hello"
