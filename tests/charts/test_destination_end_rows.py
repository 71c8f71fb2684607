"""How a charge at the Destination ends: doubts, stops and records of DESIGN.md section 3, row by row."""

from __future__ import annotations

from datetime import timedelta

import pytest

from statecharts.charge_changes import DENIED
from statecharts.charging import CloseAsked, ConnectorTaken, MeterRead, StationConfirmed, StationDenied, StationDoubted
from statecharts.chart import Outcome
from statecharts.destination_events import S
from statecharts.station_vocabulary import IdTagStatus
from statecharts.vocabulary import EndTransaction
from tests.charts.scenes import (
    delivered,
    destination,
    doubt,
    ended,
    expired_after_start,
    meter,
    ready_after_start,
    record,
    start,
    stop,
    told,
)

UNDER_WAY = (S.TX_RUNNING, S.STOP_TX_REQUESTED)


# -- doubt -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", UNDER_WAY)
def test_a_reboot_alone_ends_nothing_but_arms_the_reconcile_deadline(state):
    scene = destination(state)
    decision = doubt(scene)
    until = scene.now + timedelta(seconds=scene.data.deadlines.reconcile_s)
    assert (scene.state, decision.effects, scene.data.doubted_until) == (state, (), until)


@pytest.mark.parametrize("state", UNDER_WAY)
def test_a_word_that_the_charge_goes_on_ends_the_doubt(state):
    scene = destination(state)
    doubt(scene)
    scene.tell(StationConfirmed)
    assert scene.data.doubted_until is None
    doubt(scene)
    meter(scene, 5000)
    assert scene.data.doubted_until is None


@pytest.mark.parametrize("state", UNDER_WAY)
def test_a_reading_of_a_connector_ends_no_doubt_unless_it_names_the_charge_or_energy_has_flowed(state):
    scene = destination(state)
    meter(scene, 5000)
    doubt(scene)
    meter(scene, 5000)
    meter(scene, 4000)
    meter(scene, None)
    assert scene.data.doubted_until is not None
    scene.tell(MeterRead, timestamp=scene.now, meter_wh=5000, number=scene.data.charge.number)
    assert scene.data.doubted_until is None


def test_a_second_doubt_never_puts_the_reconcile_deadline_off():
    scene = destination(S.TX_RUNNING)
    doubt(scene)
    until = scene.data.doubted_until
    scene.pass_time(600)
    scene.tell(StationDoubted, reason="connector Available")
    assert scene.data.doubted_until == until


def test_a_long_silence_is_a_doubt():
    scene = destination(S.TX_RUNNING)
    scene.time_out()
    assert (scene.state, scene.data.flags) == (S.TX_RUNNING, ("silent",))
    scene.time_out()
    assert scene.state == S.TX_FINISHED


@pytest.mark.parametrize("state", UNDER_WAY)
@pytest.mark.parametrize("way", ["deadline", "taken", "denied", "closed"])
def test_reconciliation_ends_with_the_last_known_meter_marked_as_estimated(state, way):
    scene = destination(state)
    meter(scene, 6000)
    doubt(scene)
    if way == "taken":
        decision = scene.tell(ConnectorTaken, number=99)
    elif way == "denied":
        decision = scene.tell(StationDenied)
    elif way == "closed":
        decision = scene.tell(CloseAsked, reason="towed away", by="olga")
    else:
        scene.now = scene.data.doubted_until
        decision = scene.time_out()
    charge = scene.data.charge
    assert scene.state == S.TX_FINISHED
    assert (charge.reason, charge.estimated, charge.meter_stop_wh) == ("Reconciled", True, 6000)
    assert record(decision).transaction_data.energy_wh == 5000
    assert "estimated" in scene.data.flags


@pytest.mark.parametrize("state", UNDER_WAY)
def test_a_charge_that_nobody_doubts_is_not_over_for_being_denied(state):
    scene = destination(state)
    scene.tell(StationDenied)
    assert scene.state == state


def test_our_own_start_is_no_other_transaction_on_the_connector():
    scene = destination(S.TX_RUNNING)
    scene.tell(ConnectorTaken, number=7)
    assert scene.state == S.TX_RUNNING


def test_readings_from_before_the_start_never_make_the_energy_fall():
    scene = destination(S.START_TX_REQUESTED)
    meter(scene, 500)
    start(scene)
    decision = scene.tell(ConnectorTaken, number=99)
    assert record(decision).transaction_data.energy_wh == 0


# -- the end -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "way",
    [
        ready_after_start,
        expired_after_start,
        *(lambda s=s: destination(s) for s in (S.START_TX_REQUESTED, S.TX_RUNNING, S.STOP_TX_REQUESTED)),
    ],
)
def test_stopped_is_finished_also_before_or_without_its_start(way):
    scene = way()
    waiting = [r.request_identifier for r in scene.data.requests if r.notified is not True]
    decision = stop(scene)
    assert scene.state == S.TX_FINISHED
    assert told(decision) == [(name, True) for name in waiting]
    assert isinstance(delivered(decision)[-1], EndTransaction), "results go before the record"


def test_the_record_says_what_the_station_metered():
    scene = destination(S.TX_RUNNING)
    assert record(stop(scene)).transaction_data.energy_wh == 7000


