"""The table of all keys for the README, made of the models themselves."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from protocols.cli.config_types import table_in

_UNITS = {"_s": "s", "_days": "days", "latitude": "°", "longitude": "°", "_max": "count", "connectors": "count"}


def table_of(model: type[BaseModel]) -> str:
    """All keys of a model as a Markdown table: key, default, unit, meaning."""
    head = ["| Key | Default | Unit | Meaning |", "|---|---|---|---|"]
    return "\n".join([*head, *_rows(model, "")]) + "\n"


def _rows(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        table = table_in(field.annotation)
        repeated = get_origin(field.annotation) is tuple
        if table is None or repeated:
            yield f"| `{prefix}{name}` | {_default(field)} | {_unit(name)} | {field.description} |"
        if table is not None:
            yield from _rows(table, f"{prefix}{name}{'[]' if repeated else ''}.")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = _plain(field.default)
    return "" if value in ("", "[]") else f"`{value}`"


def _plain(value: Any) -> str:
    """A default as TOML has it."""
    if isinstance(value, tuple):
        return f"[{', '.join(_plain(each) for each in value)}]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Enum | str | Path):
        return f'"{value}"'
    return "" if value is None else str(value)


def _unit(name: str) -> str:
    return next((unit for ending, unit in _UNITS.items() if name.endswith(ending)), "")
