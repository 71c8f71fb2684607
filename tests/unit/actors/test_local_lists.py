"""Local lists: whatever is lost, refused, forgotten or restarted, in the end a station has what it should."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from actors.context import NodeSettings
from statecharts.card_limits import LOCAL_LIST_PIECE, LOCAL_LISTS_SERVED, ROLL_CHANGES
from statecharts.cards import Card
from statecharts.local_list import RETRY_S
from statecharts.roll import Roll
from statecharts.station_commands import (
    CallOutcome,
    CallVerdict,
    GetConfiguration,
    GetLocalListVersion,
    LocalListEntry,
    SendLocalList,
    StationCommand,
)
from statecharts.station_vocabulary import IdTagInfo, IdTagStatus
from tests.support.house import House, StationLine, open_house, place

IN_STEP = NodeSettings(pms_identifier="IE-001", keeps_local_lists=True)
TAKEN, UNHEARD, LOST, FAILED, FORGOTTEN = "taken", "unheard", "lost", "failed", "forgotten"
HOUR = 3600.0


class ListedStation(StationLine):
    """A station with a plain list; of its answers to lists, `mischief` says what becomes of each in turn."""

    def __init__(self, house: House, identity: str = "CS01", settings: dict[str, str] | None = None) -> None:
        super().__init__(house, identity)
        self.version, self.listed = 0, dict[str, LocalListEntry]()
        self.mischief: list[str] = []
        self.settings = settings or {}
        self.at_once = self.most_at_once = 0

    async def call(self, command: StationCommand) -> CallOutcome:
        self.at_once += 1
        self.commands.append(command)
        await trio.sleep(0.01)
        self.at_once -= 1
        return self.answer(command)

    def answer(self, command: StationCommand) -> CallOutcome:
        match command:
            case GetConfiguration():
                told = [{"key": key, "value": value} for key, value in self.settings.items()]
                return CallOutcome(verdict=CallVerdict.ACCEPTED, data={"configurationKey": told})
            case GetLocalListVersion():
                return CallOutcome(verdict=CallVerdict.ACCEPTED, data={"listVersion": self.version})
            case SendLocalList():
                return self._sent(command, self.mischief.pop(0) if self.mischief else TAKEN)
        return CallOutcome(verdict=CallVerdict.ACCEPTED)

    def _sent(self, command: SendLocalList, mischief: str) -> CallOutcome:
        if mischief == FORGOTTEN:
            # It has lost its memory, and so what it was asked: a difference that it took now would be all that it has.
            self.version, self.listed = 0, {}
        if mischief == FAILED:
            return CallOutcome(verdict=CallVerdict.REJECTED, status="Failed", cause="the station answered Failed")
        unknown = CallOutcome(verdict=CallVerdict.UNKNOWN, cause="no answer in time")
        if mischief in (LOST, FORGOTTEN):
            return unknown
        if command.update == "Differential" and command.version <= self.version:
            return CallOutcome(verdict=CallVerdict.REJECTED, status="VersionMismatch")
        self._take(command)
        return unknown if mischief == UNHEARD else CallOutcome(verdict=CallVerdict.ACCEPTED, status="Accepted")

    def _take(self, command: SendLocalList) -> None:
        self.version = command.version
        listed = {} if command.update == "Full" else dict(self.listed)
        for entry in command.entries:
            key = entry.id_tag.casefold()
            listed.pop(key, None)
            if entry.id_tag_info is not None:
                listed[key] = entry
        self.listed = listed

    @property
    def lists(self) -> list[SendLocalList]:
        return [each for each in self.commands if isinstance(each, SendLocalList)]


def entry(id_tag: str, group: str | None = None) -> LocalListEntry:
    return LocalListEntry(id_tag=id_tag, id_tag_info=IdTagInfo(status=IdTagStatus.ACCEPTED, parent_id_tag=group))


def wanted(cards: dict[str, Card]) -> dict[str, LocalListEntry]:
    return {key.casefold(): entry(card.id_tag, card.group) for key, card in cards.items() if not card.blocked}


TAGS = st.sampled_from([f"T{number}" for number in range(6)])
STEPS = st.one_of(
    st.tuples(st.just("put"), TAGS, st.sampled_from((None, "G")), st.booleans()),
    st.tuples(st.just("remove"), TAGS),
    st.tuples(st.just("mischief"), st.lists(st.sampled_from((TAKEN, UNHEARD, LOST, FAILED, FORGOTTEN)), max_size=4)),
    st.tuples(st.just("away")),
    st.tuples(st.just("restart")),
    st.tuples(st.just("wait"), st.sampled_from((0.5, 7.0, 400.0))),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(STEPS, max_size=14))
def test_in_the_end_a_station_has_what_it_should(steps: Sequence[Any]) -> None:
    trio.run(_lived, steps, clock=MockClock(autojump_threshold=0))


async def _lived(steps: Sequence[Any]) -> None:
    async with trio.open_nursery() as nursery:
        async with open_house("IE-001", nursery, places=(place(),), settings=IN_STEP) as house:
            station, cards = ListedStation(house, settings={"SendLocalListMaxLength": "2"}), dict[str, Card]()
            await station.come_online()
            for step in steps:
                await _done(step, house, station, cards, nursery)
            station.mischief.clear()
            await station.go_offline()
            await station.come_online()
            await trio.sleep(HOUR)
            assert (await house.operator.local_list("CS01")).state == "InStep"
            assert station.listed == wanted(cards)
            sent = len(station.lists)
            await station.go_offline()
            await station.come_online(boot=False)
            await trio.sleep(HOUR)
            assert len(station.lists) == sent, "nothing is sent to whom nothing is missing"
        nursery.cancel_scope.cancel()


async def _done(step: Any, house: House, station: ListedStation, cards: dict[str, Card], nursery: trio.Nursery) -> None:
    match step:
        case "put", tag, group, blocked:
            cards[tag] = Card(id_tag=tag, group=group, blocked=blocked)
            await house.operator.put_card(cards[tag], "olga")
        case "remove", tag if tag in cards:
            await house.operator.remove_card(tag)
            del cards[tag]
        case "mischief", mischief:
            station.mischief += mischief
        case ("away",):
            await station.go_offline()
            await trio.sleep(1)
            await station.come_online(boot=False)
        case ("restart",):
            await house.restart(nursery)
            await station.come_online(boot=False)
        case "wait", seconds:
            await trio.sleep(seconds)


@pytest.fixture
async def kept(autojump_clock: object, nursery: trio.Nursery) -> Any:
    async with open_house("IE-001", nursery, places=(place(),), settings=IN_STEP) as house:
        yield house


async def state(house: House) -> str:
    return (await house.operator.local_list("CS01")).state


async def test_a_list_goes_in_pieces_and_then_only_what_changed(autojump_clock: object, kept: House) -> None:
    await kept.operator.put_cards([Card(id_tag=f"C{number:03}") for number in range(250)], "olga", dry_run=False)
    station = ListedStation(kept)
    await station.come_online()
    await trio.sleep(60)
    assert [(each.version, each.update, len(each.entries)) for each in station.lists] == [
        (1, "Full", LOCAL_LIST_PIECE.limit),
        (2, "Differential", LOCAL_LIST_PIECE.limit),
        (3, "Differential", 50),
    ]
    await kept.operator.put_card(Card(id_tag="C001", blocked=True), "olga")
    await trio.sleep(60)
    assert station.lists[3:] == [
        SendLocalList(version=4, update="Differential", entries=(LocalListEntry(id_tag="C001"),))
    ]


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"LocalAuthListEnabled": "false"}, "Unsupported"),
        ({"SupportedFeatureProfiles": "Core,Reservation"}, "Unsupported"),
        ({"LocalAuthListMaxLength": "1"}, "Refused"),
        ({"LocalAuthListMaxLength": "2"}, "InStep"),
    ],
)
async def test_a_station_that_cannot_take_it_is_sent_nothing(
    told: dict[str, str], expected: str, autojump_clock: object, kept: House
) -> None:
    await kept.operator.put_cards([Card(id_tag="A"), Card(id_tag="B")], "olga", dry_run=False)
    station = ListedStation(kept, settings=told)
    await station.come_online()
    await trio.sleep(60)
    assert (await state(kept), bool(station.lists)) == (expected, expected == "InStep")
    if expected == "Refused":
        assert (await kept.operator.local_list("CS01")).cause == "there are 2 cards, the station takes 1"
        await kept.operator.remove_card("A")
        await trio.sleep(60)
        assert await state(kept) == "InStep"


async def test_one_that_names_no_version_keeps_no_list(autojump_clock: object, kept: House) -> None:
    station = ListedStation(kept)
    station.version = -1
    await station.come_online()
    await trio.sleep(60)
    assert (await state(kept), station.lists) == ("Unsupported", [])


async def test_a_station_that_fails_is_tried_some_times_and_then_left_until_cards_change(
    autojump_clock: object, kept: House
) -> None:
    await kept.operator.put_card(Card(id_tag="A"), "olga")
    station = ListedStation(kept)
    station.mischief = [FAILED] * (1 + len(RETRY_S))
    await station.come_online()
    await trio.sleep(30)
    shown = await kept.operator.local_list("CS01")
    assert (shown.state, shown.failures, shown.cause) == ("Failed", 1, "the station answered Failed")
    await trio.sleep(sum(RETRY_S) + 120)
    assert (await state(kept), len(station.lists)) == ("Refused", 1 + len(RETRY_S))
    await trio.sleep(24 * HOUR)
    assert len(station.lists) == 1 + len(RETRY_S)
    await kept.operator.put_card(Card(id_tag="B"), "olga")
    await trio.sleep(60)
    assert station.listed.keys() == {"a", "b"}


async def test_time_alone_lets_cards_begin_and_end(autojump_clock: object, kept: House) -> None:
    now = kept.clock.now()
    await kept.operator.put_card(Card(id_tag="OLD", valid_until=now + timedelta(hours=2)), "olga")
    await kept.operator.put_card(Card(id_tag="NEW", valid_from=now + timedelta(hours=2)), "olga")
    station = ListedStation(kept)
    await station.come_online()
    await trio.sleep(HOUR)
    assert station.listed.keys() == {"old"}
    await trio.sleep(2 * HOUR)
    assert station.listed.keys() == {"new"}


async def test_an_id_tag_that_the_station_cannot_take_is_left_out(autojump_clock: object, kept: House) -> None:
    await kept.operator.put_cards([Card(id_tag="A" * 20), Card(id_tag="B" * 21)], "olga", dry_run=False)
    await kept.operator.put_card(Card(id_tag="C", group="G" * 21), "olga")
    station = ListedStation(kept)
    await station.come_online()
    await trio.sleep(60)
    assert station.listed.keys() == {"a" * 20}


async def test_no_more_stations_than_the_bound_are_served_at_a_time(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    names = [f"CS{number:02}" for number in range(3 * LOCAL_LISTS_SERVED.limit)]
    busy, most = 0, 0

    class Counted(ListedStation):
        async def call(self, command: StationCommand) -> CallOutcome:
            nonlocal busy, most
            busy += 1
            most = max(most, busy)
            try:
                return await super().call(command)
            finally:
                busy -= 1

    async with open_house("IE-001", nursery, places=tuple(map(place, names)), settings=IN_STEP) as house:
        stations = [Counted(house, name) for name in names]
        for each in stations:
            await each.come_online()
        await house.operator.put_card(Card(id_tag="A"), "olga")
        await trio.sleep(60)
        assert most == LOCAL_LISTS_SERVED.limit
        assert all(each.listed.keys() == {"a"} for each in stations)


# -- the list that all should have -------------------------------------------------------------------------------------

Rolled = st.lists(st.tuples(st.sampled_from("ABCD"), st.sampled_from((None, "1", "2"))), max_size=30)


@given(Rolled, st.integers(0, 30), st.sampled_from((5, 100)))
def test_what_changed_since_makes_the_list_of_then_that_of_now(
    changes: list[tuple[str, str | None]], at: int, remembered: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("statecharts.roll.ROLL_CHANGES", msgspec.structs.replace(ROLL_CHANGES, limit=remembered))
        roll, then, content = Roll(), dict[str, LocalListEntry](), Roll().content
        for number, (key, group) in enumerate(changes):
            if number == at:
                then, content = {each.id_tag: each for each in roll}, roll.content
            roll.set(key, None if group is None else entry(key, group))
        found = roll.since(content)
        assert roll.changes <= remembered
        if found is None:
            assert len(changes) > remembered
            return
        for each in found:
            then.pop(each.id_tag, None)
            if each.id_tag_info is not None:
                then[each.id_tag] = each
        assert then == {each.id_tag: each for each in roll}


def test_a_list_that_becomes_what_it_was_is_known_as_that() -> None:
    roll = Roll()
    roll.set("A", entry("A"))
    before = roll.content
    assert roll.set("B", entry("B")) and not roll.set("B", entry("B"))
    assert roll.content != before
    roll.set("B", None)
    assert (roll.content, roll.since(before)) == (before, ())
