"""The rule machines: random programs of events, held against plain models."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tests.bench.measures import Figure
from tests.prove import suites
from tests.prove.effort import Effort
from tests.prove.page import Section


def section(effort: Effort) -> Section:
    """Runs tests/models as `make test` does; in a long run with other and longer lives, and again and again."""
    rounds = list(_rounds(effort))
    passing, failing = (sum(counts) for counts in zip(*(suite.programs for suite in rounds), strict=True))
    ran = sum(len(suite.ran) for suite in rounds)
    return Section(
        title="Models",
        figures=[
            Figure(figure="programs that a model disagreed with", value=failing, unit="", goal="<= 0", n=passing),
            Figure(figure="tests of the machines passed", value=ran, unit="", goal=">= 1", n=ran),
        ],
        problems=tuple(problem for suite in rounds for problem in suite.problems),
    )


def _rounds(effort: Effort) -> Iterator[suites.Suite]:
    """One at least; no other is begun that would not end in time if it took as long as the longest before it."""
    until, longest = time.monotonic() + effort.minutes * 60, 0.0
    while not longest or (effort.long and time.monotonic() + longest < until):
        begun = time.monotonic()
        yield suites.run(effort, "tests/models", LIVES="1")
        longest = max(longest, time.monotonic() - begun)
