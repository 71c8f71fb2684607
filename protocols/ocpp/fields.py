"""What messages of every OCPP version have in common: fields that may be absent, translated words, points in time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec import UNSET

from protocols.ocpp.schemas import formation_violation


def given(value: Any) -> Any:
    """The value of an optional field, None where it was left out."""
    return None if value is UNSET else value


def present(**fields: Any) -> dict[str, Any]:
    """The fields that have a value: OCPP leaves out what is absent and knows no null."""
    return {name: value for name, value in fields.items() if value is not None}


def translation(words: Mapping[str, str]) -> tuple[Callable[[str], str], Callable[[str], str]]:
    """Our words -> a version's, as two functions: to say and to read; what is not named is the same in both."""
    back = {theirs: ours for ours, theirs in words.items()}
    return lambda word: words.get(word, word), lambda word: back.get(word, word)


def read_time(text: str) -> datetime:
    """The moment that an ISO 8601 text means, as aware UTC; without a zone it is UTC (OCPP 1.6, 3.15).

    Raises FormationViolation for a text that names no moment.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise formation_violation(f"{text!r:.60} is no ISO 8601 date and time") from None


def read_optional_time(text: Any) -> datetime | None:
    return read_time(text) if given(text) else None


def write_time(moment: datetime) -> str:
    """ISO 8601 with a Z, as exact as the moment itself: a retry must show the very same time."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def write_optional_time(moment: datetime | None) -> str | None:
    return None if moment is None else write_time(moment)


def write_clock(moment: datetime) -> str:
    """The time for a station to set its clock by: in milliseconds, as some read no more than three digits."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
