"""What operators see and change of their cards; `statecharts.cards.CardDoor`."""

from __future__ import annotations

from collections.abc import Sequence

from actors.context import Context
from actors.cursors import SHOWN_AT_ONCE
from statecharts.cards import Card, CardFilter, CardRecord, CardsPut
from statecharts.ports import Page


class CardRole:
    """The part of the operator's door that cards are behind."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def cards(
        self, wanted: CardFilter, *, cursor: str | None = None, limit: int = SHOWN_AT_ONCE
    ) -> Page[CardRecord]:
        return self._context.cards.page(wanted, cursor=cursor, limit=limit)

    async def card(self, id_tag: str) -> CardRecord:
        return self._context.cards.card(id_tag)

    async def put_card(self, card: Card, by: str) -> CardRecord:
        return await self._context.cards.put(card, by)

    async def put_cards(self, cards: Sequence[Card], by: str, *, dry_run: bool) -> CardsPut:
        return await self._context.cards.put_many(cards, by, dry_run=dry_run)

    async def remove_card(self, id_tag: str) -> None:
        await self._context.cards.remove(id_tag)
