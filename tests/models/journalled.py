"""A chart and its journal without the actor between them, and the machine that tells one what a plain model is told.

What is written and read back goes through the product's own rows and snapshots; only the disk and the tasks are left
out. So one life of forty turns takes milliseconds, and Hypothesis can try very many.
"""

from __future__ import annotations

import copy
import sys
from datetime import timedelta
from typing import Any

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from actors.durable import fact_of
from actors.records import NewFact
from actors.transaction_kinds import Kind, Remembered
from statecharts.chart import Decision
from statecharts.events import DeadlineReached, Event, NodeRestarted
from tests.charts.scenes import RARELY, Scene

WHICH = st.sampled_from((0, 0, 0, 1, 2, 3))
"""Which of some things, counted from the newest; one too many is one that never was."""


class Journalled(Scene):
    """A chart that is told events one by one, and writes down what an actor would."""

    def __init__(self, kind: Kind[Any]) -> None:
        super().__init__(kind.chart, kind.form.blank.data)
        self.kind = kind
        self.rows: list[NewFact] = []
        self._owed: list[int] = []
        self.snapshot: tuple[int, bytes] = (0, msgspec.json.encode(kind.form.blank))

    def step(self, event: Event) -> Decision[Any]:
        before = self.state
        decision = super().step(event)
        if decision.fact is not None:
            self.rows.append(fact_of(decision.fact, before, str(decision.data.state)))
            self._owed.append(len(self.effects))
        return decision

    def take_snapshot(self) -> None:
        self.snapshot = len(self.rows), msgspec.json.encode(Remembered(data=self.data))

    def read_back(self, *, by_snapshot: bool) -> Any:
        """What a node finds that begins with nothing but the journal."""
        seq, kept = self.snapshot if by_snapshot else (0, msgspec.json.encode(self.kind.form.blank))
        data = msgspec.json.decode(kept, type=self.kind.form.type).data
        for row in self.rows[seq:]:
            event = msgspec.json.decode(row.data, type=self.chart.events[row.type])
            data = self.chart.replay(data, event, row.to_state)
        return data

    def forget_after(self, rows: int) -> None:
        """The journal ends here: what was decided later was never written, and nobody has heard of it."""
        del self.effects[self._owed[rows - 1] if rows else 0 :]
        del self.rows[rows:], self._owed[rows:]
        self.data = self.read_back(by_snapshot=self.snapshot[0] <= rows)
        if self.snapshot[0] > rows:
            self.snapshot = 0, msgspec.json.encode(self.kind.form.blank)


class Life(RuleBasedStateMachine):
    """A journalled chart and a plain model that are told the same, in whatever order, once or again, over crashes.

    A kind of life names its `kind`, gives its first event, if it has one, and its model in `begin`, and says in
    `expect` what the model makes of an event: what must go out, a number that the refusal must have, or None for
    nothing. `outward` puts a decision into the model's words. `come_to_an_end` is how a life ends that found nothing
    on its way.
    """

    kind: Kind[Any]

    def __init__(self) -> None:
        super().__init__()
        self.node = Journalled(self.kind)
        self.first, self.model = self.begin()
        if self.first is not None:
            self.node.step(self.first)
            self.node.now = self.first.at
        self.before: tuple[int, Any] | None = None

    def begin(self) -> tuple[Event | None, Any]:
        raise NotImplementedError

    def expect(self, event: Event) -> Any:
        raise NotImplementedError

    def outward(self, decision: Decision[Any]) -> list[Any]:
        raise NotImplementedError

    def come_to_an_end(self) -> None:
        raise NotImplementedError

    def teardown(self) -> None:
        if sys.exception() is None:  # what has failed already is not to be hidden behind what follows from it
            self.come_to_an_end()
            assert self.node.read_back(by_snapshot=True) == self.node.data

    # -- turns ---------------------------------------------------------------------------------------------------------

    def hear(self, event: type[Event], **content: Any) -> Decision[Any]:
        """Something happens a second later: the chart and the model are told, and must agree."""
        self.node.pass_time(1)
        return self.take(event(at=self.node.now, **content))

    def take(self, event: Event) -> Decision[Any]:
        self.before = len(self.node.rows), copy.deepcopy(self.model)
        decision = self.node.step(event)
        expected = self.expect(event)
        if isinstance(expected, int):
            assert decision.refusal is not None, f"{event} must be refused"
            assert (decision.refusal.code, decision.effects) == (expected, ())
        else:
            assert decision.refusal is None, f"{event} must not be refused: {decision.refusal}"
            assert self.outward(decision) == (expected or [])
        return decision

    def heard(self) -> list[Event]:
        """What others said so far and may say again, the newest first."""
        ours = (DeadlineReached, NodeRestarted)
        said = [event for event in self.node.history if event is not self.first]
        return [event for event in reversed(said) if not isinstance(event, ours)]

    @precondition(lambda self: self.heard())
    @rule(which=st.sampled_from((0, 0, 1, 2, 3, 4, 5, 6, 7)))
    def it_comes_again(self, which: int) -> None:
        """Repeated or late: with whatever has happened since in between."""
        events = self.heard()
        self.node.pass_time(1)
        self.take(msgspec.structs.replace(events[which % len(events)], at=self.node.now))

    # -- crashes -------------------------------------------------------------------------------------------------------

    @rule()
    def a_snapshot_is_taken(self) -> None:
        self.node.take_snapshot()

    @rule(by_snapshot=st.booleans(), away_s=st.sampled_from((1, 60, 1_000, 100_000)), rarely=RARELY)
    def the_node_restarts(self, by_snapshot: bool, away_s: int, rarely: bool) -> None:
        """Whatever is not in the journal is gone; deadlines that passed meanwhile are due at once."""
        found = self.node.read_back(by_snapshot=by_snapshot)
        assert found == self.node.data
        self.node.data = found
        self.node.pass_time(away_s if rarely else 0)
        self.before = None
        self.wake()

    @precondition(lambda self: self.before is not None)
    @rule()
    def the_last_turn_is_lost(self) -> None:
        """A crash came before it was written: nobody was answered, so nothing of it ever was."""
        rows, self.model = self.before
        self.before = None
        self.node.forget_after(rows)
        self.wake()

    def wake(self) -> None:
        """The chart is told that whatever ran in memory is gone, and of its deadline where that has passed."""
        self.hear(NodeRestarted)
        while self.model.deadline is not None and self.model.deadline <= self.node.now:
            self.take(DeadlineReached(at=self.node.now))

    # -- time ----------------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.model.deadline is not None)
    @rule(due=RARELY)
    def the_deadline_passes(self, due: bool) -> None:
        if due:
            self.node.now = max(self.node.now, self.model.deadline)
            self.take(DeadlineReached(at=self.node.now))

    @rule(seconds=st.sampled_from((10, 100, 400, 2_000)))
    def time_passes(self, seconds: int) -> None:
        """Never past a deadline: those that are due come first."""
        due = self.model.deadline
        if due is None or self.node.now + timedelta(seconds=seconds) < due:
            self.node.pass_time(seconds)
