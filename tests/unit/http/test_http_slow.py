"""Clients that take their time: each loses its connection, and meanwhile everybody else is served."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trustme
from structlog.testing import capture_logs

from protocols.http import HttpLimits
from tests.unit.http.served import Served, everything, is_alive, serving

BRIEF = HttpLimits(handshake_timeout_s=0.3, head_timeout_s=0.3, send_timeout_s=0.3)


async def _dripping(stream: trio.SocketStream, text: bytes) -> None:
    """Sends a little at a time for as long as somebody takes it."""
    try:
        while True:
            await stream.send_all(text)
            await trio.sleep(0.02)
    except trio.BrokenResourceError:
        return


@asynccontextmanager
async def _meanwhile(served: Served, source: str | None = None) -> AsyncIterator[None]:
    """Another client is served at once, in the beginning and again in the end."""
    with trio.fail_after(5):
        assert await is_alive(served, source)
        yield
        assert await is_alive(served, source)


@pytest.mark.parametrize("drip", [b"", b"X: y\r\n"], ids=["silent", "dripping"])
async def test_a_head_that_does_not_end_is_closed_after_its_time(drip: bytes) -> None:
    async with serving(BRIEF) as served, await served.connect() as slow, _meanwhile(served):
        await slow.send_all(b"GET /hello HTTP/1.1\r\nHost: x\r\n")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_dripping, slow, drip) if drip else None
            assert await everything(slow) == b""
            nursery.cancel_scope.cancel()


async def test_a_body_that_does_not_end_is_answered_408() -> None:
    async with serving(BRIEF, body_timeout_s=0.3) as served, await served.connect() as slow, _meanwhile(served):
        await slow.send_all(b"POST /body HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 100000\r\n\r\n")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_dripping, slow, b"x")
            assert (await everything(slow)).startswith(b"HTTP/1.1 408 ")
            nursery.cancel_scope.cancel()


async def test_a_client_that_reads_nothing_is_closed_after_its_time() -> None:
    limits = HttpLimits(send_timeout_s=0.3, connections_per_address_max=1)
    async with serving(limits) as served, await served.connect() as slow:
        await slow.send_all(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
        await served.entered.wait()
        async with _meanwhile(served, "127.0.0.2"):
            await served.room()


@pytest.mark.parametrize("begun", [b"", b"\x16\x03\x01\x02\x00\x01"], ids=["silent", "half"])
async def test_a_handshake_that_does_not_end_is_closed_after_its_time(begun: bytes) -> None:
    authority = trustme.CA()
    server, client = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    async with serving(BRIEF, server) as served, await served.connect() as slow:
        served.trust = client
        with capture_logs() as logs:
            async with _meanwhile(served):
                await slow.send_all(begun)
                assert await everything(slow) == b""
    assert [line for line in logs if line["log_level"] not in ("info", "debug")] == []
    assert ("handshake",) in dict(served.meters.http_refused)
