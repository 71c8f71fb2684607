"""Opening handshakes on loopback: who is let in, who is turned away and how, and which subprotocol is spoken."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import trio
import trio.testing
from ocpp_raw_station import BASIC, raw_station
from ocpp_worlds import PASSWORD, Directory, World, central_system
from structlog.testing import capture_logs
from wsproto.events import AcceptConnection, CloseConnection, RejectConnection, RejectData

from protocols.ocpp.client import ConnectionRefused
from protocols.ocpp.limits import Limits
from protocols.ocpp.turnstile import Turnstile
from statecharts.station_reports import Heartbeat

# -- who may connect ---------------------------------------------------------------------------------------------------


async def refused(world: World, **request: Any) -> tuple[int, dict[bytes, bytes]]:
    station = await raw_station(world)
    event = await station.open(**request)
    assert isinstance(event, RejectConnection), event
    while not isinstance(event, RejectData) or not event.body_finished:
        if isinstance(event, RejectConnection):
            status, headers = event.status_code, dict(event.headers)
        event = await station.event()
    await station.stream.aclose()
    return status, headers


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/ocpp",
        "/ocpp/",
        "/ocpp/CS02",
        "/other/CS01",
        "/ocpp/%2e%2e",
        "/ocpp/..",
        "/ocpp/a%2Fb",
        "/ocpp/a/b",
        "/ocpp/%ff",
        "/ocpp/%00",
        "/ocpp/" + "x" * 49,
        "http://cs/ocpp/CS01",
    ],
)
async def test_an_unknown_station_gets_404_before_the_upgrade(path: str) -> None:
    async with central_system() as world:
        assert (await refused(world, path=path))[0] == 404
        assert world.door.events == []


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"Basic",
        b"Basic !!!",
        b"Bearer " + base64.b64encode(b"CS01:" + PASSWORD),
        b"Basic " + base64.b64encode(b"CS01:wrong"),
        b"Basic " + base64.b64encode(b"CS01:"),
        b"Basic " + base64.b64encode(b"CS02:" + PASSWORD),
        b"Basic " + base64.b64encode(b"cs01:" + PASSWORD),
        b"Basic \xff\xfe",
    ],
)
async def test_a_wrong_or_missing_password_gets_401_before_the_upgrade(header: bytes) -> None:
    async with central_system() as world:
        status, headers = await refused(world, authorization=header)
        assert status == 401
        assert headers[b"www-authenticate"].startswith(b"Basic ")
        assert world.door.events == []


@pytest.mark.parametrize("stored", [PASSWORD, PASSWORD.hex().encode(), PASSWORD.hex().upper().encode()])
@pytest.mark.parametrize("sent", [PASSWORD, PASSWORD.hex().encode()])
async def test_a_key_opens_as_raw_bytes_and_as_hex_text(stored: bytes, sent: bytes) -> None:
    async with central_system(directory=Directory(password=stored)) as world, world.station(password=sent) as station:
        await station.call(Heartbeat())


async def test_a_station_without_password_may_be_let_in_by_the_directory() -> None:
    async with central_system(directory=Directory(password=None)) as world, world.station(password=None) as station:
        await station.call(Heartbeat())


@pytest.mark.parametrize("path", ["/ocpp/CS%2001", "/websockets/CS%2001", "/ocpp/CS%2001/", "//ocpp//CS%2001?a=b"])
async def test_the_identity_is_percent_decoded_and_slashes_are_overlooked(path: str) -> None:
    async with central_system(directory=Directory("CS 01")) as world:
        station = await raw_station(world)
        header = b"Basic " + base64.b64encode(b"CS 01:" + PASSWORD)
        assert isinstance(await station.open(path, authorization=header), AcceptConnection)
        await world.online()
        assert world.door.events == [("connected", "CS 01")]


async def test_our_stations_end_percent_encodes_its_identity() -> None:
    async with central_system(directory=Directory("Ü|1:2 ?#")) as world, world.station("Ü|1:2 ?#") as station:
        await station.call(Heartbeat())


async def test_an_address_with_too_many_failures_waits() -> None:
    async with central_system(limits=Limits(address_failures_max=3, address_window_s=60)) as world:
        assert [(await refused(world, authorization=b""))[0] for _ in range(3)] == [401] * 3
        status, headers = await refused(world, authorization=b"")
        assert status == 429
        assert 0 < int(headers[b"retry-after"]) <= 61
        with pytest.raises(ConnectionRefused) as raised:
            async with world.station():
                pass
        assert raised.value.status == 429


async def test_connections_beyond_the_cap_get_503() -> None:
    async with central_system(limits=Limits(connections_max=1)) as world, world.station() as station:
        assert (await refused(world))[0] == 503
        await station.call(Heartbeat())


async def test_connections_of_one_address_beyond_its_share_get_503() -> None:
    limits = Limits(connections_max=9, connections_per_address_max=1)
    async with central_system(limits=limits) as world, world.station() as station:
        status, headers = await refused(world)
        assert (status, headers[b"retry-after"]) == (503, b"60")
        await station.call(Heartbeat())


async def test_a_place_is_free_again_once_its_station_has_left() -> None:
    async with central_system(limits=Limits(connections_max=1)) as world:
        for _ in range(3):
            async with world.station() as station:
                await station.call(Heartbeat())
            await world.door.offline.wait()
            while "0 streams" not in repr(world.server):
                await trio.lowlevel.checkpoint()


async def test_more_handshakes_than_may_be_at_a_time_wait_in_order_and_none_is_lost() -> None:
    limits = Limits(handshakes_max=2, handshake_timeout_s=5)
    async with central_system(limits=limits) as world:
        slow = await raw_station(world)
        await slow.stream.send_all(b"GET /ocpp/CS01 HTTP/1.1\r\n")
        later = [await raw_station(world) for _ in range(5)]
        opened = list[int]()

        async def open_one(number: int) -> None:
            assert isinstance(await later[number].open(), AcceptConnection)
            opened.append(number)

        async with trio.open_nursery() as nursery:
            for number in range(5):
                nursery.start_soon(open_one, number)
            await trio.testing.wait_all_tasks_blocked(0.05)
            assert opened == []
            await slow.stream.aclose()
        assert sorted(opened) == [0, 1, 2, 3, 4]
        highest = {bound.name: highest for bound, highest, _ in limits.watermarks}
        assert highest["ocpp_handshakes"] == 1


async def test_two_addresses_that_never_finish_do_not_keep_a_third_one_waiting(nursery: trio.Nursery) -> None:
    turnstile = Turnstile(Limits(handshakes_max=4))

    async def hold(address: str) -> None:
        async with turnstile.handshake(address):
            await trio.sleep_forever()

    for address in ("192.0.2.1", "192.0.2.2"):
        for _ in range(4):
            nursery.start_soon(hold, address)
    await trio.testing.wait_all_tasks_blocked()
    with trio.fail_after(5):
        async with turnstile.handshake("192.0.2.3"):
            pass
    nursery.cancel_scope.cancel()


async def test_a_listener_with_nobody_connected_has_nothing_to_wake_for() -> None:
    async with central_system(limits=Limits(pong_timeout_s=1)):
        await trio.testing.wait_all_tasks_blocked()
        assert trio.lowlevel.current_statistics().seconds_to_next_deadline > 1


async def test_requests_that_are_no_upgrade_get_an_http_error() -> None:
    async with central_system() as world:
        for request, status in (
            (b"GET /ocpp/CS01 HTTP/1.1\r\nHost: cs\r\nAuthorization: " + BASIC + b"\r\n\r\n", b"426"),
            (b"POST /ocpp/CS01 HTTP/1.1\r\nHost: cs\r\nAuthorization: " + BASIC + b"\r\n\r\n", b"405"),
            (b"nonsense\r\n\r\n", b"400"),
            (b"GET /ocpp/CS01 HTTP/1.1\r\nX: " + b"x" * 20_000, b"431"),
        ):
            stream = await world.tcp()
            await stream.send_all(request)
            answer = b""
            while more := await stream.receive_some():
                answer += more
            assert answer.split(b" ")[1] == status


async def test_a_client_that_never_finishes_its_request_is_dropped() -> None:
    async with central_system(limits=Limits(handshake_timeout_s=0.05, close_timeout_s=0.05)) as world:
        stream = await world.tcp()
        await stream.send_all(b"GET /ocpp/CS01 HTTP/1.1\r\n")
        assert await stream.receive_some() == b""


# -- subprotocols ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("configured", "offered", "chosen", "spoken"),
    [
        (None, ("ocpp1.6",), "ocpp1.6", "ocpp1.6"),
        (None, ("ocpp2.0.1",), "ocpp2.0.1", "ocpp2.0.1"),
        (None, ("ocpp2.1", "ocpp2.0.1", "ocpp1.6"), "ocpp2.1", "ocpp2.1"),
        (None, ("ocpp1.6", "ocpp2.1"), "ocpp1.6", "ocpp1.6"),
        (None, ("ocpp9.9", "ocpp2.0.1"), "ocpp2.0.1", "ocpp2.0.1"),
        (None, (), None, "ocpp1.6"),
        ("2.0.1", (), None, "ocpp2.0.1"),
        ("2.0.1", ("ocpp2.1", "ocpp2.0.1"), "ocpp2.0.1", "ocpp2.0.1"),
        ("2.0.1", ("ocpp1.6",), "ocpp1.6", "ocpp1.6"),
    ],
)
async def test_the_version_is_the_configured_one_if_offered_else_the_stations_first_else_1_6(
    configured: str | None, offered: tuple[str, ...], chosen: str | None, spoken: str
) -> None:
    async with central_system() as world:
        world.directory.version = configured
        station = await raw_station(world)
        event = await station.open(subprotocols=offered)
        assert isinstance(event, AcceptConnection)
        assert event.subprotocol == chosen
        await station.heartbeat()
        assert (await world.online()).protocol == spoken


async def test_offers_without_a_known_one_complete_the_handshake_and_are_closed() -> None:
    async with central_system() as world:
        station = await raw_station(world)
        with capture_logs() as logs:
            event = await station.open(subprotocols=("ocpp9.9",))
            assert isinstance(event, AcceptConnection)
            assert event.subprotocol is None
            event = await station.event()
            assert isinstance(event, CloseConnection)
            assert event.code == 1002
            await trio.testing.wait_all_tasks_blocked()
        assert [line["station"] for line in logs if line["event"] == "ocpp.closed"] == ["CS01"]
        assert world.door.events == []
