"""A transaction with no roaming partner: an RFID card of ours, an operator's start, or a card that nobody knows.

Every charge that a station reports and that belongs to no Source ends up here, so that nothing it reports is ever lost.
It begins with one word, of the operator or of the station: there is none that was opened and then never heard of.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

import msgspec

from statecharts.charge_changes import (
    CHARGE_CHANGES,
    DENIED,
    call_failed,
    closed_by_operator,
    doubt_is_over,
    flagged,
    in_doubt,
    look_after,
    meter_never_falls,
    metered,
    named,
    own_stop,
    reconciled,
    release,
    remote_stop,
    same_charge,
    same_stop,
    silent,
    started,
    started_late,
    stopped,
    stopped_late,
    taken_by_other,
    will_start,
)
from statecharts.charging import (
    Charging,
    CloseAsked,
    ConnectorTaken,
    MeterRead,
    Opening,
    StationConfirmed,
    StationDenied,
    StationDoubted,
    StopAsked,
    TransactionStarted,
    TransactionStopped,
)
from statecharts.chart import Change, Chart, Contract, State, move, refuse, repeat, stay
from statecharts.events import Command, CommandStation, DeadlineReached, Effect, Event, StationAnswered
from statecharts.moments import after_s
from statecharts.station_commands import CallVerdict, RemoteStartTransaction
from statecharts.station_vocabulary import IdTagStatus


class S(StrEnum):
    NEW = "New"
    START_TX_REQUESTED = "StartTxRequested"
    EXPIRED = "Expired"
    TX_RUNNING = "TxRunning"
    STOP_TX_REQUESTED = "StopTxRequested"
    SETTLED = "Settled"


class LocalTransaction(Charging, frozen=True, kw_only=True):
    """Everything we know of a charge of our own."""

    state: str = S.NEW
    id: str = ""
    id_tag: str = ""
    corrections: int = 0


class LocalStartRequested(Command, frozen=True, kw_only=True):
    """The operator wants a charge to begin at this connector."""

    opening: Opening
    connector_id: int


T = LocalTransaction
NOT_AUTHORISED = "not-authorised"


# -- guards and effects ------------------------------------------------------------------------------------------------


def _accepted(_: T, event: TransactionStarted) -> bool:
    return event.id_tag_accepted


def _same_accepted(data: T, event: TransactionStarted) -> bool:
    return same_charge(data, event) and NOT_AUTHORISED not in data.flags


def _remote_start(_: T, data: T, event: LocalStartRequested) -> Iterator[Effect]:
    command = RemoteStartTransaction(id_tag=data.id_tag, connector_id=event.connector_id)
    yield CommandStation(station=data.station, command=command, purpose="start")


# -- what each event changes -------------------------------------------------------------------------------------------


def _opened(event: LocalStartRequested | TransactionStarted) -> dict[str, Any]:
    return {**msgspec.structs.asdict(event.opening), "created_at": event.at} if event.opening else {}


def _start(_: T, event: LocalStartRequested) -> dict[str, Any]:
    until = after_s(event.at, event.opening.deadlines.start_s)
    return {**_opened(event), "connector_id": event.connector_id, "start_until": until, "changed_at": event.at}


def _stop(data: T, event: StopAsked) -> dict[str, Any]:
    return {"stop_until": after_s(event.at, data.deadlines.stop_s), "cause": None, "changed_at": event.at}


def _started(data: T, event: TransactionStarted) -> dict[str, Any]:
    if data.charge.number not in (None, event.number):
        return {"flags": flagged(data, "foreign-start"), "changed_at": event.at}
    if data.state == S.SETTLED:
        return {**started_late(data, event), "corrections": data.corrections + 1}
    flags = () if event.id_tag_accepted else (NOT_AUTHORISED,)
    opened = {} if data.station else _opened(event)
    return {**opened, **started(data, event), "flags": flagged(data, *flags), "cause": None}


def _metered(data: T, event: MeterRead) -> dict[str, Any]:
    if data.state == S.SETTLED:
        return {"charge": named(data.charge, event), "corrections": data.corrections + 1}
    return metered(data, event)


def _stopped(data: T, event: TransactionStopped) -> dict[str, Any]:
    if data.state != S.SETTLED:
        return {"flags": flagged(data, "foreign-stop"), "changed_at": event.at}
    if data.finished_at is not None:
        return {**stopped_late(data, event), "corrections": data.corrections + 1}
    return {**stopped(data, event), "doubted_until": None}


def _answered(data: T, event: StationAnswered) -> dict[str, Any]:
    verdict = event.outcome.verdict
    if data.state == S.START_TX_REQUESTED and verdict is CallVerdict.ACCEPTED:
        return {"start_until": after_s(event.at, data.deadlines.start_s), "changed_at": event.at}
    return {"cause": event.outcome.cause or f"{event.purpose}: {verdict}", "stop_until": None, "changed_at": event.at}


def _connector_taken(data: T, event: ConnectorTaken) -> dict[str, Any]:
    cause = "another charge began on this connector"
    return reconciled(data, event, cause) if data.state == S.SETTLED else {"cause": cause, "changed_at": event.at}


def _denied(data: T, event: StationDenied) -> dict[str, Any]:
    return reconciled(data, event, DENIED)


def _closed(data: T, event: CloseAsked) -> dict[str, Any]:
    return reconciled(data, event, closed_by_operator(event))


def _timed_out(data: T, event: DeadlineReached) -> dict[str, Any]:
    if data.state == S.SETTLED:
        return reconciled(data, event, "the station reported no end")
    if data.state == S.EXPIRED:
        return {"cause": "the station did not start in time", "changed_at": event.at}
    if data.stop_until is not None:
        return {"cause": "the station did not stop in time", "stop_until": None, "changed_at": event.at}
    return silent(data, event)


# -- the chart ---------------------------------------------------------------------------------------------------------

ALL = tuple(S)
UNDER_WAY = (S.TX_RUNNING, S.STOP_TX_REQUESTED)
BEGUN = (*UNDER_WAY, S.SETTLED)
ASKED = (S.START_TX_REQUESTED, S.EXPIRED)
BEFORE = (S.NEW, *ASKED)

STATES = (
    State(S.NEW, "nothing yet", resting=True),
    State(S.START_TX_REQUESTED, "the station was asked to start", lambda d: d.start_until),
    State(S.EXPIRED, "never started; what the station reports still counts", final=True),
    State(S.TX_RUNNING, "charging", lambda d: d.charge_deadline),
    State(S.STOP_TX_REQUESTED, "the station was asked to stop", lambda d: d.stop_deadline),
    State(S.SETTLED, "charging is over", final=True),
)

ROWS = (
    move(LocalStartRequested, S.NEW, S.START_TX_REQUESTED, then=_remote_start),
    repeat(LocalStartRequested, S.START_TX_REQUESTED),
    stay(StationAnswered, S.START_TX_REQUESTED, when=will_start, note="will attempt to start"),
    move(StationAnswered, S.START_TX_REQUESTED, S.EXPIRED, when=call_failed("start"), then=release, note="failed"),
    move(StationAnswered, S.STOP_TX_REQUESTED, S.TX_RUNNING, when=call_failed("stop"), note="failed"),
    repeat(StationAnswered, ALL, note="says nothing new"),
    move(DeadlineReached, S.START_TX_REQUESTED, S.EXPIRED, then=release, note="no start"),
    move(TransactionStarted, BEFORE, S.TX_RUNNING, when=_accepted, then=release, answer=IdTagStatus.ACCEPTED),
    move(TransactionStarted, BEFORE, S.TX_RUNNING, then=release, answer=IdTagStatus.INVALID, note="not accepted"),
    repeat(TransactionStarted, BEGUN, when=_same_accepted, answer=IdTagStatus.ACCEPTED, note="same start"),
    repeat(TransactionStarted, BEGUN, when=same_charge, answer=IdTagStatus.INVALID, note="same start, not accepted"),
    stay(TransactionStarted, BEGUN, answer=IdTagStatus.INVALID, note="kept for the operator"),
    repeat(MeterRead, S.NEW, note="of nothing that we know"),
    stay(MeterRead, (*ASKED, *BEGUN)),
    move(StopAsked, S.TX_RUNNING, S.STOP_TX_REQUESTED, then=remote_stop),
    repeat(StopAsked, S.STOP_TX_REQUESTED),
    refuse(StopAsked, S.SETTLED, 410, "already-finished", "the transaction is over"),
    repeat(TransactionStopped, S.NEW, note="of nothing that we know"),
    move(TransactionStopped, ASKED, S.SETTLED, then=release, note="also without its start"),
    move(TransactionStopped, UNDER_WAY, S.SETTLED, when=own_stop, then=release, note="of this charge"),
    repeat(TransactionStopped, S.SETTLED, when=same_stop, note="same stop"),
    stay(TransactionStopped, BEGUN, note="kept for the operator"),
    move(ConnectorTaken, S.START_TX_REQUESTED, S.EXPIRED, then=release, note="another idTag starts"),
    move(ConnectorTaken, UNDER_WAY, S.SETTLED, when=taken_by_other, note="reconciled"),
    repeat(ConnectorTaken, ALL),
    stay(StationDoubted, UNDER_WAY, note="reconcile deadline armed"),
    repeat(StationDoubted, ALL),
    stay(StationConfirmed, UNDER_WAY, when=in_doubt, note="doubt is over"),
    repeat(StationConfirmed, ALL),
    move(StationDenied, UNDER_WAY, S.SETTLED, when=in_doubt, then=release, note="reconciled"),
    repeat(StationDenied, ALL),
    move(CloseAsked, UNDER_WAY, S.SETTLED, then=release, note="reconciled, by our operator"),
    refuse(CloseAsked, S.SETTLED, 410, "already-finished", "the transaction is over"),
    move(DeadlineReached, UNDER_WAY, S.SETTLED, when=doubt_is_over, then=release, note="reconciled"),
    stay(DeadlineReached, S.TX_RUNNING, then=look_after, note="silent: reconcile deadline armed, station looked at"),
    move(DeadlineReached, S.STOP_TX_REQUESTED, S.TX_RUNNING, note="no stop"),
)  # fmt: skip

CHANGES: dict[type[Event], Change] = {
    **CHARGE_CHANGES,
    LocalStartRequested: _start,
    StopAsked: _stop,
    StationAnswered: _answered,
    TransactionStarted: _started,
    MeterRead: _metered,
    TransactionStopped: _stopped,
    ConnectorTaken: _connector_taken,
    StationDenied: _denied,
    CloseAsked: _closed,
    DeadlineReached: _timed_out,
}


CONTRACTS = (
    Contract("times are aware", before=lambda _, event: event.at.tzinfo is not None),
    Contract("the meter never falls", after=meter_never_falls),
    Contract("what has begun is somewhere", always=lambda d: d.state == S.NEW or bool(d.station)),
    Contract("settled has an end", always=lambda d: (d.finished_at is not None) == (d.state == S.SETTLED)),
)

CHART: Chart[LocalTransaction] = Chart(
    name="local transaction", initial=S.NEW, states=STATES, rows=ROWS, evolve=CHANGES, contracts=CONTRACTS
)
