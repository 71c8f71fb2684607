"""A charging station as its central system knows it: two charts side by side, its connectors, and its book of charges.

Registration (has it booted, was it taken) and connection (is it there now) are independent: a reconnect is no boot, and
a station that booted once may be away. The book says which OCPP transactionId stands for which transaction of ours, so
that a repeated StartTransaction gets the same number and no report is ever attributed to another station.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from statecharts import evse, reservation
from statecharts.bounds import CHARGES_KEPT, SESSIONS_KEPT, STOPS_KEPT
from statecharts.chart import Chart, State, move, repeat
from statecharts.events import Event, Fact
from statecharts.evse import Evse, StatusReported
from statecharts.moments import CREDIBLE_SINCE
from statecharts.reservation import Reservation, ReservationAsked, ReservationEnded, ReservationTold
from statecharts.station_commands import GetTransactionStatus, RemoteStopTransaction, StationCommand
from statecharts.station_reports import (
    BootNotification,
    RegistrationStatus,
    StartTransaction,
    StopTransaction,
    TransactionEvent,
)
from statecharts.station_session import Session, heard
from statecharts.station_vocabulary import IdTagInfo
from statecharts.vocabulary import Value

UNKNOWN, OFFLINE, ONLINE = "Unknown", "Offline", "Online"


# -- events ------------------------------------------------------------------------------------------------------------


class Booted(Fact, frozen=True, kw_only=True):
    """The station booted; `status` is what it was answered."""

    boot: BootNotification
    status: RegistrationStatus


class Connected(Fact, frozen=True, kw_only=True):
    protocol: str


class Disconnected(Fact, frozen=True, kw_only=True):
    pass


class ChargeOpened(Fact, frozen=True, kw_only=True):
    """A StartTransaction got its number; `transaction` is the stream that it was handed to.

    Of OCPP 2.x `reference` is the station's own name for it, and `stop` its end where that came before.
    """

    number: int
    transaction: str
    start: StartTransaction
    reference: str = ""
    stop: StopTransaction | None = None


class ChargeJudged(Fact, frozen=True, kw_only=True):
    """What the station is told of the idTag; `transaction` is whose charge it turned out to be."""

    number: int
    transaction: str
    id_tag_info: IdTagInfo


class ChargeClosed(Fact, frozen=True, kw_only=True):
    """A StopTransaction, or the end of a charge that nobody stopped (`stop` absent)."""

    number: int
    stop: StopTransaction | None = None


class StopKept(Fact, frozen=True, kw_only=True):
    """A StopTransaction of no charge that we know: its start may still come."""

    stop: StopTransaction


class StopResolved(Fact, frozen=True, kw_only=True):
    """An operator has decided on a stop that was kept: no start will be joined to it."""

    stop: StopTransaction


class TransactionHeard(Fact, frozen=True, kw_only=True):
    """An event of OCPP 2.x of a transaction that is no charge: nobody knows yet who pays."""

    event: TransactionEvent


# -- data --------------------------------------------------------------------------------------------------------------


class Registration(Value, frozen=True, kw_only=True):
    state: str = UNKNOWN
    boot: BootNotification | None = None
    since: datetime | None = None


class Connection(Value, frozen=True, kw_only=True):
    state: str = OFFLINE
    protocol: str | None = None
    since: datetime | None = None


class StationCharge(Value, frozen=True, kw_only=True):
    """One entry of the book. `stop_first` is an end that came before the start, of a station of OCPP 2.x."""

    number: int
    transaction: str
    start: StartTransaction
    id_tag_info: IdTagInfo | None = None
    open: bool = True
    stop: StopTransaction | None = None
    reference: str = ""
    stop_first: StopTransaction | None = None

    def covers(self, at: datetime) -> bool:
        """Whether this charge went on at that moment, by the station's own clock."""
        return self.start.timestamp <= at and (self.open or (self.stop is not None and at <= self.stop.timestamp))


