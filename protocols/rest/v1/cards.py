"""Charging cards, for operators: who may charge at our own stations by an idTag."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import msgspec
from msgspec import Meta
from quart_trio.wrappers import TrioResponse as Response

from protocols.rest.auth import principal
from protocols.rest.bodies import Cursor, Limit, answer, page_answer
from protocols.rest.routes import Routes
from protocols.rest.v1.stations import contradiction
from statecharts.cards import Card, CardDoor, CardFilter, CardRecord
from statecharts.ports import Page

CARD = "/cards/<card:card>"
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
        refuses=("contradictory-details", "too-many-cards"),
        example={"group": "FLEET-7", "label": "van 12", "valid_until": "2030-01-01T00:00:00Z"},
    )
    async def put_card(asked: CardTold, card: str) -> Response:
        """Says what holds of a card from now on, whatever was said before; the same again changes nothing."""
        return answer(await operators.put_card(card_told(card, asked), principal().name))

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


def card_told(id_tag: str, told: CardTold) -> Card:
    """Raises `Problem` (400) for a card that is never valid."""
    begins, ends = _in_utc("valid_from", told.valid_from), _in_utc("valid_until", told.valid_until)
    if begins and ends and begins >= ends:
        raise contradiction("valid_until", "is not after valid_from")
    fields = {name: getattr(told, name) for name in CardTold.__struct_fields__} | {
        "valid_from": begins,
        "valid_until": ends,
    }
    return Card(id_tag=id_tag, **fields)


def _in_utc(field: str, moment: datetime | None) -> datetime | None:
    """Raises `Problem` (400) for one that is before the year 1 or after 9999 there."""
    try:
        return moment.astimezone(UTC) if moment else None
    except OverflowError as error:
        raise contradiction(field, "is out of range") from error
