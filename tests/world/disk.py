"""The disk of one node: SQLite's own code on memory of this process, which outlives whoever writes it.

What is written is durable once its transaction has committed: SQLite syncs then. A node may die before that, and
nothing was written; or after it, and nobody has heard of it. One that tells SQLite not to sync loses in a crash what it
wrote in that life. At rest the disk can be damaged: a bit, or its newest end.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, closing
from functools import cache, partial
from itertools import count
from typing import Any, ClassVar, TypeVar

import trio
from sqlalchemy import event

from actors import audit
from actors.head import Head
from actors.journal import Journal, open_journal
from actors.migrations import migrate
from actors.records import StoreUnavailable
from actors.sqlite import SqliteDatabase
from tests.world.ground import Dead, Ground, Life
from tests.world.history import CommitFailed, Committed, RowDamaged, Rows, RowsLost, read_tables

T = TypeVar("T")

_FULL = 2
"""`PRAGMA synchronous`: 0 OFF, 1 NORMAL, 2 FULL, 3 EXTRA."""

HEADS_KEPT = 10

_NEW_ROWS = "SELECT position, stream, seq, type, from_state, to_state, data FROM journal WHERE position > ? ORDER BY 1"
_UNSETTLED = """
    SELECT (SELECT count(*) FROM transactions WHERE final = 0),
           (SELECT count(*) FROM deliveries WHERE status = 'pending')
"""


class Memory:
    """A database in memory that stays for as long as this process does. One world after the other uses it: SQLAlchemy
    compiles each statement once for it, which costs more than a world's commits.
    """

    _numbers = count(1)
    _free: ClassVar[list[Memory]] = []

    def __init__(self) -> None:
        self.error: sqlite3.Error | None = None
        self.database = SqliteDatabase("sqlite:///file:/roamnode-world?vfs=memdb&uri=true")
        event.listen(self.database.writer, "do_connect", self._connected)
        event.listen(self.database.writer, "do_execute", self._fail_if_told)
        event.listen(self.database.writer, "do_executemany", self._fail_if_told)
        self.connection = sqlite3.connect(":memory:")

    @property
    def syncs(self) -> bool:
        """Whether a commit is synced before it returns, as the node has told SQLite."""
        with self.database.writer.connect() as connection:
            return int(connection.exec_driver_sql("PRAGMA synchronous").scalar_one()) >= _FULL

    @classmethod
    def taken(cls) -> Memory:
        """One that nobody uses."""
        return cls._free.pop() if cls._free else cls()

    def give_back(self) -> None:
        self.database.writer.dispose()
        self._free.append(self)

    def restore(self, image: bytes) -> None:
        """Makes it what this image of a database is, under a name of its own: an error that was raised while rows were
        read holds the old one locked until its frames are collected.
        """
        self.database.writer.dispose()
        self._file = f"file:/roamnode-world-{next(self._numbers)}?vfs=memdb"
        self.connection.close()
        self.connection = sqlite3.connect(self._file, uri=True, isolation_level=None)
        with closing(sqlite3.connect(":memory:")) as whole:
            whole.deserialize(image)
            whole.backup(self.connection)

    def _connected(self, _dialect: object, _record: object, _url: object, options: dict[str, Any]) -> Any:
        return sqlite3.connect(self._file, **options)

    def _fail_if_told(self, cursor: object, statement: str, parameters: object, context: object) -> None:
        if self.error is not None and not statement.startswith(("SELECT", "BEGIN", "PRAGMA", "ROLLBACK")):
            raise self.error


class Disk:
    """A disk and its head record, empty but for the tables; `open` lets one life of the node write on it."""

    def __init__(self, ground: Ground, node: str) -> None:
        self._ground, self._node = ground, node
        self._memory = Memory.taken()
        self._heads: deque[Head | None] = deque([None], maxlen=HEADS_KEPT)
        self._images: deque[bytes] = deque(maxlen=ground.faults.images_kept)
        self._seen = 0
        self._version: object = None
        self._memory.restore(empty_image())

    def __repr__(self) -> str:
        return f"<Disk of {self._node}, journal to {self._seen}>"

    def close(self) -> None:
        """Gives its memory back."""
        self._memory.give_back()

    # -- for the node --------------------------------------------------------------------------------------------------

    def open(self, life: Life, **more: Any) -> AbstractAsyncContextManager[Journal]:
        """The node's journal on this disk, as long as this life lasts. `more` as for `open_journal`."""
        self._forget_readers()
        if not self._memory.syncs:
            life.cuts.append(partial(self._lose, life, self._connection.serialize()))
        writes, reads, head = _Writes(self, self._memory, life), partial(_read, life), _HeadOfLife(self, life)
        return open_journal(self._memory.database, head=head, run_sync=writes, read_sync=reads, **more)

    def _forget_readers(self) -> None:
        """Whatever the life before was reading is gone with its process: an error of it that is not collected yet would
        hold the memory locked, and let the next life wait in SQLite, in real time, again and again.
        """
        self.written()
        self._memory.restore(self._connection.serialize())
        self._version = self._data_version()

    def _data_version(self) -> object:
        return self._connection.execute("PRAGMA data_version").fetchone()

    def written(self) -> None:
        """Something may have been written: shows the rows that the journal has got."""
        before, self._version = self._version, self._data_version()
        if self._version == before:
            return
        if self._images.maxlen:
            self._images.append(self._connection.serialize())
        for position, stream, seq, kind, from_state, to_state, data in self._connection.execute(
            _NEW_ROWS, (self._seen,)
        ):
            self._seen = position
            self._ground.saw(
                Committed,
                self._node,
                position=position,
                stream=stream,
                seq=seq,
                type=kind,
                from_state=from_state,
                to_state=to_state,
                data=data.decode(errors="replace"),
            )

    # -- for the world -------------------------------------------------------------------------------------------------

    @property
    def unsettled(self) -> tuple[int, int]:
        """How many transactions are not over, and how many messages are owed."""
        transactions, deliveries = self._connection.execute(_UNSETTLED).fetchone()
        return transactions, deliveries

    def tables(self) -> dict[str, Rows]:
        """All rows, as plain values."""
        found = read_tables(self._connection)
        self._connection.text_factory = str
        return found

    def problems(self) -> tuple[str, ...]:
        """What `node.py check-journal` says of it."""
        with self._memory.database.writer.connect() as connection:
            return tuple(map(str, audit.check(connection, self._heads[-1])))

    def flip_bit(self, table: str, column: str, nth: int) -> bool:
        """Alters one bit of a value at rest: the `nth` row's of a table from its end. Whether there was one."""
        rows = self._connection.execute(f"SELECT rowid, * FROM {table} ORDER BY rowid DESC LIMIT 1 OFFSET ?", (nth,))
        names, row = [name for name, *_ in rows.description], rows.fetchone()
        if row is None:
            return False
        found = dict(zip(names, row, strict=True))
        self._connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (_flipped(found[column]), row[0]))
        stream = found.get("stream") or found.get("transaction") or ""
        self._ground.saw(RowDamaged, self._node, table=table, key=str(row[0]), stream=str(stream))
        return True

    def cut(self, commits: int) -> bool:
        """Takes back the newest commits of a node that is dead, as a file does that was cut. Whether there were any.

        Needs `Faults.images_kept` of one more. The head record keeps what it has.
        """
        if len(self._images) <= commits:
            return False
        for _ in range(commits):
            self._images.pop()
        self._go_back_to(self._images[-1])
        self._ground.saw(RowsLost, self._node, position=self._seen)
        return True

    def lose_head(self, writes: int) -> None:
        """Takes back the newest writes of the head record, which nobody syncs, after a failure of the host's power."""
        for _ in range(min(writes, len(self._heads) - 1)):
            self._heads.pop()

    def _lose(self, life: Life, durable: bytes) -> None:
        if life.crashed:
            self._go_back_to(durable)

    def _go_back_to(self, image: bytes) -> None:
        self._memory.restore(image)
        self._version = None
        self._seen = self._connection.execute("SELECT coalesce(max(position), 0) FROM journal").fetchone()[0]

    @property
    def _connection(self) -> sqlite3.Connection:
        return self._memory.connection


