"""What real stations of OCPP 2.x do, as it comes over the wire: frames of their own making in, charges out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest
import trio
from ocpp_firmware import Firmware, online

from tests.support.books import CARD
from tests.support.house import open_house
from tests.support.roaming import two_operators

TOKEN = {"idToken": CARD, "type": "ISO14443"}
BOOT = {"chargingStation": {"vendorName": "V", "model": "M"}, "reason": "PowerUp"}


class Firmware2:
    """The TransactionEvents that a firmware makes of one EVSE after the other."""

    def __init__(self, firmware: Firmware) -> None:
        self.firmware, self.house = firmware, firmware.house
        self.said: list[dict[str, Any]] = []

    def event(self, kind: str, wh: Any = None, **other: Any) -> dict[str, Any]:
        """The next event, not said yet; `wh` is a reading, or all of a sampled value."""
        at = other.pop("at", self.firmware.at())
        reference, evse = other.pop("reference", "t-1"), other.pop("evse", {"id": 1, "connectorId": 1})
        sampled = wh if isinstance(wh, dict) else {"value": wh}
        reading = {} if wh is None else {"meterValue": [{"timestamp": at, "sampledValue": [sampled]}]}
        info = {"transactionId": reference, **other.pop("transactionInfo", {})}
        said = {
            "eventType": kind,
            "timestamp": at,
            "triggerReason": "Authorized",
            "seqNo": len(self.said),
            "evse": evse,
        }
        event = {**said, **reading, "transactionInfo": info, **other}
        self.said.append(event)
        return event

    async def say(self, kind: str, wh: Any = None, **other: Any) -> Any:
        return await self.firmware.say("TransactionEvent", **self.event(kind, wh, **other))

    async def start(self, wh: Any = 1_000, **other: Any) -> Any:
        return await self.say("Started", wh, **{"idToken": TOKEN, **other})

    async def book(self) -> list[Any]:
        """The transactions of all charges in the station's book, oldest first."""
        charges = (await self.house.data("station/CS01")).data.charges.values()
        return [await self.house.data(charge.transaction) for charge in charges]

    async def only(self) -> Any:
        (transaction,) = await self.book()
        return transaction


@pytest.fixture(params=["ocpp2.0.1", "ocpp2.1"])
async def station(
    request: pytest.FixtureRequest, autojump_clock: object, nursery: trio.Nursery
) -> AsyncIterator[Firmware2]:
    async with AsyncExitStack() as stack:
        house = await stack.enter_async_context(open_house("IE-001", nursery))
        firmware = await stack.enter_async_context(online(house, nursery, request.param))
        await firmware.say("BootNotification", **BOOT)
        yield Firmware2(firmware)


# -- offline, power, repetitions ---------------------------------------------------------------------------------------


async def test_events_that_were_kept_offline_are_one_charge_with_its_own_times(
    autojump_clock: object, station: Firmware2
) -> None:
    begun, ended = station.firmware.at(hours=30), station.firmware.at(hours=28)
    verdict = await station.start(at=begun, offline=True)
    await station.say("Updated", 1_800, at=station.firmware.at(hours=29), offline=True)
    await station.say("Ended", 3_000, at=ended, offline=True, transactionInfo={"stoppedReason": "EVDisconnected"})
    data = await station.only()
    assert verdict["idTokenInfo"]["status"] == "Accepted"
    assert (data.charge.start_timestamp.isoformat(), data.charge.stop_timestamp.isoformat()) == (begun, ended)
    assert (data.state, data.charge.energy_wh, data.flags) == ("Settled", 2_000, ())


async def test_events_that_come_in_any_order_are_the_same_charge(autojump_clock: object, station: Firmware2) -> None:
    station.event("Started", 1_000, idToken=TOKEN, at=station.firmware.at(minutes=9))
    station.event("Updated", 1_500, at=station.firmware.at(minutes=5))
    station.event("Ended", 3_000, at=station.firmware.at(minutes=1))
    for number in (1, 2, 0):
        await station.firmware.say("TransactionEvent", **station.said[number])
    data = await station.only()
    assert (data.state, data.charge.energy_wh, data.charge.estimated) == ("Settled", 2_000, False)


async def test_replays_with_new_message_ids_are_one_charge(autojump_clock: object, station: Firmware2) -> None:
    started, updated = station.event("Started", 1_000, idToken=TOKEN), station.event("Updated", 1_500)
    verdicts = []
    for _ in range(3):
        verdicts.append(await station.firmware.say("TransactionEvent", **started))
        await station.firmware.say("TransactionEvent", **updated)
    ended = station.event("Ended", 3_000)
    for _ in range(3):
        await station.firmware.say("TransactionEvent", **ended)
    data = await station.only()
    assert (data.charge.energy_wh, data.corrections, data.flags) == (2_000, 0, ())
    assert verdicts == verdicts[:1] * 3 and await station.firmware.orphans() == []


async def test_a_charge_whose_end_never_came_ends_with_its_last_reading(
    autojump_clock: object, station: Firmware2
) -> None:
    await station.start()
    await station.say("Updated", 1_800)
    await station.firmware.say("BootNotification", **BOOT)
    assert (await station.only()).doubted_until is not None
    await trio.sleep(2 * 3_600)
    data = await station.only()
    assert (data.state, data.charge.energy_wh, data.charge.estimated) == ("Settled", 800, True)


async def test_a_charge_that_a_power_loss_ended_is_told_after_the_boot(
    autojump_clock: object, station: Firmware2
) -> None:
    await station.start()
    await station.firmware.say("BootNotification", **BOOT)
    await station.say("Ended", 3_000, offline=True, transactionInfo={"stoppedReason": "PowerLoss"})
    data = await station.only()
    assert (data.state, data.charge.reason, data.charge.energy_wh) == ("Settled", "PowerLoss", 2_000)
    assert not data.charge.estimated


