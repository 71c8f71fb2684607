"""The Destination's table of DESIGN.md section 3, row by row."""

from __future__ import annotations

from datetime import timedelta

import pytest

from statecharts.charging import (
    ConnectorTaken,
    StationConfirmed,
    StationDoubted,
    StopAsked,
)
from statecharts.chart import Outcome
from statecharts.destination_events import S, StartRequested, StopRequested
from statecharts.events import ReleaseConnector, SendProgress
from statecharts.station_vocabulary import CallVerdict, IdTagStatus, RemoteStartTransaction, RemoteStopTransaction
from statecharts.vocabulary import EndTransaction, NotifyRequestResult
from tests.charts.scenes import (
    NAME,
    Scene,
    answer,
    commanded,
    delivered,
    destination,
    doubt,
    ended,
    meter,
    start,
    stop,
)

FAILED = (CallVerdict.REJECTED, CallVerdict.ERROR, CallVerdict.NEVER_SENT)
UNDER_WAY = (S.TX_RUNNING, S.STOP_TX_REQUESTED)


def ask_start(scene: Scene, name: str = "start-1"):
    return scene.tell(StartRequested, request_identifier=name, connector_id=1)


def ask_stop(scene: Scene, name: str = "stop-1"):
    return scene.tell(StopRequested, request_identifier=name)


def told(decision) -> list[tuple[str, bool]]:
    """The results that a decision tells to the Source."""
    messages = [m for m in delivered(decision) if isinstance(m, NotifyRequestResult)]
    return [(m.request_identifier, m.request_success) for m in messages]


def record(decision) -> EndTransaction:
    (end,) = [m for m in delivered(decision) if isinstance(m, EndTransaction)]
    return end


def expired_after_start() -> Scene:
    scene = destination(S.START_TX_REQUESTED)
    scene.time_out()
    scene.time_out()
    assert scene.state == S.EXPIRED
    return scene


# -- asked by the Source -----------------------------------------------------------------------------------------------


def test_ready_start_requested_sends_one_remote_start_with_the_authorization_as_id_tag():
    scene = destination(S.READY)
    assert commanded(ask_start(scene)) == [RemoteStartTransaction(id_tag=NAME, connector_id=1)]
    assert scene.state == S.START_TX_REQUESTED


def test_ready_deadline_is_expired():
    scene = destination(S.READY)
    scene.time_out()
    assert scene.state == S.EXPIRED


@pytest.mark.parametrize("state", [S.READY, S.START_TX_REQUESTED, S.EXPIRED])
def test_stop_before_the_charge_is_refused_with_409(state):
    scene = destination(state)
    decision = ask_stop(scene)
    assert decision.refusal is not None
    assert (decision.refusal.code, scene.state, decision.effects) == (409, state, ())


@pytest.mark.parametrize("state", [S.EXPIRED, S.TX_FINISHED, S.SETTLED])
def test_start_after_the_end_is_refused_with_410(state):
    scene = destination(state)
    decision = ask_start(scene, "start-9")
    assert decision.refusal is not None
    assert (decision.refusal.code, scene.state, decision.effects) == (410, state, ())


@pytest.mark.parametrize("state", [S.START_TX_REQUESTED, S.TX_RUNNING, S.TX_FINISHED, S.SETTLED])
def test_the_same_start_request_gets_the_same_answer_and_no_second_remote_start(state):
    scene = destination(state)
    decision = ask_start(scene)
    assert (decision.outcome, decision.effects) == (Outcome.REPEATED, ())


def test_the_same_start_request_after_it_failed_sends_no_second_remote_start():
    scene = destination(S.START_TX_REQUESTED)
    answer(scene, "start", CallVerdict.REJECTED)
    assert scene.state == S.READY
    assert (ask_start(scene).effects, scene.state) == ((), S.READY)


def test_another_start_request_while_starting_is_told_the_one_outcome():
    scene = destination(S.START_TX_REQUESTED)
    assert commanded(ask_start(scene, "start-2")) == []
    assert told(start(scene)) == [("start-1", True), ("start-2", True)]


def test_another_start_request_while_starting_is_told_the_one_failure():
    scene = destination(S.START_TX_REQUESTED)
    ask_start(scene, "start-2")
    assert told(scene.time_out()) == [("start-1", False), ("start-2", False)]


