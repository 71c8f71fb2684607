"""MeterValues: to the charge that they are of, by number or by time; late ones correct and revive nothing."""

from __future__ import annotations

from datetime import datetime

import msgspec
import pytest
import trio
import trio.testing

from actors.records import Append, Appended
from statecharts.promises import Promise
from statecharts.station_reports import MeterSample, MeterValues
from statecharts.vocabulary import Acknowledgement, TransactionProgressUpdate
from tests.support.books import CARD, STRANGER, actor, ago, going_on, local, orphans
from tests.support.crashes import write_by
from tests.support.house import StationLine
from tests.support.promises import kept
from tests.support.roaming import Roaming


async def read(
    line: StationLine, register_wh: int, *, number: int | None = None, connector_id: int = 1, at: datetime | None = None
) -> None:
    sample = MeterSample(timestamp=at or line.house.clock.now(), value=str(register_wh))
    values = MeterValues(connector_id=connector_id, transaction_id=number, samples=(sample,))
    assert await line.say(values) == Acknowledgement()


async def test_readings_go_to_the_charge_that_they_name(autojump_clock: object, line: StationLine) -> None:
    first, second = [(await line.start(CARD, connector_id=connector)).transaction_id for connector in (1, 2)]
    await read(line, 2_500, number=second, connector_id=2)
    assert (await local(line, first)).charge.energy_wh is None
    assert (await local(line, second)).charge.energy_wh == 1_500


