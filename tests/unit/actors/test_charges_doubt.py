"""A charge that may be over without a word: doubt has an end, and the end frees the connector."""

from __future__ import annotations

import pytest
import trio

from statecharts.station_reports import BootNotification, ConnectorStatus
from statecharts.vocabulary import EndTransaction
from tests.support.books import CARD, STRANGER, free, going_on, local, restarted
from tests.support.house import StationLine
from tests.support.roaming import Roaming

RECONCILE_S, SILENCE_S = 3_600, 86_400


async def boot(line: StationLine) -> None:
    await line.say(BootNotification(vendor="V", model="M"))


@pytest.mark.parametrize("word", ["boot", "available"])
async def test_a_boot_or_a_free_connector_raises_doubt_and_ends_nothing(
    autojump_clock: object, line: StationLine, word: str
) -> None:
    number = (await line.start(CARD)).transaction_id
    await (boot(line) if word == "boot" else line.status(1, ConnectorStatus.AVAILABLE))
    data = await local(line, number)
    assert (data.state, data.flags) == ("TxRunning", ("doubted",)) and data.doubted_until is not None
    assert await going_on(line) == [number]


async def test_doubt_ends_with_an_estimated_end_and_a_free_connector(autojump_clock: object, line: StationLine) -> None:
    number = (await line.start(CARD)).transaction_id
    await trio.sleep(60)
    await line.meter(number, 2_500)
    await line.status(1, ConnectorStatus.AVAILABLE)
    await trio.sleep(RECONCILE_S + 1)
    data = await local(line, number)
    assert (data.state, data.charge.estimated, data.charge.energy_wh) == ("Settled", True, 1_500)
    assert "estimated" in data.flags
    assert await going_on(line) == [] and await free(line) == (1, 2)


@pytest.mark.parametrize("status", ["Charging", "SuspendedEV", "SuspendedEVSE"])
async def test_a_connector_that_goes_on_charging_ends_the_doubt(
    autojump_clock: object, line: StationLine, status: str
) -> None:
    number = (await line.start(CARD)).transaction_id
    await boot(line)
    await line.status(1, ConnectorStatus(status))
    await trio.sleep(RECONCILE_S + 1)
    assert (await local(line, number)).state == "TxRunning"


async def test_readings_end_the_doubt(autojump_clock: object, line: StationLine) -> None:
    number = (await line.start(CARD)).transaction_id
    await boot(line)
    await line.meter(number, 1_100)
    await trio.sleep(RECONCILE_S + 1)
    assert (await local(line, number)).state == "TxRunning"


async def test_a_second_doubt_does_not_put_off_the_end(autojump_clock: object, line: StationLine) -> None:
    number = (await line.start(CARD)).transaction_id
    for _ in range(4):
        await boot(line)
        await trio.sleep(RECONCILE_S / 4 + 1)
    assert (await local(line, number)).state == "Settled"


async def test_doubt_and_its_deadline_survive_a_restart(
    autojump_clock: object, line: StationLine, nursery: trio.Nursery
) -> None:
    number = (await line.start(CARD)).transaction_id
    await boot(line)
    await trio.sleep(RECONCILE_S / 2)
    again = await restarted(line, nursery)
    await trio.sleep(RECONCILE_S / 2 + 1)
    assert (await local(again, number)).charge.estimated
    assert await going_on(again) == []


async def test_a_charge_that_was_reconciled_while_its_station_slept_frees_the_connector_at_the_next_start(
    autojump_clock: object, line: StationLine, nursery: trio.Nursery
) -> None:
    number = (await line.start(CARD)).transaction_id
    await boot(line)
    line.house.kill()
    await trio.sleep(2 * RECONCILE_S)
    again = await restarted(line, nursery)
    await trio.sleep(1)
    assert (await local(again, number)).state == "Settled"
    assert await going_on(again) == []


async def test_long_silence_raises_doubt_and_then_ends(autojump_clock: object, line: StationLine) -> None:
    number = (await line.start(CARD)).transaction_id
    await line.go_offline()
    await trio.sleep(SILENCE_S + 1)
    assert (await local(line, number)).flags == ("silent",)
    await trio.sleep(RECONCILE_S)
    assert (await local(line, number)).charge.estimated and await going_on(line) == []


