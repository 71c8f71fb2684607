"""What the Destination knows of a roaming transaction, what it hears of, and how each event changes what it knows.

The chart itself is in `transaction_destination`; what every charge at a station has in common is in `charging`.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from statecharts.bounds import REQUESTS_KEPT
from statecharts.charge_changes import (
    CHARGE_CHANGES,
    DENIED,
    closed_by_operator,
    flagged,
    metered,
    named,
    read_at_start,
    reconciled,
    silent,
    start_missing,
    started,
    started_late,
    stopped,
    stopped_late,
)
from statecharts.charging import (
    Charging,
    ChargingDeadlines,
    CloseAsked,
    ConnectorTaken,
    MeterRead,
    StationDenied,
    StopAsked,
    TransactionStarted,
    TransactionStopped,
)
from statecharts.chart import Change
from statecharts.events import Command, DeadlineReached, Event, Fact, StationAnswered
from statecharts.moments import after_s
from statecharts.station_commands import CallVerdict
from statecharts.vocabulary import EndTransaction, ServiceType, TransactionData, TransactionStatus, Value


class S(StrEnum):
    """Names as Motown's users know them, and three that its session had no word for."""

    NEW = "New"
    READY = "Ready"
    EXPIRED = "Expired"
    START_TX_REQUESTED = "StartTxRequested"
    TX_RUNNING = "TxRunning"
    STOP_TX_REQUESTED = "StopTxRequested"
    TX_FINISHED = "TxFinished"
    SETTLED = "Settled"


class PeerRequest(Value, frozen=True, kw_only=True):
    """A start or stop request of the Source, and when it came by the machine's clock.

    `notified` is the result it was told, None while it waits for one.
    """

    request_identifier: str
    kind: str
    at: datetime
    notified: bool | None = None


class DestinationTransaction(Charging, frozen=True, kw_only=True):
    """Everything the Destination knows of one transaction; `id` is the authorizationIdentifier, and the idTag.

    `connectors_tried` are those for which a RemoteStart may have reached the station.
    """

    state: str = S.NEW
    id: str = ""
    peer: str = ""
    own_pms_identifier: str = ""
    user_identifier: str = ""
    service_type: ServiceType = ServiceType.EV_CHARGING
    connector_asked: int | None = None
    requests: tuple[PeerRequest, ...] = ()
    remote_starts: int = 0
    connectors_tried: tuple[int, ...] = ()
    progress_at: datetime | None = None
    overdue_at: datetime | None = None
    end: EndTransaction | None = None
    acknowledged_at: datetime | None = None
    misused_numbers: tuple[int, ...] = ()
    corrections: int = 0

    @property
    def lapses_at(self) -> datetime:
        return after_s(self.created_at, self.deadlines.authorization_s)

    @property
    def started_once(self) -> bool:
        """Whether a start was asked for and may have reached the station."""
        return self.remote_starts > 0

    def waiting(self, kind: str) -> tuple[PeerRequest, ...]:
        """Requests of this kind that have not been told a result."""
        return tuple(r for r in self.requests if r.kind == kind and r.notified is None)


# -- events ------------------------------------------------------------------------------------------------------------


class AuthorizationIssued(Command, frozen=True, kw_only=True):
    id: str
    peer: str
    own_pms_identifier: str
    user_identifier: str
    service_type: ServiceType
    station: str
    connector_asked: int | None
    deadlines: ChargingDeadlines


class StartRequested(Command, frozen=True, kw_only=True):
    """`connector_id` is the free connector that the station holds for this start."""

    request_identifier: str
    connector_id: int


class StopRequested(Command, frozen=True, kw_only=True):
    request_identifier: str


class DeliveryEnded(Fact, frozen=True, kw_only=True):
    """A message to the Source is done, parked or lapsed; `operation` is the message's name."""

    message_id: str
    operation: str
    status: str
    error: str | None = None


# -- what each event changes -------------------------------------------------------------------------------------------

T = DestinationTransaction

REQUESTS_OF_A_KIND = REQUESTS_KEPT.limit // 2


def too_many_requests(data: T, event: StartRequested | StopRequested) -> bool:
    """Whether it has had as many of this kind as it may: however many starts were asked for, it can be stopped."""
    return sum(request.kind == kind_of(event) for request in data.requests) >= REQUESTS_OF_A_KIND


def known_request(data: T, event: StartRequested | StopRequested) -> bool:
    return (event.request_identifier, kind_of(event)) in ((r.request_identifier, r.kind) for r in data.requests)


def name_taken(data: T, event: StartRequested | StopRequested) -> bool:
    """Whether a request of the other kind has this name: its result could not be told apart."""
    return any(r.request_identifier == event.request_identifier and r.kind != kind_of(event) for r in data.requests)


def kind_of(event: StartRequested | StopRequested) -> str:
    return "start" if isinstance(event, StartRequested) else "stop"


