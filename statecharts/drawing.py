"""Charts for people: Mermaid diagrams and complete decision tables, from the very tables that run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from statecharts.chart import Chart, Outcome, Row


def mermaid(chart: Chart[Any]) -> str:
    """The moves of a chart as a Mermaid state diagram; stays and refusals are in `decision_table`."""
    lines = ["stateDiagram-v2", f"    [*] --> {chart.initial}"]
    for row in chart.rows:
        if row.target is not None:
            lines += [f"    {source} --> {row.target} : {_label(row)}" for source in row.sources]
    lines += [f"    {state.name} --> [*]" for state in chart.states if state.final]
    return "\n".join(lines) + "\n"


def _label(row: Row) -> str:
    return f"{row.event.__name__} [{row.note}]" if row.note else row.event.__name__


def decision_table(chart: Chart[Any]) -> str:
    """Every state x event pair of a chart as a Markdown table; a refusal that is kept stands in the journal."""
    lines = ["| state | event | when | decision |", "|---|---|---|---|"]
    for state, event, rows in chart.pairs():
        lines += [f"| {state} | {event.__name__} | {row.note} | {_decision(row)} |" for row in rows]
        if not rows or rows[-1].when is not None:
            lines.append(f"| {state} | {event.__name__} | {'otherwise' if rows else ''} | refuse 409 wrong-state |")
    return "\n".join(lines) + "\n"


def _decision(row: Row) -> str:
    if row.outcome is Outcome.MOVED:
        return f"**{row.target}**"
    if row.refusal is not None:
        return f"refuse {row.refusal.code} {row.refusal.kind}" + (", kept" if row.recorded else "")
    return row.outcome.value


def states_table(chart: Chart[Any]) -> str:
    """The states of a chart, what each means and how it ends."""
    lines = ["| state | meaning | ends |", "|---|---|---|"]
    for state in chart.states:
        ends = "final" if state.final else "at its deadline, or by an event" if state.deadline else "by an event"
        lines.append(f"| {state.name} | {state.meaning} | {ends} |")
    return "\n".join(lines) + "\n"


def page(title: str, charts: Iterator[Chart[Any]] | tuple[Chart[Any], ...]) -> str:
    """One Markdown page with diagrams and tables of these charts."""
    parts = [f"# {title}\n", "Generated from the charts by `make charts`; do not edit.\n"]
    for chart in charts:
        parts += [
            f"## {chart.name}\n",
            states_table(chart),
            f"```mermaid\n{mermaid(chart)}```\n",
            decision_table(chart),
        ]
    return "\n".join(parts)
