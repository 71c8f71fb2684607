"""What the Source knows of a roaming transaction, what it hears of, and how each event changes what it knows.

The chart itself is in `transaction_source`.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from statecharts.chart import Change
from statecharts.events import Command, DeadlineReached, Event, Fact, NodeRestarted
from statecharts.moments import after_s
from statecharts.ports import AuthorizationRequest
from statecharts.vocabulary import (
    EndTransaction,
    Refusal,
    TransactionData,
    TransactionStatus,
    Value,
)


class S(StrEnum):
    """Names as Motown's users know them, and four that its session had no word for."""

    NEW = "New"
    AUTHORIZING = "Authorizing"
    REFUSED = "Refused"
    READY = "Ready"
    EXPIRED = "Expired"
    START_TX_REQUESTED = "StartTxRequested"
    TX_RUNNING = "TxRunning"
    STOP_TX_REQUESTED = "StopTxRequested"
    TX_FINISHED = "TxFinished"
    SETTLED = "Settled"


class SourceDeadlines(Value, frozen=True, kw_only=True):
    """How long each state may last, in seconds; kept with the transaction: a new configuration changes no past."""

    authorize_answer_s: float = 15
    authorization_s: float = 900
    start_s: float = 210
    stop_s: float = 180
    silence_s: float = 86_400
    cdr_overdue_s: float = 3_600


class Operation(Value, frozen=True, kw_only=True):
    """A start or a stop that the app asked for, and what became of it (pending, succeeded, failed)."""

    request_identifier: str
    kind: str
    requested_at: datetime
    until: datetime
    status: str = "pending"
    cause: str | None = None


class SourceTransaction(Value, frozen=True, kw_only=True):
    """Everything the Source knows of one transaction; changed only by replaying events through `CHART`."""

    id: str = ""
    state: str = S.NEW
    app: str = ""
    own_pms_identifier: str = ""
    request: AuthorizationRequest | None = None
    deadlines: SourceDeadlines = SourceDeadlines()
    created_at: datetime | None = None
    changed_at: datetime | None = None
    authorization_identifier: str | None = None
    granted_at: datetime | None = None
    operations: tuple[Operation, ...] = ()
    stop_kept: str | None = None
    noted: tuple[tuple[str, bool], ...] = ()
    heard_at: datetime | None = None
    start_timestamp: datetime | None = None
    energy_wh: int | None = None
    finished_at: datetime | None = None
    overdue_at: datetime | None = None
    end: EndTransaction | None = None
    cause: str | None = None
    refusal: Refusal | None = None
    flags: tuple[str, ...] = ()

    @property
    def peer(self) -> str:
        """The Destination's pmsIdentifier."""
        return self.request.destination if self.request else ""

    @property
    def lapses_at(self) -> datetime:
        return after_s(self.granted_at or self.created_at, self.deadlines.authorization_s)

    def pending(self, kind: str) -> bool:
        """Whether a result of this kind of request is awaited."""
        return any(o.kind == kind and o.status == "pending" for o in self.operations)

    def operation(self, kind: str) -> Operation | None:
        """The newest start or stop."""
        return next((o for o in reversed(self.operations) if o.kind == kind), None)


# -- events ------------------------------------------------------------------------------------------------------------


class AuthorizationRequested(Command, frozen=True, kw_only=True):
    id: str
    app: str
    own_pms_identifier: str
    request: AuthorizationRequest
    deadlines: SourceDeadlines


class AuthorizationGranted(Fact, frozen=True, kw_only=True):
    authorization_identifier: str


class AuthorizationRefused(Fact, frozen=True, kw_only=True):
    refusal: Refusal


class StartRequested(Command, frozen=True, kw_only=True):
    request_identifier: str
    idempotency_key: str | None = None


class StopRequested(Command, frozen=True, kw_only=True):
    request_identifier: str
    idempotency_key: str | None = None


class RequestAccepted(Fact, frozen=True, kw_only=True):
    """The Destination took a start or stop request; its result will be notified."""

    request_identifier: str


class RequestDeclined(Fact, frozen=True, kw_only=True):
    """The Destination said no to a start or stop request: ResponseError 4xx or Fault Sender."""

    request_identifier: str
    refusal: Refusal


class ResultNotified(Fact, frozen=True, kw_only=True):
    request_identifier: str
    success: bool
    cause: str | None = None


class ProgressReported(Fact, frozen=True, kw_only=True):
    """`authorization_identifier` is the outer one of the message, where it was kept."""

    authorization_identifier: str | None = None
    start_timestamp: datetime
    content: TransactionData


class TransactionEnded(Fact, frozen=True, kw_only=True):
    message: EndTransaction


