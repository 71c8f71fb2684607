"""The groups that cards are in: one is there as long as a card names it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort

from actors.cursors import cursor_of, page_of, place_of
from statecharts.cards import Card, CardGroup, card_key
from statecharts.ports import Page
from statecharts.vocabulary import refused


class CardGroups:
    """Which cards are in which group; names of groups are idTags themselves, whose case means nothing."""

    def __init__(self) -> None:
        self._members: dict[str, set[str]] = {}
        self._order: list[str] = []
        self._names: dict[str, str] = {}

    def note(self, key: str, before: Card | None, after: Card | None) -> None:
        """A card is now as it is `after`, None where there is none."""
        was, now = before and before.group, after and after.group
        if was == now:
            return
        if was:
            self._leave(card_key(was), key)
        if now:
            self._join(now, key)

    def _join(self, name: str, key: str) -> None:
        group = card_key(name)
        if group not in self._members:
            self._members[group] = set()
            self._names[group] = name
            insort(self._order, group)
        self._members[group].add(key)

    def _leave(self, group: str, key: str) -> None:
        self._members[group].discard(key)
        if not self._members[group]:
            del self._members[group], self._names[group]
            del self._order[bisect_left(self._order, group)]

    def members(self, name: str) -> list[str]:
        """The keys of its cards, in their order. Raises `Refused` (404) where no card names it."""
        found = self._members.get(card_key(name))
        if found is None:
            raise refused(404, "unknown-group", f"no card of the store is in a group {name[:40]!r}")
        return sorted(found)

    def one(self, name: str) -> CardGroup:
        """Raises `Refused` (404)."""
        return CardGroup(group=self._names.get(card_key(name), name), cards=len(self.members(name)))

    def page(self, *, cursor: str | None, limit: int) -> Page[CardGroup]:
        """Groups by their names."""
        begin = bisect_right(self._order, str(place_of(cursor, "groups", str)[0])) if cursor is not None else 0
        found = self._order[begin : begin + limit + 1]
        return page_of(found, limit, lambda last: cursor_of("groups", last), self._shown)

    def _shown(self, group: str) -> CardGroup:
        return CardGroup(group=self._names[group], cards=len(self._members[group]))
