"""What a long past costs: a node with a million finished transactions starts, lists and counts."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from sqlalchemy import Table

from actors import tables
from actors.archive import packed
from actors.numbers import NUMBER_SCOPE
from actors.records import Alias, LedgerEntry, NewFact
from actors.rows import Row, alias_row, journal_row, ledger_row, micros, sealed, transaction_row
from statecharts.ports import CdrView, TransactionView
from tests.bench.lean import Http
from tests.bench.measures import Figure, resident_kib, scratch
from tests.bench.nodes import Node, as_shipped, running
from tests.live.operators import Operator, make_partners

PAST = 1_000_000
STILL_IN_JOURNAL = 20_000
USERS, STATIONS = 2_000, 500
STARTS, LOOKS = 3, 20
AT_ONCE = 10_000
FACTS = 6
BEGAN = datetime(2023, 1, 1, tzinfo=UTC)
APART = timedelta(seconds=90)
HOME, LOCAL = "NL-MOT", "IE-001"

PAGES = {
    "operator's newest": ("desk", "/api/v1/operator/transactions?limit=50"),
    "operator's, destination, settled": (
        "desk",
        "/api/v1/operator/transactions?role=destination&state=Settled&limit=50",
    ),
    "operator's, a state that is rare": ("desk", "/api/v1/operator/transactions?role=source&state=Expired&limit=50"),
    "operator's, a state that none has": ("desk", "/api/v1/operator/transactions?role=source&state=TxRunning&limit=50"),
    "app's newest": ("app", "/api/v1/transactions?limit=50"),
    "app's, of one user": ("app", "/api/v1/transactions?user=driver-17&limit=50"),
    "app's, of one user in a rare state": ("app", "/api/v1/transactions?user=driver-17&state=Expired&limit=50"),
    "charge records": ("desk", "/api/v1/operator/cdrs?limit=50"),
    "charge records, source": ("desk", "/api/v1/operator/cdrs?role=source&limit=50"),
}
COUNTS = ("desk", "/api/v1/operator/peers")


async def figures() -> list[Figure]:
    with scratch() as folder:
        young, old = (_operator(folder / name) for name in ("young", "old"))
        for node in (young, old):
            _start_and_end(node)
        begun = perf_counter()
        fill(old.operator.folder / "data" / "journal.db", PAST)
        print(f"  {PAST:,} transactions written in {perf_counter() - begun:.0f} s", flush=True)
        starts = [(_start_and_end(young), _start_and_end(old)) for _ in range(STARTS)]
        without, past = (median(times) for times in zip(*starts, strict=True))
        print(f"  a start takes {past:.2f} s, without a past {without:.2f} s", flush=True)
        with running(old):
            looks = {name: await _looks(old, *page) for name, page in PAGES.items()}
            looks["operator's, a hundred pages on"] = await _deep(old)
            counts = await _looks(old, *COUNTS)
            memory = resident_kib(old.pid) / 1024
    for name, took in looks.items():
        print(f"  {name}: {median(took):.1f} ms, slowest {max(took):.1f} ms", flush=True)
    slowest = max(median(took) for took in looks.values())
    return [
        Figure(figure="past_start_s", value=round(past, 2), unit="s", goal="<= 5", n=STARTS),
        Figure(figure="past_start_more_s", value=round(past - without, 2), unit="s", goal="", n=STARTS),
        Figure(figure="past_list_ms", value=round(slowest, 1), unit="ms", goal="<= 50", n=LOOKS * len(looks)),
        Figure(figure="past_peers_ms", value=round(median(counts), 1), unit="ms", goal="", n=LOOKS),
        Figure(figure="past_memory_mib", value=round(memory, 1), unit="MiB", goal="", n=1),
    ]


def _operator(folder: Path) -> Node:
    stations = {f"CS{number:03}": 2 for number in range(5)}
    operator, partner = (
        Operator(HOME, folder / "home", stations=stations, settings=as_shipped()),
        Operator(LOCAL, folder / "local"),
    )
    make_partners(operator, partner)
    return Node(operator)


def _start_and_end(node: Node) -> float:
    begun = perf_counter()
    with running(node):
        return perf_counter() - begun


async def _looks(node: Node, who: str, path: str) -> list[float]:
    """How long each look took, in milliseconds, after one that does not count."""
    return [took for took, _ in [await _look(node, who, path) for _ in range(1 + LOOKS)][1:]]


async def _look(node: Node, who: str, path: str) -> tuple[float, Any]:
    operator = node.operator
    client = await Http.open(operator.port, operator.operator_token if who == "desk" else operator.app_token)
    try:
        begun = perf_counter()
        found = await client.call("GET", path)
        return 1_000 * (perf_counter() - begun), found
    finally:
        await client.aclose()


async def _deep(node: Node) -> list[float]:
    """Pages that somebody reaches who turns a hundred of them."""
    times, cursor = [], ""
    for _ in range(100 + LOOKS):
        took, page = await _look(node, "desk", f"/api/v1/operator/transactions?limit=200{cursor}")
        times.append(took)
        cursor = f"&cursor={page['next_cursor']}"
    return times[-LOOKS:]


# -- the past ----------------------------------------------------------------------------------------------------------


def fill(path: Path, count: int) -> None:
    """Writes what so many transactions leave: half as a Source, half as a Destination, nearly all of them archived."""
    with sqlite3.connect(path, isolation_level=None) as database:
        for pragma in ("journal_mode=MEMORY", "synchronous=OFF", "cache_size=-500000", "temp_store=MEMORY"):
            database.execute(f"PRAGMA {pragma}")
        indexes = database.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        ).fetchall()
        for name, _ in indexes:
            database.execute(f'DROP INDEX "{name}"')
        database.execute("BEGIN")
        for first in range(0, count, AT_ONCE):
            for table, rows in _rows(range(first, min(count, first + AT_ONCE)), count).items():
                _insert(database, table, rows)
        database.execute("COMMIT")
        for _, made in indexes:
            database.execute(made)
        database.execute("PRAGMA journal_mode=WAL")
    with path.open("rb+") as written:
        os.fsync(written.fileno())  # or the next one to ask for a safe disk waits for all of it


def _insert(database: sqlite3.Connection, table: Table, rows: list[Row]) -> None:
    if rows:
        names = list(rows[0])
        columns, marks = ", ".join(f'"{name}"' for name in names), ", ".join("?" * len(names))
        database.executemany(
            f'INSERT INTO "{table.name}" ({columns}) VALUES ({marks})', [tuple(row.values()) for row in rows]
        )


def _rows(numbers: Iterable[int], count: int) -> dict[Table, list[Row]]:
    rows: dict[Table, list[Row]] = {
        table: [] for table in (tables.transactions, tables.ledger, tables.aliases, tables.archive, tables.journal)
    }
    for number in numbers:
        for table, row in _transaction(number, archived=number < count - STILL_IN_JOURNAL):
            rows[table].append(row)
    return rows


def _transaction(number: int, *, archived: bool) -> Iterator[tuple[Table, Row]]:
    role, name = ("source", "destination")[number % 2], f"{number * 2_654_435_761 % 2**48:012X}"
    stream, position = f"{role}/{name}", FACTS * (number + 1)
    view = _view(number, role, name)
    yield tables.transactions, {**transaction_row(stream, view, True), "position": position, "archived": int(archived)}
    if view.cdr is not None:
        settled = LedgerEntry(role=role, cdr=view.cdr, ended_at=view.cdr.end_timestamp, acknowledged_at=view.changed_at)
        yield tables.ledger, ledger_row(stream, settled)
    scope, alias = (f"source-authorization/{LOCAL}", name) if role == "source" else (NUMBER_SCOPE, str(number))
    yield tables.aliases, alias_row(Alias(scope=scope, name=alias), stream)
    if archived:
        yield tables.archive, _piece(stream, position, micros(view.changed_at))
    else:
        for row in _facts(stream, position):
            yield tables.journal, row


def _view(number: int, role: str, name: str) -> TransactionView:
    at, peer = BEGAN + number * APART, LOCAL if role == "source" else HOME
    expired = number % 997 == 0
    shared: dict[str, Any] = {
        "pms_identifier": peer,
        "authorization_identifier": name,
        "local_service_identifier": f"CS{number % STATIONS:03}",
        "user_identifier": f"driver-{number % USERS}",
    }
    end = at + timedelta(minutes=45)
    charge = {"start_timestamp": at, "end_timestamp": end, "energy_wh": 11_000}
    cdr = CdrView(cdr_id=f"{LOCAL}/{name}", status="acknowledged", **shared, **charge)
    return TransactionView(
        transaction_id=name,
        role=role,
        state="Expired" if expired else "Settled",
        version=FACTS,
        created_at=at,
        changed_at=end,
        cdr=None if expired else cdr,
        **shared,
        **({} if expired else charge),
    )


def _facts(stream: str, position: int) -> list[Row]:
    rows: list[Row] = []
    for seq in range(1, FACTS + 1):
        fact = NewFact(
            type="ProgressReported", from_state="TxRunning", to_state="TxRunning", at=BEGAN, data=b'{"at":""}' * 30
        )
        row = journal_row(stream, seq, fact, rows[-1]["checksum"] if rows else b"")
        rows.append({"position": position - FACTS + seq, **row})
    return rows


_BODY = packed(_facts("source/000000000000", FACTS))
"""As large as a real one; packing a million of them would take longer than everything that is measured."""


def _piece(stream: str, position: int, at_us: int) -> Row:
    piece = {
        "stream": stream,
        "last_seq": FACTS,
        "first_seq": 1,
        "position": position,
        "tip": b"\0" * 32,
        "archived_at": at_us,
        "body": _BODY,
    }
    return sealed(tables.archive, piece)
