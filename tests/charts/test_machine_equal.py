"""The compiled table does what the `transitions` machine, which the charts are declared with, does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transitions import MachineError

from statecharts.chart import Row, build_machine
from statecharts.events import Event
from tests.charts.every_chart import CASES, Case


class Model:
    """What a machine moves: nothing but a state."""

    state: str


@contextmanager
def taken_rows() -> Iterator[list[Row]]:
    """Which rows the machine takes: they hang in it as callbacks."""
    taken: list[Row] = []
    silent = Row.__call__
    Row.__call__ = lambda row, *_: taken.append(row)  # type: ignore[method-assign]
    try:
        yield taken
    finally:
        Row.__call__ = silent  # type: ignore[method-assign]


def trigger(model: Model, data: Any, event: Event) -> Row | None:
    """The row that the machine takes for this event; None where it knows none."""
    with taken_rows() as taken:
        try:
            getattr(model, type(event).__name__)(data, event)
        except MachineError:
            assert taken == []
    return taken[0] if taken else None


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_the_table_and_the_machine_take_the_same_row_to_the_same_state(case: Case, data: st.DataObject):
    machine = build_machine(case.chart.states, case.chart.initial, case.chart.rows)
    model, known = Model(), case.blank
    machine.add_model(model, initial=str(known.state))
    for event in data.draw(case.walks):
        decision = case.chart.step(known, event)
        assert trigger(model, known, event) is case.chart.row_for(known, event)
        assert model.state == decision.data.state
        known = decision.data
