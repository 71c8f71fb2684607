"""Every state x event pair of every chart is decided, and no decision breaks what all of them owe."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from statecharts.chart import Decision, Outcome
from statecharts.events import Event, Fact
from tests.charts.every_chart import CASES, Case

every_chart = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
PAIRS = [
    pytest.param(case, state, event, id=f"{name}-{state}-{event.__name__}")
    for name, case in CASES.items()
    for state, event, _ in case.chart.pairs()
]
LATER = (timedelta(0), timedelta(seconds=1), timedelta(days=400))


@every_chart
def test_walks_reach_every_state_and_meet_every_event(case: Case):
    assert set(case.seen.data) == set(case.chart.table)
    assert set(case.seen.events) == set(case.chart.events.values())


@pytest.mark.parametrize(("case", "state", "event"), PAIRS)
def test_the_pair_is_decided(case: Case, state: str, event: type[Event]):
    for data in case.seen.data[state]:
        now = getattr(data, "changed_at", None)
        for heard in case.seen.events[event]:
            for later in LATER:
                told = msgspec.structs.replace(heard, at=max(heard.at, now or heard.at) + later)
                decision = case.chart.step(data, told)
                _check_outcome(data, told, decision)
                _check_after(case, data, told, decision)


def _check_outcome(before: Any, event: Event, decision: Decision[Any]) -> None:
    if decision.outcome is Outcome.REFUSED:
        assert decision.refusal is not None
        assert 400 <= decision.refusal.code < 500
        assert decision.refusal.message
        assert decision.effects == ()
        assert decision.data.state == before.state
        assert decision.fact is event or not isinstance(event, Fact), "a fact is refused only in writing"
    else:
        assert decision.refusal is None
    if decision.outcome is Outcome.REPEATED:
        assert decision.fact is None
    if decision.outcome in (Outcome.MOVED, Outcome.STAYED):
        assert decision.fact is event
    if decision.fact is None:
        assert decision.data == before, "what is not written down changes nothing"
        assert decision.effects == (), "what is not written down causes nothing"


def _check_after(case: Case, before: Any, event: Event, decision: Decision[Any]) -> None:
    after = decision.data
    assert case.chart.step(before, event) == decision, "a step is pure"
    if decision.fact is not None:
        assert case.chart.replay(before, decision.fact, after.state) == after
    state = case.chart.by_name[after.state]
    deadline = case.chart.deadline(after)
    assert state.final or state.resting or (deadline is not None and deadline.tzinfo is not None)


@every_chart
def test_a_state_is_either_timed_or_final_or_resting(case: Case):
    for state in case.chart.states:
        assert [state.deadline is not None, state.final, state.resting].count(True) == 1, state.name


@every_chart
def test_every_row_decides_some_pair(case: Case):
    """A row that can never be taken says something about the design that is not true of the code."""
    used = {row for _, _, rows in case.chart.pairs() for row in rows}
    assert [row for row in case.chart.rows if row not in used] == []


@every_chart
def test_every_state_says_what_it_is_for(case: Case):
    assert all(state.meaning for state in case.chart.states)
