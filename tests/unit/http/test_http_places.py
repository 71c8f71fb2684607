"""How many connections and requests there may be, in all and from one address."""

from __future__ import annotations

from structlog.testing import capture_logs

from protocols.http import HttpLimits
from protocols.http.places import Burst, Places, neighbourhood
from statecharts.bounds import HTTP_CONNECTIONS, HTTP_CONNECTIONS_PER_ADDRESS, HTTP_TURNING_AWAY, Watermarks
from tests.unit.http.served import Served, everything, serving

CLOSE = b"Host: x\r\nConnection: close\r\n\r\n"


async def _turned_away(served: Served) -> bytes:
    async with await served.connect() as stream:
        await stream.send_eof()
        return await everything(stream)


async def test_a_connection_beyond_the_cap_is_turned_away_and_a_freed_place_is_given_again() -> None:
    async with serving(HttpLimits(connections_max=1, head_timeout_s=0.5)) as served:
        first = await served.connect()
        await first.send_all(b"GET /slow HTTP/1.1\r\n" + CLOSE)
        await served.entered.wait()
        answer = await _turned_away(served)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: 5" in answer
        served.release.set()
        assert (await everything(first)).endswith(b"done")
        await first.aclose()
        await served.room()


async def test_one_address_cannot_take_every_place() -> None:
    async with serving(HttpLimits(connections_max=9, connections_per_address_max=2)) as served:
        greedy = [await served.connect() for _ in range(2)]
        assert (await _turned_away(served)).startswith(b"HTTP/1.1 503 ")
        neighbour = await served.connect(source="127.0.0.2")
        await neighbour.send_all(b"GET /hello HTTP/1.1\r\n" + CLOSE)
        assert (await everything(neighbour)).endswith(b"hello")
        for stream in [*greedy, neighbour]:
            await stream.aclose()
        highest = {bound.name: value for bound, value, _ in served.meters.watermarks}
        assert highest[HTTP_CONNECTIONS.name] == 3
        assert highest[HTTP_CONNECTIONS_PER_ADDRESS.name] == 2


async def test_a_burst_of_refusals_is_one_line_in_the_log_and_counted_in_full() -> None:
    async with serving(HttpLimits(connections_max=1)) as served, await served.connect() as first:
        await first.send_all(b"GET /slow HTTP/1.1\r\n" + CLOSE)
        await served.entered.wait()
        with capture_logs() as logs:
            for _ in range(20):
                assert (await _turned_away(served)).startswith(b"HTTP/1.1 503 ")
        assert [line["event"] for line in logs] == ["http.connections_turned_away"]
        assert dict(served.meters.http_refused) == {("http_connections",): 20}


async def test_so_many_at_most_are_told_why_they_are_refused() -> None:
    async with serving(HttpLimits(connections_max=1)) as served, await served.connect() as first:
        await first.send_all(b"GET /slow HTTP/1.1\r\n" + CLOSE)
        await served.entered.wait()
        lingering = [await served.connect() for _ in range(HTTP_TURNING_AWAY.limit)]
        for stream in lingering:
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 503 ")
        assert await _turned_away(served) == b""
        for stream in lingering:
            await stream.aclose()


async def test_a_request_beyond_the_cap_is_answered_503_and_its_client_may_come_back() -> None:
    async with serving(HttpLimits(requests_max=1)) as served, await served.connect() as first:
        await first.send_all(b"GET /slow HTTP/1.1\r\n" + CLOSE)
        await served.entered.wait()
        refused = await served.ask(b"GET /hello HTTP/1.1\r\n" + CLOSE)
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 5" in refused
        served.release.set()
        assert (await everything(first)).endswith(b"done")
        await served.room()


def test_an_ipv6_customer_counts_as_one_address() -> None:
    assert neighbourhood("2001:db8:1:2:3:4:5:6") == neighbourhood("2001:db8:1:2:ffff::1") == "2001:db8:1:2::/64"
    assert neighbourhood("2001:db8:1:3::1") != neighbourhood("2001:db8:1:2::1")
    assert neighbourhood("fe80::1%eth0") == "fe80::/64"
    assert neighbourhood("::ffff:192.0.2.1") == neighbourhood("192.0.2.1") == "192.0.2.1"
    assert neighbourhood("") == ""


def test_places_that_are_left_are_forgotten() -> None:
    places = Places(10, 5, Watermarks())
    for number in range(8):
        assert places.refusal(f"192.0.2.{number}") is None
    for number in range(8):
        places.leave(f"192.0.2.{number}")
    assert repr(places) == "<Places 0 of 10 taken, from 0 addresses>"


def test_refusals_of_a_burst_are_told_at_first_and_then_once_in_a_while() -> None:
    burst = Burst()
    assert [burst.count(now) for now in (0.0, 1.0, 2.0, 9.9, 10.0, 10.1, 30.0)] == [1, 0, 0, 0, 4, 0, 2]
