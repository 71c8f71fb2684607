"""The offline checker: decides I1 to I12 from a history and the final stores, and counts rare branches.

Written apart from the code it judges: it imports neither actors nor protocols, reads SOAP, OCPP and SQL rows by itself,
and takes the charts' declarations from docs/charts.md. Only I9, which compares a replay, replays with the charts.

    verdict = check(history, finals)
    assert not verdict.violations, verdict
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from tests.world.checker import (
    i01_lost,
    i02_doubled,
    i03_active,
    i04_ends,
    i05_energy,
    i06_declared,
    i07_trust,
    i08_durable,
    i09_replay,
    i10_bounded,
    i11_answered,
    i11_heard,
)
from tests.world.checker.evidence import Evidence
from tests.world.checker.probes import counted
from tests.world.checker.verdict import Excuse, Figure, Finding, Violation
from tests.world.history import AllFinals, History

CHECKS: dict[str, Callable[[Evidence], Finding]] = {
    "I1": i01_lost.check,
    "I2": i02_doubled.check,
    "I3": i03_active.check,
    "I4": i04_ends.check,
    "I5": i05_energy.check,
    "I6": i06_declared.check,
    "I7": i07_trust.check,
    "I8": i08_durable.check,
    "I9": i09_replay.check,
    "I10": i10_bounded.check,
    "I11": i11_answered.check,
    "I11, heard": i11_heard.check,
}
"""Every invariant of one world; I12 compares two (`i12_blast.check`)."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What all checkers say of one world. `str()` is for whoever must find the cause."""

    violations: tuple[Violation, ...]
    excuses: tuple[Excuse, ...]
    figures: tuple[Figure, ...]
    probes: dict[str, int]
    moves: dict[str, int]

    def __str__(self) -> str:
        return "\n".join(map(str, self.violations)) or "nothing to object to"

    @property
    def broken(self) -> frozenset[str]:
        """The invariants that did not hold."""
        return frozenset(violation.invariant for violation in self.violations)


def check(history: History, finals: AllFinals) -> Verdict:
    """Judges one world by all it left behind."""
    evidence = Evidence(history, finals)
    findings = [judge(evidence) for judge in CHECKS.values()]
    return Verdict(
        violations=tuple(each for finding in findings for each in finding.violations),
        excuses=tuple(each for finding in findings for each in finding.excuses),
        figures=tuple(each for finding in findings for each in finding.figures),
        probes=counted(evidence),
        moves=i06_declared.moves(evidence),
    )
