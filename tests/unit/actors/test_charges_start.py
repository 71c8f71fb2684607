"""StartTransaction: one number and one verdict for one start, whatever is repeated, lost or in the way."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trio

from actors.transaction import TransactionActor
from statecharts.charging import TransactionStarted
from statecharts.directory import UserEntry
from statecharts.station_reports import AuthorizeIdTag, IdTagAnswer
from statecharts.station_vocabulary import IdTagInfo, IdTagStatus
from statecharts.vocabulary import Refused
from tests.support.books import CARD, STRANGER, ago, book, going_on, local, locals_of, orphans, restarted
from tests.support.crashes import Blade, Writing, disk_full, write_by
from tests.support.house import EPOCH, StationLine, open_house, place

STUCK = datetime(1970, 1, 1, 0, 0, 30, tzinfo=UTC)


USERS = (
    UserEntry(identifier="good", id_tags=("GOOD",), valid_until=EPOCH + timedelta(days=1)),
    UserEntry(identifier="blocked", id_tags=("BLOCKED",), blocked=True),
    UserEntry(identifier="expired", id_tags=("EXPIRED",), valid_until=EPOCH),
    UserEntry(identifier="early", id_tags=("EARLY",), valid_from=EPOCH + timedelta(days=1)),
)


@pytest.mark.parametrize(
    ("card", "verdict"),
    [("good", "Accepted"), ("BLOCKED", "Blocked"), ("Expired", "Expired"), ("EARLY", "Invalid"), (STRANGER, "Invalid")],
)
async def test_a_card_is_taken_only_if_its_user_may_charge_now_whether_it_is_asked_for_or_starts(
    card: str, verdict: str, autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with open_house("IE-001", nursery, users=USERS) as house:
        line = StationLine(house, "CS01")
        await line.come_online()
        asked = await line.say(AuthorizeIdTag(id_tag=card))
        assert asked == IdTagAnswer(id_tag_info=IdTagInfo(status=IdTagStatus(verdict)))
        started = await line.start(card)
        assert started.id_tag_info == IdTagInfo(status=IdTagStatus(verdict))
        (view,) = await locals_of(house)
        assert ("not-authorised" in view.flags) is (verdict != "Accepted")


async def test_a_repeated_start_gets_the_same_number_and_verdict(autojump_clock: object, line: StationLine) -> None:
    at = line.house.clock.now()
    first = await line.start(CARD, at=at)
    await trio.sleep(60)
    assert await line.start(CARD, at=at) == first
    assert first.id_tag_info.status == "Accepted"
    assert len(await book(line)) == len(await locals_of(line.house)) == 1


async def test_a_start_repeated_after_a_node_restart_gets_the_same_number_and_verdict(
    autojump_clock: object, line: StationLine, nursery: trio.Nursery
) -> None:
    at = line.house.clock.now()
    first = await line.start(STRANGER, at=at)
    again = await restarted(line, nursery)
    assert await again.start(STRANGER, at=at) == first
    assert len(await locals_of(line.house)) == 1


async def test_a_repeated_start_in_other_case_is_the_same_start(autojump_clock: object, line: StationLine) -> None:
    at = line.house.clock.now()
    assert await line.start(CARD.lower(), at=at) == await line.start(CARD.upper(), at=at)


async def test_every_part_of_a_start_makes_it_another_one(autojump_clock: object, line: StationLine) -> None:
    at = line.house.clock.now()
    numbers = {
        (await line.start(CARD, at=at)).transaction_id,
        (await line.start(CARD, at=at, meter_start_wh=1_001)).transaction_id,
        (await line.start(CARD, at=at, connector_id=2)).transaction_id,
        (await line.start(STRANGER, at=at)).transaction_id,
        (await line.start(CARD, at=at + timedelta(seconds=1))).transaction_id,
    }
    assert len(numbers) == 5


async def test_a_start_repeated_after_its_end_is_a_retry_if_its_time_is_credible(
    autojump_clock: object, line: StationLine
) -> None:
    at = line.house.clock.now()
    first = await line.start(CARD, at=at)
    await line.stop(first.transaction_id, 2_000)
    await trio.sleep(3 * 86_400)
    assert await line.start(CARD, at=at) == first
    assert await going_on(line) == []


async def test_an_equal_start_after_the_end_with_a_stuck_clock_is_a_new_transaction(
    autojump_clock: object, line: StationLine
) -> None:
    first = await line.start(CARD, at=STUCK)
    assert await line.start(CARD, at=STUCK) == first
    await line.stop(first.transaction_id, 2_000, at=STUCK)
    second = await line.start(CARD, at=STUCK)
    assert second.transaction_id != first.transaction_id
    assert await going_on(line) == [second.transaction_id]


async def test_an_equal_start_after_the_end_from_the_future_is_a_new_transaction(
    autojump_clock: object, line: StationLine
) -> None:
    ahead = line.house.clock.now() + timedelta(days=365)
    first = await line.start(CARD, at=ahead)
    await line.stop(first.transaction_id, 2_000, at=ahead)
    assert (await line.start(CARD, at=ahead)).transaction_id != first.transaction_id


async def test_a_start_with_an_unknown_id_tag_is_rejected_and_recorded_with_a_number(
    autojump_clock: object, line: StationLine
) -> None:
    answer = await line.start(STRANGER)
    assert answer.id_tag_info.status == "Invalid" and answer.transaction_id > 0
    data = await local(line, answer.transaction_id)
    assert (data.state, data.id_tag, data.flags) == ("TxRunning", STRANGER, ("not-authorised",))
    await line.stop(answer.transaction_id, 1_250)
    assert (await local(line, answer.transaction_id)).charge.energy_wh == 250


async def test_numbers_are_positive_31_bit_and_unique_over_stations_and_restarts(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with open_house("IE-001", nursery, places=(place("CS01"), place("CS02"))) as house:
        numbers: list[int] = []
        for _ in range(3):
            for identity in ("CS01", "CS02"):
                station = StationLine(house, identity)
                await station.come_online()
                numbers += [(await station.start(CARD, connector_id=c)).transaction_id for c in (1, 2)]
            await trio.sleep(1)
            await house.restart(nursery)
        assert len(set(numbers)) == 12
        assert all(0 < number < 2**31 for number in numbers)


async def test_a_second_start_on_a_busy_connector_reconciles_the_first(
    autojump_clock: object, line: StationLine
) -> None:
    first = (await line.start(CARD)).transaction_id
    await trio.sleep(60)
    await line.meter(first, 1_700)
    await trio.sleep(60)
    second = (await line.start(STRANGER, meter_start_wh=1_900)).transaction_id
    ended = await local(line, first)
    assert (ended.state, ended.charge.estimated, ended.charge.reason) == ("Settled", True, "Reconciled")
    assert ended.charge.energy_wh == 700
    assert await going_on(line) == [second]


async def test_a_start_on_the_other_connector_ends_nothing(autojump_clock: object, line: StationLine) -> None:
    first = (await line.start(CARD, connector_id=1)).transaction_id
    second = (await line.start(STRANGER, connector_id=2)).transaction_id
    assert await going_on(line) == [first, second]


async def test_queued_charges_are_taken_in_order_with_their_own_times(
    autojump_clock: object, line: StationLine
) -> None:
    for hours, register in ((30, 1_000), (20, 5_000), (10, 9_000)):
        began = ago(line, hours=hours)
        number = (await line.start(CARD, at=began, meter_start_wh=register)).transaction_id
        await line.stop(number, register + 4_000, at=began + timedelta(hours=2))
    views = await locals_of(line.house)
    assert [(v.state, v.energy_wh) for v in views] == [("Settled", 4_000)] * 3
    assert [v.start_timestamp for v in views] == [EPOCH - timedelta(hours=hours) for hours in (30, 20, 10)]
    assert [v.end_timestamp for v in views] == [EPOCH - timedelta(hours=hours) for hours in (28, 18, 8)]
    assert line.commands == [] and await orphans(line) == ()


async def test_a_queued_start_older_than_the_charge_that_goes_on_does_not_end_it(
    autojump_clock: object, line: StationLine
) -> None:
    running = (await line.start(CARD, meter_start_wh=5_000)).transaction_id
    began = ago(line, hours=3)
    queued = (await line.start(STRANGER, at=began, meter_start_wh=1_000)).transaction_id
    await line.stop(queued, 4_000, at=began + timedelta(hours=1))
    assert await going_on(line) == [running]
    assert (await local(line, running)).state == "TxRunning"
    assert (await local(line, queued)).charge.energy_wh == 3_000


async def test_a_start_cut_off_before_its_verdict_is_judged_though_it_is_never_repeated(
    autojump_clock: object, line: StationLine, nursery: trio.Nursery
) -> None:
    blade = Blade(line.house, cut_at=1, written=True)
    with trio.move_on_after(5):
        await line.start(STRANGER)
    assert blade.cut.is_set()
    again = await restarted(line, nursery)
    (charge,) = (await book(again)).values()
    assert charge.id_tag_info is not None and charge.id_tag_info.status == "Invalid"
    assert (await local(again, charge.number)).state == "TxRunning"


async def test_a_start_at_a_connector_that_is_not_configured_is_recorded(
    autojump_clock: object, line: StationLine
) -> None:
    answer = await line.start(CARD, connector_id=99)
    assert (await local(line, answer.transaction_id)).state == "TxRunning"


@pytest.mark.parametrize("nth", [1, 2])
async def test_a_start_whose_write_failed_leaves_no_transaction_that_never_ends(
    autojump_clock: object, line: StationLine, monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    at, writing = line.house.clock.now(), Writing(line.house.journal.append)
    write_by(writing.append, line.house.journal, monkeypatch)
    writing.at(nth, disk_full)
    with suppress(Refused):
        await line.start(CARD, at=at)
    assert {view.state for view in await locals_of(line.house)} <= {"TxRunning"}
    assert (await line.start(CARD, at=at)).id_tag_info.status == "Accepted"
    (view,) = await locals_of(line.house)
    assert (view.state, view.user_identifier, view.local_service_identifier) == ("TxRunning", CARD, "CS01")


async def test_what_is_told_of_a_charge_whose_start_broke_its_transaction_is_kept_for_the_operator(
    autojump_clock: object, line: StationLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn = TransactionActor.turn

    async def fail(broken: TransactionActor[Any], message: Any) -> Any:
        if isinstance(message, TransactionStarted):
            raise RuntimeError("a defect of ours")
        return await turn(broken, message)

    monkeypatch.setattr(TransactionActor, "turn", fail)
    number = (await line.start(CARD)).transaction_id
    await trio.sleep(10)
    await line.meter(number, 2_000)
    await line.stop(number, 3_000)
    assert await locals_of(line.house) == [] and await going_on(line) == []
    assert [orphan.kind for orphan in await orphans(line)] == ["StopTransaction", "MeterValues"]
