"""A client that costs next to nothing is still one that can be believed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio

from tests.bench.lean import Http

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@asynccontextmanager
async def closing(*answers: bytes) -> AsyncIterator[tuple[Http, list[bytes]]]:
    """A client of a server that closes each connection after one answer, and the requests that have come."""
    came: list[bytes] = []
    left = iter(answers)

    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            came.append(await stream.receive_some(65_536))
            await stream.send_all(next(left))

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        http = await Http.open(listener.socket.getsockname()[1], "secret")
        yield http, came
        await http.aclose()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(("method", "key"), [("GET", ""), ("POST", "k1")])
async def test_what_may_be_made_again_is_where_the_kept_connection_was_closed(method, key):
    async with closing(ANSWER, ANSWER) as (http, came):
        for _ in range(2):
            assert await http.call(method, "/x", key=key) == {}
    assert len(came) == 2
    assert all((b"Idempotency-Key: k1\r\n" in request) == bool(key) for request in came)


async def test_what_may_have_been_done_is_not_made_again():
    async with closing(ANSWER, ANSWER) as (http, came):
        await http.call("POST", "/x")
        with pytest.raises(trio.BrokenResourceError):
            await http.call("POST", "/x")
    assert len(came) == 1


async def test_an_answer_that_has_begun_is_not_asked_for_again():
    async with closing(ANSWER[:10], ANSWER) as (http, came):
        with pytest.raises(trio.BrokenResourceError):
            await http.call("GET", "/x")
    assert len(came) == 1
