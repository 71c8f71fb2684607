"""I4: every session ends, for a reason.

Once the world has drained no transaction is under way, except one whose station really still charges, or which was
damaged at rest and is said to be. What was parked has been sent again by its operator.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.world.checker import i04_times
from tests.world.checker.evidence import Evidence, Placed
from tests.world.checker.verdict import Finding, Notes, quantile
from tests.world.history import WorldEnded

ROLES = ("source/", "destination/", "local/")
FINAL = {
    "source/": ("Refused", "Expired", "Settled"),
    "destination/": ("Expired", "Settled"),
    "local/": ("Expired", "Settled"),
}
ENDINGS = ("Settled", "TxFinished")


def check(evidence: Evidence) -> Finding:
    notes = Notes("I4")
    sessions = [(node, stream, rows) for (node, stream), rows in evidence.streams.items() if stream.startswith(ROLES)]
    for node, stream, rows in sessions:
        last = rows[-1].sight
        if last.to_state not in FINAL[_role(stream)] and not _may_go_on(evidence, node, stream):
            what = f"{stream} of {node} is still {last.to_state}"
            notes.object_unless(_excuse(evidence, node, stream), what, last)
        elif last.to_state in ENDINGS and stream.startswith(("destination/", "local/")):
            _has_reason(evidence, notes, node, stream)
        elif last.to_state == "Refused" and not evidence.views.get((node, stream), {"cause": "?"}).get("cause"):
            notes.object(f"{stream} of {node} was refused, and nobody says why", last)
    stuck = len(notes.violations)
    i04_times.check(evidence, notes)
    _owed(evidence, notes)
    going_on = [charge for charge in evidence.charges if charge.goes_on]
    if not going_on and not all(sight.drained for sight in evidence.history.of(WorldEnded)):
        damage = "some of it was damaged at rest" if any(evidence.damaged.values()) else None
        notes.object_unless(damage, "the world did not drain in time", evidence.history.sights[-1])
    notes.count("charges that truly go on", len(going_on), len(evidence.charges))
    notes.count("sessions stuck", stuck, len(sessions))
    times = [took for _, stream, rows in sessions for took in _time_to_end(stream, rows)]
    for share in (0.5, 0.99):
        notes.count(f"p{share * 100:.0f} time to end, s", quantile(times, share), len(times), worst=True)
    return notes.finding()


def _role(stream: str) -> str:
    return stream.partition("/")[0] + "/"


def _may_go_on(evidence: Evidence, node: str, stream: str) -> bool:
    """Whether a station truly still charges for it."""
    view = evidence.views.get((node, stream), {})
    number, name = view.get("station_transaction_id"), view.get("authorization_identifier", "")
    at = view.get("pms_identifier") if stream.startswith("source/") else node
    here = [charge for charge in evidence.charges if charge.node == at]
    mine = [c for c in here if c.id_tag.upper() == name or (number is not None and evidence.number_of(c) == number)]
    return any(charge.goes_on for charge in mine)


def _owed(evidence: Evidence, notes: Notes) -> None:
    """Nothing that a partner is owed is still on its way."""
    for node in evidence.nodes:
        for row in evidence.rows(node, "deliveries"):
            if row["status"] == "pending":
                what = f"{node} still owes {row['operation']} of {row['transaction']} to {row.get('peer')}"
                notes.object_unless(_excuse(evidence, node, str(row["transaction"])), what)


def _excuse(evidence: Evidence, node: str, stream: str) -> str | None:
    """Damage of its own stream, or of the partner's that it waits for."""
    view = evidence.views.get((node, stream), {})
    peer, name = view.get("pms_identifier", ""), view.get("authorization_identifier", "")
    own = evidence.excuse(node, stream)
    if own is not None or not peer:
        return own
    destination, source = (peer, node) if stream.startswith("source/") else (node, peer)
    return evidence.cdr_excuse(destination, source, name)


def _has_reason(evidence: Evidence, notes: Notes, node: str, stream: str) -> None:
    """An end says why: what the station reported, or that it was reconciled and is an estimate."""
    reasons = ("TransactionStopped", "DeadlineReached", "ConnectorTaken", "StationDenied", "CloseAsked")
    first = next(p.sight for p in evidence.streams[node, stream] if p.sight.to_state in ENDINGS)
    view = evidence.views.get((node, stream), {})
    if first.type not in reasons:
        notes.object(f"{stream} of {node} ended by {first.type}, which ends nothing", first)
    elif first.type != "TransactionStopped" and "estimated" not in view.get("flags", ()):
        notes.object(f"{stream} of {node} was reconciled and is not marked as estimated", first)


def _time_to_end(stream: str, rows: list[Placed]) -> Iterator[float]:
    """From its first row to its first final state."""
    final = next((p.sight.at for p in rows if p.sight.to_state in FINAL[_role(stream)]), None)
    if final is not None:
        yield final - rows[0].sight.at
