"""The machine's clock is set, by minutes or by years: nothing within the node comes early or late."""

from __future__ import annotations

from datetime import timedelta

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from actors.node_clock import AWAY_MAX, JUMP, NodeClock
from statecharts.events import DeadlineReached, NodeRestarted
from statecharts.ports import TransactionView
from statecharts.station_commands import CallVerdict
from statecharts.station_reports import BootNotification
from statecharts.vocabulary import EndTransaction
from tests.support.house import APP, EPOCH, House, VirtualClock, resting_after
from tests.support.roaming import Charge, Roaming, two_operators

HOUR, YEAR = timedelta(hours=1), timedelta(days=365)
JUMPS = (10 * YEAR, HOUR, timedelta(minutes=1), -HOUR, -YEAR)
FAR_AHEAD_AND_BACK = (10 * YEAR, -HOUR)
AUTHORIZATION_S, SILENCE_S = 900.0, 86_400.0


def jump(roaming: Roaming, by: timedelta) -> None:
    """Both machines' clocks are set."""
    for house in (roaming.home, roaming.local):
        house.clock.ahead += by


async def state(house: House, stream: str) -> str:
    return str((await house.data(stream)).state)


async def lapses_in(roaming: Roaming, charge: Charge, seconds: float) -> None:
    """The authorisation may be used for so long still, and no longer."""
    await trio.sleep(seconds - 5)
    assert {await state(roaming.home, charge.source), await state(roaming.local, charge.destination)} == {"Ready"}
    await trio.sleep(10)
    assert {await state(roaming.home, charge.source), await state(roaming.local, charge.destination)} == {"Expired"}


# -- the clock ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", JUMPS)
async def test_a_jump_of_the_machines_clock_is_none_of_the_nodes(autojump_clock: object, by: timedelta) -> None:
    machine = VirtualClock()
    clock = NodeClock(machine)
    assert (clock.now(), clock.ahead) == (EPOCH, timedelta())
    machine.ahead = by
    await trio.sleep(10)
    assert clock.now() == EPOCH + timedelta(seconds=10)
    assert clock.ahead == by
    assert clock.shown(EPOCH) == EPOCH + by
    assert clock.wall() == machine.now()
    machine.ahead = timedelta()
    assert (clock.now(), clock.ahead) == (EPOCH + timedelta(seconds=10), timedelta())


async def test_a_clock_that_is_adjusted_is_followed_forwards_and_never_back(autojump_clock: object) -> None:
    machine = VirtualClock()
    clock = NodeClock(machine)
    clock.now()
    machine.ahead = JUMP / 2
    assert clock.now() == EPOCH + JUMP / 2
    machine.ahead = timedelta()
    assert clock.now() == EPOCH + JUMP / 2
    assert clock.ahead == timedelta()


