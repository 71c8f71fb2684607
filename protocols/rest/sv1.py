"""Motown's Source API, `/rest/mobieurope/source/sv1`, as its apps and pages know it, behind a bearer token.

Requests may come as Motown's media type or as application/json; answers go as Motown's. Nothing waits here for a
station: start and stop answer once the request is written down, and `session` shows how it goes. `servicePms` names
the Destination; when it is absent, `pmsIdentifier` does. New beside Motown: `getLocalServicesList` and
`getLocalServiceStatus`, whose names are those of the SOAP messages.
"""

from __future__ import annotations

from quart_trio.wrappers import TrioResponse as Response

from protocols.rest.auth import BearerAuth, principal
from protocols.rest.bodies import JSON, TEXT, Identifier, checked_location
from protocols.rest.motown import (
    MotownAnswer,
    SessionInfo,
    answer_errors_as_motown,
    living,
    motown_answer,
    session_info,
)
from protocols.rest.problems import Problem
from protocols.rest.routes import Access, Errors, Routes
from protocols.rest.sv1_messages import (
    Authorized,
    Requested,
    ServiceFound,
    ServiceInfo,
    ServicePlace,
    ServicesFound,
    SourceAuthorize,
    SourceAuthorizeAnswer,
    SourceLocalServiceAnswer,
    SourceLocalServicesAnswer,
    SourceLocalServicesList,
    SourceLocalServiceStatus,
    SourceRequest,
    SourceRequestAnswer,
    naming_a_destination,
)
from statecharts.doors import AppDoor
from statecharts.ports import AuthorizationRequest, TransactionView
from statecharts.vocabulary import LocalService, ServiceType

PREFIX = "/rest/mobieurope/source/sv1"
MEDIA_TYPE = "application/vnd.io.motown.mobi-europe-source-api-v1+json"
ACCEPTED = (MEDIA_TYPE, JSON)


def sv1_routes(apps: AppDoor, auth: BearerAuth, pms_identifier: str) -> Routes:
    """The Source API of the operator `pms_identifier`."""
    routes = Routes(
        name="sv1",
        prefix=PREFIX,
        auth=auth,
        access=Access.APP,
        errors=Errors.MOTOWN,
        media_type=MEDIA_TYPE,
        accepts=ACCEPTED,
    )
    answer_errors_as_motown(routes.blueprint, MEDIA_TYPE)
    _add_transactions(routes, apps, pms_identifier)
    _add_local_services(routes, apps)
    return routes


def _add_transactions(routes: Routes, apps: AppDoor, pms_identifier: str) -> None:
    def shown(view: TransactionView) -> SessionInfo:
        return session_info(living(view), pms_identifier=pms_identifier, service_pms=view.pms_identifier)

    def requested(view: TransactionView) -> Response:
        names = Requested(
            authorization_identifier=view.authorization_identifier, request_identifier=view.request_identifier
        )
        return _answer(SourceRequestAnswer(response=names, session_info=shown(view)))

    async def transaction_id(asked: SourceRequest) -> str:
        return (await apps.by_authorization(principal(), asked.authorization_identifier)).transaction_id

    @routes.post("/authorize", SourceAuthorizeAnswer, reads=naming_a_destination(SourceAuthorize))
    async def authorize(asked: SourceAuthorize) -> Response:
        """Asks the operator of a station for a charge."""
        view = await apps.authorize(principal(), _authorization(asked))
        named = Authorized(authorization_identifier=view.authorization_identifier)
        return _answer(SourceAuthorizeAnswer(response=named, session_info=shown(view)))

    @routes.post("/requestStartTransaction", SourceRequestAnswer, reads=SourceRequest)
    async def request_start_transaction(asked: SourceRequest) -> Response:
        """Starts the charge: answers once that is written down."""
        return requested(await apps.start(principal(), await transaction_id(asked), None))

    @routes.post("/requestStopTransaction", SourceRequestAnswer, reads=SourceRequest)
    async def request_stop_transaction(asked: SourceRequest) -> Response:
        """Stops the charge: answers once that is written down."""
        return requested(await apps.stop(principal(), await transaction_id(asked), None))

    @routes.post("/session", SessionInfo, reads=Identifier, accepts=(TEXT,))
    async def session(authorization_identifier: str) -> Response:
        """Shows a session; the body is its authorizationIdentifier, as text."""
        return _answer(shown(await apps.by_authorization(principal(), authorization_identifier)))


def _add_local_services(routes: Routes, apps: AppDoor) -> None:
    @routes.post("/getLocalServicesList", SourceLocalServicesAnswer, reads=SourceLocalServicesList)
    async def get_local_services_list(asked: SourceLocalServicesList) -> Response:
        """Finds local services around a place, nearest first."""
        destination = asked.service_pms or asked.pms_identifier
        found = await apps.local_services(
            principal(),
            location=checked_location(asked.location.latitude, asked.location.longitude),
            radius_m=asked.search_radius,
            service_types=asked.service_types_list or (),
            destinations=(destination,) if destination else (),
        )
        services = tuple(_local_service(service) for service in found.local_services)
        return _answer(
            SourceLocalServicesAnswer(response=ServicesFound(local_services=services, unanswered=found.unanswered))
        )

    @routes.post(
        "/getLocalServiceStatus", SourceLocalServiceAnswer, reads=naming_a_destination(SourceLocalServiceStatus)
    )
    async def get_local_service_status(asked: SourceLocalServiceStatus) -> Response:
        """Shows a local service as its operator does now."""
        found = await apps.local_service(principal(), _destination(asked), asked.local_service_identifier)
        return _answer(SourceLocalServiceAnswer(response=ServiceFound(local_service=_local_service(found))))


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


def _local_service(service: LocalService) -> ServiceInfo:
    place = ServicePlace(latitude=str(service.location.latitude), longitude=str(service.location.longitude))
    return ServiceInfo(
        service_pms=service.pms_identifier,
        local_service_identifier=service.local_service_identifier,
        local_service_status=service.status,
        service_types_list=service.service_types,
        location=place,
        distance=service.distance_m,
    )


def _answer(content: MotownAnswer) -> Response:
    return motown_answer(content, MEDIA_TYPE)