class Station(Value, frozen=True, kw_only=True):
    """Everything the journal says of a station."""

    registration: Registration = Registration()
    connection: Connection = Connection()
    evses: dict[int, Evse] = msgspec.field(default_factory=dict)
    charges: dict[int, StationCharge] = msgspec.field(default_factory=dict)
    stops: tuple[StopTransaction, ...] = ()
    sessions: dict[str, Session] = msgspec.field(default_factory=dict)
    reservations: dict[int, Reservation] = msgspec.field(default_factory=dict)

    def open_on(self, connector_id: int) -> StationCharge | None:
        """The charge that goes on at this connector; the newest by its own clock, should there be several."""
        return _newest(c for c in self.charges.values() if c.open and c.start.connector_id == connector_id)

    def charge_at(self, connector_id: int, at: datetime) -> StationCharge | None:
        """The charge at this connector that a reading without a number is of: by its time, else the one that goes on.

        OCPP 1.6 ed. 2 section 3.7: readings are queued while offline and come late.
        """
        here = (c for c in self.charges.values() if c.start.connector_id == connector_id)
        return _newest(c for c in here if c.covers(at)) or self.open_on(connector_id)

    def charge_meant(self, stop: StopTransaction) -> StationCharge | None:
        """The charge that this stop ends: by its number; without one (-1), the only one that it can mean.

        It ended that one before, or that began before it and has no stop, and is of the idTag if it names one. If
        it names none, it is of no charge on whose connector another one had begun by then, and means nothing while
        another connector shows a charge whose start never came: it may be the end of that one. Whoever asks looks at
        the transaction as well (`charge_changes.may_end_nameless`): a station that has used the number of a charge
        would name it. OCPP 1.6 errata 3.18: it is treated like one with a valid number.
        """
        if stop.transaction_id > 0:
            return self.charges.get(stop.transaction_id)
        ended = [c for c in self.charges.values() if c.stop == stop]
        unstopped = [c for c in self.charges.values() if self._may_be_ended(c, stop)]
        found = ended or [c for c in unstopped if c.open] or unstopped
        if len(found) != 1:
            return None
        certain = bool(ended) or stop.id_tag is not None
        return found[0] if certain or not self._charges_unbooked(found[0].start.connector_id) else None

    def _may_be_ended(self, charge: StationCharge, stop: StopTransaction) -> bool:
        """Whether a stop without a number can be the end of this charge, by what the book says."""
        if charge.stop is not None or not may_end(stop, charge.start):
            return False
        return stop.id_tag is not None or not self._followed(charge, stop.timestamp)

    def _followed(self, charge: StationCharge, by: datetime) -> bool:
        """Whether another charge had begun on its connector by then: the cable was in another car."""
        connector_id, began = charge.start.connector_id, charge.start.timestamp
        others = (c.start for c in self.charges.values() if c.start.connector_id == connector_id)
        return any(began < start.timestamp <= by for start in others)

    def _charges_unbooked(self, besides: int) -> bool:
        """Whether another connector shows a charge that the book does not know."""
        others = [n for n, connector in self.evses.items() if connector.state in evse.CHARGES_GO_ON and n != besides]
        return any(self.open_on(connector_id) is None for connector_id in others if connector_id > 0)

    def charge_called(self, reference: str) -> StationCharge | None:
        """The charge that its station itself calls so (OCPP 2.x); the newest are looked at first."""
        return next((c for c in reversed(self.charges.values()) if reference and c.reference == reference), None)

    def in_its_words(self, command: StationCommand) -> StationCommand:
        """A command about a charge as its station understands it: with its own name for that charge (OCPP 2.x)."""
        if not isinstance(command, RemoteStopTransaction | GetTransactionStatus):
            return command
        charge = self.charges.get(command.transaction_id or 0)
        return msgspec.structs.replace(command, reference=charge.reference) if charge else command

    def stop_before(self, charge: StationCharge) -> StopTransaction | None:
        """The stop of this charge that came before its start."""
        return charge.stop_first if charge.reference else self.stop_of(charge.start)

    def stop_of(self, start: StartTransaction) -> StopTransaction | None:
        """The stop that came before this start of its charge; none for a start whose clock is not to be trusted.

        One that names the idTag, else the only one that names nothing and can be meant, if it can be the end of no
        other charge: of several nobody knows which, and a wrong one would be billed.
        """
        if start.timestamp < CREDIBLE_SINCE:
            return None
        possible = [s for s in self.stops if s.transaction_id <= 0 and may_end(s, start)]
        named = [s for s in possible if s.id_tag is not None]
        nameless = [s for s in possible if s.id_tag is None and (s.meter_stop_wh or 0) >= (start.meter_start_wh or 0)]
        found = named[:1] or nameless
        return found[0] if len(found) == 1 and (named or not self._may_end_another(found[0], start)) else None

    def _may_end_another(self, stop: StopTransaction, start: StartTransaction) -> bool:
        return any(c.start != start and self._may_be_ended(c, stop) for c in self.charges.values())

    def same_start(self, start: StartTransaction, now: datetime) -> StationCharge | None:
        """The charge that this StartTransaction repeats.

        Equal connector, idTag, timestamp and meterStart are a retry while the first is open; after its end only if the
        timestamp is credible: a station whose clock is stuck in 1970 starts with equal content again and again.
        """
        credible = CREDIBLE_SINCE <= start.timestamp <= now
        matches = [c for c in self.charges.values() if start_key(c.start) == start_key(start) and (c.open or credible)]
        return matches[-1] if matches else None

    def evse(self, connector_id: int) -> Evse:
        return self.evses.get(connector_id) or Evse(connector_id=connector_id)


