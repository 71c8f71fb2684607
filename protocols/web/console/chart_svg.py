"""A statechart as a drawing (SVG): its states by how far they are from the beginning, the current one lit."""

from __future__ import annotations

from typing import Any, NamedTuple

from markupsafe import Markup

from statecharts.chart import Chart

WIDTH, HEIGHT, ACROSS, DOWN, EDGE = 150, 34, 210, 74, 14
"""In pixels: of a state's box, from box to box, and around all."""


class Box(NamedTuple):
    name: str
    x: int
    y: int

    @property
    def right(self) -> tuple[int, int]:
        return self.x + WIDTH, self.y + HEIGHT // 2

    @property
    def left(self) -> tuple[int, int]:
        return self.x, self.y + HEIGHT // 2

    @property
    def bottom(self) -> tuple[int, int]:
        return self.x + WIDTH // 2, self.y + HEIGHT


def svg_of(chart: Chart[Any], current: str) -> Markup:
    """The drawing; each move is an arrow, named by its events when pointed at."""
    moves = _moves(chart)
    boxes = _placed(chart, moves)
    width = max(box.x for box in boxes.values()) + WIDTH + EDGE
    height = max(box.y for box in boxes.values()) + HEIGHT + DOWN // 2
    arrows = Markup("").join(_arrow(boxes[a], boxes[b], events) for (a, b), events in moves.items())
    states = Markup("").join(_state(box, box.name == current) for box in boxes.values())
    return Markup(
        '<svg viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" aria-label="{name}: {current}">'
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" class="tip"/></marker></defs>{arrows}{states}</svg>'
    ).format(w=width, h=height, name=chart.name, current=current, arrows=arrows, states=states)


def _moves(chart: Chart[Any]) -> dict[tuple[str, str], list[str]]:
    """The names of the events by which one goes from a state to another."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in chart.rows:
        for source in row.sources:
            if row.target is not None and source != row.target:
                names = found.setdefault((source, row.target), [])
                names += [row.event.__name__] if row.event.__name__ not in names else []
    return found


def _ranks(chart: Chart[Any], moves: dict[tuple[str, str], list[str]]) -> dict[str, int]:
    """How many moves each state is from the beginning; states that end are no way to others."""
    final = {state.name for state in chart.states if state.final}
    ranks, edge = {chart.initial: 0}, [chart.initial]
    while edge:
        reached = dict.fromkeys(b for a in edge for source, b in moves if source == a and b not in ranks)
        ranks |= dict.fromkeys(reached, ranks[edge[0]] + 1)
        edge = [name for name in reached if name not in final]
    return ranks


def _placed(chart: Chart[Any], moves: dict[tuple[str, str], list[str]]) -> dict[str, Box]:
    """A column for each rank; every other one stands a little lower, so that arrows are seen."""
    ranks = _ranks(chart, moves)
    heights: dict[int, int] = {}
    boxes = {}
    for name in dict.fromkeys((chart.initial, *chart.by_name)):
        column = ranks.get(name, 0)
        row = heights.get(column, 0)
        heights[column] = row + 1
        boxes[name] = Box(name, EDGE + column * ACROSS, EDGE + row * DOWN + (column % 2) * (DOWN // 3))
    return boxes


def _arrow(a: Box, b: Box, events: list[str]) -> Markup:
    if b.x > a.x:
        (x1, y1), (x2, y2) = a.right, b.left
        bend = max(30, (x2 - x1) // 2)
        path = f"M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"
    else:
        (x1, y1), (x2, y2) = a.bottom, b.bottom
        path = f"M{x1} {y1}C{x1} {y1 + 34} {x2 + 12} {y2 + 34} {x2 + 12} {y2}"
    return Markup('<path d="{}" class="move" marker-end="url(#tip)"><title>{}</title></path>').format(
        path, f"{a.name} → {b.name}: {', '.join(events)}"
    )


def _state(box: Box, lit: bool) -> Markup:
    return Markup(
        '<g class="{kind}"><rect x="{x}" y="{y}" width="{w}" height="{h}" rx="8"/>'
        '<text x="{tx}" y="{ty}" text-anchor="middle">{name}</text></g>'
    ).format(
        kind="state lit" if lit else "state",
        x=box.x,
        y=box.y,
        w=WIDTH,
        h=HEIGHT,
        tx=box.x + WIDTH // 2,
        ty=box.y + HEIGHT // 2 + 5,
        name=box.name,
    )
