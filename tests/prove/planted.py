"""The proof of the proof: bugs that were planted, and whether they were found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.bench.measures import Figure
from tests.prove.effort import Effort
from tests.prove.page import Section
from tests.prove.told import told_by

SAMPLE = (
    "acknowledged-before-written",
    "start-sent-again-after-restart",
    "late-stop-makes-a-second-record",
    "m08-depth-is-no-json-error",
)
"""What a short run plants: one bug each of what is written, sent, delivered and read."""


def section(effort: Effort) -> Section:
    """A few of the planted bugs with one seed each, or all of them, with a second and a third as far as time allows."""
    chosen = () if effort.long else [part for name in SAMPLE for part in ("--only", name)]
    limits = ("--seeds", 3, "--minutes", effort.minutes) if effort.long else ("--seeds", 1)
    card = told_by("tests.mutants", *limits, "--at-once", effort.jobs, *chosen)
    missed = [each for each in card["mutants"] if not each["found"]]
    return Section(
        title="Planted bugs",
        figures=list(_figures(card)),
        problems=tuple(f"not found: {each['name']}: {each['what']}; {each['trouble']}".rstrip("; ") for each in missed),
    )


def _figures(card: dict[str, Any]) -> Iterator[Figure]:
    planted, at_random = card["planted"], card["found_at_random"]
    yield Figure(figure="planted bugs found", value=card["found"], unit="", goal=f">= {planted}", n=planted)
    if at_random:
        yield Figure(figure="tries to find one, median", value=card["median_tries"], unit="", goal="<= 50", n=at_random)
        most = card["slowest_median_tries"]
        yield Figure(figure="tries to find one, most", value=most, unit="", goal="", n=at_random)
