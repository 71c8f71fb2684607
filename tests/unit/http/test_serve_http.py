"""What the serve loop grants its clients, over real loopback sockets: targets, answers, and an orderly end."""

from __future__ import annotations

from functools import partial

import httpx
import pytest
import trio
from structlog.testing import capture_logs

from protocols.http import BODY_BYTES_MAX, HttpLimits, serve_http
from protocols.http.stream import TimedStream
from tests.unit.http.served import Served, app_of, everything, is_alive, serving


@pytest.mark.parametrize("target", [b"*", b"http://[", b"?a=b", b"ftp://x/hello"])
async def test_a_target_without_a_path_is_answered_400(target: bytes) -> None:
    async with serving() as served:
        answer = await served.ask(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 400 ")


UNREADABLE = {
    "no HTTP": (b"\x16\x03\x01\r\n\r\n", 400),
    "a body of two lengths": (
        b"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
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
        assert [line["status"] for line in logs if line["event"] == "http.request_unreadable"] == [status]


async def test_the_absolute_form_of_a_target_is_served() -> None:
    async with serving() as served:
        answer = await served.ask(b"GET http://x/hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200 ")


async def test_an_answer_of_known_length_is_written_once(monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[bytes] = []

    async def noted(stream: TimedStream, data: bytes) -> None:
        writes.append(bytes(data))
        await send_all(stream, data)

    send_all = TimedStream.send_all
    monkeypatch.setattr(TimedStream, "send_all", noted)
    async with serving() as served:
        answer = await served.ask(b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert writes == [answer]


async def test_a_client_that_hangs_up_cancels_its_own_handler_only() -> None:
    async with serving() as served:
        stream = await served.connect()
        await stream.send_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        await served.entered.wait()
        await stream.aclose()
        with trio.fail_after(5):
            await served.cancelled.wait()
        assert await is_alive(served)


async def test_the_answer_arrives_though_the_body_was_never_read() -> None:
    async with serving() as served, httpx.AsyncClient() as client:
        for _ in range(5):
            response = await client.post(f"{served.url}/unread", content=bytes(3_000_000))
            assert (response.status_code, response.text) == (401, "no")


async def test_an_app_is_given_no_more_of_a_body_than_shows_that_it_is_too_long() -> None:
    promised, sent = b"Content-Length: 9000000\r\nConnection: close\r\n\r\n", bytes(2_000_000)
    async with serving() as served:
        answer = await served.ask(b"POST /body HTTP/1.1\r\nHost: x\r\n" + promised + sent)
    assert BODY_BYTES_MAX < int(answer.rpartition(b"\r\n")[2]) <= BODY_BYTES_MAX + 2**16


async def test_draining_closes_idle_connections_and_finishes_requests_in_flight() -> None:
    async with serving() as served, await served.connect() as idle, await served.connect() as busy:
        await idle.send_all(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await idle.receive_some()).startswith(b"HTTP/1.1 200 ")
        await busy.send_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        await served.entered.wait()
        served.draining.set()
        with trio.fail_after(2):
            await everything(idle)
            with pytest.raises(OSError):
                while True:
                    await (await served.connect()).aclose()
            served.release.set()
            assert (await everything(busy)).endswith(b"done")
    assert served.started
    assert served.stopped


async def test_a_request_that_outlasts_the_drain_is_cut_off() -> None:
    async with serving(HttpLimits(drain_timeout_s=0.1)) as served, await served.connect() as busy:
        await busy.send_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        await served.entered.wait()
        served.draining.set()
        with trio.fail_after(2):
            assert await everything(busy) == b""
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
            [served.url] = await nursery.start(partial(serve_http, app_of(served), listeners, draining=served.draining))
            stream = await served.connect()
            await stream.send_all(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
            await served.entered.wait()
            nursery.cancel_scope.cancel()
    await stream.aclose()


@pytest.mark.parametrize("path", [b"/unread", b"/nowhere"])
async def test_an_answer_before_the_body_was_read_says_that_the_connection_ends(path: bytes) -> None:
    async with serving() as served, await served.connect() as stream:
        await stream.send_all(b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n")
        with trio.fail_after(5):
            head = await stream.receive_some()
        assert b"\r\nconnection: close\r\n" in head.lower()


@pytest.mark.parametrize("path", [b"/unread", b"/nowhere"])
async def test_a_connection_goes_on_after_a_body_that_came_with_its_head(path: bytes) -> None:
    post = b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
    get = b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    async with serving() as served:
        assert b"hello" in await served.ask(post + get)
