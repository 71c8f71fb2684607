"""The crash sweep: each scenario with a node that dies at each of its points, and in a long run at two of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.bench.measures import Figure
from tests.prove.effort import Effort
from tests.prove.page import Section
from tests.prove.told import told_by

SHORT = ("--kind", "crashes")


def section(effort: Effort) -> Section:
    """A short run kills at each point; a long one does every single harm first, then pairs of crashes."""
    limits = ("--pairs", "--minutes", effort.minutes) if effort.long else SHORT
    card = told_by("tests.world.sweep", "--jobs", effort.jobs, *limits)
    return Section(
        title="Crash sweep",
        figures=[figure for kind, row in card.items() for figure in _figures(kind, row)],
        problems=tuple(failed for row in card.values() for failed in row["failed"]),
    )


def _figures(kind: str, row: dict[str, Any]) -> Iterator[Figure]:
    survived = round(100 * row["survived"] / row["tried"], 3) if row["tried"] else 0.0
    yield Figure(figure=f"{kind}: survived", value=survived, unit="%", goal=">= 100", n=row["tried"])
    tried = round(100 * row["share"], 1)
    yield Figure(figure=f"{kind}: tried, of all there are", value=tried, unit="%", goal="", n=row["tried"])
