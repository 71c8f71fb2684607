"""What the actor of a station understands, beside `Look`, and how it shows itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from statecharts.ports import StationConnection
from statecharts.reservation import Reservation
from statecharts.station import Station
from statecharts.station_commands import CallOutcome
from statecharts.station_reports import MeterValues, RegistrationStatus, StationReport


@dataclass(frozen=True, slots=True)
class Online:
    connection: StationConnection


@dataclass(frozen=True, slots=True)
class Gone:
    connection: StationConnection


@dataclass(frozen=True, slots=True)
class Report:
    connection: StationConnection
    report: StationReport


@dataclass(frozen=True, slots=True)
class Hold:
    """A start wants a connector (None: any free one) until it is released. Answered with the connector's number.

    `at` is when the start was asked for: what the station did before, and reports late, is none of its concern.
    `group` is the idTag's own: what is reserved for that is free for it.
    """

    transaction: str
    connector_id: int | None
    id_tag: str
    at: datetime
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Release:
    """A transaction needs its connector no longer: its start is over, or its charge."""

    transaction: str


@dataclass(frozen=True, slots=True)
class Review:
    """Something was decided on this station, or a charge of one that is to go has ended: see what follows from it.

    With `new_credentials` a connection goes that they would not let in.
    """

    new_credentials: bool = False


@dataclass(frozen=True, slots=True)
class LookAfter:
    """Charges that nothing was heard of for long go on, if the station is there and shows them as going on."""


@dataclass(frozen=True, slots=True)
class StatusTold:
    """What the station says of the charge of this number, asked whether it goes on (OCPP 2.x)."""

    number: int
    outcome: CallOutcome


@dataclass(frozen=True, slots=True)
class CatchUp:
    """A transaction was rebuilt whose charge goes on: if it has ended meanwhile, it could not be told of it.

    One that `was_put_aside` could not be told what was metered either.
    """

    transaction: str
    was_put_aside: bool = False


@dataclass(frozen=True, slots=True)
class StationLook:
    """A station as others see it. `connectors` are all it should have; `free` those where anybody may start.

    `kept` are those that are in no use, but reserved, each with what it is kept by. `may_charge` is what the operator
    says: whether anything may begin there at all.
    """

    data: Station
    online: bool
    connectors: tuple[int, ...]
    free: tuple[int, ...]
    kept: Mapping[int, Reservation]
    last_seen_at: datetime | None
    may_charge: bool

    @property
    def in_service(self) -> bool:
        return self.online and self.may_charge and self.data.registration.state == RegistrationStatus.ACCEPTED


@dataclass(frozen=True, slots=True)
class Keep:
    """Meter values that their transaction, which is broken, has not taken: the operator is to find them."""

    values: MeterValues