@pytest.mark.parametrize("state", UNDER_WAY)
def test_another_start_request_while_charging_is_told_at_once_that_it_runs(state):
    scene = destination(state)
    decision = ask_start(scene, "start-2")
    assert (told(decision), commanded(decision)) == ([("start-2", True)], [])


@pytest.mark.parametrize("kind", [StartRequested, StopRequested])
def test_a_name_of_the_other_kind_is_refused_since_its_result_could_not_be_told(kind):
    scene = destination(S.STOP_TX_REQUESTED)
    decision = ask_start(scene, "stop-1") if kind is StartRequested else ask_stop(scene, "start-1")
    assert decision.refusal is not None
    assert (decision.refusal.code, decision.fact) == (409, None)


# -- StartTxRequested --------------------------------------------------------------------------------------------------


def test_an_accepted_remote_start_has_the_stations_time_from_then_on():
    scene = destination(S.START_TX_REQUESTED)
    scene.pass_time(20)
    answer(scene, "start", CallVerdict.ACCEPTED)
    assert scene.state == S.START_TX_REQUESTED
    assert scene.chart.deadline(scene.data) == scene.now + timedelta(seconds=scene.data.deadlines.start_s)


@pytest.mark.parametrize("verdict", FAILED)
def test_a_remote_start_that_failed_is_ready_again_and_told_with_its_cause(verdict):
    scene = destination(S.START_TX_REQUESTED)
    decision = answer(scene, "start", verdict, "out of order")
    (message,) = delivered(decision)
    assert scene.state == S.READY
    assert (message.request_success, "out of order" in message.cause) == (False, True)
    assert ReleaseConnector(station="CS01") in decision.effects


@pytest.mark.parametrize(("state", "purpose"), [(S.START_TX_REQUESTED, "start"), (S.STOP_TX_REQUESTED, "stop")])
def test_an_unknown_outcome_decides_nothing(state, purpose):
    scene = destination(state)
    decision = answer(scene, purpose, CallVerdict.UNKNOWN)
    assert (scene.state, decision.effects) == (state, ())


def test_another_id_tag_on_the_connector_ends_the_start_request():
    scene = destination(S.START_TX_REQUESTED)
    decision = scene.tell(ConnectorTaken, number=99)
    assert (scene.state, told(decision)) == (S.READY, [("start-1", False)])


def test_no_start_by_the_deadline_ends_the_start_request():
    scene = destination(S.START_TX_REQUESTED)
    decision = scene.time_out()
    (message,) = delivered(decision)
    assert (scene.state, message.request_success) == (S.READY, False)
    assert "cable" in message.cause


# -- started -----------------------------------------------------------------------------------------------------------


def ready_after_start() -> Scene:
    scene = destination(S.START_TX_REQUESTED)
    scene.time_out()
    return scene


@pytest.mark.parametrize("way", [lambda: destination(S.START_TX_REQUESTED), ready_after_start, expired_after_start])
def test_started_with_our_id_tag_after_a_remote_start_is_running(way):
    scene = way()
    decision = start(scene)
    assert (scene.state, decision.answer) == (S.TX_RUNNING, IdTagStatus.ACCEPTED)
    assert told(decision) == [("start-1", True)]


@pytest.mark.parametrize("state", [S.READY, S.EXPIRED])
def test_started_without_any_remote_start_is_misuse_and_not_billed(state):
    scene = destination(state)
    decision = start(scene)
    assert (scene.state, decision.answer, decision.effects) == (state, IdTagStatus.INVALID, ())
    assert (scene.data.flags, scene.data.charge.number) == (("misuse",), None)


@pytest.mark.parametrize("state", [S.READY, S.EXPIRED])
def test_misuse_stays_misuse_when_repeated_and_when_it_stops(state):
    scene = destination(state)
    start(scene)
    assert start(scene).answer == IdTagStatus.INVALID
    stop(scene)
    assert scene.state == state


def test_a_start_that_never_left_does_not_make_a_later_start_ours():
    scene = destination(S.START_TX_REQUESTED)
    answer(scene, "start", CallVerdict.NEVER_SENT)
    assert start(scene).answer == IdTagStatus.INVALID
    assert scene.state == S.READY


