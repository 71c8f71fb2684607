"""JSON Schema 2020-12 of what the API reads and writes, from the msgspec types themselves.

What is read is what msgspec would take. What is written differs from it: absent fields are left out instead of null,
every other field is always there, and a value's tag is not shown.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import msgspec

REF = "#/components/schemas/"

INSTANT = (
    "^[12][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
    r"(\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
)
"""What an instant of RFC 3339 looks like, of any year that a charge may be of."""

Schema = dict[str, Any]


class Schemas:
    """Collects the schemas that a document refers to under `components`."""

    def __init__(self) -> None:
        self.components: dict[str, Schema] = {}

    def read(self, type_: Any) -> Schema:
        """The schema of something that a request carries."""
        return self._collected(type_, written=False)

    def written(self, type_: Any) -> Schema:
        """The schema of something that an answer carries."""
        return self._collected(type_, written=True)

    def parameters(self, query: type[msgspec.Struct]) -> Iterator[tuple[str, bool, Schema]]:
        """The fields of a query string: name, whether it is required, schema."""
        (_, own), found = _schemas(query)
        self._add(found)
        for name, schema in own["properties"].items():
            without_null, _ = _without_null(schema)
            if without_null.get("default", ...) is None:
                del without_null["default"]
            yield name, name in own.get("required", ()), without_null

    def _collected(self, type_: Any, *, written: bool) -> Schema:
        (schema,), found = msgspec.json.schema_components([type_], ref_template=REF + "{name}")
        components = {name: _portable(component) for name, component in found.items()}
        self._add({n: _as_written(n, c) for n, c in components.items()} if written else components)
        portable: Schema = _portable(schema)
        return portable

    def _add(self, found: dict[str, Schema]) -> None:
        for name, schema in found.items():
            if self.components.setdefault(name, schema) != schema:
                raise ValueError(f"two types of the API are called {name}, or one is both read and written")


def _schemas(struct: type[msgspec.Struct]) -> tuple[tuple[str, Schema], dict[str, Schema]]:
    """A struct's own schema under its name, and those of the types that it refers to."""
    (schema,), found = msgspec.json.schema_components([struct], ref_template=REF + "{name}")
    components = {name: _portable(component) for name, component in found.items()}
    name = schema["$ref"].removeprefix(REF)
    return (name, components.pop(name)), components


def _portable(schema: Any) -> Any:
    """The same schema for any reader: ECMA-262 patterns, decimals as numbers, descriptions as they read."""
    if isinstance(schema, list):
        return [_portable(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    changed = {name: _portable(value) for name, value in schema.items()}
    if isinstance(changed.get("pattern"), str):
        changed["pattern"] = changed["pattern"].replace(r"\A", "^").replace(r"\Z", "$")
    if isinstance(changed.get("description"), str):
        changed["description"] = inspect.cleandoc(changed["description"])
    if changed.get("format") == "decimal":
        changed["type"] = "number"
        del changed["format"]
    if changed.get("format") == "date-time":
        changed["pattern"] = INSTANT  # a format alone is a remark to most readers, and the empty text has it
    return changed


def _as_written(name: str, schema: Schema) -> Schema:
    if "properties" not in schema:
        return schema
    properties, required = {}, []
    for field, described in schema["properties"].items():
        if described == {"enum": [name]}:
            continue  # the tag
        shown, nullable = _without_null(described)
        shown.pop("default", None)
        properties[field] = shown
        required += [] if nullable else [field]
    return {**schema, "properties": properties, "required": required}


def _without_null(schema: Schema) -> tuple[Schema, bool]:
    """The schema of the values that are not null, and whether null was among them."""
    choices = schema.get("anyOf", [])
    kept = [choice for choice in choices if choice != {"type": "null"}]
    if len(kept) == len(choices):
        return dict(schema), False
    rest = {name: value for name, value in schema.items() if name != "anyOf"}
    return ({**rest, **kept[0]} if len(kept) == 1 else {**rest, "anyOf": kept}), True
