"""Actors that leave memory: back on their next message or deadline, and nobody can tell that they were away."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.actor import Actor
from actors.policies import STATION, TRANSACTION, Policy
from actors.quarantine import Quarantine
from actors.sleepers import Sleepers
from actors.store import Store, run_inline
from actors.system import System
from statecharts.bounds import WAKING, Watermarks
from statecharts.flows import (
    Flow,
    destination_events,
    destination_flows,
    disordered,
    local_events,
    local_flows,
    source_events,
    source_flows,
)
from statecharts.vocabulary import PeerOutcome, Refused, RoamingRequest
from tests.support.books import CARD, local
from tests.support.house import EPOCH, House, StationLine, VirtualClock, open_house, resting_after
from tests.support.roaming import Roaming

REST_S = TRANSACTION.rest_after_s
DAY_S = 86_400.0


class Napper(Actor):
    """Rests whenever it may. What it was told, when it was due and whether it had rested is kept in `diary`."""

    diary: list[tuple[str, float]]
    until: dict[str, datetime]

    async def load(self) -> None:
        await trio.sleep(0.001)
        self.diary.append(("rested" if self.rested else "new", trio.current_time()))

    async def turn(self, message: Any) -> Any:
        self.diary.append((message, trio.current_time()))
        return message

    def deadline(self) -> datetime | None:
        return self.until.get(self.key)

    async def due(self) -> None:
        self.diary.append(("due", trio.current_time()))
        del self.until[self.key]

    def may_rest(self) -> bool:
        return True


class Nap:
    """A system of nappers, whose deadlines and diary outlive them as a journal would."""

    def __init__(self, nursery: trio.Nursery, rest_after_s: float = 60) -> None:
        self.clock = VirtualClock()
        self.diary: list[tuple[str, float]] = []
        self.until: dict[str, datetime] = {}
        self.watermarks = Watermarks()
        store = Store("sqlite://", clock=self.clock, run_sync=run_inline)
        policy = Policy(rest_after_s=rest_after_s, reason="for tests")
        self.system = System(nursery, self.clock, Quarantine(store), self.watermarks, {"napper": policy})
        self.system.factories["napper"] = self.make

    def make(self, key: str) -> Actor:
        napper = Napper(key, self.clock, self.watermarks)
        napper.diary, napper.until = self.diary, self.until
        return napper

    def due_in(self, key: str, seconds: float) -> None:
        self.until[key] = self.clock.now() + timedelta(seconds=seconds)


# -- sleepers ----------------------------------------------------------------------------------------------------------


async def test_a_sleeper_is_woken_by_its_deadline_once(autojump_clock: object, nursery: trio.Nursery) -> None:
    nap = Nap(nursery)
    nap.due_in("napper/1", 1_000)
    await nap.system.ask("napper/1", "hello")
    await trio.sleep(500)
    assert list(nap.system) == [] and nap.system.asleep == 1
    await trio.sleep(5_000)
    assert [what for what, _ in nap.diary] == ["new", "hello", "rested", "due"]
    assert nap.diary[-1][1] == pytest.approx(1_000, abs=1)
    assert list(nap.system) == [] and nap.system.asleep == 0


async def test_a_sleeper_is_woken_by_a_message_and_sleeps_on(autojump_clock: object, nursery: trio.Nursery) -> None:
    nap = Nap(nursery)
    nap.due_in("napper/1", 1_000)
    for _ in range(3):
        await nap.system.ask("napper/1", "hello")
        await trio.sleep(200)
    assert nap.system.asleep == 1
    await trio.sleep(1_000)
    assert [what for what, _ in nap.diary] == ["new", "hello", *("rested", "hello") * 2, "rested", "due"]


async def test_sleepers_are_woken_in_the_order_of_their_deadlines_however_they_fell_asleep(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    nap = Nap(nursery)
    for seconds in (900, 300, 700, 500):
        nap.due_in(f"napper/{seconds}", seconds)
        await nap.system.ask(f"napper/{seconds}", "hello")
        await trio.sleep(10)
    await trio.sleep(5_000)
    assert [round(at, -2) for what, at in nap.diary if what == "due"] == [300, 500, 700, 900]


async def test_one_without_a_deadline_leaves_nothing_behind(autojump_clock: object, nursery: trio.Nursery) -> None:
    nap = Nap(nursery)
    await nap.system.ask("napper/1", "hello")
    await trio.sleep(100)
    assert list(nap.system) == [] and nap.system.asleep == 0


async def test_a_thousand_deadlines_at_one_moment_are_kept_a_few_at_a_time(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    nap = Nap(nursery)
    keys = [f"napper/{number}" for number in range(1_000)]
    for key in keys:
        nap.due_in(key, 1_000)
        nap.system.tell(key, "hello")
    await trio.sleep(500)
    assert nap.system.asleep == 1_000
    await trio.sleep(600)
    assert sum(what == "due" for what, _ in nap.diary) == 1_000
    assert {bound: seen for bound, seen, _ in nap.watermarks}[WAKING] == WAKING.limit


def test_husks_of_those_woken_by_messages_never_prevail() -> None:
    sleepers = Sleepers(VirtualClock())
    for minute in range(10_000):
        sleepers.put("destination/0A1B2C3D4E5F", EPOCH + timedelta(days=1, minutes=minute))
        assert sleepers.take("destination/0A1B2C3D4E5F")
    assert len(sleepers) == 0 and len(sleepers._heap) < 100


async def test_no_message_is_lost_at_the_moment_of_leaving(autojump_clock: object, nursery: trio.Nursery) -> None:
    nap = Nap(nursery, rest_after_s=1)
    for number in range(300):
        assert await nap.system.ask("napper/1", str(number)) == str(number)
        await trio.sleep(1)
    lives = sum(what in ("new", "rested") for what, _ in nap.diary)
    assert 10 < lives < 300, "some came while it was leaving, some before, none was lost"


async def test_who_holds_on_to_an_actor_that_has_left_is_told(autojump_clock: object, nursery: trio.Nursery) -> None:
    nap = Nap(nursery)
    left = nap.system.actor("napper/1")
    await trio.sleep(100)
    with pytest.raises(RuntimeError, match="has left memory"):
        left.tell("hello?")


# -- transactions ------------------------------------------------------------------------------------------------------


def in_memory(house: House) -> set[str]:
    return {actor.key for actor in house.context.system}


async def test_an_authorisation_lapses_in_its_sleep(autojump_clock: object, roaming: Roaming) -> None:
    charge = await roaming.ready()
    await trio.sleep(REST_S + 1)
    assert charge.destination not in in_memory(roaming.local) and roaming.local.context.system.asleep == 1
    assert charge.source not in in_memory(roaming.home)
    await trio.sleep(900)
    for house, role in ((roaming.local, "destination"), (roaming.home, "source")):
        page = await house.operator.transactions(role=role, state="Expired", cursor=None, limit=9)
        assert len(page.items) == 1


async def test_a_start_wakes_an_authorisation(autojump_clock: object, roaming: Roaming) -> None:
    charge = await roaming.ready()
    await trio.sleep(REST_S + 1)
    charge = await roaming.running(await roaming.start_asked(charge))
    assert (await roaming.local.data(charge.destination)).state == "TxRunning"


async def test_what_is_under_way_in_memory_does_not_rest(autojump_clock: object, roaming: Roaming) -> None:
    charge = await roaming.start_asked()
    await trio.sleep(100)
    assert {charge.destination, charge.source} <= in_memory(roaming.local) | in_memory(roaming.home)


async def test_a_charge_that_is_silent_for_a_day_is_doubted_in_time_and_its_end_is_delivered(
    autojump_clock: object, roaming: Roaming
) -> None:
    charge = await roaming.running()
    await roaming.station.go_offline()
    await trio.sleep(DAY_S - 60)
    assert charge.destination not in in_memory(roaming.local) and charge.source not in in_memory(roaming.home)
    assert (await roaming.local.data(charge.destination)).doubted_until is None
    await trio.sleep(120)
    assert (await roaming.local.data(charge.destination)).doubted_until is not None
    await trio.sleep(3_600)
    await roaming.settled(charge)
    await roaming.same_cdr(charge)
    assert "estimated" in (await roaming.cdrs())[1][0].flags


async def test_deadlines_of_sleepers_survive_a_restart(autojump_clock: object, roaming: Roaming) -> None:
    charge = await roaming.ready()
    await trio.sleep(REST_S + 1)
    await roaming.down_time(roaming.local, 10)
    await trio.sleep(REST_S + 1)
    assert charge.destination not in in_memory(roaming.local)
    await roaming.local.until(charge.destination, "Expired", within_s=900)


async def test_a_restart_is_told_to_the_chart_and_a_rest_is_not(
    autojump_clock: object, roaming: Roaming, monkeypatch: pytest.MonkeyPatch
) -> None:
    restarts: list[str] = []

    async def note(self: Any) -> None:
        restarts.append(self.key)

    monkeypatch.setattr("actors.transaction.TransactionActor._restarted", note)
    charge = await roaming.ready()
    await trio.sleep(REST_S + 1)
    await roaming.local.data(charge.destination)
    assert restarts == []
    await roaming.local.restart(roaming.nursery)
    await roaming.local.data(charge.destination)
    assert restarts == [charge.destination]


async def test_a_station_that_is_away_leaves_memory_and_is_shown_as_it_was(
    autojump_clock: object, line: StationLine
) -> None:
    number = (await line.start(CARD)).transaction_id
    await line.go_offline()
    left_at = line.house.clock.now()
    await trio.sleep(2 * STATION.rest_after_s)
    assert "station/CS01" in in_memory(line.house), "a charge goes on there"
    await line.come_online(boot=False)
    await line.stop(number, 2_000)
    await trio.sleep(2 * STATION.rest_after_s)
    assert "station/CS01" in in_memory(line.house), "it is connected"
    await line.go_offline()
    left_at = line.house.clock.now()
    await trio.sleep(STATION.rest_after_s + REST_S)
    assert in_memory(line.house) == set()
    (shown,) = (await line.house.operator.stations()).items
    assert (shown.registration, shown.online, shown.vendor) == ("Accepted", False, "V")
    assert shown.last_seen_at is not None and abs(shown.last_seen_at - left_at) < timedelta(seconds=1)
    await line.come_online(boot=False)
    assert (await local(line, number)).state == "Settled"


# -- nobody can tell ---------------------------------------------------------------------------------------------------


class Silent:
    """A partner that never answers."""

    async def call(self, request: RoamingRequest, timeout_s: float) -> PeerOutcome:
        await trio.sleep_forever()
        raise AssertionError("cancelled above")

    async def aclose(self) -> None:
        """Nothing to close."""


class StoppedClock(VirtualClock):
    """What happens and when stands in the flow alone: no deadline passes by itself."""

    def now(self) -> datetime:
        return EPOCH - timedelta(days=36_500)


async def live(stream: str, flow: Flow, pauses: frozenset[int], rest_after_s: float) -> tuple[Any, ...]:
    """What a transaction answered, wrote, owes and shows after this flow; it may rest after these of its events."""
    answers: list[Any] = []
    partners: dict[str, Any] = dict.fromkeys(("ES-LOCAL", "PT-HOME"), Silent())
    async with (
        trio.open_nursery() as nursery,
        open_house("ME", nursery, clock=StoppedClock(), policies=resting_after(rest_after_s)) as house,
    ):
        house.destinations.update(partners)
        house.sources.update(partners)
        for number, event in enumerate(flow):
            try:
                turned = await house.context.system.ask(stream, event)
                answers.append((turned.outcome, turned.answer, turned.data))
            except Refused as no:
                answers.append(no.refusal)
            await wait_all_tasks_blocked()
            await trio.sleep(100 if number in pauses else 0)
        facts = [msgspec.structs.replace(fact, position=0) for fact in await house.journal.load(stream)]
        owed = [
            (row.message_id, row.body, row.expires_at)
            for peer in partners
            for row in await house.context.outbox.pending(peer, 99, EPOCH + timedelta(days=9_999))
        ]
        return answers, facts, owed, await house.context.ledger.transaction(stream)


FLOWS = {
    "source/1": disordered(source_flows(), source_events()),
    "destination/0A1B2C3D4E5F": disordered(destination_flows(), destination_events()),
    "local/7": disordered(local_flows(), local_events()),
}


@pytest.mark.parametrize("stream", FLOWS)
def test_a_life_with_rests_is_like_one_without(stream: str) -> None:
    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(flow=FLOWS[stream], pauses=st.frozensets(st.integers(0, 20), min_size=1))
    def lives(flow: Flow, pauses: frozenset[int]) -> None:
        rested, awake = (
            trio.run(live, stream, flow, pauses, rest_after_s, clock=MockClock(autojump_threshold=0))
            for rest_after_s in (50, math.inf)
        )
        assert rested == awake

    lives()
