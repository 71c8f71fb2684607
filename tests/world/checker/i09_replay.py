"""I9: what the journal says is what the actors know.

Each stream is read back twice by the charts themselves, from the rows as the disk took them, and compared: with itself,
with what the actor in memory knew at the end, with the view that lists are read from, and with its snapshot.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from statecharts import station, transaction_destination, transaction_local, transaction_source, views
from statecharts.chart import Chart
from statecharts.destination_events import DestinationTransaction
from statecharts.source_events import SourceTransaction
from statecharts.transaction_local import LocalTransaction
from tests.world.checker.evidence import Evidence, Placed
from tests.world.checker.verdict import Finding, Notes
from tests.world.history import RowDamaged, RowsLost

View = Callable[[Any, int], Any]
KINDS: dict[str, tuple[Chart[Any], Any, View]] = {
    "source": (transaction_source.CHART, SourceTransaction(), views.source_view),
    "destination": (transaction_destination.CHART, DestinationTransaction(), views.destination_view),
    "local": (transaction_local.CHART, LocalTransaction(), views.local_view),
}


def check(evidence: Evidence) -> Finding:
    notes, streams = Notes("I9"), 0
    for (node, stream), rows in evidence.streams.items():
        role = stream.partition("/")[0]
        if role in KINDS or role == "station":
            streams += 1
            _replayed(evidence, notes, node, stream, rows)
    for node in evidence.nodes:
        _problems(evidence, notes, node)
    notes.count("streams that replay differently", len(notes.violations), streams)
    return notes.finding()


def replay(stream: str, rows: list[Placed]) -> Any:
    """What the stream's actor knows after these rows."""
    role = stream.partition("/")[0]
    if role == "station":
        book = station.Station()
        for placed in rows:
            book = station.apply(book, msgspec.json.decode(placed.sight.data, type=station.EVENTS[placed.sight.type]))
        return book
    chart, data, _ = KINDS[role]
    for placed in rows:
        event = msgspec.json.decode(placed.sight.data, type=chart.events[placed.sight.type])
        data = chart.replay(data, event, placed.sight.to_state)
    return data


def _plain(data: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(data))


def _replayed(evidence: Evidence, notes: Notes, node: str, stream: str, rows: list[Placed]) -> None:
    excuse = evidence.excuse(node, stream)
    try:
        first, again = _plain(replay(stream, rows)), _plain(replay(stream, rows))
    except (LookupError, TypeError, ValueError, AssertionError) as error:
        notes.object(f"{stream} of {node} cannot be replayed: {error!r}", rows[-1].sight)
        return
    if first != again:
        notes.object(f"{stream} of {node} is another at each replay", rows[-1].sight)
    live = evidence.finals[node].live.get(stream) if node in evidence.finals else None
    if live is not None and msgspec.json.decode(live) != first:
        what = f"{stream} of {node} is not what its journal says: {_difference(msgspec.json.decode(live), first)}"
        notes.object_unless(excuse, what, rows[-1].sight)
    view = evidence.views.get((node, stream))
    if view is not None:
        shown = _plain(KINDS[stream.partition("/")[0]][2](replay(stream, rows), len(rows)))
        if view != shown:
            what = f"the view of {stream} of {node} is not what its journal says: {_difference(view, shown)}"
            notes.object_unless(excuse, what, rows[-1].sight)
    _snapshot(evidence, notes, node, stream, rows)


def _snapshot(evidence: Evidence, notes: Notes, node: str, stream: str, rows: list[Placed]) -> None:
    for row in evidence.rows(node, "snapshots"):
        if row["stream"] == stream:
            kept = msgspec.json.decode(row["data"])
            then = _plain(replay(stream, rows[: row["seq"]]))
            if (kept if stream.startswith("station/") else kept.get("data")) != then:
                what = f"the snapshot of {stream} of {node} is not what its journal says"
                notes.object_unless(evidence.excuse(node, stream), what, rows[-1].sight)


def _difference(one: dict[str, Any], other: dict[str, Any]) -> str:
    names = sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
    return ", ".join(f"{name} {one.get(name)!r} and {other.get(name)!r}" for name in names)


def _problems(evidence: Evidence, notes: Notes, node: str) -> None:
    """check-journal finds what was damaged, and nothing else; and no actor goes on from a row that was altered."""
    problems = evidence.finals[node].problems if node in evidence.finals else ()
    for problem in problems:
        if not _is_known(evidence, node, problem):
            notes.object(f"check-journal of {node} says: {problem}")
    left = {str(row["position"]) for row in evidence.rows(node, "journal")}
    for index, hit in enumerate(evidence.history):
        if isinstance(hit, RowDamaged) and (hit.who, hit.table) == (node, "journal") and hit.key in left:
            if not any(hit.stream in problem for problem in problems):
                notes.object(f"check-journal of {node} does not find that {hit.stream} was altered", hit)
            _not_used(evidence, notes, index, hit)


def _is_known(evidence: Evidence, node: str, problem: str) -> bool:
    cut = any(lost.who == node for lost in evidence.history.of(RowsLost))
    return (cut and "(database)" in problem) or any(each and each in problem for each in evidence.damaged.get(node, ()))


def _not_used(evidence: Evidence, notes: Notes, index: int, hit: RowDamaged) -> None:
    """Nothing is added to an altered stream, unless its actor stands on a snapshot of after the altered row."""
    later = [p for p in evidence.streams.get((hit.who, hit.stream), ()) if p.index > index]
    seqs = [row["seq"] for row in evidence.rows(hit.who, "journal") if str(row["position"]) == hit.key]
    snapshots = [row["seq"] for row in evidence.rows(hit.who, "snapshots") if row["stream"] == hit.stream]
    if later and not any(snapshot >= seq for snapshot in snapshots for seq in seqs):
        notes.object(f"{hit.stream} of {hit.who} went on from a row that was altered at rest", hit, later[0].sight)
