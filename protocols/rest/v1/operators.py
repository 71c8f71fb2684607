"""What operators may see and do under `/api/v1/operator`: transactions of every role, records, stations, peers."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from quart_trio.wrappers import TrioResponse as Response

from protocols.rest.auth import BearerAuth
from protocols.rest.bodies import Cursor, Limit, answer, page_answer
from protocols.rest.idempotency import IdempotencyKeys
from protocols.rest.recorded import Recorder
from protocols.rest.routes import Access, Routes
from protocols.rest.v1.audit import add_audit
from protocols.rest.v1.card_files import add_card_files
from protocols.rest.v1.card_groups import add_card_groups
from protocols.rest.v1.cards import add_cards
from protocols.rest.v1.cdrs import add_cdrs
from protocols.rest.v1.commands import ConnectorId, IdTag
from protocols.rest.v1.events import EVENT_STREAM, OF_ALL, OF_NOTICES, EventStreams
from protocols.rest.v1.inbox import add_inbox
from protocols.rest.v1.local_lists import add_local_lists
from protocols.rest.v1.operations import add_operations
from protocols.rest.v1.peers import add_peers
from protocols.rest.v1.stations import add_stations
from protocols.rest.v1.transactions import PREFIX, Role, add_transactions, under_way
from protocols.rest.v1.webhooks import add_webhooks
from statecharts.doors import (
    LogEntryView,
    OperatorDoor,
    QuarantineView,
)
from statecharts.ports import Page, TransactionView

ACTOR = "<any(source, destination, local, station, peer, operation, webhook):kind>"


class PageQuery(msgspec.Struct, forbid_unknown_fields=True):
    cursor: Cursor | None = None
    limit: Limit = 50


class StationLogQuery(msgspec.Struct, forbid_unknown_fields=True):
    cursor: Cursor | None = None
    limit: Limit = 50
    kind: Annotated[str, Meta(min_length=1, max_length=50)] | None = None


class EventsQuery(msgspec.Struct, forbid_unknown_fields=True):
    role: Role | None = None


class NewLocalTransaction(msgspec.Struct, forbid_unknown_fields=True):
    """A charge without a partner, as if this card had been held to the station."""

    connector_id: ConnectorId
    id_tag: IdTag


class Release(msgspec.Struct, forbid_unknown_fields=True):
    """What is to become of the message that broke an actor."""

    message: Literal["hand-over", "dismiss"]


def operators_routes(operators: OperatorDoor, auth: BearerAuth, keys: IdempotencyKeys, streams: EventStreams) -> Routes:
    """The routes for operators, behind an operator's token."""
    recorder = Recorder(operators.trail)
    routes = Routes(name="operators", prefix=PREFIX, auth=auth, access=Access.OPERATOR, keys=keys, recorder=recorder)
    add_transactions(routes, operators)
    add_cdrs(routes, operators)
    add_inbox(routes, operators)
    add_stations(routes, operators)
    add_cards(routes, operators)
    add_card_files(routes, operators)
    add_card_groups(routes, operators)
    add_local_lists(routes, operators)
    _add_events(routes, operators, streams)
    _add_notices(routes, operators, streams)
    _add_stations(routes, operators)
    add_operations(routes, operators, PREFIX)
    add_peers(routes, operators)
    add_webhooks(routes, operators)
    _add_quarantine(routes, operators)
    add_audit(routes, operators.trail)
    return routes


def _add_events(routes: Routes, operators: OperatorDoor, streams: EventStreams) -> None:
    @routes.get(
        "/events",
        OF_ALL,
        query=EventsQuery,
        media_type=EVENT_STREAM,
        headers=("Last-Event-ID",),
        refuses=("invalid-last-event-id", "too-many-streams"),
    )
    async def events(asked: EventsQuery) -> Response:
        """Streams every transaction (of one role) after each change."""
        return await streams.of_all(operators.position, lambda after: operators.feed(asked.role, after))


def _add_notices(routes: Routes, operators: OperatorDoor, streams: EventStreams) -> None:
    @routes.get("/changes", OF_NOTICES, media_type=EVENT_STREAM, refuses=("too-many-streams",))
    async def changes() -> Response:
        """Streams the names of all that changes: what shows it is read again."""
        return streams.of_notices(operators.notices())


def _add_stations(routes: Routes, operators: OperatorDoor) -> None:
    @routes.get(
        "/stations/<identifier:identity>/log",
        Page[LogEntryView],
        query=StationLogQuery,
        answer_headers=("Link",),
        refuses=("unknown-station", "cursor-unknown"),
    )
    async def station_log(asked: StationLogQuery, identity: str) -> Response:
        """Lists what a station reported beside charging, newest first."""
        found = operators.station_log(identity, kind=asked.kind, cursor=asked.cursor, limit=asked.limit)
        return page_answer(await found)

    @routes.post(
        "/stations/<identifier:identity>/transactions",
        {202: TransactionView},
        reads=NewLocalTransaction,
        keyed=True,
        refuses=("unknown-station", "unknown-connector", "invalid-id-tag", "station-unavailable", "connector-busy",
                 "connector-reserved", "concurrent-charge", "superseded"),
        example={"connector_id": 1, "id_tag": "04A1B2C3D4"},
    )  # fmt: skip
    async def start_local(asked: NewLocalTransaction, identity: str) -> Response:
        """Starts a charge without a partner."""
        return under_way(await operators.start_local(identity, asked.connector_id, asked.id_tag))


def _add_quarantine(routes: Routes, operators: OperatorDoor) -> None:
    @routes.get(
        "/quarantine",
        Page[QuarantineView],
        query=PageQuery,
        answer_headers=("Link",),
        refuses=("cursor-unknown",),
    )
    async def quarantine(asked: PageQuery) -> Response:
        """Lists what was put aside because it failed again and again, oldest first."""
        return page_answer(await operators.quarantine(cursor=asked.cursor, limit=asked.limit))

    @routes.get(f"/quarantine/{ACTOR}/<identifier:name>", QuarantineView, refuses=("not-in-quarantine",))
    async def case(kind: str, name: str) -> Response:
        """Shows what was put aside, and what broke it."""
        return answer(await operators.case(f"{kind}/{name}"))

    @routes.post(
        f"/quarantine/{ACTOR}/<identifier:name>/release",
        {204: None},
        reads=Release,
        admins_only=True,
        refuses=("not-in-quarantine", "failed-again", "not-repeatable"),
        example={"message": "dismiss"},
    )
    async def release(asked: Release, kind: str, name: str) -> Response:
        """Lets it work again, its message handed over once more or dismissed."""
        await operators.release(f"{kind}/{name}", hand_over=asked.message == "hand-over")
        return Response(b"", 204)
