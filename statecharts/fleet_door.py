"""What an operator may see and change of its stations: the door that the fleet is behind, and what it shows."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from statecharts.model_limits import ModelLimits
from statecharts.ports import Moment, Page
from statecharts.station_details import OpeningHours, Plug, StationDetails
from statecharts.vocabulary import Location, ServiceType, Value


class StationView(Value, frozen=True, kw_only=True):
    """A station in a list. `standing` is what the operator has decided, `registration` what the station was told.

    `origin` is file (of the configuration) or store (registered through the API, or come by itself).
    """

    identity: str
    origin: str
    standing: str
    registration: str
    online: bool
    connectors: dict[str, str]
    vendor: str | None = None
    model: str | None = None
    protocol: str | None = None
    last_seen_at: Moment | None = None
    flags: tuple[str, ...] = ()


class ChargeView(Value, frozen=True, kw_only=True):
    """A charge that goes on at a connector: the transaction, and its number at the station."""

    role: str
    transaction_id: str
    number: int
    id_tag: str
    start_timestamp: Moment


class ConnectorView(Value, frozen=True, kw_only=True):
    """A connector of OCPP 1.6, an EVSE of OCPP 2.x: what it shows, and what the operator has told of it."""

    connector: int
    state: str
    since: Moment | None = None
    error_code: str | None = None
    label: str | None = None
    plugs: tuple[Plug, ...] = ()
    plug_states: dict[str, str] = msgspec.field(default_factory=dict)
    charge: ChargeView | None = None


class BootView(Value, frozen=True, kw_only=True):
    """What the station said of itself when it last booted."""

    at: Moment | None
    vendor: str
    model: str
    serial_number: str | None = None
    firmware_version: str | None = None
    iccid: str | None = None
    imsi: str | None = None
    meter_type: str | None = None
    meter_serial_number: str | None = None
    reason: str | None = None


class StandingView(Value, frozen=True, kw_only=True):
    """What was decided on a station, since when, by whom and why."""

    state: str
    since: Moment | None = None
    by: str | None = None
    reason: str | None = None


class SecurityView(Value, frozen=True, kw_only=True):
    """What the station has to show; of a password no more than whether there is one, and from where.

    `key_state` says how it stands with a change over OCPP (Settled, Changing, Doubtful), `key_cause` what became of it.
    """

    security_profile: int
    has_password: bool
    password_from: str | None = None
    key_state: str | None = None
    key_cause: str | None = None
    certificate_name: str | None = None
    certificate_issuer: str | None = None


class ReservationView(Value, frozen=True, kw_only=True):
    """A connector (0: any) that is kept for an idTag, or its group, until it lapses. Asked: the station may have it."""

    reservation_id: int
    connector: int
    id_tag: str
    group: str | None = None
    expires_at: Moment
    state: str


class StationSheet(Value, frozen=True, kw_only=True):
    """Everything that is known of one station; `limits` are those of its model, as the configuration has them."""

    identity: str
    origin: str
    standing: StandingView
    registration: str
    online: bool
    online_since: Moment | None = None
    connectors: tuple[ConnectorView, ...]
    reservations: tuple[ReservationView, ...] = ()
    security: SecurityView
    connection_timeout_s: float
    service_types: tuple[ServiceType, ...]
    boot: BootView | None = None
    protocol: str | None = None
    ocpp_version: str | None = None
    last_seen_at: Moment | None = None
    location: Location | None = None
    name: str | None = None
    address: str | None = None
    opening_hours: OpeningHours | None = None
    price_note: str | None = None
    registered_at: Moment | None = None
    limits: ModelLimits = ModelLimits()
    flags: tuple[str, ...] = ()


class StationShown(Value, frozen=True, kw_only=True):
    """A station after its password was set: a password that we have made is shown here, once, and kept nowhere."""

    station: StationSheet
    password: str | None = None


class StationFilter(Value, frozen=True, kw_only=True):
    """Which stations a list has; None stands for any. `text` stands somewhere in the identity, whatever its case."""

    standing: str | None = None
    registration: str | None = None
    online: bool | None = None
    vendor: str | None = None
    model: str | None = None
    text: str | None = None


class NewStation(Value, frozen=True, kw_only=True):
    """A station to be registered. Without a `password` one is made, where its profile asks for one."""

    identity: str
    connectors: int
    location: Location
    password: str | None = None
    security_profile: int | None = None
    certificate_name: str | None = None
    certificate_issuer: str | None = None
    connection_timeout_s: float = 120
    ocpp_version: str | None = None
    service_types: tuple[ServiceType, ...] = (ServiceType.EV_CHARGING,)
    details: StationDetails = StationDetails()


class Acceptance(Value, frozen=True, kw_only=True):
    """What an operator says of a station that it accepts; of one that came by itself it is not known yet."""

    connectors: int | None = None
    location: Location | None = None


class StationChanges(Value, frozen=True, kw_only=True):
    """Fields by their names, with their new values: of what is told of a station, and of its entry in the store."""

    details: dict[str, Any] = msgspec.field(default_factory=dict)
    own: dict[str, Any] = msgspec.field(default_factory=dict)


class NewCredentials(Value, frozen=True, kw_only=True):
    """What a station shall have to show from now on; what is None stays. Nothing at all: a new password is made.

    `over_ocpp`: the station is told its new password, and has to take it. `as_in_file`: back to what the file says.
    """

    password: str | None = None
    security_profile: int | None = None
    certificate_name: str | None = None
    certificate_issuer: str | None = None
    over_ocpp: bool = False
    as_in_file: bool = False

    def shown_otherwise(self) -> tuple[tuple[str, Any], ...]:
        """What is no password, as `StationCredentials` calls it."""
        return (
            ("profile", self.security_profile),
            ("certificate_name", self.certificate_name),
            ("certificate_issuer", self.certificate_issuer),
        )

    @property
    def asks_for_a_password(self) -> bool:
        return all(value is None for _, value in self.shown_otherwise())


class FleetDoor(Protocol):
    """What an operator may ask of its fleet. Every method raises `Refused`; who asks is `by`."""

    async def stations(self, wanted: StationFilter, *, cursor: str | None, limit: int) -> Page[StationView]:
        """Stations by their identity."""

    async def station(self, identity: str) -> StationSheet: ...

    async def register_station(self, new: NewStation, by: str) -> StationShown:
        """Makes a station known and accepted. Refused (409) where there is one of that name."""

    async def accept_station(self, identity: str, acceptance: Acceptance, by: str) -> StationSheet:
        """Takes a station into service, and has it boot again to hear so, where it can."""

    async def reject_station(self, identity: str, reason: str, by: str) -> StationSheet: ...

    async def retire_station(self, identity: str, reason: str, by: str) -> StationSheet:
        """Ends what a station is for: nothing begins there any more, what goes on comes to its end."""

    async def change_station(self, identity: str, changes: StationChanges, by: str) -> StationSheet:
        """Refused (409) for what the configuration says, and for a connector less where a charge goes on."""

    async def set_credentials(self, identity: str, new: NewCredentials, by: str) -> StationShown:
        """A connection that the new ones would not let in is closed."""