class _Writes:
    """Runs what a life of the node writes, one after the other, each as its fate has it."""

    def __init__(self, disk: Disk, memory: Memory, life: Life) -> None:
        self._disk, self._memory, self._life = disk, memory, life
        self._turn = trio.StrictFIFOLock()

    async def __call__(self, work: Callable[..., T], *args: Any) -> T:
        async with self._turn:
            try:
                return await self._written(work, *args)
            except Dead as error:
                raise StoreUnavailable(str(error)) from error

    async def _written(self, work: Callable[..., T], *args: Any) -> T:
        life, fate = self._life, self._life.ground.faults.of_write(self._life.node)
        life.passes("writing")
        await trio.sleep(fate.before_s)
        life.passes("syncing")
        self._memory.error = fate.error
        if fate.error is not None:
            life.ground.saw(CommitFailed, life.node, cause=str(fate.error))
        try:
            done = work(*args)
        finally:
            self._memory.error = None
        self._disk.written()
        life.passes("written")
        await trio.sleep(fate.after_s)
        life.require()
        return done


async def _read(life: Life, work: Callable[..., T], *args: Any) -> T:
    await trio.lowlevel.checkpoint()
    if not life.alive:
        raise StoreUnavailable(f"{life.node} is dead")
    return work(*args)


class _HeadOfLife:
    """The disk's head record, as long as this life lasts."""

    def __init__(self, disk: Disk, life: Life) -> None:
        self._disk, self._life = disk, life

    def read(self) -> Head | None:
        return self._disk._heads[-1]

    def write(self, head: Head) -> None:
        if self._life.alive:
            self._disk._heads.append(head)

    def close(self) -> None:
        """It stays with the disk."""


def _flipped(value: Any) -> Any:
    """The value with its lowest bit, or that of its last byte, turned over."""
    if isinstance(value, int):
        return value ^ 1
    raw = value.encode() if isinstance(value, str) else bytes(value or b"")
    altered = raw[:-1] + bytes([raw[-1] ^ 1]) if raw else b"\x01"
    return altered.decode(errors="replace") if isinstance(value, str) else altered


@cache
def empty_image() -> bytes:
    """A database with its tables and without a row: making it takes long, copying it does not."""
    database = SqliteDatabase("sqlite://")
    with database.writer.begin() as connection:
        migrate(connection)
    with database.writer.connect() as connection:
        image: bytes = connection.connection.driver_connection.serialize()  # type: ignore[union-attr]
    database.writer.dispose()
    return image
