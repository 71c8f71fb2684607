"""A seed put to the test: its world is played, all that it leaves behind is judged, and told so that it helps."""

from __future__ import annotations

import signal
import subprocess
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import trio

from tests.support.sizes import ROOT
from tests.world.checker import Verdict, check
from tests.world.checker.coverage import TRANSACTIONS, Steps, counted_steps, covered, covered_moves
from tests.world.checker.probes import never_met
from tests.world.checker.verdict import Figure, summed
from tests.world.plan import Plan
from tests.world.swarm import swarm, troubles_of
from tests.world.troubles import Troubles
from tests.world.world import Outcome, play

LAST_EVENTS = 50
CPU_S_MAX = 60.0
END_CPU_S_MAX = 10.0

EXPECTED = {
    "store.unavailable": {"disk-full", "write-fails"},
    "journal.cut_off": {"cut-tail"},
}
"""What a node may log as an error, in worlds with one of these troubles."""

DAMAGING = frozenset({"flipped-bit", "cut-tail"})


class Endless(BaseException):
    """A world that does not come to its end. Nobody in it may take this for a failure of his own."""


BREAKS = (Exception, BaseExceptionGroup, Endless)
"""How a world may break."""


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One seed, or its twins (two `worlds`). `objections` are in words, and `told` is all that whoever looks for
    the cause wants to see.
    """

    seed: int
    troubles: tuple[str, ...]
    worlds: int = 1
    objections: tuple[str, ...] = ()
    told: str = ""
    digest: str = ""
    figures: tuple[Figure, ...] = ()
    probes: dict[str, int] = {}
    moves: dict[str, int] = {}
    excused: int = 0
    steps: tuple[tuple[str, str, str, int], ...] = ()
    charges: int = 0
    virtual_s: float = 0.0
    cpu_s: float = 0.0
    calls: dict[str, int] = {}


def tried(seed: int, plan: Plan | None = None) -> Trial:
    """Plays this seed's world, or this plan, and judges it."""
    plan = plan or swarm(seed)
    began = time.process_time()
    try:
        with counted_steps() as steps, limited():
            outcome = play(plan, troubles_of(plan))
    except BREAKS as error:
        objection = f"the world broke: {error!r}"
        told = told_of(plan, troubles_of(plan), [objection], "".join(traceback.format_exception(error)))
        return Trial(seed=seed, troubles=plan.troubles, objections=(objection,), told=told)
    return _judged(plan, outcome, steps, began)


@contextmanager
def limited() -> Iterator[None]:
    """Ends the block with an error where it takes more time of the processor than `CPU_S_MAX`.

    A world is asked to end between two steps of its tasks: an error out of nowhere would hit trio in its own loop. One
    that does not even come to a next step is ended wherever it is.
    """
    cpu_s = CPU_S_MAX
    error = Endless(f"a world that takes more than {cpu_s:g} s of the processor does not come to its end")
    asked = False

    def fail() -> None:
        raise error

    def too_long(*_: object) -> None:
        nonlocal asked
        if asked:
            fail()
        asked = True
        trio.lowlevel.current_trio_token().run_sync_soon(fail)

    before = signal.signal(signal.SIGVTALRM, too_long)
    signal.setitimer(signal.ITIMER_VIRTUAL, cpu_s, END_CPU_S_MAX)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def judged(plan: Plan) -> tuple[Outcome, tuple[str, ...]]:
    """What comes of this plan with its troubles, and all objections to it."""
    outcome = play(plan, troubles_of(plan))
    return outcome, tuple(objections_to(plan, outcome, check(outcome.history, outcome.finals)))


def _judged(plan: Plan, outcome: Outcome, steps: Steps, began: float) -> Trial:
    verdict = check(outcome.history, outcome.finals)
    objections = tuple(objections_to(plan, outcome, verdict))
    told = told_of(plan, troubles_of(plan), objections, last_of(outcome)) if objections else ""
    return Trial(
        seed=plan.seed,
        troubles=plan.troubles,
        objections=objections,
        told=told,
        digest=outcome.history.digest(),
        figures=verdict.figures,
        probes=verdict.probes,
        moves=verdict.moves,
        excused=len(verdict.excuses),
        steps=tuple((*pair, count) for pair, count in sorted(steps.pairs.items())),
        charges=plan.charges,
        virtual_s=outcome.virtual_s,
        cpu_s=time.process_time() - began,
        calls=outcome.counted,
    )


