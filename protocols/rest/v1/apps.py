"""What user apps may do under `/api/v1`: authorise, start, stop, follow and list charges; find local services.

An app sees only the transactions of its own users; any other answers 404 as if it did not exist.
"""

from __future__ import annotations

from typing import Literal
from urllib.parse import quote

import msgspec
from quart_trio.wrappers import TrioResponse as Response

from protocols.rest.auth import BearerAuth, principal
from protocols.rest.bodies import (
    Cursor,
    Identifier,
    Latitude,
    Limit,
    Longitude,
    RadiusM,
    answer,
    checked_location,
    page_answer,
)
from protocols.rest.idempotency import IdempotencyKeys, idempotency_key
from protocols.rest.problems import Problem
from protocols.rest.routes import Access, Routes
from protocols.rest.v1.events import EVENT_STREAM, OF_ALL, OF_TRANSACTION, EventStreams
from statecharts.doors import AppDoor, CoursePoint, LocalServicesFound
from statecharts.ports import AuthorizationRequest, CdrView, OperationView, Page, TransactionView
from statecharts.vocabulary import LocalService, ServiceType

PREFIX = "/api/v1"

State = Literal[
    "Authorizing",
    "Refused",
    "Ready",
    "Expired",
    "StartTxRequested",
    "TxRunning",
    "StopTxRequested",
    "TxFinished",
    "Settled",
]

NOT_THERE = ("unknown-transaction",)
ASKING_THE_DESTINATION = ("unknown-pms", "invalid-user", "peer-blocked")


class NewAuthorization(msgspec.Struct, forbid_unknown_fields=True):
    """A charge (or a parking) that an app asks for: for whom, and where."""

    user_identifier: Identifier
    destination: Identifier
    local_service_identifier: Identifier
    connector_identifier: Identifier | None = None
    service_type: ServiceType = ServiceType.EV_CHARGING


class TransactionsQuery(msgspec.Struct, forbid_unknown_fields=True):
    cursor: Cursor | None = None
    limit: Limit = 50
    state: State | None = None
    user: Identifier | None = None


class LocalServicesQuery(msgspec.Struct, forbid_unknown_fields=True):
    latitude: Latitude
    longitude: Longitude
    radius_m: RadiusM
    service_type: tuple[ServiceType, ...] = ()
    destination: tuple[Identifier, ...] = ()


class Course(msgspec.Struct):
    """The energy of a charge over time."""

    points: tuple[CoursePoint, ...]


class OperationAnswer(msgspec.Struct):
    """A start or stop that was asked for, and the transaction that it belongs to."""

    transaction: TransactionView
    operation: OperationView | None


def apps_routes(apps: AppDoor, auth: BearerAuth, keys: IdempotencyKeys, streams: EventStreams) -> Routes:
    """The routes for user apps, behind any known token."""
    routes = Routes(name="apps", prefix=PREFIX, auth=auth, access=Access.APP, keys=keys)
    _add_transactions(routes, apps)
    _add_operations(routes, apps)
    _add_events(routes, apps, streams)
    _add_local_services(routes, apps)
    return routes


def _add_transactions(routes: Routes, apps: AppDoor) -> None:
    @routes.post(
        "/authorizations",
        {201: TransactionView},
        reads=NewAuthorization,
        keyed=True,
        refuses=("user-not-allowed", *ASKING_THE_DESTINATION, "no-identifier", "repeated-grant", "peer-unanswered"),
        passes_on_refusals=True,
        example={"user_identifier": "anna", "destination": "NL-MOT", "local_service_identifier": "NL-MOT-CS01"},
    )
    async def authorize(asked: NewAuthorization) -> Response:
        """Asks the operator of a station for a charge.

        Answers once it has said yes; what either operator refuses is a problem.
        """
        request = AuthorizationRequest(**msgspec.structs.asdict(asked), idempotency_key=idempotency_key())
        granted = await apps.authorize(principal(), request)
        return answer(granted, 201, location=place_of(granted))

    @routes.get(
        "/transactions",
        Page[TransactionView],
        query=TransactionsQuery,
        answer_headers=("Link",),
        refuses=("user-not-allowed", "cursor-unknown"),
    )
    async def transactions(asked: TransactionsQuery) -> Response:
        """Lists the transactions of the app's users, newest first."""
        page = await apps.transactions(
            principal(), state=asked.state, user_identifier=asked.user, cursor=asked.cursor, limit=asked.limit
        )
        return page_answer(page)

    @routes.get("/transactions/<identifier:transaction_id>", TransactionView, refuses=NOT_THERE)
    async def transaction(transaction_id: str) -> Response:
        """Shows a transaction as it is now."""
        return answer(await apps.transaction(principal(), transaction_id))

    @routes.get("/transactions/<identifier:transaction_id>/course", Course, refuses=NOT_THERE)
    async def course(transaction_id: str) -> Response:
        """Shows the energy of a charge over time, as its Destination has told it."""
        return answer(Course(points=await apps.course(principal(), transaction_id)))

    @routes.get("/transactions/<identifier:transaction_id>/receipt", CdrView, refuses=(*NOT_THERE, "no-receipt-yet"))
    async def receipt(transaction_id: str) -> Response:
        """Shows the charge record of a transaction, once it is there."""
        found = await apps.transaction(principal(), transaction_id)
        if found.cdr is None:
            raise Problem(409, "no-receipt-yet", f"No charge record yet: the transaction is {found.state}.")
        return answer(found.cdr)


