"""SQLite as the store's database: one file, or the memory of this process.

It runs in WAL mode with synchronous=FULL: a commit is on the disk when it returns, and readers never wait for the
writer.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from statecharts.bounds import STORE_READERS
from statecharts.limits import WAL_KEPT

BUSY_TIMEOUT_MS = 5_000


class SqliteDatabase:
    """A file, or a database in memory, where readers share the writer's connection and its turns."""

    remote = False

    def __init__(self, url: str) -> None:
        self.path = path_of(url)
        self.in_memory = self.path is None
        self.writer = _engine(url, "BEGIN IMMEDIATE", self.in_memory)
        self.reader = self.writer if self.in_memory else _engine(url, "BEGIN", False, query_only=True)

    def __repr__(self) -> str:
        return str(self.path or self.writer.url)

    def mark(self, _: Connection) -> None:
        """No question is left open: a commit that fails in the file of this process alone has failed."""

    def begin_again(self) -> None:
        """The writer leaves, but never as the last of all, which would leave its log to be read from the beginning.

        What could not be synced may be whole in there: whoever comes next would find what was told to have failed.
        """
        if not self.in_memory:
            with suppress(DBAPIError), self.reader.connect():
                pass  # from now on the pool keeps it
            self.writer.dispose()

    def hurry(self) -> None:
        """Nobody is waited for who could be away."""


def path_of(url: str) -> Path | None:
    """The file of SQLite's `url`; None for a database in memory, one that others of this process share among them."""
    parts = make_url(url)
    in_memory = parts.database in (None, "", ":memory:") or parts.query.get("vfs") == "memdb"
    return None if in_memory else Path(str(parts.database))


def _engine(url: str, begin: str, in_memory: bool, *, query_only: bool = False) -> Engine:
    arguments = {"check_same_thread": False, "isolation_level": None}
    if in_memory:
        engine = create_engine(url, connect_args=arguments, poolclass=StaticPool)
    else:
        engine = create_engine(url, connect_args=arguments, pool_size=STORE_READERS.limit)
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
        f"journal_size_limit={WAL_KEPT.limit}",
        "cell_size_check=ON",
        "trusted_schema=OFF",
        f"query_only={int(query_only)}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin(statement: str, connection: Connection) -> None:
    connection.exec_driver_sql(statement)