def may_end(stop: StopTransaction, start: StartTransaction) -> bool:
    """Whether a stop without a number can be the end of this start, by what both say."""
    same_tag = stop.id_tag is None or stop.id_tag.casefold() == start.id_tag.casefold()
    return same_tag and start.timestamp <= stop.timestamp


def is_older(start: StartTransaction, than: datetime) -> bool:
    """Whether a start was queued: its own clock, if that can be trusted, says that it was before this moment."""
    return CREDIBLE_SINCE <= start.timestamp < than


def _newest(charges: Iterable[StationCharge]) -> StationCharge | None:
    return max(charges, key=lambda charge: charge.start.timestamp, default=None)


def start_key(start: StartTransaction) -> tuple[int, str, datetime, int | None]:
    """What makes two StartTransactions of a station the same: never the message id (OCPP retries carry new ones)."""
    return (start.connector_id, start.id_tag.casefold(), start.timestamp, start.meter_start_wh)


# -- the two charts ----------------------------------------------------------------------------------------------------


def _is(status: RegistrationStatus) -> Any:
    return lambda _, event: event.status is status


def _booted(_: Registration, event: Booted) -> dict[str, Any]:
    return {"boot": event.boot, "since": event.wall_at}


REGISTRATIONS = (UNKNOWN, *RegistrationStatus)
REGISTRATION: Chart[Registration] = Chart(
    name="station registration",
    initial=UNKNOWN,
    states=(
        State(UNKNOWN, "has never booted here", resting=True),
        State(RegistrationStatus.PENDING, "may be configured, not used", resting=True),
        State(RegistrationStatus.ACCEPTED, "in service", resting=True),
        State(RegistrationStatus.REJECTED, "not wanted", resting=True),
    ),
    rows=(
        *(move(Booted, REGISTRATIONS, status, when=_is(status), note=str(status)) for status in RegistrationStatus),
        repeat(Booted, REGISTRATIONS, note="never: every status has its row"),
    ),
    evolve={Booted: _booted},
)

CONNECTION: Chart[Connection] = Chart(
    name="station connection",
    initial=OFFLINE,
    states=(State(OFFLINE, "no WebSocket", resting=True), State(ONLINE, "connected", resting=True)),
    rows=(
        move(Connected, (OFFLINE, ONLINE), ONLINE, note="the newest connection wins"),
        move(Disconnected, ONLINE, OFFLINE),
        repeat(Disconnected, OFFLINE),
    ),
    evolve={
        Connected: lambda _, event: {"protocol": event.protocol, "since": event.wall_at},
        Disconnected: lambda _, event: {"protocol": None, "since": event.wall_at},
    },
)

CHARGE_EVENTS = (ChargeOpened, ChargeJudged, ChargeClosed, StopKept, StopResolved, TransactionHeard)
EVENTS: dict[str, type[Event]] = {
    cls.__name__: cls for cls in (Booted, Connected, Disconnected, StatusReported, *CHARGE_EVENTS, *reservation.EVENTS)
}
"""Everything that stands in a station's stream."""


