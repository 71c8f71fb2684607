"""What a chart refuses to be built with, and what its steps promise, shown on charts of two states."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from statecharts.chart import (
    Chart,
    ChartError,
    Contract,
    ContractBroken,
    Outcome,
    Row,
    State,
    move,
    refuse,
    repeat,
    stay,
)
from statecharts.events import Command, DeadlineReached, Fact, NodeRestarted
from statecharts.vocabulary import Value

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class Opened(Fact, frozen=True, kw_only=True):
    by: str = "wind"


class Open(Command, frozen=True, kw_only=True):
    pass


class Door(Value, frozen=True, kw_only=True):
    state: str = "Shut"
    openings: int = 0


SHUT, AJAR = State("Shut", "nobody in", resting=True), State("Ajar", "somebody in", final=True)
TAKEN = (move(Opened, "Shut", "Ajar"), stay(Opened, "Ajar"))


def door(*rows: Row, states: tuple[State, ...] = (SHUT, AJAR), **kw: Any) -> Chart[Door]:
    return Chart("door", "Shut", states, rows, **kw)


def test_a_fact_without_a_row_in_some_state_is_no_chart():
    with pytest.raises(ChartError, match="fact Opened is not decided in Ajar"):
        door(move(Opened, "Shut", "Ajar"))


def test_a_fact_that_only_a_guard_takes_is_no_chart():
    with pytest.raises(ChartError, match="not decided in Shut"):
        door(move(Opened, "Shut", "Ajar", when=lambda data, event: True), stay(Opened, "Ajar"))


@pytest.mark.parametrize("recorded", [True, False])
def test_a_fact_that_is_refused_for_good_is_no_chart(recorded):
    with pytest.raises(ChartError, match="Opened"):
        door(TAKEN[0], refuse(Opened, "Ajar", 409, "no", "no", recorded=recorded))


def test_a_fact_refused_in_some_case_without_being_written_down_is_no_chart():
    row = refuse(Opened, "Ajar", 409, "no", "no", when=lambda data, event: event.by == "cat")
    with pytest.raises(ChartError, match="without being written down"):
        door(row, *TAKEN)


def test_a_fact_refused_in_some_case_in_writing_is_a_chart():
    row = refuse(Opened, "Ajar", 403, "no", "no", recorded=True, when=lambda data, event: event.by == "cat")
    decision = door(row, *TAKEN).step(Door(state="Ajar"), Opened(at=NOW, by="cat"))
    assert (decision.outcome, decision.fact) == (Outcome.REFUSED, Opened(at=NOW, by="cat"))


def test_a_state_without_a_deadline_is_no_chart():
    with pytest.raises(ChartError, match="state Ajar has no deadline"):
        door(*TAKEN, states=(SHUT, State("Ajar", "for ever")))


def test_a_deadline_that_does_nothing_is_no_chart():
    with pytest.raises(ChartError, match="Ajar does not say what its deadline does"):
        door(*TAKEN, states=(SHUT, State("Ajar", "for a while", deadline=lambda data: NOW)))


@pytest.mark.parametrize("row", [move(Open, "Shut", "Gone"), move(Open, "Gone", "Shut"), stay(Open, ("Ajar", "Gone"))])
def test_an_undeclared_state_is_no_chart(row):
    with pytest.raises(ChartError, match="a row for Open names the state Gone"):
        door(*TAKEN, row)


def test_all_faults_are_told_at_once():
    with pytest.raises(ChartError, match=r"(?s)not decided in Ajar.*Ajar has no deadline"):
        door(move(Opened, "Shut", "Ajar"), states=(SHUT, State("Ajar", "for ever")))


def test_a_command_without_a_row_is_refused_with_a_sentence():
    decision = door(*TAKEN).step(Door(), Open(at=NOW))
    assert decision.refusal is not None
    assert (decision.outcome, decision.refusal.code, decision.fact) == (Outcome.REFUSED, 409, None)
    assert decision.refusal.message == "not possible while the door is Shut: open"


def test_the_first_row_whose_guard_holds_is_taken():
    chart = door(
        repeat(Open, "Shut", when=lambda data, event: data.openings > 0, answer="once is enough"),
        stay(Open, "Shut", answer="welcome"),
        *TAKEN,
        evolve={Open: lambda data, event: {"openings": data.openings + 1}},
    )
    first = chart.step(Door(), Open(at=NOW))
    assert (first.answer, first.data.openings) == ("welcome", 1)
    assert chart.step(first.data, Open(at=NOW)).answer == "once is enough"


def test_rows_after_one_without_a_guard_are_left_out_of_the_table():
    chart = door(*TAKEN, repeat(Opened, ("Shut", "Ajar")))
    assert chart.table["Ajar"][Opened] == (TAKEN[1],)


def test_a_step_back_into_the_same_state_is_a_move():
    chart = door(move(Opened, "Shut", "Shut"), stay(Opened, "Ajar"))
    assert chart.step(Door(), Opened(at=NOW)).outcome is Outcome.MOVED


def test_evolve_sees_the_state_that_is_being_entered():
    seen = []
    chart = door(*TAKEN, evolve={Opened: lambda data, event: seen.append(data.state) or {}})
    chart.step(Door(), Opened(at=NOW))
    assert seen == ["Ajar"]


@pytest.mark.parametrize(
    "contract",
    [
        Contract("c", before=lambda data, event: False),
        Contract("c", always=lambda data: data.state == "Shut"),
        Contract("c", after=lambda before, after, event: before.state == after.state),
    ],
    ids=["before", "always", "after"],
)
def test_a_broken_contract_stops_the_step(contract):
    with pytest.raises(ContractBroken, match="c"):
        door(*TAKEN, contracts=(contract,)).step(Door(), Opened(at=NOW))


def test_a_kept_contract_is_not_noticed():
    kept = Contract("c", before=lambda *_: True, always=lambda *_: True, after=lambda *_: True)
    assert door(*TAKEN, contracts=(kept,)).step(Door(), Opened(at=NOW)).data.state == "Ajar"


def test_deadlines_and_ends_are_read_from_the_data():
    timed = State("Ajar", "for a while", deadline=lambda data: NOW)
    chart = door(*TAKEN, move(DeadlineReached, "Ajar", "Shut"), states=(SHUT, timed))
    assert chart.deadline(Door()) is None
    assert chart.deadline(Door(state="Ajar")) == NOW
    assert not chart.is_final(Door(state="Ajar"))


def test_an_event_of_no_row_at_all_is_refused():
    assert door(*TAKEN).step(Door(), NodeRestarted(at=NOW)).outcome is Outcome.REFUSED
