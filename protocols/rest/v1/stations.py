"""Our stations, for operators: which there are, all of one, and what is decided on them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, TypeVar
from urllib.parse import quote

import msgspec
from msgspec import UNSET, Meta, UnsetType
from quart_trio.wrappers import TrioResponse as Response

from protocols.rest.auth import principal
from protocols.rest.bodies import Cursor, Latitude, Limit, Longitude, answer, checked_location, page_answer
from protocols.rest.problems import FieldError, Problem
from protocols.rest.routes import Routes
from statecharts import station_details
from statecharts.doors import OperatorDoor
from statecharts.fleet_door import (
    Acceptance,
    NewCredentials,
    NewStation,
    StationChanges,
    StationFilter,
    StationSheet,
    StationShown,
    StationView,
)
from statecharts.ports import Page
from statecharts.station_details import StationDetails
from statecharts.vocabulary import Location

T = TypeVar("T")

STATION = "/stations/<identifier:identity>"

OF_THE_ENTRY = ("connectors", "location", "connection_timeout_s", "ocpp_version")
"""What the configuration says of the stations that are in it."""

Word = Annotated[str, Meta(min_length=1, max_length=50)]
Name = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"\A[^\x00-\x1f\x7f]+\Z")]
Identity = Annotated[str, Meta(min_length=1, max_length=48, pattern=r"\A(?!\.+\Z)[^\s/\\:\x00-\x1f\x7f]+\Z")]
Password = Annotated[str, Meta(min_length=16, max_length=64, pattern=r"\A[\x21-\x7e]+\Z")]
"""OCPP 1.6 has keys of 16 to 20 bytes, written as 32 to 40 hex digits; OCPP 2.0.1 passwords of 16 to 40 characters,
2.1 of up to 64."""

Connectors = Annotated[int, Meta(ge=1, le=255)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]
Reason = Annotated[str, Meta(min_length=1, max_length=500)]
TimeOfDay = Annotated[str, Meta(pattern=r"\A(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)\Z")]
"""By the clock on the wall of the station; 24:00 is the end of the day."""

Moment = Annotated[datetime, Meta(tz=True)]


class StationsQuery(msgspec.Struct, forbid_unknown_fields=True):
    """In one state, of one vendor and model, with this text in the identity."""

    cursor: Cursor | None = None
    limit: Limit = 50
    standing: Literal["Pending", "Accepted", "Rejected", "Retired"] | None = None
    registration: Literal["Unknown", "Pending", "Accepted", "Rejected"] | None = None
    online: bool | None = None
    vendor: Word | None = None
    model: Word | None = None
    text: Annotated[str, Meta(min_length=1, max_length=48)] | None = None


# -- what is told of a station -----------------------------------------------------------------------------------------


class Told(msgspec.Struct, forbid_unknown_fields=True):
    """Base of what is told; the class is named after what it becomes."""

    def become(self, type_: type[T]) -> T:
        return msgspec.convert(msgspec.to_builtins(self), type=type_)


class PlaceTold(Told):
    """Decimal degrees, WGS 84."""

    latitude: Latitude
    longitude: Longitude


class WeeklyHours(Told):
    """Open on this day (1 is Monday) from `opens` to `closes`; past midnight it is another day's."""

    weekday: Annotated[int, Meta(ge=1, le=7)]
    opens: TimeOfDay
    closes: TimeOfDay


class ExceptionalHours(Told):
    """Open, or closed, between two moments, whatever the week says."""

    begins: Moment
    ends: Moment
    is_open: bool
    why: Name | None = None


class Hours(Told):
    around_the_clock: bool = False
    weekly: Annotated[tuple[WeeklyHours, ...], Meta(max_length=50)] = ()
    exceptions: Annotated[tuple[ExceptionalHours, ...], Meta(max_length=100)] = ()


class PlugTold(Told):
    type: station_details.ConnectorType
    format: Literal["SOCKET", "CABLE"]
    max_power_w: Annotated[int, Meta(ge=1, le=10_000_000)] | None = None


class EvseTold(Told):
    """What is known of the connector (OCPP 2.x: the EVSE) with this number."""

    connector: Connectors
    label: Name | None = None
    plugs: Annotated[tuple[PlugTold, ...], Meta(max_length=16)] = ()


Note = Annotated[str, Meta(min_length=1, max_length=2_000)]
Evses = Annotated[tuple[EvseTold, ...], Meta(max_length=255)]


