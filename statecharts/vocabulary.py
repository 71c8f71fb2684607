"""The one language of the house: identifiers, values and messages that every floor understands.

Here: values, refusals, and the MOBI.Europe messages between operators; what a central system and its stations say to
each other is in `station_reports` and `station_commands`. All are frozen msgspec Structs: cheap, comparable, and
written to the journal as they are. Times are aware UTC datetimes, energy is integer watt-hours, distances are metres,
durations are seconds.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

import msgspec


class Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of everything that crosses a floor: immutable and compared by content."""


class Message(Value, frozen=True, kw_only=True, tag=True):
    """A value that is sent, and that says in its encoded form which kind it is."""


class Word(StrEnum):
    """Base of enumerations: a value is shown as one writes it, so that what a failing test prints can be run."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}.{self.name}"


# -- refusals ----------------------------------------------------------------------------------------------------------


class Refusal(Value, frozen=True, kw_only=True):
    """Why something asked for was not done. `code` is an HTTP status number, MOBI.Europe's errorCode at the same time.

    `kind` is a stable slug for programs ("connector-busy"), `message` a sentence for people.
    """

    code: int
    kind: str
    message: str


class Refused(Exception):
    """Raised to whoever asked for something that was refused; carries the `Refusal`."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"{refusal.code} {refusal.kind}: {refusal.message}")
        self.refusal = refusal


def refused(code: int, kind: str, message: str) -> Refused:
    """A `Refused` made of its three parts."""
    return Refused(Refusal(code=code, kind=kind, message=message))


# -- values ------------------------------------------------------------------------------------------------------------


class ServiceType(Word):
    EV_CHARGING = "EV_CHARGING"
    PARKING = "PARKING"


class ServiceStatus(Word):
    AVAILABLE = "AVAILABLE"
    IN_USE = "IN_USE"
    OUT_OF_SERVICE = "OUT_OF_SERVICE"
    UNKNOWN = "UNKNOWN"


class TransactionStatus(Word):
    ACTIVE = "ACTIVE"
    TERMINATED = "TERMINATED"


class EnergyUnit(Word):
    WH = "Wh"
    KWH = "kWh"


class Location(Value, frozen=True, kw_only=True):
    """A place in decimal degrees, WGS 84; written and read as text, never through float."""

    latitude: Decimal
    longitude: Decimal


class LocalService(Value, frozen=True, kw_only=True):
    """A charging station or a parking place as one operator shows it to another."""

    local_service_identifier: str
    status: ServiceStatus
    service_types: tuple[ServiceType, ...]
    location: Location
    distance_m: int | None = None
    pms_identifier: str | None = None


class TransactionData(Value, frozen=True, kw_only=True):
    """What MOBI.Europe says of a transaction: the content of progress updates and of the charge record (CDR)."""

    service_type: ServiceType = ServiceType.EV_CHARGING
    start_timestamp: datetime
    end_timestamp: datetime | None = None
    transaction_status: TransactionStatus
    energy_wh: int | None = None
    local_operator_identifier: str
    local_service_identifier: str
    home_operator_identifier: str
    user_identifier: str
    authorization_identifier: str


# -- MOBI.Europe, asked of a Destination -------------------------------------------------------------------------------


class Authorize(Message, frozen=True, kw_only=True):
    pms_identifier: str
    user_identifier: str
    service_type: ServiceType
    local_service_identifier: str
    connector_identifier: str | None = None


class RequestStartTransaction(Message, frozen=True, kw_only=True):
    request_identifier: str
    authorization_identifier: str


class RequestStopTransaction(Message, frozen=True, kw_only=True):
    request_identifier: str
    authorization_identifier: str


class GetLocalServiceStatus(Message, frozen=True, kw_only=True):
    local_service_identifier: str


class GetLocalServicesList(Message, frozen=True, kw_only=True):
    """All local services of a Destination within `search_radius_m` of `location`; no types means every type."""

    location: Location
    search_radius_m: int
    service_types: tuple[ServiceType, ...] = ()


# -- MOBI.Europe, told to a Source -------------------------------------------------------------------------------------


class NotifyRequestResult(Message, frozen=True, kw_only=True):
    request_identifier: str
    request_success: bool
    cause: str | None = None


class TransactionProgressUpdate(Message, frozen=True, kw_only=True):
    authorization_identifier: str
    start_transaction_timestamp: datetime
    transaction_data: TransactionData


class EndTransaction(Message, frozen=True, kw_only=True):
    authorization_identifier: str
    start_transaction_timestamp: datetime
    end_transaction_timestamp: datetime
    transaction_data: TransactionData


DestinationRequest = (
    Authorize | RequestStartTransaction | RequestStopTransaction | GetLocalServiceStatus | GetLocalServicesList
)
SourceRequest = NotifyRequestResult | TransactionProgressUpdate | EndTransaction
RoamingRequest = DestinationRequest | SourceRequest


class AuthorizeAnswer(Message, frozen=True, kw_only=True):
    authorization_identifier: str


class Acknowledgement(Message, frozen=True, kw_only=True):
    """Done, with nothing more to say."""


class LocalServiceAnswer(Message, frozen=True, kw_only=True):
    local_service: LocalService


class LocalServicesAnswer(Message, frozen=True, kw_only=True):
    local_services: tuple[LocalService, ...]


RoamingAnswer = AuthorizeAnswer | Acknowledgement | LocalServiceAnswer | LocalServicesAnswer


class Answered(Message, frozen=True, kw_only=True):
    """The peer did what it was asked: 200 with a schema-valid body and no ResponseError."""

    answer: RoamingAnswer


class Declined(Message, frozen=True, kw_only=True):
    """The peer said no for good: ResponseError 4xx, Fault Sender, HTTP 400, 404, 405, 413 or 415. Never sent again."""

    refusal: Refusal


class Unanswered(Message, frozen=True, kw_only=True):
    """Whether the peer did it is unknown: time-out, 5xx, garbage, 401 or 403. To be sent again where it may be.

    `alarm` is set when a person must act, as with credentials that the peer does not take (401, 403). `kind` says what
    went wrong, for programs: name-unknown, connection-refused, tls, no-connection (nothing was sent); broken, timeout,
    credentials, http, fault, error (a ResponseError), unanswered (what came is no answer).
    """

    cause: str
    alarm: bool = False
    kind: str = "unanswered"


PeerOutcome = Answered | Declined | Unanswered
