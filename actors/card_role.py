"""What operators see and change of their cards; `statecharts.cards.CardDoor`."""

from __future__ import annotations

from collections.abc import Sequence

from actors.cursors import SHOWN_AT_ONCE
from actors.fleet_role import FleetRole
from statecharts.cards import Card, CardFilter, CardGroup, CardRecord, CardsPut, GroupChange, LocalListView
from statecharts.ports import Page


class CardRole(FleetRole):
    """The part of the operator's door that cards are behind, beside the stations whose local lists they make."""

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

    async def groups(self, *, cursor: str | None = None, limit: int = SHOWN_AT_ONCE) -> Page[CardGroup]:
        return self._context.cards.groups.page(cursor=cursor, limit=limit)

    async def group(self, group: str) -> CardGroup:
        return self._context.cards.groups.one(group)

    async def change_group(self, group: str, change: GroupChange, by: str) -> CardsPut:
        return await self._context.cards.change_group(group, change, by)

    async def local_list(self, identity: str) -> LocalListView:
        return self._context.lists.view(self.member(identity).identity)

    async def push_local_list(self, identity: str) -> LocalListView:
        station = self.member(identity).identity
        self._context.lists.push(station)
        return self._context.lists.view(station)
