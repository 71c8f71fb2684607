"""The Source's table of DESIGN.md section 3, row by row."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from statecharts.chart import Outcome
from statecharts.events import AskPeer, BindAlias, Deliver, NodeRestarted
from statecharts.source_events import (
    AuthorizationGranted,
    AuthorizationRefused,
    ProgressReported,
    RequestAccepted,
    RequestDeclined,
    ResultNotified,
    S,
    StartRequested,
    StopRequested,
    TransactionEnded,
)
from statecharts.vocabulary import Authorize, RequestStartTransaction, RequestStopTransaction
from tests.charts.scenes import LOCAL, NAME, REFUSAL, T0, Scene, content, delivered, end, source

NAMED = (S.READY, S.EXPIRED, S.START_TX_REQUESTED, S.TX_RUNNING, S.STOP_TX_REQUESTED, S.TX_FINISHED)


def notify(scene: Scene, request: str, success: bool, cause: str | None = None):
    return scene.tell(ResultNotified, request_identifier=request, success=success, cause=cause)


def progress(scene: Scene, energy_wh: int | None = 4000, **other):
    return scene.tell(ProgressReported, start_timestamp=T0, content=content(energy_wh, **other))


def lapsed_start() -> Scene:
    """A start asked for in the last second of the authorisation."""
    scene = source(S.READY)
    scene.now = scene.data.lapses_at
    scene.tell(StartRequested, request_identifier="start-1")
    return scene


# -- Authorizing -------------------------------------------------------------------------------------------------------


def test_authorizing_asks_the_peer_once_and_owes_nothing():
    scene = source(S.AUTHORIZING)
    (ask,) = scene.effects
    assert isinstance(ask, AskPeer)
    assert isinstance(ask.request, Authorize)


def test_authorizing_granted_is_ready_under_the_alias_of_peer_and_authorization():
    scene = source(S.AUTHORIZING)
    decision = scene.tell(AuthorizationGranted, authorization_identifier=NAME)
    assert scene.state == S.READY
    assert decision.effects == (BindAlias(scope=f"source-authorization/{LOCAL}", name=NAME),)


def test_authorizing_refused_is_refused_with_its_cause():
    scene = source(S.AUTHORIZING)
    scene.tell(AuthorizationRefused, refusal=REFUSAL)
    assert (scene.state, scene.data.cause) == (S.REFUSED, REFUSAL.message)


def test_authorizing_without_an_answer_by_the_deadline_is_refused():
    scene = source(S.AUTHORIZING)
    scene.time_out()
    assert scene.state == S.REFUSED


def test_authorizing_across_a_restart_is_refused():
    scene = source(S.AUTHORIZING)
    scene.tell(NodeRestarted)
    assert scene.state == S.REFUSED


def test_refused_is_final_and_a_later_grant_lapses():
    scene = source(S.REFUSED)
    decision = scene.tell(AuthorizationGranted, authorization_identifier=NAME)
    assert (scene.state, decision.effects) == (S.REFUSED, ())
    assert scene.data.authorization_identifier is None
    assert scene.chart.is_final(scene.data)


def test_a_second_grant_never_renames_a_transaction():
    scene = source(S.READY)
    scene.tell(AuthorizationGranted, authorization_identifier="FFFFFFFFFFFF")
    assert scene.data.authorization_identifier == NAME


# -- Ready -------------------------------------------------------------------------------------------------------------


def test_ready_start_requested_is_owed_until_the_deadline_of_the_start():
    scene = source(S.READY)
    decision = scene.tell(StartRequested, request_identifier="start-1")
    assert scene.state == S.START_TX_REQUESTED
    (owed,) = [e for e in decision.effects if isinstance(e, Deliver)]
    assert owed.message == RequestStartTransaction(request_identifier="start-1", authorization_identifier=NAME)
    assert owed.expires_at == scene.chart.deadline(scene.data)
    assert decision.fact is not None


def test_ready_deadline_is_expired():
    scene = source(S.READY)
    scene.time_out()
    assert scene.state == S.EXPIRED


@pytest.mark.parametrize("state", [S.READY, S.EXPIRED])
def test_stop_before_any_start_is_refused_with_409(state):
    scene = source(state)
    decision = scene.tell(StopRequested, request_identifier="stop-1")
    assert decision.refusal is not None
    assert (scene.state, decision.refusal.code, decision.effects) == (state, 409, ())


# -- StartTxRequested --------------------------------------------------------------------------------------------------


def test_start_declined_by_the_peer_is_ready_again_with_the_cause():
    scene = source(S.START_TX_REQUESTED)
    scene.tell(RequestDeclined, request_identifier="start-1", refusal=REFUSAL)
    assert (scene.state, scene.data.cause) == (S.READY, REFUSAL.message)
    assert scene.data.operation("start").status == "failed"


def test_start_notified_false_is_ready_again_with_the_cause():
    scene = source(S.START_TX_REQUESTED)
    notify(scene, "start-1", False, "no cable")
    assert (scene.state, scene.data.cause) == (S.READY, "no cable")


@pytest.mark.parametrize("way", ["declined", "notified", "deadline"])
def test_a_failed_start_whose_authorisation_is_over_is_expired(way):
    scene = lapsed_start()
    if way == "declined":
        scene.tell(RequestDeclined, request_identifier="start-1", refusal=REFUSAL)
    elif way == "notified":
        notify(scene, "start-1", False)
    else:
        scene.time_out()
    assert scene.state == S.EXPIRED


def test_a_failure_of_an_older_start_leaves_the_newer_one_alone():
    scene = source(S.START_TX_REQUESTED)
    notify(scene, "start-1", False)
    scene.tell(StartRequested, request_identifier="start-2")
    scene.tell(RequestDeclined, request_identifier="start-1", refusal=REFUSAL)
    notify(scene, "start-1", False)
    assert scene.state == S.START_TX_REQUESTED
    assert scene.data.operation("start").status == "pending"


def test_start_accepted_waits_for_its_result_and_its_deadline_stays():
    scene = source(S.START_TX_REQUESTED)
    until = scene.chart.deadline(scene.data)
    scene.tell(RequestAccepted, request_identifier="start-1")
    assert (scene.state, scene.chart.deadline(scene.data)) == (S.START_TX_REQUESTED, until)


def test_start_deadline_is_ready_again_with_the_outcome_unknown():
    scene = source(S.START_TX_REQUESTED)
    scene.time_out()
    assert scene.state == S.READY
    assert "outcome unknown" in scene.data.cause


def test_start_asked_again_returns_the_running_operation():
    scene = source(S.START_TX_REQUESTED)
    decision = scene.tell(StartRequested, request_identifier="start-2")
    assert (decision.outcome, decision.fact, decision.effects) == (Outcome.REPEATED, None, ())
    assert [o.request_identifier for o in scene.data.operations] == ["start-1"]


def test_stop_asked_while_starting_is_kept_and_sent_on_entering_running():
    scene = source(S.START_TX_REQUESTED)
    kept = scene.tell(StopRequested, request_identifier="stop-1")
    assert (scene.state, delivered(kept)) == (S.START_TX_REQUESTED, [])
    decision = notify(scene, "start-1", True)
    stop = RequestStopTransaction(request_identifier="stop-1", authorization_identifier=NAME)
    assert (scene.state, delivered(decision)) == (S.STOP_TX_REQUESTED, [stop])


def test_a_kept_stop_is_also_sent_when_progress_proves_the_start():
    scene = source(S.START_TX_REQUESTED)
    scene.tell(StopRequested, request_identifier="stop-1")
    assert len(delivered(progress(scene))) == 1
    assert scene.state == S.STOP_TX_REQUESTED


def test_a_kept_stop_is_dropped_with_the_start_that_failed():
    scene = source(S.START_TX_REQUESTED)
    scene.tell(StopRequested, request_identifier="stop-1")
    notify(scene, "start-1", False)
    assert (scene.state, scene.data.stop_kept) == (S.READY, None)


# -- entering TxRunning ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [S.READY, S.START_TX_REQUESTED, S.EXPIRED])
def test_notify_true_of_any_start_is_running(state):
    scene = source(S.START_TX_REQUESTED)
    if state != S.START_TX_REQUESTED:
        scene.time_out()
    if state == S.EXPIRED:
        scene.time_out()
    assert scene.state == state
    notify(scene, "start-1", True)
    assert scene.state == S.TX_RUNNING
    assert scene.data.operation("start").status == "succeeded"


def test_notify_true_of_an_older_start_is_running_and_ends_the_newer_one():
    scene = source(S.START_TX_REQUESTED)
    scene.time_out()
    scene.tell(StartRequested, request_identifier="start-2")
    notify(scene, "start-1", True)
    assert scene.state == S.TX_RUNNING
    assert [o.status for o in scene.data.operations] == ["succeeded", "succeeded"]


@pytest.mark.parametrize("state", [S.READY, S.START_TX_REQUESTED, S.EXPIRED])
def test_progress_proves_a_start_whose_notify_was_lost(state):
    scene = source(state)
    progress(scene)
    assert (scene.state, scene.data.energy_wh) == (S.TX_RUNNING, 4000)


# -- TxRunning, StopTxRequested ----------------------------------------------------------------------------------------


def test_running_stop_requested_is_owed_until_the_deadline_of_the_stop():
    scene = source(S.TX_RUNNING)
    decision = scene.tell(StopRequested, request_identifier="stop-1")
    (owed,) = [e for e in decision.effects if isinstance(e, Deliver)]
    assert scene.state == S.STOP_TX_REQUESTED
    assert owed.expires_at == scene.chart.deadline(scene.data)


def test_stop_notified_true_is_finished():
    scene = source(S.STOP_TX_REQUESTED)
    notify(scene, "stop-1", True)
    assert (scene.state, scene.data.finished_at) == (S.TX_FINISHED, scene.now)


@pytest.mark.parametrize("way", ["declined", "notified", "deadline"])
def test_a_failed_stop_is_running_again_with_the_cause(way):
    scene = source(S.STOP_TX_REQUESTED)
    if way == "declined":
        scene.tell(RequestDeclined, request_identifier="stop-1", refusal=REFUSAL)
    elif way == "notified":
        notify(scene, "stop-1", False, "jammed")
    else:
        scene.time_out()
    cause = {"declined": REFUSAL.message, "notified": "jammed"}.get(way, "outcome unknown")
    assert scene.state == S.TX_RUNNING
    assert cause in scene.data.cause


@pytest.mark.parametrize("state", [S.TX_RUNNING, S.STOP_TX_REQUESTED])
def test_progress_stays_and_its_energy_never_falls(state):
    scene = source(state)
    for energy in (-5, 4000, 3000, None):
        progress(scene, energy)
    assert (scene.state, scene.data.energy_wh) == (state, 4000)


def test_a_result_of_an_older_stop_leaves_the_newer_one_alone():
    scene = source(S.STOP_TX_REQUESTED)
    scene.time_out()
    scene.tell(StopRequested, request_identifier="stop-2")
    decision = notify(scene, "stop-1", True)
    assert (scene.state, decision.outcome) == (S.STOP_TX_REQUESTED, Outcome.STAYED)
    assert scene.data.operation("stop").status == "pending"


def test_silence_is_flagged_and_charging_goes_on():
    scene = source(S.TX_RUNNING)
    scene.time_out()
    assert scene.state == S.TX_RUNNING
    assert "silent" in scene.data.flags
    assert scene.chart.deadline(scene.data) > scene.now


def test_stops_that_go_unanswered_do_not_hide_a_silence():
    scene = source(S.STOP_TX_REQUESTED)
    heard_at = scene.data.heard_at
    scene.time_out()
    assert scene.data.heard_at == heard_at


# -- the end -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", NAMED)
def test_the_end_settles_whatever_was_going_on(state):
    scene = source(state)
    scene.tell(TransactionEnded, message=end())
    assert (scene.state, scene.data.end) == (S.SETTLED, end())
    assert all(o.status != "pending" for o in scene.data.operations)


IMPLAUSIBLE = {
    "ends before it starts": msgspec.structs.replace(end(), end_transaction_timestamp=T0 - timedelta(seconds=1)),
    "no energy": end(None),
    "negative energy": end(-1),
    "still active": msgspec.structs.replace(end(), transaction_data=content(7000)),
}


@pytest.mark.parametrize("message", IMPLAUSIBLE.values(), ids=IMPLAUSIBLE)
def test_an_end_that_cannot_be_right_settles_as_it_came_and_is_flagged(message):
    scene = source(S.TX_RUNNING)
    scene.tell(TransactionEnded, message=message)
    assert (scene.state, scene.data.end) == (S.SETTLED, message)
    assert scene.data.flags == ("implausible-end",)


def test_open_operations_end_as_done():
    scene = source(S.STOP_TX_REQUESTED)
    scene.tell(TransactionEnded, message=end())
    assert scene.data.operation("stop").status == "succeeded"


def test_an_overdue_charge_record_is_flagged_and_never_closed_silently():
    scene = source(S.TX_FINISHED)
    for _ in range(3):
        scene.time_out()
    assert scene.state == S.TX_FINISHED
    assert scene.data.flags == ("cdr-overdue",)


@pytest.mark.parametrize("again", ["end", "notify", "progress"])
def test_settled_answers_repetitions_as_success(again):
    scene = source(S.SETTLED)
    before = scene.data
    if again == "end":
        decision = scene.tell(TransactionEnded, message=end())
    elif again == "notify":
        decision = notify(scene, "stop-1", True)
    else:
        decision = progress(scene)
    assert (decision.outcome, decision.fact, decision.data) == (Outcome.REPEATED, None, before)


def test_settled_refuses_another_end_with_409_and_shows_the_conflict():
    scene = source(S.SETTLED)
    decision = scene.tell(TransactionEnded, message=end(9000))
    assert decision.refusal is not None
    assert (decision.refusal.code, scene.state, scene.data.end) == (409, S.SETTLED, end())
    assert decision.fact is not None, "the conflict is kept"
    assert scene.data.flags == ("conflicting-end",)


# -- trust (DESIGN.md section 5) ---------------------------------------------------------------------------------------

FOREIGN = [
    {"user_identifier": "eve"},
    {"local_operator_identifier": "XX"},
    {"home_operator_identifier": "XX"},
    {"local_service_identifier": "CS99"},
    {"authorization_identifier": "FFFFFFFFFFFF"},
]


@pytest.mark.parametrize("state", [*NAMED, S.SETTLED])
@pytest.mark.parametrize("other", FOREIGN, ids=lambda other: next(iter(other)))
def test_reports_about_somebody_else_are_refused_with_403_kept_and_bill_nothing(state, other):
    scene = source(state)
    before = scene.data.end, scene.data.energy_wh
    for decision in (progress(scene, **other), scene.tell(TransactionEnded, message=end(**other))):
        assert decision.refusal is not None
        assert decision.refusal.code == 403
        assert decision.fact is not None
    assert scene.state == state
    assert (scene.data.end, scene.data.energy_wh) == before
    assert {"foreign-progress", "foreign-end"} <= set(scene.data.flags)
