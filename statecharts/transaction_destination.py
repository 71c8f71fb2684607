"""A roaming transaction as the Destination sees it: another operator's user charges at our station.

The Source asks (authorise, start, stop) and may be refused; the station reports (started, metered, stopped), and that
has happened: it is recorded in every state, told to the Source, and ends in exactly one charge record. Data and events
are in `destination_events`.
"""

from __future__ import annotations

from collections.abc import Iterator

from statecharts.charge_changes import (
    call_failed,
    doubt_is_over,
    in_doubt,
    look_after,
    meter_never_falls,
    own_stop,
    release,
    remote_stop,
    same_charge,
    same_stop,
    taken_by_other,
    will_start,
)
from statecharts.charging import (
    CloseAsked,
    ConnectorTaken,
    MeterRead,
    StationConfirmed,
    StationDenied,
    StationDoubted,
    StopAsked,
    TransactionStarted,
    TransactionStopped,
)
from statecharts.chart import Chart, Contract, State, move, refuse, repeat, stay
from statecharts.destination_events import (
    CHANGES,
    REQUESTS_OF_A_KIND,
    AuthorizationIssued,
    DeliveryEnded,
    DestinationTransaction,
    S,
    StartRequested,
    StopRequested,
    known_request,
    late_start,
    name_taken,
    progress_due,
    too_many_requests,
    transaction_data,
    wrong_place,
)
from statecharts.events import (
    CommandStation,
    DeadlineReached,
    Deliver,
    Effect,
    Event,
    ReleaseConnector,
    SendProgress,
    StationAnswered,
)
from statecharts.moments import overdue_at
from statecharts.station_commands import CallVerdict, RemoteStartTransaction
from statecharts.station_vocabulary import IdTagStatus
from statecharts.vocabulary import NotifyRequestResult, TransactionProgressUpdate

T = DestinationTransaction


# -- guards ------------------------------------------------------------------------------------------------------------


def _start_expected(data: T, event: TransactionStarted) -> bool:
    return data.started_once and not wrong_place(data, event) and event.number not in data.misused_numbers


def _never_sent_after_all(data: T, event: StationAnswered) -> bool:
    return data.started_once and event.purpose == "start" and event.outcome.verdict is CallVerdict.NEVER_SENT


def _stop_expected(data: T, event: TransactionStopped) -> bool:
    return bool(data.requests) and event.number not in data.misused_numbers


def _misused(data: T, event: TransactionStarted | TransactionStopped) -> bool:
    return event.number in data.misused_numbers


def _own_stop(data: T, event: TransactionStopped) -> bool:
    return own_stop(data, event) and not _misused(data, event)


def _end_done(_: T, event: DeliveryEnded) -> bool:
    return event.operation == "EndTransaction" and event.status == "done"


# -- effects -----------------------------------------------------------------------------------------------------------


def _notify(before: T, after: T, _: Event) -> Iterator[Effect]:
    """Tells the Source each result that it has not been told yet."""
    earlier = {r.request_identifier: r.notified for r in before.requests}
    for request in after.requests:
        result = request.notified
        if result is None or earlier.get(request.request_identifier) is result:
            continue
        identifier = request.request_identifier
        cause = None if result else after.cause
        message = NotifyRequestResult(request_identifier=identifier, request_success=result, cause=cause)
        message_id = f"notify/{after.peer}/{after.id}/{identifier}/{result}"
        yield Deliver(peer=after.peer, message_id=message_id, message=message)


def _remote_start(_: T, data: T, event: StartRequested) -> Iterator[Effect]:
    command = RemoteStartTransaction(id_tag=data.id, connector_id=event.connector_id)
    yield CommandStation(station=data.station, command=command, purpose="start")


def _end_start(before: T, after: T, event: Event) -> Iterator[Effect]:
    yield from _notify(before, after, event)
    yield ReleaseConnector(station=after.station)


def _progress(before: T, after: T, event: MeterRead) -> Iterator[Effect]:
    if not progress_due(before, event):
        return
    content = transaction_data(after, ended=False)
    start = content.start_timestamp
    name = after.id
    message = TransactionProgressUpdate(
        authorization_identifier=name, start_transaction_timestamp=start, transaction_data=content
    )
    yield SendProgress(peer=after.peer, message=message)


