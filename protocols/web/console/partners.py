"""Partners: how the link to each is, what is owed to it, and what one does about it."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import msgspec
from msgspec import Meta
from quart_trio.wrappers import TrioResponse as Response

from protocols.rest.bodies import moment
from protocols.rest.v1.peers import DeliveriesQuery
from protocols.web.console.desk import Desk, OnlyPages, admins_only, asked, back_to, shown_filter
from statecharts.peers_door import PeerTest

PEER = "/partners/<identifier:peer>"
REPLAYED_AT_ONCE = 200


class Delivery(msgspec.Struct):
    id: Annotated[int, Meta(ge=1)]


def partner_place(peer: str) -> str:
    """The address of a partner's page."""
    return f"/console/partners/{quote(peer, safe='')}"


def add_partners(desk: Desk) -> None:
    """Lists and pages of partners and of what is owed to them."""

    @desk.get("/partners")
    async def partners() -> Response:
        page = await desk.operators.peers(cursor=asked(OnlyPages).cursor, limit=200)
        return desk.page("partners.html", resources="peers deliveries", page=page)

    @desk.get(PEER)
    async def partner(peer: str) -> Response:
        return await _partner(desk, peer, None)

    @desk.get("/deliveries")
    async def deliveries() -> Response:
        query = asked(DeliveriesQuery)
        search = shown_filter(query)
        shown = dict(search)
        limit = search.pop("limit")
        search |= {name: moment(name, search[name]) for name in ("since", "until") if name in search}
        page = await desk.operators.deliveries(cursor=query.cursor, limit=limit, **search)
        return desk.page("deliveries.html", resources="deliveries peers", page=page, filter=shown)

    @desk.get("/deliveries/<number:delivery>")
    async def delivery(delivery: int) -> Response:
        found = await desk.operators.delivery(delivery)
        return desk.page("delivery.html", resources="deliveries peers", delivery=found)

    _add_changes(desk)


async def _partner(desk: Desk, peer: str, test: PeerTest | None) -> Response:
    sheet = await desk.operators.peer(peer)
    return desk.page("partner.html", resources="peers deliveries", sheet=sheet, test=test, place=partner_place(peer))


def _add_changes(desk: Desk) -> None:
    @desk.post(f"{PEER}/test")
    async def test(peer: str) -> Response:
        return await _partner(desk, peer, await desk.operators.test_peer(peer))

    @desk.post(f"{PEER}/block")
    async def block(peer: str) -> Response:
        admins_only()
        await desk.operators.block_peer(peer, True)
        return back_to(partner_place(peer))

    @desk.post(f"{PEER}/unblock")
    async def unblock(peer: str) -> Response:
        admins_only()
        await desk.operators.block_peer(peer, False)
        return back_to(partner_place(peer))

    @desk.post(f"{PEER}/replay")
    async def replay_all(peer: str) -> Response:
        await desk.operators.replay_parked(peer, None, REPLAYED_AT_ONCE)
        return back_to(partner_place(peer))

    @desk.post("/deliveries/<number:delivery>/replay")
    async def replay(delivery: int) -> Response:
        await desk.operators.replay(delivery)
        return back_to(f"/console/deliveries/{delivery}")
