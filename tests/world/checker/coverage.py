"""How much of the charts a run of worlds has met: the share of state x event pairs, and of moves in the journals.

Journals show what is written down; repeats and most refusals leave no trace. So while worlds run, each step of a chart
is counted as well, which decides nothing and is part of no history.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from statecharts.chart import Chart
from tests.world.checker.i06_declared import declared, named

Step = tuple[str, str, str]
"""Chart, state, event."""


class Steps:
    """Which pairs of state and event were decided, and which rows decided them (chart, and the row's place in it)."""

    def __init__(self) -> None:
        self.pairs: Counter[Step] = Counter()
        self.rows: Counter[tuple[str, int]] = Counter()

    def __repr__(self) -> str:
        return f"<Steps {len(self.pairs)} pairs, {len(self.rows)} rows>"

    def add(self, other: Steps) -> None:
        self.pairs.update(other.pairs)
        self.rows.update(other.rows)


@contextmanager
def counted_steps() -> Iterator[Steps]:
    """Counts every step of every chart until the block ends."""
    steps, row_for = Steps(), Chart.row_for
    chart_class: Any = Chart
    places: dict[int, tuple[str, int]] = {}

    def counting(chart: Chart[Any], data: Any, event: Any) -> Any:
        row = row_for(chart, data, event)
        steps.pairs[chart.name, str(data.state), type(event).__name__] += 1
        if row is not None:
            if id(row) not in places:
                places.update({id(each): (chart.name, place) for place, each in enumerate(chart.rows)})
            steps.rows[places[id(row)]] += 1
        return row

    chart_class.row_for = counting
    try:
        yield steps
    finally:
        chart_class.row_for = row_for


class Covered(msgspec.Struct, frozen=True):
    """How much of one chart was met: `missed` are the pairs, or moves, that were not, for whoever would reach them."""

    chart: str
    met: int
    pairs: int
    missed: tuple[tuple[str, ...], ...]

    @property
    def percent(self) -> float:
        return 100 * self.met / self.pairs if self.pairs else 100.0


TRANSACTIONS = ("source transaction", "destination transaction", "local transaction", "peer")


def covered_moves(met: Mapping[str, int], charts: tuple[str, ...] = TRANSACTIONS) -> tuple[Covered, ...]:
    """The coverage of each of these charts by declared moves and stays, as `Verdict.moves` has them of each world."""
    found = []
    for name in charts:
        wanted = declared()[name].moves
        missed = tuple(sorted(move for move in wanted if not met.get(named(name, move))))
        found.append(Covered(name, len(wanted) - len(missed), len(wanted), missed))
    return tuple(found)


def covered(pairs: Mapping[Step, int], charts: tuple[str, ...] = TRANSACTIONS) -> tuple[Covered, ...]:
    """The coverage of each of these charts, by the pairs that docs/charts.md lists."""
    found = []
    for name in charts:
        wanted = declared()[name].pairs
        missed = tuple(sorted(pair for pair in wanted if not pairs.get((name, *pair))))
        found.append(Covered(name, len(wanted) - len(missed), len(wanted), missed))
    return tuple(found)
