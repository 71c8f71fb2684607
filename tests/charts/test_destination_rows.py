"""The Destination's table of DESIGN.md section 3, row by row."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from statecharts.charging import (
    ConnectorTaken,
    StopAsked,
)
from statecharts.chart import Outcome
from statecharts.destination_events import S, StartRequested, StopRequested
from statecharts.events import ReleaseConnector, SendProgress
from statecharts.station_commands import CallVerdict, RemoteStartTransaction, RemoteStopTransaction
from statecharts.station_vocabulary import IdTagStatus
from tests.charts.scenes import (
    NAME,
    answer,
    ask_start,
    ask_stop,
    commanded,
    delivered,
    destination,
    expired_after_start,
    meter,
    ready_after_start,
    start,
    stop,
    told,
)

FAILED = (CallVerdict.REJECTED, CallVerdict.ERROR, CallVerdict.NEVER_SENT)
UNDER_WAY = (S.TX_RUNNING, S.STOP_TX_REQUESTED)


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


@pytest.mark.parametrize(
    ("verdict", "why", "cause"),
    [
        (CallVerdict.REJECTED, "", "the station refused to start"),
        (CallVerdict.ERROR, "NotSupported", "the station could not start: NotSupported"),
        (CallVerdict.NEVER_SENT, "", "the station cannot be reached"),
    ],
)
def test_the_driver_is_told_what_went_wrong(verdict, why, cause):
    scene = destination(S.START_TX_REQUESTED)
    (message,) = delivered(answer(scene, "start", verdict, why))
    assert message.cause == scene.data.cause == cause


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


def test_of_two_starts_the_one_that_never_left_is_taken_back():
    scene = ready_after_start()
    scene.tell(StartRequested, request_identifier="start-2", connector_id=2)
    assert (scene.data.remote_starts, scene.data.connectors_tried) == (2, (1, 2))
    answer(scene, "start", CallVerdict.NEVER_SENT)
    assert (scene.data.remote_starts, scene.data.connectors_tried) == (1, (1,))
    assert start(scene, 8, connector_id=2).answer == IdTagStatus.INVALID
    assert start(scene).answer == IdTagStatus.ACCEPTED


@pytest.mark.parametrize(("connector_asked", "answers"), [(None, "Accepted"), (2, "Accepted")])
def test_a_connector_is_ours_if_it_was_tried_whatever_was_asked_for(connector_asked, answers):
    scene = destination(S.READY)
    scene.data = msgspec.structs.replace(scene.data, connector_asked=connector_asked)
    ask_start(scene)
    assert start(scene, 8, connector_id=2).answer == IdTagStatus.INVALID
    assert start(scene, connector_id=1).answer == answers


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


def test_a_second_stop_request_puts_the_deadline_of_the_first_not_off():
    scene = destination(S.STOP_TX_REQUESTED)
    until = scene.data.stop_until
    assert until == scene.now + timedelta(seconds=scene.data.deadlines.stop_s)
    scene.pass_time(20)
    ask_stop(scene, "stop-2")
    assert (scene.data.stop_until, scene.data.requests[-1].at) == (until, scene.now)
    assert told(scene.time_out()) == [("stop-1", False), ("stop-2", False)]


def test_a_station_that_will_stop_is_not_waited_for_to_start():
    scene = destination(S.STOP_TX_REQUESTED)
    before = scene.data.start_until
    scene.pass_time(20)
    answer(scene, "stop", CallVerdict.ACCEPTED)
    assert scene.data.start_until == before
