"""What people see of a node's answers: tables as wide as their terminal, times as they pass, energy in kWh."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from protocols.cli.ctl_table import Column, Shown

NARROWEST = 6
PIPE_WIDTH = 200
"""Characters of a line where nobody's terminal says so."""

STEPS = ((86_400 * 3, 86_400, "d"), (3_600 * 3, 3_600, "h"), (180, 60, "min"), (0, 1, "s"))
"""From so many seconds on a time is told in units of so many seconds."""


class Showing:
    """Writes on stdout; `now` is the time that others are told from."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._console = Console(highlight=False, markup=False, emoji=False)
        if not self._console.is_terminal:
            self._console.width = max(self._console.width, PIPE_WIDTH)

    def items(self, items: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> None:
        """A table; columns in which nothing stands are left out."""
        filled = [each for each in columns if any(_at(item, each.path) not in (None, [], {}) for item in items)]
        table = Table(box=None, pad_edge=False, header_style="bold", expand=False)
        for column in filled:
            right = column.shown in (Shown.NUMBER, Shown.ENERGY)
            table.add_column(column.heading, justify="right" if right else "left", overflow="fold", min_width=NARROWEST)
        for item in items:
            table.add_row(*(Text(self._told(_at(item, each.path), each.shown)) for each in filled))
        self._console.print(table if filled else "nothing")

    def one(self, item: Mapping[str, Any], columns: Sequence[Column] = ()) -> None:
        """Its fields, one below the other; those of these columns, or all."""
        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for column in columns or [Column(path, path, _guessed(path)) for path in _paths(item)]:
            value = _at(item, column.path)
            if value not in (None, [], {}):
                table.add_row(column.heading, Text(self._told(value, column.shown)))
        self._console.print(table)

    def line(self, item: Mapping[str, Any], columns: Sequence[Column]) -> None:
        """One line of something that goes on."""
        told = (self._told(_at(item, each.path), Shown.TEXT) for each in columns)
        self._console.print("  ".join(told), soft_wrap=True)

    def _told(self, value: Any, shown: Shown) -> str:
        if value is None:
            return ""
        match shown:
            case Shown.TIME:
                return relative(datetime.fromisoformat(value), self._now)
            case Shown.ENERGY:
                return f"{Decimal(value) / 1000:.3f} kWh"
        return _plain(value)


def relative(at: datetime, now: datetime) -> str:
    """How long ago, or how soon: "3 min ago", "in 40 s"."""
    seconds = int((now - at).total_seconds())
    number = next(f"{abs(seconds) // unit} {name}" for least, unit, name in STEPS if abs(seconds) >= least)
    return f"{number} ago" if seconds >= 0 else f"in {number}"


def _at(item: Any, path: str) -> Any:
    for name in path.split("."):
        match item:
            case list():
                item = item[int(name)]
            case Mapping():
                item = item.get(name)
            case _:
                return None
    return item


def _paths(item: Any, within: str = "") -> Iterator[str]:
    """The paths of all values in a document; those of its lists are numbered from 0."""
    inner: Iterable[tuple[Any, Any]] = item.items() if isinstance(item, Mapping) else enumerate(item)
    for name, value in inner:
        if isinstance(value, Mapping) or (isinstance(value, list) and any(isinstance(each, dict) for each in value)):
            yield from _paths(value, f"{within}{name}.")
        else:
            yield f"{within}{name}"


def _guessed(path: str) -> Shown:
    """How a field reads, by the endings that all fields of the API have."""
    name = path.rpartition(".")[2]
    if name.endswith(("_at", "_timestamp")) or name in ("at", "until", "since"):
        return Shown.TIME
    return Shown.ENERGY if name == "energy_wh" else Shown.TEXT


def _plain(value: Any) -> str:
    """A value in a line: yes and no, `name value` of what is small, JSON of what is not."""
    match value:
        case bool():
            return "yes" if value else "no"
        case list() if all(isinstance(each, str) for each in value):
            return ", ".join(value)
        case dict() if all(not isinstance(each, (dict, list)) for each in value.values()):
            return ", ".join(f"{name} {_plain(each)}" for name, each in value.items())
        case list() | dict():
            return msgspec.json.encode(value).decode()
    return str(value)