def objections_to(plan: Plan, outcome: Outcome, verdict: Verdict) -> Iterator[str]:
    """All that is wrong with a world: what broke in it, what its nodes logged, and what its checkers say."""
    yield from outcome.failures
    yield from (f"logged: {line}" for line in dict.fromkeys(outcome.logged) if not _is_expected(plan, line))
    yield from map(str, verdict.violations)


def _is_expected(plan: Plan, line: str) -> bool:
    if DAMAGING & set(plan.troubles):
        return True
    return any(event in line and causes & set(plan.troubles) for event, causes in EXPECTED.items())


def last_of(outcome: Outcome) -> str:
    """What was seen last, a line each."""
    return "\n".join((f"the last {LAST_EVENTS} events:", *outcome.history.timeline(last=LAST_EVENTS)))


def told_of(plan: Plan, troubles: Troubles, objections: Iterable[str], shown: str, again: str = "") -> str:
    """What whoever looks for the cause wants to see; `again` is the command that plays it once more."""
    lines = [
        f"seed {plan.seed} at {commit()}",
        f"plan {msgspec.json.encode(plan).decode()}",
        f"with {troubles}",
        *(f"- {objection}" for objection in objections),
        shown,
        f"play it again: {again or f'node.py replay --seed {plan.seed}'}",
    ]
    return "\n".join(lines)


def commit() -> str:
    """The commit of this checkout, as git describes it; "?" without git."""
    asked = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "?"


# -- many --------------------------------------------------------------------------------------------------------------


def card(trials: Iterable[Trial], wall_s: float) -> dict[str, Any]:
    """What many trials add up to, as plain data: figures each with its n, probes, coverage, and how fast it went."""
    trials = list(trials)
    pairs: Counter[tuple[str, str, str]] = Counter()
    probes: Counter[str] = Counter()
    moves: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    for trial in trials:
        pairs.update({(chart, state, event): count for chart, state, event, count in trial.steps})
        probes.update(trial.probes)
        moves.update(trial.moves)
        calls.update(trial.calls)
    return {
        "commit": commit(),
        "seeds": [min((t.seed for t in trials), default=0), max((t.seed for t in trials), default=0)],
        "worlds": sum(trial.worlds for trial in trials),
        "failed": [trial.seed for trial in trials if trial.objections and trial.worlds == 1],
        "twins": sum(trial.worlds == 2 for trial in trials),
        "twins_failed": [trial.seed for trial in trials if trial.objections and trial.worlds == 2],
        "virtual_hours": round(sum(trial.virtual_s for trial in trials) / 3_600, 1),
        "charges_planned": sum(trial.charges for trial in trials),
        "excused": sum(trial.excused for trial in trials),
        "figures": {f.name: {"value": f.value, "n": f.n} for f in summed(f for t in trials for f in t.figures)},
        "troubles": dict(Counter(name for trial in trials for name in trial.troubles)),
        "probes": dict(probes),
        "probes_never_met": never_met(trial.probes for trial in trials),
        "pairs": {c.chart: {"met": c.met, "of": c.pairs, "missed": c.missed} for c in covered(pairs, TRANSACTIONS)},
        "moves": {
            c.chart: {"met": c.met, "of": c.pairs, "missed": c.missed} for c in covered_moves(moves, TRANSACTIONS)
        },
        "calls": dict(calls),
        "wall_s": round(wall_s, 1),
        "cpu_s": round(sum(trial.cpu_s for trial in trials), 1),
        "worlds_per_minute": round(60 * sum(trial.worlds for trial in trials) / wall_s, 1) if wall_s else 0.0,
        "calls_per_s": round(sum(calls.values()) / wall_s, 1) if wall_s else 0.0,
    }
