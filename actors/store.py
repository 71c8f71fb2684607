"""The database behind the journal: one writer, readers beside it, clear errors, and the truth about every commit.

What a database is like in particular stands in `sqlite.py` and `postgresql.py`. All SQLAlchemy work is synchronous and
runs in threads, or inline where virtual time must not pass beside it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import structlog
import trio
from sqlalchemy import Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError, InterfaceError, ProgrammingError

from actors.migrations import STEP_TABLE, Migrated, migrate
from actors.records import StoreError, StoreUnavailable
from actors.sqlite import SqliteDatabase
from statecharts.bounds import STORE_READERS, Watermarks
from statecharts.ports import Clock

RECONNECT_S = 0.5
"""Pause between two attempts to reach a database that is away."""

# SQLite quotes a damaged schema in its messages, and Python's driver cannot decode them.
DRIVER_ERRORS = (DBAPIError, UnicodeDecodeError)

T = TypeVar("T")
log = structlog.get_logger(__name__)


class RunSync(Protocol):
    """Where blocking work runs: `trio.to_thread.run_sync`, or `run_inline`."""

    async def __call__(self, work: Callable[..., T], *args: Any) -> T: ...


async def run_inline(work: Callable[..., T], *args: Any) -> T:
    """Runs the work here and now: under a virtual clock, which would run ahead while a thread is busy."""
    await trio.lowlevel.checkpoint()
    return work(*args)


class Database(Protocol):
    """One kind of database. `path` is its file, if it is one; a `remote` one may go away and come back."""

    @property
    def path(self) -> Path | None: ...
    @property
    def in_memory(self) -> bool: ...
    @property
    def remote(self) -> bool: ...
    @property
    def writer(self) -> Engine: ...
    @property
    def reader(self) -> Engine: ...

    def mark(self, connection: Connection) -> Callable[[Connection], bool] | None:
        """A question for a later connection: was this transaction committed? None where a failed commit has failed."""

    def begin_again(self) -> None:
        """After a failed write or fsync nobody knows what the writer's pages hold: it reads them anew."""

    def hurry(self) -> None:
        """The node ends: an answer that does not come soon is waited for no longer."""


def database_at(url: str) -> Database:
    """The database at SQLAlchemy's `url`: "sqlite:///data/journal.db", "postgresql+psycopg://user@host/name".

    Raises StoreError for any other.
    """
    try:
        kind = make_url(url).drivername
    except ArgumentError:
        kind = None
    if kind == "sqlite":
        return SqliteDatabase(url)
    if kind not in ("postgresql", "postgresql+psycopg"):
        raise StoreError("a database is named sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME")
    from actors.postgresql import PostgresDatabase  # with its driver, which a node on SQLite does not wait for

    return PostgresDatabase(url)


