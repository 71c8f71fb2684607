"""Cards and their groups: who may charge at our own stations; many at once from a CSV."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from quart_trio.wrappers import TrioResponse as Response

from protocols.rest.bodies import Cursor
from protocols.web.console.desk import Desk, OnlyPages, asked, back_to, shown_filter, told
from protocols.web.rooms import principal_here
from statecharts.cards import Card, CardFilter

Text = Annotated[str, Meta(min_length=1, max_length=50)]
Tag = Annotated[str, Meta(min_length=1, max_length=36, pattern=r"\A[!-.0-~]+\Z")]
"""Printable ASCII without blank and slash, as idTags are (docs/api.md, Cards)."""


class CardsShown(msgspec.Struct, forbid_unknown_fields=True):
    cursor: Cursor | None = None
    text: Text | None = None
    group: Text | None = None
    blocked: bool | None = None


class CardTold(msgspec.Struct, forbid_unknown_fields=True):
    id_tag: Tag
    group: Annotated[str, Meta(max_length=36)] | None = None
    label: Annotated[str, Meta(max_length=100)] | None = None
    blocked: Literal["on"] | None = None


class CardNamed(msgspec.Struct, forbid_unknown_fields=True):
    id_tag: Tag


def add_cards(desk: Desk) -> None:
    """The lists of cards and groups, and what changes them."""

    @desk.get("/cards")
    async def cards() -> Response:
        query = asked(CardsShown)
        wanted = CardFilter(group=query.group, blocked=query.blocked, text=query.text)
        page = await desk.operators.cards(wanted, cursor=query.cursor, limit=50)
        return desk.page("cards.html", resources="cards", page=page, filter=shown_filter(query))

    @desk.get("/groups")
    async def groups() -> Response:
        page = await desk.operators.groups(cursor=asked(OnlyPages).cursor, limit=50)
        return desk.page("groups.html", resources="cards", page=page)

    @desk.post("/cards")
    async def put() -> Response:
        new = await told(CardTold)
        card = Card(id_tag=new.id_tag, group=new.group, label=new.label, blocked=new.blocked is not None)
        await desk.operators.put_card(card, principal_here().name)
        return back_to("/console/cards")

    @desk.post("/cards/remove")
    async def remove() -> Response:
        await desk.operators.remove_card((await told(CardNamed)).id_tag)
        return back_to("/console/cards")
