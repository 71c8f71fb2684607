"""The local transaction's rows of DESIGN.md section 3."""

from __future__ import annotations

import msgspec
import pytest

from statecharts.charge_changes import DENIED
from statecharts.charging import (
    CloseAsked,
    ConnectorTaken,
    StationConfirmed,
    StationDenied,
    StopAsked,
    TransactionStarted,
)
from statecharts.chart import Outcome
from statecharts.station_commands import CallVerdict, RemoteStartTransaction, RemoteStopTransaction
from statecharts.station_vocabulary import IdTagStatus
from statecharts.transaction_local import ROWS, STATES, LocalStartRequested, LocalTransaction, S
from tests.charts.scenes import OPENING, answer, commanded, doubt, local, meter, start, stop

UNDER_WAY = (S.TX_RUNNING, S.STOP_TX_REQUESTED)


def test_an_operators_start_sends_one_remote_start():
    scene = local()
    decision = scene.tell(LocalStartRequested, opening=OPENING, connector_id=2)
    assert (scene.state, commanded(decision)) == (
        S.START_TX_REQUESTED, [RemoteStartTransaction(id_tag="CARD", connector_id=2)],
    )  # fmt: skip
    assert commanded(scene.tell(LocalStartRequested, opening=OPENING, connector_id=2)) == []


@pytest.mark.parametrize("state", [S.NEW, S.START_TX_REQUESTED, S.EXPIRED])
def test_started_is_running_from_wherever_it_was(state):
    scene = local(state)
    assert start(scene).answer == IdTagStatus.ACCEPTED
    assert (scene.state, scene.data.flags) == (S.TX_RUNNING, ())


@pytest.mark.parametrize("state", [S.NEW, S.START_TX_REQUESTED, S.EXPIRED])
def test_started_with_an_id_tag_that_was_not_accepted_is_recorded_flagged_and_answered_so(state):
    scene = local(state)
    assert start(scene, id_tag_accepted=False).answer == IdTagStatus.INVALID
    assert (scene.state, scene.data.flags) == (S.TX_RUNNING, ("not-authorised",))
    assert start(scene, id_tag_accepted=False).answer == IdTagStatus.INVALID


@pytest.mark.parametrize("state", [*UNDER_WAY, S.SETTLED])
def test_a_repeated_start_gets_the_first_answer(state):
    scene = local(state)
    decision = start(scene)
    assert (decision.outcome, decision.answer, scene.state) == (Outcome.REPEATED, IdTagStatus.ACCEPTED, state)


@pytest.mark.parametrize("state", [*UNDER_WAY, S.SETTLED])
def test_a_start_or_stop_of_another_charge_changes_nothing_but_is_kept(state):
    scene = local(state)
    charge = scene.data.charge
    assert start(scene, number=99).fact is not None
    assert stop(scene, number=99).fact is not None
    assert (scene.state, scene.data.charge) == (state, charge)


@pytest.mark.parametrize("verdict", [CallVerdict.REJECTED, CallVerdict.ERROR, CallVerdict.NEVER_SENT])
def test_a_remote_start_that_failed_is_expired_with_its_cause(verdict):
    scene = local(S.START_TX_REQUESTED)
    answer(scene, "start", verdict, "out of order")
    assert (scene.state, scene.data.cause) == (S.EXPIRED, "out of order")


def test_an_unknown_outcome_decides_nothing():
    scene = local(S.START_TX_REQUESTED)
    answer(scene, "start", CallVerdict.UNKNOWN)
    assert scene.state == S.START_TX_REQUESTED


@pytest.mark.parametrize("way", ["deadline", "taken"])
def test_a_start_that_did_not_come_is_expired(way):
    scene = local(S.START_TX_REQUESTED)
    scene.time_out() if way == "deadline" else scene.tell(ConnectorTaken, number=99)
    assert scene.state == S.EXPIRED


def test_running_stop_asked_sends_one_remote_stop():
    scene = local(S.TX_RUNNING)
    assert commanded(scene.tell(StopAsked)) == [RemoteStopTransaction(transaction_id=7)]
    assert (scene.state, commanded(scene.tell(StopAsked))) == (S.STOP_TX_REQUESTED, [])


@pytest.mark.parametrize("way", ["answer", "deadline"])
def test_a_stop_that_failed_is_running_again(way):
    scene = local(S.STOP_TX_REQUESTED)
    answer(scene, "stop", CallVerdict.REJECTED) if way == "answer" else scene.time_out()
    assert (scene.state, scene.data.stop_until) == (S.TX_RUNNING, None)