async def test_readings_are_not_answered_before_they_are_on_the_disk_and_need_no_turn_of_the_station(
    autojump_clock: object, line: StationLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = (await line.start(CARD)).transaction_id
    await trio.testing.wait_all_tasks_blocked()
    append, seen = line.house.journal.append, list[bool]()

    async def watched(wanted: Append) -> Appended:
        await trio.sleep(1)
        seen.append(answer.settled)
        return await append(wanted)

    async def no_turn(message: object) -> None:
        raise AssertionError(f"the station was to take no turn for {message}")

    write_by(watched, line.house.journal, monkeypatch)
    monkeypatch.setattr(actor(line), "turn", no_turn)
    sample = MeterSample(timestamp=line.house.clock.now(), value="2500")
    values = MeterValues(connector_id=1, transaction_id=number, samples=(sample,))
    answer = line.house.stations.reported(line.identity, line, values)
    assert isinstance(answer, Promise)
    assert await kept(answer) == Acknowledgement()
    assert seen == [False]
    assert (await local(line, number)).charge.energy_wh == 1_500


async def test_readings_that_break_their_transaction_are_kept_for_the_operator(
    autojump_clock: object, line: StationLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = (await line.start(CARD)).transaction_id

    async def fail(message: object) -> None:
        raise RuntimeError("a defect of ours")

    transaction = line.house.context.system.actor(f"local/{number}")
    monkeypatch.setattr(transaction, "turn", fail)
    monkeypatch.setattr(transaction, "_read", lambda _: None)
    await read(line, 2_500, number=number)
    assert [orphan.kind for orphan in await orphans(line)] == ["MeterValues"]


async def test_readings_without_a_number_go_to_the_charge_on_their_connector(
    autojump_clock: object, line: StationLine
) -> None:
    first, second = [(await line.start(CARD, connector_id=connector)).transaction_id for connector in (1, 2)]
    await read(line, 1_600)
    await read(line, 1_700, number=-1, connector_id=2)
    assert [(await local(line, n)).charge.energy_wh for n in (first, second)] == [600, 700]


async def test_queued_readings_without_a_number_go_to_the_charge_of_their_time(
    autojump_clock: object, line: StationLine
) -> None:
    earlier = (await line.start(CARD, at=ago(line, hours=4))).transaction_id
    await line.stop(earlier, 5_000, at=ago(line, hours=2))
    running = (await line.start(STRANGER, meter_start_wh=5_000)).transaction_id
    await read(line, 4_000, at=ago(line, hours=3))
    assert (await local(line, earlier)).corrections == 1
    assert (await local(line, running)).charge.meter_last_wh is None


async def test_late_readings_after_the_stop_are_corrections_and_revive_nothing(
    autojump_clock: object, line: StationLine
) -> None:
    number = (await line.start(CARD)).transaction_id
    await line.stop(number, 2_000)
    await trio.sleep(60)
    await read(line, 9_000, number=number)
    data = await local(line, number)
    assert (data.state, data.charge.energy_wh, data.corrections) == ("Settled", 1_000, 1)
    assert await going_on(line) == []


async def test_late_readings_of_a_roaming_charge_never_change_its_charge_record(
    autojump_clock: object, roaming: Roaming
) -> None:
    charge = await roaming.running()
    await roaming.station.stop(charge.number, 4_000)
    await roaming.settled(charge)
    await roaming.station.meter(charge.number, 9_000)
    await trio.sleep(600)
    assert (await roaming.same_cdr(charge)).energy_wh == 3_000
    assert (await roaming.local.data(charge.destination)).corrections == 1


async def test_readings_that_name_an_unknown_charge_are_kept_as_orphans(
    autojump_clock: object, line: StationLine
) -> None:
    await read(line, 2_000, number=4711)
    await read(line, 3_000, number=-1)
    kept = [msgspec.json.decode(orphan.body, type=MeterValues) for orphan in await orphans(line)]
    assert [values.transaction_id for values in kept] == [-1, 4711]


async def test_the_meter_of_an_idle_connector_or_of_the_whole_station_is_kept_and_no_orphan(
    autojump_clock: object, line: StationLine
) -> None:
    number = (await line.start(CARD)).transaction_id
    await read(line, 70_000, connector_id=0)
    await read(line, 80_000, connector_id=2)
    assert await orphans(line) == ()
    meters = await line.house.context.ledger.idle_meters(line.identity, limit=9)
    kept = [msgspec.json.decode(meter.body, type=MeterValues) for meter in meters]
    assert [(values.connector_id, values.samples[0].value) for values in kept] == [(2, "80000"), (0, "70000")]
    assert await line.house.context.ledger.idle_meters("CS02", limit=9) == ()
    assert (await local(line, number)).charge.meter_last_wh is None


async def test_the_meter_of_an_idle_connector_lengthens_no_stream(autojump_clock: object, line: StationLine) -> None:
    stream = f"station/{line.identity}"
    before = await line.house.journal.load(stream)
    for register in range(1_000, 1_050):
        await read(line, register, connector_id=2)
    assert await line.house.journal.load(stream) == before
    assert len(await line.house.context.ledger.idle_meters(line.identity, limit=99)) == 50
    assert await line.house.journal.check() == ()


async def test_missing_readings_do_not_matter(autojump_clock: object, line: StationLine) -> None:
    number = (await line.start(CARD)).transaction_id
    await line.stop(number, 6_000)
    assert (await local(line, number)).charge.energy_wh == 5_000


async def test_a_register_that_falls_never_lowers_the_energy(autojump_clock: object, line: StationLine) -> None:
    number = (await line.start(CARD)).transaction_id
    for register in (3_000, 0, 2_000):
        await read(line, register, number=number)
        await trio.sleep(1)
    assert (await local(line, number)).charge.energy_wh == 2_000


async def test_a_stop_below_its_start_is_flagged_and_kept(autojump_clock: object, line: StationLine) -> None:
    number = (await line.start(CARD)).transaction_id
    await line.stop(number, 10)
    data = await local(line, number)
    assert (data.charge.meter_stop_wh, data.charge.energy_wh, data.flags) == (10, None, ("energy-backwards",))


async def test_the_source_hears_of_at_most_one_reading_per_interval(autojump_clock: object, roaming: Roaming) -> None:
    charge = await roaming.running()
    for second in range(0, 121, 10):
        await roaming.station.meter(charge.number, 1_100 + second)
        await trio.sleep(10)
    told = roaming.back.of(TransactionProgressUpdate)
    assert [update.transaction_data.energy_wh for update in told] == [100, 160, 220]