async def test_a_second_started_on_a_busy_evse_ends_the_first_whose_end_was_lost(
    autojump_clock: object, station: Firmware2
) -> None:
    await station.start(at=station.firmware.at(minutes=9))
    await station.say("Updated", 1_700)
    await trio.sleep(60)
    await station.start(1_700, reference="t-2", seqNo=0)
    first, second = await station.book()
    assert (first.state, first.charge.energy_wh, first.charge.estimated) == ("Settled", 700, True)
    assert second.state == "TxRunning"


async def test_an_end_without_its_beginning_is_kept_until_that_comes(
    autojump_clock: object, station: Firmware2
) -> None:
    station.event("Started", 1_000, idToken=TOKEN, at=station.firmware.at(minutes=9))
    await station.say("Ended", 3_000)
    (orphan,) = await station.firmware.orphans()
    assert orphan.kind == "TransactionEvent" and await station.book() == []
    await station.firmware.say("TransactionEvent", **station.said[0])
    assert (await station.only()).charge.energy_wh == 2_000 and await station.firmware.orphans() == []


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
    ],
)
async def test_a_wrong_clock_costs_no_charge_and_is_flagged(
    autojump_clock: object, station: Firmware2, clock: Any, flagged: bool
) -> None:
    today = (station.house.clock.now() - timedelta(hours=6)).replace(tzinfo=None).isoformat()
    said = clock and clock.format(today=today)
    await station.start(at=said)
    await station.say("Ended", 3_000, at=said)
    data = await station.only()
    assert (data.state, data.charge.energy_wh) == ("Settled", 2_000)
    assert ("clock-wrong" in data.flags) is flagged


# -- meters ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stop", "flag"),
    [(0, "energy-backwards"), (-500, "energy-backwards"), (2**40, "energy-absurd"), ({"value": "?"}, "estimated")],
)
async def test_a_meter_that_resets_wraps_or_is_silent_flags_the_charge_and_ends_it(
    autojump_clock: object, station: Firmware2, stop: Any, flag: str
) -> None:
    await station.start()
    await station.say("Ended", stop)
    data = await station.only()
    assert data.state == "Settled" and flag in data.flags


async def test_negative_energy_flags_the_charge_record_and_holds_nothing_back(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with two_operators(nursery) as roaming, online(roaming.local, nursery, "ocpp2.0.1") as firmware:
        station = Firmware2(firmware)
        await firmware.say("BootNotification", **BOOT)
        for connector in (1, 2):
            shown = {"connectorStatus": "Available", "evseId": connector, "connectorId": 1}
            await firmware.say("StatusNotification", timestamp=firmware.at(), **shown)
        charge = await roaming.start_asked()
        await station.start(idToken={"idToken": charge.name, "type": "Central"})
        await station.say("Ended", -7)
        await roaming.settled(charge)
        (record,) = (await roaming.cdrs())[1]
        assert "energy-backwards" in record.flags and record.energy_wh is None


@pytest.mark.parametrize(
    "sample",
    [
        {"value": 1.5, "unitOfMeasure": {"unit": "kWh"}},
        {"value": "1.5", "unitOfMeasure": {"unit": "kWh"}},
        {"value": 1.5, "unitOfMeasure": {"unit": "Wh", "multiplier": 3}},
        {"value": "1500"},
        {"value": 1500.0, "measurand": "Energy.Active.Import.Register"},
    ],
)
async def test_readings_in_kwh_or_as_texts_are_readings(
    autojump_clock: object, station: Firmware2, sample: Any
) -> None:
    await station.start()
    await station.say("Updated", sample)
    assert (await station.only()).charge.energy_wh == 500


async def test_final_values_that_come_twice_count_once(autojump_clock: object, station: Firmware2) -> None:
    await station.start()
    final = {"value": 3_000, "context": "Transaction.End"}
    await station.say("Updated", final)
    await station.say("Ended", final)
    reading = {"timestamp": station.firmware.at(), "sampledValue": [final]}
    await station.firmware.say("MeterValues", evseId=1, meterValue=[reading])
    data = await station.only()
    assert (data.state, data.charge.energy_wh, data.flags) == ("Settled", 2_000, ())


# -- what breaks the specification -------------------------------------------------------------------------------------


async def test_what_vendors_add_and_get_wrong_is_taken_and_counted(autojump_clock: object, station: Firmware2) -> None:
    await station.start(acme={"mood": "good"}, triggerReason="Bored", seqNo="0")
    await station.say("Ended", 3_000, transactionInfo={"stoppedReason": "Towed"})
    assert (await station.only()).charge.energy_wh == 2_000
    quirks = await station.firmware.quirks()
    assert "`$.acme` is unknown" in quirks and "`$.seqNo` is no whole number" in quirks
    assert await station.firmware.orphans() == []


async def test_what_nobody_can_read_is_refused_and_kept_as_it_came(autojump_clock: object, station: Firmware2) -> None:
    answer = await station.firmware.call("TransactionEvent", [7])
    assert answer[0] == 4
    (orphan,) = await station.firmware.orphans()
    assert (orphan.kind, orphan.report["action"]) == ("OddMessage", "TransactionEvent")
    assert orphan.report["handling"] == "unreadable"


async def test_an_event_that_names_no_transaction_is_kept(autojump_clock: object, station: Firmware2) -> None:
    await station.start(reference=None)
    assert await station.book() == []
    assert [orphan.kind for orphan in await station.firmware.orphans()]
