"""Payload types, compiled from the JSON schemas of the `ocpp` package when a message first needs them.

Each schema gives two types. The strict one is what we send. The tolerant one is what we also take, when the strict one
refuses: fields nobody knows, `null` for a field left out, empty lists, and words outside the enumerations that the
dialect leaves open. What charges are made of is mended beyond that (`mending`). Whoever decodes is told of each
tolerance, to log and to count it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources
from typing import Annotated, Any, Literal, Union

import msgspec
from msgspec import UNSET, Meta, UnsetType
from ocpp import exceptions as ocpp

from protocols.ocpp.frames import NOT_JSON
from protocols.ocpp.mending import Leniency, Mender, Unmendable

Integer = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
"""The schemas leave integers open; ours end where journals and databases end."""

Tolerated = Callable[[str], None]
"""Told what had to be tolerated in a message that was taken all the same."""

_PLAIN_TYPES: dict[str, Any] = {"integer": Integer, "number": float, "boolean": bool}


_OF_VENDORS = "customData"
"""Where vendors put what they like (OCPP 2.x), often without the vendorId that the schema wants."""


class Payload:
    """The payload of one message, both ways; attributes are named as on the wire."""

    def __init__(
        self,
        strict: type[msgspec.Struct],
        tolerant: type[msgspec.Struct],
        schema: Mapping[str, Any],
        open_words: frozenset[str],
    ) -> None:
        self._type, self._schema, self._open_words = strict, schema, open_words
        self._strict = msgspec.json.Decoder(strict)
        self._tolerant = msgspec.json.Decoder(tolerant)

    def decode(self, data: bytes, tolerated: Tolerated) -> Any:
        """The payload these bytes hold; fields left out are UNSET or None.

        Raises the OCPPError whose code OCPP-J 1.6, section 4.2.3, foresees for what is wrong.
        """
        try:
            return self._strict.decode(data)
        except NOT_JSON as refusal:
            try:
                payload = self._tolerant.decode(data)
            except NOT_JSON as error:
                raise _violation(error) from error
            tolerated(str(refusal))
            return payload

    def mend(self, data: bytes, leniency: Leniency, tolerated: Tolerated) -> Any:
        """The payload that these bytes mean, as well as they can be read. Raises `Unmendable`."""
        try:
            message = msgspec.json.decode(data)
        except NOT_JSON as error:
            raise Unmendable("no JSON that can be read") from error
        mender = Mender(self._schema, leniency, self._open_words)
        payload = mender.mend(message)
        for note in mender.notes:
            tolerated(note)
        return payload

    def decode_json(self, data: bytes, tolerated: Tolerated) -> dict[str, Any]:
        """The payload as the JSON it is, with the fields that nobody knows, once `decode` finds it good."""
        self.decode(data, tolerated)
        try:
            content: dict[str, Any] = msgspec.json.decode(data)
        except NOT_JSON as error:
            raise _violation(error) from error
        return content

    def encode(self, content: Mapping[str, Any]) -> bytes:
        """The bytes to send. Raises msgspec.ValidationError for content that the schema does not allow."""
        return msgspec.json.encode(msgspec.convert(content, self._type))


@cache
def payload(version: str, schema_name: str, open_words: frozenset[str]) -> Payload:
    """The payload that `schema_name` of an OCPP version ("v16") describes, with some enumerations left open.

    `open_words` names the fields whose unknown words are kept as text by the tolerant type.
    """
    path = resources.files("ocpp") / version / "schemas" / f"{schema_name}.json"
    schema = msgspec.json.decode(path.read_text(encoding="utf-8-sig"))
    strict, tolerant = _Compiler(schema, None), _Compiler(schema, open_words)
    structs = strict.struct(schema, schema_name), tolerant.struct(schema, schema_name)
    return Payload(*structs, schema, open_words)


class _Compiler:
    """One schema on its way to a Struct; without `open_words` it makes the strict one."""

    def __init__(self, schema: Mapping[str, Any], open_words: frozenset[str] | None) -> None:
        self._definitions: Mapping[str, Any] = schema.get("definitions", {})
        self._tolerant = open_words is not None
        self._open_words = open_words or frozenset()
        self._defined: dict[str, Any] = {}

    def struct(self, schema: Mapping[str, Any], name: str) -> type[msgspec.Struct]:
        required = frozenset(schema.get("required", ()))
        fields = [
            (field, self._type(part, field)) if field in required else (field, self._optional(part, field), UNSET)
            for field, part in schema.get("properties", {}).items()
        ]
        closed = not self._tolerant and schema.get("additionalProperties", True) is False
        return msgspec.defstruct(name, fields, kw_only=True, forbid_unknown_fields=closed)

    def _optional(self, schema: Mapping[str, Any], name: str) -> Any:
        kinds = [self._type(schema, name), UnsetType, *([None] if self._tolerant else [])]
        return Union[tuple(kinds)]  # noqa: UP007 -- a union of types that are known at run time only

    def _type(self, schema: Mapping[str, Any], name: str) -> Any:
        if self._tolerant and name == _OF_VENDORS:
            return Any
        if "$ref" in schema:
            return self._definition(schema["$ref"].rsplit("/", 1)[1], name)
        if "enum" in schema:
            return str if name in self._open_words else Literal[tuple(schema["enum"])]
        if schema.get("type") in _PLAIN_TYPES:
            return _PLAIN_TYPES[schema["type"]]
        return self._sized(schema, name)

    def _sized(self, schema: Mapping[str, Any], name: str) -> Any:
        if schema.get("type") == "string":
            return Annotated[str, Meta(max_length=schema.get("maxLength"))]
        if schema.get("type") == "array":
            at_least = None if self._tolerant else schema.get("minItems")
            items = list.__class_getitem__(self._type(schema["items"], name))
            return Annotated[items, Meta(min_length=at_least, max_length=schema.get("maxItems"))]
        return self.struct(schema, name) if "properties" in schema else Any

    def _definition(self, name: str, field: str) -> Any:
        if "enum" in self._definitions[name]:
            # It is the field that is open, wherever its words are defined.
            return self._type(self._definitions[name], field)
        if name not in self._defined:
            self._defined[name] = self._type(self._definitions[name], name)
        return self._defined[name]


_VIOLATIONS: tuple[tuple[re.Pattern[str], type[Exception]], ...] = tuple(
    (re.compile(pattern), error)
    for pattern, error in (
        (r"missing required field|Expected `array` of length", ocpp.OccurenceConstraintViolationError),
        (r"Expected `object`, got `\w+`$", ocpp.FormationViolationError),
        (r"Invalid enum value|of length|Expected `\w+` [<>]=|out of range", ocpp.PropertyConstraintViolationError),
        (r"^Expected", ocpp.TypeConstraintViolationError),
    )
)
"""What msgspec says of a payload -> the error of OCPP-J 1.6, table 7. The first that matches counts."""


def _violation(error: Exception) -> Exception:
    """The OCPP error for a payload that could not be taken."""
    text = str(error)
    if isinstance(error, msgspec.ValidationError):
        for pattern, violation in _VIOLATIONS:
            if pattern.search(text):
                return violation(text)
    return formation_violation("the payload is no JSON that can be read")


def formation_violation(description: str) -> Exception:
    """The OCPP error for a payload that is syntactically incorrect."""
    error: Exception = ocpp.FormationViolationError(description)
    return error
