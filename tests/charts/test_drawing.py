"""What people are shown of a chart is all of it, and the same each time."""

from __future__ import annotations

import pytest

from statecharts.chart import Outcome
from statecharts.drawing import decision_table, mermaid, page, states_table
from tests.charts.every_chart import CASES, Case

every_chart = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


@every_chart
def test_every_move_is_drawn(case: Case):
    drawing = mermaid(case.chart).splitlines()
    for row in case.chart.rows:
        for source in row.sources if row.outcome is Outcome.MOVED else ():
            arrow = f"    {source} --> {row.target} : {row.event.__name__}"
            assert any(line.startswith(arrow) and row.note in line for line in drawing)


@every_chart
def test_the_drawing_has_one_line_per_move_and_marks_beginning_and_ends(case: Case):
    moves = sum(len(row.sources) for row in case.chart.rows if row.target is not None)
    finals = sum(state.final for state in case.chart.states)
    assert len(mermaid(case.chart).splitlines()) == 2 + moves + finals
    assert f"[*] --> {case.chart.initial}\n" in mermaid(case.chart)


@every_chart
def test_every_pair_has_its_line_in_the_decision_table(case: Case):
    lines = decision_table(case.chart).splitlines()[2:]
    cells = [[cell.strip() for cell in line.split("|")] for line in lines]
    for state, event, rows in case.chart.pairs():
        mine = [c for c in cells if c[1:3] == [state, event.__name__]]
        undecided = not rows or rows[-1].when is not None
        assert len(mine) == len(rows) + undecided
        for row, line in zip(rows, mine, strict=False):
            expected = {Outcome.MOVED: f"**{row.target}**", Outcome.STAYED: "stay", Outcome.REPEATED: "repeat"}
            assert line[4] == expected.get(row.outcome) or line[4].startswith("refuse")
        if undecided:
            assert mine[-1][4] == "refuse 409 wrong-state"


@every_chart
def test_tables_keep_their_columns(case: Case):
    for table, columns in ((decision_table(case.chart), 4), (states_table(case.chart), 3)):
        assert {line.count("|") for line in table.splitlines()} == {columns + 1}


def test_the_page_is_the_same_each_time_and_has_every_chart():
    charts = tuple(case.chart for case in CASES.values())
    text = page("The charts", charts)
    assert text == page("The charts", charts)
    assert all(f"## {chart.name}\n" in text for chart in charts)
    assert text.count("```mermaid") == len(charts)