def wrong_place(data: T, event: TransactionStarted) -> bool:
    """Whether the idTag was used at a connector that it is not for; a start that failed for us may still come late."""
    asked = () if data.connector_asked is None else (data.connector_asked,)
    expected = data.connectors_tried or asked
    return bool(expected) and event.connector_id not in expected


def late_start(data: T, event: TransactionStarted) -> bool:
    """Whether this is the start of the charge that is over already."""
    return data.charge.number == event.number or (start_missing(data, event) and not wrong_place(data, event))


def told(data: T, kind: str, result: bool) -> tuple[PeerRequest, ...]:
    """The requests with those of this kind told the result; a true one also overrules an earlier false for starts."""

    def tell(r: PeerRequest) -> PeerRequest:
        open_to_it = r.notified is None or (result and kind == "start" and r.notified is False)
        return msgspec.structs.replace(r, notified=result) if r.kind == kind and open_to_it else r

    return tuple(tell(r) for r in data.requests)


def _issued(data: T, event: AuthorizationIssued) -> dict[str, Any]:
    known = {"id": event.id, "peer": event.peer, "own_pms_identifier": event.own_pms_identifier}
    place = {"station": event.station, "connector_asked": event.connector_asked, "service_type": event.service_type}
    times = {"deadlines": event.deadlines, "created_at": event.at, "changed_at": event.at}
    return {**known, **place, **times, "user_identifier": event.user_identifier}


def _start(data: T, event: StartRequested) -> dict[str, Any]:
    request = PeerRequest(request_identifier=event.request_identifier, kind="start", at=event.wall_at)
    if data.state in (S.TX_RUNNING, S.STOP_TX_REQUESTED):
        request = msgspec.structs.replace(request, notified=True)
    fresh = {"requests": (*data.requests, request), "changed_at": event.at}
    if data.state != S.START_TX_REQUESTED or data.waiting("start"):
        return fresh
    until = after_s(event.at, data.deadlines.start_s)
    tried = (*data.connectors_tried, event.connector_id)
    start = {"connector_id": event.connector_id, "start_until": until, "remote_starts": data.remote_starts + 1}
    return {**fresh, **start, "connectors_tried": tried, "cause": None}


def _stop(data: T, event: StopRequested) -> dict[str, Any]:
    request = PeerRequest(request_identifier=event.request_identifier, kind="stop", at=event.wall_at)
    fresh = {"requests": (*data.requests, request), "changed_at": event.at, "cause": None}
    return fresh if data.waiting("stop") else {**fresh, "stop_until": after_s(event.at, data.deadlines.stop_s)}


def _stop_asked(data: T, event: StopAsked) -> dict[str, Any]:
    return {"stop_until": after_s(event.at, data.deadlines.stop_s), "changed_at": event.at}


def _answered(data: T, event: StationAnswered) -> dict[str, Any]:
    verdict, news = event.outcome.verdict, {"changed_at": event.at}
    if data.state == S.START_TX_REQUESTED and verdict is CallVerdict.ACCEPTED:
        return {**news, "start_until": after_s(event.at, data.deadlines.start_s)}
    if verdict in (CallVerdict.ACCEPTED, CallVerdict.UNKNOWN):
        return news
    cause = answer_cause(event)
    if event.purpose == "stop":
        return {**news, "requests": told(data, "stop", False), "cause": cause, "stop_until": None}
    failed: dict[str, Any] = {"requests": told(data, "start", False), "cause": cause, "connector_id": None}
    if verdict is CallVerdict.NEVER_SENT:
        failed |= {"remote_starts": data.remote_starts - 1, "connectors_tried": data.connectors_tried[:-1]}
    return {**news, **failed}


def answer_cause(event: StationAnswered) -> str:
    """What went wrong with a command to the station, in words for the driver."""
    outcome = event.outcome
    words = {
        CallVerdict.REJECTED: f"the station refused to {event.purpose}",
        CallVerdict.ERROR: f"the station could not {event.purpose}",
        CallVerdict.NEVER_SENT: "the station cannot be reached",
    }[outcome.verdict]
    return f"{words}: {outcome.cause}" if outcome.cause else words


def _started(data: T, event: TransactionStarted) -> dict[str, Any]:
    if data.state in (S.TX_FINISHED, S.SETTLED) and late_start(data, event):
        return {**started_late(data, event), "corrections": data.corrections + 1}
    if data.state == S.TX_RUNNING and data.charge.number is None:
        return {**started(data, event), "requests": told(data, "start", True), "cause": None}
    return {"flags": flagged(data, "misuse"), "misused_numbers": (*data.misused_numbers, event.number)}


def _metered(data: T, event: MeterRead) -> dict[str, Any]:
    if data.state in (S.TX_FINISHED, S.SETTLED):
        return {"charge": named(data.charge, event), "corrections": data.corrections + 1, "changed_at": event.at}
    changes = metered(data, event)
    return {**changes, "progress_at": event.at} if progress_due(data, event) else changes


