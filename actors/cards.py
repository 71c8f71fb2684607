"""The cards of the store: looked up in memory, changed on the disk first.

What the store says of an idTag stands; one that it does not know is asked of the identity service, which has the
cards of the configuration.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import TypeVar

import msgspec
import structlog
import trio
from sqlalchemy import Connection, delete, select

from actors import tables
from actors.bulk import put_rows
from actors.card_groups import CardGroups
from actors.cursors import cursor_of, page_of, place_of
from actors.node_clock import NodeClock
from actors.rows import AnyRow, Row, intact, micros, raw, sealed
from actors.store import Store
from statecharts.bounds import Watermarks
from statecharts.card_limits import CARDS, CARDS_LOOKED_AT, CARDS_WRITTEN
from statecharts.cards import Card, CardFilter, CardRecord, CardsPut, GroupChange, card_key, judged
from statecharts.ports import IdentityService, Page, UserCheck
from statecharts.station_vocabulary import IdTagInfo, IdTagStatus
from statecharts.vocabulary import refused

T = TypeVar("T")
DAMAGED = "its row in the store is damaged: say again what it is"

Changed = Iterable[tuple[str, CardRecord | None]]
"""Cards as they stand now, None for one that is forgotten, by what their idTags are compared by."""

log = structlog.get_logger(__name__)


class Cards:
    """All cards of a node's store, before those of its `identity` service. `load` has to be awaited first.

    All `on_change` hear of every change once it is durable.
    """

    def __init__(self, store: Store, clock: NodeClock, identity: IdentityService, watermarks: Watermarks) -> None:
        self._store, self._clock, self._identity, self._watermarks = store, clock, identity, watermarks
        self._known: dict[str, CardRecord] = {}
        self._order: list[str] = []
        self._changing = trio.Lock()
        self.groups = CardGroups()
        self.on_change: list[Callable[[Changed], None]] = []

    def __repr__(self) -> str:
        return f"<Cards {len(self._known)}>"

    async def load(self) -> None:
        """Takes over what the store holds. Raises `Refused` (503). A card whose row was altered is blocked."""
        now = self._clock.wall()
        for key, record in await self._store.read(_read):
            if record is None:
                log.error("cards.row_damaged", id_tag=key)
                record = CardRecord(id_tag=key, blocked=True, label=DAMAGED, changed_at=now, changed_by="")
            self._known[key] = record
            self.groups.note(key, None, record)
        self._order = sorted(self._known)
        self._watermarks.saw(CARDS, len(self._known))

    async def check(self, id_tag: str, now: datetime) -> UserCheck:
        """Whether this card may charge now at one of our own stations."""
        card = self._known.get(card_key(id_tag))
        return await self._identity.check_id_tag(id_tag, now) if card is None else judged(card, now)

    def card(self, id_tag: str) -> CardRecord:
        """Raises `Refused` (404)."""
        found = self._known.get(card_key(id_tag))
        if found is None:
            raise refused(404, "unknown-card", f"there is no card {id_tag[:40]!r} in the store")
        return found

    def keys(self) -> tuple[str, ...]:
        """What the idTags of all cards are compared by, in their order."""
        return tuple(self._order)

    def find(self, key: str) -> CardRecord | None:
        return self._known.get(key)

    def page(self, wanted: CardFilter, *, cursor: str | None, limit: int) -> Page[CardRecord]:
        """Cards by their idTags, whose case means nothing; of `CARDS_LOOKED_AT` at the most, whatever they are."""
        begin = bisect_right(self._order, str(place_of(cursor, "cards", str)[0])) if cursor is not None else 0
        looked_at = self._order[begin : begin + CARDS_LOOKED_AT.limit]
        found: list[CardRecord] = []
        for key in looked_at:
            if wanted.takes(self._known[key]):
                found.append(self._known[key])
            if len(found) > limit:
                return page_of(found, limit, lambda last: cursor_of("cards", last.key), lambda card: card)
        more = begin + len(looked_at) < len(self._order)
        return Page(items=tuple(found), next_cursor=cursor_of("cards", looked_at[-1]) if more else None)

    async def put(self, card: Card, by: str) -> CardRecord:
        """The card as it stands, durable. Raises `Refused`: 503 with nothing changed, 429 for one too many."""
        async with self._changing:
            known = self._known.get(card_key(card.id_tag))
            if known is not None and known.says(card):
                return known
            if known is None:
                self._check_room(1)
            told = msgspec.structs.asdict(card)
            record = CardRecord(**told, changed_at=self._clock.wall(), changed_by=by)
            await self._store.write(_put, _row_of(record))
            if known is None:
                insort(self._order, record.key)
            self.groups.note(record.key, known, record)
            self._known[record.key] = record
            self._tell([(record.key, record)])
            return record

    async def put_many(self, cards: Sequence[Card], by: str, *, dry_run: bool = False) -> CardsPut:
        """What becomes of these by being told at once, durable. Raises `Refused`: 429 with nothing changed, and 503.

        They are written in pieces, between which others have the loop and the writer; no other change comes between.
        Who asked may go away meanwhile.
        """
        async with self._changing:
            return await self._put_all(cards, by, dry_run=dry_run)

    async def change_group(self, group: str, change: GroupChange, by: str) -> CardsPut:
        """The same with all cards of a group as they are then. Raises `Refused`: 404 for one that no card names."""
        async with self._changing:
            cards: list[Card] = []
            for some in _pieces(self.groups.members(group)):
                cards += [change.of(self._known[key]) for key in some]
                await trio.lowlevel.checkpoint()
            return await self._put_all(cards, by)

    async def _put_all(self, cards: Sequence[Card], by: str, *, dry_run: bool = False) -> CardsPut:
        fresh = await self._fresh(cards)
        added = sum(card_key(card.id_tag) not in self._known for card in fresh)
        self._check_room(added)
        with trio.CancelScope(shield=True):
            for some in () if dry_run else _pieces(fresh):
                await self._put_some(some, by)
        told = {"changed": len(fresh) - added, "unchanged": len(cards) - len(fresh)}
        return CardsPut(added=added, dry_run=dry_run, **told)

    async def _put_some(self, cards: Sequence[Card], by: str) -> None:
        now = self._clock.wall()
        records = [CardRecord(**msgspec.structs.asdict(card), changed_at=now, changed_by=by) for card in cards]
        await self._store.write(_put_records, records)
        new = [record.key for record in records if record.key not in self._known]
        for record in records:
            self.groups.note(record.key, self._known.get(record.key), record)
            self._known[record.key] = record
        self._order.extend(new)
        self._order.sort()
        self._tell([(record.key, record) for record in records])

    async def _fresh(self, cards: Sequence[Card]) -> list[Card]:
        """Those that do not stand as they are told; others have the loop meanwhile."""
        fresh: list[Card] = []
        for some in _pieces(cards):
            fresh += [card for card in some if not self._stands(card)]
            await trio.lowlevel.checkpoint()
        return fresh

    def _stands(self, card: Card) -> bool:
        known = self._known.get(card_key(card.id_tag))
        return known is not None and known.says(card)

    async def remove(self, id_tag: str) -> None:
        """Forgets a card, durably. Raises `Refused`: 404 where there is none, 503 with nothing changed."""
        async with self._changing:
            key = self.card(id_tag).key
            await self._store.write(_remove, key)
            self.groups.note(key, self._known.pop(key), None)
            del self._order[bisect_left(self._order, key)]
            self._tell([(key, None)])

    def _tell(self, changed: Changed) -> None:
        for hears in self.on_change:
            hears(changed)

    def _check_room(self, more: int) -> None:
        if len(self._known) + more > CARDS.limit:
            raise refused(429, "too-many-cards", f"there are {len(self._known)} cards, and may be {CARDS.limit}")
        self._watermarks.saw(CARDS, len(self._known) + more)


def told(verdict: UserCheck) -> IdTagInfo:
    """What a station is told of a card that was judged so."""
    status = IdTagStatus.ACCEPTED
    if not verdict.allowed:
        unfit = IdTagStatus.BLOCKED if verdict.blocked else IdTagStatus.INVALID
        status = IdTagStatus.EXPIRED if verdict.expired else unfit
    return IdTagInfo(status=status, expiry_date=verdict.expires_at, parent_id_tag=verdict.group)


# -- rows --------------------------------------------------------------------------------------------------------------


def _row_of(record: CardRecord) -> Row:
    row = {"id_tag": record.key, "changed_at": micros(record.changed_at), "document": msgspec.json.encode(record)}
    return sealed(tables.cards, row)


def _pieces(all_of_them: Sequence[T]) -> Iterator[Sequence[T]]:
    for begin in range(0, len(all_of_them), CARDS_WRITTEN.limit):
        yield all_of_them[begin : begin + CARDS_WRITTEN.limit]


def _put_records(connection: Connection, records: Sequence[CardRecord]) -> None:
    put_rows(connection, tables.cards, [_row_of(record) for record in records])


def _put(connection: Connection, row: Row) -> None:
    put_rows(connection, tables.cards, [row])


def _remove(connection: Connection, key: str) -> None:
    connection.execute(delete(tables.cards).where(tables.cards.c.id_tag == key))


def _read(connection: Connection) -> list[tuple[str, CardRecord | None]]:
    """Every row's key and card, None for one that is not what was written."""
    rows = connection.execute(select(*raw(tables.cards))).mappings()
    return [(str(row["id_tag"]), _record_of(row)) for row in rows]


def _record_of(row: AnyRow) -> CardRecord | None:
    if not intact(tables.cards, row):
        return None
    return msgspec.json.decode(row["document"], type=CardRecord)