def test_the_record_of_a_charge_without_its_start_has_no_energy_rather_than_an_invented_one():
    scene = destination(S.START_TX_REQUESTED)
    assert record(stop(scene)).transaction_data.energy_wh is None
    assert "energy-unknown" in scene.data.flags


@pytest.mark.parametrize("state", [S.READY, S.EXPIRED])
def test_a_stop_of_something_never_asked_for_is_no_charge_of_the_source(state):
    scene = destination(state)
    assert stop(scene).effects == ()
    assert (scene.state, scene.data.flags) == (state, ("misuse",))


@pytest.mark.parametrize("state", UNDER_WAY)
def test_a_stop_with_the_number_of_another_charge_does_not_end_this_one(state):
    scene = destination(state)
    stop(scene, number=99)
    assert scene.state == state


def test_a_stop_of_a_charge_whose_number_the_station_never_learned_ends_it():
    scene = destination(S.TX_RUNNING)
    assert record(stop(scene, number=-1)).transaction_data.energy_wh == 7000
    assert scene.data.charge.number == 7


@pytest.mark.parametrize("state", [S.TX_FINISHED, S.SETTLED])
def test_late_words_are_kept_as_corrections_and_the_record_stands(state):
    scene = destination(state)
    end, said_at = scene.data.end, scene.now
    decisions = [meter(scene, 9000), stop(scene, meter_stop_wh=9000, timestamp=said_at)]
    assert all(d.fact is not None and d.effects == () for d in decisions)
    assert (scene.state, scene.data.end, scene.data.corrections) == (state, end, 2)
    again = stop(scene, meter_stop_wh=9000, timestamp=said_at)
    assert (again.outcome, scene.data.corrections) == (Outcome.REPEATED, 2)


def test_a_start_that_comes_after_its_stop_is_kept_once_and_accepted():
    scene = destination(S.START_TX_REQUESTED)
    stop(scene)
    end, said_at = scene.data.end, scene.now
    assert start(scene, timestamp=said_at).answer == IdTagStatus.ACCEPTED
    assert start(scene, timestamp=said_at).outcome is Outcome.REPEATED
    assert (scene.data.end, scene.data.corrections, scene.data.charge.meter_start_wh) == (end, 1, 1000)


@pytest.mark.parametrize(
    ("after_s", "connector_id", "number", "taken"),
    [
        (0, 1, 9, True),
        (-60, 1, 9, True),
        (1, 1, 9, False),  # it began after the stop: another charge
        (0, 2, 9, False),  # at a connector that we never asked for
        (1, 2, -1, False),
    ],
)
def test_a_start_after_its_stop_is_this_charges_if_time_and_place_fit(after_s, connector_id, number, taken):
    scene = destination(S.START_TX_REQUESTED)
    stop(scene, number=-1)
    began = scene.data.charge.stop_timestamp + timedelta(seconds=after_s)
    answered = start(scene, number, connector_id, timestamp=began).answer
    assert answered == (IdTagStatus.ACCEPTED if taken else IdTagStatus.INVALID)
    assert scene.data.flags == (("energy-unknown", "late-start") if taken else ("energy-unknown", "misuse"))


def test_another_start_is_never_that_of_a_charge_whose_start_is_known():
    scene = destination(S.TX_FINISHED)
    assert start(scene, 9, timestamp=scene.data.charge.start_timestamp).answer == IdTagStatus.INVALID
    assert scene.data.flags == ("misuse",)


def test_the_end_delivered_is_settled_and_acknowledged_then():
    scene = destination(S.TX_FINISHED)
    ended(scene, operation="NotifyRequestResult")
    assert scene.data.acknowledged_at is None
    ended(scene)
    assert (scene.state, scene.data.acknowledged_at, scene.data.flags) == (S.SETTLED, scene.now, ())
    acknowledged_at = scene.now
    ended(scene)
    assert scene.data.acknowledged_at == acknowledged_at


@pytest.mark.parametrize(
    ("end", "cause"),
    [
        (lambda scene: scene.tell(ConnectorTaken, number=99), "another charge began on this connector"),
        (lambda scene: scene.time_out(), "the station reported no end"),
        (lambda scene: scene.tell(StationDenied), DENIED),
        (lambda scene: scene.tell(CloseAsked, reason="towed away", by="olga"), "closed by olga: towed away"),
    ],
)
def test_a_charge_that_nobody_stopped_says_why_it_is_over(end, cause):
    scene = destination(S.TX_RUNNING)
    doubt(scene)
    end(scene)
    assert (scene.state, scene.data.cause) == (S.TX_FINISHED, cause)


@pytest.mark.parametrize("status", ["parked", "lapsed"])
def test_an_end_that_was_not_delivered_is_shown_and_settles_once_it_is(status):
    scene = destination(S.TX_FINISHED)
    ended(scene, status)
    assert (scene.state, scene.data.flags) == (S.TX_FINISHED, (f"EndTransaction-{status}",))
    ended(scene)
    assert scene.state == S.SETTLED


def test_an_overdue_end_is_shown_and_stays_owed():
    scene = destination(S.TX_FINISHED)
    for _ in range(3):
        scene.time_out()
    assert (scene.state, scene.data.flags) == (S.TX_FINISHED, ("cdr-overdue",))


def test_a_result_told_settles_nothing():
    scene = destination(S.TX_FINISHED)
    ended(scene, operation="NotifyRequestResult")
    assert scene.state == S.TX_FINISHED
