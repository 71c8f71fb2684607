"""A seed's world once more, for people: what `node.py replay` shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tests.world.history import AnySight, History, line_of
from tests.world.plan import Plan
from tests.world.swarm import swarm, troubles_of
from tests.world.trial import judged

Say = Callable[[str], Any]


def show(seed: int, who: tuple[str, ...], name: str, say: Say) -> int:
    """Says what happened to all of `who` (empty names count for nobody) and what names `name`, and what is wrong with
    it; returns how many objections there are. Raises `LookupError` for somebody who is not in that world.
    """
    plan = swarm(seed)
    there = [*plan.operators, *(station.identity for station in plan.stations)]
    if strangers := set(filter(None, who)) - set(there):
        raise LookupError(f"in world {seed} there is no {', '.join(sorted(strangers))}, but {', '.join(there)}")
    outcome, objections = judged(plan)
    for line in heading(plan):
        say(line)
    for sight in chosen(outcome.history, frozenset(filter(None, who)), name):
        say(line_of(sight))
    for objection in objections:
        say(f"- {objection}")
    return len(objections)


def heading(plan: Plan) -> Iterator[str]:
    """What the world is made of."""
    yield f"{plan!r}: {', '.join(plan.operators)}"
    for station in plan.stations:
        yield f"  {station.identity}: {station.connectors} connectors, {station.behaviour}"
    for trouble in troubles_of(plan).all:
        yield f"  {trouble!r}: {trouble.row}, {trouble.meaning}"


def chosen(history: History, who: frozenset[str], name: str) -> Iterator[AnySight]:
    """The sights of any of these (of all, where there are none) that name this."""
    for sight in history:
        met = {sight.who, getattr(sight, "to", "")}
        if (not who or met & who) and name in line_of(sight) + getattr(sight, "body", "") + getattr(sight, "data", ""):
            yield sight
