"""Motown's Source API, `/rest/mobieurope/source/sv1`, as its apps and pages know it, behind a bearer token.

Requests may come as Motown's media type or as application/json; answers go as Motown's. Nothing waits here for a
station: start and stop answer once the request is written down, and `session` shows how it goes. `servicePms` names
the Destination; when it is absent, `pmsIdentifier` does. New beside Motown: `getLocalServicesList` and
`getLocalServiceStatus`, whose names are those of the SOAP messages.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from quart import Blueprint
from quart_trio.wrappers import TrioResponse as Response

from protocols.rest.auth import BearerAuth, principal
from protocols.rest.bodies import JSON, Identifier, RadiusM, body, checked_location, converted, text_body
from protocols.rest.motown import answer_errors_as_motown, living, motown_answer, session_info
from protocols.rest.problems import Problem
from statecharts.ports import AppDoor, AuthorizationRequest, TransactionView
from statecharts.vocabulary import LocalService, ServiceType

PREFIX = "/rest/mobieurope/source/sv1"
MEDIA_TYPE = "application/vnd.io.motown.mobi-europe-source-api-v1+json"
ACCEPTED = (MEDIA_TYPE, JSON)

Optional = Annotated[str, Meta(max_length=64, pattern=r"\A[^\x00-\x1f\x7f]*\Z")] | None
"""An identifier that may be left out; Motown's pages send "" for it."""


class Motown(msgspec.Struct, rename="camel"):
    """Base of the requests. Fields that we do not know are ignored, as Motown did."""


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
    latitude: Decimal
    longitude: Decimal


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


def sv1_blueprint(apps: AppDoor, auth: BearerAuth, pms_identifier: str) -> Blueprint:
    """The Source API of the operator `pms_identifier`."""
    blueprint = Blueprint("sv1", __name__, url_prefix=PREFIX)
    blueprint.before_request(auth.app)
    answer_errors_as_motown(blueprint, MEDIA_TYPE)
    _add_transactions(blueprint, apps, pms_identifier)
    _add_local_services(blueprint, apps)
    return blueprint


def _add_transactions(blueprint: Blueprint, apps: AppDoor, pms_identifier: str) -> None:
    def shown(view: TransactionView) -> dict[str, Any]:
        return session_info(living(view), pms_identifier=pms_identifier, service_pms=view.pms_identifier)

    @blueprint.post("/authorize")
    async def authorize() -> Response:
        view = await apps.authorize(principal(), _authorization(await body(SourceAuthorize, ACCEPTED)))
        response = {"authorizationIdentifier": view.authorization_identifier}
        return _answer({"response": response, "sessionInfo": shown(view)})

    @blueprint.post("/requestStartTransaction")
    async def request_start_transaction() -> Response:
        return _answer(_requested(view := await apps.start(principal(), await transaction_id(), None), shown(view)))

    @blueprint.post("/requestStopTransaction")
    async def request_stop_transaction() -> Response:
        return _answer(_requested(view := await apps.stop(principal(), await transaction_id(), None), shown(view)))

    @blueprint.post("/session")
    async def session() -> Response:
        authorization_identifier = converted((await text_body()).strip(), Identifier)
        return _answer(shown(await apps.by_authorization(principal(), authorization_identifier)))

    async def transaction_id() -> str:
        asked = await body(SourceRequest, ACCEPTED)
        return (await apps.by_authorization(principal(), asked.authorization_identifier)).transaction_id


def _add_local_services(blueprint: Blueprint, apps: AppDoor) -> None:
    @blueprint.post("/getLocalServicesList")
    async def get_local_services_list() -> Response:
        asked = await body(SourceLocalServicesList, ACCEPTED)
        destination = asked.service_pms or asked.pms_identifier
        found = await apps.local_services(
            principal(),
            location=checked_location(asked.location.latitude, asked.location.longitude),
            radius_m=asked.search_radius,
            service_types=asked.service_types_list or (),
            destinations=(destination,) if destination else (),
        )
        services = [_local_service(service) for service in found.local_services]
        return _answer({"response": {"localServices": services, "unanswered": found.unanswered}})

    @blueprint.post("/getLocalServiceStatus")
    async def get_local_service_status() -> Response:
        asked = await body(SourceLocalServiceStatus, ACCEPTED)
        found = await apps.local_service(principal(), _destination(asked), asked.local_service_identifier)
        return _answer({"response": {"localService": _local_service(found)}})


def _authorization(asked: SourceAuthorize) -> AuthorizationRequest:
    return AuthorizationRequest(
        user_identifier=asked.user_identifier,
        destination=_destination(asked),
        local_service_identifier=asked.local_service_identifier,
        connector_identifier=asked.connector_identifier or None,
        service_type=asked.service_type_identifier or ServiceType.EV_CHARGING,
    )


def _destination(asked: SourceAuthorize | SourceLocalServiceStatus) -> str:
    destination = asked.service_pms or asked.pms_identifier
    if not destination:
        raise Problem(400, "invalid-request", "The request does not fit: `servicePms`: is missing.")
    return destination


def _requested(view: TransactionView, session: dict[str, Any]) -> dict[str, Any]:
    response = {
        "authorizationIdentifier": view.authorization_identifier,
        "requestIdentifier": view.request_identifier,
    }
    return {"response": response, "sessionInfo": session}


def _local_service(service: LocalService) -> dict[str, Any]:
    shown = {
        "servicePms": service.pms_identifier,
        "localServiceIdentifier": service.local_service_identifier,
        "localServiceStatus": service.status,
        "serviceTypesList": service.service_types,
        "location": {"latitude": str(service.location.latitude), "longitude": str(service.location.longitude)},
        "distance": service.distance_m,
    }
    return {name: value for name, value in shown.items() if value is not None}


def _answer(content: dict[str, Any]) -> Response:
    return motown_answer(content, MEDIA_TYPE)