def _add_operations(routes: Routes, apps: AppDoor) -> None:
    @routes.post(
        "/transactions/<identifier:transaction_id>/start",
        {202: OperationAnswer},
        keyed=True,
        refuses=(*NOT_THERE, *ASKING_THE_DESTINATION, "authorization-expired", "already-running", "already-finished",
                 "wrong-state"),
    )  # fmt: skip
    async def start(transaction_id: str) -> Response:
        """Starts the charge: answers once that is written down; what the station does comes as an event."""
        return operation_answer(await apps.start(principal(), transaction_id, idempotency_key()), "start")

    @routes.post(
        "/transactions/<identifier:transaction_id>/stop",
        {202: OperationAnswer},
        keyed=True,
        refuses=(*NOT_THERE, "not-started", "already-finished", "wrong-state"),
    )
    async def stop(transaction_id: str) -> Response:
        """Stops the charge: answers once that is written down; what the station does comes as an event."""
        return operation_answer(await apps.stop(principal(), transaction_id, idempotency_key()), "stop")


def _add_events(routes: Routes, apps: AppDoor, streams: EventStreams) -> None:
    @routes.get(
        "/transactions/<identifier:transaction_id>/events",
        {200: OF_TRANSACTION, 204: None},
        media_type=EVENT_STREAM,
        headers=("Last-Event-ID",),
        refuses=(*NOT_THERE, "invalid-last-event-id", "too-many-streams"),
    )
    async def transaction_events(transaction_id: str) -> Response:
        """Streams a transaction as it is now and after each change, until it is over."""
        return await streams.of_transaction(apps, principal(), transaction_id)

    @routes.get(
        "/events",
        OF_ALL,
        media_type=EVENT_STREAM,
        headers=("Last-Event-ID",),
        refuses=("invalid-last-event-id", "too-many-streams"),
    )
    async def events() -> Response:
        """Streams every transaction of the app's users after each change."""
        who = principal()
        return await streams.of_all(apps.position, lambda after: apps.feed(who, after))


def _add_local_services(routes: Routes, apps: AppDoor) -> None:
    @routes.get("/local-services", LocalServicesFound, query=LocalServicesQuery, refuses=("unknown-pms",))
    async def local_services(asked: LocalServicesQuery) -> Response:
        """Finds local services around a place, nearest first, and says which Destinations did not answer."""
        found = await apps.local_services(
            principal(),
            location=checked_location(asked.latitude, asked.longitude),
            radius_m=asked.radius_m,
            service_types=asked.service_type,
            destinations=asked.destination,
        )
        return answer(found)

    @routes.get(
        "/local-services/<identifier:destination>/<identifier:local_service>",
        LocalService,
        refuses=("unknown-pms", "peer-unanswered"),
        passes_on_refusals=True,
    )
    async def local_service(destination: str, local_service: str) -> Response:
        """Shows a local service as its operator does now."""
        return answer(await apps.local_service(principal(), destination, local_service))


def operation_answer(transaction: TransactionView, kind: str) -> Response:
    """202: the newest operation of this kind (what it waits for, until when), and the transaction it belongs to."""
    shown = OperationAnswer(transaction=transaction, operation=newest_operation(transaction, kind))
    return answer(shown, 202, location=place_of(transaction))


def newest_operation(transaction: TransactionView, kind: str) -> OperationView | None:
    """The start or the stop that was asked for last, None if there was none."""
    of_kind = [operation for operation in transaction.operations if operation.kind == kind]
    return max(of_kind, key=lambda operation: operation.requested_at, default=None)


def place_of(transaction: TransactionView) -> str:
    """Where an app finds this transaction."""
    return f"{PREFIX}/transactions/{quote(transaction.transaction_id, safe='')}"
