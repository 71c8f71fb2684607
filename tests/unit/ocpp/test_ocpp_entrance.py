"""A reconnect storm at the door: who comes in first, how many at a time, and what becomes of those who wait."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from ocpp_raw_station import raw_station
from ocpp_worlds import PASSWORD, Directory, Door, World, central_system
from wsproto.events import AcceptConnection, RejectConnection

from protocols.ocpp.entrance import Entrance, Visitor
from protocols.ocpp.limits import Limits
from protocols.ocpp.listening import lines_of
from protocols.ocpp.server import RETRY_AFTER_S
from statecharts.ports import StationConnection
from statecharts.promises import Promise
from statecharts.station_credentials import StationCredentials

ONE = Limits(coming_in_max=1, entrance_wait_s=30)


async def come(entrance: Entrance, name: str, seen: list[str], *, first: bool) -> None:
    with Visitor(entrance) as visitor:
        assert await visitor.enter(first=first)
        seen.append(name)


async def test_those_with_a_charge_come_in_before_the_others_each_in_order(nursery: trio.Nursery) -> None:
    entrance, seen = Entrance(ONE), list[str]()
    with Visitor(entrance) as visitor:
        assert await visitor.enter(first=False)
        for name in ("a", "b", "C", "d", "E"):
            nursery.start_soon(lambda name=name: come(entrance, name, seen, first=name.isupper()))
            await trio.testing.wait_all_tasks_blocked()
        assert repr(entrance) == "<Entrance 0 free, 2 charging and 3 others wait>"
    await trio.testing.wait_all_tasks_blocked()
    assert seen == ["C", "E", "a", "b", "d"]
    assert repr(entrance) == "<Entrance 1 free, 0 charging and 0 others wait>"


async def test_whoever_waits_too_long_goes_and_takes_nobodys_place(autojump_clock: object) -> None:
    entrance = Entrance(ONE)
    with Visitor(entrance) as visitor, Visitor(entrance) as another:
        assert await visitor.enter(first=False)
        assert not await another.enter(first=True)
        assert trio.current_time() == pytest.approx(30)
        visitor.leave()
        visitor.leave()
        assert await another.enter(first=False)
    assert repr(entrance) == "<Entrance 1 free, 0 charging and 0 others wait>"


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 3)), max_size=12))
def test_no_place_is_lost_or_made_whoever_leaves_when_and_is_cancelled(visits: list[tuple[bool, bool, int]]) -> None:
    async def storm() -> None:
        entrance, inside = Entrance(Limits(coming_in_max=2, entrance_wait_s=2.5)), list[int]()

        async def visit(first: bool, cancelled: bool, stays_s: int) -> None:
            with trio.move_on_after(stays_s if cancelled else 1_000), Visitor(entrance) as visitor:
                if await visitor.enter(first=first):
                    inside.append(1)
                    try:
                        assert len(inside) <= 2
                        await trio.sleep(stays_s + 0.5)
                    finally:
                        inside.pop()

        async with trio.open_nursery() as nursery:
            for visitor in visits:
                nursery.start_soon(visit, *visitor)
        assert repr(entrance) == "<Entrance 2 free, 0 charging and 0 others wait>"

    trio.run(storm, clock=trio.testing.MockClock(autojump_threshold=0))


# -- at a real door ----------------------------------------------------------------------------------------------------


class SlowDoor(Door):
    """Takes a station in when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.openings: list[Promise[None]] = []

    def connected(self, identity: str, connection: StationConnection) -> Promise[None]:
        super().connected(identity, connection)
        self.openings.append(Promise())
        return self.openings[-1]


class Fleet(Directory):
    """All stations there are have the same password."""

    def credentials(self, identity: str) -> StationCredentials | None:
        return self.opened_by


@contextmanager
def waiting_at(door: SlowDoor) -> Iterator[SlowDoor]:
    try:
        yield door
    finally:
        for opening in door.openings:
            opening.set(None)


async def opened(world: World, identity: str, seen: list[str]) -> None:
    station = await raw_station(world)
    basic = b"Basic " + base64.b64encode(identity.encode() + b":" + PASSWORD)
    event = await station.open(f"/ocpp/{identity}", authorization=basic)
    seen.append(identity if isinstance(event, AcceptConnection) else f"{identity} refused")


async def test_a_station_with_a_charge_is_let_in_before_those_that_came_before_it(nursery: trio.Nursery) -> None:
    seen = list[str]()
    with waiting_at(SlowDoor()) as door:
        door.charging = {"CS03"}
        async with central_system(door, Fleet(), ONE) as world:
            for identity in ("CS01", "CS02", "CS03"):
                nursery.start_soon(opened, world, identity, seen)
                await trio.testing.wait_all_tasks_blocked(0.02)
            assert seen == ["CS01"]
            for expected in (["CS01", "CS03"], ["CS01", "CS03", "CS02"]):
                door.openings[-1].set(None)
                await trio.testing.wait_all_tasks_blocked(0.02)
                assert seen == expected


async def test_whoever_finds_no_place_in_time_is_told_when_to_come_again() -> None:
    with waiting_at(SlowDoor()) as door:
        limits = Limits(coming_in_max=1, entrance_wait_s=0.05, handshake_timeout_s=0.01)
        async with central_system(door, Fleet(), limits) as world:
            await opened(world, "CS01", [])
            station = await raw_station(world)
            event = await station.open()
            assert isinstance(event, RejectConnection)
            assert event.status_code == 503
            soonest, latest = RETRY_AFTER_S
            assert soonest <= int(dict(event.headers)[b"retry-after"]) <= latest


async def test_a_place_is_free_again_when_its_station_left_before_it_was_taken_in() -> None:
    with waiting_at(SlowDoor()) as door:
        async with central_system(door, Fleet(), ONE) as world:
            seen = list[str]()
            await opened(world, "CS01", seen)
            await world.hang_up()
            with trio.fail_after(5):
                await opened(world, "CS02", seen)
            assert seen == ["CS01", "CS02"]


# -- many at once ------------------------------------------------------------------------------------------------------


async def test_many_that_have_come_are_accepted_in_one_round_of_the_scheduler() -> None:
    (plain,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    listener = lines_of(plain, None)
    clients = [await trio.open_tcp_stream(*plain.socket.getsockname()) for _ in range(5)]
    accepted = [await listener.accept()]
    with trio.CancelScope() as scope:
        scope.cancel()
        accepted += [await listener.accept() for _ in range(4)]
    assert not scope.cancelled_caught, "no round of the scheduler has passed"
    for ours, theirs in zip(accepted, clients, strict=True):
        await theirs.send_all(b"x")
        assert await ours.receive(1) == b"x"
    for stream in (*accepted, *clients):
        await stream.aclose()
    await listener.aclose()


async def test_those_accepted_that_nobody_has_taken_are_closed_with_the_listener() -> None:
    (plain,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    listener = lines_of(plain, None)
    clients = [await trio.open_tcp_stream(*plain.socket.getsockname()) for _ in range(2)]
    taken = await listener.accept()
    await listener.aclose()
    assert await clients[1].receive_some() == b""
    with pytest.raises(trio.ClosedResourceError):
        await listener.accept()
    for stream in (taken, *clients):
        await stream.aclose()
