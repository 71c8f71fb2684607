"""Simulated worlds: many seeds with their troubles, judged by the offline checker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.bench.measures import Figure
from tests.prove.effort import Effort
from tests.prove.page import Section
from tests.prove.told import told_by

SHORT_WORLDS, LONG_WORLDS_MAX = 300, 1_000_000
TWINS = "python -m tests.world --twins --seeds"

GATES = {
    "CDRs lost": "<= 0",
    "CDRs doubled": "<= 0",
    "charges without progress": "<= 0",
    "second active charge on an EVSE": "<= 0",
    "most active charges on an EVSE": "<= 1",
    "sessions stuck": "<= 0",
    "wrong timeouts": "<= 0",
    "Wh unexplained": "<= 0",
    "undeclared transitions": "<= 0",
    "effects from replays": "<= 0",
    "attacks admitted": "<= 0",
    "acknowledged and not durable, or said too soon": "<= 0",
    "rows gone": "<= 0",
    "streams that replay differently": "<= 0",
    "bounds exceeded": "<= 0",
    "others affected": "<= 0",
    "calls unanswered or answered twice": "<= 0",
    "answers taken that never came": "<= 0",
    "fullest, share of its limit": "<= 1",
}


def section(effort: Effort) -> Section:
    """A fixed number of worlds, or as many as there is time for; then a probe that was never met fails the run."""
    count = LONG_WORLDS_MAX if effort.long else SHORT_WORLDS
    seeds = f"{effort.first_seed}..{effort.first_seed + count - 1}"
    limit = ("--minutes", effort.minutes) if effort.long else ()
    card = told_by("tests.world", "--seeds", seeds, "--jobs", effort.jobs, *limit)
    never_met = card["probes_never_met"]
    problems = [f"seed {seed} is objected to: node.py replay --seed {seed}" for seed in card["failed"]]
    problems += [f"the twins of seed {seed} differ: {TWINS} {seed}" for seed in card["twins_failed"]]
    if effort.long and never_met:
        problems.append(f"never met: {', '.join(never_met)}")
    return Section(
        title="Simulated worlds",
        figures=[*_played(card), *_judged(card), *_met(card)],
        notes=tuple(_notes(card)),
        problems=tuple(problems),
    )


def _played(card: dict[str, Any]) -> Iterator[Figure]:
    worlds = card["worlds"]
    yield Figure(figure="worlds objected to", value=len(card["failed"]), unit="", goal="<= 0", n=worlds)
    twins = card["twins"]
    yield Figure(figure="twin worlds objected to", value=len(card["twins_failed"]), unit="", goal="<= 0", n=twins)
    for figure, unit in (("charges_planned", ""), ("virtual_hours", "h"), ("worlds_per_minute", "/min")):
        yield Figure(figure=figure.replace("_", " "), value=card[figure], unit=unit, goal="", n=worlds)
    calls = sum(card["calls"].values())
    yield Figure(figure="calls per second", value=card["calls_per_s"], unit="/s", goal="", n=calls)


def _judged(card: dict[str, Any]) -> Iterator[Figure]:
    for name, found in card["figures"].items():
        value = round(found["value"], 3)
        shown = f"{name}, in the worst world" if name.startswith(("p50", "p99")) else name
        yield Figure(figure=shown, value=value, unit="", goal=GATES.get(name, ""), n=found["n"])


def _met(card: dict[str, Any]) -> Iterator[Figure]:
    for chart, found in card["pairs"].items():
        share = round(100 * found["met"] / found["of"], 1)
        yield Figure(figure=f"{chart}: state x event pairs met", value=share, unit="%", goal="", n=found["of"])
    probes = card["probes"]
    never = len(card["probes_never_met"])
    yield Figure(figure="rare branches never met", value=never, unit="", goal="", n=len(probes) or never)


def _notes(card: dict[str, Any]) -> Iterator[str]:
    first, last = card["seeds"]
    yield f"Seeds {first} to {last}; {card['excused']} findings excused by a damage that the node itself had named."
    for name in ("CDRs lost", "CDRs doubled"):
        figure = card["figures"].get(name, {"value": 0, "n": 0})
        n = figure["n"]
        if n and not figure["value"]:
            yield f"{name}: none in {n:,} means at most {300 / n:.2g} % with 95 % confidence (3/n)."
    if card["probes_never_met"]:
        yield f"Never met: {', '.join(card['probes_never_met'])}."