class Store:
    """One database: a single writer and some readers, each with connections of their own.

    `where` is SQLAlchemy's URL: "sqlite:///data/journal.db"; "sqlite://" in memory, where readers share the writer's
    connection and its turns; "postgresql+psycopg://...", which no two stores can write to at a time; or a database.
    `run_sync` runs all work, but for reads where there is a `read_sync`; without it the work runs in threads.
    `trouble` says why the database cannot be reached, if it cannot;
    `when_in_doubt` is told why, when the writer begins to find out what became of a commit and writes nothing else.
    """

    def __init__(
        self,
        where: str | Database,
        *,
        clock: Clock,
        run_sync: RunSync | None = None,
        read_sync: RunSync | None = None,
        watermarks: Watermarks | None = None,
    ) -> None:
        self.clock = clock
        self._watermarks = watermarks or Watermarks()
        self._reads = 0
        self.database = database_at(where) if isinstance(where, str) else where
        self.trouble: str | None = None
        self.when_in_doubt: Callable[[str], None] = lambda _: None
        self._in_doubt = False
        self._leaving = threading.Event()
        self._run_writer = run_sync or _in_threads(1)
        shared = self._run_writer if self.database.in_memory else _in_threads(STORE_READERS.limit)
        self._run_reader = read_sync or run_sync or shared

    def __repr__(self) -> str:
        return f"<Store {self.database!r}>"

    async def migrate(self) -> Migrated:
        """Makes or updates the tables. Raises StoreUnavailable, or StoreError for a database of a newer release."""
        return await self.in_writer(self._migrating)

    async def read(self, work: Callable[..., T], *args: Any) -> T:
        """What `work(connection, *args)` returns, on one unchanging snapshot. Raises StoreUnavailable.

        The work may be done twice: a connection may have died since it was last used.
        """
        self._reads += 1
        self._watermarks.saw(STORE_READERS, min(self._reads, STORE_READERS.limit))
        try:
            return await self._run_reader(self._reading, work, *args)
        finally:
            self._reads -= 1

    async def write(self, work: Callable[..., T], *args: Any) -> T:
        """What `work(connection, *args)` returns, once all it wrote is durable. Raises StoreUnavailable: none of it is.

        Not stopped by cancellation once it has begun to wait for its turn.
        """
        self.refuse_in_doubt()
        return await self.in_writer(self._writing, work, *args)

    async def prove_writable(self) -> None:
        """Returns if the writer can be used; after a failure, once it writes again. Raises StoreUnavailable."""
        await self.write(self._prove)

    async def in_writer(self, work: Callable[..., T], *args: Any) -> T:
        """Runs `work(*args)` where the writer runs, after what was there before it; cancellation does not stop it."""
        with _uncancelled():
            return await self._run_writer(work, *args)

    def refuse_in_doubt(self) -> None:
        """Raises StoreUnavailable while the writer is finding out what became of its last commit, however long."""
        if self._in_doubt:
            raise StoreUnavailable(f"nothing was written: {self.trouble}")

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """For work inside the writer: one transaction, durable when the block ends. Raises StoreUnavailable: it is not.

        Where the connection is lost during the commit it returns or raises once it is known which of them is true.
        """
        was_committed: Callable[[Connection], bool] | None = None
        try:
            with self.database.writer.begin() as connection:
                mark = self.database.mark(connection)
                yield connection
                was_committed = mark
        except DRIVER_ERRORS as error:
            if not is_outage(error):
                raise
            self._lost(error)
            if was_committed is None or not self._find_out(was_committed):
                raise StoreUnavailable(f"nothing was written: {cause(error)}") from error
        self._note(None)

    async def watch(self, every_s: float) -> None:
        """Looks whether a remote database is there, until cancelled: `trouble` says why not, also when nobody writes.

        Raises StoreTaken once another node has taken it while it was away from us.
        """
        while self.database.remote:
            await self.in_writer(self._look)
            await trio.sleep(every_s)

    def leave(self) -> None:
        """Ends all waiting for a database that is away or silent: what is not known by now stays unknown."""
        self._leaving.set()
        self.database.hurry()

    async def aclose(self) -> None:
        """Closes all connections; what was committed stays."""
        self.leave()
        await self.in_writer(self._dispose)

    def _dispose(self) -> None:
        self.database.reader.dispose()
        self.database.writer.dispose()

    # -- in threads ----------------------------------------------------------------------------------------------------

    def _migrating(self) -> Migrated:
        try:
            with self.database.writer.begin() as connection:
                return migrate(connection)
        except DRIVER_ERRORS as error:
            raise StoreUnavailable(f"cannot be opened: {cause(error)}") from error

    def _reading(self, work: Callable[..., T], *args: Any) -> T:
        try:
            try:
                return self._read_once(work, *args)
            except DBAPIError as error:
                if self._leaving.is_set() or not (self.database.remote and is_disconnect(error)):
                    raise
                self.database.reader.dispose()
                return self._read_once(work, *args)
        except DRIVER_ERRORS as error:
            raise StoreUnavailable(f"cannot be read: {cause(error)}") from error

    def _read_once(self, work: Callable[..., T], *args: Any) -> T:
        with self.database.reader.connect() as connection:
            return work(connection, *args)

    def _writing(self, work: Callable[..., T], *args: Any) -> T:
        with self.transaction() as connection:
            return work(connection, *args)

    def _find_out(self, was_committed: Callable[[Connection], bool]) -> bool:
        """The answer, as soon as there is a connection to ask. Raises StoreUnavailable once it is time to leave."""
        log.error("store.in_doubt", store=repr(self), cause=self.trouble)
        self._in_doubt = True
        trio.from_thread.run_sync(self.when_in_doubt, f"nothing was written: {self.trouble}")
        try:
            while True:
                try:
                    with self.database.writer.connect() as connection:
                        answer = was_committed(connection)
                    log.warning("store.doubt_resolved", store=repr(self), committed=answer)
                    return answer
                except (StoreUnavailable, *DRIVER_ERRORS) as error:
                    self._lost(error)
                if self._leaving.wait(RECONNECT_S):
                    raise StoreUnavailable("the node ends before it is known whether this was written")
        finally:
            self._in_doubt = False

    def _look(self) -> None:
        try:
            with self.database.writer.connect() as connection:
                self._prove(connection)
                if self.trouble:
                    connection.commit()  # nothing less shows that it can
            self._note(None)
        except (StoreUnavailable, *DRIVER_ERRORS) as error:
            self._lost(error)

    def _prove(self, connection: Connection) -> None:
        # A full disk still begins and commits what writes nothing. This row is always there, and stays as it is.
        connection.exec_driver_sql(f"UPDATE {STEP_TABLE} SET version_num = version_num" if self.trouble else "SELECT 1")

    def _lost(self, error: Exception) -> None:
        self.database.begin_again()
        self._note(cause(error))

    def _note(self, trouble: str | None) -> None:
        if trouble and not self.trouble:
            log.error("store.unavailable", store=repr(self), cause=trouble)
        elif self.trouble and not trouble:
            log.warning("store.available_again", store=repr(self))
        self.trouble = trouble


def cause(error: Exception) -> str:
    """What the driver said, in one line and without SQLAlchemy's words around it."""
    said = str(error.orig if isinstance(error, DBAPIError) else error)
    return " ".join(said.split())


def sqlstate(error: Exception) -> str | None:
    """The server's own code of an error (SQL standard, five characters), if a server has said anything."""
    return getattr(error.orig if isinstance(error, DBAPIError) else error, "sqlstate", None)


def is_outage(error: Exception) -> bool:
    """Whether the database failed (full, gone, damaged, not letting us), and not what was asked of it."""
    if isinstance(error, ProgrammingError) and sqlstate(error):
        return True  # a server that refuses what is always asked alike: the rights of our user, or a missing table
    if isinstance(error, IntegrityError | DataError | ProgrammingError | InterfaceError):
        return False
    return isinstance(error, DRIVER_ERRORS)


def is_disconnect(error: DBAPIError) -> bool:
    """Whether a connection died, so that another one may do better. A server that ends says so (class 57P)."""
    return error.connection_invalidated or (sqlstate(error) or "").startswith("57P")


def is_damage(error: Exception) -> bool:
    """Whether the database itself has found that it cannot be right."""
    return "malformed" in cause(error) or sqlstate(error) in ("XX001", "XX002")


@contextmanager
def _uncancelled() -> Iterator[None]:
    with trio.CancelScope(shield=True):
        yield


def _in_threads(count: int) -> RunSync:
    return partial(trio.to_thread.run_sync, limiter=trio.CapacityLimiter(count))
