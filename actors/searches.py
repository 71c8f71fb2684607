"""Searches as queries: which index a search goes by is said here, and not left to what a database guesses.

One condition leads, by an index that gives its rows in the order of the list; the others are asked of the rows that it
leads to. What is under way or flagged is little beside all there ever was, so it leads before anything else.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, TextClause, func, select

from actors import tables
from actors.rows import micros, raw
from statecharts.searches import TransactionSearch

Query = Select[*tuple[Any, ...]]
Condition = ColumnElement[bool] | TextClause

_VIEWS = tables.transactions.c
_LEADING: dict[str, ColumnElement[Any]] = {
    "authorization_identifier": _VIEWS.authorization_identifier,
    "station": _VIEWS.local_service,
    "partner": _VIEWS.peer,
    "state": _VIEWS.state,
    "role": _VIEWS.role,
}
"""What equals a column that has an index, in the order in which they lead: the fewest rows first."""


def all_of(table: Table) -> Query:
    """Every row of a table, as the driver gives it."""
    return select(*raw(table)).select_from(table)


def transactions_wanted(search: TransactionSearch) -> Query:
    """The rows of the transactions that are searched for, in no order yet."""
    query = all_of(tables.transactions)
    conditions = [*_conditions(search)]
    for leading, _ in conditions[:1]:
        query = query.where(leading)
    return query.where(*(beside for _, beside in conditions[1:]), *_narrowing(search))


def _conditions(search: TransactionSearch) -> Iterator[tuple[Condition, Condition]]:
    """What may lead, each as it leads and as it stands beside what leads; the fewest rows first."""
    if search.get("open"):
        yield tables.UNDER_WAY, tables.UNDER_WAY
    if search.get("flagged") or search.get("flag"):
        yield tables.FLAGGED, tables.FLAGGED
    if (users := search.get("users")) is not None:
        yield _VIEWS.user.in_(sorted(users)), _unindexed(_VIEWS.user).in_(sorted(users))
    for name, column in _LEADING.items():
        if (value := search.get(name)) is not None:
            yield column == value, _unindexed(column) == value


def _narrowing(search: TransactionSearch) -> Iterator[Condition]:
    """What never leads: parts of a row that no index has, and the times, by which the list itself is sorted."""
    if search.get("open") is False:
        yield tables.OVER
    if search.get("flagged") is False:
        yield _VIEWS.flags == ""
    if (flag := search.get("flag")) is not None:
        yield _VIEWS.flags.contains(f",{flag},", autoescape=True)
    if (connector := search.get("connector")) is not None:
        yield _VIEWS.connector == connector
    yield from between(_VIEWS.created_at, search.get("since"), search.get("until"))


def between(column: ColumnElement[int], since: datetime | None, until: datetime | None) -> Iterator[Condition]:
    """From the one moment on, up to before the other; None is no bound."""
    if since is not None:
        yield column >= micros(since)
    if until is not None:
        yield column < micros(until)


def _unindexed(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """The same value as no index has it."""
    return func.coalesce(column, "")
