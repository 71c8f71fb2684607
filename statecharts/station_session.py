"""What an OCPP 2.x station calls a transaction, as its events tell it, until it is a charge of ours: pure functions.

OCPP 1.6 begins a charge with one message that says all: who, where, when, from which meter reading. In OCPP 2.x a
transaction begins when a car comes; who pays may be said later, in any of its events, or never. The first event that
says it makes a charge of it. Events are queued while a station is offline, come again when their answer was lost, and
some are missing for ever: whatever comes, a session only learns.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from functools import reduce

import msgspec

from statecharts.evse import CHARGES_GO_ON, Evse, StatusReported, of_plugs
from statecharts.limits import PLUGS
from statecharts.metering import newest_register, oldest_register
from statecharts.station_commands import CallOutcome, CallVerdict, TriggerMessage
from statecharts.station_reports import (
    ConnectorStatus,
    MeterSample,
    StartTransaction,
    StatusNotification,
    StopTransaction,
    TransactionEvent,
    TransactionEventKind,
)
from statecharts.vocabulary import Value

LOCALLY = "Local"
"""Why a transaction ended whose station gives no reason (OCPP 2.0.1 part 2, 1.61: TransactionType)."""

FIRST_PLUG = 1
"""The plug of an EVSE that is meant where the specification wants one named."""

NOBODY = ""
"""The idTag of a charge that nobody was ever named for."""


def remote_start_id(id_tag: str) -> int:
    """The remoteStartId of a start for this idTag: 31 bits of its own, so that nothing is to be kept to know it again.

    Never 0, which some firmware takes for none.
    """
    digest = hashlib.blake2b(id_tag.casefold().encode(), digest_size=4).digest()
    return (int.from_bytes(digest, "big") & 0x7FFF_FFFF) or 1


class Session(Value, frozen=True, kw_only=True):
    """A transaction of which we have heard, and that is no charge yet.

    `begun_at` and `begun_seq_no` are of its earliest event; `first` and `last` its oldest and newest readings of the
    energy register; `ended` is its end.
    """

    reference: str
    begun_at: datetime
    begun_seq_no: int
    connector_id: int | None = None
    id_tag: str | None = None
    remote_start_id: int | None = None
    reservation_id: int | None = None
    first: MeterSample | None = None
    last: MeterSample | None = None
    ended: TransactionEvent | None = None

    @property
    def begun(self) -> bool:
        """Whether its first event was heard: they are counted from 0 (OCPP 2.0.1 part 2, E01)."""
        return self.begun_seq_no == 0

    @property
    def energy_wh(self) -> int | None:
        """What was metered so far; None while two readings are missing."""
        readings = _registers(self)
        oldest, newest = oldest_register(readings), newest_register(readings)
        return newest[1] - oldest[1] if oldest and newest else None

    def start(self, asked_for: str | None = None, connector_id: int = 0) -> StartTransaction | None:
        """The start of its charge, as OCPP 1.6 would say it; None while nobody is known who pays.

        `asked_for` is the idTag that its remoteStartId stands for, `connector_id` where it is if it does not say. One
        that ended is a charge of nobody if energy was taken, for the operator to see; not while its beginning is
        missing, which may say who pays.
        """
        of_nobody = NOBODY if self.ended is not None and self.begun and (self.energy_wh or 0) > 0 else None
        id_tag = self.id_tag or asked_for or of_nobody
        if id_tag is None:
            return None
        first = oldest_register(_registers(self))
        return StartTransaction(
            connector_id=connector_id if self.connector_id is None else self.connector_id,
            id_tag=id_tag,
            meter_start_wh=first and first[1],
            timestamp=self.begun_at,
            reservation_id=self.reservation_id,
            partial=not self.begun,
        )

    def stop(self, number: int) -> StopTransaction | None:
        """The end of its charge, if it came before anybody was known who pays."""
        if self.ended is None:
            return None
        readings = () if self.last is None else (self.last,)
        return msgspec.structs.replace(stop_of(self.ended, number), samples=(*readings, *self.ended.samples))


def heard(before: Session | None, event: TransactionEvent) -> Session:
    """The session after this event; the same one if it says nothing new."""
    ended = event if event.kind is TransactionEventKind.ENDED else None
    oldest, newest = oldest_register(event.samples), newest_register(event.samples)
    said = Session(
        reference=event.reference,
        begun_at=min([event.timestamp, *(sample.timestamp for sample in event.samples if ended)]),
        begun_seq_no=event.seq_no,
        connector_id=event.connector_id,
        id_tag=event.id_tag,
        remote_start_id=event.remote_start_id,
        reservation_id=event.reservation_id,
        first=oldest and oldest[0],
        last=newest and newest[0],
        ended=ended,
    )
    return said if before is None else _joined(before, said)


def session_of(events: Iterable[TransactionEvent]) -> Session | None:
    """What all these events tell of one transaction."""
    return reduce(heard, events, None)


def _joined(before: Session, said: Session) -> Session:
    older, newer = (said, before) if said.begun_seq_no < before.begun_seq_no else (before, said)
    firsts = oldest_register(_present(before.first, said.first))
    lasts = newest_register(_present(before.last, said.last))
    return Session(
        reference=before.reference,
        begun_at=older.begun_at,
        begun_seq_no=older.begun_seq_no,
        connector_id=newer.connector_id if older.connector_id is None else older.connector_id,
        id_tag=older.id_tag or newer.id_tag,
        remote_start_id=newer.remote_start_id if older.remote_start_id is None else older.remote_start_id,
        reservation_id=newer.reservation_id if older.reservation_id is None else older.reservation_id,
        first=firsts and firsts[0],
        last=lasts and lasts[0],
        ended=before.ended or said.ended,
    )


def _registers(session: Session) -> tuple[MeterSample, ...]:
    return _present(session.first, session.last)


def _present(*samples: MeterSample | None) -> tuple[MeterSample, ...]:
    return tuple(sample for sample in samples if sample is not None)


def stop_of(event: TransactionEvent, number: int) -> StopTransaction:
    """An end as OCPP 1.6 would say it, of the charge with this number of ours."""
    newest = newest_register(event.samples)
    return StopTransaction(
        transaction_id=number,
        meter_stop_wh=newest and newest[1],
        timestamp=event.timestamp,
        reason=event.stopped_reason or LOCALLY,
        id_tag=event.id_tag,
        samples=event.samples,
    )


def goes_on(outcome: CallOutcome) -> bool | None:
    """Whether a transaction goes on, by the answer to GetTransactionStatus; None where that decides nothing.

    One that has ended, of which messages are still queued, is not over: they tell its end (OCPP 2.0.1 part 2, E14).
    """
    if outcome.verdict is not CallVerdict.ACCEPTED:
        return None
    ongoing, queued = outcome.data.get("ongoingIndicator"), outcome.data.get("messagesInQueue")
    return True if ongoing is True else False if ongoing is False and queued is False else None


# -- what an EVSE shows ------------------------------------------------------------------------------------------------

_SHOWN = {
    "Charging": ConnectorStatus.CHARGING,
    "EVConnected": ConnectorStatus.PREPARING,
    "SuspendedEV": ConnectorStatus.SUSPENDED_EV,
    "SuspendedEVSE": ConnectorStatus.SUSPENDED_EVSE,
    "Idle": ConnectorStatus.FINISHING,
}
"""ChargingStateEnumType in the words of OCPP 1.6 section 4.9."""


def status_shown(event: TransactionEvent, shown: str) -> ConnectorStatus | None:
    """What an EVSE that shows `shown` shows after this event; None if that is the same, or a time that is over.

    An end counts whenever it comes, but only where a car is still shown: the EVSE may be free by now.
    """
    if event.kind is TransactionEventKind.ENDED:
        return ConnectorStatus.FINISHING if shown in (*CHARGES_GO_ON, ConnectorStatus.PREPARING) else None
    status = None if event.offline else _SHOWN.get(event.charging_state or "")
    return None if status == shown else status


def shown_by(event: TransactionEvent, connector_id: int, status: ConnectorStatus, at: datetime) -> StatusReported:
    """That an EVSE shows this by an event of a transaction there, which has a car at its plug until it ends."""
    plug = None if event.kind is TransactionEventKind.ENDED else _plug(event.plug_id)
    return StatusReported(
        at=at,
        connector_id=connector_id,
        status=status,
        timestamp=event.timestamp,
        plug_id=plug,
        plug_status=ConnectorStatus.PREPARING if plug else None,
    )


def _plug(plug_id: int | None) -> int | None:
    return plug_id if plug_id in range(1, PLUGS.limit + 1) else None


def asked_of_plugs(asked: TriggerMessage, evses: Mapping[int, Evse]) -> tuple[TriggerMessage, ...]:
    """One question for each plug that an EVSE has, or each EVSE, where a status is asked for and no plug is named.

    OCPP 2.0.1 part 2, F06.FR.12: a status is that of one plug. An EVSE of which no plug was ever heard has its first.
    """
    if asked.what != "StatusNotification" or asked.plug_id is not None:
        return (asked,)
    whole_station = not asked.connector_id
    numbers = sorted(number for number in evses if number > 0) if whole_station else [asked.connector_id or 0]
    return tuple(
        msgspec.structs.replace(asked, connector_id=number, plug_id=plug_id)
        for number in numbers or [1]
        for plug_id in sorted(_plugs_of(evses.get(number)))
    )


def _plugs_of(evse: Evse | None) -> Collection[int]:
    return (evse and evse.plugs) or (FIRST_PLUG,)


def status_reported(said: StatusNotification, evse: Evse, at: datetime, *, charging: bool) -> StatusReported:
    """What a status says of an EVSE that was as `evse`; `charging` if a charge goes on there."""
    plug = _plug(said.plug_id)
    status = status_meant(said, evse, charging=charging)
    other = evse.error_code if status == evse.state else "NoError"
    return StatusReported(
        at=at,
        connector_id=said.connector_id,
        status=status,
        error_code=said.error_code if status is said.status else other,
        timestamp=said.timestamp,
        plug_id=plug,
        plug_status=said.status if plug else None,
    )


def status_meant(said: StatusNotification, evse: Evse, *, charging: bool) -> ConnectorStatus:
    """The status that an EVSE has by what is said of it, or of one of its plugs (OCPP 2.x; `evse.of_plugs`).

    OCPP 2.x says no more than Occupied of all that goes on there. That is read as Preparing, and takes back nothing of
    what the events of a transaction have told already. Nor does, while a charge goes on, what is said of a plug that
    no car was at: it is at another one.
    """
    if said.plug_id is None:
        return said.status
    others = {plug: status for plug, status in evse.plugs.items() if plug != said.plug_id}
    status = of_plugs([*others.values(), said.status])
    if status is ConnectorStatus.PREPARING:
        told = evse.state in (*CHARGES_GO_ON, ConnectorStatus.FINISHING)
    else:
        no_car_was_here = bool(others) and evse.plugs.get(said.plug_id) is not ConnectorStatus.PREPARING
        told = charging and no_car_was_here and evse.state in CHARGES_GO_ON
    return ConnectorStatus(evse.state) if told else status
