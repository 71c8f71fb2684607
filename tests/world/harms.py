"""What is done to a scenario, at a place that a run without harm has shown: a crash, a hang-up, a write that fails.

Everything before the harm is as in that run, point by point: one seed is one course of events.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import trio

from tests.world.faults import Answer, Exchange, ExchangeFate, Faults, Point, WriteFate
from tests.world.history import AnswerArrived, CommitFailed, NodeCrashed
from tests.world.scenarios import SETTLES_S, Scenario
from tests.world.world import Outcome, World, play

AWAY_S = 5.0
"""How long a node that died stays away: less than people and machines have patience for."""

FULL_FOR_S = 60.0
NEVER = 2**62
LEAVES_A_MARK = ("written", "answered", "spoken")
WORDS = {"full": "database or disk is full", "broken": "disk I/O error"}


@dataclass(frozen=True)
class Crash:
    """This node dies at the `at`-th point of the world, counted from 1 since the scenario began."""

    node: str
    at: int


@dataclass(frozen=True)
class CrashInStep:
    """The first life of this node ends at the `at`-th step of its tasks, whatever these wait for just then."""

    node: str
    at: int


@dataclass(frozen=True)
class HangUp:
    """Who sent this request goes away, at the n-th time that the app receives or sends, or so long after it arrived."""

    exchange: int
    touch: int | None = None
    after_s: float | None = None


@dataclass(frozen=True)
class WriteFails:
    """The `at`-th write of this node fails: "broken" is once, "full" goes on for `FULL_FOR_S`."""

    node: str
    at: int
    how: str


Harm = Crash | CrashInStep | HangUp | WriteFails


class Mark(NamedTuple):
    """A point that a run came by. `faces` says of each node that was up what it had made of itself by then: how often
    it had written something, and how often something had left it. Only these outlive a crash."""

    point: Point
    faces: dict[str, int]


class Done(Faults):
    """The harm that is done, and what is seen of a run meanwhile. Everything is counted from when `script` begins."""

    def __init__(self, scenario: Scenario, harms: Sequence[Harm] = (), *, count_steps: bool = False) -> None:
        super().__init__()
        self._counts_steps = NEVER if count_steps else None
        self.marks: list[Mark] = []
        self.steps: dict[str, range] = {}
        self.writes: Counter[str] = Counter()
        self._scenario = scenario
        self._hang_ups = {harm.exchange: harm for harm in harms if isinstance(harm, HangUp)}
        self._crashes = {harm.at: harm for harm in harms if isinstance(harm, Crash)}
        self._in_steps = {harm.node: harm for harm in harms if isinstance(harm, CrashInStep)}
        self._failures = [harm for harm in harms if isinstance(harm, WriteFails)]
        self._faces: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._full_until: dict[str, float] = {}
        self._world: World | None = None

    @property
    def writes_failed(self) -> bool:
        """Whether the node may say that its store is away."""
        return bool(self._failures)

    async def script(self, world: World) -> None:
        """The scenario, seen from its beginning or, where `whole`, from that of the world."""
        if not self._scenario.whole:
            await self._scenario.is_ready(world)
        self._world = world
        begun = {operator.name: operator.steps.count for operator in world.operators.values() if operator.steps}
        await self._scenario.happen(world)
        self._world = None
        for name, first in begun.items():
            steps = world.operators[name].steps
            self.steps[name] = range(first + 1, steps.count + 1 if steps else 0)
        await trio.sleep(AWAY_S + SETTLES_S)  # one that died last comes back, and looks around

    def at(self, point: Point) -> bool:
        if self._world is None:
            return False
        node = point.node
        self._faces[node] += point.kind in LEAVES_A_MARK and not point.detail.startswith("GET")
        up = [name for name, operator in self._world.operators.items() if operator.is_up]
        self.marks.append(Mark(point, {name: self._faces[name] for name in up}))
        self._faces[node] += point.kind == "sending"
        harm = self._crashes.get(len(self.marks))
        if harm is None:
            return False
        if harm.node != node:
            self._world.operators[harm.node].crash(f"while {node} is {point.kind} {point.detail}".strip())
        return harm.node == node

    def dies_at_step(self, node: str, life: int) -> int | None:
        harm = self._in_steps.get(node)
        if life > 1:
            return None
        return harm.at if harm else self._counts_steps

    def comes_back_after_s(self, node: str) -> float:
        return AWAY_S

    def of_exchange(self, exchange: Exchange) -> ExchangeFate:
        times, status = self._scenario.refuses.get(exchange.operation, (0, 0))
        self._refused[exchange.operation] += 1
        if self._refused[exchange.operation] <= times:
            return ExchangeFate(answer=Answer(status)) if status else ExchangeFate(refused=True)
        harm = self._hang_ups.get(exchange.number)
        if harm is None:
            return ExchangeFate()
        return ExchangeFate(hang_up_at=harm.touch, hang_up_after_s=harm.after_s)

    def of_write(self, node: str) -> WriteFate:
        if self._world is None:
            return WriteFate()
        self.writes[node] += 1
        for harm in self._failures:
            if harm.node == node and self.writes[node] == harm.at:
                lasts_s = FULL_FOR_S if harm.how == "full" else 0.0
                self._full_until[node] = trio.current_time() + lasts_s
                return WriteFate(error=sqlite3.OperationalError(WORDS[harm.how]))
        if trio.current_time() < self._full_until.get(node, 0.0):
            return WriteFate(error=sqlite3.OperationalError(WORDS["full"]))
        return WriteFate()


class Run(NamedTuple):
    """A scenario that was played, and what was seen and done meanwhile."""

    outcome: Outcome
    seen: Done


def played(scenario: Scenario, *harms: Harm, count_steps: bool = False) -> Run:
    """Lets the scenario happen with this harm."""
    done = Done(scenario, harms, count_steps=count_steps)
    return Run(play(scenario.plan, done, done.script), done)


def befell(run: Run, harms: Sequence[Harm]) -> bool:
    """Whether all this harm was done: by what was seen, not by what was meant."""
    history = run.outcome.history
    broken = {arrived.exchange for arrived in history.of(AnswerArrived) if arrived.cause}
    failed = {refused.who for refused in history.of(CommitFailed)}
    crashed = sorted(crash.who for crash in history.of(NodeCrashed))
    return (
        crashed == sorted(harm.node for harm in harms if isinstance(harm, Crash | CrashInStep))
        and broken >= {harm.exchange for harm in harms if isinstance(harm, HangUp)}
        and failed >= {harm.node for harm in harms if isinstance(harm, WriteFails)}
    )
