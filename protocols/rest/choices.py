"""Which values a field may have: said to whoever has sent another one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from msgspec import inspect

_OTHER_VALUE = re.compile(r"Invalid (enum )?value (?P<value>'.*'|-?\d+)")
_STEP = re.compile(r"[^.\[\]]+|\[[^\]]*\]")


def named(reason: str, field: str, type_: Any, sent: object) -> str:
    """msgspec's complaint about a field of what was `sent` as a `type_`, with the values there are in its own place."""
    other = _OTHER_VALUE.fullmatch(reason)
    choices = sorted(map(str, _choices(type_, field, sent))) if other else []
    return f"{other['value']} is none of {', '.join(choices)}" if other and choices else reason


def _choices(type_: Any, field: str, sent: object) -> set[Any]:
    """The values that a field has, by its path as msgspec writes it; none where any value of a type will do."""
    kinds = [*_each(inspect.type_info(type_))]
    found = [kind for kind in kinds if isinstance(kind, inspect.StructType) and _is_tagged(kind, sent)] or kinds
    for step in _STEP.findall(field):
        found = [inner for info in found for each in _each(info) for inner in _within(each, step)]
    return {value for info in found for each in _each(info) for value in _values(each)}


def _is_tagged(kind: inspect.StructType, sent: object) -> bool:
    return isinstance(sent, dict) and kind.tag_field is not None and sent.get(kind.tag_field) == kind.tag


def _each(info: inspect.Type) -> Iterator[inspect.Type]:
    """The types that a union is of; another type itself."""
    if isinstance(info, inspect.Metadata):
        yield from _each(info.type)
    elif isinstance(info, inspect.UnionType):
        for one in info.types:
            yield from _each(one)
    else:
        yield info


def _within(info: inspect.Type, step: str) -> Iterator[inspect.Type]:
    if isinstance(info, inspect.StructType):
        yield from (field.type for field in info.fields if field.encode_name == step)
        if info.tag_field == step:
            yield inspect.LiteralType((info.tag,))
    elif isinstance(info, inspect.CollectionType) and step.startswith("["):
        yield info.item_type
    elif isinstance(info, inspect.DictType) and step.startswith("["):
        yield info.value_type


def _values(info: inspect.Type) -> Iterator[Any]:
    if isinstance(info, inspect.LiteralType):
        yield from info.values
    elif isinstance(info, inspect.EnumType):
        yield from (member.value for member in info.cls)
