"""What is asked of a store all day reads no more of its past than it shows: seen in how SQLite goes about it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Unpack

import pytest
from sqlalchemy import Connection, event

from actors import insight
from actors.journal import Journal, open_journal
from actors.ledger import Ledger
from actors.outbox import Outbox
from actors.retention import Retention, RetentionSettings
from statecharts.searches import DeliverySearch
from tests.contracts.samples import NOON, StoppedClock, append, view

LATER = StoppedClock(NOON + timedelta(days=100))
Asked = Callable[[Journal], Awaitable[Any]]


def deliveries(journal: Journal, **search: Unpack[DeliverySearch]) -> Awaitable[object]:
    return Outbox(journal.store).page(NOON, limit=50, **search)


DAILY: dict[str, Asked] = {
    "what was under way at a start": lambda journal: journal.live_streams("source"),
    "connectors that are held at a start": lambda journal: journal.streams_in("StartTxRequested"),
    "partners that are owed something": lambda journal: Outbox(journal.store).peers_with_pending(),
    "the newest transactions": lambda journal: Ledger(journal.store).transactions(limit=50),
    "transactions of a role": lambda journal: Ledger(journal.store).transactions(role="source", limit=50),
    "transactions in a state": lambda journal: Ledger(journal.store).transactions(role="local", state="Ready", limit=9),
    "transactions at a station": lambda journal: Ledger(journal.store).transactions(
        role="local", station="CS01", connector="1", open=False, limit=50
    ),
    "transactions with a partner": lambda journal: Ledger(journal.store).transactions(
        partner="IE-001", state="Settled", since=NOON, until=NOON, limit=50
    ),
    "the newest open transactions": lambda journal: Ledger(journal.store).transactions(
        open=True, role="local", station="CS01", partner="IE-001", limit=50
    ),
    "transactions with a flag": lambda journal: Ledger(journal.store).transactions(
        flag="estimated", role="local", users=["anna"], limit=50
    ),
    "transactions of a time": lambda journal: Ledger(journal.store).transactions(since=NOON, until=NOON, limit=50),
    "a user's transactions": lambda journal: Ledger(journal.store).transactions(role="source", users=["a"], limit=50),
    "the newest deliveries": lambda journal: deliveries(journal, since=NOON, operation="EndTransaction"),
    "deliveries to a partner": lambda journal: deliveries(journal, peer="P", status="done"),
    "dead letters of a partner": lambda journal: deliveries(journal, peer="P", status="parked"),
    "overdue deliveries": lambda journal: deliveries(journal, overdue=True, until=NOON),
    "what is overdue with a partner": lambda journal: Outbox(journal.store).overdue("P", NOON),
    "what changed": lambda journal: Ledger(journal.store).changes_since(7, limit=50),
    "what changed at a Source": lambda journal: Ledger(journal.store).changes_since(7, role="source", limit=50),
    "open transactions of a user": lambda journal: Ledger(journal.store).count_open("P", "u", states=("Ready",)),
    "charges of a card": lambda journal: Ledger(journal.store).charges_of_card("Card1", besides="local/1", most=1),
    "the newest open transaction": lambda journal: Ledger(journal.store).newest("destination", only_open=True),
    "charge records": lambda journal: Ledger(journal.store).cdrs(limit=50),
    "charge records of a role": lambda journal: Ledger(journal.store).cdrs(role="source", limit=50),
    "charge records with a partner": lambda journal: Ledger(journal.store).cdrs(
        partner="IE-001", role="source", status="received", since=NOON, until=NOON, limit=50
    ),
    "charge records that are overdue": lambda journal: Ledger(journal.store).cdrs(
        status="overdue", partner="IE-001", limit=50
    ),
    "how the ledger stands with a partner": lambda journal: Ledger(journal.store).counts("P"),
    "metrics: what is owed": lambda journal: journal.store.read(insight._owed),
    "metrics: records": lambda journal: journal.store.read(insight._records),
    "metrics: transactions": lambda journal: journal.store.read(insight._under_way, 0),
    "metrics: orphans": lambda journal: journal.store.read(insight._orphans),
    "what is to be archived": lambda journal: Retention(journal.store, LATER, RetentionSettings()).tidy(),
}
BY = {
    "what was under way at a start": "transactions_under_way",
    "the newest open transaction": "transactions_under_way",
    "transactions at a station": "transactions_station_created",
    "transactions with a partner": "transactions_peer_created",
    "the newest open transactions": "transactions_under_way_created",
    "transactions with a flag": "transactions_flagged_created",
    "the newest deliveries": "deliveries_created",
    "deliveries to a partner": "deliveries_peer_created",
    "dead letters of a partner": "deliveries_undone_created",
    "overdue deliveries": "deliveries_undone_created",
    "what is overdue with a partner": "deliveries_peer_status_next",
    "open transactions of a user": "transactions_under_way_peer_user",
    "charges of a card": "transactions_under_way_peer_user",
    "metrics: transactions": "transactions_under_way",
    "charge records of a role": "ledger_role_ended",
    "charge records with a partner": "ledger_peer_ended",
    "charge records that are overdue": "ledger_status_ended",
    "metrics: records": "ledger_status_peer",
    "how the ledger stands with a partner": "ledger_counted",
}
"""Where another index would do as well in the eyes of SQLite, which does not know how many rows are past."""

SORTED = "USE TEMP B-TREE FOR ORDER BY"
"""All that was found is sorted, to show the first of it. Sorting what an index brings nearly sorted says otherwise."""


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    async with open_journal(f"sqlite:///{tmp_path}/journal.db", clock=StoppedClock(NOON)) as journal:
        await journal.append(append("source/1", view=view(1, changed_at=NOON), final=True))
        await journal.append(append("station/CS01"))
        yield journal


def plan(connection: Connection, statement: str, values: Any) -> list[str]:
    return [str(step[3]) for step in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]


async def asked_of(journal: Journal, ask: Asked) -> list[tuple[str, Any]]:
    """The queries that this makes of the database."""
    seen: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if statement.lstrip().upper().startswith("SELECT"):
            seen.append((statement, values))

    engines = journal.store.database.reader, journal.store.database.writer
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    try:
        await ask(journal)
    finally:
        for engine in engines:
            event.remove(engine, "before_cursor_execute", note)
    return seen


@pytest.mark.parametrize("name", DAILY)
async def test_daily_questions_are_answered_by_an_index(journal: Journal, name: str) -> None:
    queries = await asked_of(journal, DAILY[name])
    assert queries
    if name in BY:
        steps = [step for query in queries for step in await journal.store.read(plan, *query)]
        assert any(f"INDEX {BY[name]} " in f"{step} " for step in steps), steps
    for statement, values in queries:
        for step in await journal.store.read(plan, statement, values):
            small = step in ("SCAN snapshots", "SCAN snapshots USING COVERING INDEX sqlite_autoindex_snapshots_1")
            through_all = step.startswith("SCAN") and "USING" not in step
            assert small or not (through_all or step == SORTED), f"{step}\n{statement}"


@pytest.mark.parametrize("name", [name for name in DAILY if "_created" in BY.get(name, "")])
async def test_postgresql_answers_a_search_by_the_same_index(postgres_url: str, name: str) -> None:
    def explained(connection: Connection, statement: str, values: Any) -> str:
        for way in ("seqscan", "sort", "bitmapscan"):  # what it prefers where there is next to nothing to read
            connection.exec_driver_sql(f"SET LOCAL enable_{way} = off")
        return "\n".join(connection.exec_driver_sql(f"EXPLAIN {statement}", values).scalars())

    async with open_journal(postgres_url, clock=StoppedClock(NOON)) as journal:
        ((statement, values),) = [asked for asked in await asked_of(journal, DAILY[name]) if "FROM" in asked[0]]
        steps = await journal.store.read(explained, statement, values)
    assert f"Index Scan Backward using {BY[name]} " in steps and "Sort" not in steps, steps
