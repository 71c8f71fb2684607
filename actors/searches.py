"""Searches as queries: which index a search goes by is said here, and not left to what a database guesses.

One condition leads, by an index that gives its rows in the order of the list; the others are asked of the rows that it
leads to. What is under way or flagged is little beside all there ever was, so it leads before anything else.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, TextClause, and_, func, not_, select

from actors import tables
from actors.records import DeliveryStatus
from actors.rows import micros, raw
from statecharts.searches import CdrSearch, DeliverySearch, TransactionSearch

Query = Select[*tuple[Any, ...]]
Condition = ColumnElement[bool] | TextClause

_VIEWS = tables.transactions.c
_OWED = tables.deliveries.c
_CDRS = tables.ledger.c
OWED = (DeliveryStatus.PENDING.value, DeliveryStatus.PARKED.value)
"""The statuses of what a partner still has to be told, now or when an operator says so."""
ARRIVED = ("acknowledged", "received")
"""The statuses of charge records that both sides have: at the Destination, at the Source."""

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
    return _led(all_of(tables.transactions), _conditions(search)).where(*_narrowing(search))


def deliveries_wanted(search: DeliverySearch, overdue_before: datetime) -> Query:
    """The rows of the messages that are searched for, in no order yet; overdue are facts that are older than that."""
    query = _led(all_of(tables.deliveries), _of_deliveries(search))
    if (status := search.get("status")) is not None:
        query = query.where(_unindexed(_OWED.status) == status)
    if (operation := search.get("operation")) is not None:
        query = query.where(_OWED.operation == operation)
    if (overdue := search.get("overdue")) is not None:
        query = query.where(is_overdue(overdue_before) if overdue else not_(is_overdue(overdue_before)))
    return query.where(*_between(_OWED.created_at, search.get("since"), search.get("until")))


def cdrs_wanted(search: CdrSearch) -> Query:
    """The rows of the charge records that are searched for, in no order yet."""
    query = _led(all_of(tables.ledger), _of_cdrs(search))
    return query.where(*_between(_CDRS.ended_at, search.get("since"), search.get("until")))


def is_overdue(before: datetime) -> ColumnElement[bool]:
    """A fact that was first owed before then and is owed still, also where it was put aside. Commands lapse instead.

    It leads to no row: whoever asks for it says by what it is to be found.
    """
    return and_(_unindexed(_OWED.status).in_(OWED), _OWED.expires_at.is_(None), _OWED.created_at + 0 < micros(before))


def _led(query: Query, conditions: Iterator[tuple[Condition, Condition]]) -> Query:
    """The query with the first of these conditions as it leads, and the others as they stand beside it."""
    for number, (leading, beside) in enumerate(conditions):
        query = query.where(beside if number else leading)
    return query


def _of_deliveries(search: DeliverySearch) -> Iterator[tuple[Condition, Condition]]:
    if (transaction := search.get("transaction")) is not None:
        yield _OWED.transaction == transaction, _unindexed(_OWED.transaction) == transaction
    if search.get("overdue") or search.get("status") not in (None, DeliveryStatus.DONE.value):
        yield tables.UNDONE, tables.UNDONE
    if (peer := search.get("peer")) is not None:
        yield _OWED.peer == peer, _unindexed(_OWED.peer) == peer


def _of_cdrs(search: CdrSearch) -> Iterator[tuple[Condition, Condition]]:
    """By a status only where few records have it: nearly all of them have arrived."""
    status, wanted = search.get("status"), {_CDRS.peer: search.get("partner"), _CDRS.role: search.get("role")}
    if status is not None:
        first_or_last = {_CDRS.status: status}
        wanted = {**wanted, **first_or_last} if status in ARRIVED else {**first_or_last, **wanted}
    for column, value in wanted.items():
        if value is not None:
            yield column == value, _unindexed(column) == value


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
    yield from _between(_VIEWS.created_at, search.get("since"), search.get("until"))


def _between(column: ColumnElement[int], since: datetime | None, until: datetime | None) -> Iterator[Condition]:
    """From the one moment on, up to before the other; None is no bound."""
    if since is not None:
        yield column >= micros(since)
    if until is not None:
        yield column < micros(until)


def _unindexed(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """The same value as no index has it."""
    return func.coalesce(column, "")
