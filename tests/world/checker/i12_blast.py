"""I12: who is not under attack notices nothing.

Two worlds of one seed and plan, one of them with an attack or a fault on some: everybody else's charges end the same,
with the same energy, in as many records.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from tests.world.checker.evidence import Evidence
from tests.world.checker.verdict import Finding, Notes

Result = tuple[str, str, str, str]
"""Who charged, at which station, how it ended, and the energy."""


def check(calm: Evidence, attacked: Evidence, spared: Collection[str]) -> Finding:
    """`spared` are the stations and users that the attack was not aimed at."""
    notes = Notes("I12")
    before, after = _results(calm, spared), _results(attacked, spared)
    for result in sorted(before.keys() | after.keys()):
        if before[result] != after[result]:
            who, station, state, energy = result
            what = f"{who} at {station}: {state} with {energy} Wh came {before[result]} times in peace"
            notes.object(f"{what} and {after[result]} times under attack")
    notes.count("others affected", len(notes.violations), sum(before.values()))
    return notes.finding()


def _results(evidence: Evidence, spared: Collection[str]) -> Counter[Result]:
    found: Counter[Result] = Counter()
    for (_, stream), view in evidence.views.items():
        who, station = view["user_identifier"], view["local_service_identifier"]
        if stream.startswith(("source/", "local/")) and {who, station} & set(spared):
            found[who, station, view["state"], str(view.get("energy_wh"))] += 1
    return found
