"""Asking a station what has become of charges that are in doubt (TriggerMessage): what it then reports decides."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from statecharts.station_commands import CallOutcome, TriggerMessage

ASKED_FOR = ("StatusNotification", "MeterValues")
"""A connector's state tells whether its charge goes on, its readings how far that has come."""

_UNABLE = frozenset({"NotImplemented", "NotSupported"})
"""The station's own word for one message, or the code of its CALLERROR for TriggerMessage as a whole."""


class Enquiry:
    """Asks one station, one connector after the other. What it cannot be asked for it is not asked for again."""

    def __init__(self, command: Callable[[TriggerMessage], Awaitable[CallOutcome]]) -> None:
        self._command = command
        self._unable: set[str] = set()
        self._under_way: set[int] = set()

    def booted(self) -> None:
        """Another firmware may be able to do more."""
        self._unable.clear()

    async def ask(self, connectors: Iterable[int]) -> None:
        """Asks for the state and the readings of these connectors, unless that is under way."""
        for connector in connectors:
            if connector in self._under_way:
                continue
            self._under_way.add(connector)
            try:
                await self._ask(connector)
            finally:
                self._under_way.discard(connector)

    async def _ask(self, connector: int) -> None:
        for what in ASKED_FOR:
            if what in self._unable:
                continue
            outcome = await self._command(TriggerMessage(what=what, connector_id=connector))
            if outcome.status in _UNABLE:
                self._unable.add(what)
