"""What operators ask of stations, and what becomes of it: commands, and the operations that they are."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import quote

import msgspec
from msgspec import Meta
from quart_trio.wrappers import TrioResponse as Response

from protocols.rest.auth import principal
from protocols.rest.bodies import Cursor, Limit, answer, page_answer
from protocols.rest.idempotency import idempotency_key
from protocols.rest.routes import Routes
from protocols.rest.v1.commands import ANY_COMMAND, Command
from statecharts.doors import OperatorDoor, StationOperation
from statecharts.ports import Page

WAIT_MAX_S = 60

Name = Annotated[str, Meta(min_length=1, max_length=64)]
State = Literal["Asked", "Waiting", "Succeeded", "Failed", "Unknown"]


class OperationsQuery(msgspec.Struct, forbid_unknown_fields=True):
    cursor: Cursor | None = None
    limit: Limit = 50
    station: Name | None = None
    command: Name | None = None
    state: State | None = None
    by: Name | None = None


class WaitQuery(msgspec.Struct, forbid_unknown_fields=True):
    """How long to wait for its end before it is shown as it is, in seconds."""

    wait_s: Annotated[float, Meta(ge=0, le=WAIT_MAX_S)] = 0


def add_operations(routes: Routes, operators: OperatorDoor, prefix: str) -> None:
    """The routes of commands and operations, among those of operators."""

    @routes.post(
        "/stations/<identifier:identity>/commands",
        {202: StationOperation},
        reads=ANY_COMMAND,
        keyed=True,
        refuses=("unknown-station", "secret-setting", "too-many-operations"),
        example={"command": "GetConfiguration", "keys": ["HeartbeatInterval"]},
    )
    async def command(asked: Command, identity: str) -> Response:
        """Gives a command to a station; the operation that it is says what becomes of it."""
        told, by = asked.for_station(), principal().name
        begun = await operators.operate(identity, told, by, forced=asked.forced, idempotency_key=idempotency_key())
        return answer(begun, 202, location=f"{prefix}/operations/{quote(begun.id, safe='')}")

    @routes.get(
        "/operations",
        Page[StationOperation],
        query=OperationsQuery,
        answer_headers=("Link",),
        refuses=("cursor-unknown",),
    )
    async def operations(asked: OperationsQuery) -> Response:
        """Lists what was asked of stations, newest first, without their whole answers."""
        found = operators.operations(
            station=asked.station,
            command=asked.command,
            state=asked.state,
            by=asked.by,
            cursor=asked.cursor,
            limit=asked.limit,
        )
        return page_answer(await found)

    @routes.get("/operations/<identifier:operation>", StationOperation, query=WaitQuery, refuses=("unknown-operation",))
    async def operation(asked: WaitQuery, operation: str) -> Response:
        """Shows an operation, once it is over if that is soon."""
        return answer(await operators.operation(operation, asked.wait_s))
