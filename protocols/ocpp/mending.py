"""What a broken message means all the same: read by its schema part by part, each part as well as it can be.

Whether a car has charged does not depend on how its station writes numbers. So where strict and tolerant reading have
failed, the messages that charges are made of are mended: numbers that came as text, text that came as numbers, texts
too long, words in another case, times that cannot be read, fields that are missing. Whoever mends is told of each.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from types import MappingProxyType, SimpleNamespace
from typing import Any

from msgspec import UNSET, Struct

from statecharts.limits import OCPP_ODDITIES, OCPP_TEXT_TAKEN

CLOCK_NEVER_SET = "1970-01-01T00:00:00Z"
"""Stands for a time that is missing or cannot be read: its station knows no more than one whose clock was never set."""

_INTEGERS = range(-(2**63), 2**63)
_QUANTITY = re.compile(r"\s*([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]{1,2})?)\s*(k?Wh)?\s*", re.ASCII)
_SINCE_1970 = re.compile(r"[0-9]{9,13}", re.ASCII)
_MILLISECONDS_SINCE = 100_000_000_000
"""More seconds than this since 1970 (the year 5138) are milliseconds."""


class Leniency(Struct, frozen=True):
    """How far the reading of a broken message goes.

    `absent` says, by name, what stands for a field that the schema requires and that is not there or cannot be read:
    None leaves it out; a field that is not named makes the message unreadable. `words` are words that stations say in
    place of the schema's, in small letters without anything between.
    """

    absent: Mapping[str, Any] = MappingProxyType({})
    words: Mapping[str, str] = MappingProxyType({})


class LeftOut(str):
    """A note on what of a message could not be read, while the rest was taken."""


class Unmendable(Exception):
    """Nobody can tell what this part of a message means."""


class Mender:
    """Mends one message. `notes` says, once for each, what was odd about it."""

    def __init__(self, schema: Mapping[str, Any], leniency: Leniency, open_words: frozenset[str]) -> None:
        self._schema, self._leniency, self._open_words = schema, leniency, open_words
        self.notes: dict[str, None] = {}

    def mend(self, message: Any) -> Any:
        """The message, its fields as attributes, UNSET where they were left out. Raises `Unmendable`."""
        return self._object(message, self._schema, "$")

    def _note(self, note: str) -> None:
        first_loss = isinstance(note, LeftOut) and not any(isinstance(each, LeftOut) for each in self.notes)
        if first_loss or len(self.notes) < OCPP_ODDITIES.limit:
            self.notes[note] = None

    # -- objects and lists ---------------------------------------------------------------------------------------------

    def _part(self, value: Any, schema: Mapping[str, Any], name: str, path: str) -> Any:
        if "$ref" in schema:
            schema = self._schema["definitions"][schema["$ref"].rsplit("/", 1)[1]]
        if "enum" in schema:
            return self._word(value, schema["enum"], name, path)
        if schema.get("format") == "date-time":
            return self._time(value, path)
        if schema.get("type") == "string":
            return self._text(value, schema.get("maxLength"), path)
        if schema.get("type") == "array":
            return self._list(value, schema["items"], name, path)
        if "properties" in schema:
            return self._object(value, schema, path)
        plainly = _PLAINLY.get(schema.get("type", ""))
        return plainly(self, value, path) if plainly else value

    def _object(self, value: Any, schema: Mapping[str, Any], path: str) -> Any:
        if not isinstance(value, dict):
            raise Unmendable(f"`{path}` is no object")
        required, parts = frozenset(schema.get("required", ())), schema.get("properties", {})
        for name in value:
            if name not in parts:
                self._note(f"`{path}.{name:.50}` is unknown")
        fields = {
            name: self._field(value.get(name), part, name, f"{path}.{name}", needed=name in required)
            for name, part in parts.items()
        }
        return SimpleNamespace(**fields)

    def _field(self, value: Any, schema: Mapping[str, Any], name: str, path: str, *, needed: bool) -> Any:
        missing = f"`{path}` is missing"
        if value is not None:
            try:
                return self._part(value, schema, name, path)
            except Unmendable as reason:
                missing = str(reason)
                if not needed or name in self._leniency.absent:
                    self._note(LeftOut(missing))
        elif needed:
            self._note(missing)
        if not needed:
            return UNSET
        if name not in self._leniency.absent:
            raise Unmendable(missing)
        stands_for = self._leniency.absent[name]
        return UNSET if stands_for is None else self._part(stands_for, schema, name, path)

    def _list(self, value: Any, items: Mapping[str, Any], name: str, path: str) -> list[Any]:
        if not isinstance(value, list):
            self._note(f"`{path}` is no list")
            value = [value]
        mended = []
        for item in value:
            try:
                mended.append(self._part(item, items, name, f"{path}[...]"))
            except Unmendable as reason:
                self._note(LeftOut(str(reason)))
        return mended

    # -- values --------------------------------------------------------------------------------------------------------

    def _text(self, value: Any, length_max: int | None, path: str) -> str:
        text = value if isinstance(value, str) else self._written(value, path)
        if length_max is not None and len(text) > length_max:
            if len(text) > max(OCPP_TEXT_TAKEN.limit, length_max):
                raise Unmendable(f"`{path}` has more than {OCPP_TEXT_TAKEN.limit} characters")
            self._note(f"`{path}` has {len(text)} characters, {length_max} are allowed")
        return text

    def _written(self, value: Any, path: str) -> str:
        if not isinstance(value, int | float):
            raise Unmendable(f"`{path}` is no text")
        self._note(f"`{path}` is a {type(value).__name__}, not a text")
        return str(value).lower() if isinstance(value, bool) else str(value)

    def _word(self, value: Any, known: list[str], name: str, path: str) -> str:
        if value in known:
            return str(value)
        said = self._text(value, None, path)
        if name in self._open_words:
            return self._text(said, OCPP_TEXT_TAKEN.limit, path)
        word = {**self._leniency.words, **{_folded(each): each for each in known}}.get(_folded(said))
        if word not in known:
            raise Unmendable(f"`{path}` says {said!r:.40}, which nobody knows")
        self._note(f"`{path}` says {said!r:.40}, read as {word}")
        return word

    def _time(self, value: Any, path: str) -> str:
        if isinstance(value, str) and _SINCE_1970.fullmatch(value):
            value = int(value)
        if isinstance(value, str):
            with suppress(ValueError, OverflowError):
                datetime.fromisoformat(value.strip()).astimezone(UTC)
                return value
        elif isinstance(value, int | float) and not isinstance(value, bool):
            with suppress(ValueError, OverflowError, OSError):
                seconds = value / 1000 if abs(value) > _MILLISECONDS_SINCE else value
                moment = datetime.fromtimestamp(seconds, UTC)
                self._note(f"`{path}` counts since 1970")
                return moment.isoformat()
        raise Unmendable(f"`{path}` is no time")

    def _integer(self, value: Any, path: str) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and value in _INTEGERS:
            return value
        number = self._number_in(value, path)
        whole = int(number.to_integral_value(ROUND_HALF_UP)) if number.adjusted() < len(str(_INTEGERS.stop)) else None
        if whole is None or whole not in _INTEGERS:
            raise Unmendable(f"`{path}` is out of range")
        self._note(f"`{path}` is no whole number")
        return whole

    def _number(self, value: Any, path: str) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        number = float(self._number_in(value, path))
        self._note(f"`{path}` is a text, not a number")
        return number

    def _number_in(self, value: Any, path: str) -> Decimal:
        found = _QUANTITY.fullmatch(str(value)) if isinstance(value, int | float | str) else None
        if found is None or isinstance(value, bool):
            raise Unmendable(f"`{path}` is no number")
        with suppress(InvalidOperation):
            return Decimal(found[1]) * (1000 if found[2] == "kWh" else 1)
        raise Unmendable(f"`{path}` is no number")

    def _boolean(self, value: Any, path: str) -> bool:
        if isinstance(value, bool):
            return value
        meant = {"true": True, "1": True, "false": False, "0": False}.get(str(value).strip().lower())
        if meant is None:
            raise Unmendable(f"`{path}` is neither true nor false")
        self._note(f"`{path}` is neither true nor false, but means one")
        return meant


_PLAINLY: dict[str, Callable[[Mender, Any, str], Any]] = {
    "integer": Mender._integer,
    "number": Mender._number,
    "boolean": Mender._boolean,
}


def _folded(word: str) -> str:
    return "".join(character for character in word.casefold() if character.isalnum())
