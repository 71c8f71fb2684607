"""What a transaction wants of others, word for word: to whom it goes, under which name, until when, and why."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from statecharts import destination_events as de
from statecharts import source_events as se
from statecharts import transaction_destination, transaction_local
from statecharts.charging import ConnectorTaken, StopAsked
from statecharts.chart import Decision
from statecharts.events import (
    AskPeer,
    BindAlias,
    CommandStation,
    Deliver,
    ReleaseConnector,
    SendProgress,
)
from statecharts.station_commands import CallVerdict, RemoteStartTransaction, RemoteStopTransaction
from statecharts.vocabulary import (
    Authorize,
    EndTransaction,
    NotifyRequestResult,
    RequestStartTransaction,
    RequestStopTransaction,
    ServiceType,
    TransactionData,
    TransactionProgressUpdate,
    TransactionStatus,
)
from tests.charts.scenes import (
    HOME,
    LOCAL,
    NAME,
    OPENING,
    REFUSAL,
    REQUEST,
    Scene,
    answer,
    ask_start,
    ask_stop,
    content,
    destination,
    doubt,
    end,
    local,
    meter,
    ready_after_start,
    source,
    start,
    stop,
)

# -- Source ------------------------------------------------------------------------------------------------------------

DEADLINES = se.SourceDeadlines()


def test_an_authorisation_is_asked_for_once_with_all_that_the_app_said():
    scene = Scene(source().chart, se.SourceTransaction())
    request = msgspec.structs.replace(REQUEST, connector_identifier="2", idempotency_key="k")
    decision = scene.tell(
        se.AuthorizationRequested,
        id="tx1", app="app", own_pms_identifier=HOME, request=request, deadlines=DEADLINES,
    )  # fmt: skip
    asked = Authorize(
        pms_identifier=HOME,
        user_identifier="ada",
        service_type=ServiceType.EV_CHARGING,
        local_service_identifier="CS01",
        connector_identifier="2",
    )
    assert decision.effects == (
        BindAlias(scope="app-key/authorize/app", name="k"),
        AskPeer(peer=LOCAL, request=asked, timeout_s=DEADLINES.authorize_answer_s),
    )
    granted = scene.tell(se.AuthorizationGranted, authorization_identifier=NAME)
    assert granted.effects == (BindAlias(scope=f"source-authorization/{LOCAL}", name=NAME),)


KINDS = {
    "start": (se.S.READY, se.StartRequested, RequestStartTransaction, DEADLINES.start_s),
    "stop": (se.S.TX_RUNNING, se.StopRequested, RequestStopTransaction, DEADLINES.stop_s),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("key", [None, "k"])
def test_a_request_goes_out_under_its_own_name_until_its_deadline(kind, key):
    state, event, message, seconds = KINDS[kind]
    scene = source(state)
    decision = scene.tell(event, request_identifier="r9", idempotency_key=key)
    keys = (BindAlias(scope=f"app-key/{kind}/app", name="k"),) if key else ()
    until = scene.now + timedelta(seconds=seconds)
    sent = message(request_identifier="r9", authorization_identifier=NAME)
    assert decision.effects == (
        *keys,
        BindAlias(scope=f"source-request/{LOCAL}", name="r9"),
        Deliver(peer=LOCAL, message_id="request/r9", message=sent, expires_at=until),
    )
    (operation,) = [each for each in scene.data.operations if each.request_identifier == "r9"]
    assert (operation.kind, operation.status, operation.until) == (kind, "pending", until)
    assert operation.requested_at == scene.now
    assert scene.data.pending(kind) and scene.chart.deadline(scene.data) == until


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_asked_for_again_while_it_is_under_way_binds_its_key_alone(kind):
    scene = source(se.S.START_TX_REQUESTED if kind == "start" else se.S.STOP_TX_REQUESTED)
    operations = scene.data.operations
    decision = scene.tell(KINDS[kind][1], request_identifier="r9", idempotency_key="k")
    assert decision.effects == (BindAlias(scope=f"app-key/{kind}/app", name="k"),)
    assert scene.data.operations == operations
    assert scene.tell(KINDS[kind][1], request_identifier="r10").effects == ()


def test_a_stop_that_was_kept_goes_out_once_the_charge_runs_and_not_before():
    scene = source(se.S.START_TX_REQUESTED)
    kept = scene.tell(se.StopRequested, request_identifier="r9", idempotency_key="k")
    assert kept.effects == (BindAlias(scope="app-key/stop/app", name="k"),)
    running = scene.tell(se.ResultNotified, request_identifier="start-1", success=True)
    until = scene.now + timedelta(seconds=DEADLINES.stop_s)
    sent = RequestStopTransaction(request_identifier="r9", authorization_identifier=NAME)
    assert running.effects == (
        BindAlias(scope=f"source-request/{LOCAL}", name="r9"),
        Deliver(peer=LOCAL, message_id="request/r9", message=sent, expires_at=until),
    )
    assert (scene.state, scene.data.stop_kept) == (se.S.STOP_TX_REQUESTED, None)


def test_a_start_that_fails_in_the_moment_in_which_the_authorisation_lapses_is_too_late():
    scene = source(se.S.START_TX_REQUESTED)
    scene.now = scene.data.lapses_at - timedelta(seconds=1)
    scene.tell(se.RequestDeclined, request_identifier="start-1", refusal=REFUSAL)
    assert scene.state == se.S.EXPIRED


def test_a_refusal_of_a_request_is_kept_with_it_and_one_of_another_changes_nothing():
    scene = source(se.S.START_TX_REQUESTED)
    before = scene.data
    scene.tell(se.RequestDeclined, request_identifier="unheard-of", refusal=REFUSAL)
    assert scene.data == before
    scene.tell(se.RequestDeclined, request_identifier="start-1", refusal=REFUSAL)
    (operation,) = scene.data.operations
    assert (operation.status, operation.cause, scene.data.cause) == ("failed", REFUSAL.message, REFUSAL.message)


@pytest.mark.parametrize(
    ("state", "cause"),
    [
        (se.S.AUTHORIZING, "the other operator did not answer in time"),
        (se.S.START_TX_REQUESTED, "outcome unknown: the other operator reported no result in time"),
        (se.S.STOP_TX_REQUESTED, "outcome unknown: the other operator reported no result in time"),
    ],
)
def test_what_came_to_nothing_by_its_deadline_says_so(state, cause):
    scene = source(state)
    scene.time_out()
    assert scene.data.cause == cause
    assert all((each.status, each.cause) == ("failed", cause) for each in scene.data.operations[-1:])


def test_a_grant_that_comes_too_late_is_shown():
    scene = source(se.S.REFUSED)
    scene.tell(se.AuthorizationGranted, authorization_identifier=NAME)
    assert (scene.data.flags, scene.data.authorization_identifier) == (("granted-too-late",), None)


@pytest.mark.parametrize(
    ("said", "flags"),
    [
        (end(0), ()),
        (end(None), ("implausible-end",)),
        (end(-1), ("implausible-end",)),
        (msgspec.structs.replace(end(), start_transaction_timestamp=end().end_transaction_timestamp), ()),
    ],
)
def test_a_record_of_nothing_at_all_is_plausible_and_one_without_a_measure_is_not(said, flags):
    scene = source(se.S.TX_RUNNING)
    scene.tell(se.TransactionEnded, message=said)
    assert scene.data.flags == flags


def test_progress_of_nothing_yet_is_progress():
    scene = source(se.S.TX_RUNNING)
    scene.tell(se.ProgressReported, start_timestamp=scene.now, content=content(0))
    assert scene.data.energy_wh == 0


# -- Destination -------------------------------------------------------------------------------------------------------


def notify(result: bool, cause: str | None = None, name: str = "start-1") -> Deliver:
    message = NotifyRequestResult(request_identifier=name, request_success=result, cause=cause)
    return Deliver(peer=HOME, message_id=f"notify/{HOME}/{NAME}/{name}/{result}", message=message)


@pytest.mark.parametrize(
    ("state", "step", "effects"),
    [
        (
            de.S.READY,
            ask_start,
            (
                CommandStation(
                    station="CS01", command=RemoteStartTransaction(id_tag=NAME, connector_id=1), purpose="start"
                ),
            ),
        ),
        (
            de.S.TX_RUNNING,
            ask_stop,
            (CommandStation(station="CS01", command=RemoteStopTransaction(transaction_id=7), purpose="stop"),),
        ),
        (de.S.START_TX_REQUESTED, start, (notify(True), ReleaseConnector(station="CS01"))),
        (
            de.S.START_TX_REQUESTED,
            lambda scene: scene.tell(ConnectorTaken, number=99),
            (notify(False, "another charge began on this connector"), ReleaseConnector(station="CS01")),
        ),
        (
            de.S.START_TX_REQUESTED,
            Scene.time_out,
            (notify(False, de.NEVER_STARTED), ReleaseConnector(station="CS01")),
        ),
        (de.S.STOP_TX_REQUESTED, Scene.time_out, (notify(False, de.NEVER_STOPPED, "stop-1"),)),
    ],
    ids=["start", "stop", "started", "taken", "never started", "never stopped"],
)
def test_what_a_destination_wants_goes_where_it_belongs(
    state: de.S, step: Callable[[Scene], Decision[Any]], effects: tuple[Any, ...]
) -> None:
    assert step(destination(state)).effects == effects


def test_progress_says_what_goes_on_and_that_it_goes_on():
    scene = destination(de.S.TX_RUNNING)
    (effect,) = meter(scene, 4000).effects
    told = de.transaction_data(scene.data, ended=False)
    assert (told.transaction_status, told.end_timestamp, told.energy_wh) == (TransactionStatus.ACTIVE, None, 3000)
    began = scene.data.charge.start_timestamp
    update = TransactionProgressUpdate(
        authorization_identifier=NAME, start_transaction_timestamp=began, transaction_data=told
    )
    assert effect == SendProgress(peer=HOME, message=update)


def test_the_record_goes_out_after_the_results_under_the_name_of_its_transaction():
    scene = destination(de.S.STOP_TX_REQUESTED)
    decision = stop(scene)
    record = Deliver(peer=HOME, message_id=f"end/{HOME}/{NAME}", message=scene.data.end)
    assert decision.effects == (notify(True, None, "stop-1"), record, ReleaseConnector(station="CS01"))


@pytest.mark.parametrize("stopped_after_s", [600, -60])
def test_the_record_says_all_that_there_is_to_say_and_never_ends_before_it_began(stopped_after_s):
    scene = destination(de.S.TX_RUNNING)
    began = scene.data.charge.start_timestamp
    ended = began + timedelta(seconds=max(0, stopped_after_s))
    stop(scene, timestamp=began + timedelta(seconds=stopped_after_s))
    content = TransactionData(
        service_type=ServiceType.EV_CHARGING,
        start_timestamp=began,
        end_timestamp=ended,
        transaction_status=TransactionStatus.TERMINATED,
        energy_wh=7000,
        local_operator_identifier=LOCAL,
        local_service_identifier="CS01",
        home_operator_identifier=HOME,
        user_identifier="ada",
        authorization_identifier=NAME,
    )
    assert scene.data.end == EndTransaction(
        authorization_identifier=NAME,
        start_transaction_timestamp=began,
        end_transaction_timestamp=ended,
        transaction_data=content,
    )


def test_a_stop_that_is_asked_for_again_wants_nothing_more():
    scene = destination(de.S.STOP_TX_REQUESTED)
    again = ask_stop(scene)
    assert (again.fact, again.effects, len(scene.data.requests)) == (None, (), 2)


def test_what_was_told_once_is_not_told_again_but_for_a_start_that_came_after_all():
    failed = ready_after_start()
    ask_start(failed, "start-2")
    assert failed.time_out().effects == (notify(False, de.NEVER_STARTED, "start-2"), ReleaseConnector(station="CS01"))
    assert start(failed).effects[:2] == (notify(True), notify(True, None, "start-2"))
    refused = destination(de.S.STOP_TX_REQUESTED)
    answer(refused, "stop", CallVerdict.REJECTED)
    assert [each for each in stop(refused).effects if getattr(each, "message_id", "").startswith("notify")] == []


@pytest.mark.parametrize(("asked", "taken"), [(None, True), (1, False), (2, True)])
def test_where_no_start_ever_left_a_late_one_counts_where_it_was_asked_for(asked, taken):
    scene = destination(de.S.READY)
    scene.data = msgspec.structs.replace(scene.data, connector_asked=asked)
    ask_start(scene)
    answer(scene, "start", CallVerdict.NEVER_SENT)
    stop(scene, number=-1)
    assert scene.state == de.S.TX_FINISHED
    start(scene, 9, connector_id=2, timestamp=scene.data.charge.stop_timestamp)
    assert ("late-start" in scene.data.flags) is taken


def test_progress_is_due_again_after_just_its_interval_and_not_before():
    scene = destination(de.S.TX_RUNNING)
    meter(scene, 2000)
    first = scene.data.progress_at
    assert first == scene.now
    scene.pass_time(scene.data.deadlines.progress_interval_s - 2)
    assert meter(scene, 3000).effects == () and scene.data.progress_at == first
    assert len(meter(scene, 4000).effects) == 1 and scene.data.progress_at == scene.now


@pytest.mark.parametrize("kind", ["start", "stop"])
def test_a_request_that_would_stay_untold_breaks_the_contract(kind):
    (contract,) = [each for each in transaction_destination.CONTRACTS if "untold" in each.name]
    data = destination(de.S.TX_FINISHED).data
    untold = de.PeerRequest(request_identifier="r9", kind=kind, at=data.created_at)
    assert contract.always(data)
    assert not contract.always(msgspec.structs.replace(data, requests=(*data.requests, untold)))


def test_only_the_start_that_was_sent_is_taken_back_when_it_turns_out_late_that_it_was_not():
    scene = ready_after_start()
    answer(scene, "stop", CallVerdict.NEVER_SENT)
    answer(scene, "start", CallVerdict.REJECTED)
    assert scene.data.started_once
    never = destination(de.S.READY)
    answer(never, "start", CallVerdict.NEVER_SENT)
    assert never.data.remote_starts == 0


# -- local -------------------------------------------------------------------------------------------------------------


def test_a_start_of_our_own_asks_for_its_card_at_its_connector_and_waits_as_long_as_a_station_may():
    scene = local()
    decision = scene.tell(transaction_local.LocalStartRequested, opening=OPENING, connector_id=2)
    command = RemoteStartTransaction(id_tag="CARD", connector_id=2)
    assert decision.effects == (CommandStation(station="CS01", command=command, purpose="start"),)
    scene.pass_time(20)
    answer(scene, "start", CallVerdict.ACCEPTED)
    until = scene.now + timedelta(seconds=scene.data.deadlines.start_s)
    assert (scene.state, scene.chart.deadline(scene.data)) == ("StartTxRequested", until)


@pytest.mark.parametrize(
    ("state", "step", "cause"),
    [
        ("StartTxRequested", Scene.time_out, "the station did not start in time"),
        ("StartTxRequested", lambda s: s.tell(ConnectorTaken, number=9), "another charge began on this connector"),
        ("StartTxRequested", lambda s: answer(s, "start", CallVerdict.REJECTED), "start: Rejected"),
        ("StopTxRequested", Scene.time_out, "the station did not stop in time"),
        ("TxRunning", lambda s: s.tell(ConnectorTaken, number=9), "another charge began on this connector"),
        ("TxRunning", lambda s: (doubt(s), s.time_out()), "the station reported no end"),
    ],
)
def test_a_charge_of_our_own_that_came_to_nothing_says_why(state, step, cause):
    scene = local(state)
    step(scene)
    assert scene.data.cause == cause


def test_what_is_of_another_charge_is_shown_and_moves_nothing():
    scene = local("TxRunning")
    before = scene.data.charge
    start(scene, 9)
    stop(scene, 9)
    assert (scene.state, scene.data.charge, scene.data.flags) == (
        "TxRunning",
        before,
        ("foreign-start", "foreign-stop"),
    )


def test_a_start_that_comes_after_its_stop_is_one_correction():
    scene = local("StartTxRequested")
    stop(scene, number=-1)
    assert scene.state == "Settled"
    start(scene, timestamp=scene.data.charge.stop_timestamp)
    assert scene.data.corrections == 1
    assert scene.tell(StopAsked).refusal is not None
