"""The cards of the store: looked up in memory, changed on the disk first.

What the store says of an idTag stands; one that it does not know is asked of the identity service, which has the
cards of the configuration.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from datetime import datetime
from itertools import islice

import msgspec
import structlog
import trio
from sqlalchemy import Connection, delete, select

from actors import tables
from actors.bulk import put_rows
from actors.cursors import cursor_of, page_of, place_of
from actors.node_clock import NodeClock
from actors.rows import AnyRow, Row, intact, micros, raw, sealed
from actors.store import Store
from statecharts.bounds import CARDS, Watermarks
from statecharts.cards import Card, CardFilter, CardRecord, card_key, judged
from statecharts.ports import IdentityService, Page, UserCheck
from statecharts.station_vocabulary import IdTagInfo, IdTagStatus
from statecharts.vocabulary import refused

DAMAGED = "its row in the store is damaged: say again what it is"

log = structlog.get_logger(__name__)


class Cards:
    """All cards of a node's store, before those of its `identity` service. `load` has to be awaited first."""

    def __init__(self, store: Store, clock: NodeClock, identity: IdentityService, watermarks: Watermarks) -> None:
        self._store, self._clock, self._identity, self._watermarks = store, clock, identity, watermarks
        self._known: dict[str, CardRecord] = {}
        self._order: list[str] = []
        self._changing = trio.Lock()

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

    def page(self, wanted: CardFilter, *, cursor: str | None, limit: int) -> Page[CardRecord]:
        """Cards by their idTags, whose case means nothing."""
        begin = bisect_right(self._order, str(place_of(cursor, "cards", str)[0])) if cursor is not None else 0
        rest = (self._known[key] for key in islice(self._order, begin, None))
        found = list(islice(filter(wanted.takes, rest), limit + 1))
        return page_of(found, limit, lambda last: cursor_of("cards", last.key), lambda card: card)

    async def put(self, card: Card, by: str) -> CardRecord:
        """The card as it stands, durable. Raises `Refused`: 503 with nothing changed, 429 for one too many."""
        async with self._changing:
            known = self._known.get(card_key(card.id_tag))
            if known is not None and known.says(card):
                return known
            if known is None:
                self._check_room()
            told = msgspec.structs.asdict(card)
            record = CardRecord(**told, changed_at=self._clock.wall(), changed_by=by)
            await self._store.write(_put, _row_of(record))
            if known is None:
                insort(self._order, record.key)
            self._known[record.key] = record
            return record

    async def remove(self, id_tag: str) -> None:
        """Forgets a card, durably. Raises `Refused`: 404 where there is none, 503 with nothing changed."""
        async with self._changing:
            key = self.card(id_tag).key
            await self._store.write(_remove, key)
            del self._known[key]
            del self._order[bisect_left(self._order, key)]

    def _check_room(self) -> None:
        if len(self._known) >= CARDS.limit:
            raise refused(429, "too-many-cards", f"there are {len(self._known)} cards, the most is that")
        self._watermarks.saw(CARDS, len(self._known) + 1)


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
