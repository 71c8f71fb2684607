"""A charging station as its central system knows it: two charts side by side, its connectors, and its book of charges.

Registration (has it booted, was it taken) and connection (is it there now) are independent: a reconnect is no boot, and
a station that booted once may be away. The book says which OCPP transactionId stands for which transaction of ours, so
that a repeated StartTransaction gets the same number and no report is ever attributed to another station.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from statecharts import evse
from statecharts.chart import Chart, State, move, repeat
from statecharts.events import Event, Fact
from statecharts.evse import Evse, StatusReported
from statecharts.station_vocabulary import (
    BootNotification,
    IdTagInfo,
    RegistrationStatus,
    StartTransaction,
    StopTransaction,
)
from statecharts.vocabulary import Value

UNKNOWN, OFFLINE, ONLINE = "Unknown", "Offline", "Online"
CREDIBLE_SINCE = datetime(2020, 1, 1, tzinfo=UTC)
CLOSED_CHARGES_KEPT = 50
"""Ended charges of a station that its book keeps at hand; older ones are looked up by their alias."""


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
    """A StartTransaction got its number; `transaction` is the stream that it was handed to."""

    number: int
    transaction: str
    start: StartTransaction


class ChargeJudged(Fact, frozen=True, kw_only=True):
    """What the station is told of the idTag; `transaction` is whose charge it turned out to be."""

    number: int
    transaction: str
    id_tag_info: IdTagInfo


class ChargeClosed(Fact, frozen=True, kw_only=True):
    """A StopTransaction, or the end of a charge that nobody stopped (`stop` absent)."""

    number: int
    stop: StopTransaction | None = None


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
    """One entry of the book."""

    number: int
    transaction: str
    start: StartTransaction
    id_tag_info: IdTagInfo | None = None
    open: bool = True


class Station(Value, frozen=True, kw_only=True):
    """Everything the journal says of a station."""

    registration: Registration = Registration()
    connection: Connection = Connection()
    evses: dict[int, Evse] = msgspec.field(default_factory=dict)
    charges: dict[int, StationCharge] = msgspec.field(default_factory=dict)

    def open_on(self, connector_id: int) -> StationCharge | None:
        """The charge that goes on at this connector."""
        return next((c for c in self.charges.values() if c.open and c.start.connector_id == connector_id), None)

    def same_start(self, start: StartTransaction, now: datetime) -> StationCharge | None:
        """The charge that this StartTransaction repeats.

        Equal connector, idTag, timestamp and meterStart are a retry while the first is open; after its end only if the
        timestamp is credible: a station whose clock is stuck in 1970 starts with equal content again and again.
        """
        credible = CREDIBLE_SINCE <= start.timestamp <= now
        matches = [c for c in self.charges.values() if start_key(c.start) == start_key(start) and (c.open or credible)]
        return matches[-1] if matches else None

    def evse(self, connector_id: int) -> Evse:
        return self.evses.get(connector_id, Evse(connector_id=connector_id))


def start_key(start: StartTransaction) -> tuple[int, str, datetime, int]:
    """What makes two StartTransactions of a station the same: never the message id (OCPP retries carry new ones)."""
    return (start.connector_id, start.id_tag.casefold(), start.timestamp, start.meter_start_wh)


# -- the two charts ----------------------------------------------------------------------------------------------------


def _is(status: RegistrationStatus) -> Any:
    return lambda _, event: event.status is status


def _booted(_: Registration, event: Booted) -> dict[str, Any]:
    return {"boot": event.boot, "since": event.at}


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
        Connected: lambda _, event: {"protocol": event.protocol, "since": event.at},
        Disconnected: lambda _, event: {"protocol": None, "since": event.at},
    },
)

EVENTS: dict[str, type[Event]] = {
    cls.__name__: cls
    for cls in (Booted, Connected, Disconnected, StatusReported, ChargeOpened, ChargeJudged, ChargeClosed)
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
            reported = evse.step(data.evse(event.connector_id), event)
            return msgspec.structs.replace(data, evses={**data.evses, event.connector_id: reported})
        case ChargeOpened():
            entry = StationCharge(number=event.number, transaction=event.transaction, start=event.start)
            return msgspec.structs.replace(data, charges=_trimmed({**data.charges, event.number: entry}))
        case ChargeJudged() | ChargeClosed():
            return msgspec.structs.replace(data, charges=_amended(data.charges, event))
    raise TypeError(f"no station event: {type(event).__name__}")


def _amended(charges: dict[int, StationCharge], event: ChargeJudged | ChargeClosed) -> dict[int, StationCharge]:
    entry = charges.get(event.number)
    if entry is None:
        return charges
    if isinstance(event, ChargeClosed):
        return {**charges, event.number: msgspec.structs.replace(entry, open=False)}
    judged = msgspec.structs.replace(entry, transaction=event.transaction, id_tag_info=event.id_tag_info)
    return {**charges, event.number: judged}


def _trimmed(charges: dict[int, StationCharge]) -> dict[int, StationCharge]:
    closed = [number for number, charge in charges.items() if not charge.open]
    dropped = set(closed[: max(0, len(closed) - CLOSED_CHARGES_KEPT)])
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
    return ""