def test_a_start_known_only_late_never_to_have_left_does_not_make_a_later_start_ours():
    scene = destination(S.START_TX_REQUESTED)
    scene.time_out()
    answer(scene, "start", CallVerdict.NEVER_SENT)
    assert start(scene).answer == IdTagStatus.INVALID


def test_our_id_tag_at_another_connector_than_the_one_it_is_for_is_misuse():
    scene = destination(S.START_TX_REQUESTED)
    assert start(scene, connector_id=2).answer == IdTagStatus.INVALID
    assert scene.state == S.START_TX_REQUESTED


@pytest.mark.parametrize("state", [S.TX_RUNNING, S.STOP_TX_REQUESTED, S.TX_FINISHED, S.SETTLED])
def test_a_repeated_start_gets_the_first_answer(state):
    scene = destination(state)
    decision = start(scene)
    assert (decision.outcome, decision.answer) == (Outcome.REPEATED, IdTagStatus.ACCEPTED)


def test_a_false_result_is_overruled_by_the_late_start():
    scene = destination(S.START_TX_REQUESTED)
    assert told(scene.time_out()) == [("start-1", False)]
    ask_start(scene, "start-2")
    assert told(start(scene)) == [("start-1", True), ("start-2", True)]


# -- under way ---------------------------------------------------------------------------------------------------------


def test_progress_goes_out_at_most_once_per_interval_and_carries_the_newest():
    scene = destination(S.TX_RUNNING)
    sent = []
    for wh in (2000, 3000, 4000):
        sent += [e for e in meter(scene, wh).effects if isinstance(e, SendProgress)]
    scene.pass_time(scene.data.deadlines.progress_interval_s)
    sent += [e for e in meter(scene, 5000).effects if isinstance(e, SendProgress)]
    assert [p.message.transaction_data.energy_wh for p in sent] == [1000, 4000]


def test_running_stop_requested_sends_one_remote_stop():
    scene = destination(S.TX_RUNNING)
    assert commanded(ask_stop(scene)) == [RemoteStopTransaction(transaction_id=7)]
    assert (scene.state, commanded(ask_stop(scene)), commanded(ask_stop(scene, "stop-2"))) == (
        S.STOP_TX_REQUESTED, [], [],
    )  # fmt: skip
    assert told(stop(scene)) == [("stop-1", True), ("stop-2", True)]


def test_our_operator_may_stop_too_and_nobody_is_told_a_result():
    scene = destination(S.TX_RUNNING)
    assert commanded(scene.tell(StopAsked)) == [RemoteStopTransaction(transaction_id=7)]
    assert told(stop(scene)) == []


@pytest.mark.parametrize("verdict", FAILED)
def test_a_remote_stop_that_failed_is_running_again_and_told(verdict):
    scene = destination(S.STOP_TX_REQUESTED)
    decision = answer(scene, "stop", verdict)
    assert (scene.state, told(decision)) == (S.TX_RUNNING, [("stop-1", False)])


def test_no_stop_by_the_deadline_is_running_again_and_told():
    scene = destination(S.STOP_TX_REQUESTED)
    assert told(scene.time_out()) == [("stop-1", False)]
    assert scene.state == S.TX_RUNNING


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
@pytest.mark.parametrize("way", ["deadline", "taken"])
def test_reconciliation_ends_with_the_last_known_meter_marked_as_estimated(state, way):
    scene = destination(state)
    meter(scene, 6000)
    doubt(scene)
    if way == "taken":
        decision = scene.tell(ConnectorTaken, number=99)
    else:
        scene.now = scene.data.doubted_until
        decision = scene.time_out()
    charge = scene.data.charge
    assert scene.state == S.TX_FINISHED
    assert (charge.reason, charge.estimated, charge.meter_stop_wh) == ("Reconciled", True, 6000)
    assert record(decision).transaction_data.energy_wh == 5000
    assert "estimated" in scene.data.flags


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


def test_the_end_delivered_is_settled():
    scene = destination(S.TX_FINISHED)
    ended(scene)
    assert scene.state == S.SETTLED


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
