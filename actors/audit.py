"""Reading the journal and believing nothing of it that its checksums do not prove."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from sqlalchemy import Connection, RowMapping, Table, select

from actors import tables
from actors.head import Head
from actors.records import DeliveryStatus, Fact, StreamCorrupt
from actors.rows import damaged, fact_of, intact, raw
from actors.store import DRIVER_ERRORS, cause, is_damage

ROWS_READ_AT_ONCE = 1_000
CORRUPT_SHOWN_MAX = 1_000

_DATABASE = "(database)"
_STATUSES = frozenset(status.value for status in DeliveryStatus)


def load(connection: Connection, stream: str) -> tuple[Fact, ...]:
    """The facts of a stream in order, each proven. Raises StreamCorrupt at the first that is not."""
    query = select(*raw(tables.journal)).where(tables.journal.c.stream == stream).order_by(tables.journal.c.seq)
    facts: list[Fact] = []
    chain = _Chain()
    try:
        for row in connection.execute(query).mappings():
            for reason in chain.faults(row):
                raise StreamCorrupt(stream, len(facts) + 1, reason)
            facts.append(fact_of(row))
    except DRIVER_ERRORS as error:
        if not is_damage(error):
            raise
        raise StreamCorrupt(stream, len(facts) + 1, f"the database cannot read it: {cause(error)}") from error
    return tuple(facts)


def check(connection: Connection) -> tuple[StreamCorrupt, ...]:
    """What is wrong anywhere in the database, at most `CORRUPT_SHOWN_MAX` findings; reads it row by row."""
    return tuple(islice(_findings(connection), CORRUPT_SHOWN_MAX))


def missing_end(connection: Connection, head: Head) -> str | None:
    """Why the journal does not reach as far as its head says; None if it does."""
    query = select(*raw(tables.journal)).where(tables.journal.c.position == head.position)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        return f"the journal was cut off before position {head.position}, which had been written"
    if row["checksum"] != head.checksum:
        return f"position {head.position} is not the fact that had been written there"
    return None


class _Chain:
    """Walks one stream row by row."""

    def __init__(self) -> None:
        self._seq = 0
        self._position = 0
        self._checksum = b""

    def faults(self, row: RowMapping) -> Iterator[str]:
        expected, self._seq = self._seq + 1, row["seq"]
        previous, self._checksum = self._checksum, row["checksum"]
        before, self._position = self._position, row["position"]
        if row["seq"] != expected:
            yield f"seq {expected} is missing"
        elif not intact(tables.journal, row, previous):
            yield "this fact does not match its checksum, or the one before it was altered"
        elif row["position"] <= before:
            yield f"position {row['position']} is not after {before}, the fact before it"


def _findings(connection: Connection) -> Iterator[StreamCorrupt]:
    try:
        yield from _structure(connection)
        yield from _facts(connection)
        for table in tables.metadata.sorted_tables:
            if table is not tables.journal:
                yield from _rows(connection, table)
        yield from _losses(connection)
    except DRIVER_ERRORS as error:
        yield StreamCorrupt(_DATABASE, 0, f"cannot be read further: {cause(error)}")


def _structure(connection: Connection) -> Iterator[StreamCorrupt]:
    if connection.dialect.name == "sqlite":
        for (line,) in connection.exec_driver_sql("PRAGMA integrity_check"):
            if line != "ok":
                yield StreamCorrupt(_DATABASE, 0, str(line))


def _facts(connection: Connection) -> Iterator[StreamCorrupt]:
    order = tables.journal.c.stream, tables.journal.c.seq
    stream, chain = None, _Chain()
    for row in _streamed(connection, tables.journal, *order):
        if row["stream"] != stream:
            stream, chain = row["stream"], _Chain()
        for reason in chain.faults(row):
            yield StreamCorrupt(str(stream), row["seq"], reason)


def _rows(connection: Connection, table: Table) -> Iterator[StreamCorrupt]:
    for row in _streamed(connection, table):
        if not intact(table, row):
            yield damaged(table, row)
        elif table is tables.deliveries and row["status"] not in _STATUSES:
            yield StreamCorrupt(f"{table.name}/{row['id']}", 0, f"its status is {row['status']!r}: it is never sent")


def _losses(connection: Connection) -> Iterator[StreamCorrupt]:
    for row in _streamed(connection, tables.losses):
        yield StreamCorrupt(_DATABASE, 0, str(row["reason"]))


def _streamed(connection: Connection, table: Table, *order: object) -> Iterator[RowMapping]:
    query = select(*raw(table)).order_by(*(order or table.primary_key.columns))
    with connection.execute(query, execution_options={"yield_per": ROWS_READ_AT_ONCE}) as result:
        yield from result.mappings()
