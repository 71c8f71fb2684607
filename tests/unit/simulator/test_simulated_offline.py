"""What a simulated station owes while it is offline, or not answered, and how it pays."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import trio
from central_in_memory import (
    EPOCH,
    HOUR_S,
    ID_TAG,
    CallError,
    Central,
    Run,
    charging_at_once,
    new_station,
    settled,
)
from trio.testing import MockClock

from actors.simulated_outbox import Charge, Outbox, Saying
from statecharts.limits import SIMULATED_OUTBOX
from statecharts.station_commands import ChangeConfiguration, GetConfiguration, RemoteStartTransaction
from statecharts.station_reports import (
    BootNotification,
    Heartbeat,
    MeterValues,
    StartAnswer,
    StartTransaction,
    StationReport,
    StopTransaction,
)


async def test_a_transaction_that_ran_wholly_offline_is_told_in_order_with_its_own_times(
    autojump_clock: MockClock, central: Central, run: Run
) -> None:
    await run(station := new_station(central, meter_interval_s=60))
    await central.command(ChangeConfiguration(key="AllowOfflineTxForUnknownId", value="true"))
    await station.lose_connection(1000)
    await station.plug(1)
    await station.swipe(1, "CARD1")
    await trio.sleep(150)
    await station.unplug(1)
    await settled()
    assert (station.online, station.owed) == (False, 4)
    await trio.sleep(1000)
    told = [r for _, r in central.heard if isinstance(r, StartTransaction | MeterValues | StopTransaction)]
    assert [type(r).__name__ for r in told] == ["StartTransaction", "MeterValues", "MeterValues", "StopTransaction"]
    [start], [stop] = central.reports(StartTransaction), central.reports(StopTransaction)
    numbers = [*(r.transaction_id for r in central.reports(MeterValues)), stop.transaction_id]
    assert numbers == [100, 100, 100], "learned from the answer to the start"
    assert stop.timestamp - start.timestamp == timedelta(seconds=150)
    assert start.timestamp < EPOCH + timedelta(seconds=1)
    assert (station.owed, station.charges[0].transaction_id) == (0, 100)


async def test_offline_an_unknown_card_is_refused_by_default(
    autojump_clock: MockClock, central: Central, run: Run
) -> None:
    await run(station := new_station(central))
    await station.lose_connection(1000)
    await station.plug(1)
    await station.swipe(1, "CARD1")
    await settled()
    assert station.state(1) == "Plugged"


async def test_a_status_that_changed_offline_is_told_on_return_and_an_unchanged_one_is_not(
    autojump_clock: MockClock, central: Central, run: Run
) -> None:
    await run(station := new_station(central, connectors=2))
    await station.lose_connection(30)
    await station.plug(2)
    await trio.sleep(60)
    assert central.statuses(1) == ["Available"]
    assert central.statuses(2) == ["Available", "Preparing"]


async def test_a_start_whose_answer_was_lost_is_repeated_word_for_word(
    autojump_clock: MockClock, central: Central, run: Run
) -> None:
    def heard_but_cut(report: StartTransaction) -> StartAnswer:
        central.answers.clear()
        central.wires[-1].close()
        return central.start(report)

    central.answers[StartTransaction] = heard_but_cut
    await run(station := new_station(central))
    await station.plug(1)
    await central.command(RemoteStartTransaction(id_tag=ID_TAG))
    await trio.sleep(10)
    first, second = central.reports(StartTransaction)
    assert first == second
    assert station.charges[0].transaction_id == 100


async def test_an_unanswered_start_is_tried_again_for_ever_and_holds_back_only_its_followers(
    autojump_clock: MockClock, central: Central, run: Run
) -> None:
    central.answers[StartTransaction] = lambda _: None
    await run(station := new_station(central, meter_interval_s=60))
    await station.plug(1)
    await central.command(RemoteStartTransaction(id_tag=ID_TAG))
    await trio.sleep(HOUR_S)
    starts = [at for at, r in central.heard if isinstance(r, StartTransaction)]
    assert [round(b - a) for a, b in pairwise(starts)][:4] == [40, 50, 60, 70]
    assert not central.reports(MeterValues)
    assert central.reports(Heartbeat), "what belongs to no transaction goes on"
    central.answers.clear()
    await trio.sleep(HOUR_S)
    assert {r.transaction_id for r in central.reports(MeterValues)} == {100}


async def test_after_the_last_attempt_its_transaction_is_minus_one(
    autojump_clock: MockClock, central: Central, run: Run
) -> None:
    def refuse(_: StartTransaction) -> StartAnswer:
        raise CallError("InternalError")

    central.answers[StartTransaction] = refuse
    await run(station := new_station(central))
    await central.command(ChangeConfiguration(key="TransactionMessageAttempts", value="3"))
    await station.plug(1)
    await central.command(RemoteStartTransaction(id_tag=ID_TAG))
    await trio.sleep(HOUR_S / 2)
    await station.unplug(1)
    await settled()
    assert len(central.reports(StartTransaction)) == 3
    assert {r.transaction_id for r in central.reports(MeterValues)} == {-1}
    assert [r.transaction_id for r in central.reports(StopTransaction)] == [-1]
    assert station.online


async def test_an_answer_that_cannot_be_read_costs_an_attempt_and_nothing_more(
    autojump_clock: MockClock, central: Central, run: Run
) -> None:
    def garble(_: StartTransaction) -> StartAnswer:
        central.answers.clear()
        raise ValueError("not an answer")

    central.answers[StartTransaction] = garble
    await charging_at_once(central, station := new_station(central), run)
    await trio.sleep(30)
    assert len(central.reports(StartTransaction)) == 2
    assert (station.online, station.charges[0].transaction_id) == (True, 100)


async def test_losing_a_connection_that_is_lost_already_changes_nothing(
    autojump_clock: MockClock, central: Central, run: Run
) -> None:
    await run(station := new_station(central))
    await station.lose_connection(50)
    await settled()
    await station.lose_connection(5000)
    await trio.sleep(60)
    assert station.online


async def test_a_full_outbox_gives_up_old_meter_values_but_no_start_and_no_stop() -> None:
    charge, outbox = Charge(1, ID_TAG, EPOCH, 0), Outbox()
    start = StartTransaction(connector_id=1, id_tag=ID_TAG, meter_start_wh=0, timestamp=EPOCH)
    stop = StopTransaction(transaction_id=0, meter_stop_wh=9, timestamp=EPOCH)
    values = [MeterValues(connector_id=1, transaction_id=n) for n in range(SIMULATED_OUTBOX.limit)]
    reports: list[StationReport] = [start, *values, stop]
    for report in reports:
        outbox.add(Saying(report, charge))
    assert len(outbox) == SIMULATED_OUTBOX.limit
    first = outbox.next(0, registered=True)
    assert first is not None
    assert first.report == start
    outbox.remove(first)
    second = outbox.next(0, registered=True)
    assert second is not None
    assert second.report == values[2], "the two oldest are gone"


async def test_a_connection_without_an_answer_is_a_failure_too(
    autojump_clock: MockClock, central: Central, nursery: trio.Nursery
) -> None:
    def drop(_: StationReport) -> None:
        central.wires[-1].close()

    central.answers[BootNotification] = drop
    await nursery.start(new_station(central).run)
    await trio.sleep(600)
    waits = [later - earlier for earlier, later in pairwise(central.attempts)]
    assert waits[0] <= 1 and min(waits[-3:]) >= 30


async def test_a_station_that_loses_its_power_ends_what_ran_and_tells_it_when_it_has_booted_again(
    autojump_clock: MockClock, central: Central, run: Run
) -> None:
    await charging_at_once(central, station := new_station(central), run)
    await trio.sleep(100)
    await station.lose_power(900)
    await trio.sleep(800)
    assert (station.online, station.owed, central.reports(StopTransaction)) == (False, 1, [])
    await trio.sleep(200)
    [stop] = central.reports(StopTransaction)
    assert (stop.reason, stop.timestamp - EPOCH < timedelta(seconds=101)) == ("PowerLoss", True)
    assert len(central.reports(BootNotification)) == 2


async def test_a_station_is_configured_on_the_spot_as_from_afar(
    autojump_clock: MockClock, central: Central, run: Run
) -> None:
    await run(station := new_station(central))
    await station.configure("ConnectionTimeOut", "7")
    await settled()
    [key] = (await central.command(GetConfiguration(keys=("ConnectionTimeOut",))))[1]["configurationKey"]
    assert key["value"] == "7"
