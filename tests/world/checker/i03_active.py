"""I3: one active charge per EVSE, at every moment of every node's journal.

A charge that its station queued while it was offline may be written down while a later one goes on: by the station's
own clock it is past, and counts as active no more. What began later, or at a time that cannot be believed, needs the
one before to have been closed first.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

import msgspec

from tests.world.checker.evidence import Evidence, Fact
from tests.world.checker.verdict import Finding, Notes
from tests.world.checker.wire import moment

CREDIBLE_SINCE = datetime(2020, 1, 1, tzinfo=UTC)
ACTIVE = ("TxRunning", "StopTxRequested")

Evse = tuple[str, str, int]


class Active(msgspec.Struct, frozen=True):
    """A charge that goes on, by whatever name (a number in a station's book, a stream)."""

    name: str
    began: datetime
    past: bool
    sight: Any


class Board:
    """Who is active where, while a journal is read."""

    def __init__(self, evidence: Evidence, notes: Notes, what: str) -> None:
        self._evidence, self._notes, self._what = evidence, notes, what
        self._active: defaultdict[Evse, dict[str, Active]] = defaultdict(dict)
        self.most = 0

    def begins(self, evse: Evse, name: str, began: datetime, sight: Any) -> None:
        here = self._active[evse]
        others = [each for each in here.values() if not each.past and each.name != name]
        past = bool(others) and CREDIBLE_SINCE <= began < max(each.began for each in others)
        if others and not past:
            node, station, connector = evse
            what = f"{name} began at {station}/{connector} of {node} while {others[0].name} was active in {self._what}"
            self._notes.object_unless(self._evidence.excuse(node, others[0].name), what, others[0].sight, sight)
        here[name] = Active(name, began, past, sight)
        self.most = max(self.most, sum(not each.past for each in here.values()))

    def ends(self, node: str, name: str) -> None:
        for evse, here in self._active.items():
            if evse[0] == node:
                here.pop(name, None)


def check(evidence: Evidence) -> Finding:
    notes = Notes("I3")
    books, streams = Board(evidence, notes, "the station's book"), Board(evidence, notes, "the transactions")
    starts = 0
    for node in evidence.nodes:
        places: dict[str, str] = {}
        for placed in evidence.committed[node]:
            sight, fact = placed.sight, evidence.fact(placed)
            starts += sight.type == "ChargeOpened"
            if sight.stream.startswith("station/"):
                _book(books, node, sight, fact)
            elif sight.stream.startswith(("destination/", "local/")):
                places.setdefault(sight.stream, fact.get("opening", fact).get("station", ""))
                _transaction(streams, node, places[sight.stream], sight, fact)
    notes.count("second active charge on an EVSE", len(notes.violations), starts)
    notes.count("most active charges on an EVSE", max(books.most, streams.most), starts, worst=True)
    return notes.finding()


def _book(board: Board, node: str, sight: Any, fact: Fact) -> None:
    if sight.type == "ChargeOpened":
        start, station = fact["start"], sight.stream.removeprefix("station/")
        board.begins((node, station, start["connector_id"]), str(fact["number"]), moment(start["timestamp"]), sight)
    elif sight.type == "ChargeClosed":
        board.ends(node, str(fact["number"]))


def _transaction(board: Board, node: str, station: str, sight: Any, fact: Fact) -> None:
    """A transaction is active from the start that it takes until it leaves the states of charging."""
    if sight.type == "TransactionStarted" and sight.to_state in ACTIVE and sight.from_state not in ACTIVE:
        board.begins((node, station, fact["connector_id"]), sight.stream, moment(fact["timestamp"]), sight)
    elif sight.to_state not in ACTIVE:
        board.ends(node, sight.stream)
