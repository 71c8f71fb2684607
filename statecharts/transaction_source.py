"""A roaming transaction as the Source sees it: our user charges at another operator's station.

What we ask for (authorise, start, stop) may be refused or never answered; what the Destination reports (a result,
progress, the end) has happened and is taken in whatever state we are, so that a lost message never costs a charge
record. Data and events are in `source_events`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from statecharts.chart import Chart, Contract, State, move, refuse, repeat, stay
from statecharts.events import AskPeer, BindAlias, DeadlineReached, Deliver, Effect, Event, NodeRestarted
from statecharts.moments import after_s, overdue_at
from statecharts.source_events import (
    CHANGES,
    AuthorizationGranted,
    AuthorizationRefused,
    AuthorizationRequested,
    ProgressReported,
    RequestAccepted,
    RequestDeclined,
    ResultNotified,
    S,
    SourceTransaction,
    StartRequested,
    StopRequested,
    TransactionEnded,
    foreign_end,
    foreign_progress,
    is_current,
    key_scope,
    kind_of,
    tells_failure,
    tells_start,
)
from statecharts.vocabulary import Authorize, RequestStartTransaction, RequestStopTransaction

T = SourceTransaction

# -- guards ------------------------------------------------------------------------------------------------------------


def _lapsed(data: T, event: Event) -> bool:
    return event.at >= data.lapses_at


def _already_noted(data: T, event: ResultNotified) -> bool:
    return (event.request_identifier, event.success) in data.noted


def _started_stop_kept(data: T, event: ResultNotified) -> bool:
    return tells_start(data, event) and data.stop_kept is not None


def _stopped(data: T, event: ResultNotified) -> bool:
    return event.success and is_current(data, event) and kind_of(data, event) == "stop"


def _failed_lapsed(data: T, event: ResultNotified) -> bool:
    return tells_failure(data, event) and _lapsed(data, event)


def _declined_lapsed(data: T, event: RequestDeclined) -> bool:
    return is_current(data, event) and _lapsed(data, event)


def _keyed(_: T, event: StartRequested | StopRequested) -> bool:
    return event.idempotency_key is not None


def _stop_kept(data: T, _: Event) -> bool:
    return data.stop_kept is not None


def _same_end(data: T, event: TransactionEnded) -> bool:
    return data.end == event.message


def _other_end(data: T, event: TransactionEnded) -> bool:
    return data.end != event.message


# -- effects -----------------------------------------------------------------------------------------------------------


def _ask_authorization(_: T, data: T, __: Event) -> Iterator[Effect]:
    request = data.request
    assert request is not None
    if request.idempotency_key:
        yield BindAlias(scope=key_scope("authorize", data.app), name=request.idempotency_key)
    message = Authorize(
        pms_identifier=data.own_pms_identifier,
        user_identifier=request.user_identifier,
        service_type=request.service_type,
        local_service_identifier=request.local_service_identifier,
        connector_identifier=request.connector_identifier,
    )
    yield AskPeer(peer=data.peer, request=message, timeout_s=data.deadlines.authorize_answer_s)


def _bind_grant(_: T, data: T, event: AuthorizationGranted) -> Iterator[Effect]:
    yield BindAlias(scope=f"source-authorization/{data.peer}", name=event.authorization_identifier)


def _bind_key(data: T, event: StartRequested | StopRequested) -> Iterator[Effect]:
    if event.idempotency_key:
        kind = "start" if isinstance(event, StartRequested) else "stop"
        yield BindAlias(scope=key_scope(kind, data.app), name=event.idempotency_key)


def _send(data: T, message: RequestStartTransaction | RequestStopTransaction, until: datetime) -> Iterator[Effect]:
    identifier = message.request_identifier
    yield BindAlias(scope=f"source-request/{data.peer}", name=identifier)
    yield Deliver(peer=data.peer, message_id=f"request/{identifier}", message=message, expires_at=until)


def _send_start(_: T, data: T, event: StartRequested) -> Iterator[Effect]:
    operation, name = data.operation("start"), data.authorization_identifier
    assert operation is not None and name is not None
    message = RequestStartTransaction(request_identifier=event.request_identifier, authorization_identifier=name)
    yield from _bind_key(data, event)
    yield from _send(data, message, operation.until)


def _keep_key(_: T, data: T, event: StartRequested | StopRequested) -> Iterator[Effect]:
    yield from _bind_key(data, event)


def _send_stop(_: T, data: T, event: Event) -> Iterator[Effect]:
    operation, name = data.operation("stop"), data.authorization_identifier
    assert operation is not None and name is not None
    if isinstance(event, StopRequested):
        yield from _bind_key(data, event)
    identifier = operation.request_identifier
    message = RequestStopTransaction(request_identifier=identifier, authorization_identifier=name)
    yield from _send(data, message, operation.until)


# -- the chart ---------------------------------------------------------------------------------------------------------

UNNAMED = (S.NEW, S.AUTHORIZING, S.REFUSED)
BEFORE = (S.READY, S.START_TX_REQUESTED, S.EXPIRED)
UNDER_WAY = (S.TX_RUNNING, S.STOP_TX_REQUESTED)
OWED = (*BEFORE, *UNDER_WAY, S.TX_FINISHED)
NAMED = (*OWED, S.SETTLED)

STATES = (
    State(S.NEW, "nothing yet", resting=True),
    State(S.AUTHORIZING, "the Destination was asked", lambda d: after_s(d.created_at, d.deadlines.authorize_answer_s)),
    State(S.REFUSED, "one of the operators said no, or nobody answered", final=True),
    State(S.READY, "authorised: may be started until it lapses", lambda d: d.lapses_at),
    State(S.EXPIRED, "never started in time; a late report of a start still counts", final=True),
    State(S.START_TX_REQUESTED, "start asked for, result awaited", lambda d: d.operation("start").until),
    State(S.TX_RUNNING, "charging", lambda d: after_s(d.heard_at, d.deadlines.silence_s)),
    State(S.STOP_TX_REQUESTED, "stop asked for, result awaited", lambda d: d.operation("stop").until),
    State(
        S.TX_FINISHED,
        "charging is over, the charge record is awaited",
        lambda d: overdue_at(d.finished_at, d.overdue_at, d.deadlines.cdr_overdue_s),
    ),
    State(S.SETTLED, "the charge record is here", final=True),
)

AUTHORIZE_ROWS = (
    move(AuthorizationRequested, S.NEW, S.AUTHORIZING, then=_ask_authorization),
    move(AuthorizationGranted, S.AUTHORIZING, S.READY, then=_bind_grant),
    stay(AuthorizationGranted, (S.NEW, S.REFUSED, *NAMED), note="too late: it lapses at the Destination"),
    move(AuthorizationRefused, S.AUTHORIZING, S.REFUSED),
    repeat(AuthorizationRefused, (S.NEW, S.REFUSED, *NAMED)),
    move(DeadlineReached, S.AUTHORIZING, S.REFUSED, note="no answer"),
    move(NodeRestarted, S.AUTHORIZING, S.REFUSED, note="the answer is lost"),
    move(DeadlineReached, S.READY, S.EXPIRED),
)

START_ROWS = (
    move(StartRequested, S.READY, S.START_TX_REQUESTED, then=_send_start),
    stay(StartRequested, S.START_TX_REQUESTED, when=_keyed, then=_keep_key, note="its key stands for the running one"),
    repeat(StartRequested, S.START_TX_REQUESTED, note="the running operation is returned"),
    refuse(StartRequested, S.EXPIRED, 410, "authorization-expired", "the authorisation was not used in time"),
    refuse(StartRequested, UNDER_WAY, 409, "already-running", "the transaction is running already"),
    refuse(StartRequested, (S.TX_FINISHED, S.SETTLED), 410, "already-finished", "the transaction is over"),
    stay(RequestAccepted, (S.START_TX_REQUESTED, S.STOP_TX_REQUESTED), when=is_current, note="result will be notified"),
    repeat(RequestAccepted, (*UNNAMED, *NAMED)),
    move(RequestDeclined, S.START_TX_REQUESTED, S.EXPIRED, when=_declined_lapsed, note="this request, time over"),
    move(RequestDeclined, S.START_TX_REQUESTED, S.READY, when=is_current, note="this request"),
    move(RequestDeclined, S.STOP_TX_REQUESTED, S.TX_RUNNING, when=is_current, note="this request"),
    stay(RequestDeclined, (*UNNAMED, *NAMED)),
    move(DeadlineReached, S.START_TX_REQUESTED, S.EXPIRED, when=_lapsed, note="time over"),
    move(DeadlineReached, S.START_TX_REQUESTED, S.READY, note="outcome unknown"),
)

STOP_ROWS = (
    refuse(StopRequested, (S.READY, S.EXPIRED), 409, "not-started", "the transaction has not been started"),
    stay(StopRequested, S.STOP_TX_REQUESTED, when=_keyed, then=_keep_key, note="its key stands for the running one"),
    stay(StopRequested, S.START_TX_REQUESTED, when=_keyed, then=_keep_key, note="kept; its key stands for it"),
    repeat(StopRequested, S.START_TX_REQUESTED, when=_stop_kept, note="one is kept already"),
    stay(StopRequested, S.START_TX_REQUESTED, then=_keep_key, note="kept until it runs"),
    move(StopRequested, S.TX_RUNNING, S.STOP_TX_REQUESTED, then=_send_stop),
    repeat(StopRequested, S.STOP_TX_REQUESTED, note="the running operation is returned"),
    refuse(StopRequested, (S.TX_FINISHED, S.SETTLED), 410, "already-finished", "the transaction is over"),
    move(DeadlineReached, S.STOP_TX_REQUESTED, S.TX_RUNNING, note="outcome unknown"),
    stay(DeadlineReached, S.TX_RUNNING, note="silent: flagged"),
    stay(DeadlineReached, S.TX_FINISHED, note="charge record overdue: flagged"),
)

FOREIGN = "user, operator or service differ from what was authorised"
REPORT_ROWS = (
    repeat(ResultNotified, NAMED, when=_already_noted, note="noted before"),
    move(ResultNotified, BEFORE, S.STOP_TX_REQUESTED, when=_started_stop_kept, then=_send_stop, note="stop kept"),
    move(ResultNotified, BEFORE, S.TX_RUNNING, when=tells_start, note="start succeeded"),
    move(ResultNotified, S.START_TX_REQUESTED, S.EXPIRED, when=_failed_lapsed, note="start failed, time over"),
    move(ResultNotified, S.START_TX_REQUESTED, S.READY, when=tells_failure, note="start failed"),
    move(ResultNotified, S.STOP_TX_REQUESTED, S.TX_FINISHED, when=_stopped, note="stop succeeded"),
    move(ResultNotified, S.STOP_TX_REQUESTED, S.TX_RUNNING, when=tells_failure, note="stop failed"),
    stay(ResultNotified, (*UNNAMED, *NAMED), note="of an older request"),
    refuse(
        ProgressReported, NAMED, 403, "not-this-transaction", FOREIGN,
        recorded=True, when=foreign_progress, note="speaks of another user, operator or service",
    ),
    move(ProgressReported, BEFORE, S.STOP_TX_REQUESTED, when=_stop_kept, then=_send_stop, note="stop kept"),
    move(ProgressReported, BEFORE, S.TX_RUNNING, note="proves a start whose notify was lost"),
    stay(ProgressReported, (*UNNAMED, *UNDER_WAY, S.TX_FINISHED)),
    repeat(ProgressReported, S.SETTLED),
    refuse(
        TransactionEnded, NAMED, 403, "not-this-transaction", FOREIGN,
        recorded=True, when=foreign_end, note="speaks of another user, operator or service",
    ),
    move(TransactionEnded, OWED, S.SETTLED),
    repeat(TransactionEnded, S.SETTLED, when=_same_end, note="the same end"),
    refuse(
        TransactionEnded, S.SETTLED, 409, "other-end-known", "another charge record of this transaction stands already",
        recorded=True, when=_other_end, note="other content: the first stands, the conflict is shown",
    ),
    stay(TransactionEnded, (*UNNAMED, S.SETTLED)),
)  # fmt: skip


def _energy_never_falls(before: T, after: T, event: Event) -> bool:
    ended = isinstance(event, TransactionEnded)
    return ended or before.energy_wh is None or (after.energy_wh is not None and after.energy_wh >= before.energy_wh)


def _pending_fits_state(data: T) -> bool:
    pending = [o.kind for o in data.operations if o.status == "pending"]
    expected = {S.START_TX_REQUESTED: ["start"], S.STOP_TX_REQUESTED: ["stop"]}
    return pending == expected.get(S(data.state), [])


CONTRACTS = (
    Contract("times are aware", before=lambda _, event: event.at.tzinfo is not None),
    Contract("the energy never falls before the charge record", after=_energy_never_falls),
    Contract("an operation is pending exactly while its result is awaited", always=_pending_fits_state),
    Contract(
        "named from the grant on", always=lambda d: (d.authorization_identifier is not None) == (d.state in NAMED)
    ),
    Contract("settled is having the charge record", always=lambda d: (d.end is not None) == (d.state == S.SETTLED)),
    Contract("the charge record never changes", after=lambda b, a, _: b.end is None or a.end == b.end),
)

CHART: Chart[SourceTransaction] = Chart(
    name="source transaction",
    initial=S.NEW,
    states=STATES,
    rows=AUTHORIZE_ROWS + START_ROWS + STOP_ROWS + REPORT_ROWS,
    evolve=CHANGES,
    contracts=CONTRACTS,
)