def _finish(before: T, after: T, event: Event) -> Iterator[Effect]:
    yield from _notify(before, after, event)
    assert after.end is not None
    yield Deliver(peer=after.peer, message_id=f"end/{after.peer}/{after.id}", message=after.end)
    yield ReleaseConnector(station=after.station)


# -- the chart ---------------------------------------------------------------------------------------------------------

ALL = tuple(S)
WAITING = (S.READY, S.EXPIRED)
UNDER_WAY = (S.TX_RUNNING, S.STOP_TX_REQUESTED)
OVER = (S.TX_FINISHED, S.SETTLED)

STATES = (
    State(S.NEW, "nothing yet", resting=True),
    State(S.READY, "authorised: may be started until it lapses; reserves nothing", lambda d: d.lapses_at),
    State(S.EXPIRED, "never started in time; what the station reports still counts", final=True),
    State(S.START_TX_REQUESTED, "the station was asked to start", lambda d: d.start_until),
    State(S.TX_RUNNING, "charging", lambda d: d.charge_deadline),
    State(S.STOP_TX_REQUESTED, "the station was asked to stop", lambda d: d.stop_deadline),
    State(
        S.TX_FINISHED,
        "charging is over, the charge record is on its way",
        lambda d: overdue_at(d.finished_at, d.overdue_at, d.deadlines.cdr_overdue_s),
    ),
    State(S.SETTLED, "the Source has the charge record", final=True),
)

NOT_RUNNING = "the transaction is not running"
NAME_TAKEN = "another request of this transaction has this requestIdentifier"
TOO_MANY = f"one transaction takes no more than {REQUESTS_OF_A_KIND} requests of a kind"
ASKED_ROWS = (
    move(AuthorizationIssued, S.NEW, S.READY),
    move(DeadlineReached, S.READY, S.EXPIRED, then=release),
    repeat(StartRequested, ALL[1:], when=known_request, note="the same request"),
    refuse(StartRequested, ALL[1:], 409, "name-taken", NAME_TAKEN, when=name_taken, note="named like a stop request"),
    refuse(StartRequested, ALL[1:], 429, "too-many-requests", TOO_MANY, when=too_many_requests, note="too many"),
    move(StartRequested, S.READY, S.START_TX_REQUESTED, then=_remote_start),
    stay(StartRequested, S.START_TX_REQUESTED, note="another request: told the one outcome"),
    stay(StartRequested, UNDER_WAY, then=_notify, note="another request: it runs already"),
    refuse(StartRequested, (S.EXPIRED, *OVER), 410, "authorization-used", "the authorisation has lapsed or been used"),
    repeat(StopRequested, ALL[1:], when=known_request, note="the same request"),
    refuse(StopRequested, ALL[1:], 409, "name-taken", NAME_TAKEN, when=name_taken, note="named like a start request"),
    refuse(StopRequested, (S.READY, S.START_TX_REQUESTED, S.EXPIRED), 409, "not-running", NOT_RUNNING),
    refuse(StopRequested, ALL[1:], 429, "too-many-requests", TOO_MANY, when=too_many_requests, note="too many"),
    move(StopRequested, S.TX_RUNNING, S.STOP_TX_REQUESTED, then=remote_stop),
    stay(StopRequested, S.STOP_TX_REQUESTED, note="another request: told the one outcome"),
    refuse(StopRequested, OVER, 410, "already-finished", "the transaction is over"),
    move(StopAsked, S.TX_RUNNING, S.STOP_TX_REQUESTED, then=remote_stop, note="by our operator"),
    repeat(StopAsked, S.STOP_TX_REQUESTED),
)