@pytest.mark.parametrize("state", UNDER_WAY)
def test_a_doubt_ends_nothing_until_the_reconcile_deadline(state):
    scene = local(state)
    meter(scene, 6000)
    doubt(scene)
    assert scene.state == state
    scene.now = scene.data.doubted_until
    scene.time_out()
    assert (scene.state, scene.data.charge.reason, scene.data.charge.energy_wh) == (S.SETTLED, "Reconciled", 5000)


@pytest.mark.parametrize("state", UNDER_WAY)
def test_a_word_that_the_charge_goes_on_ends_the_doubt(state):
    scene = local(state)
    doubt(scene)
    scene.tell(StationConfirmed)
    assert scene.data.doubted_until is None


def test_a_long_silence_is_a_doubt():
    scene = local(S.TX_RUNNING)
    scene.time_out()
    assert (scene.state, scene.data.flags) == (S.TX_RUNNING, ("silent",))
    scene.time_out()
    assert scene.state == S.SETTLED


@pytest.mark.parametrize("state", UNDER_WAY)
def test_a_charge_in_doubt_that_its_station_knows_as_over_is_reconciled(state):
    scene = local(state)
    meter(scene, 6000)
    scene.tell(StationDenied)
    assert scene.state == state, "it was not in doubt"
    doubt(scene)
    scene.tell(StationDenied)
    charge = scene.data.charge
    assert (scene.state, charge.reason, charge.energy_wh, charge.estimated) == (S.SETTLED, "Reconciled", 5000, True)
    assert scene.data.cause == DENIED
    scene.tell(StationDenied)
    assert scene.data.charge == charge


@pytest.mark.parametrize("state", UNDER_WAY)
def test_a_charge_that_an_operator_closes_is_reconciled_whether_in_doubt_or_not(state):
    scene = local(state)
    meter(scene, 6000)
    scene.tell(CloseAsked, reason="towed away", by="olga")
    charge = scene.data.charge
    assert (scene.state, charge.reason, charge.energy_wh, charge.estimated) == (S.SETTLED, "Reconciled", 5000, True)
    assert scene.data.cause == "closed by olga: towed away"


@pytest.mark.parametrize("state", UNDER_WAY)
def test_another_transaction_on_the_connector_reconciles(state):
    scene = local(state)
    scene.tell(ConnectorTaken, number=7)
    assert scene.state == state
    scene.tell(ConnectorTaken, number=99)
    assert (scene.state, scene.data.charge.estimated) == (S.SETTLED, True)


@pytest.mark.parametrize("state", [S.START_TX_REQUESTED, S.EXPIRED, *UNDER_WAY])
def test_stopped_is_settled_also_without_its_start(state):
    scene = local(state)
    stop(scene)
    assert (scene.state, scene.data.charge.meter_stop_wh) == (S.SETTLED, 8000)


def test_settled_keeps_late_words_once_as_corrections():
    scene = local(S.SETTLED)
    said_at = scene.now
    meter(scene, 9000)
    stop(scene, meter_stop_wh=9000, timestamp=said_at)
    assert stop(scene, meter_stop_wh=9000, timestamp=said_at).outcome is Outcome.REPEATED
    assert (scene.state, scene.data.corrections, scene.data.charge.meter_stop_wh) == (S.SETTLED, 2, 8000)


@pytest.mark.parametrize("state", [S.START_TX_REQUESTED, S.EXPIRED])
def test_what_the_operator_opened_the_station_does_not_open_again(state):
    scene = local(state)
    created_at = scene.data.created_at
    start(scene, opening=msgspec.structs.replace(OPENING, id="other", station="other", id_tag="OTHER"))
    found = scene.data
    assert (found.id, found.station, found.id_tag, found.created_at) == ("local-1", "CS01", "CARD", created_at)


def test_nothing_is_written_of_a_charge_before_the_word_that_begins_it():
    """And that word leads out of the one state that could last for ever."""
    written = [row for row in ROWS if S.NEW in row.sources and row.recorded]
    assert {row.event for row in written} == {LocalStartRequested, TransactionStarted}
    assert all(row.target not in (None, S.NEW) for row in written)
    assert [state.name for state in STATES if state.resting] == [S.NEW]


@pytest.mark.parametrize("told", [stop, lambda scene: meter(scene, 1_000), doubt])
def test_what_is_said_of_nothing_that_we_know_leaves_no_trace(told):
    scene = local()
    assert told(scene).fact is None and scene.data == LocalTransaction()


def test_a_stop_of_what_is_over_is_refused():
    decision = local(S.SETTLED).tell(StopAsked)
    assert decision.refusal is not None
    assert decision.refusal.code == 410
