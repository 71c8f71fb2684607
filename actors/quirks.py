"""What stations do that the specification does not allow, counted by vendor and model since the node started.

A vendor's stations are odd in the same few ways, message after message. What each does is counted; the first message of
a kind stands for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from statecharts.bounds import QUIRK_MODELS_KEPT, QUIRKS_KEPT, Watermarks
from statecharts.limits import OCPP_ODDITY, QUIRK_EXAMPLE, QUIRK_STATIONS_COUNTED
from statecharts.oddities import Handling, OddMessage

EVERYTHING_ELSE = "everything else"
"""Stands for the kinds of a model that has more of them than are told apart."""

Model = tuple[str, str]
"""A vendor and a model as their stations say them."""


@dataclass(slots=True, kw_only=True)
class Quirk:
    """One kind of oddity of one model. `example` is the payload of the first message that showed it."""

    vendor: str
    model: str
    action: str
    what: str
    handling: Handling
    example: str
    first_at: datetime
    last_at: datetime
    times: int = 0
    by_station: dict[str, int] = field(default_factory=dict)


class Quirks:
    """Counts them; what is beyond the bounds is counted together."""

    def __init__(self, watermarks: Watermarks) -> None:
        self._models: dict[Model, dict[tuple[str, str], Quirk]] = {}
        self._watermarks = watermarks

    def noticed(self, station: str, model: Model, odd: OddMessage, at: datetime) -> bool:
        """Counts what is odd about a message; whether this station shows something of it for the first time."""
        if model not in self._models and len(self._models) >= QUIRK_MODELS_KEPT.limit:
            model = ("", EVERYTHING_ELSE)
        kinds = self._models.setdefault(model, {})
        self._watermarks.saw(QUIRK_MODELS_KEPT, min(len(self._models), QUIRK_MODELS_KEPT.limit))
        texts = (note[: OCPP_ODDITY.limit] for note in odd.notes)
        return sum(self._count(kinds, station, model, odd, what, at) for what in texts) > 0

    def _count(
        self, kinds: dict[tuple[str, str], Quirk], station: str, model: Model, odd: OddMessage, what: str, at: datetime
    ) -> bool:
        kind = (odd.action, what)
        if kind not in kinds and len(kinds) >= QUIRKS_KEPT.limit:
            kind = ("", EVERYTHING_ELSE)
        quirk = kinds.get(kind)
        if quirk is None:
            quirk = kinds[kind] = Quirk(
                vendor=model[0],
                model=model[1],
                action=kind[0],
                what=kind[1],
                handling=odd.handling,
                example=odd.payload[: QUIRK_EXAMPLE.limit],
                first_at=at,
                last_at=at,
            )
            self._watermarks.saw(QUIRKS_KEPT, min(len(kinds), QUIRKS_KEPT.limit))
        quirk.times, quirk.last_at = quirk.times + 1, at
        is_new = station not in quirk.by_station
        if not is_new or len(quirk.by_station) < QUIRK_STATIONS_COUNTED.limit:
            quirk.by_station[station] = quirk.by_station.get(station, 0) + 1
            return is_new
        return False

    def all(self, *, station: str | None = None, vendor: str | None = None, model: str | None = None) -> list[Quirk]:
        """All quirks of these stations (None: of all), in the order of vendor, model, action and text."""
        wanted = [quirk for quirk in self._each() if _is_of(quirk, vendor, model)]
        if station is not None:
            wanted = [quirk for quirk in wanted if station in quirk.by_station]
        return sorted(wanted, key=quirk_key)

    def _each(self) -> Iterator[Quirk]:
        for kinds in self._models.values():
            yield from kinds.values()


def quirk_key(quirk: Quirk) -> tuple[str, str, str, str]:
    """What tells a quirk from all others, and orders them."""
    return quirk.vendor, quirk.model, quirk.action, quirk.what


def _is_of(quirk: Quirk, vendor: str | None, model: str | None) -> bool:
    return vendor in (None, quirk.vendor) and model in (None, quirk.model)