def progress_due(data: T, event: MeterRead) -> bool:
    """At most one progress update per interval goes to the Source, and none of the reading that the charge began with.

    A station of OCPP 2.x says that one with its Started event: the Source learns of it by the result of its request.
    """
    under_way = data.state in (S.TX_RUNNING, S.STOP_TX_REQUESTED)
    last = data.progress_at
    if read_at_start(data.charge, event):
        return False
    return under_way and (last is None or event.at >= after_s(last, data.deadlines.progress_interval_s))


def _finish(data: T, changes: dict[str, Any]) -> dict[str, Any]:
    """What every end has: all open requests are told, and the charge record is made."""
    ended = msgspec.structs.replace(data, **changes)
    heard = msgspec.structs.replace(ended, requests=told(ended, "start", True))
    requests = told(heard, "stop", True)
    return {**changes, "requests": requests, "end": charge_record(ended), "doubted_until": None}


def _stopped(data: T, event: TransactionStopped) -> dict[str, Any]:
    if data.end is not None:
        return {**stopped_late(data, event), "corrections": data.corrections + 1}
    return _finish(data, stopped(data, event)) if data.state == S.TX_FINISHED else {"flags": flagged(data, "misuse")}


def _connector_taken(data: T, event: ConnectorTaken) -> dict[str, Any]:
    if data.state == S.TX_FINISHED and data.end is None:
        return _finish(data, reconciled(data, event, "another charge began on this connector"))
    cause = "another charge began on this connector"
    return {"requests": told(data, "start", False), "cause": cause, "connector_id": None, "changed_at": event.at}


def _denied(data: T, event: StationDenied) -> dict[str, Any]:
    return _finish(data, reconciled(data, event, DENIED))


def _closed(data: T, event: CloseAsked) -> dict[str, Any]:
    return _finish(data, reconciled(data, event, closed_by_operator(event)))


def _timed_out(data: T, event: DeadlineReached) -> dict[str, Any]:
    news = {"changed_at": event.at}
    if data.state == S.TX_FINISHED:
        if data.end is None:
            return _finish(data, reconciled(data, event, "the station reported no end"))
        return {**news, "overdue_at": event.at, "flags": flagged(data, "cdr-overdue")}
    if data.waiting("start"):
        return {**news, "requests": told(data, "start", False), "cause": NEVER_STARTED, "connector_id": None}
    if data.state == S.TX_RUNNING and data.stop_until is not None:
        return {**news, "requests": told(data, "stop", False), "cause": NEVER_STOPPED, "stop_until": None}
    return {**news, **silent(data, event)} if data.state == S.TX_RUNNING else news


NEVER_STARTED = "the station did not start in time: was the cable plugged in?"
NEVER_STOPPED = "the station did not stop in time"


def _delivered(data: T, event: DeliveryEnded) -> dict[str, Any]:
    known = {"done": (), "parked": (f"{event.operation}-parked",)}.get(event.status, (f"{event.operation}-lapsed",))
    done = {"acknowledged_at": event.at} if data.state == S.SETTLED and data.acknowledged_at is None else {}
    return {**done, "flags": flagged(data, *known), "changed_at": event.at}


def transaction_data(data: T, *, ended: bool) -> TransactionData:
    """What is told to the Source of this charge, now or at its end."""
    charge, energy = data.charge, data.charge.energy_wh
    start = charge.start_timestamp or data.requests[0].at
    end = max(start, charge.stop_timestamp) if ended and charge.stop_timestamp else None
    return TransactionData(
        service_type=data.service_type,
        start_timestamp=start,
        end_timestamp=end,
        transaction_status=TransactionStatus.TERMINATED if ended else TransactionStatus.ACTIVE,
        energy_wh=energy,
        local_operator_identifier=data.own_pms_identifier,
        local_service_identifier=data.station,
        home_operator_identifier=data.peer,
        user_identifier=data.user_identifier,
        authorization_identifier=data.id,
    )


def charge_record(data: T) -> EndTransaction:
    """The charge record (CDR): made once, at the end, and never changed."""
    content = transaction_data(data, ended=True)
    end = content.end_timestamp or content.start_timestamp
    return EndTransaction(
        authorization_identifier=data.id,
        start_transaction_timestamp=content.start_timestamp,
        end_transaction_timestamp=end,
        transaction_data=content,
    )


CHANGES: dict[type[Event], Change] = {
    **CHARGE_CHANGES,
    AuthorizationIssued: _issued,
    StartRequested: _start,
    StopRequested: _stop,
    StopAsked: _stop_asked,
    StationAnswered: _answered,
    TransactionStarted: _started,
    MeterRead: _metered,
    TransactionStopped: _stopped,
    ConnectorTaken: _connector_taken,
    StationDenied: _denied,
    CloseAsked: _closed,
    DeadlineReached: _timed_out,
    DeliveryEnded: _delivered,
}
"""What each event changes in a `DestinationTransaction`, for `Chart.evolve`."""
