"""Who finds room at a listener: so many connections in all, and no more than a share of them from one address."""

from __future__ import annotations

import ipaddress
from collections import Counter
from functools import lru_cache

from statecharts.bounds import HTTP_CONNECTIONS, HTTP_CONNECTIONS_PER_ADDRESS, Watermarks
from statecharts.limits import ADDRESSES_READ

BURST_S = 10.0
"""Refusals that follow each other within this time are told in one line of the log."""


@lru_cache(maxsize=ADDRESSES_READ.limit)
def neighbourhood(address: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 of an IPv6 one, which is what one customer is given."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


class Places:
    """The places of one listener, and who has them. `take` and `leave` go together."""

    def __init__(self, connections_max: int, per_address_max: int, watermarks: Watermarks) -> None:
        self.connections_max, self.per_address_max = connections_max, per_address_max
        self._watermarks = watermarks
        self._taken = 0
        self._by_address: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"<Places {self._taken} of {self.connections_max} taken, from {len(self._by_address)} addresses>"

    def refusal(self, address: str) -> str | None:
        """Which bound keeps this address out now; None, and the place is taken."""
        whose = neighbourhood(address)
        if self._taken >= self.connections_max:
            return HTTP_CONNECTIONS.name
        if self._by_address[whose] >= self.per_address_max:
            return HTTP_CONNECTIONS_PER_ADDRESS.name
        self._taken += 1
        self._by_address[whose] += 1
        self._watermarks.saw(HTTP_CONNECTIONS, self._taken)
        self._watermarks.saw(HTTP_CONNECTIONS_PER_ADDRESS, self._by_address[whose])
        return None

    def leave(self, address: str) -> None:
        """Gives back a place that was taken from this address."""
        whose = neighbourhood(address)
        self._taken -= 1
        self._by_address[whose] -= 1
        if not self._by_address[whose]:
            del self._by_address[whose]


class Burst:
    """Tells which of many refusals deserves a line in the log: the first, then one for all of each `BURST_S`."""

    def __init__(self) -> None:
        self._told_at = float("-inf")
        self._untold = 0

    def count(self, now: float) -> int:
        """Counts one at this moment (s); how many are to be told of now, 0 for a later line."""
        self._untold += 1
        if now - self._told_at < BURST_S:
            return 0
        told, self._untold, self._told_at = self._untold, 0, now
        return told