def apply(data: Station, event: Event) -> Station:
    """The station after this event; pure, for live turns and for the replay of its journal alike."""
    match event:
        case Booted():
            return msgspec.structs.replace(data, registration=REGISTRATION.step(data.registration, event).data)
        case Connected() | Disconnected():
            return msgspec.structs.replace(data, connection=CONNECTION.step(data.connection, event).data)
        case StatusReported():
            return _shown(data, event)
        case ChargeOpened(start=start):
            waiting = {name: each for name, each in data.sessions.items() if name != event.reference}
            kept = reservation.used(data.reservations, start, event.wall_at)
            charges = _opened(data.charges, event)
            return msgspec.structs.replace(data, charges=charges, sessions=waiting, reservations=kept)
        case TransactionHeard(event=said):
            sessions = {**data.sessions, said.reference: heard(data.sessions.get(said.reference), said)}
            return msgspec.structs.replace(data, sessions=dict(list(sessions.items())[-SESSIONS_KEPT.limit :]))
        case ChargeJudged():
            return msgspec.structs.replace(data, charges=_amended(data.charges, event))
        case ChargeClosed(stop=stop):
            stops = tuple(each for each in data.stops if each != stop)
            return msgspec.structs.replace(data, charges=_amended(data.charges, event), stops=stops)
        case StopKept(stop=stop) | StopResolved(stop=stop):
            others = tuple(each for each in data.stops if each != stop)
            stops = (*data.stops, stop)[-STOPS_KEPT.limit :] if isinstance(event, StopKept) else others
            return msgspec.structs.replace(data, stops=stops)
        case ReservationAsked() | ReservationTold() | ReservationEnded():
            return msgspec.structs.replace(data, reservations=reservation.step(data.reservations, event))
    raise TypeError(f"no station event: {type(event).__name__}")


def _shown(data: Station, event: StatusReported) -> Station:
    """A connector that comes to show that it is kept for nobody: whatever was reserved there is over.

    OCPP 1.6 section 5.13: so it is when a reservation lapses, and when the connector fails or is taken out of service.
    """
    before, kept = data.evse(event.connector_id), data.reservations
    if event.status in evse.KEPT_FOR_NOBODY and before.state not in (event.status, evse.UNKNOWN):
        kept = reservation.without(kept, reservation.at_connector(kept, event.connector_id))
    evses = {**data.evses, event.connector_id: evse.step(before, event)}
    return msgspec.structs.replace(data, evses=evses, reservations=kept)


def _opened(charges: dict[int, StationCharge], event: ChargeOpened) -> dict[int, StationCharge]:
    entry = StationCharge(
        number=event.number,
        transaction=event.transaction,
        start=event.start,
        reference=event.reference,
        stop_first=event.stop,
    )
    return _trimmed({**charges, event.number: entry})


def _amended(charges: dict[int, StationCharge], event: ChargeJudged | ChargeClosed) -> dict[int, StationCharge]:
    entry = charges.get(event.number)
    if entry is None:
        return charges
    if isinstance(event, ChargeClosed):
        return {**charges, event.number: msgspec.structs.replace(entry, open=False, stop=event.stop)}
    judged = msgspec.structs.replace(entry, transaction=event.transaction, id_tag_info=event.id_tag_info)
    return {**charges, event.number: judged}


def _trimmed(charges: dict[int, StationCharge]) -> dict[int, StationCharge]:
    closed = [number for number, charge in charges.items() if not charge.open]
    dropped = set(closed[: max(0, len(closed) - CHARGES_KEPT.limit)])
    return {number: charge for number, charge in charges.items() if number not in dropped}


def region_state(data: Station, event: Event) -> str:
    """The state of the part of the station that this event speaks of, for the journal's from and to."""
    match event:
        case Booted():
            return data.registration.state
        case Connected() | Disconnected():
            return data.connection.state
        case StatusReported():
            return data.evse(event.connector_id).state
        case ChargeOpened() | ChargeJudged() | ChargeClosed():
            entry = data.charges.get(event.number)
            return "None" if entry is None else "Open" if entry.open else "Closed"
        case ReservationAsked() | ReservationTold() | ReservationEnded():
            return data.reservations[event.number].state if event.number in data.reservations else reservation.S.NONE
        case TransactionHeard(event=said):
            return "Begun" if said.reference in data.sessions else "None"
    return ""
