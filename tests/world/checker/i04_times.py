"""I4, its times: what ends by a deadline ends when its time is over, neither early nor late, whatever clocks show.

Time is the world's own, by which no node can go. A deadline is a moment of the node's time; how far it is away is told
by the first row of its stream, which carries that time too.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from datetime import datetime

import msgspec

from tests.world.checker.evidence import Evidence, Placed
from tests.world.checker.i09_replay import KINDS
from tests.world.checker.verdict import Notes
from tests.world.history import ClockJumped, CommitFailed, Committed, NodeStarted

EARLY_S = 90.0
"""A row may be that much older than its commit: on a slow disk, or for an actor that had others to serve."""

LATE_S = 300.0
"""How long a node may have other things to do."""


def check(evidence: Evidence, notes: Notes) -> None:
    judged = 0
    for node in evidence.nodes:
        _goes_evenly(evidence, notes, node)
    absences = {node: list(_absences(evidence, node)) for node in evidence.nodes}
    for (node, stream), rows in evidence.streams.items():
        if stream.partition("/")[0] not in KINDS or stream in evidence.damaged[node]:
            continue
        for due_s, placed in _deadlines(stream, rows):
            since_s, at = rows[0].sight.at, placed.sight.at
            away = [absence for absence in absences[node] if since_s <= absence.until_s and absence.since_s <= at]
            if any(absence.is_unclear for absence in away):
                continue
            judged += 1
            late_s = LATE_S + sum(absence.until_s - absence.since_s for absence in away)
            if at < due_s - EARLY_S:
                notes.object(f"wrong timeout: {stream} of {node} was over {due_s - at:.0f} s early", placed.sight)
            elif at > due_s + late_s and not _disk_failed(evidence, node, due_s, at):
                notes.object(f"wrong timeout: {stream} of {node} was over {at - due_s:.0f} s late", placed.sight)
    notes.count("wrong timeouts", sum("wrong timeout" in violation.what for violation in notes.violations), judged)


def _goes_evenly(evidence: Evidence, notes: Notes, node: str) -> None:
    """Within one life the time that a node writes down goes on as the world's does."""
    if _disk_failed(evidence, node, 0, evidence.end_at):
        return  # what waited for the disk says when it happened, hours ago
    off_s: float | None = None
    for sight in evidence.history.of(NodeStarted, Committed):
        if sight.who != node:
            continue
        if isinstance(sight, NodeStarted):
            off_s = None
            continue
        written_s = msgspec.json.decode(sight.data, type=_Written).at.timestamp() - sight.at
        off_s = written_s if off_s is None else off_s
        if abs(written_s - off_s) > EARLY_S:
            notes.object(
                f"wrong time: that of {node} went on by {written_s - off_s:.0f} s more than the world's", sight
            )
            return


class _Written(msgspec.Struct):
    at: datetime


def _deadlines(stream: str, rows: list[Placed]) -> Iterator[tuple[float, Placed]]:
    """Each deadline that passed in this stream, and when it should have."""
    chart, data, _ = KINDS[stream.partition("/")[0]]
    first = msgspec.json.decode(rows[0].sight.data, type=chart.events[rows[0].sight.type])
    last_s = rows[0].sight.at
    for placed in rows:
        event = msgspec.json.decode(placed.sight.data, type=chart.events[placed.sight.type])
        is_due = placed.sight.type == "DeadlineReached" and placed.sight.from_state == data.state
        until = chart.deadline(data) if is_due else None
        if until is not None:
            yield max(last_s, rows[0].sight.at + (until - first.at).total_seconds()), placed
        data, last_s = chart.replay(data, event, placed.sight.to_state), placed.sight.at


class _Absence(msgspec.Struct):
    """From the last row before a restart of a node until it was there again.

    `is_unclear`: its clock was set meanwhile, and nobody can have told it how long it was away.
    """

    since_s: float
    until_s: float
    is_unclear: bool


def _absences(evidence: Evidence, node: str) -> Iterator[_Absence]:
    rows = [sight.at for sight in evidence.history.of(Committed) if sight.who == node]
    jumps = [sight.at for sight in evidence.history.of(ClockJumped) if sight.who == node]
    for started in evidence.history.of(NodeStarted):
        if started.who == node and started.life > 1:
            before = bisect_right(rows, started.at)
            since_s = rows[before - 1] if before else 0.0
            yield _Absence(since_s, started.at, any(since_s <= at <= started.at for at in jumps))


def _disk_failed(evidence: Evidence, node: str, since_s: float, until_s: float) -> bool:
    """Whether the disk refused to take anything meanwhile: then nothing can end."""
    return any(s.who == node and since_s <= s.at <= until_s for s in evidence.history.of(CommitFailed))
