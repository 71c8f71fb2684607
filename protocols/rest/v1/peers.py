"""Partners and what is owed to them, for operators."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from quart_trio.wrappers import TrioResponse as Response

from protocols.rest.bodies import Cursor, Identifier, Instant, Limit, answer, moment, page_answer
from protocols.rest.routes import Routes
from statecharts.peers_door import DeliveryTotals, DeliveryView, PeersDoor, PeerSheet, PeerTest, PeerView, Replayed
from statecharts.ports import Page

Operation = Literal["RequestStartTransaction", "RequestStopTransaction", "NotifyRequestResult", "EndTransaction"]
"""What is owed to partners until it is acknowledged, or its time is over."""

Stream = Annotated[str, Meta(min_length=1, max_length=80, pattern=r"\A[^\x00-\x1f\x7f]+\Z")]


class PeersQuery(msgspec.Struct, forbid_unknown_fields=True):
    cursor: Cursor | None = None
    limit: Limit = 50


class DeliveriesQuery(msgspec.Struct, forbid_unknown_fields=True):
    """To a partner, of one status and operation, of a transaction (role/transaction_id), owed since and before a time.

    `overdue` ones are facts that the partner should have acknowledged by now.
    """

    cursor: Cursor | None = None
    limit: Limit = 50
    peer: Identifier | None = None
    status: Literal["pending", "done", "parked", "lapsed"] | None = None
    operation: Operation | None = None
    transaction: Stream | None = None
    since: Instant | None = None
    until: Instant | None = None
    overdue: bool | None = None


class ParkedReplay(msgspec.Struct, forbid_unknown_fields=True):
    """The dead letters of a partner, of one operation or all; not more than `limit` of them at once."""

    peer: Identifier
    operation: Operation | None = None
    limit: Limit = 200


def add_peers(routes: Routes, operators: PeersDoor) -> None:
    """The routes of partners and deliveries, among those of operators."""
    _add_partners(routes, operators)
    _add_deliveries(routes, operators)
    _add_replays(routes, operators)


def _add_partners(routes: Routes, operators: PeersDoor) -> None:
    @routes.get("/peers", Page[PeerView], query=PeersQuery, answer_headers=("Link",), refuses=("cursor-unknown",))
    async def peers(asked: PeersQuery) -> Response:
        """Lists our partners by their pmsIdentifier."""
        return page_answer(await operators.peers(cursor=asked.cursor, limit=asked.limit))

    @routes.get("/peers/<identifier:peer>", PeerSheet, refuses=("unknown-peer",))
    async def peer(peer: str) -> Response:
        """Shows all of a partner: how it is configured, its link, what it is owed."""
        return answer(await operators.peer(peer))

    @routes.post("/peers/<identifier:peer>/test", PeerTest, refuses=("unknown-peer",))
    async def test(peer: str) -> Response:
        """Calls each service of a partner with what has no effect there, and tells what came of it."""
        return answer(await operators.test_peer(peer))

    @routes.post("/peers/<identifier:peer>/block", PeerView, admins_only=True, refuses=("unknown-peer", "wrong-state"))
    async def block(peer: str) -> Response:
        """Ends new business with a partner; what runs goes on to its charge record."""
        return answer(await operators.block_peer(peer, True))

    @routes.post(
        "/peers/<identifier:peer>/unblock", PeerView, admins_only=True, refuses=("unknown-peer", "wrong-state")
    )
    async def unblock(peer: str) -> Response:
        """Allows new business with a partner again."""
        return answer(await operators.block_peer(peer, False))


def _add_deliveries(routes: Routes, operators: PeersDoor) -> None:
    @routes.get(
        "/deliveries",
        Page[DeliveryView],
        query=DeliveriesQuery,
        answer_headers=("Link",),
        refuses=("cursor-unknown",),
    )
    async def deliveries(asked: DeliveriesQuery) -> Response:
        """Lists what partners are and were owed, newest first."""
        found = operators.deliveries(
            cursor=asked.cursor,
            limit=asked.limit,
            peer=asked.peer,
            status=asked.status,
            operation=asked.operation,
            transaction=asked.transaction,
            since=moment("since", asked.since),
            until=moment("until", asked.until),
            overdue=asked.overdue,
        )
        return page_answer(await found)

    @routes.get(
        "/deliveries/summary",
        Page[DeliveryTotals],
        query=PeersQuery,
        answer_headers=("Link",),
        refuses=("cursor-unknown",),
    )
    async def delivery_totals(asked: PeersQuery) -> Response:
        """Counts what each partner is and was owed, with the ledger of charge records."""
        return page_answer(await operators.delivery_totals(cursor=asked.cursor, limit=asked.limit))

    @routes.get("/deliveries/<number:delivery>", DeliveryView, refuses=("unknown-delivery",))
    async def delivery(delivery: int) -> Response:
        """Shows a message to a partner, and the charge record that it tells."""
        return answer(await operators.delivery(delivery))


def _add_replays(routes: Routes, operators: PeersDoor) -> None:
    @routes.post(
        "/deliveries/<number:delivery>/replay",
        DeliveryView,
        refuses=("unknown-delivery", "unreadable", "wrong-state"),
    )
    async def replay(delivery: int) -> Response:
        """Sends a parked message again; what is pending stays so, what is over is never sent again."""
        return answer(await operators.replay(delivery))

    @routes.post(
        "/deliveries/replay",
        Replayed,
        reads=ParkedReplay,
        refuses=("unknown-peer",),
        example={"peer": "IE-001", "operation": "EndTransaction"},
    )
    async def replay_parked(asked: ParkedReplay) -> Response:
        """Sends the dead letters of a partner again, the oldest first."""
        return answer(await operators.replay_parked(asked.peer, asked.operation, asked.limit))
