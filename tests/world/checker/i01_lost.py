"""I1: no charge record is lost.

Every charge of a roaming user whose stop the station was told is known, and every roaming transaction that its
Destination closed by itself, has one charge record at its Source once the world has drained: what somebody refused was
parked, and its operator has sent it again since.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.world.checker.evidence import Charge, Evidence, Placed
from tests.world.checker.verdict import Finding, Notes
from tests.world.history import Row, Sight


def check(evidence: Evidence) -> Finding:
    notes = Notes("I1")
    owed = _owed(evidence)
    missing = {key: shown for key, shown in owed.items() if not _has_record(evidence, *key)}
    before = len(notes.violations)
    for (destination, name), shown in missing.items():
        _missing(evidence, notes, destination, name, shown)
    notes.count("CDRs lost", len(notes.violations) - before, len(owed))
    return notes.finding()


Owed = dict[tuple[str, str], tuple[Sight, ...]]


def _owed(evidence: Evidence) -> Owed:
    """(Destination, authorizationIdentifier) of each record that its Source must have, and what shows it."""
    found: Owed = {}
    for charge in evidence.charges:
        key = billed_to_source(evidence, charge)
        if key is not None and charge.stop is not None:
            found[key] = (charge.stop.sight,)
    for (node, stream), rows in evidence.streams.items():
        role, _, name = stream.partition("/")
        ended = next((placed for placed in rows if role == "destination" and _ends(placed)), None)
        if ended is not None:
            found.setdefault((node, name), (ended.sight,))
    return found


def billed_to_source(evidence: Evidence, charge: Charge) -> tuple[str, str] | None:
    """The record that this charge must end in: its idTag is a grant, and the station was told that it is accepted."""
    name = charge.id_tag.upper()
    accepted = any(status == "Accepted" for _, status in charge.verdicts)
    return (charge.node, name) if accepted and (charge.node, name) in evidence.grants else None


def _ends(placed: Placed) -> bool:
    return bool(placed.sight.to_state == "TxFinished" != placed.sight.from_state)


def _has_record(evidence: Evidence, destination: str, name: str) -> bool:
    source = evidence.grants.get((destination, name))
    return source is not None and (source, f"{destination}/{name}") in evidence.cdrs


def _missing(evidence: Evidence, notes: Notes, destination: str, name: str, shown: tuple[Sight, ...]) -> None:
    source = evidence.grants.get((destination, name), "nobody")
    row = _delivery(evidence, destination, name)
    status = row["status"] if row else "nowhere"
    what = f"{source} has no charge record {destination}/{name}; at {destination} it is {status}"
    notes.object_unless(evidence.cdr_excuse(destination, source, name), what, *shown)


def _delivery(evidence: Evidence, destination: str, name: str) -> Row | None:
    stream = f"destination/{name}"
    rows = (row for row in evidence.rows(destination, "deliveries") if row["transaction"] == stream)
    return next((row for row in rows if row["operation"] == "EndTransaction"), None)


def records(evidence: Evidence) -> Iterator[tuple[str, str, str]]:
    """(Source, Destination, authorizationIdentifier) of every charge record that a Source holds."""
    for source, cdr_id in evidence.cdrs:
        destination, _, name = cdr_id.rpartition("/")
        yield source, destination, name
