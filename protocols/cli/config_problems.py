"""What is wrong with a configuration, in people's words: pydantic's errors by key and reason, without any secret."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from protocols.cli.config_types import table_in
from statecharts.limits import VALUE_SHOWN

Location = tuple[int | str, ...]


class Problem(NamedTuple):
    """`key` is dotted, with the number of a row from 0: `stations.0.password`."""

    key: str
    reason: str


class Places:
    """Where the rows of a list stood in the file, when the rows that were wrong in themselves have been left out."""

    def __init__(self, kept: Mapping[str, Sequence[int]] | None = None) -> None:
        self._kept = kept or {}

    def rows(self, config: BaseModel, table: str) -> list[tuple[str, Any]]:
        """The rows of a table of `config`, each with its key: `stations.3`."""
        rows = getattr(config, table)
        numbers = self._kept.get(table, range(len(rows)))
        return [(f"{table}.{number}", row) for number, row in zip(numbers, rows, strict=True)]


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint at what may have been meant, or nothing."""
    close = difflib.get_close_matches(name.lower(), list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def in_words(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """Every error in a configuration of this model, in the order of its keys."""
    errors = error.errors(include_url=False)
    lists = {each["loc"][:-1] for each in errors}
    # pydantic calls a list with a wrong item too short as well
    told = [each for each in errors if each["type"] != "too_short" or each["loc"] not in lists]
    return [Problem(".".join(map(str, each["loc"])), _reason(each, model)) for each in told]


def sound_part(values: Mapping[str, Any], error: ValidationError) -> tuple[dict[str, Any], Places]:
    """The values without what is wrong in itself (a row of a list, or else a whole key), and where the rows stood."""
    wrong = {_unit(each["loc"], values) for each in error.errors(include_input=False, include_url=False)}
    sound = {name: value for name, value in values.items() if (name,) not in wrong}
    kept = {
        name: [number for number in range(len(rows)) if (name, number) not in wrong]
        for name, rows in sound.items()
        if isinstance(rows, list)
    }
    rows = {name: [sound[name][number] for number in numbers] for name, numbers in kept.items()}
    return {**sound, **rows}, Places(kept)


def _unit(location: Location, values: Mapping[str, Any]) -> Location:
    """The smallest part of the values that can be left out because of an error at `location`."""
    in_row = len(location) > 1 and isinstance(values.get(str(location[0])), list)
    return location[:2] if in_row else location[:1]


def _reason(error: ErrorDetails, model: type[BaseModel]) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return "unknown key" + nearest(str(error["loc"][-1]), _known_at(model, error["loc"][:-1]))
    if kind == "value_error":
        return str(context["error"])
    template = next((text for start, text in _REASONS.items() if kind.startswith(start)), None)
    plain = {name: int(v) if isinstance(v, float) and v.is_integer() else v for name, v in context.items()}
    reason = template.format(**plain) if template else error["msg"][:1].lower() + error["msg"][1:]
    return reason + _got(error)


def _known_at(model: type[BaseModel], location: Location) -> Iterable[str]:
    """The keys that there are in the table at this location."""
    names = [name for name in location if isinstance(name, str)]
    table: type[BaseModel] | None = model
    for name in names:
        table = table_in(table.model_fields[name].annotation) if table else None
    return table.model_fields if table else ()


def _got(error: ErrorDetails) -> str:
    """The value that was given, unless it is none, is too long to show, or might be or hold a secret."""
    if error["type"] in ("missing", "tuple_type", "model_type", "model_attributes_type"):
        return ""
    key, value = next((str(name) for name in reversed(error["loc"]) if isinstance(name, str)), ""), error["input"]
    secret = any(word in key for word in ("password", "token", "database_url"))
    shown = repr(value) if isinstance(value, int | float | str) and not secret else ""
    return f" (got {shown})" if 0 < len(shown) <= VALUE_SHOWN.limit else ""


_REASONS: dict[str, str] = {
    "missing": "is required",
    "greater_than_equal": "must be {ge} or more",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be {le} or less",
    "too_short": "must not be empty",
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
    "int_": "must be a whole number",
    "float_": "must be a number",
    "decimal_": "must be a decimal number",
    "bool_": "must be true or false",
    "string_": "must be text",
    "tuple_type": 'must be a list: ["...", "..."]',
    "model_": "must be a table",
    "datetime_": "must be a date and time: 2026-12-31T00:00:00Z",
    "timezone_aware": "must say its time zone: 2026-12-31T00:00:00Z",
    "path_not_file": "no such file",
    "path_type": "must be a path, as text",
    "finite_number": "must be a finite number",
}
"""pydantic's kinds of error, by how they begin; a longer beginning stands before a shorter one."""
