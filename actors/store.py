"""The database behind the journal: connections with the right settings, one writer, readers beside it, clear errors.

SQLite runs in WAL mode with synchronous=FULL: a commit is on the disk when it returns, and readers never wait for the
writer. All SQLAlchemy work is synchronous and runs in threads, or inline where virtual time must not pass beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import structlog
import trio
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InterfaceError, ProgrammingError
from sqlalchemy.pool import StaticPool

from actors.migrations import migrate
from actors.records import StoreUnavailable
from statecharts.ports import Clock

READERS_MAX = 4
BUSY_TIMEOUT_MS = 5_000
WAL_KEPT_BYTES_MAX = 64 * 1024 * 1024

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


class Store:
    """One database: a single writer and `READERS_MAX` readers, each with connections of their own.

    `url` is SQLAlchemy's: "sqlite:///data/journal.db", or "sqlite://" in memory, where readers share the writer's
    connection and its turns. `run_sync` runs all work; without it the work runs in threads.
    """

    def __init__(self, url: str, *, clock: Clock, run_sync: RunSync | None = None) -> None:
        self.clock = clock
        self.path = _path_of(url)
        self._volatile = make_url(url).get_backend_name() == "sqlite" and self.path is None
        self.writer = _engine(url, "BEGIN IMMEDIATE", self._volatile)
        self.reader = self.writer if self._volatile else _engine(url, "BEGIN", False, query_only=True)
        self._run_writer = run_sync or _in_threads(1)
        self._troubled = False
        self._run_reader = run_sync or (self._run_writer if self._volatile else _in_threads(READERS_MAX))

    def __repr__(self) -> str:
        return f"<Store {self.path or self.writer.url.render_as_string()}>"

    async def migrate(self) -> None:
        """Makes or updates the tables. Raises StoreUnavailable, or StoreError for a database of a newer release."""
        await self.write(migrate)

    async def read(self, work: Callable[..., T], *args: Any) -> T:
        """What `work(connection, *args)` returns, on one unchanging snapshot. Raises StoreUnavailable."""
        return await self._run_reader(self._reading, work, *args)

    async def write(self, work: Callable[..., T], *args: Any) -> T:
        """What `work(connection, *args)` returns, once all it wrote is durable. Raises StoreUnavailable: none of it is.

        Not stopped by cancellation once it has begun to wait for its turn.
        """
        return await self.in_writer(self._writing, work, *args)

    async def in_writer(self, work: Callable[..., T], *args: Any) -> T:
        """Runs `work(*args)` where the writer runs, after what was there before it; cancellation does not stop it."""
        with _uncancelled():
            return await self._run_writer(work, *args)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """For work inside the writer: one transaction, durable when the block ends. Raises StoreUnavailable."""
        try:
            with self.writer.begin() as connection:
                yield connection
            self._note(None)
        except DRIVER_ERRORS as error:
            if not is_outage(error):
                raise
            self._reopen()
            self._note(cause(error))
            raise StoreUnavailable(f"nothing was written: {cause(error)}") from error

    async def aclose(self) -> None:
        """Closes all connections; what was committed stays."""
        await self.in_writer(self._dispose)

    def _dispose(self) -> None:
        self.reader.dispose()
        self.writer.dispose()

    def _reading(self, work: Callable[..., T], *args: Any) -> T:
        try:
            with self.reader.connect() as connection:
                return work(connection, *args)
        except DRIVER_ERRORS as error:
            raise StoreUnavailable(f"cannot be read: {cause(error)}") from error

    def _writing(self, work: Callable[..., T], *args: Any) -> T:
        with self.transaction() as connection:
            return work(connection, *args)

    def _note(self, trouble: str | None) -> None:
        if trouble and not self._troubled:
            log.error("store.unavailable", store=repr(self), cause=trouble)
        elif self._troubled and not trouble:
            log.warning("store.available_again", store=repr(self))
        self._troubled = trouble is not None

    def _reopen(self) -> None:
        # After a failed write or fsync nobody knows what the connection's pages hold: begin again from the file.
        if not self._volatile:
            self.writer.dispose()


def cause(error: Exception) -> str:
    """What the driver said, without SQLAlchemy's words around it."""
    return str(error.orig if isinstance(error, DBAPIError) else error)


def is_outage(error: Exception) -> bool:
    """Whether the database failed (full, gone, damaged), and not what was asked of it."""
    if isinstance(error, IntegrityError | DataError | ProgrammingError | InterfaceError):
        return False
    return isinstance(error, DRIVER_ERRORS)


@contextmanager
def _uncancelled() -> Iterator[None]:
    with trio.CancelScope(shield=True):
        yield


def _in_threads(count: int) -> RunSync:
    return partial(trio.to_thread.run_sync, limiter=trio.CapacityLimiter(count))


def _path_of(url: str) -> Path | None:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        return None
    return Path(str(parsed.database))


def _engine(url: str, begin: str, volatile: bool, *, query_only: bool = False) -> Engine:
    if make_url(url).get_backend_name() != "sqlite":
        return create_engine(url, pool_size=READERS_MAX)
    arguments = {"check_same_thread": False, "isolation_level": None}
    if volatile:
        engine = create_engine(url, connect_args=arguments, poolclass=StaticPool)
    else:
        engine = create_engine(url, connect_args=arguments, pool_size=READERS_MAX)
    event.listen(engine, "connect", partial(_prepare, query_only=query_only))
    event.listen(engine, "begin", partial(_begin, begin))
    return engine


def _prepare(connection: Any, _record: object, *, query_only: bool) -> None:
    # Damaged text must reach the checksum that rejects it, not stop the whole query.
    connection.text_factory = partial(str, encoding="utf-8", errors="replace")
    for pragma in (
        f"busy_timeout={BUSY_TIMEOUT_MS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        f"journal_size_limit={WAL_KEPT_BYTES_MAX}",
        "cell_size_check=ON",
        "trusted_schema=OFF",
        f"query_only={int(query_only)}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin(statement: str, connection: Connection) -> None:
    connection.exec_driver_sql(statement)