class DetailsTold(Told):
    """What drivers want to know."""

    name: Name | None = None
    address: Name | None = None
    opening_hours: Hours | None = None
    price_note: Note | None = None
    evses: Evses = ()


class Registration(msgspec.Struct, forbid_unknown_fields=True):
    """A station to be; without a `password` one is made where its security profile asks for one."""

    identity: Identity
    connectors: Connectors
    location: PlaceTold
    password: Password | None = None
    security_profile: Annotated[int, Meta(ge=0, le=3)] | None = None
    certificate_name: Name | None = None
    certificate_issuer: Name | None = None
    connection_timeout_s: Seconds = 120
    ocpp_version: Literal["1.6", "2.0.1", "2.1"] | None = None
    details: DetailsTold = msgspec.field(default_factory=DetailsTold)


class AcceptanceTold(msgspec.Struct, forbid_unknown_fields=True):
    """What is not known yet of a station that came by itself."""

    connectors: Connectors | None = None
    location: PlaceTold | None = None


class StationPatch(msgspec.Struct, forbid_unknown_fields=True):
    """What is to be otherwise: what is absent stays, null takes away what was told. Lists are replaced whole."""

    name: Name | UnsetType | None = UNSET
    address: Name | UnsetType | None = UNSET
    opening_hours: Hours | UnsetType | None = UNSET
    price_note: Note | UnsetType | None = UNSET
    evses: Evses | UnsetType = UNSET
    connectors: Connectors | UnsetType = UNSET
    location: PlaceTold | UnsetType = UNSET
    connection_timeout_s: Seconds | UnsetType = UNSET
    ocpp_version: Literal["1.6", "2.0.1", "2.1"] | UnsetType | None = UNSET


class CredentialsTold(msgspec.Struct, forbid_unknown_fields=True):
    """What the station has to show from now on; an empty body makes a new password.

    With `over_ocpp` the station itself is told its new key. `as_in_file` drops a key that was changed so.
    """

    password: Password | None = None
    security_profile: Annotated[int, Meta(ge=0, le=3)] | None = None
    certificate_name: Name | None = None
    certificate_issuer: Name | None = None
    over_ocpp: bool = False
    as_in_file: bool = False


class Rejection(msgspec.Struct, forbid_unknown_fields=True):
    """Why a station is not wanted."""

    reason: Reason


class Retirement(msgspec.Struct, forbid_unknown_fields=True):
    """Why a station is gone."""

    reason: Reason


def add_stations(routes: Routes, operators: OperatorDoor) -> None:
    """The routes of the fleet, among those of operators."""
    _add_looks(routes, operators)
    _add_registration(routes, operators)
    _add_decisions(routes, operators)
    _add_changes(routes, operators)


def _add_looks(routes: Routes, operators: OperatorDoor) -> None:
    @routes.get(
        "/stations", Page[StationView], query=StationsQuery, answer_headers=("Link",), refuses=("cursor-unknown",)
    )
    async def stations(asked: StationsQuery) -> Response:
        """Lists our stations by their identity, whatever was decided on them."""
        wanted = StationFilter(
            standing=asked.standing,
            registration=asked.registration,
            online=asked.online,
            vendor=asked.vendor,
            model=asked.model,
            text=asked.text,
        )
        return page_answer(await operators.stations(wanted, cursor=asked.cursor, limit=asked.limit))

    @routes.get(STATION, StationSheet, refuses=("unknown-station",))
    async def station(identity: str) -> Response:
        """Shows everything that is known of a station."""
        return answer(await operators.station(identity))


def _add_registration(routes: Routes, operators: OperatorDoor) -> None:
    @routes.post(
        "/stations",
        {201: StationShown},
        admins_only=True,
        reads=Registration,
        refuses=(
            "contradictory-details",
            "invalid-identity",
            "already-registered",
            "name-taken",
            "profile-not-had",
            "too-many-stations",
        ),
        example={
            "identity": "NL-MOT-CS77",
            "connectors": 2,
            "location": {"latitude": 52.3702, "longitude": 4.8952},
        },
    )
    async def register(asked: Registration) -> Response:
        """Makes a station known and accepted. A password that we make is shown in this answer, and never again."""
        new = NewStation(
            identity=asked.identity,
            connectors=asked.connectors,
            location=_location(asked.location),
            password=asked.password,
            security_profile=asked.security_profile,
            certificate_name=asked.certificate_name,
            certificate_issuer=asked.certificate_issuer,
            connection_timeout_s=asked.connection_timeout_s,
            ocpp_version=asked.ocpp_version,
            details=checked_details(asked.details),
        )
        shown = await operators.register_station(new, principal().name)
        return answer(shown, 201, location=f"{routes.prefix}/stations/{quote(asked.identity, safe='')}")


