"""StopTransaction: always taken and answered, ended once, matched by its number or by what else it says."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
import trio

from statecharts.station_reports import ConnectorStatus, IdTagAnswer, StopTransaction
from statecharts.vocabulary import EndTransaction
from tests.support.books import CARD, STRANGER, ago, book, free, going_on, local, locals_of, orphans, restarted
from tests.support.house import StationLine, place
from tests.support.roaming import Roaming


async def test_a_stop_is_answered_with_the_verdict_on_the_id_tag_that_it_names(
    autojump_clock: object, line: StationLine
) -> None:
    number = (await line.start(CARD)).transaction_id
    answer = await line.stop(number, 2_000, id_tag=CARD)
    assert isinstance(answer, IdTagAnswer) and answer.id_tag_info is not None
    assert answer.id_tag_info.status == "Accepted"


async def test_a_stop_without_an_id_tag_is_answered_without_a_verdict(
    autojump_clock: object, line: StationLine
) -> None:
    number = (await line.start(CARD)).transaction_id
    assert await line.stop(number, 2_000) == IdTagAnswer(id_tag_info=None)


async def test_a_repeated_stop_changes_nothing(
    autojump_clock: object, line: StationLine, nursery: trio.Nursery
) -> None:
    number = (await line.start(CARD)).transaction_id
    at = line.house.clock.now()
    await line.stop(number, 2_000, at=at)
    ended = await local(line, number)
    await trio.sleep(30)
    await line.stop(number, 2_000, at=at)
    again = await restarted(line, nursery)
    await again.stop(number, 2_000, at=at)
    assert await local(again, number) == ended
    assert await orphans(again) == ()


async def test_another_stop_of_an_ended_charge_is_kept_as_a_correction(
    autojump_clock: object, line: StationLine
) -> None:
    number = (await line.start(CARD)).transaction_id
    await line.stop(number, 2_000)
    await trio.sleep(30)
    await line.stop(number, 9_000)
    data = await local(line, number)
    assert (data.state, data.charge.energy_wh, data.corrections) == ("Settled", 1_000, 1)


@pytest.mark.parametrize("unlearned", [-1, -7, 0])
async def test_a_stop_without_a_number_ends_the_charge_of_its_id_tag(
    autojump_clock: object, line: StationLine, unlearned: int
) -> None:
    other = (await line.start(STRANGER, connector_id=2)).transaction_id
    meant = (await line.start(CARD)).transaction_id
    await line.stop(unlearned, 4_000, id_tag=CARD.lower())
    assert (await local(line, meant)).charge.energy_wh == 3_000
    assert await going_on(line) == [other] and await orphans(line) == ()


async def test_a_stop_without_number_and_id_tag_ends_the_only_charge_that_it_can_mean(
    autojump_clock: object, line: StationLine
) -> None:
    meant = (await line.start(CARD)).transaction_id
    await trio.sleep(600)
    await line.start(STRANGER, connector_id=2)
    await line.stop(-1, 4_000, at=ago(line, seconds=300))
    assert (await book(line))[meant].open is False


async def test_a_stop_without_number_that_may_mean_two_charges_is_an_orphan(
    autojump_clock: object, line: StationLine
) -> None:
    numbers = [(await line.start(CARD, connector_id=connector)).transaction_id for connector in (1, 2)]
    await line.stop(-1, 4_000, id_tag=CARD)
    assert await going_on(line) == numbers
    (orphan,) = await orphans(line)
    assert msgspec.json.decode(orphan.body, type=StopTransaction).meter_stop_wh == 4_000


async def test_a_stop_that_names_nothing_is_not_of_a_charge_whose_number_the_station_uses(
    autojump_clock: object, line: StationLine, nursery: trio.Nursery
) -> None:
    number = (await line.start(CARD)).transaction_id
    await line.meter(number, 1_500)
    again = await restarted(line, nursery)
    await again.stop(-1, 4_000)
    assert await going_on(again) == [number]
    (orphan,) = await orphans(again)
    assert msgspec.json.decode(orphan.body, type=StopTransaction).meter_stop_wh == 4_000
    await again.stop(number, 2_000)
    data = await local(again, number)
    assert (data.charge.energy_wh, data.corrections) == (1_000, 0)


async def test_a_stop_that_names_nothing_is_not_of_a_charge_whose_number_the_station_used_once_it_was_over(
    autojump_clock: object, line: StationLine
) -> None:
    reconciled, ended = [(await line.start(CARD, meter_start_wh=wh)).transaction_id for wh in (1_000, 1_200)]
    await line.stop(ended, 2_000)
    await line.meter(reconciled, 1_500)
    await line.stop(-1, 4_000)
    assert len(await orphans(line)) == 1


async def test_a_stop_that_names_nothing_is_not_of_a_charge_after_which_another_one_began(
    autojump_clock: object, line: StationLine
) -> None:
    """The first charge ended without a word when the second began; that one was stopped by its number."""
    first = (await line.start(CARD)).transaction_id
    await trio.sleep(600)
    second = (await line.start(STRANGER, meter_start_wh=2_000)).transaction_id
    await trio.sleep(600)
    await line.stop(second, 3_000)
    reconciled = await local(line, first)
    await line.stop(-1, 4_000)
    assert await local(line, first) == reconciled and len(await orphans(line)) == 1
    await line.stop(-1, 1_900, at=ago(line, seconds=900))
    assert (await local(line, first)).corrections == 1 and len(await orphans(line)) == 1


async def test_a_stop_that_names_nothing_is_of_a_charge_that_was_metered_without_its_number(
    autojump_clock: object, line: StationLine
) -> None:
    number = (await line.start(CARD)).transaction_id
    await line.meter(-1, 1_500)
    await line.stop(-1, 4_000)
    assert (await local(line, number)).charge.energy_wh == 3_000 and await orphans(line) == ()


@pytest.mark.parametrize("metered", [None, 1_500])
async def test_a_stop_that_names_nothing_is_not_of_a_charge_whose_register_has_shown_more(
    autojump_clock: object, line: StationLine, metered: int | None
) -> None:
    number = (await line.start(CARD)).transaction_id
    if metered is not None:
        await line.meter(None, metered)
    await line.stop(-1, (metered or 1_000) - 1)
    assert await going_on(line) == [number] and len(await orphans(line)) == 1
    await line.stop(-1, metered or 1_000)
    assert await going_on(line) == []


async def test_a_stop_that_names_nothing_means_nothing_while_another_connector_shows_a_charge_without_start(
    autojump_clock: object, line: StationLine
) -> None:
    number = (await line.start(CARD)).transaction_id
    await line.status(2, ConnectorStatus.CHARGING)
    await line.stop(-1, 4_000)
    assert await going_on(line) == [number] and len(await orphans(line)) == 1


async def test_a_stop_of_an_authorisation_that_nobody_asked_to_start_is_kept_with_what_it_says(
    autojump_clock: object, roaming: Roaming
) -> None:
    charge = await roaming.ready()
    await roaming.station.stop(-1, 4_000, id_tag=charge.name)
    data = await roaming.local.data(charge.destination)
    assert (data.state, data.flags) == ("Ready", ("misuse",))
    assert [orphan.kind for orphan in await orphans(roaming.station)] == ["StopTransaction"]


async def test_a_repeated_stop_without_number_is_known_again(
    autojump_clock: object, line: StationLine, nursery: trio.Nursery
) -> None:
    number = (await line.start(CARD)).transaction_id
    at = line.house.clock.now()
    await line.stop(-1, 4_000, id_tag=CARD, at=at)
    ended = await local(line, number)
    again = await restarted(line, nursery)
    await again.stop(-1, 4_000, id_tag=CARD, at=at)
    assert await local(again, number) == ended and await orphans(again) == ()


async def test_a_stop_with_an_unknown_number_is_answered_and_kept_once(
    autojump_clock: object, line: StationLine, nursery: trio.Nursery
) -> None:
    running = (await line.start(CARD)).transaction_id
    at = line.house.clock.now()
    for _ in range(2):
        await line.stop(4711, 4_000, at=at, id_tag=STRANGER)
    again = await restarted(line, nursery)
    await again.stop(4711, 4_000, at=at, id_tag=STRANGER)
    (orphan,) = await orphans(again)
    assert (orphan.station, orphan.kind) == ("CS01", "StopTransaction")
    assert await going_on(again) == [running]


async def test_a_stop_of_another_stations_charge_ends_nothing(autojump_clock: object, roaming: Roaming) -> None:
    charge = await roaming.running()
    local_house = roaming.local
    await local_house.add(place("CS02"))
    stranger = StationLine(local_house, "CS02")
    await stranger.come_online()
    await stranger.stop(charge.number, 99_000, id_tag=charge.name)
    await stranger.stop(-1, 99_000, id_tag=charge.name)
    assert (await local_house.data(charge.destination)).state == "TxRunning"
    assert len(await orphans(stranger)) == 2


# -- the stop comes first ----------------------------------------------------------------------------------------------


async def test_a_late_start_joins_the_stop_that_came_before_it(autojump_clock: object, line: StationLine) -> None:
    began, ended = ago(line, hours=2), ago(line, hours=1)
    await line.stop(-1, 4_000, id_tag=CARD, at=ended)
    number = (await line.start(CARD, at=began)).transaction_id
    data = await local(line, number)
    assert (data.state, data.charge.energy_wh, data.charge.stop_timestamp) == ("Settled", 3_000, ended)
    assert await going_on(line) == [] and await free(line) == (1, 2)
    assert await orphans(line) == ()


async def test_a_start_that_joined_its_stop_may_be_repeated_like_any_other(
    autojump_clock: object, line: StationLine, nursery: trio.Nursery
) -> None:
    began, ended = ago(line, hours=2), ago(line, hours=1)
    await line.stop(-1, 4_000, id_tag=CARD, at=ended)
    answer = await line.start(CARD, at=began)
    again = await restarted(line, nursery)
    assert await again.start(CARD, at=began) == answer
    await again.stop(-1, 4_000, id_tag=CARD, at=ended)
    assert len(await locals_of(line.house)) == 1 and await orphans(again) == ()


async def test_a_start_after_an_orphaned_stop_does_not_join_it(autojump_clock: object, line: StationLine) -> None:
    await line.stop(-1, 4_000, id_tag=CARD, at=ago(line, hours=1))
    number = (await line.start(CARD)).transaction_id
    assert (await local(line, number)).state == "TxRunning"
    assert len(await orphans(line)) == 1


async def test_a_roaming_stop_before_its_start_ends_it_and_the_start_joins(
    autojump_clock: object, roaming: Roaming
) -> None:
    charge = await roaming.start_asked()
    began = roaming.local.clock.now()
    await roaming.station.stop(-1, 4_000, id_tag=charge.name, at=began + timedelta(seconds=20))
    await roaming.settled(charge)
    assert len(roaming.back.of(EndTransaction)) == 1

    answer = await roaming.station.start(charge.name, at=began)
    assert answer.id_tag_info.status == "Accepted"
    assert await going_on(roaming.station) == [] and await locals_of(roaming.local) == []
    data = await roaming.local.data(charge.destination)
    assert (data.charge.energy_wh, data.corrections, data.flags) == (3_000, 1, ("energy-unknown", "late-start"))
    assert len(roaming.back.of(EndTransaction)) == 1


async def test_a_roaming_stop_without_its_start_is_told_once_however_often_it_is_repeated(
    autojump_clock: object, roaming: Roaming
) -> None:
    charge = await roaming.start_asked()
    at = roaming.local.clock.now()
    for _ in range(3):
        await roaming.station.stop(-1, 4_000, id_tag=charge.name, at=at)
    await roaming.settled(charge)
    assert (await roaming.same_cdr(charge)).energy_wh is None
    assert await orphans(roaming.station) == ()


async def test_a_second_start_after_a_roaming_stop_without_start_is_misuse(
    autojump_clock: object, roaming: Roaming
) -> None:
    charge = await roaming.start_asked()
    await roaming.station.stop(-1, 4_000, id_tag=charge.name)
    await trio.sleep(60)
    answer = await roaming.station.start(charge.name)
    assert answer.id_tag_info.status == "Invalid"
    assert (await local(roaming.station, answer.transaction_id)).state == "TxRunning"


# -- both ends of the queue --------------------------------------------------------------------------------------------


async def test_a_roaming_charge_that_went_on_offline_ends_with_its_own_times(
    autojump_clock: object, roaming: Roaming
) -> None:
    charge = await roaming.running()
    await roaming.station.go_offline()
    await trio.sleep(1_800)
    stopped_at = roaming.local.clock.now()
    await trio.sleep(7_200)
    back = StationLine(roaming.local, "CS01")
    await back.come_online(boot=False)
    await back.stop(charge.number, 8_000, at=stopped_at)
    await roaming.settled(charge)
    cdr = await roaming.same_cdr(charge)
    assert (cdr.energy_wh, cdr.end_timestamp) == (7_000, stopped_at)
    assert back.commands == []
