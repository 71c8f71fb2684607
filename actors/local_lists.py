"""Keeps the local lists of stations equal to the cards of the store: few stations at a time, each by its chart.

What a station took from us last stands in the store, so that a node that comes back sends nothing to one that is up to
date. That row may be older than the truth, after a crash between a station's answer and the disk: then the station
names a version that is not ours, and is sent all anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import structlog
import trio
from sqlalchemy import Connection, select

from actors import tables
from actors.bulk import put_rows
from actors.cards import told
from actors.local_list_turn import Turn
from actors.rows import AnyRow, Row, intact, raw, sealed
from actors.sleepers import Sleepers
from statecharts.card_limits import CARDS_READ, LOCAL_LISTS_SERVED, ROLL_CHANGES
from statecharts.cards import CardRecord, LocalListView, judged
from statecharts.events import DeadlineReached, Event
from statecharts.local_list import (
    CHART,
    CardsChanged,
    LocalList,
    PushList,
    S,
    StationCame,
    StationWent,
    TurnCame,
)
from statecharts.roll import Roll
from statecharts.station_commands import LocalListEntry
from statecharts.vocabulary import Refused, refused

if TYPE_CHECKING:
    from actors.context import Context

SETTLE_S = 5.0
"""How long after it came, or after cards changed, a station is served: until it has booted, and for more to change."""

REVIEW_S = 900.0
"""How often it is looked which cards have become valid, or are valid no more."""

log = structlog.get_logger(__name__)


class LocalLists:
    """The lists of all stations. Without `start` nothing is kept, and every look is answered with 409."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._known: dict[str, LocalList] = {}
        self._kept: dict[str, bytes] = {}
        self._roll = Roll()
        self._queue = Sleepers(context.clock)
        self._serving: set[str] = set()
        self._places = trio.Semaphore(LOCAL_LISTS_SERVED.limit)
        self._changed = trio.Event()
        self._on = False

    def __repr__(self) -> str:
        return f"<LocalLists {self._roll!r}, {len(self._known)} stations, {len(self._serving)} served>"

    async def start(self) -> None:
        """Begins to keep them. Raises `Refused` (503)."""
        for station, document in await self._context.journal.store.read(_read):
            self._known[station] = msgspec.json.decode(document, type=LocalList)
            self._kept[station] = document
        self._context.cards.on_change.append(self._cards_changed)
        self._on = True
        self._context.system.spawn(self._begin)

    async def _begin(self) -> None:
        """Nobody is sent anything before all cards have been looked at."""
        await self._review()
        for work in (self._serve_all, self._spread_changes, self._keep_reviewing):
            self._context.system.spawn(work)

    # -- what happens --------------------------------------------------------------------------------------------------

    def came(self, station: str) -> None:
        if self._on:
            self.step(station, StationCame(at=self._context.clock.now()))

    def went(self, station: str) -> None:
        if self._on:
            self.step(station, StationWent(at=self._context.clock.now()))

    def push(self, station: str) -> None:
        """All of it anew. Raises `Refused` (409) for a station that is away."""
        self._check_on()
        self.step(station, PushList(at=self._context.clock.now()))

    def view(self, station: str) -> LocalListView:
        """Raises `Refused` (409) where lists are not kept."""
        self._check_on()
        data = self._known.get(station, LocalList())
        shown = {name: getattr(data, name) for name in ("state", "version", "failures", "tried_at", "cause")}
        until = data.until and self._context.clock.shown(data.until)
        return LocalListView(**shown, station=station, told_version=data.told, cards=len(self._roll), until=until)

    def _check_on(self) -> None:
        if not self._on:
            raise refused(409, "local-lists-off", "local lists are not kept: `ocpp.local_lists` is off")

    def step(self, station: str, event: Event) -> LocalList:
        """What the chart makes of it. Raises `Refused` where that refuses."""
        before = self._known.get(station, LocalList())
        decision = CHART.step(before, self._context.clock.stamped(event))
        if decision.refusal is not None:
            raise Refused(decision.refusal)
        data = self._known[station] = decision.data
        if data.state != before.state:
            states = {"from_state": before.state, "to_state": data.state}
            log.info("local_list.state", station=station, cause=data.cause, **states)
            if station not in self._serving:
                self._line_up(station)
        return data

    # -- one station after the other -----------------------------------------------------------------------------------

    def _line_up(self, station: str) -> None:
        data = self._known[station]
        if data.state == S.WAITING:
            self._queue.put(station, self._context.clock.now() + timedelta(seconds=SETTLE_S))
        elif data.state == S.FAILED and data.until is not None:
            self._queue.put(station, data.until)

    async def _serve_all(self) -> None:
        """Runs for ever."""
        while True:
            await self._queue.until_due()
            await self._places.acquire()
            station = self._queue.due()
            if station is None:
                self._places.release()
                continue
            self._queue.take(station)
            self._serving.add(station)
            self._context.watermarks.saw(LOCAL_LISTS_SERVED, len(self._serving))
            self._context.system.spawn(self._serve, station)

    async def _serve(self, station: str) -> None:
        try:
            now = self._context.clock.now()
            if self._known[station].state == S.FAILED:
                self.step(station, DeadlineReached(at=now))
            if self._known[station].state == S.WAITING:
                self.step(station, TurnCame(at=now))
                await Turn(station, self._context, self._roll, self._known[station], self.step).take()
            await self._keep(station)
        finally:
            self._serving.discard(station)
            self._places.release()
            self._look_again(station)
            self._line_up(station)

    def _look_again(self, station: str) -> None:
        """Cards may have changed while it was served."""
        data = self._known[station]
        if data.state == S.IN_STEP and data.content.partition("/")[0] != self._roll.content:
            self.step(station, CardsChanged(at=self._context.clock.now()))

    async def _keep(self, station: str) -> None:
        """Writes down what it has, if that is not what stands there. It is away in the store, whatever it is now."""
        data = self._known[station]
        document = msgspec.json.encode(LocalList(version=data.version, content=data.content, told=data.told))
        if self._kept.get(station) != document:
            await self._context.journal.store.write(_put, sealed(tables.local_lists, _row(station, document)))
            self._kept[station] = document

    # -- what they should have -----------------------------------------------------------------------------------------

    def _cards_changed(self, changed: Iterable[tuple[str, CardRecord | None]]) -> None:
        for key, card in changed:
            self._roll.set(key, self._entry(card))
        self._context.watermarks.saw(ROLL_CHANGES, self._roll.changes)
        self._changed.set()

    def _entry(self, card: CardRecord | None) -> LocalListEntry | None:
        """A card that may charge now; any other is not in the list, and the station asks about it."""
        if card is None or not (verdict := judged(card, self._context.clock.wall())).allowed:
            return None
        return LocalListEntry(id_tag=card.id_tag, id_tag_info=told(verdict))

    async def _spread_changes(self) -> None:
        """Runs for ever: some time after a change all stations that are at rest have their turn again."""
        while True:
            await self._changed.wait()
            await trio.sleep(SETTLE_S)
            self._changed = trio.Event()
            for number, station in enumerate(tuple(self._known)):
                if station not in self._serving:
                    self._look_again(station)
                    self._again_if_refused(station)
                if number % CARDS_READ.limit == 0:
                    await trio.lowlevel.checkpoint()

    def _again_if_refused(self, station: str) -> None:
        if self._known[station].state == S.REFUSED:
            self.step(station, CardsChanged(at=self._context.clock.now()))

    async def _keep_reviewing(self) -> None:
        """Runs for ever."""
        while True:
            await trio.sleep(REVIEW_S)
            await self._review()

    async def _review(self) -> None:
        """Looks at every card again: time alone lets some begin, and others end."""
        before = self._roll.content
        for number, key in enumerate(self._context.cards.keys()):
            self._roll.set(key, self._entry(self._context.cards.find(key)))
            if number % CARDS_READ.limit == 0:
                await trio.lowlevel.checkpoint()
        if self._roll.content != before:
            self._changed.set()


# -- rows --------------------------------------------------------------------------------------------------------------


def _row(station: str, document: bytes) -> Row:
    return {"station": station, "document": document}


def _put(connection: Connection, row: Row) -> None:
    put_rows(connection, tables.local_lists, [row])


def _read(connection: Connection) -> list[tuple[str, bytes]]:
    """What stations have, but for rows that are not what was written: those stations are sent all anew."""
    rows = connection.execute(select(*raw(tables.local_lists))).mappings()
    return [_station_of(row) for row in rows if intact(tables.local_lists, row)]


def _station_of(row: AnyRow) -> tuple[str, bytes]:
    return str(row["station"]), bytes(row["document"])
