"""A charge that does not end: why it is open, and how an operator ends it when its station never will."""

from __future__ import annotations

import msgspec
import pytest
import trio

from actors.transaction_kinds import KINDS
from statecharts.ports import TransactionView, WaitingView
from statecharts.station_reports import ConnectorStatus
from statecharts.vocabulary import Declined, Refusal, Refused
from statecharts.waiting import IN_DOUBT, awaited
from tests.support.books import CARD, free, going_on, local, restarted
from tests.support.house import House, StationLine
from tests.support.roaming import Roaming


async def waiting(house: House, role: str, identifier: object) -> WaitingView:
    view = await house.operator.transaction(role, str(identifier))
    assert view.waiting is not None
    return view.waiting


async def close(line: StationLine, number: int) -> TransactionView:
    return await line.house.operator.close("local", str(number), "the car was towed away", "olga")


async def test_an_open_charge_says_of_whom_what_is_awaited_until_when(
    autojump_clock: object, line: StationLine
) -> None:
    number = (await line.start(CARD)).transaction_id
    why = await waiting(line.house, "local", number)
    assert (why.owner, why.awaits) == (f"station {line.identity}", "the end of the charge")
    await line.status(1, ConnectorStatus.AVAILABLE)
    doubted = await waiting(line.house, "local", number)
    assert doubted.awaits == IN_DOUBT and doubted.until == (await local(line, number)).doubted_until
    assert why.until is not None and doubted.until < why.until
    await line.stop(number, 2_000)
    assert (await line.house.operator.transaction("local", str(number))).waiting is None


async def test_an_open_charge_says_since_when_and_when_it_was_last_heard_of(
    autojump_clock: object, line: StationLine
) -> None:
    number = (await line.start(CARD)).transaction_id
    first = await waiting(line.house, "local", number)
    await trio.sleep(600)
    await line.meter(number, 2_500)
    why = await waiting(line.house, "local", number)
    assert why.since == first.since and first.heard_at is not None and why.heard_at is not None
    assert 599 < (why.heard_at - first.heard_at).total_seconds() < 601
    assert (why.code, why.may) == ("end", ("stop", "close"))
    await line.house.operator.stop("local", str(number))
    asked = await waiting(line.house, "local", number)
    assert asked.code == "end-asked-for" and asked.since is not None and why.since is not None
    assert 599 < (asked.since - why.since).total_seconds() < 601


async def test_a_record_that_the_partner_refused_may_be_sent_again(autojump_clock: object, roaming: Roaming) -> None:
    charge = await roaming.running()
    assert (await waiting(roaming.home, "source", charge.transaction_id)).may == ()
    roaming.back.script = [Declined(refusal=Refusal(code=400, kind="peer-refused", message="no"))]
    await roaming.station.stop(charge.number, 5_000)
    await trio.sleep(1)
    why = await waiting(roaming.local, "destination", charge.name)
    assert (why.code, why.may) == ("receipt", ("replay",))
    roaming.back.down = True
    await roaming.local.operator.replay_parked(roaming.home.name, None, 9)
    assert (await waiting(roaming.local, "destination", charge.name)).may == ()


@pytest.mark.parametrize("role", KINDS)
def test_no_open_state_leaves_anybody_wondering(role: str) -> None:
    chart = KINDS[role].chart
    wondering = [state for state in chart.states if not state.final and state.name != "New"]
    blank = KINDS[role].form.blank.data
    assert all(awaited(role, msgspec.structs.replace(blank, state=state.name)) for state in wondering)


async def test_both_operators_see_what_a_roaming_charge_waits_for(autojump_clock: object, roaming: Roaming) -> None:
    charge = await roaming.ready()
    home, there = roaming.home, roaming.local
    assert (await waiting(home, "source", charge.transaction_id)).owner == "the app"
    assert (await waiting(there, "destination", charge.name)).awaits == "a start"
    await roaming.start_asked(charge)
    assert (await waiting(there, "destination", charge.name)).owner == f"station {roaming.station.identity}"
    assert (await waiting(home, "source", charge.transaction_id)).awaits == "word that the charge has begun"
    await roaming.running(charge)
    assert (await waiting(home, "source", charge.transaction_id)).awaits == "the end of the charge"


async def test_a_charge_that_is_closed_ends_with_its_last_reading_and_frees_its_connector(
    autojump_clock: object, line: StationLine, nursery: trio.Nursery
) -> None:
    number = (await line.start(CARD)).transaction_id
    await line.meter(number, 2_500)
    await line.go_offline()
    view = await close(line, number)
    assert (view.state, view.energy_wh, view.cause) == ("Settled", 1_500, "closed by olga: the car was towed away")
    assert "estimated" in view.flags and view.waiting is None
    await trio.sleep(1)
    assert await going_on(line) == []
    again = await restarted(line, nursery)
    assert await free(again) == (1, 2)
    with pytest.raises(Refused, match="already-finished"):
        await close(again, number)


async def test_what_the_station_says_after_a_charge_was_closed_is_a_correction(
    autojump_clock: object, line: StationLine
) -> None:
    number = (await line.start(CARD)).transaction_id
    await close(line, number)
    await line.stop(number, 9_000)
    data = await local(line, number)
    assert (data.charge.energy_wh, data.charge.estimated, data.corrections) == (0, True, 1)


async def test_a_roaming_charge_that_is_closed_has_its_charge_record(autojump_clock: object, roaming: Roaming) -> None:
    charge = await roaming.running()
    await roaming.station.meter(charge.number, 3_000)
    await roaming.local.operator.close("destination", charge.name, "no end reported", "olga")
    await roaming.settled(charge)
    cdr = await roaming.same_cdr(charge)
    assert cdr.energy_wh == 2_000


async def test_a_charge_at_another_operators_station_cannot_be_closed_here(
    autojump_clock: object, roaming: Roaming
) -> None:
    charge = await roaming.running()
    with pytest.raises(Refused, match="not-here"):
        await roaming.home.operator.close("source", charge.transaction_id, "enough", "olga")
