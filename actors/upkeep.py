"""What an operator does with a whole store: brings its tables up to date, backs it up, copies it to another database.

A copy is one transaction at its target, or a file that gets its name at the end: it is there whole and proven equal to
its source, row by row, or it is not there at all.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, RowMapping, Table, func, insert, select, text

from actors import audit, tables
from actors.head import HeadFile
from actors.migrations import migrate, newest_step, require_newest_step, step_of
from actors.records import StoreError, StreamCorrupt
from actors.rows import raw
from actors.store import DRIVER_ERRORS, Database, cause, database_at
from statecharts.limits import BACKUP_PAGES, ROWS_READ

Tell = Callable[[str, int], None]
"""Hears how far it is: a table, and how many of its rows (in a backup of SQLite: the file, and its pages) are done."""


class Content(NamedTuple):
    """What a table holds: how many rows, a hash over all of them in the order of their keys, the last number given."""

    rows: int
    hash: str
    number: int


class Backup(NamedTuple):
    """What a backup holds, and what in it is not as it was written (so is what it was taken from)."""

    contents: dict[str, Content]
    findings: tuple[StreamCorrupt, ...]


def step_at(url: str) -> tuple[str | None, str]:
    """At which step the tables at `url` are (None: there are none), and at which this release needs them."""
    with _database(url) as database, _errors_of(database):
        if database.path is not None and not database.path.is_file():
            return None, newest_step()
        with database.reader.connect() as connection:
            return step_of(connection), newest_step()


def migrate_at(url: str) -> tuple[str | None, str]:
    """Makes or updates the tables at `url`; the steps before and now. Raises StoreError, with nothing changed."""
    with _database(url) as database, _errors_of(database), database.writer.begin() as connection:
        return migrate(connection)


def copy(source: str, target: str, tell: Tell) -> dict[str, Content]:
    """Copies a store that no node uses into an empty database, and returns what both hold now, table by table.

    Positions and ids stay as they are, and go on where they ended. Raises StoreError, having copied nothing: the source
    is of another release, the target holds something already, a node runs on either, or a database failed.
    """
    with (
        _source(source) as ours,
        _target(target) as theirs,
        _errors_of(ours, theirs),
        ours.writer.connect(),  # on a server it keeps nodes out
        ours.reader.connect() as reading,
    ):
        return _fill(reading, theirs, tell)


def back_up(url: str, file: Path, tell: Tell) -> Backup:
    """Writes what a store holds at this moment into a SQLite file, with its head beside it; a node may go on using it.

    Raises StoreError, having written nothing: the file exists, the store is of another release, or a database failed.
    """
    with _source(url) as source, _errors_of(source), _new_file(file) as part:
        if source.path is not None:
            _copy_pages(source.path, part, tell)
        with _database(f"sqlite:///{part}") as target:
            if source.path is None:
                with source.reader.connect() as reading:
                    _fill(reading, target, tell)
            with target.reader.connect() as reading:
                return Backup(contents(reading), audit.check(reading))


def folders_of(*urls: str) -> list[Path]:
    """The folders in which these stores have their files, each once: whoever copies locks them as a node does."""
    paths = [database_at(url).path for url in urls]
    return sorted({path.resolve().parent for path in paths if path is not None})


def contents(connection: Connection) -> dict[str, Content]:
    """What every table holds, as this connection sees it."""
    return {table.name: _content(connection, table) for table in tables.metadata.sorted_tables}


# -- both ends ---------------------------------------------------------------------------------------------------------


@contextmanager
def _database(url: str) -> Iterator[Database]:
    database = database_at(url)
    try:
        if database.in_memory:
            raise StoreError(f"{url}: there is nothing to copy in the memory of this process: name a file")
        yield database
    finally:
        database.reader.dispose()
        database.writer.dispose()


@contextmanager
def _source(url: str) -> Iterator[Database]:
    """A store of this release. Raises StoreError where there is none."""
    with _database(url) as database:
        if database.path is not None and not database.path.is_file():
            raise StoreError(f"there is no journal at {database!r}")
        with _errors_of(database), database.reader.connect() as connection:
            require_newest_step(connection, repr(database))
        yield database


@contextmanager
def _target(url: str) -> Iterator[Database]:
    """A database on a server, or a new file that gets its name at the end."""
    with _database(url) as database:
        if database.path is None:
            yield database
        else:
            with _new_file(database.path) as part, _database(f"sqlite:///{part}") as file:
                yield file


@contextmanager
def _new_file(path: Path) -> Iterator[Path]:
    """A database to be written, which gets the name `path`, and a head beside it, once the block ends well."""
    if path.exists():
        raise StoreError(f"{path} exists already: name a new file")
    part = path.with_name(path.name + ".part")
    _remove(part)
    try:
        part.touch(0o600)
        yield part
        _write_head(part, path)
        _sync(part)
        part.replace(path)
        _sync(path.parent)
    finally:
        _remove(part)


def _remove(part: Path) -> None:
    for ending in ("", "-wal", "-shm"):
        part.with_name(part.name + ending).unlink(missing_ok=True)


def _write_head(part: Path, path: Path) -> None:
    beside = path.with_name(path.name + ".head")
    beside.unlink(missing_ok=True)
    with _database(f"sqlite:///{part}") as database, database.reader.connect() as connection:
        end = audit.end(connection)
    with closing(HeadFile(beside)) as file:
        if end.position:
            file.write(end)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _errors_of(*databases: Database) -> Iterator[None]:
    try:
        yield
    except (*DRIVER_ERRORS, sqlite3.Error, OSError) as error:
        raise StoreError(f"{' to '.join(map(repr, databases))}: {cause(error)}; nothing was done") from error


# -- rows --------------------------------------------------------------------------------------------------------------


def _fill(reading: Connection, target: Database, tell: Tell) -> dict[str, Content]:
    """Copies all rows, and looks at them again where they arrived, in one transaction."""
    with target.writer.begin() as writing:
        migrate(writing)
        for table in tables.metadata.sorted_tables:
            if writing.execute(select(*table.primary_key.columns).limit(1)).first() is not None:
                raise StoreError(f"{target!r} is not empty: there are rows in {table.name}")
        copied = {table.name: _copy_rows(reading, writing, table, tell) for table in tables.metadata.sorted_tables}
        arrived = contents(writing)
        if arrived != copied:
            different = [name for name in copied if copied[name] != arrived[name]]
            raise StoreError(f"{target!r} does not give back what was written to it: {', '.join(different)}")
    return copied


def _copy_rows(reading: Connection, writing: Connection, table: Table, tell: Tell) -> Content:
    digest, rows = sha256(), 0
    for batch in _batches(reading, table):
        writing.execute(insert(table), [dict(row) for row in batch])
        for row in batch:
            digest.update(_encoded(row))
        rows += len(batch)
        tell(table.name, rows)
    number = _number(reading, table)
    if number:
        _set_number(writing, table, number)
    return Content(rows, digest.hexdigest(), number)


def _content(connection: Connection, table: Table) -> Content:
    digest, rows = sha256(), 0
    for batch in _batches(connection, table):
        for row in batch:
            digest.update(_encoded(row))
        rows += len(batch)
    return Content(rows, digest.hexdigest(), _number(connection, table))


def _batches(connection: Connection, table: Table) -> Iterator[Sequence[RowMapping]]:
    query = select(*raw(table)).order_by(*table.primary_key.columns)
    with connection.execute(query, execution_options={"yield_per": ROWS_READ.limit}) as result:
        yield from result.mappings().partitions()


def _encoded(row: RowMapping) -> bytes:
    return msgspec.msgpack.encode(tuple(row.values()))


# -- numbers: no position and no id is ever given twice, also of rows that are no more ---------------------------------


def _number(connection: Connection, table: Table) -> int:
    """The last number that the table gave; 0 for one that gives none."""
    column = table.autoincrement_column
    if column is None:
        return 0
    if connection.dialect.name == "sqlite":
        return connection.scalar(text("SELECT seq FROM sqlite_sequence WHERE name = :name"), {"name": table.name}) or 0
    sequence = connection.scalar(select(func.pg_get_serial_sequence(table.name, column.name)))
    last, is_called = connection.execute(text(f"SELECT last_value, is_called FROM {sequence}")).one()
    return int(last) if is_called else 0


def _set_number(connection: Connection, table: Table, number: int) -> None:
    column = table.autoincrement_column
    assert column is not None
    if connection.dialect.name == "sqlite":
        connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": table.name})
        insertion = text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :number)")
        connection.execute(insertion, {"name": table.name, "number": number})
    else:
        connection.execute(select(func.setval(func.pg_get_serial_sequence(table.name, column.name), number)))


# -- pages -------------------------------------------------------------------------------------------------------------


def _copy_pages(source: Path, part: Path, tell: Tell) -> None:
    """Copies a file as it is at this moment: what is written to it meanwhile does not disturb it."""
    with closing(sqlite3.connect(source, isolation_level=None)) as reading, closing(sqlite3.connect(part)) as writing:
        reading.execute("BEGIN")
        reading.execute(
            "SELECT count(*) FROM alembic_version"
        ).fetchall()  # from here on this connection sees no change

        def progress(_status: int, remaining: int, total: int) -> None:
            tell(source.name, total - remaining)

        reading.backup(writing, pages=BACKUP_PAGES.limit, progress=progress, sleep=0)
        writing.execute("PRAGMA journal_mode=WAL")
