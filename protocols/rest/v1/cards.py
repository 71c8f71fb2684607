"""Charging cards, for operators: who may charge at our own stations by an idTag."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta
from quart_trio.wrappers import TrioResponse as Response

from protocols.rest.auth import principal
from protocols.rest.bodies import Cursor, Limit, answer, page_answer, unfit
from protocols.rest.routes import Routes
from statecharts.cards import Card, CardDoor, CardFilter, CardRecord
from statecharts.ports import Page

CARD = "/cards/<identifier:card>"
CardTag = Annotated[str, Meta(min_length=1, max_length=36, pattern=r"\A(?!\.+\Z)[!-.0-~]+\Z")]
"""OCPP 1.6 has idTags of up to 20 characters, OCPP 2.x of up to 36; a slash would end the segment of a URL."""

Group = Annotated[str, Meta(min_length=1, max_length=36, pattern=r"\A[!-~]+\Z")]
Label = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"\A[^\x00-\x1f\x7f]+\Z")]
Moment = Annotated[datetime, Meta(tz=True)]


class CardsQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Of one group, blocked or not, with this text in the idTag or the label."""

    cursor: Cursor | None = None
    limit: Limit = 50
    group: Group | None = None
    blocked: bool | None = None
    text: Annotated[str, Meta(min_length=1, max_length=50)] | None = None


class CardTold(msgspec.Struct, forbid_unknown_fields=True):
    """What holds of a card from now on; what is absent is as it is by default."""

    group: Group | None = None
    blocked: bool = False
    valid_from: Moment | None = None
    valid_until: Moment | None = None
    label: Label | None = None


def add_cards(routes: Routes, operators: CardDoor) -> None:
    """The routes of cards, among those of operators."""
    _add_looks(routes, operators)

    @routes.put(
        CARD,
        CardRecord,
        reads=CardTold,
        refuses=("too-many-cards",),
        example={"group": "FLEET-7", "label": "van 12", "valid_until": "2030-01-01T00:00:00Z"},
    )
    async def put_card(asked: CardTold, card: str) -> Response:
        """Says what holds of a card from now on, whatever was said before; the same again changes nothing."""
        return answer(await operators.put_card(_card(card, asked), principal().name))

    @routes.delete(CARD, {204: None}, refuses=("unknown-card",))
    async def remove_card(card: str) -> Response:
        """Forgets a card; one that the configuration names is what that says again."""
        await operators.remove_card(card)
        return Response(b"", 204)


def _add_looks(routes: Routes, operators: CardDoor) -> None:
    @routes.get("/cards", Page[CardRecord], query=CardsQuery, answer_headers=("Link",), refuses=("cursor-unknown",))
    async def cards(asked: CardsQuery) -> Response:
        """Lists the cards of the store by their idTag."""
        wanted = CardFilter(group=asked.group, blocked=asked.blocked, text=asked.text)
        return page_answer(await operators.cards(wanted, cursor=asked.cursor, limit=asked.limit))

    @routes.get(CARD, CardRecord, refuses=("unknown-card",))
    async def card(card: str) -> Response:
        """Shows a card of the store."""
        return answer(await operators.card(card))


def _card(id_tag: str, told: CardTold) -> Card:
    """Raises `Problem` (400) for what no station can say, and for a card that is never valid."""
    try:
        msgspec.convert(id_tag, type=CardTag)
    except msgspec.ValidationError as error:
        raise unfit("card", "is no idTag: 1 to 36 printable characters, none of them a blank or a slash") from error
    if told.valid_from and told.valid_until and told.valid_from >= told.valid_until:
        raise unfit("valid_until", "is not after valid_from")
    return Card(id_tag=id_tag, **msgspec.structs.asdict(told))
