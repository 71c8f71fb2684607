"""JSON Schemas in words: what a value looks like, with a link to where it is told in full."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from protocols.rest.html import Html, element, joined, paragraphs, prose, table
from protocols.rest.schemas import REF, Schema


def shape(schema: Schema) -> Html:
    """A schema in a few words."""
    limits = [*_limits(schema)]
    return joined(_kind(schema), *([" (", joined(limits, by=", "), ")"] if limits else []))


def anchor(name: str) -> str:
    """The id of a schema's section."""
    return f"schema-{name}"


def in_full(name: str, schema: Schema) -> Html:
    """The section of a named schema."""
    about = paragraphs(str(schema.get("description", "")))
    shown = fields(schema) if "properties" in schema else element("p", shape(schema))
    return element("section", element("h3", element("code", name)), about, shown, id=anchor(name), class_="schema")


def fields(schema: Schema) -> Html:
    """The fields of an object, a row each."""
    required = schema.get("required", ())
    rows = [(named(name, required=name in required), told(each)) for name, each in schema["properties"].items()]
    return table(("field", "what it is"), rows)


def named(name: str, *, required: bool) -> Html:
    """A name in a table, and whether it has to be there."""
    return joined(element("code", name), element("small", " required") if required else "")


def told(schema: Schema, description: str = "") -> Html:
    """What a value is and, below, what it means."""
    says = description or str(schema.get("description", ""))
    return joined(shape(schema), element("div", prose(says), class_="says") if says else "")


def _kind(schema: Schema) -> Html:
    if "$ref" in schema:
        name = str(schema["$ref"]).removeprefix(REF)
        return element("a", element("code", name), href=f"#{anchor(name)}")
    if "const" in schema or "enum" in schema:
        values = [schema["const"]] if "const" in schema else schema["enum"]
        return joined((element("code", _written(value)) for value in values), by=", ")
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return joined(map(shape, schema[several]), by=" or " if several != "allOf" else " and ")
    return _of_type(schema)


def _of_type(schema: Schema) -> Html:
    match schema.get("type"):
        case "array":
            return joined("list of ", shape(schema.get("items", {})))
        case "object" if "properties" in schema:
            return joined("object with ", joined((element("code", name) for name in schema["properties"]), by=", "))
        case "object" if isinstance(schema.get("additionalProperties"), dict):
            return joined("object of names, each with ", shape(schema["additionalProperties"]))
        case list() as types:
            return joined(map(str, types), by=" or ")
        case None:
            return joined("anything")
        case type_:
            return joined("time" if schema.get("format") == "date-time" else str(type_))


def _limits(schema: Schema) -> Iterator[Html]:
    for least, most, what in (("minLength", "maxLength", " characters"), ("minItems", "maxItems", " items")):
        if least in schema or most in schema:
            yield joined(_range(schema.get(least), schema.get(most)), what)
    if "minimum" in schema or "maximum" in schema:
        yield joined(_range(schema.get("minimum"), schema.get("maximum")))
    for name, said in (("exclusiveMinimum", "more than "), ("exclusiveMaximum", "less than ")):
        if name in schema:
            yield joined(said, _written(schema[name]))
    if "pattern" in schema and schema.get("format") != "date-time":
        yield joined("matches ", element("code", str(schema["pattern"])))
    if "default" in schema:
        yield joined("without it ", element("code", _written(schema["default"])))


def _range(least: Any, most: Any) -> str:
    if most is None:
        return f"at least {_written(least)}"
    return f"up to {_written(most)}" if least is None else f"{_written(least)} to {_written(most)}"


def _written(value: Any) -> str:
    return value if isinstance(value, str) and value else msgspec.json.encode(value).decode()
