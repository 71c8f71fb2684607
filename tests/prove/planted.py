"""The proof of the proof: bugs that were planted, and whether they were found."""

from __future__ import annotations

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
    """A few of the planted bugs with one seed each, or all of them with five."""
    chosen = () if effort.long else [part for name in SAMPLE for part in ("--only", name)]
    card = told_by("tests.mutants", "--seeds", 5 if effort.long else 1, "--at-once", effort.jobs, *chosen)
    found, planted, at_random = card["found"], card["planted"], card["found_at_random"]
    figures = [Figure(figure="planted bugs found", value=100 * found / planted, unit="%", goal=">= 100", n=planted)]
    if at_random:
        figures.append(
            Figure(figure="median tries to find one", value=card["median_tries"], unit="", goal="<= 50", n=at_random)
        )
    missed = [f"{each['name']}: {each['what']}" for each in card["mutants"] if not each["found"]]
    return Section(title="Planted bugs", figures=figures, problems=tuple(f"not found: {each}" for each in missed))