def _add_decisions(routes: Routes, operators: OperatorDoor) -> None:
    @routes.post(
        f"{STATION}/accept",
        StationSheet,
        admins_only=True,
        reads=AcceptanceTold,
        refuses=("unknown-station", "fixed-by-file", "station-incomplete"),
        example={},
    )
    async def accept(asked: AcceptanceTold, identity: str) -> Response:
        """Takes a station into service; it is asked to boot again, or hears it when it next does."""
        acceptance = Acceptance(
            connectors=asked.connectors, location=_location(asked.location) if asked.location else None
        )
        return answer(await operators.accept_station(identity, acceptance, principal().name))

    @routes.post(
        f"{STATION}/reject",
        StationSheet,
        admins_only=True,
        reads=Rejection,
        refuses=("unknown-station", "wrong-state"),
        example={"reason": "not one of ours"},
    )
    async def reject(asked: Rejection, identity: str) -> Response:
        """Keeps a station out of service: it is answered Rejected, and nothing begins there."""
        return answer(await operators.reject_station(identity, asked.reason, principal().name))

    @routes.post(
        f"{STATION}/retire",
        StationSheet,
        admins_only=True,
        reads=Retirement,
        refuses=("unknown-station",),
        example={"reason": "taken down"},
    )
    async def retire(asked: Retirement, identity: str) -> Response:
        """Ends a station: nothing begins there, charges under way end, its connection closes; its history stays."""
        return answer(await operators.retire_station(identity, asked.reason, principal().name))


def _add_changes(routes: Routes, operators: OperatorDoor) -> None:
    @routes.patch(
        STATION,
        StationSheet,
        reads=StationPatch,
        refuses=("unknown-station", "fixed-by-file", "connector-busy", "contradictory-details"),
        example={"price_note": "0.39 EUR/kWh", "opening_hours": {"around_the_clock": True}},
    )
    async def change(asked: StationPatch, identity: str) -> Response:
        """Changes what is told of a station; of one that is not in the configuration also what it is."""
        return answer(await operators.change_station(identity, _changes(asked), principal().name))

    @routes.post(
        f"{STATION}/credentials",
        StationShown,
        admins_only=True,
        reads=CredentialsTold,
        refuses=("unknown-station", "fixed-by-file", "profile-not-had", "station-unavailable", "key-change-under-way",
                 "key-refused", "key-unfit"),
    )  # fmt: skip
    async def credentials(asked: CredentialsTold, identity: str) -> Response:
        """Sets what a station has to show. A password that we make is shown in this answer, and never again."""
        new = NewCredentials(**msgspec.structs.asdict(asked))
        return answer(await operators.set_credentials(identity, new, principal().name))


def _changes(asked: StationPatch) -> StationChanges:
    told = {name: value for name, value in msgspec.structs.asdict(asked).items() if value is not UNSET}
    own = {name: told.pop(name) for name in OF_THE_ENTRY if name in told}
    if "location" in own:
        own["location"] = _location(own["location"])
    checked = checked_details(DetailsTold(**told), "")
    return StationChanges(details={name: getattr(checked, name) for name in told}, own=own)


def checked_details(told: DetailsTold, where: str = "details.") -> StationDetails:
    """What was told, if its parts can all be true. Raises `Problem` (400), naming the field that says otherwise."""
    details = told.become(StationDetails)
    hours = details.opening_hours
    for name in ("weekly", "exceptions") if hours else ():
        for number, period in enumerate(getattr(hours, name)):
            if not period.is_sound:
                raise contradiction(f"{where}opening_hours.{name}[{number}]", "ends before it begins")
    if hours and hours.around_the_clock and hours.weekly:
        raise contradiction(f"{where}opening_hours.weekly", "cannot stand beside around_the_clock")
    numbers = [each.connector for each in details.evses]
    if len(set(numbers)) < len(numbers):
        raise contradiction(f"{where}evses", "names a connector twice")
    return details


def contradiction(field: str, reason: str) -> Problem:
    """What is said of this field cannot be true beside the others."""
    found = FieldError(field=field, reason=reason)
    return Problem(400, "contradictory-details", f"This cannot all be true: `{field}` {reason}.", errors=(found,))


def _location(place: PlaceTold) -> Location:
    return checked_location(place.latitude, place.longitude)
