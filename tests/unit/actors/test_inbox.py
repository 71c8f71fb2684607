"""The orphan inbox: what belongs to nothing we know is kept with its reason, and decided on once, by whom and when."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from statecharts.doors import OrphanView
from statecharts.oddities import Handling, OddMessage
from statecharts.station_reports import MeterSample, TransactionEvent, TransactionEventKind
from statecharts.vocabulary import Refused
from tests.support.books import CARD, STRANGER, ago, book, going_on, local, locals_of, restarted
from tests.support.crashes import Blade
from tests.support.house import StationLine, kept
from tests.support.roaming import Roaming

UNREADABLE = OddMessage(
    action="StartTransaction", payload='{"idTag":[]}', notes=("`$.idTag` is no text",), handling=Handling.UNREADABLE
)


async def inbox(line: StationLine, state: str = "open", **wanted: Any) -> tuple[OrphanView, ...]:
    asked = {"station": None, "kind": None, **wanted}
    return (await line.house.operator.orphans(state=state, cursor=None, limit=99, **asked)).items


async def the_orphan(line: StationLine) -> OrphanView:
    (orphan,) = await inbox(line)
    return orphan


async def assign(line: StationLine, orphan: OrphanView, number: int | str, role: str = "local") -> OrphanView:
    return await line.house.operator.assign_orphan(orphan.id, role, str(number), "olga")


async def dismiss(line: StationLine, orphan: OrphanView, reason: str = "a test") -> OrphanView:
    return await line.house.operator.dismiss_orphan(orphan.id, reason, "olga")


async def refusal(deciding: Any) -> str:
    with pytest.raises(Refused) as raised:
        await deciding
    return raised.value.refusal.kind


# -- kept --------------------------------------------------------------------------------------------------------------


async def test_an_orphan_says_why_it_is_one(autojump_clock: object, line: StationLine) -> None:
    await line.stop(77, 4_000)
    await line.stop(-1, 4_000)
    assert [(each.kind, each.state, each.why) for each in await inbox(line)] == [
        ("StopTransaction", "open", "it names no charge, and may be of none or of several"),
        ("StopTransaction", "open", "this station has no charge 77"),
    ]
    assert await inbox(line, station="CS99") == await inbox(line, kind="MeterValues") == ()


async def test_what_a_station_repeats_is_kept_once_also_after_it_was_decided_on(
    autojump_clock: object, line: StationLine
) -> None:
    at = line.house.clock.now()
    for _ in range(3):
        await line.stop(77, 4_000, at=at)
    await dismiss(line, await the_orphan(line))
    await line.stop(77, 4_000, at=at)
    assert await inbox(line) == ()


async def test_a_message_that_nobody_can_read_is_kept_as_it_came(autojump_clock: object, line: StationLine) -> None:
    for _ in range(2):
        await kept(line.house.stations.odd(line.identity, UNREADABLE))
    orphan = await the_orphan(line)
    assert (orphan.kind, orphan.why) == ("OddMessage", "`$.idTag` is no text")
    assert orphan.report["payload"] == UNREADABLE.payload
    number = (await line.start(CARD)).transaction_id
    assert await refusal(assign(line, orphan, number)) == "unreadable"
    assert (await dismiss(line, orphan)).state == "dismissed"


# -- assigned ----------------------------------------------------------------------------------------------------------


async def test_a_stop_that_is_assigned_ends_its_charge_as_if_it_had_named_it(
    autojump_clock: object, line: StationLine, nursery: trio.Nursery
) -> None:
    meant, other = [(await line.start(CARD, connector_id=connector)).transaction_id for connector in (1, 2)]
    await trio.sleep(600)
    at = ago(line, seconds=60)
    await line.stop(-1, 4_000, at=at, id_tag=CARD)
    orphan = await the_orphan(line)
    decided = await assign(line, orphan, meant)
    assert (decided.state, decided.decided_by, decided.transaction) == ("assigned", "olga", f"local/{meant}")
    data = await local(line, meant)
    assert (data.state, data.charge.energy_wh, data.charge.stop_timestamp) == ("Settled", 3_000, at)
    assert await going_on(line) == [other] and await inbox(line) == ()
    again = await restarted(line, nursery)
    assert await assign(again, orphan, meant) == decided
    assert await inbox(again, "assigned") == (decided,) and await local(again, meant) == data


async def test_an_assigned_stop_of_a_roaming_charge_is_its_charge_record(
    autojump_clock: object, roaming: Roaming
) -> None:
    line = roaming.station
    charge = await roaming.running()
    await line.start(STRANGER, connector_id=2)
    await line.stop(-1, 5_000)
    await assign(line, await the_orphan(line), charge.name, "destination")
    await roaming.settled(charge)
    assert (await roaming.same_cdr(charge)).energy_wh == 4_000


async def test_readings_that_are_assigned_are_those_of_the_charge(autojump_clock: object, line: StationLine) -> None:
    number = (await line.start(CARD)).transaction_id
    await line.meter(77, 2_500)
    await assign(line, await the_orphan(line), number)
    assert (await local(line, number)).charge.energy_wh == 1_500


async def test_an_event_that_names_no_transaction_can_be_assigned(autojump_clock: object, line: StationLine) -> None:
    number = (await line.start(CARD)).transaction_id
    at = line.house.clock.now()
    for kind, wh in ((TransactionEventKind.UPDATED, 2_000), (TransactionEventKind.ENDED, 2_500)):
        samples = (MeterSample(timestamp=at, value=str(wh)),)
        event = TransactionEvent(kind=kind, reference="", seq_no=0, timestamp=at, trigger="", samples=samples)
        await line.say(event)
    for orphan in reversed(await inbox(line)):
        await assign(line, orphan, number)
    data = await local(line, number)
    assert (data.state, data.charge.energy_wh) == ("Settled", 1_500)


async def test_a_stop_assigned_to_a_charge_that_is_over_is_a_correction(
    autojump_clock: object, line: StationLine
) -> None:
    number = (await line.start(CARD)).transaction_id
    await line.stop(number, 2_000)
    await line.stop(77, 3_000)
    await assign(line, await the_orphan(line), number)
    data = await local(line, number)
    assert (data.charge.energy_wh, data.corrections) == (1_000, 1)


async def test_a_stop_that_was_decided_on_is_not_joined_to_a_start_that_comes_later(
    autojump_clock: object, line: StationLine
) -> None:
    await trio.sleep(600)
    await line.stop(-1, 4_000, id_tag=CARD, at=ago(line, seconds=60))
    await dismiss(line, await the_orphan(line))
    await line.start(CARD, at=ago(line, seconds=300))
    assert len(await going_on(line)) == 1


async def test_a_stop_that_found_its_late_start_is_joined_without_an_operator(
    autojump_clock: object, line: StationLine
) -> None:
    await trio.sleep(600)
    await line.stop(-1, 4_000, id_tag=CARD, at=ago(line, seconds=60))
    orphan = await the_orphan(line)
    number = (await line.start(CARD, at=ago(line, seconds=300))).transaction_id
    (joined,) = await inbox(line, "joined")
    assert (joined.id, joined.transaction, joined.decided_by) == (orphan.id, f"local/{number}", None)
    assert await refusal(dismiss(line, orphan)) == "already-decided"
    assert (await local(line, number)).charge.energy_wh == 3_000


# -- decided once ------------------------------------------------------------------------------------------------------


async def test_a_decision_is_made_once_and_another_one_is_refused(autojump_clock: object, line: StationLine) -> None:
    numbers = [(await line.start(CARD, connector_id=connector)).transaction_id for connector in (1, 2)]
    await line.stop(77, 4_000)
    orphan = await the_orphan(line)
    decided = await assign(line, orphan, numbers[0])
    assert await assign(line, orphan, numbers[0]) == decided
    assert await refusal(assign(line, orphan, numbers[1])) == "already-decided"
    assert await refusal(dismiss(line, orphan)) == "already-decided"
    assert await line.house.operator.orphan(orphan.id) == decided
    assert await going_on(line) == numbers[1:]


async def test_an_orphan_can_only_be_assigned_where_its_station_is(autojump_clock: object, line: StationLine) -> None:
    await line.stop(77, 4_000)
    orphan = await the_orphan(line)
    assert await refusal(assign(line, orphan, 99)) == "not-of-this-station"
    assert await refusal(line.house.operator.orphan(99)) == "unknown-orphan"
    assert await refusal(line.house.operator.dismiss_orphan(99, "a test", "olga")) == "unknown-orphan"
    assert await book(line) == {} and await locals_of(line.house) == []


@pytest.mark.parametrize("written", [False, True])
@pytest.mark.parametrize("nth", [1, 2, 3])
async def test_an_assignment_that_is_cut_short_can_be_made_again(
    autojump_clock: object, line: StationLine, nursery: trio.Nursery, nth: int, written: bool
) -> None:
    number = (await line.start(CARD)).transaction_id
    await line.start(CARD, connector_id=2)
    await line.stop(-1, 4_000)
    orphan = await the_orphan(line)
    blade = Blade(line.house, cut_at=nth, written=written)
    with trio.move_on_after(5):
        await assign(line, orphan, number)
    assert blade.cut.is_set()
    again = await restarted(line, nursery)
    assert (await assign(again, orphan, number)).state == "assigned"
    data = await local(again, number)
    assert (data.state, data.charge.energy_wh, data.corrections) == ("Settled", 3_000, 0)
    assert len(await inbox(again, "assigned")) == 1