def test_node_time_goes_on_evenly_whatever_is_done_to_the_clock() -> None:
    async def live(moments: list[tuple[int, int]]) -> None:
        machine = VirtualClock()
        clock = NodeClock(machine)
        began = clock.now()
        for wait_s, ahead_s in moments:
            await trio.sleep(wait_s)
            machine.ahead = timedelta(seconds=ahead_s)
            passed = timedelta(seconds=trio.current_time())
            assert abs(clock.now() - began - passed) < JUMP
            assert abs(clock.shown(clock.now()) - clock.wall()) < JUMP

    jumps = st.integers(-(10**9), 10**9).filter(lambda s: abs(s) > 2)

    @settings(deadline=None, max_examples=25)
    @given(st.lists(st.tuples(st.integers(0, 10**6), jumps), max_size=8, unique_by=lambda moment: moment[1] // 10))
    def lives(moments: list[tuple[int, int]]) -> None:
        trio.run(live, moments, clock=MockClock(autojump_threshold=0))

    lives()


@pytest.mark.parametrize(
    ("away", "believed"),
    [
        (timedelta(hours=3), timedelta(hours=3)),
        (timedelta(), timedelta()),
        (-YEAR, timedelta()),
        (10 * YEAR, AWAY_MAX),
    ],
)
async def test_an_absence_is_believed_within_reason(
    autojump_clock: object, away: timedelta, believed: timedelta
) -> None:
    machine = VirtualClock()
    machine.ahead = HOUR + away
    clock = NodeClock(machine)
    clock.resume(EPOCH, HOUR.total_seconds())
    assert clock.now() == EPOCH + believed
    assert clock.ahead == HOUR + away - believed


# -- deadlines ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", FAR_AHEAD_AND_BACK)
async def test_an_authorisation_lives_its_time_whatever_the_clock_does(
    autojump_clock: object, roaming: Roaming, by: timedelta
) -> None:
    charge = await roaming.ready()
    await trio.sleep(100)
    jump(roaming, by)
    await lapses_in(roaming, charge, AUTHORIZATION_S - 100)


@pytest.mark.parametrize("by", FAR_AHEAD_AND_BACK)
async def test_one_that_was_given_by_a_wrong_clock_lives_no_longer_when_it_is_set_right(
    autojump_clock: object, roaming: Roaming, by: timedelta
) -> None:
    jump(roaming, by)
    charge = await roaming.ready()
    await trio.sleep(100)
    jump(roaming, -by)
    await lapses_in(roaming, charge, AUTHORIZATION_S - 100)


@pytest.mark.parametrize("by", FAR_AHEAD_AND_BACK)
async def test_one_that_sleeps_lives_its_time_as_well(
    autojump_clock: object, nursery: trio.Nursery, by: timedelta
) -> None:
    async with two_operators(nursery, policies=resting_after(10)) as roaming:
        charge = await roaming.ready()
        await trio.sleep(100)
        assert roaming.home.context.system.asleep and roaming.local.context.system.asleep
        jump(roaming, by)
        await trio.sleep(AUTHORIZATION_S - 120)
        assert (await roaming.view(charge)).state == "Ready"
        await trio.sleep(40)
        assert (await roaming.view(charge)).state == "Expired"


@pytest.mark.parametrize("by", FAR_AHEAD_AND_BACK)
async def test_after_a_restart_none_is_further_away_than_its_whole_time(
    autojump_clock: object, roaming: Roaming, by: timedelta
) -> None:
    jump(roaming, by)
    charge = await roaming.ready()
    for house in (roaming.home, roaming.local):
        house.kill()
    jump(roaming, -by)
    for house in (roaming.home, roaming.local):
        await roaming.down_time(house, 0)
    await trio.sleep(AUTHORIZATION_S + 5)
    assert {await state(roaming.home, charge.source), await state(roaming.local, charge.destination)} == {"Expired"}


async def test_a_clock_that_was_wrong_over_a_restart_is_no_absence(autojump_clock: object, roaming: Roaming) -> None:
    """It stood ahead before and stands ahead after: that is known, and nothing grows old of it."""
    jump(roaming, 10 * YEAR)
    charge = await roaming.ready()
    for house in (roaming.home, roaming.local):
        await roaming.down_time(house, 60)
    await lapses_in(roaming, charge, AUTHORIZATION_S - 120)


async def test_a_charge_that_goes_on_is_not_ended_by_a_node_that_starts_years_ahead(
    autojump_clock: object, roaming: Roaming
) -> None:
    charge = await roaming.running()
    roaming.local.kill()
    jump(roaming, 10 * YEAR)
    await roaming.down_time(roaming.local, 30)
    await roaming.station.come_online()
    jump(roaming, -10 * YEAR)
    await trio.sleep(60)
    assert await state(roaming.local, charge.destination) == "TxRunning"
    await roaming.station.stop(charge.number, 5_000)
    await roaming.settled(charge)
    assert (await roaming.same_cdr(charge)).energy_wh == 4_000


@pytest.mark.parametrize("by", FAR_AHEAD_AND_BACK)
async def test_a_start_that_fails_after_a_jump_leaves_the_rest_of_the_time(
    autojump_clock: object, roaming: Roaming, by: timedelta
) -> None:
    charge = await roaming.ready()
    roaming.station.verdicts.append(CallVerdict.REJECTED)
    jump(roaming, by)
    await roaming.start(charge)
    await roaming.home.until(charge.source, "Ready")
    await lapses_in(roaming, charge, AUTHORIZATION_S)


@pytest.mark.parametrize("by", FAR_AHEAD_AND_BACK)
async def test_silence_is_counted_in_the_nodes_own_time(
    autojump_clock: object, roaming: Roaming, by: timedelta
) -> None:
    charge = await roaming.running()
    jump(roaming, by)
    await trio.sleep(SILENCE_S - 60)
    assert (await roaming.local.data(charge.destination)).doubted_until is None
    await trio.sleep(120)
    assert "silent" in (await roaming.local.data(charge.destination)).flags


@pytest.mark.parametrize("by", FAR_AHEAD_AND_BACK)
async def test_a_delivery_is_tried_again_after_its_pause_and_not_before(
    autojump_clock: object, roaming: Roaming, by: timedelta
) -> None:
    charge = await roaming.running()
    roaming.back.down = True
    await roaming.station.stop(charge.number, 5_000)
    await trio.sleep(100)
    tried = len(roaming.back.of(EndTransaction))
    jump(roaming, by)
    await trio.sleep(100)
    assert len(roaming.back.of(EndTransaction)) - tried <= 3
    roaming.back.down = False
    await roaming.settled(charge, within_s=900)
    assert len((await roaming.cdrs())[0]) == 1


@pytest.mark.parametrize("by", FAR_AHEAD_AND_BACK)
async def test_a_start_that_is_repeated_after_its_end_is_known_whatever_the_clock_says(
    autojump_clock: object, roaming: Roaming, by: timedelta
) -> None:
    charge, at = await roaming.start_asked(), EPOCH + timedelta(seconds=trio.current_time())
    number = (await roaming.station.start(charge.name, at=at)).transaction_id
    await roaming.station.stop(number, 5_000)
    await roaming.settled(charge)
    jump(roaming, by)
    assert (await roaming.station.start(charge.name, at=at)).transaction_id == number


# -- what is told ------------------------------------------------------------------------------------------------------


async def test_facts_carry_both_times(autojump_clock: object, roaming: Roaming) -> None:
    charge = await roaming.ready()
    jump(roaming, HOUR)
    await trio.sleep(AUTHORIZATION_S + 5)
    facts = await roaming.local.journal.load(charge.destination)
    assert [b"ahead_s" in fact.data for fact in facts] == [False, True]
    assert facts[1].at == EPOCH + timedelta(seconds=AUTHORIZATION_S)
    event = DeadlineReached(at=EPOCH, ahead_s=3_600)
    assert event.wall_at == EPOCH + HOUR


@pytest.mark.parametrize("by", FAR_AHEAD_AND_BACK)
async def test_people_are_shown_what_their_own_clocks_show(
    autojump_clock: object, roaming: Roaming, by: timedelta
) -> None:
    charge = await roaming.ready()
    jump(roaming, by)
    expected = EPOCH + timedelta(seconds=AUTHORIZATION_S) + by

    def times(view: TransactionView) -> tuple[object, ...]:
        return view.created_at, view.changed_at, view.expires_at

    shown = await roaming.view(charge)
    assert shown.expires_at == expected and shown.created_at == EPOCH + by
    listed = await roaming.home.source.transactions(APP, state=None, user_identifier=None, cursor=None, limit=9)
    changed = await roaming.home.source.newest(APP, charge.transaction_id)
    assert times(listed.items[0]) == times(changed.transaction) == times(shown)
    started = await roaming.start(charge)
    assert started.operations[0].requested_at == EPOCH + by
    assert started.operations[0].until is not None and started.operations[0].until < expected


async def test_a_list_is_read_to_its_end_while_the_clock_is_set(autojump_clock: object, roaming: Roaming) -> None:
    charges = [await roaming.ready() for _ in range(3)]
    seen: list[str] = []
    cursor: str | None = None
    for by in JUMPS:
        page = await roaming.home.source.transactions(APP, state=None, user_identifier=None, cursor=cursor, limit=1)
        seen += [view.transaction_id for view in page.items]
        cursor = page.next_cursor
        jump(roaming, by)
        if cursor is None:
            break
    assert sorted(seen) == sorted(charge.transaction_id for charge in charges)


async def test_a_station_is_told_the_machines_time(autojump_clock: object, roaming: Roaming) -> None:
    jump(roaming, HOUR)
    boot = await roaming.station.say(BootNotification(vendor="V", model="M"))
    assert boot.current_time == EPOCH + HOUR + timedelta(seconds=trio.current_time())


async def test_a_restarted_node_goes_on_from_its_newest_fact(autojump_clock: object, roaming: Roaming) -> None:
    await roaming.ready()
    jump(roaming, YEAR)
    await roaming.down_time(roaming.local, 60)
    newest = await roaming.local.journal.newest()
    assert newest is not None and newest.type != NodeRestarted.__name__
    assert abs(roaming.local.context.clock.now() - EPOCH - AWAY_MAX) < timedelta(minutes=2)
