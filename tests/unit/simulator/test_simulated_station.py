"""What a simulated station says, and when, seen from a central system in memory on virtual time."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest
import trio
from central_in_memory import (
    EPOCH,
    HOUR_S,
    ID_TAG,
    Central,
    Run,
    charging,
    new_station,
    settled,
)
from trio.testing import MockClock

from actors.simulated_station import BEHAVIOURS, Step
from statecharts.station_commands import ChangeConfiguration, RemoteStartTransaction, RemoteStopTransaction
from statecharts.station_reports import (
    AuthorizeIdTag,
    BootAnswer,
    BootNotification,
    Heartbeat,
    MeterValues,
    RegistrationStatus,
    StartTransaction,
    StatusNotification,
    StopTransaction,
)
from statecharts.station_vocabulary import IdTagStatus

# -- registration ------------------------------------------------------------------------------------------------------


async def test_it_boots_then_tells_the_status_of_every_connector(
    autojump_clock: MockClock, central: Central, run: Run
) -> None:
    await run(new_station(central, connectors=2))
    kinds = [type(report) for _, report in central.heard]
    assert kinds == [BootNotification, StatusNotification, StatusNotification, StatusNotification]
    assert [report.connector_id for report in central.reports(StatusNotification)] == [0, 1, 2]


async def test_while_pending_or_rejected_it_says_nothing_but_boot_again_after_the_interval(
    autojump_clock: MockClock, central: Central, run: Run
) -> None:
    central.boot_statuses = [RegistrationStatus.PENDING, RegistrationStatus.REJECTED, RegistrationStatus.ACCEPTED]
    station = new_station(central)
    await run(station)
    boots = [at for at, report in central.heard if isinstance(report, BootNotification)]
    assert boots == [0, 300, 600]
    assert all(isinstance(report, BootNotification) for at, report in central.heard if at < 600)


async def test_a_start_before_registration_is_rejected(
    autojump_clock: MockClock, central: Central, nursery: trio.Nursery
) -> None:
    central.boot_statuses = [RegistrationStatus.PENDING]
    await nursery.start(new_station(central).run)
    await settled()
    assert await central.command(RemoteStartTransaction(id_tag=ID_TAG)) == ("Rejected", {})


async def test_an_unanswered_boot_is_repeated(autojump_clock: MockClock, central: Central, run: Run) -> None:
    answers: list[BootAnswer | None] = [None]
    central.answers[BootNotification] = lambda report: answers.pop() if answers else central._boot(report)
    await run(new_station(central))
    assert len(central.reports(BootNotification)) == 2


async def test_heartbeats_come_at_the_interval_of_the_boot_answer(
    autojump_clock: MockClock, central: Central, run: Run
) -> None:
    await run(new_station(central))
    await trio.sleep(HOUR_S + 1)
    assert [at for at, report in central.heard if isinstance(report, Heartbeat)] == [300.0 * n for n in range(1, 13)]


async def test_it_comes_back_with_growing_pauses_and_without_booting_again(
    autojump_clock: MockClock, central: Central, run: Run
) -> None:
    station = new_station(central)
    await run(station)
    central.down = True
    central.wires[-1].close()
    await trio.sleep(300)
    pauses = [b - a for a, b in pairwise(central.attempts[1:])]
    assert len(pauses) >= 8
    assert pauses[0] <= 2
    assert all(30 <= pause <= 60 for pause in pauses[6:])
    central.down = False
    await trio.sleep(61)
    assert station.online
    assert len(central.reports(BootNotification)) == 1
    assert len(central.reports(StatusNotification)) == 2, "nothing has changed, so nothing is told again"


async def test_a_connection_that_never_opens_is_given_up_and_tried_again(
    autojump_clock: MockClock, central: Central, nursery: trio.Nursery
) -> None:
    central.deaf = True
    await nursery.start(new_station(central).run)
    await trio.sleep(70)
    assert [round(at) // 30 for at in central.attempts] == [0, 1, 2]


# -- behaviours --------------------------------------------------------------------------------------------------------


async def test_normal_a_remote_start_becomes_a_transaction_and_a_remote_stop_ends_it(
    autojump_clock: MockClock, central: Central, run: Run
) -> None:
    station = new_station(central, power_w=11_000)
    await run(station)
    assert await central.command(RemoteStartTransaction(id_tag=ID_TAG, connector_id=1)) == ("Accepted", {})
    await settled()
    assert not central.reports(StartTransaction), "first a cable"
    await trio.sleep(10)
    [start] = central.reports(StartTransaction)
    assert (start.connector_id, start.id_tag, start.meter_start_wh) == (1, ID_TAG, 0)
    await trio.sleep_until((start.timestamp - EPOCH).total_seconds() + 2 * HOUR_S)
    assert await central.command(RemoteStopTransaction(transaction_id=100)) == ("Accepted", {})
    await trio.sleep(20)
    [stop] = central.reports(StopTransaction)
    assert (stop.transaction_id, stop.meter_stop_wh, stop.reason) == (100, 22_000, "Remote")
    assert stop.timestamp - start.timestamp == timedelta(hours=2)
    assert station.energy_wh(1) == 22_000
    assert central.statuses(1) == ["Available", "Preparing", "Charging", "Finishing", "Available"]


async def test_meter_values_come_at_their_interval_and_agree_with_the_end(
    autojump_clock: MockClock, central: Central, run: Run
) -> None:
    await charging(central, station := new_station(central, meter_interval_s=900), run)
    await trio.sleep(HOUR_S - 1)
    await station.unplug(1)
    await settled()
    values = central.reports(MeterValues)
    assert [(v.transaction_id, v.samples[0].value) for v in values] == [(100, "2750"), (100, "5500"), (100, "8250")]
    assert central.reports(StopTransaction)[0].meter_stop_wh == station.meter_wh(1) == 10_996


async def test_rejects_a_remote_start_is_rejected_and_nothing_follows(
    autojump_clock: MockClock, central: Central, run: Run
) -> None:
    await run(new_station(central, "rejects"))
    assert await central.command(RemoteStartTransaction(id_tag=ID_TAG, connector_id=1)) == ("Rejected", {})
    await trio.sleep(200)
    assert central.statuses(1) == ["Available"]


async def test_never_starts_after_connection_time_out_the_connector_is_free_again(
    autojump_clock: MockClock, central: Central, run: Run
) -> None:
    await run(station := new_station(central, "never_starts"))
    at = trio.current_time()
    assert await central.command(RemoteStartTransaction(id_tag=ID_TAG)) == ("Accepted", {})
    await trio.sleep(59)
    assert station.state(1) == "AwaitingCable"
    await trio.sleep(100)
    assert central.statuses(1) == ["Available", "Preparing", "Available"]
    assert central.heard[-1][0] - at == pytest.approx(60)
    assert not central.reports(StartTransaction)


async def test_unplugs_the_driver_ends_it_with_ev_disconnected(
    autojump_clock: MockClock, central: Central, run: Run
) -> None:
    await charging(central, new_station(central, "unplugs"), run)
    await trio.sleep(100)
    [stop] = central.reports(StopTransaction)
    assert (stop.reason, stop.transaction_id) == ("EVDisconnected", 100)
    assert stop.meter_stop_wh > 0
    assert central.statuses(1)[-2:] == ["Charging", "Available"]


async def test_loses_connection_charges_on_offline_and_replays_with_the_original_times(
    autojump_clock: MockClock, central: Central, run: Run
) -> None:
    await charging(central, station := new_station(central, "loses_connection", meter_interval_s=10), run)
    await trio.sleep(300)
    assert len(central.wires) == 2
    came_back = central.attempts[-1]
    late = [r for at, r in central.heard if isinstance(r, MeterValues) and at == came_back]
    assert len(late) >= 6, "they were taken while offline"
    taken = [v.samples[0].timestamp for v in central.reports(MeterValues)]
    expected = [EPOCH + timedelta(seconds=10 * n) for n in range(1, len(taken) + 1)]
    assert len(taken) >= 29
    assert taken == expected, "each once, in order, at its own time"
    assert not [s for s in station.history if s.text == "Charging -> Finishing"], "it never stopped charging"


def test_every_behaviour_has_a_description_and_an_unknown_one_is_named() -> None:
    assert set(BEHAVIOURS) == {"normal", "rejects", "never_starts", "unplugs", "loses_power", "loses_connection"}
    assert all(BEHAVIOURS.values())
    with pytest.raises(ValueError, match="no behaviour 'naps'; there are normal, rejects"):
        new_station(Central(), "naps")
    with pytest.raises(ValueError, match="at least one connector"):
        new_station(Central(), connectors=0)


async def _a_day_in_the_life(behaviour: str, seed: int) -> tuple[Step, ...]:
    central, told = Central(), list[Step]()
    station = new_station(central, behaviour, seed=seed, connectors=2, meter_interval_s=7, on_event=told.append)
    async with trio.open_nursery() as nursery:
        await nursery.start(station.run)
        await station.registered.wait()
        await central.command(RemoteStartTransaction(id_tag=ID_TAG))
        await trio.sleep(20.5)
        await central.command(RemoteStartTransaction(id_tag="SECOND"))
        await trio.sleep(400.25)
        for number in (100, 101):
            await central.command(RemoteStopTransaction(transaction_id=number))
        await trio.sleep(100)
        nursery.cancel_scope.cancel()
    assert tuple(told) == station.history
    return station.history


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_the_same_seed_gives_the_same_history_to_the_last_frame(behaviour: str) -> None:
    first, again, other = (
        trio.run(_a_day_in_the_life, behaviour, seed, clock=MockClock(autojump_threshold=0)) for seed in (3, 3, 4)
    )
    assert len(first) > 10
    assert first == again
    assert (first == other) == (behaviour in ("rejects", "never_starts")), "these two leave nothing to chance"


# -- local starts, refused cards ---------------------------------------------------------------------------------------


async def test_a_card_is_authorised_then_charges_once_the_cable_is_in(
    autojump_clock: MockClock, central: Central, run: Run
) -> None:
    await run(station := new_station(central))
    await station.plug(1)
    await station.swipe(1, "CARD1")
    await settled()
    await station.swipe(1, "card1")
    await settled()
    assert [r.id_tag for r in central.reports(AuthorizeIdTag)] == ["CARD1"]
    [stop] = central.reports(StopTransaction)
    assert (stop.reason, stop.id_tag) == ("Local", "CARD1")


async def test_the_card_of_another_driver_ends_nothing(autojump_clock: MockClock, central: Central, run: Run) -> None:
    await charging(central, station := new_station(central), run)
    await station.swipe(1, "STRANGER")
    await settled()
    assert station.state(1) == "Charging"


async def test_a_refused_card_starts_nothing(autojump_clock: MockClock, central: Central, run: Run) -> None:
    central.id_tag_status = IdTagStatus.INVALID
    await run(station := new_station(central))
    await station.swipe(1, "CARD1")
    await settled()
    await station.plug(1)
    await station.swipe(1, "CARD1")
    await settled()
    assert not central.reports(StartTransaction)
    assert central.statuses(1)[:3] == ["Available", "Preparing", "Available"]
    assert station.state(1) == "Plugged"


async def test_authorize_remote_tx_requests_makes_it_ask_first(
    autojump_clock: MockClock, central: Central, run: Run
) -> None:
    await run(station := new_station(central))
    assert await central.command(ChangeConfiguration(key="authorizeRemoteTxRequests", value="true")) == ("Accepted", {})
    await central.command(RemoteStartTransaction(id_tag=ID_TAG, connector_id=1))
    await settled()
    assert [r.id_tag for r in central.reports(AuthorizeIdTag)] == [ID_TAG]
    assert station.state(1) == "AwaitingCable"
    await trio.sleep(10)
    assert central.reports(StartTransaction)[0].id_tag == ID_TAG


async def test_an_authorize_without_answer_frees_the_connector(
    autojump_clock: MockClock, central: Central, run: Run
) -> None:
    central.answers[AuthorizeIdTag] = lambda _: None
    await run(station := new_station(central))
    await station.swipe(1, "CARD1")
    await trio.sleep(31)
    assert station.state(1) == "Available"


@pytest.mark.parametrize(
    ("stops", "state", "reasons"), [("true", "Finishing", ["DeAuthorized"]), ("false", "SuspendedEVSE", [])]
)
async def test_an_id_tag_that_is_refused_at_the_start_stops_the_energy(
    autojump_clock: MockClock, central: Central, run: Run, stops: str, state: str, reasons: list[str]
) -> None:
    central.id_tag_status = IdTagStatus.BLOCKED
    await run(station := new_station(central))
    await central.command(ChangeConfiguration(key="StopTransactionOnInvalidId", value=stops))
    await station.plug(1)
    await central.command(RemoteStartTransaction(id_tag=ID_TAG))
    await settled()
    assert station.state(1) == state
    assert [r.reason for r in central.reports(StopTransaction)] == reasons
    before = station.meter_wh(1)
    await trio.sleep(HOUR_S)
    assert station.meter_wh(1) == before


async def test_a_full_battery_suspends_without_ending_anything(
    autojump_clock: MockClock, central: Central, run: Run
) -> None:
    await charging(central, station := new_station(central, battery_wh=5_500, power_w=11_000), run)
    await trio.sleep(HOUR_S)
    assert (station.state(1), station.energy_wh(1)) == ("SuspendedEV", 5_500)
    assert not central.reports(StopTransaction)
    await station.resume(1)
    await trio.sleep(10)
    assert station.state(1) == "SuspendedEV", "it is still full"


async def test_two_connectors_charge_side_by_side_each_with_its_own_meter(
    autojump_clock: MockClock, central: Central, run: Run
) -> None:
    await charging(central, station := new_station(central, connectors=2), run)
    await trio.sleep(1800)
    await station.plug(2)
    assert await central.command(RemoteStartTransaction(id_tag="SECOND")) == ("Accepted", {})
    await trio.sleep(1800)
    await central.command(RemoteStopTransaction(transaction_id=101))
    await central.command(RemoteStopTransaction(transaction_id=100))
    await trio.sleep(30)
    assert [(c.connector_id, c.transaction_id, c.energy_wh(0)) for c in station.charges] == [
        (1, 100, 11_000),
        (2, 101, 5_500),
    ]
