"""I6: states change only as the charts declare, read from docs/charts.md as people read it.

The page is made from the charts and checked in, so that a chart that goes astray while it runs is held to what was
written. A station's book of charges is no chart; what may stand in it is declared here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import msgspec

from tests.world.checker.evidence import Evidence, Fact, Placed
from tests.world.checker.verdict import Finding, Notes
from tests.world.history import Committed

CHARTS = Path(__file__).resolve().parents[3] / "docs" / "charts.md"

STREAMS = {
    "source": "source transaction",
    "destination": "destination transaction",
    "local": "local transaction",
    "peer": "peer",
    "operation": "operation",
}
REGIONS = {
    "Booted": "station registration",
    "Connected": "station connection",
    "Disconnected": "station connection",
    "StatusReported": "EVSE",
}
BOOK = {
    ("None", "ChargeOpened", "Open"),
    ("Open", "ChargeJudged", "Open"),
    ("Open", "ChargeClosed", "Closed"),
    ("Closed", "ChargeClosed", "Closed"),
    ("", "StopKept", ""),
    ("None", "TransactionHeard", "Begun"),
    ("Begun", "TransactionHeard", "Begun"),
}
BOOK_BEGINS = {"ChargeOpened": "None", "StopKept": ""}

Move = tuple[str, str, str]
"""From, event, to."""


class Declared(msgspec.Struct, frozen=True):
    """One chart: where it begins, its moves and stays, and all pairs of a state and an event with a row."""

    initial: str
    moves: frozenset[Move]
    pairs: frozenset[tuple[str, str]]


_ROW = re.compile(r"^\| (\S[^|]*?) \| (\w+) \| ([^|]*?) ?\| (.+?) \|$")


@cache
def declared() -> dict[str, Declared]:
    """Every chart of docs/charts.md by its name."""
    found = {}
    for part in CHARTS.read_text().split("\n## ")[1:]:
        name, _, text = part.partition("\n")
        begins = re.search(r"\[\*\] --> (\w+)", text)
        rows = [match.groups() for line in text.splitlines() if (match := _ROW.match(line))]
        decided = [row for row in rows if row[3] != "decision"]
        moves = frozenset(move for state, event, _, decision in decided for move in _moves(state, event, decision))
        pairs = frozenset((state, event) for state, event, _, _ in decided)
        found[name.strip()] = Declared(begins[1] if begins else "", moves, pairs)
    return found


def _moves(state: str, event: str, decision: str) -> Iterator[Move]:
    """What a decision may leave in the journal: a repeat and most refusals leave nothing."""
    if decision.startswith("**"):
        yield state, event, decision.strip("*")
    elif decision == "stay" or decision.endswith(", kept"):
        yield state, event, state


def check(evidence: Evidence) -> Finding:
    notes = Notes("I6")
    rows = 0
    for (node, stream), placed in evidence.streams.items():
        rows += len(placed)
        _in_order(notes, node, stream, [each.sight for each in placed])
        for region in _regions(evidence, stream, placed).values():
            _follows(notes, region)
    notes.count("undeclared transitions", len(notes.violations), rows)
    return notes.finding()


def _in_order(notes: Notes, node: str, stream: str, rows: list[Committed]) -> None:
    for expected, row in enumerate(rows, start=1):
        if row.seq != expected:
            notes.object(f"{stream} of {node} goes on with {row.seq} where {expected} was to come", row)
            return
    positions = [row.position for row in rows]
    if positions != sorted(set(positions)):
        notes.object(f"{stream} of {node} is not in the order of its positions", *rows[:3])


Region = tuple[str, str]
"""The chart, and which of its kind (a connector, a charge in the book)."""


def _regions(evidence: Evidence, stream: str, placed: list[Placed]) -> dict[Region, list[Committed]]:
    """A stream's rows by what they speak of: a station's has several charts side by side."""
    found: dict[Region, list[Committed]] = {}
    for each in placed:
        found.setdefault(region_of(stream, each.sight, evidence.fact(each)), []).append(each.sight)
    return found


def region_of(stream: str, row: Committed, fact: Fact) -> Region:
    role = stream.partition("/")[0]
    if role in STREAMS:
        return STREAMS[role], ""
    if row.type in REGIONS:
        return REGIONS[row.type], str(fact.get("connector_id", "")) if row.type == "StatusReported" else ""
    if row.type == "TransactionHeard":
        return "book", f"transaction {fact['event']['reference']}"
    return "book", str(fact.get("number", "stops"))


def _follows(notes: Notes, rows: list[Committed]) -> None:
    """Each row begins where the last one ended, and is declared."""
    first = rows[0]
    role, _, _ = first.stream.partition("/")
    chart = STREAMS.get(role) or REGIONS.get(first.type) or "book"
    known = declared().get(chart)
    moves = known.moves if known else BOOK
    state = known.initial if known else BOOK_BEGINS.get(first.type, "None")
    for row in rows:
        if row.from_state != state:
            notes.object(f"{chart}: a row begins in {row.from_state} where {state} was reached", row)
        if (row.from_state, row.type, row.to_state) not in moves:
            notes.object(f"{named(chart, (row.from_state, row.type, row.to_state))} is not declared", row)
        state = row.to_state


def named(chart: str, move: Move) -> str:
    """A move as people read it."""
    source, event, target = move
    return f"{chart}: {source} -{event}-> {target}"


def moves(evidence: Evidence) -> dict[str, int]:
    """How often each move or stay stands in the journals, by its name."""
    found: Counter[str] = Counter()
    for (_, stream), placed in evidence.streams.items():
        for (chart, _), rows in _regions(evidence, stream, placed).items():
            found.update(named(chart, (row.from_state, row.type, row.to_state)) for row in rows)
    return dict(found)
