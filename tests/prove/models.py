"""The rule machines: random programs of events, held against plain models."""

from __future__ import annotations

from tests.bench.measures import Figure
from tests.prove import suites
from tests.prove.effort import Effort
from tests.prove.page import Section

LIVES = 5
"""Of each machine's short effort, in a long run; each life is longer there too."""


def section(effort: Effort) -> Section:
    """Runs tests/models as `make test` does, or with other, more and longer lives."""
    suite = suites.run(effort, "tests/models", LIVES=str(LIVES))
    passing, failing = suite.programs
    return Section(
        title="Models",
        figures=[
            Figure(figure="programs that a model disagreed with", value=failing, unit="", goal="<= 0", n=passing),
            Figure(figure="tests of the machines passed", value=len(suite.ran), unit="", goal=">= 1", n=len(suite.ran)),
        ],
        problems=suite.problems,
    )
