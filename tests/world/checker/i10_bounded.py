"""I10: everything is bounded: no queue, table or buffer was ever fuller than it may be."""

from __future__ import annotations

from tests.world.checker.evidence import Evidence
from tests.world.checker.verdict import Finding, Notes


def check(evidence: Evidence) -> Finding:
    notes, seen, fullest = Notes("I10"), 0, 0.0
    for node in evidence.nodes:
        for bound in evidence.finals[node].bounds if node in evidence.finals else ():
            seen += 1
            fullest = max(fullest, bound.highest / bound.limit)
            if bound.highest > bound.limit:
                notes.object(f"{bound.name} of {node} had {bound.highest}, and may have {bound.limit}")
    notes.count("bounds exceeded", len(notes.violations), seen)
    notes.count("fullest, share of its limit", fullest, seen, worst=True)
    return notes.finding()
