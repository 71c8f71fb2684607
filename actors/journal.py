"""The journal: what an actor has decided is durable before anybody hears of it.

Append-only, one stream per actor. Appends of all actors wait in one bounded queue; each commit takes all that wait.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from datetime import datetime
from pathlib import Path

import msgspec
import structlog
import trio
from sqlalchemy import Connection, insert, select

from actors import audit, tables
from actors.actor import Reply
from actors.commits import Committer, Outcome
from actors.head import Head, HeadFile, HeadRecord
from actors.histories import Histories
from actors.migrations import require_newest_step
from actors.records import Append, Appended, Fact, History, StoreError, StoreUnavailable, StreamCorrupt
from actors.rows import checked, loss_row, raw
from actors.store import Database, RunSync, Store
from statecharts.bounds import APPENDS_PER_COMMIT, APPENDS_WAITING
from statecharts.meters import Meters
from statecharts.ports import Clock
from statecharts.promises import Promise

WATCH_S = 1.0
"""How soon it is noticed, without anybody writing, that the database is away or back."""

log = structlog.get_logger(__name__)


@asynccontextmanager
async def open_journal(
    where: str | Database,
    *,
    clock: Clock,
    head: Path | HeadRecord | None = None,
    run_sync: RunSync | None = None,
    read_sync: RunSync | None = None,
    meters: Meters | None = None,
) -> AsyncIterator[Journal]:
    """A journal at SQLAlchemy's URL `where` ("sqlite:///data/journal.db"), its tables made or updated, until the block
    ends.

    `head` is the file that says where the journal ends (`<file>.head` beside SQLite's), or what stands for one.
    `run_sync` and `read_sync` are for virtual time, as in `actors.store.Store`; without them the database is used from
    threads. `meters` count the commits. Appends still waiting at the end are refused with StoreUnavailable. Raises
    StoreUnavailable if there can be no database at `where`, StoreTaken if another node has it or takes it later,
    StoreError if a newer release has written it.
    """
    meters = meters or Meters()
    store = Store(where, clock=clock, run_sync=run_sync, read_sync=read_sync, watermarks=meters.watermarks)
    try:
        await store.migrate()
        with _head_file(store, head) as head_file:
            newest = await store.write(_notice_loss, store, head_file, clock.now())
            if head_file and newest.position:
                head_file.write(newest)  # a crash may have left it behind, at a fact that can be archived some day
            journal = Journal(store, Committer(store, head_file, meters.watermarks), meters)
            async with _running(journal):
                yield journal
    finally:
        await store.aclose()


async def check_journal(url: str, *, clock: Clock, head: Path | None = None) -> tuple[StreamCorrupt, ...]:
    """All that is not as it was written; changes nothing, also beside a node that runs. Raises StoreError.

    `head` is as for `open_journal`.
    """
    store = Store(url, clock=clock)
    path = store.database.path
    if path is not None and not path.is_file():
        raise StoreError(f"there is no journal at {path}")
    try:
        with _head_file(store, head) as head_file:
            newest = head_file.read() if head_file else None  # before the snapshot: the journal only grows
        return await store.read(_check, store, newest)
    finally:
        await store.aclose()


def _check(connection: Connection, store: Store, head: Head | None) -> tuple[StreamCorrupt, ...]:
    require_newest_step(connection, repr(store.database))
    return audit.check(connection, head)


@contextmanager
def _head_file(store: Store, head: Path | HeadRecord | None) -> Iterator[HeadRecord | None]:
    file = store.database.path
    if head is None and file is not None:
        head = file.with_name(file.name + ".head")
    if head is None:
        yield None
    else:
        with closing(_opened(head) if isinstance(head, Path) else head) as record:
            yield record


def _opened(path: Path) -> HeadFile:
    try:
        return HeadFile(path)
    except OSError as error:
        raise StoreUnavailable(f"{path} cannot be opened: {error.strerror}") from error


@asynccontextmanager
async def _running(journal: Journal) -> AsyncIterator[None]:
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(journal.run)
        nursery.start_soon(journal.store.watch, WATCH_S)
        try:
            yield
        except Exception as error:  # carried around the nursery, which would wrap it in a group
            failure = error
        finally:
            journal.store.leave()
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


class _Waiting(msgspec.Struct, eq=False):
    append: Append
    done: Reply[Appended] = msgspec.field(default_factory=Reply)
    given_up: bool = False

    def resolve(self, outcome: Outcome) -> None:
        if isinstance(outcome, Appended):
            self.done.set(outcome)
        else:
            self.done.fail(outcome)


class Journal:
    """Appends facts and finds them again. Made by `open_journal`; `store` is shared with the outbox and the ledger."""

    def __init__(self, store: Store, committer: Committer, meters: Meters) -> None:
        self.store, self.meters = store, meters
        self._committer, self._histories = committer, Histories(store)
        store.when_in_doubt = self._refuse_waiting
        self.appended: Callable[[Append], None] = lambda _: None
        """Hears of each append once it is durable."""
        self._sender, self._receiver = trio.open_memory_channel[_Waiting](APPENDS_WAITING.limit)

    def __repr__(self) -> str:
        return f"<Journal {self.store!r}, {self._sender.statistics().current_buffer_used} waiting>"

    async def append(self, append: Append) -> Appended:
        """Makes all of an append durable, and returns once it is; on any error nothing of it was written.

        A cancelled append is whole or absent too; whoever must know loads the stream again. While
        `bounds.APPENDS_WAITING` appends wait, the next ones wait to be let in.

        Raises StreamConflict (the stream does not end at `after_seq`), AliasTaken (an alias, a CDR id or a message id
        belongs to another stream), StoreUnavailable (disk full, database gone: try the same again), StoreError (a
        value that cannot be stored).
        """
        self.store.refuse_in_doubt()
        waiting = _Waiting(append)
        try:
            self._sender.send_nowait(waiting)
        except trio.WouldBlock:
            await self._let_in(waiting)
        except trio.BrokenResourceError:
            raise StoreUnavailable("the journal is closed") from None
        try:
            return await waiting.done.wait()
        finally:
            waiting.given_up = True

    def begin(self, append: Append) -> Promise[Appended]:
        """The same as `append` for whoever has no task to wait in: the promise fails with what that would raise.

        Raises trio.WouldBlock where it would have to wait to be let in, StoreUnavailable at once.
        """
        self.store.refuse_in_doubt()
        waiting = _Waiting(append)
        try:
            self._sender.send_nowait(waiting)
        except trio.BrokenResourceError:
            raise StoreUnavailable("the journal is closed") from None
        return waiting.done

    async def _let_in(self, waiting: _Waiting) -> None:
        try:
            await self._sender.send(waiting)
        except trio.BrokenResourceError:
            raise StoreUnavailable("the journal is closed") from None

    async def load(self, stream: str) -> tuple[Fact, ...]:
        """All facts of a stream in order, none for an unknown one. Raises StreamCorrupt if any of them was altered."""
        return await self.store.read(audit.load, stream)

    async def history(self, stream: str, form: str | None) -> History:
        """The newest snapshot of a stream, if it has this form, and the facts after it; else all facts.

        Raises StreamCorrupt if any of the facts was altered.
        """
        return await self._histories.read(stream, form)

    async def check(self) -> tuple[StreamCorrupt, ...]:
        """Everything in the database that is not as it was written: stream, seq and reason of each. Reads all of it."""
        return await self.store.read(audit.check)

    async def find(self, scope: str, name: str) -> str | None:
        """The stream that has this alias, if one has. Raises StreamCorrupt if the alias was altered."""
        return await self.store.read(_find, scope, name)

    async def newest(self) -> Fact | None:
        """The newest fact of all streams that is as it was written, None where there is none.

        What was altered is for `check`, and for whoever loads that stream.
        """
        try:
            return await self.store.read(audit.newest)
        except StreamCorrupt as error:
            log.error("journal.newest_unknown", reason=str(error))
            return None

    async def live_streams(self, role: str) -> tuple[str, ...]:
        """The streams of all transactions of a role (source, destination, local) that are not final, oldest first."""
        return await self.store.read(_live_streams, role)

    async def streams_in(self, state: str) -> tuple[str, ...]:
        """The streams of all transactions in this state, whatever their role, oldest first."""
        return await self.store.read(_streams_in, state)

    async def run(self) -> None:
        """Commits what waits, until cancelled; then refuses what still does."""
        with self._receiver:
            try:
                async for first in self._receiver:
                    self.meters.watermarks.saw(APPENDS_WAITING, 1 + self._receiver.statistics().current_buffer_used)
                    await self._commit([first, *self._others()])
            finally:
                self._refuse_waiting("the journal is closed")

    async def _commit(self, batch: list[_Waiting]) -> None:
        batch = [waiting for waiting in batch if not waiting.given_up]
        began_at = trio.current_time()
        self.meters.watermarks.saw(APPENDS_PER_COMMIT, len(batch))
        outcomes = await self.store.in_writer(self._committer.commit, [waiting.append for waiting in batch])
        self.meters.journal_commits.saw(trio.current_time() - began_at)
        self.meters.journal_batches.saw(len(batch))
        for waiting, outcome in zip(batch, outcomes, strict=True):
            waiting.resolve(outcome)
            if isinstance(outcome, Appended):
                self.appended(waiting.append)

    def _refuse_waiting(self, cause: str) -> None:
        while others := self._others():
            for waiting in others:
                waiting.resolve(StoreUnavailable(cause))

    def _others(self) -> list[_Waiting]:
        others: list[_Waiting] = []
        while len(others) < APPENDS_PER_COMMIT.limit - 1:
            try:
                others.append(self._receiver.receive_nowait())
            except (trio.WouldBlock, trio.EndOfChannel):
                break
        return others


def _find(connection: Connection, scope: str, name: str) -> str | None:
    aliases = tables.aliases
    query = select(*raw(aliases)).where(aliases.c.scope == scope, aliases.c.name == name)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else str(checked(aliases, row)["stream"])


def _live_streams(connection: Connection, role: str) -> tuple[str, ...]:
    views = tables.transactions.c
    query = select(views.stream).where(views.role == role, tables.UNDER_WAY).order_by(views.created_at, views.stream)
    return tuple(connection.scalars(query))


def _streams_in(connection: Connection, state: str) -> tuple[str, ...]:
    views = tables.transactions.c
    query = select(views.stream).where(views.state == state).order_by(views.created_at, views.stream)
    return tuple(connection.scalars(query))


def _notice_loss(connection: Connection, store: Store, head_file: HeadRecord | None, now: datetime) -> Head:
    """Records for ever that the end of the journal is gone; what comes next would otherwise hide it. Where it ends."""
    head = head_file.read() if head_file else None
    reason = audit.missing_end(connection, head) if head and head.position else None
    if head and reason:
        log.error("journal.cut_off", store=repr(store), reason=reason)
        connection.execute(insert(tables.losses), loss_row(head.position, now, reason))
    return audit.end(connection)
