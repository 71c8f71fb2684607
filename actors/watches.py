"""What operations wait for at a station, and who tells them once it shows.

Kept beside the stations' actors, so that one that is rebuilt forgets nobody who waits; an operation that is rebuilt
puts its own back. A station that nobody waits at pays one look into a dictionary.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import msgspec

from statecharts.events import Event
from statecharts.operation import OutcomeShown
from statecharts.outcomes import Awaits, Shown, shown_by_charge, shown_by_report
from statecharts.station import ChargeClosed, ChargeJudged, StationCharge
from statecharts.station_reports import StationReport

if TYPE_CHECKING:
    from actors.station import StationActor

_NOBODY: Mapping[str, Awaits] = {}


class Watches:
    """Which operations wait at which stations."""

    def __init__(self) -> None:
        self._at: dict[str, dict[str, Awaits]] = {}

    def __repr__(self) -> str:
        return f"<Watches {sum(map(len, self._at.values()))} at {len(self._at)} stations>"

    def at(self, station: str) -> Mapping[str, Awaits]:
        """By operation, what is awaited at this station."""
        return self._at.get(station, _NOBODY)

    def add(self, station: str, operation: str, awaits: Awaits) -> None:
        self._at.setdefault(station, {})[operation] = awaits

    def remove(self, station: str, operation: str) -> None:
        here = self._at.get(station, {})
        here.pop(operation, None)
        if not here:
            self._at.pop(station, None)


class Witness:
    """The part of a station's actor that tells operations what its reports and charges show; runs within its turns."""

    __slots__ = ("_station",)

    def __init__(self, station: StationActor) -> None:
        self._station = station

    @property
    def is_wanted(self) -> bool:
        return bool(self._station.context.watches.at(self._station.identity))

    def report(self, said: StationReport) -> None:
        """This was reported, and is durable as far as it is kept."""
        for operation, awaits in self._waiting():
            self._show(operation, shown_by_report(awaits, said, self._station.data, self._station.connectors.numbers))

    def recorded(self, events: Iterable[Event]) -> None:
        """These are durable: a charge that was judged by them, or has come to its end, may be what is awaited."""
        for operation, awaits in self._waiting():
            for charge in self._charges_of(events):
                self._show(operation, shown_by_charge(awaits, charge))

    def _charges_of(self, events: Iterable[Event]) -> Iterator[StationCharge]:
        book = self._station.data.charges
        for event in events:
            if isinstance(event, ChargeJudged | ChargeClosed) and event.number in book:
                yield book[event.number]

    def _waiting(self) -> tuple[tuple[str, Awaits], ...]:
        return tuple(self._station.context.watches.at(self._station.identity).items())

    def _show(self, operation: str, shown: Shown | None) -> None:
        if shown is not None:
            event = OutcomeShown(at=self._station.clock.now(), **msgspec.structs.asdict(shown))
            system = self._station.context.system
            system.spawn(system.hand_over, f"operation/{operation}", event)