# -- what an event says about what is known ----------------------------------------------------------------------------

T = SourceTransaction


def key_scope(kind: str, app: str) -> str:
    """Where an app's idempotency keys for requests of this kind (authorize, start, stop) are unique.

    Each kind has its own, so that an app may use one key for a whole charge and no request is taken for another.
    """
    return f"app-key/{kind}/{app}"


def kind_of(data: T, event: ResultNotified | RequestDeclined | RequestAccepted) -> str | None:
    return next((o.kind for o in data.operations if o.request_identifier == event.request_identifier), None)


def is_current(data: T, event: ResultNotified | RequestDeclined | RequestAccepted) -> bool:
    current = next((o for o in reversed(data.operations) if o.request_identifier == event.request_identifier), None)
    return current is not None and current.status == "pending"


def tells_start(data: T, event: ResultNotified) -> bool:
    return event.success and kind_of(data, event) == "start"


def tells_failure(data: T, event: ResultNotified) -> bool:
    return not event.success and is_current(data, event)


def foreign_content(data: T, content: TransactionData, outer: str) -> bool:
    """Whether a report speaks of another user, operator or service than ours (DESIGN: trust)."""
    if data.request is None:
        return True
    known = (data.authorization_identifier, data.authorization_identifier, data.request.user_identifier, data.peer)
    said = (outer, content.authorization_identifier, content.user_identifier, content.local_operator_identifier)
    known_place = (data.request.local_service_identifier, data.own_pms_identifier, data.request.service_type)
    said_place = (content.local_service_identifier, content.home_operator_identifier, content.service_type)
    return known != said or known_place != said_place


def foreign_progress(data: T, event: ProgressReported) -> bool:
    outer = event.authorization_identifier or event.content.authorization_identifier
    return foreign_content(data, event.content, outer)


def foreign_end(data: T, event: TransactionEnded) -> bool:
    return foreign_content(data, event.message.transaction_data, event.message.authorization_identifier)


def is_implausible(end: EndTransaction) -> bool:
    """Whether a charge record cannot be right as it stands; it is kept all the same, and flagged for a person."""
    content = end.transaction_data
    backwards = end.end_transaction_timestamp < end.start_transaction_timestamp
    unmeasured = content.energy_wh is None or content.energy_wh < 0
    return backwards or unmeasured or content.transaction_status is not TransactionStatus.TERMINATED


# -- what each event changes -------------------------------------------------------------------------------------------


def _requested(data: T, event: AuthorizationRequested) -> dict[str, Any]:
    known = {"id": event.id, "app": event.app, "own_pms_identifier": event.own_pms_identifier}
    return {
        **known,
        "request": event.request,
        "deadlines": event.deadlines,
        "created_at": event.at,
        "changed_at": event.at,
    }


def _granted(data: T, event: AuthorizationGranted) -> dict[str, Any]:
    if data.state != S.READY or data.granted_at is not None:
        return {"flags": _flagged(data, "granted-too-late"), "changed_at": event.at}
    name = event.authorization_identifier
    return {"authorization_identifier": name, "granted_at": event.at, "changed_at": event.at}


def _was_refused(data: T, event: AuthorizationRefused) -> dict[str, Any]:
    return {"refusal": event.refusal, "cause": event.refusal.message, "changed_at": event.at}


def _open(data: T, kind: str, identifier: str, at: datetime) -> dict[str, Any]:
    seconds = data.deadlines.start_s if kind == "start" else data.deadlines.stop_s
    operation = Operation(request_identifier=identifier, kind=kind, requested_at=at, until=after_s(at, seconds))
    return {"operations": (*data.operations, operation), "cause": None, "changed_at": at}


def _start(data: T, event: StartRequested) -> dict[str, Any]:
    if data.pending("start"):
        return {}
    return _open(data, "start", event.request_identifier, event.at)


def _stop(data: T, event: StopRequested) -> dict[str, Any]:
    if data.pending("stop") or data.stop_kept:
        return {}
    if data.state == S.START_TX_REQUESTED:
        return {"stop_kept": event.request_identifier, "changed_at": event.at}
    return _open(data, "stop", event.request_identifier, event.at)


def _flagged(data: T, flag: str) -> tuple[str, ...]:
    return data.flags if flag in data.flags else (*data.flags, flag)


def _close(
    operations: tuple[Operation, ...], status: str, cause: str | None = None, *, only: str | None = None
) -> tuple[Operation, ...]:
    """The operations with the pending ones (or the one named `only`) ended."""

    def ended(o: Operation) -> Operation:
        hit = o.request_identifier == only if only else o.status == "pending"
        return msgspec.structs.replace(o, status=status, cause=cause) if hit else o

    return tuple(ended(o) for o in operations)


