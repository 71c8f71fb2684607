"""I5, of what a node says before or without a stop: estimates and progress.

A charge that its station never ended is billed by what its meter last showed, by the readings that the node had written
down; and while a charge is metered its Source is told so, as far as the network lets anything through.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from tests.world.checker.evidence import Charge, Evidence, Placed
from tests.world.checker.verdict import Notes
from tests.world.history import PeerBlocked

RECONCILED = ("DeadlineReached", "ConnectorTaken", "StationDenied", "CloseAsked")
ENDINGS = ("Settled", "TxFinished")
UNDER_WAY = ("TxRunning", "StopTxRequested")
REGISTERS = {"TransactionStarted": "meter_start_wh", "MeterRead": "meter_wh"}
TOLD_WITHIN_S = 60.0
"""How long progress may be on its way where nothing is in its way."""


def check(evidence: Evidence, notes: Notes) -> int:
    """Notes what is wrong; the watt-hours of estimates that are other than they must be."""
    _progress(evidence, notes)
    _progress_is_told(evidence, notes)
    return sum(_estimates(evidence, notes))


# -- estimates ---------------------------------------------------------------------------------------------------------


def _estimates(evidence: Evidence, notes: Notes) -> Iterator[int]:
    made = 0
    for (node, stream), rows in evidence.streams.items():
        end = next((n for n, placed in enumerate(rows) if _ends(placed)), None)
        view = evidence.views.get((node, stream))
        if end is None or rows[end].sight.type not in RECONCILED or view is None:
            continue
        made += 1
        shown = max(_registers(evidence, rows[:end]), default=None)
        if view.get("meter_stop_wh") != shown:
            what = f"{stream} of {node} ends at an estimate of {view.get('meter_stop_wh')} Wh, last shown was {shown}"
            notes.object_unless(evidence.excuse(node, stream), what, rows[end].sight)
            yield abs((view.get("meter_stop_wh") or 0) - (shown or 0))
    notes.count("charges billed by an estimate", made, len(evidence.charges))


def _ends(placed: Placed) -> bool:
    return placed.sight.to_state in ENDINGS and placed.sight.from_state not in ENDINGS


def _registers(evidence: Evidence, rows: list[Placed]) -> Iterator[int]:
    """What the meter of a charge showed, by the rows of its transaction."""
    for placed in rows:
        name = REGISTERS.get(placed.sight.type)
        wh = evidence.fact(placed).get(name) if name else None
        if wh is not None:
            yield wh


# -- progress ----------------------------------------------------------------------------------------------------------


def _progress(evidence: Evidence, notes: Notes) -> None:
    """Progress never falls from one message to the next, and never tells more than the charge took."""
    said: dict[tuple[str, str], Any] = {}
    for each in evidence.soap_calls("transactionProgressUpdate"):
        assert each.said is not None
        energy, key = each.said.energy_wh, (each.request.who, each.said.name)
        if energy is None or each.request.forged:
            continue
        if key in said and energy < said[key].said.energy_wh:
            notes.object(f"progress of {each.said.name} fell to {energy} Wh", said[key].request, each.request)
        said[key] = each
    for (destination, name), each in said.items():
        mine = [c for c in evidence.charges if c.node == destination and evidence.is_of(c, f"destination/{name}")]
        if mine and each.said.energy_wh > max(map(energy_of, mine)):
            notes.object(f"progress told {each.said.energy_wh} Wh of {name}, more than was metered", each.request)


def _progress_is_told(evidence: Evidence, notes: Notes) -> None:
    """A charge that was metered, and went on, is told to its Source where everything else that was told arrived."""
    told = {(e.request.who, e.said.name) for e in evidence.soap_calls("transactionProgressUpdate") if e.said}
    due = missing = 0
    for (node, stream), rows in evidence.streams.items():
        role, _, name = stream.partition("/")
        source = evidence.grants.get((node, name))
        if role != "destination" or source is None or not _is_calm(evidence, node, source):
            continue
        began = next((evidence.fact(p) for p in rows if p.sight.type == "TransactionStarted"), {})
        read = next((p.sight for p in rows if _is_metered(evidence, p, began)), None)
        ended_at = next((p.sight.at for p in rows if _ends(p)), evidence.end_at)
        if read is None or ended_at < read.at + TOLD_WITHIN_S:
            continue
        due += 1
        if (node, name) not in told:
            missing += 1
            notes.object(f"{name} was metered at {node}, and {source} was told no progress", read)
    notes.count("charges without progress", missing, due)


def _is_metered(evidence: Evidence, placed: Placed, began: dict[str, Any]) -> bool:
    """Whether it was metered; what was read when the charge began is no progress."""
    if placed.sight.type != "MeterRead" or placed.sight.to_state not in UNDER_WAY:
        return False
    said = evidence.fact(placed)
    if said.get("meter_wh") is None or said["meter_wh"] != began.get("meter_start_wh"):
        return said.get("meter_wh") is not None
    return datetime.fromisoformat(said["timestamp"]) > datetime.fromisoformat(began["timestamp"])


def _is_calm(evidence: Evidence, node: str, source: str) -> bool:
    """Whether neither of the two died, was damaged or blocked, and each word of one to the other was answered."""
    if any(evidence.crashes[each] or evidence.damaged.get(each) for each in (node, source)):
        return False
    said = (e for e in evidence.exchanges.values() if (e.request.who, e.request.to) == (node, source))
    blocked = any(sight.who in (node, source) for sight in evidence.history.of(PeerBlocked))
    return not blocked and all(e.outcome is not None and e.outcome.status == 200 for e in said)


def energy_of(charge: Charge) -> int:
    """What the charge took in all, by the station's own meter where that was seen, else by its stop."""
    if charge.truth is not None and charge.truth.meter_stop_wh is not None:
        return max(0, charge.truth.meter_stop_wh - charge.meter_start)
    stops = [call.said.payload["meterStop"] for call in charge.stops]
    return max(0, max(stops, default=2**62) - charge.meter_start)