STATION_ROWS = (
    stay(StationAnswered, S.START_TX_REQUESTED, when=will_start, note="will attempt to start"),
    move(StationAnswered, S.START_TX_REQUESTED, S.READY, when=call_failed("start"), then=_end_start, note="failed"),
    move(StationAnswered, S.STOP_TX_REQUESTED, S.TX_RUNNING, when=call_failed("stop"), then=_notify, note="failed"),
    stay(StationAnswered, WAITING, when=_never_sent_after_all, note="late: no RemoteStart left"),
    repeat(StationAnswered, ALL, note="says nothing new: a fact or the deadline decides"),
    move(DeadlineReached, S.START_TX_REQUESTED, S.READY, then=_end_start, note="no start"),
    move(ConnectorTaken, S.START_TX_REQUESTED, S.READY, then=_end_start, note="another idTag starts"),
    move(ConnectorTaken, UNDER_WAY, S.TX_FINISHED, when=taken_by_other, then=_finish, note="reconciled"),
    repeat(ConnectorTaken, ALL),
    move(
        TransactionStarted, (*WAITING, S.START_TX_REQUESTED), S.TX_RUNNING, when=_start_expected, then=_end_start,
        answer=IdTagStatus.ACCEPTED, note="asked for, at its connector",
    ),
    repeat(TransactionStarted, ALL[1:], when=_misused, answer=IdTagStatus.INVALID, note="known misuse"),
    repeat(TransactionStarted, (*UNDER_WAY, *OVER), when=same_charge, answer=IdTagStatus.ACCEPTED, note="same start"),
    stay(TransactionStarted, OVER, when=late_start, answer=IdTagStatus.ACCEPTED, note="late: kept as a correction"),
    stay(TransactionStarted, ALL, answer=IdTagStatus.INVALID, note="misuse: not billed to the Source"),
    stay(MeterRead, ALL, then=_progress),
    move(TransactionStopped, WAITING, S.TX_FINISHED, when=_stop_expected, then=_finish, note="start once requested"),
    move(
        TransactionStopped, (S.START_TX_REQUESTED, *UNDER_WAY), S.TX_FINISHED,
        when=_own_stop, then=_finish, note="also without its start",
    ),
    repeat(TransactionStopped, OVER, when=same_stop, note="the same stop"),
    stay(TransactionStopped, ALL, note="kept for the operator"),
)  # fmt: skip

ENDING_ROWS = (
    stay(StationDoubted, UNDER_WAY, note="reconcile deadline armed"),
    repeat(StationDoubted, ALL),
    stay(StationConfirmed, UNDER_WAY, when=in_doubt, note="doubt is over"),
    repeat(StationConfirmed, ALL),
    move(StationDenied, UNDER_WAY, S.TX_FINISHED, when=in_doubt, then=_finish, note="reconciled"),
    repeat(StationDenied, ALL),
    move(CloseAsked, UNDER_WAY, S.TX_FINISHED, then=_finish, note="reconciled, by our operator"),
    refuse(CloseAsked, OVER, 410, "already-finished", "the transaction is over"),
    move(DeadlineReached, UNDER_WAY, S.TX_FINISHED, when=doubt_is_over, then=_finish, note="reconciled"),
    stay(DeadlineReached, S.TX_RUNNING, then=look_after, note="silent: reconcile deadline armed, station looked at"),
    move(DeadlineReached, S.STOP_TX_REQUESTED, S.TX_RUNNING, then=_notify, note="no stop"),
    stay(DeadlineReached, S.TX_FINISHED, note="charge record overdue: flagged"),
    move(DeliveryEnded, S.TX_FINISHED, S.SETTLED, when=_end_done, note="end acknowledged"),
    stay(DeliveryEnded, ALL, note="result told, or parked"),
)


def _starts_at_most_once_each(data: T) -> bool:
    return data.remote_starts <= sum(r.kind == "start" for r in data.requests)


CONTRACTS = (
    Contract("times are aware", before=lambda _, event: event.at.tzinfo is not None),
    Contract("the meter never falls", after=meter_never_falls),
    Contract("no more RemoteStarts than start requests", always=_starts_at_most_once_each),
    Contract("a charge record is made exactly at the end", always=lambda d: (d.end is not None) == (d.state in OVER)),
    Contract("the charge record never changes", after=lambda b, a, _: b.end is None or a.end == b.end),
    Contract("running has a start", always=lambda d: d.state not in UNDER_WAY or d.charge.start_timestamp is not None),
    Contract("no request is left untold at the end", always=lambda d: d.state not in OVER or not _untold(d)),
)


def _untold(data: T) -> bool:
    return bool(data.waiting("start") or data.waiting("stop"))


CHART: Chart[DestinationTransaction] = Chart(
    name="destination transaction",
    initial=S.NEW,
    states=STATES,
    rows=ASKED_ROWS + STATION_ROWS + ENDING_ROWS,
    evolve=CHANGES,
    contracts=CONTRACTS,
)
