"""How many stations may be there and how many may come in at a time: in all, and from one address.

A reconnect storm is let in by a bounded number of handshakes at a time, the others in the order in which they came.
Each is over soon then, instead of all of them late: handshakes that run out of time would only begin again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import trio

from protocols.http.places import neighbourhood
from protocols.ocpp.limits import Limits
from statecharts.bounds import OCPP_CONNECTIONS, OCPP_CONNECTIONS_PER_ADDRESS, OCPP_HANDSHAKES, OCPP_TURNING_AWAY

HANDSHAKE_SHARES = 4
"""So many addresses that let their handshakes run out of time are needed to hold all of them. A quarter is enough for a
whole fleet behind one address: with TLS it keeps a core busy for a quarter of a second."""


class Turnstile:
    """The way into one listener. `enter` and `leave` go together, whatever `enter` said."""

    def __init__(self, limits: Limits) -> None:
        self._limits, self._watermarks = limits, limits.watermarks
        self._streams = self._turned_away = 0
        self._streams_of: Counter[str] = Counter()
        self._handshakes = trio.CapacityLimiter(limits.handshakes_max)
        self._handshakes_of: dict[str, trio.CapacityLimiter] = {}

    def __repr__(self) -> str:
        return f"<Turnstile {self._streams} streams from {len(self._streams_of)} addresses>"

    def enter(self, address: str) -> bool:
        """Counts one more stream from this address; whether there is room for a station on it."""
        whose, limits = neighbourhood(address), self._limits
        self._streams += 1
        self._streams_of[whose] += 1
        self._watermarks.saw(OCPP_CONNECTIONS, min(self._streams, limits.connections_max))
        of_address = min(self._streams_of[whose], limits.connections_per_address_max)
        self._watermarks.saw(OCPP_CONNECTIONS_PER_ADDRESS, of_address)
        return self._streams <= limits.connections_max and self._streams_of[whose] <= limits.connections_per_address_max

    def leave(self, address: str) -> None:
        whose = neighbourhood(address)
        self._streams -= 1
        self._streams_of[whose] -= 1
        if not self._streams_of[whose]:
            del self._streams_of[whose]

    @contextmanager
    def turning_away(self) -> Iterator[bool]:
        """For a stream that finds no room: whether it may be told so, which it may not when too many are."""
        self._turned_away += 1
        self._watermarks.saw(OCPP_TURNING_AWAY, min(self._turned_away, OCPP_TURNING_AWAY.limit))
        try:
            yield self._turned_away <= OCPP_TURNING_AWAY.limit
        finally:
            self._turned_away -= 1

    @asynccontextmanager
    async def handshake(self, address: str) -> AsyncIterator[None]:
        """A handshake's turn. No address has more than its share of them, so that a few cannot keep the others out."""
        whose = neighbourhood(address)
        most = max(1, self._limits.handshakes_max // HANDSHAKE_SHARES)
        share = self._handshakes_of.setdefault(whose, trio.CapacityLimiter(most))
        try:
            async with share, self._handshakes:
                self._watermarks.saw(OCPP_HANDSHAKES, self._handshakes.borrowed_tokens)
                yield
        finally:
            if not share.borrowed_tokens and not share.statistics().tasks_waiting:
                self._handshakes_of.pop(whose, None)
