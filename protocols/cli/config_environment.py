"""The environment laid over the values of a file: `ROAMNODE_STATIONS__0__PASSWORD` is `stations[0].password`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from protocols.cli.config_problems import Problem

PREFIX = "ROAMNODE_"
BETWEEN_LEVELS = "__"
TOKEN, URL = "ROAMNODE_TOKEN", "ROAMNODE_URL"
"""What `node.py ctl` reads: no keys of a configuration."""


def overlaid(values: dict[str, Any], environ: Mapping[str, str]) -> tuple[dict[str, Any], list[Problem]]:
    """The values with every `ROAMNODE_` variable at its place, and which variables have no place to be at.

    Whole tables come before the keys in them, and rows in the order of their numbers, whatever order `environ` has.
    """
    problems = []
    variables = {_path(name): name for name in environ if name.startswith(PREFIX) and name not in (TOKEN, URL)}
    for path in sorted(variables, key=_order):
        name = variables[path]
        try:
            values = _laid(values, path, _value(environ[name]))
        except LookupError as error:
            problems.append(Problem(".".join(path), f"{error.args[0]} (in the environment, {name})"))
    return values, problems


def _path(name: str) -> tuple[str, ...]:
    return tuple(name.removeprefix(PREFIX).lower().split(BETWEEN_LEVELS))


def _order(path: Sequence[str]) -> list[tuple[int, str]]:
    return [(int(level) if level.isdecimal() else 0, level) for level in path]


def _value(text: str) -> Any:
    """A list or a table if the text is one in JSON, else the text: what it means is decided by the key's type."""
    if not text.lstrip().startswith(("[", "{")):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _laid(base: Any, path: Sequence[str], value: Any) -> Any:
    """`base` with `value` at `path`; tables and the next row of a list appear where they are missing."""
    if not path:
        return value
    level, *rest = path
    if isinstance(base, list) or (base is None and level.isdecimal()):
        return _laid_in_row(base or [], level, rest, value)
    table = base if isinstance(base, dict) else {}
    return {**table, level: _laid(table.get(level), rest, value)}


def _laid_in_row(rows: list[Any], level: str, rest: Sequence[str], value: Any) -> list[Any]:
    if not level.isdecimal() or int(level) > len(rows):
        raise LookupError(f"no such row: rows are numbered from 0, and the next would be {len(rows)}")
    number = int(level)
    row = rows[number] if number < len(rows) else None
    return [*rows[:number], _laid(row, rest, value), *rows[number + 1 :]]
