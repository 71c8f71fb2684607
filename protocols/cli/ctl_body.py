"""Words of the command line as the body of a request: `reason=late keys[]=A location.latitude=52.37`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from protocols.cli.starter import WrongUse

Schema = Mapping[str, Any]
REF = "#/components/schemas/"
KINDS = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}


class Shapes:
    """What the bodies of a node's routes look like, by its OpenAPI document."""

    def __init__(self, document: Schema) -> None:
        self._document = document

    def body(self, method: str, path: str, given: Mapping[str, str], words: Sequence[str]) -> dict[str, Any]:
        """The body that `words` tell, beside what is `given` already; a field's schema says what its value is.

        Raises WrongUse for a word that is none, and for a value that its field cannot have.
        """
        content = self._document["paths"][path][method.lower()]["requestBody"]["content"]
        schema = next(iter(content.values()))["schema"]
        body: dict[str, Any] = dict(given)
        for word in words:
            name, equals, text = word.partition("=")
            if not equals or not name.strip("[]."):
                raise WrongUse(f"{word!r} is no field=value")
            listed = name.endswith("[]")
            fields = name.removesuffix("[]").split(".")
            found = [*self._schemas(self._chosen(schema, given), fields, listed)]
            _put(body, fields, self._value(word, text, found), listed)
        return body

    def _chosen(self, schema: Schema, given: Mapping[str, str]) -> Schema:
        """Of several shapes the one whose fixed fields are as given: a command by its name."""
        for choice in self._choices(schema):
            properties = choice.get("properties", {})
            if all(value in properties.get(name, {}).get("enum", [value]) for name, value in given.items()):
                return choice
        return {}

    def _choices(self, schema: Schema) -> Iterator[Schema]:
        if "$ref" in schema:
            yield from self._choices(self._document["components"]["schemas"][schema["$ref"].removeprefix(REF)])
        elif "anyOf" in schema:
            for each in schema["anyOf"]:
                yield from self._choices(each)
        else:
            yield schema

    def _schemas(self, schema: Schema, fields: Sequence[str], listed: bool) -> Iterator[Schema]:
        """All that the value of a field may be."""
        for choice in self._choices(schema):
            if fields and fields[0] in choice.get("properties", {}):
                yield from self._schemas(choice["properties"][fields[0]], fields[1:], listed)
            elif not fields and listed and "items" in choice:
                yield from self._choices(choice["items"])
            elif not fields:
                yield choice

    def _value(self, word: str, text: str, found: Sequence[Schema]) -> Any:
        """The text as the first of what it may be; as it stands where nothing is known of it: the node will say."""
        kinds = {kind for schema in found for kind in _kinds(schema)}
        try:
            value = msgspec.json.decode(text)
        except msgspec.DecodeError:
            value = text
        kind = KINDS.get(type(value), "null")
        if kind in kinds or (kind == "integer" and "number" in kinds):
            return value
        if not kinds or "string" in kinds:
            return text
        raise WrongUse(f"{word!r}: the value must be {' or '.join(sorted(kinds - {'null'}))}")


def _kinds(schema: Schema) -> Iterator[str]:
    if "enum" in schema:
        yield from (KINDS.get(type(each), "null") for each in schema["enum"])
    elif isinstance(schema.get("type"), list):
        yield from schema["type"]
    elif "type" in schema:
        yield schema["type"]


def _put(body: dict[str, Any], fields: Sequence[str], value: Any, listed: bool) -> None:
    *within, name = fields
    for each in within:
        body = body.setdefault(each, {})
    if listed:
        body.setdefault(name, []).append(value)
    else:
        body[name] = value
