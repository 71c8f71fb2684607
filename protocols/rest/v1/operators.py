"""What operators may see and do under `/api/v1/operator`: transactions of every role, records, stations, peers."""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import quote

import msgspec
from quart import Blueprint
from quart_trio.wrappers import TrioResponse as Response

from protocols.rest.auth import BearerAuth
from protocols.rest.bodies import answer, body, query
from protocols.rest.v1.apps import Cursor, Limit, State
from protocols.rest.v1.commands import ANY_COMMAND, Command, ConnectorId, IdTag
from statecharts.ports import OperatorDoor, TransactionView

PREFIX = "/api/v1/operator"
ROLE = "<any(source, destination, local):role>"
ACTOR = "<any(source, destination, local, station, peer):kind>"

Role = Literal["source", "destination", "local"]


class TransactionsQuery(msgspec.Struct, forbid_unknown_fields=True):
    cursor: Cursor | None = None
    limit: Limit = 50
    role: Role | None = None
    state: State | None = None


class CdrsQuery(msgspec.Struct, forbid_unknown_fields=True):
    limit: Limit = 50
    role: Role | None = None


class NewLocalTransaction(msgspec.Struct, forbid_unknown_fields=True):
    connector_id: ConnectorId
    id_tag: IdTag


class Release(msgspec.Struct, forbid_unknown_fields=True):
    message: Literal["hand-over", "dismiss"]


def operators_blueprint(operators: OperatorDoor, auth: BearerAuth) -> Blueprint:
    """The routes for operators, behind an operator's token."""
    blueprint = Blueprint("v1_operators", __name__, url_prefix=PREFIX)
    blueprint.before_request(auth.operator)
    _add_transactions(blueprint, operators)
    _add_stations(blueprint, operators)
    _add_peers(blueprint, operators)
    _add_deliveries(blueprint, operators)
    _add_quarantine(blueprint, operators)
    return blueprint


def _add_transactions(blueprint: Blueprint, operators: OperatorDoor) -> None:
    @blueprint.get("/transactions")
    async def transactions() -> Response:
        asked = query(TransactionsQuery)
        page = await operators.transactions(role=asked.role, state=asked.state, cursor=asked.cursor, limit=asked.limit)
        return answer(page)

    @blueprint.get(f"/transactions/{ROLE}/<identifier:transaction>")
    async def transaction(role: str, transaction: str) -> Response:
        return answer(await operators.transaction(role, transaction))

    @blueprint.post(f"/transactions/{ROLE}/<identifier:transaction>/stop")
    async def stop(role: str, transaction: str) -> Response:
        return _under_way(await operators.stop(role, transaction))

    @blueprint.get("/cdrs")
    async def cdrs() -> Response:
        asked = query(CdrsQuery)
        return _items(await operators.cdrs(role=asked.role, limit=asked.limit))


def _add_stations(blueprint: Blueprint, operators: OperatorDoor) -> None:
    @blueprint.get("/stations")
    async def stations() -> Response:
        return _items(await operators.stations())

    @blueprint.post("/stations/<identifier:identity>/commands")
    async def command(identity: str) -> Response:
        asked: Command = await body(ANY_COMMAND)
        return answer(await operators.command_station(identity, asked.for_station()))

    @blueprint.post("/stations/<identifier:identity>/transactions")
    async def start_local(identity: str) -> Response:
        asked = await body(NewLocalTransaction)
        return _under_way(await operators.start_local(identity, asked.connector_id, asked.id_tag))


def _add_peers(blueprint: Blueprint, operators: OperatorDoor) -> None:
    @blueprint.get("/peers")
    async def peers() -> Response:
        return _items(await operators.peers())

    @blueprint.post("/peers/<identifier:peer>/block")
    async def block(peer: str) -> Response:
        return answer(await operators.block_peer(peer, True))

    @blueprint.post("/peers/<identifier:peer>/unblock")
    async def unblock(peer: str) -> Response:
        return answer(await operators.block_peer(peer, False))


def _add_deliveries(blueprint: Blueprint, operators: OperatorDoor) -> None:
    @blueprint.get("/peers/<identifier:peer>/deliveries")
    async def deliveries(peer: str) -> Response:
        return _items(await operators.parked(peer))

    @blueprint.post("/peers/<identifier:peer>/deliveries/<number:delivery>/replay")
    async def replay(peer: str, delivery: int) -> Response:
        await operators.replay(peer, delivery)
        return Response(b"", 204)


def _add_quarantine(blueprint: Blueprint, operators: OperatorDoor) -> None:
    @blueprint.get("/quarantine")
    async def quarantine() -> Response:
        return _items(await operators.quarantine())

    @blueprint.get(f"/quarantine/{ACTOR}/<identifier:name>")
    async def case(kind: str, name: str) -> Response:
        return answer(await operators.case(f"{kind}/{name}"))

    @blueprint.post(f"/quarantine/{ACTOR}/<identifier:name>/release")
    async def release(kind: str, name: str) -> Response:
        asked = await body(Release)
        await operators.release(f"{kind}/{name}", hand_over=asked.message == "hand-over")
        return Response(b"", 204)


def _items(found: tuple[Any, ...]) -> Response:
    return answer({"items": found})


def _under_way(transaction: TransactionView) -> Response:
    """202: asked of the station; the transaction itself says what it waits for."""
    place = f"{PREFIX}/transactions/{transaction.role}/{quote(transaction.transaction_id, safe='')}"
    return answer(transaction, 202, location=place)
