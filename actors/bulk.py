"""Many rows in one statement.

SQLite's driver lets go of Python's lock at every step of a statement, and a row of `executemany` is a step: a batch
that is written row by row hands the lock to the node's loop and waits for it again as many times as it has rows, up to
5 ms each while the loop has work. One statement for many rows is one step, and less work for PostgreSQL, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.engine import Dialect

from actors.rows import Row

AT_ONCE = (64, 32, 16, 8, 4, 2, 1)
"""How many rows a statement takes: few enough kinds of them that the driver keeps each prepared."""


def insert_rows(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Inserts rows that have the same columns, in their order. Raises IntegrityError where one of them may not be."""
    _write(connection, table, rows)


def put_rows(connection: Connection, table: Table, rows: Sequence[Row], *, only: tuple[str, ...] = ()) -> None:
    """Inserts rows, or puts them in place of those with their primary keys; no key comes twice among them.

    With `only`, those that stand there differ in these columns at most: the indexes of all others are not touched.
    """
    fresh = only or tuple(column.name for column in table.columns if not column.primary_key)
    _write(connection, table, rows, fresh)


def _write(connection: Connection, table: Table, rows: Sequence[Row], fresh: tuple[str, ...] = ()) -> None:
    if not rows:
        return
    names = tuple(rows[0])
    values = itemgetter(*names)
    for some in _cut(rows):
        statement = _statement(connection.dialect, table, names, len(some), fresh)
        connection.exec_driver_sql(statement, tuple(chain.from_iterable(map(values, some))))


def _cut(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    start = 0
    for size in AT_ONCE:
        while len(rows) - start >= size:
            yield rows[start : start + size]
            start += size


@cache
def _statement(dialect: Dialect, table: Table, names: tuple[str, ...], count: int, fresh: tuple[str, ...]) -> str:
    quote: Any = dialect.identifier_preparer.quote
    mark = "?" if dialect.paramstyle == "qmark" else "%s"
    row = f"({', '.join([mark] * len(names))})"
    columns = ", ".join(quote(name) for name in names)
    statement = f"INSERT INTO {quote(table.name)} ({columns}) VALUES {', '.join([row] * count)}"
    if not fresh:
        return statement
    key = ", ".join(quote(column.name) for column in table.primary_key.columns)
    # What the new row does not say is at its default again, as if it were the first one.
    news = ", ".join(f"{quote(name)} = excluded.{quote(name)}" for name in fresh)
    return f"{statement} ON CONFLICT ({key}) DO UPDATE SET {news}"
