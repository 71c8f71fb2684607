"""Stations that are gone or stuck without a word, on real sockets: each is dropped, and the listener serves on."""

from __future__ import annotations

import itertools
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest
import trio
import trustme
from ocpp_raw_station import RawStation
from ocpp_worlds import Directory, Door

from protocols.ocpp.limits import Limits
from protocols.ocpp.server import StationServer, serve_stations

BRIEF = Limits(ping_interval_s=0.2, pong_timeout_s=0.2, send_timeout_s=0.3, close_timeout_s=0.2, message_timeout_s=0.3)

Open = Callable[[], Awaitable[RawStation]]
GONE = (trio.BrokenResourceError, trio.ClosedResourceError)


@asynccontextmanager
async def central(door: Door, tls: ssl.SSLContext | None) -> AsyncIterator[StationServer]:
    epochs = itertools.count(1)
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        serve = partial(serve_stations, listeners, directory=Directory(), door=door, limits=BRIEF, tls=tls)
        yield await nursery.start(partial(serve, epochs=lambda: f"epoch{next(epochs)}"))
        nursery.cancel_scope.cancel()


@pytest.fixture(params=["plain", "tls"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Door, Open]]:
    """A central system whose stations get little time, and what opens one more of them."""
    door, server_side, client_side = Door(), None, ssl.create_default_context()
    if request.param == "tls":
        authority, server_side = trustme.CA(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("localhost").configure_cert(server_side)
        authority.configure_trust(client_side)
    opened: list[trio.abc.Stream] = []
    async with central(door, server_side) as server:

        async def open_one() -> RawStation:
            tcp = await trio.open_tcp_stream("127.0.0.1", server.ports[0])
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)  # soon full, if nobody reads
            stream: trio.abc.Stream = tcp
            if server_side is not None:
                stream = trio.SSLStream(stream, client_side, server_hostname="localhost", https_compatible=True)
            opened.append(stream)
            station = RawStation(stream)
            await station.open()
            return station

        try:
            yield door, open_one
        finally:
            for stream in opened:
                await trio.aclose_forcefully(stream)


async def says_nothing(station: RawStation) -> None:
    """It is there, and answers no ping."""


async def reads_nothing(station: RawStation) -> None:
    """It goes on asking, and takes no answer."""
    with suppress(*GONE):
        while True:
            await station.say('[2,"1","Heartbeat",{}]')


async def ends_no_message(station: RawStation) -> None:
    """It begins a message that is never whole, and goes on with it."""
    with suppress(*GONE):
        await station.stream.send_all(b"\x81\xfe\xff\xff\0\0\0\0")
        while True:
            await station.stream.send_all(b" ")
            await trio.sleep(0.05)


async def breaks_off(station: RawStation) -> None:
    """It is gone in the middle of everything, also of TLS."""
    await trio.aclose_forcefully(station.stream)


@pytest.mark.parametrize("habit", [says_nothing, reads_nothing, ends_no_message, breaks_off])
async def test_a_station_that_is_lost_is_dropped_and_its_next_connection_is_served(
    world: tuple[Door, Open], habit: Callable[[RawStation], Awaitable[None]]
) -> None:
    door, open_one = world
    with trio.fail_after(20):
        lost = await open_one()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(habit, lost)
            await door.offline.wait()
            found = await open_one()
            await found.heartbeat()
            nursery.cancel_scope.cancel()
