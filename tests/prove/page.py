"""The scorecard: figures as one page that says how anybody can have them again."""

from __future__ import annotations

import platform
import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version

from tests.bench.measures import Figure, reached

_MARK = "## "
LIBRARIES = ("trio", "hypothesis", "sqlalchemy", "msgspec", "zeep", "spyne", "ocpp", "websockets")

HEAD = """# Scorecard

What was tried to make roamnode lose or double a charge record, and what came of it. `make prove` makes this page in
some minutes, `make prove LONG=1` in as many as `MINUTES` says (30 by default); no hand writes it.
Every figure has its n. What the rows stand for is in docs/testing.md."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """What one part of the proof found. `notes` are sentences below its figures; `problems` make the run fail."""

    title: str
    figures: list[Figure]
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def missed(self) -> list[Figure]:
        return [figure for figure in self.figures if reached(figure) is False]

    @property
    def untried(self) -> list[Figure]:
        """What has a gate that nothing was held against."""
        return [figure for figure in self.figures if reached(figure) and not figure["n"]]


def page(sections: list[Section], *, how: str, made_at: datetime, commit: str, seeds: str) -> str:
    """The whole page as Markdown; `how` is the command that made it."""
    minutes = sum(each.seconds for each in sections) / 60
    made_with = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    python = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {sys.platform}"
    made = f"{made_at:%Y-%m-%d %H:%M} UTC, commit {commit}, by `{how}` in {minutes:.0f} minutes, {seeds}."
    head = f"{made}\n{python}; {made_with}."
    return "\n\n".join([HEAD, head, *(_section(each) for each in sections)]) + "\n"


def renewed(text: str, sections: list[Section], *, made_at: datetime, commit: str) -> str:
    """The page with these sections in place of what it had of them; new ones come last. Each says when it was made."""
    head, *old = text.rstrip("\n").split(f"\n\n{_MARK}")
    found = {each.partition("\n")[0]: _MARK + each for each in old}
    made = f" Made anew on {made_at:%Y-%m-%d %H:%M} UTC, commit {commit}."
    found |= {section.title: _section(section, made) for section in sections}
    return "\n\n".join([head, *found.values()]) + "\n"


def _section(section: Section, made: str = "") -> str:
    lines = [f"{_MARK}{section.title}", "", *_table(section)]
    lines += ["", f"Tried for {section.seconds:,.0f} s.{made}"]
    if section.notes:
        lines += ["", *(f"- {note}" for note in section.notes)]
    if section.problems:
        lines += ["", "Not as it must be:", "", *(f"- {problem}" for problem in section.problems)]
    return "\n".join(lines)


def _table(section: Section) -> Iterator[str]:
    yield "| figure | value | gate | | n |"
    yield "|---|---|---|---|---|"
    for figure in section.figures:
        said = "not tried" if figure in section.untried else {None: "", True: "met", False: "MISSED"}[reached(figure)]
        unit = f" {figure['unit']}" if figure["unit"] else ""
        yield f"| {figure['figure']} | {figure['value']:,g}{unit} | {figure['goal']} | {said} | {figure['n']:,} |"