def _entered(data: T, at: datetime) -> dict[str, Any]:
    """Entering TxRunning: start operations have succeeded, and a stop that was kept goes out."""
    base = msgspec.structs.replace(data, operations=_close(data.operations, "succeeded"))
    fresh = {"operations": base.operations, "heard_at": at, "changed_at": at, "cause": None}
    if data.state == S.STOP_TX_REQUESTED and data.stop_kept is not None:
        return {**fresh, **_open(base, "stop", data.stop_kept, at), "stop_kept": None}
    return fresh


def _declined(data: T, event: RequestDeclined) -> dict[str, Any]:
    cause = event.refusal.message
    closed = (
        _close(data.operations, "failed", cause, only=event.request_identifier) if is_current(data, event) else None
    )
    return {"operations": closed, "cause": cause, "stop_kept": None, "changed_at": event.at} if closed else {}


def _notified(data: T, event: ResultNotified) -> dict[str, Any]:
    noted = {
        "noted": (*data.noted, (event.request_identifier, event.success)),
        "heard_at": data.heard_at and event.at,
        "changed_at": event.at,
    }
    closed = _close(data.operations, "succeeded", only=event.request_identifier)
    if tells_start(data, event) and data.state in (S.TX_RUNNING, S.STOP_TX_REQUESTED) and data.heard_at is None:
        return {**noted, **_entered(msgspec.structs.replace(data, operations=closed), event.at)}
    if event.success and kind_of(data, event) is not None:
        finished = {"finished_at": event.at} if data.state == S.TX_FINISHED and data.finished_at is None else {}
        return {**noted, **finished, "operations": closed}
    if tells_failure(data, event):
        cause = event.cause or "the request failed"
        failed = _close(data.operations, "failed", cause, only=event.request_identifier)
        return {**noted, "operations": failed, "cause": cause, "stop_kept": None}
    return noted


def _progressed(data: T, event: ProgressReported) -> dict[str, Any]:
    if foreign_progress(data, event):
        return {"flags": _flagged(data, "foreign-progress")}
    energy = max((e for e in (data.energy_wh, event.content.energy_wh) if e is not None and e >= 0), default=None)
    news = {"energy_wh": energy, "start_timestamp": event.start_timestamp, "heard_at": event.at, "changed_at": event.at}
    entering = data.heard_at is None and data.state in (S.TX_RUNNING, S.STOP_TX_REQUESTED)
    return {**news, **_entered(data, event.at)} if entering else news


def _ended(data: T, event: TransactionEnded) -> dict[str, Any]:
    if foreign_end(data, event):
        return {"flags": _flagged(data, "foreign-end")}
    if data.end is not None:
        return {"flags": _flagged(data, "conflicting-end")}
    known = {"end": event.message, "energy_wh": event.message.transaction_data.energy_wh, "finished_at": event.at}
    start = event.message.start_transaction_timestamp
    done = {"operations": _close(data.operations, "succeeded"), "stop_kept": None, "cause": None}
    flags = {"flags": _flagged(data, "implausible-end")} if is_implausible(event.message) else {}
    return {**known, **done, **flags, "start_timestamp": start, "changed_at": event.at}


def _timed_out(data: T, event: DeadlineReached) -> dict[str, Any]:
    by_state: dict[str, dict[str, Any]] = {
        S.REFUSED: {"cause": "the other operator did not answer in time"},
        S.TX_FINISHED: {"overdue_at": event.at, "flags": _flagged(data, "cdr-overdue")},
    }
    overdue = by_state.get(data.state, {})
    unknown = "outcome unknown: the other operator reported no result in time"
    if any(o.status == "pending" for o in data.operations) and data.state != S.TX_FINISHED:
        overdue |= {"operations": _close(data.operations, "failed", unknown), "cause": unknown, "stop_kept": None}
    elif data.state == S.TX_RUNNING:
        overdue |= {"heard_at": event.at, "flags": _flagged(data, "silent")}
    return {**overdue, "changed_at": event.at}


def _restarted(data: T, event: NodeRestarted) -> dict[str, Any]:
    return {"cause": "the node restarted before the other operator answered", "changed_at": event.at}


CHANGES: dict[type[Event], Change] = {
    AuthorizationRequested: _requested,
    AuthorizationGranted: _granted,
    AuthorizationRefused: _was_refused,
    NodeRestarted: _restarted,
    StartRequested: _start,
    StopRequested: _stop,
    RequestDeclined: _declined,
    ResultNotified: _notified,
    ProgressReported: _progressed,
    TransactionEnded: _ended,
    DeadlineReached: _timed_out,
}
"""What each event changes in a `SourceTransaction`, for `Chart.evolve`."""
