"""The first answers that apps got under their Idempotency-Keys, kept for a time.

An answer is known at once, but written a little later, with all others that came meanwhile: nobody waits for the disk
because of it. A crash in between loses the answer, never what was done: the journal has the key with the effect, and
who asks again is answered with the transaction as it is then.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import msgspec
import structlog
import trio
from sqlalchemy import Connection, delete, func, insert, select, tuple_

from actors import tables
from actors.records import StoreUnavailable
from actors.rows import Row, checked, micros, raw, sealed
from actors.store import Store
from statecharts.bounds import ANSWERS_KEPT, ANSWERS_WAITING, Watermarks
from statecharts.doors import FirstAnswer
from statecharts.limits import ANSWERS_SWEPT, ANSWERS_WRITTEN

WRITE_EVERY_S = 0.5
"""How long an answer may wait for others to be written with."""

SWEEP_EVERY_S = 600.0

log = structlog.get_logger(__name__)

_KEPT = tables.answers.c
_OLDEST_FIRST = _KEPT.at, _KEPT.app, _KEPT.key


@asynccontextmanager
async def open_answers(store: Store, *, kept_s: float, watermarks: Watermarks) -> AsyncIterator[Answers]:
    """Answers kept for `kept_s` seconds, written and removed in the background until the block ends."""
    answers = Answers(store, kept_s, watermarks)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(answers.write_on)
        nursery.start_soon(answers.sweep_on)
        try:
            yield answers
        finally:
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                await answers.flush()


class Answers:
    """`doors.FirstAnswers` over a store; made by `open_answers`."""

    def __init__(self, store: Store, kept_s: float, watermarks: Watermarks) -> None:
        self._store, self._watermarks = store, watermarks
        self._kept_for = timedelta(seconds=kept_s)
        self._waiting: dict[tuple[str, str], tuple[datetime, FirstAnswer]] = {}
        self._woken = trio.Event()

    async def find(self, app: str, key: str) -> FirstAnswer | None:
        """The answer under this key while it is kept. Raises StoreUnavailable, StreamCorrupt for an altered row."""
        waiting = self._waiting.get((app, key))
        if waiting is not None:
            return waiting[1]
        return await self._store.read(_find, app, key, micros(self._store.clock.now() - self._kept_for))

    def keep(self, app: str, key: str, answer: FirstAnswer) -> None:
        """Remembers an answer; see `ANSWERS_WAITING` for when not."""
        self._watermarks.saw(ANSWERS_WAITING, len(self._waiting) + 1)
        if len(self._waiting) < ANSWERS_WAITING.limit:
            self._waiting[app, key] = self._store.clock.now(), answer
            self._woken.set()

    async def flush(self) -> None:
        """Writes what waits to be written, at most `limits.ANSWERS_WRITTEN` in a turn of the writer.

        A store that is away is no reason to fail: what is not written waits on.
        """
        waiting = list(self._waiting.items())
        for first in range(0, len(waiting), ANSWERS_WRITTEN.limit):
            piece = waiting[first : first + ANSWERS_WRITTEN.limit]
            try:
                await self._store.write(_write, [_row(*owner, *kept) for owner, kept in piece])
            except StoreUnavailable as no:
                log.warning("answers.not_written", waiting=len(waiting) - first, cause=str(no))
                return
            for owner, written in piece:
                if self._waiting.get(owner) is written:
                    del self._waiting[owner]

    async def sweep(self) -> int:
        """Removes what is too old, and the oldest of what is too much; how many answers that were."""
        removed = 0
        expired = micros(self._store.clock.now() - self._kept_for)
        while True:
            kept, count = await self._store.write(_remove, expired)
            self._watermarks.saw(ANSWERS_KEPT, kept)
            if not count:
                return removed
            removed += count

    async def write_on(self) -> None:
        """Writes what is kept, until cancelled."""
        while True:
            await self._woken.wait()
            await trio.sleep(WRITE_EVERY_S)
            self._woken = trio.Event()
            await self.flush()
            if self._waiting:
                self._woken.set()

    async def sweep_on(self) -> None:
        """Sweeps every `SWEEP_EVERY_S` seconds, until cancelled."""
        while True:
            try:
                await self.sweep()
            except StoreUnavailable as no:
                log.warning("answers.not_swept", cause=str(no))
            await trio.sleep(SWEEP_EVERY_S)


def _row(app: str, key: str, at: datetime, answer: FirstAnswer) -> Row:
    row = {
        "app": app,
        "key": key,
        "request": answer.request,
        "status": answer.status,
        "headers": msgspec.json.encode(answer.headers),
        "body": answer.body,
        "at": micros(at),
    }
    return sealed(tables.answers, row)


def _find(connection: Connection, app: str, key: str, since: int) -> FirstAnswer | None:
    query = select(*raw(tables.answers)).where(_KEPT.app == app, _KEPT.key == key, _KEPT.at > since)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        return None
    headers = msgspec.json.decode(checked(tables.answers, row)["headers"], type=dict[str, str])
    return FirstAnswer(request=row["request"], status=row["status"], headers=headers, body=row["body"])


def _write(connection: Connection, rows: list[Row]) -> None:
    """An older answer under the same key has expired, else it would have been given."""
    owners = [(row["app"], row["key"]) for row in rows]
    connection.execute(delete(tables.answers).where(tuple_(_KEPT.app, _KEPT.key).in_(owners)))
    connection.execute(insert(tables.answers), rows)


def _remove(connection: Connection, expired: int) -> tuple[int, int]:
    """Removes at most `limits.ANSWERS_SWEPT` of the oldest: those beyond `ANSWERS_KEPT`, else those that have expired.

    How many there were, and how many of them were removed.
    """
    kept = connection.scalar(select(func.count()).select_from(tables.answers)) or 0
    beyond = kept - ANSWERS_KEPT.limit
    oldest = select(_KEPT.app, _KEPT.key).order_by(*_OLDEST_FIRST)
    if beyond <= 0:
        oldest = oldest.where(_KEPT.at <= expired)
    count = min(max(beyond, 0) or ANSWERS_SWEPT.limit, ANSWERS_SWEPT.limit)
    owners = [tuple(owner) for owner in connection.execute(oldest.limit(count))]
    if owners:
        connection.execute(delete(tables.answers).where(tuple_(_KEPT.app, _KEPT.key).in_(owners)))
    return kept, len(owners)