@pytest.mark.parametrize("status", ["Charging", "SuspendedEV", "SuspendedEVSE"])
async def test_a_parked_car_that_meters_nothing_for_days_is_no_ended_charge(
    autojump_clock: object, line: StationLine, status: str
) -> None:
    number = (await line.start(CARD)).transaction_id
    await line.status(1, ConnectorStatus(status))
    await trio.sleep(3.5 * SILENCE_S)
    data = await local(line, number)
    assert (data.state, data.doubted_until, data.flags) == ("TxRunning", None, ("silent",))


async def test_a_silent_station_is_asked_when_it_is_back(autojump_clock: object, line: StationLine) -> None:
    number = (await line.start(CARD)).transaction_id
    await line.status(1, ConnectorStatus.CHARGING)
    await line.go_offline()
    await trio.sleep(SILENCE_S + RECONCILE_S / 2)
    assert (await local(line, number)).doubted_until is not None
    await line.come_online(boot=False)
    await trio.sleep(RECONCILE_S)
    assert (await local(line, number)).state == "TxRunning"


async def test_what_a_connector_showed_before_a_boot_proves_nothing(autojump_clock: object, line: StationLine) -> None:
    number = (await line.start(CARD)).transaction_id
    await line.status(1, ConnectorStatus.CHARGING)
    await boot(line)
    await line.go_offline()
    await line.come_online(boot=False)
    await trio.sleep(RECONCILE_S + 1)
    assert (await local(line, number)).charge.estimated


async def test_the_true_stop_of_a_reconciled_charge_is_a_correction(autojump_clock: object, line: StationLine) -> None:
    number = (await line.start(CARD)).transaction_id
    await boot(line)
    await trio.sleep(RECONCILE_S + 1)
    await line.stop(number, 6_000)
    data = await local(line, number)
    assert (data.charge.estimated, data.corrections, "late-stop" in data.flags) == (True, 1, True)


async def test_a_reconciled_roaming_charge_is_told_as_estimated_and_its_connector_may_be_used_again(
    autojump_clock: object, roaming: Roaming
) -> None:
    charge = await roaming.running()
    await trio.sleep(60)
    await roaming.station.meter(charge.number, 2_200)
    await roaming.station.status(1, ConnectorStatus.AVAILABLE)
    await trio.sleep(RECONCILE_S + 1)
    await roaming.settled(charge)
    assert (await roaming.same_cdr(charge)).energy_wh == 1_200
    (made,) = (await roaming.cdrs())[1]
    assert "estimated" in made.flags
    await roaming.running()


async def test_a_start_on_the_connector_of_a_doubted_roaming_charge_ends_it_at_once(
    autojump_clock: object, roaming: Roaming
) -> None:
    charge = await roaming.running()
    await roaming.station.meter(charge.number, 2_000)
    await roaming.station.start(STRANGER, meter_start_wh=2_100)
    await roaming.settled(charge)
    assert (await roaming.same_cdr(charge)).energy_wh == 1_000
    assert len(roaming.back.of(EndTransaction)) == 1


async def test_a_reboot_alone_does_not_end_a_roaming_charge(autojump_clock: object, roaming: Roaming) -> None:
    charge = await roaming.running()
    await roaming.station.go_offline()
    again = StationLine(roaming.local, "CS01")
    await again.come_online(boot=True)
    await again.status(1, ConnectorStatus.CHARGING)
    await trio.sleep(2 * RECONCILE_S)
    await again.stop(charge.number, 5_000)
    await roaming.settled(charge)
    assert (await roaming.same_cdr(charge)).energy_wh == 4_000


async def test_a_stop_that_comes_after_the_free_connector_is_no_doubtful_one(
    autojump_clock: object, line: StationLine
) -> None:
    number = (await line.start(CARD)).transaction_id
    await line.status(1, ConnectorStatus.AVAILABLE)
    await line.stop(number, 1_700)
    data = await local(line, number)
    assert (data.state, data.charge.energy_wh, data.flags) == ("Settled", 700, ())
