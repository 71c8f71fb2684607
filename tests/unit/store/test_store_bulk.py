"""Many rows in one statement: as many as there are, in their order, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, create_engine, select
from sqlalchemy.exc import IntegrityError

from actors.bulk import AT_ONCE, insert_rows, put_rows

ROWS = Table(
    "rows",
    MetaData(),
    Column("order", Integer, primary_key=True, autoincrement=True),
    Column("name", Text, nullable=False, unique=True),
    Column("user", Text),
    sqlite_autoincrement=True,
)


@pytest.fixture
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        ROWS.metadata.create_all(connection)
        yield connection
    engine.dispose()


def names(connection: Connection) -> list[str]:
    return list(connection.scalars(select(ROWS.c.name).order_by(ROWS.c.order)))


@pytest.mark.parametrize("count", [0, 1, 2, 3, 63, 64, 65, 127, 200])
def test_every_row_is_there_in_its_order(connection: Connection, count: int) -> None:
    insert_rows(connection, ROWS, [{"name": f"{number}", "user": None} for number in range(count)])
    assert names(connection) == [f"{number}" for number in range(count)]


def test_rows_take_the_place_of_those_with_their_key(connection: Connection) -> None:
    put_rows(connection, ROWS, [{"order": number, "name": f"old {number}", "user": "a"} for number in range(100)])
    put_rows(connection, ROWS, [{"order": number, "name": f"new {number}", "user": None} for number in range(50, 150)])
    assert names(connection) == [*(f"old {n}" for n in range(50)), *(f"new {n}" for n in range(50, 150))]
    assert connection.scalars(select(ROWS.c.user).where(ROWS.c.order == 50)).one() is None


def test_a_row_that_may_not_be_is_an_integrity_error(connection: Connection) -> None:
    with pytest.raises(IntegrityError):
        insert_rows(connection, ROWS, [{"name": "same", "user": None}] * 3)


def test_any_number_is_a_sum_of_few_sizes() -> None:
    assert AT_ONCE[-1] == 1 and all(larger == 2 * smaller for larger, smaller in pairwise(AT_ONCE))
