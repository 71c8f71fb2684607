"""What stations reported amiss, for operators: the orphan inbox with its decisions, and the quirks of models."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from quart_trio.wrappers import TrioResponse as Response

from protocols.rest.auth import principal
from protocols.rest.bodies import Cursor, Limit, answer, page_answer
from protocols.rest.routes import Routes
from statecharts.doors import OperatorDoor, OrphanView, QuirkView
from statecharts.ports import Page

Name = Annotated[str, Meta(min_length=1, max_length=50)]


class OrphansQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Of one station, of one kind (StopTransaction, MeterValues, TransactionEvent, OddMessage), in one state."""

    cursor: Cursor | None = None
    limit: Limit = 50
    station: Name | None = None
    kind: Name | None = None
    state: Literal["open", "joined", "assigned", "dismissed"] = "open"


class QuirksQuery(msgspec.Struct, forbid_unknown_fields=True):
    cursor: Cursor | None = None
    limit: Limit = 50
    station: Name | None = None
    vendor: Name | None = None
    model: Name | None = None


class Assignment(msgspec.Struct, forbid_unknown_fields=True):
    """The transaction that an orphan is of, at the station that reported it."""

    role: Literal["destination", "local"]
    transaction_id: Annotated[str, Meta(min_length=1, max_length=60)]


class Dismissal(msgspec.Struct, forbid_unknown_fields=True):
    """Why an orphan is of no use."""

    reason: Annotated[str, Meta(min_length=1, max_length=500)]


def add_inbox(routes: Routes, operators: OperatorDoor) -> None:
    """The routes of orphans and quirks, among those of operators."""
    _add_orphans(routes, operators)

    @routes.get("/quirks", Page[QuirkView], query=QuirksQuery, answer_headers=("Link",), refuses=("cursor-unknown",))
    async def quirks(asked: QuirksQuery) -> Response:
        """Lists what stations do that OCPP does not allow, by vendor and model, counted since the node started."""
        found = operators.quirks(
            station=asked.station, vendor=asked.vendor, model=asked.model, cursor=asked.cursor, limit=asked.limit
        )
        return page_answer(await found)


def _add_orphans(routes: Routes, operators: OperatorDoor) -> None:
    @routes.get("/orphans", Page[OrphanView], query=OrphansQuery, answer_headers=("Link",), refuses=("cursor-unknown",))
    async def orphans(asked: OrphansQuery) -> Response:
        """Lists what stations reported that belongs to no transaction, newest first."""
        found = operators.orphans(
            station=asked.station, kind=asked.kind, state=asked.state, cursor=asked.cursor, limit=asked.limit
        )
        return page_answer(await found)

    @routes.get("/orphans/<number:orphan>", OrphanView, refuses=("unknown-orphan",))
    async def orphan(orphan: int) -> Response:
        """Shows an orphan, and what was decided on it."""
        return answer(await operators.orphan(orphan))

    @routes.post(
        "/orphans/<number:orphan>/assign",
        OrphanView,
        reads=Assignment,
        refuses=("unknown-orphan", "already-decided", "not-of-this-station", "takes-nothing", "unreadable"),
        example={"role": "local", "transaction_id": "7"},
    )
    async def assign(asked: Assignment, orphan: int) -> Response:
        """Gives an orphan to its transaction, where it counts as if the station had named it; once."""
        by = principal().name
        return answer(await operators.assign_orphan(orphan, asked.role, asked.transaction_id, by))

    @routes.post(
        "/orphans/<number:orphan>/dismiss",
        OrphanView,
        reads=Dismissal,
        refuses=("unknown-orphan", "already-decided"),
        example={"reason": "a test of the installer's"},
    )
    async def dismiss(asked: Dismissal, orphan: int) -> Response:
        """Says that an orphan is of no use, and why."""
        return answer(await operators.dismiss_orphan(orphan, asked.reason, principal().name))
