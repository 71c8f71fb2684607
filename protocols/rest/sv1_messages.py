"""The messages of Motown's Source API, as its apps write and read them."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from protocols.rest.bodies import Identifier, Latitude, Longitude, RadiusM
from protocols.rest.motown import MotownAnswer, SessionInfo
from statecharts.vocabulary import ServiceType

Optional = Annotated[str, Meta(max_length=64, pattern=r"\A[^\x00-\x1f\x7f]*\Z")] | None
"""An identifier that may be left out; Motown's pages send "" for it."""

# -- requests ----------------------------------------------------------------------------------------------------------


class Motown(msgspec.Struct, rename="camel"):
    """Base of the requests. Fields that we do not know are ignored, as Motown did."""


def naming_a_destination(type_: Any) -> Any:
    """The same type, described as one of whose two names for the Destination one at least is given."""
    named = [
        {"required": [name], "properties": {name: {"type": "string", "minLength": 1}}}
        for name in ("servicePms", "pmsIdentifier")
    ]
    return Annotated[type_, Meta(extra_json_schema={"anyOf": named})]


class SourceAuthorize(Motown):
    user_identifier: Identifier
    local_service_identifier: Identifier
    pms_identifier: Optional = None
    service_pms: Optional = None
    connector_identifier: Optional = None
    service_type_identifier: ServiceType | None = None


class SourceRequest(Motown):
    authorization_identifier: Identifier


class Place(Motown):
    latitude: Latitude
    longitude: Longitude


class SourceLocalServicesList(Motown):
    location: Place
    search_radius: RadiusM
    service_types_list: tuple[ServiceType, ...] | None = None
    pms_identifier: Optional = None
    service_pms: Optional = None


class SourceLocalServiceStatus(Motown):
    local_service_identifier: Identifier
    pms_identifier: Optional = None
    service_pms: Optional = None


# -- answers -----------------------------------------------------------------------------------------------------------


class Authorized(MotownAnswer, frozen=True, kw_only=True):
    authorization_identifier: str | None = None


class SourceAuthorizeAnswer(MotownAnswer, frozen=True, kw_only=True):
    response: Authorized
    session_info: SessionInfo


class Requested(MotownAnswer, frozen=True, kw_only=True):
    authorization_identifier: str | None = None
    request_identifier: str | None = None


class SourceRequestAnswer(MotownAnswer, frozen=True, kw_only=True):
    response: Requested
    session_info: SessionInfo


class ServicePlace(MotownAnswer, frozen=True, kw_only=True):
    """Decimal degrees as text, as in the SOAP messages."""

    latitude: str
    longitude: str


class ServiceInfo(MotownAnswer, frozen=True, kw_only=True):
    service_pms: str | None = None
    local_service_identifier: str
    local_service_status: str
    service_types_list: tuple[str, ...]
    location: ServicePlace
    distance: int | None = None


class ServicesFound(MotownAnswer, frozen=True, kw_only=True):
    local_services: tuple[ServiceInfo, ...]
    unanswered: dict[str, str]


class SourceLocalServicesAnswer(MotownAnswer, frozen=True, kw_only=True):
    response: ServicesFound


class ServiceFound(MotownAnswer, frozen=True, kw_only=True):
    local_service: ServiceInfo


class SourceLocalServiceAnswer(MotownAnswer, frozen=True, kw_only=True):
    response: ServiceFound
