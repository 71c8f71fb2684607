"""The verification itself: flows are drawn and played until one breaks a rule; that one is shrunk, and on it goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import hypothesis
import trio
from hypothesis import HealthCheck, Phase, Verbosity, settings
from hypothesis import strategies as st

from protocols.verify.conversation import Conversation
from protocols.verify.flows import flows
from protocols.verify.options import CannotVerify, Options
from protocols.verify.rules import BY_ID, Rule
from protocols.verify.steps import Flow


class Scene(Protocol):
    """Where flows are played: `destination.DestinationScene` or `source.SourceScene`."""

    async def play(self, flow: Flow, talk: Conversation) -> None:
        """Plays the flow and judges it; all that was said stands in `talk`. Raises `CannotVerify`."""

    async def leave(self) -> None:
        """Ends what a flow that was cut short has left under way."""


class Verdict(StrEnum):
    """What a verification comes to. Only one that was played to its end, and tried what matters, says conforming."""

    CONFORMING = "conforming"
    NOT_CONFORMING = "not conforming"
    NOT_FINISHED = "not finished"
    NOT_JUDGED = "not judged"


class Broken(Exception):
    """A flow broke this rule."""


class _Enough(BaseException):
    """There is no more to be played; not an Exception, so that Hypothesis does not take it for a failure."""


@dataclass(slots=True)
class Failure:
    """A rule that did not hold: the flow that first showed it (numbered from 1), and the shortest that does."""

    rule: Rule
    found_in_flow: int
    flow: Flow
    talk: Conversation

    @property
    def seen(self) -> str:
        return next(finding.seen for finding in self.talk.findings if finding.rule == self.rule.id)


@dataclass(slots=True)
class Result:
    """What came of it. `flows` were drawn and played, `shrunk` played to shorten failures; `ended` says why it stopped
    before all flows were played, "" if it did not, and `interrupted` whether that was somebody's wish. `looks` is how
    often each rule was looked at in the flows that were drawn: one that never was is not tried. `set_aside` counts what
    the partner still told of earlier verifications.
    """

    options: Options
    flows: int = 0
    shrunk: int = 0
    requests: int = 0
    set_aside: int = 0
    seconds: float = 0.0
    ended: str = ""
    interrupted: bool = False
    kinds: dict[str, int] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)
    looks: Counter[str] = field(default_factory=Counter)

    @property
    def untried(self) -> list[str]:
        """The rules without which there is no verdict, and which no flow came to."""
        return sorted(rule for rule in self.options.essential if not self.looks[rule])

    @property
    def verdict(self) -> Verdict:
        if self.failures:
            return Verdict.NOT_CONFORMING
        if self.ended:
            return Verdict.NOT_FINISHED
        return Verdict.NOT_JUDGED if self.untried else Verdict.CONFORMING


BATCH = 6
"""Flows of one kind before the next has its turn."""

LEAVING_S = 5.0
"""How long a flow that is cut short has to end its charge."""

Progress = Callable[[Result], None]


class Verification:
    """One run against one partner. `on_progress` hears after each flow."""

    def __init__(self, options: Options, scene: Scene, on_progress: Progress) -> None:
        self.result = Result(options)
        self._options, self._scene, self._on_progress = options, scene, on_progress
        self._told: dict[Flow, tuple[str, ...]] = {}
        self._hunted: str | None = None
        self._unhunted: set[str | None] = set()
        self._shrinks_left = 0
        self._ends_at = 0.0
        self._scope = trio.CancelScope()

    async def run(self) -> Result:
        """Plays all flows. Raises `CannotVerify` where the partner cannot be reached, or does not know us."""
        begun = trio.current_time()
        self._ends_at = begun + self._options.time_limit_s
        await trio.to_thread.run_sync(self._search, abandon_on_cancel=True)
        self.result.seconds = trio.current_time() - begun
        return self.result

    def interrupt(self) -> None:
        """Ends the run; what was found so far is its result."""
        self.result.interrupted = True
        self._scope.cancel()

    def note(self, talk: Conversation) -> None:
        """What was looked at before any flow: what does not hold there is not hunted for."""
        self._keep(Flow(kind="contract", steps=()), talk)
        self._unhunted.difference_update(talk.broken)

    # -- in a thread of its own, where Hypothesis may block ------------------------------------------------------------

    def _search(self) -> None:
        """Draws flows, some of each kind in turn, until all are played or there is nothing new to draw."""
        strategies = list(flows(self._options).values())
        turn = fruitless = 0
        try:
            while (left := self._options.flows - self.result.flows) > 0 and fruitless < len(strategies):
                before = self.result.flows
                self._hunt_all(strategies[turn % len(strategies)], min(left, BATCH), self._options.seed + turn)
                fruitless = 0 if self.result.flows > before else fruitless + 1
                turn += 1
                if self._options.first_only and self.result.failures:
                    return
        except _Enough as enough:
            if isinstance(enough.__cause__, CannotVerify):
                raise enough.__cause__ from None
            self.result.ended = str(enough)

    def _hunt_all(self, strategy: st.SearchStrategy[Flow], flows_most: int, seed: int) -> None:
        """One batch of flows; again from the same seed, for they are known by then, while rules are unhunted."""
        hunting = -1
        while hunting != len(self._unhunted):
            hunting = len(self._unhunted)
            self._hunt(strategy, flows_most, seed)
            if not self._unhunted:
                return

    def _hunt(self, strategy: st.SearchStrategy[Flow], flows_most: int, seed: int) -> None:
        """Draws so many flows, or until one breaks a rule that held so far, which Hypothesis then shrinks."""

        def play(flow: Flow) -> None:
            self._play(flow)

        drawn = hypothesis.seed(seed)(hypothesis.given(strategy)(play))
        quiet = settings(
            max_examples=flows_most,
            phases=(Phase.generate, Phase.shrink),
            database=None,
            deadline=None,
            derandomize=False,
            report_multiple_bugs=False,
            print_blob=False,
            verbosity=Verbosity.quiet,
            suppress_health_check=list(HealthCheck),
        )
        self._hunted = None
        with suppress(Broken):  # all that there is to say of it is kept already
            quiet(drawn)()

    def _play(self, flow: Flow) -> None:
        """Plays a flow, or remembers how it went: a flow that is asked for again is not sent again."""
        broken = self._told.get(flow)
        if broken is None:
            broken = self._told[flow] = self._played(flow)
        if self._hunted is None:
            self._hunted = next((rule for rule in broken if rule in self._unhunted), None)
            self._unhunted.discard(self._hunted)
            self._shrinks_left = self._options.shrinks
        if self._hunted is not None and self._hunted in broken:
            raise Broken(self._hunted)

    def _played(self, flow: Flow) -> tuple[str, ...]:
        if self._hunted is None:
            self.result.flows += 1
            self.result.kinds[flow.kind] = self.result.kinds.get(flow.kind, 0) + 1
        elif self._shrinks_left == 0:
            return ()
        else:
            self._shrinks_left -= 1
            self.result.shrunk += 1
        talk = Conversation()
        try:
            trio.from_thread.run(self._sent, flow, talk)
        finally:
            self._keep(flow, talk)
        return talk.broken

    async def _sent(self, flow: Flow, talk: Conversation) -> None:
        with trio.CancelScope(deadline=self._ends_at) as self._scope:
            if self.result.interrupted:
                self._scope.cancel()
            await trio.lowlevel.checkpoint()
            try:
                await self._scene.play(flow, talk)
            except CannotVerify as error:
                raise _Enough from error
            self._on_progress(self.result)
        if self._scope.cancelled_caught:
            with trio.move_on_after(LEAVING_S):
                await self._scene.leave()
            raise _Enough("an interruption" if self.result.interrupted else self._limit)

    @property
    def _limit(self) -> str:
        return f"the time limit of {self._options.time_limit_s:g} s"

    def _keep(self, flow: Flow, talk: Conversation) -> None:
        """Remembers the shortest conversation of each broken rule.

        What else breaks while one is hunted may be what that one has left behind: it counts when it is drawn by itself.
        """
        if self._hunted is None:
            self.result.looks.update(talk.looks)
        for name in talk.broken:
            known = self.result.failures.get(name)
            if known is None and self._hunted is None:
                self.result.failures[name] = Failure(BY_ID[name], self.result.flows, flow, talk)
                self._unhunted.add(name)
            elif known is not None and _length(flow, talk) < _length(known.flow, known.talk):
                known.flow, known.talk = flow, talk


def _length(flow: Flow, talk: Conversation) -> tuple[int, int, int, str]:
    """What is to be read of it, and then what it takes; of equals the plainest."""
    return len(talk.exchanges), len(flow.steps), len(str(flow)), str(flow)
