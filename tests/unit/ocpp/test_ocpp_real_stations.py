"""What real stations do, as it comes over the wire: frames of their own making in, charges and charge records out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import trio
from ocpp_firmware import Firmware, online

from tests.support.books import CARD
from tests.support.house import open_house
from tests.support.roaming import two_operators


@pytest.fixture
async def station(autojump_clock: object, nursery: trio.Nursery) -> AsyncIterator[Firmware]:
    async with open_house("IE-001", nursery) as house, online(house, nursery) as firmware:
        await firmware.say("BootNotification", chargePointVendor="V", chargePointModel="M")
        yield firmware


# -- offline, power, repetitions ---------------------------------------------------------------------------------------


async def test_a_charge_that_began_and_ended_offline_is_told_with_its_own_times(
    autojump_clock: object, station: Firmware
) -> None:
    begun, ended = station.at(hours=30), station.at(hours=28)
    number = await station.start(timestamp=begun)
    await station.stop(number, timestamp=ended)
    charge = (await station.charge(number)).charge
    assert (charge.start_timestamp.isoformat(), charge.stop_timestamp.isoformat()) == (begun, ended)
    assert charge.energy_wh == 2_000 and (await station.charge(number)).flags == ()


async def test_a_charge_that_a_power_loss_ended_is_told_after_the_boot(
    autojump_clock: object, station: Firmware
) -> None:
    number = await station.start()
    await station.say("BootNotification", chargePointVendor="V", chargePointModel="M")
    assert (await station.charge(number)).doubted_until is not None
    await station.stop(number, reason="PowerLoss")
    data = await station.charge(number)
    assert (data.state, data.charge.reason, data.charge.energy_wh) == ("Settled", "PowerLoss", 2_000)


async def test_a_charge_that_a_power_loss_ended_without_a_word_ends_with_its_last_reading(
    autojump_clock: object, station: Firmware
) -> None:
    number = await station.start()
    await station.meter(number, {"value": "1800"})
    await station.say("BootNotification", chargePointVendor="V", chargePointModel="M")
    await trio.sleep(2 * 3_600)
    data = await station.charge(number)
    assert (data.state, data.charge.energy_wh, data.charge.estimated) == ("Settled", 800, True)


async def test_replays_with_new_message_ids_are_one_charge(autojump_clock: object, station: Firmware) -> None:
    at, until = station.at(minutes=9), station.at(minutes=1)
    numbers = {await station.start(timestamp=at) for _ in range(3)}
    (number,) = numbers
    for _ in range(3):
        await station.stop(number, timestamp=until)
    data = await station.charge(number)
    assert (data.charge.energy_wh, data.corrections, await station.orphans()) == (2_000, 0, [])


async def test_a_second_start_on_a_busy_connector_ends_the_first_whose_stop_was_lost(
    autojump_clock: object, station: Firmware
) -> None:
    lost = await station.start(timestamp=station.at(minutes=9))
    await station.meter(lost, {"value": "1700"})
    await trio.sleep(60)
    number = await station.start(meterStart=1700)
    data = await station.charge(lost)
    assert (data.state, data.charge.energy_wh, data.charge.estimated) == ("Settled", 700, True)
    assert (await station.charge(number)).state == "TxRunning"


@pytest.mark.parametrize("unlearned", [-1, -2, -2_147_483_648, 0, "-1"])
async def test_any_number_below_one_is_that_of_a_charge_whose_number_was_never_heard(
    autojump_clock: object, station: Firmware, unlearned: Any
) -> None:
    number = await station.start()
    await station.meter(unlearned, {"value": "1500"})
    await station.stop(unlearned, idTag=CARD)
    assert (await station.charge(number)).charge.energy_wh == 2_000


# -- clocks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("clock", "flagged"),
    [
        ("1970-01-01T00:00:07Z", True),
        ("2099-01-01T00:00:00Z", True),
        ("yesterday", True),
        (None, True),
        ("{today}", False),
        ("{today}+02:00", False),
        ("{today}Z", False),
    ],
)
async def test_a_wrong_clock_costs_no_charge_and_is_flagged(
    autojump_clock: object, station: Firmware, clock: Any, flagged: bool
) -> None:
    today = (station.house.clock.now() - timedelta(hours=6)).replace(tzinfo=None).isoformat()
    said = clock and clock.format(today=today)
    number = await station.start(timestamp=said)
    await station.meter(number, {"value": "1500"})
    await station.stop(number, timestamp=said)
    data = await station.charge(number)
    assert (data.state, data.charge.energy_wh) == ("Settled", 2_000)
    assert ("clock-wrong" in data.flags) is flagged
    assert isinstance(data.charge.start_timestamp, datetime)


async def test_a_clock_stuck_in_1970_starts_with_equal_content_again_and_again(
    autojump_clock: object, station: Firmware
) -> None:
    numbers = []
    for _ in range(3):
        numbers.append(await station.start(timestamp="1970-01-01T00:00:07Z"))
        await station.stop(numbers[-1], timestamp="1970-01-01T00:00:07Z")
    assert len(set(numbers)) == 3


# -- meters ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("stop", "flag"), [(0, "energy-backwards"), (2**40, "energy-absurd"), ("?", "estimated")])
async def test_a_meter_that_resets_wraps_or_is_silent_flags_the_charge_and_ends_it(
    autojump_clock: object, station: Firmware, stop: Any, flag: str
) -> None:
    number = await station.start()
    await station.stop(number, meterStop=stop)
    data = await station.charge(number)
    assert data.state == "Settled" and flag in data.flags


async def test_a_meter_that_resets_costs_no_charge_record(autojump_clock: object, nursery: trio.Nursery) -> None:
    async with two_operators(nursery) as roaming:
        charge = await roaming.running()
        await roaming.station.stop(charge.number, 0)
        await roaming.settled(charge)
        (record,) = (await roaming.cdrs())[1]
        assert "energy-backwards" in record.flags


@pytest.mark.parametrize(
    "sample",
    [
        {"value": "1.5", "unit": "kWh"},
        {"value": "1.5", "unit": "KWH"},
        {"value": 1.5, "unit": "kWh"},
        {"value": 1500},
        {"value": "1500.0", "measurand": "Energy.Active.Import.Register", "unit": "Wh"},
    ],
)
async def test_readings_in_kwh_or_as_numbers_are_readings(
    autojump_clock: object, station: Firmware, sample: Any
) -> None:
    number = await station.start()
    await station.meter(number, sample)
    assert (await station.charge(number)).charge.energy_wh == 500


async def test_final_values_that_come_twice_count_once(autojump_clock: object, station: Firmware) -> None:
    number = await station.start()
    final = {"timestamp": station.at(), "sampledValue": [{"value": "3000", "context": "Transaction.End"}]}
    await station.say("MeterValues", connectorId=1, transactionId=number, meterValue=[final])
    await station.stop(number, transactionData=[final])
    await station.say("MeterValues", connectorId=1, transactionId=number, meterValue=[final])
    data = await station.charge(number)
    assert (data.charge.energy_wh, data.flags) == (2_000, ())


# -- what breaks the specification -------------------------------------------------------------------------------------


async def test_what_vendors_add_and_get_wrong_is_taken_and_counted(autojump_clock: object, station: Firmware) -> None:
    number = await station.start(idTag="12345678901234567890123", connectorId="1", acme={"mood": "good"})
    await station.stop(str(number), meterStop="3000", reason="Towed")
    assert (await station.charge(number)).charge.energy_wh == 2_000
    assert await station.quirks() == [
        "`$.acme` is unknown",
        "`$.connectorId` is no whole number",
        "`$.idTag` has 23 characters, 20 are allowed",
        "`$.meterStop` is no whole number",
        "`$.transactionId` is no whole number",
    ]
    assert await station.orphans() == []


async def test_what_is_odd_about_a_boot_is_counted_for_the_model_that_it_names(
    autojump_clock: object, station: Firmware
) -> None:
    await station.say("BootNotification", chargePointVendor="W", chargePointModel="N", acme=1)
    asked = {"station": None, "vendor": "W", "model": "N", "cursor": None, "limit": 9}
    (quirk,) = (await station.house.operator.quirks(**asked)).items
    assert quirk.action == "BootNotification" and "`acme`" in quirk.what


async def test_what_could_not_be_read_wholly_is_kept_beside_what_was_taken(
    autojump_clock: object, station: Firmware
) -> None:
    number = await station.start(reservationId={"a": 1})
    assert (await station.charge(number)).state == "TxRunning"
    (orphan,) = await station.orphans()
    assert orphan.kind == "OddMessage" and orphan.report["handling"] == "taken-in-part"
    assert '"reservationId":{"a":1}' in orphan.report["payload"]


@pytest.mark.parametrize(
    ("action", "payload", "code"),
    [
        ("StartTransaction", {"idTag": []}, "TypeConstraintViolation"),
        ("StopTransaction", [7], "FormationViolation"),
        ("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Asleep"}, "PropertyConstraint"),
    ],
)
async def test_what_nobody_can_read_is_refused_and_kept_as_it_came(
    autojump_clock: object, station: Firmware, action: str, payload: Any, code: str
) -> None:
    for _ in range(2):
        answer = await station.call(action, payload)
        assert answer[0] == 4 and answer[2].startswith(code)
    (orphan,) = await station.orphans()
    assert (orphan.kind, orphan.report["action"]) == ("OddMessage", action)
    assert orphan.report["handling"] == "unreadable" and orphan.why


async def test_an_action_that_nobody_knows_is_refused_and_counted(autojump_clock: object, station: Firmware) -> None:
    assert (await station.call("MakeCoffee", {}))[2] == "NotImplemented"
    assert await station.quirks() == ["the action 'MakeCoffee' is not implemented here"]
    assert await station.orphans() == []
