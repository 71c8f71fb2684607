"""What user apps may do under `/api/v1`: authorise, start, stop, follow and list charges; find local services.

An app sees only the transactions of its own users; any other answers 404 as if it did not exist.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal
from urllib.parse import quote

import msgspec
import trio
from msgspec import Meta
from quart import Blueprint
from quart_trio.wrappers import TrioResponse as Response

from protocols.rest.auth import BearerAuth, principal
from protocols.rest.bodies import Identifier, RadiusM, answer, body, checked_location, idempotency_key, query
from protocols.rest.problems import Problem
from protocols.rest.v1.events import event_stream
from statecharts.ports import AppDoor, AuthorizationRequest, OperationView, TransactionView
from statecharts.vocabulary import ServiceType

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
Cursor = Annotated[str, Meta(min_length=1, max_length=256, pattern=r"\A[\x21-\x7e]+\Z")]
Limit = Annotated[int, Meta(ge=1, le=200)]


class NewAuthorization(msgspec.Struct, forbid_unknown_fields=True):
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
    latitude: Decimal
    longitude: Decimal
    radius_m: RadiusM
    service_type: tuple[ServiceType, ...] = ()
    destination: tuple[Identifier, ...] = ()


def apps_blueprint(apps: AppDoor, auth: BearerAuth, draining: trio.Event) -> Blueprint:
    """The routes for user apps, behind any known token."""
    blueprint = Blueprint("v1_apps", __name__, url_prefix=PREFIX)
    blueprint.before_request(auth.app)
    _add_transactions(blueprint, apps)
    _add_operations(blueprint, apps)
    _add_events(blueprint, apps, draining)
    _add_local_services(blueprint, apps)
    return blueprint


def _add_transactions(blueprint: Blueprint, apps: AppDoor) -> None:
    @blueprint.post("/authorizations")
    async def authorize() -> Response:
        asked = await body(NewAuthorization)
        request = AuthorizationRequest(**msgspec.structs.asdict(asked), idempotency_key=idempotency_key())
        granted = await apps.authorize(principal(), request)
        return answer(granted, 201, location=place_of(granted))

    @blueprint.get("/transactions")
    async def transactions() -> Response:
        asked = query(TransactionsQuery)
        page = await apps.transactions(
            principal(), state=asked.state, user_identifier=asked.user, cursor=asked.cursor, limit=asked.limit
        )
        return answer(page)

    @blueprint.get("/transactions/<identifier:transaction_id>")
    async def transaction(transaction_id: str) -> Response:
        return answer(await apps.transaction(principal(), transaction_id))

    @blueprint.get("/transactions/<identifier:transaction_id>/receipt")
    async def receipt(transaction_id: str) -> Response:
        found = await apps.transaction(principal(), transaction_id)
        if found.cdr is None:
            raise Problem(409, "no-receipt-yet", f"No charge record yet: the transaction is {found.state}.")
        return answer(found.cdr)


def _add_operations(blueprint: Blueprint, apps: AppDoor) -> None:
    @blueprint.post("/transactions/<identifier:transaction_id>/start")
    async def start(transaction_id: str) -> Response:
        return operation_answer(await apps.start(principal(), transaction_id, idempotency_key()), "start")

    @blueprint.post("/transactions/<identifier:transaction_id>/stop")
    async def stop(transaction_id: str) -> Response:
        return operation_answer(await apps.stop(principal(), transaction_id, idempotency_key()), "stop")


def _add_events(blueprint: Blueprint, apps: AppDoor, draining: trio.Event) -> None:
    @blueprint.get("/transactions/<identifier:transaction_id>/events")
    async def events(transaction_id: str) -> Response:
        return await event_stream(apps, principal(), transaction_id, draining)


def _add_local_services(blueprint: Blueprint, apps: AppDoor) -> None:
    @blueprint.get("/local-services")
    async def local_services() -> Response:
        asked = query(LocalServicesQuery)
        found = await apps.local_services(
            principal(),
            location=checked_location(asked.latitude, asked.longitude),
            radius_m=asked.radius_m,
            service_types=asked.service_type,
            destinations=asked.destination,
        )
        return answer(found)

    @blueprint.get("/local-services/<identifier:destination>/<identifier:local_service>")
    async def local_service(destination: str, local_service: str) -> Response:
        return answer(await apps.local_service(principal(), destination, local_service))


def operation_answer(transaction: TransactionView, kind: str) -> Response:
    """202: the newest operation of this kind (what it waits for, until when), and the transaction it belongs to."""
    shown: dict[str, Any] = {"transaction": transaction}
    operation = newest_operation(transaction, kind)
    if operation is not None:
        shown["operation"] = operation
    return answer(shown, 202, location=place_of(transaction))


def newest_operation(transaction: TransactionView, kind: str) -> OperationView | None:
    """The start or the stop that was asked for last, None if there was none."""
    of_kind = [operation for operation in transaction.operations if operation.kind == kind]
    return max(of_kind, key=lambda operation: operation.requested_at, default=None)


def place_of(transaction: TransactionView) -> str:
    """Where an app finds this transaction."""
    return f"{PREFIX}/transactions/{quote(transaction.transaction_id, safe='')}"
