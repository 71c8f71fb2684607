"""What everything in a world shares: its history, its faults, its chance; and the life of a node, which can end."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import trio

from tests.world.faults import Faults, Point
from tests.world.history import AnySight, History, NodeCrashed

EPOCH = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
"""The wall time at which every world begins."""


class Ground:
    """One world's. `nursery` holds what travels between its hosts; `failures` is what must never happen, in words."""

    def __init__(self, seed: int, nursery: trio.Nursery, faults: Faults) -> None:
        self.seed, self.nursery, self.faults = seed, nursery, faults
        self.history = History()
        self.failures: list[str] = []
        self.logged: list[str] = []
        self.counted: Counter[str] = Counter()
        self._numbers = count(1)
        self._points: Counter[str] = Counter()
        faults.begin(self)

    def saw(self, kind: Callable[..., AnySight], who: str, /, **what: Any) -> None:
        """Writes down what happens now."""
        self.history.saw(kind(at=trio.current_time(), who=who, **what))

    def fresh_number(self) -> int:
        """One that nothing else in this world has."""
        return next(self._numbers)

    def chance(self, *names: object) -> random.Random:
        """Random numbers of its own for whoever has these names."""
        return random.Random("/".join(map(str, (self.seed, *names))))

    def dies_at(self, node: str, kind: str, detail: str) -> bool:
        self._points[node] += 1
        return self.faults.at(Point(node, kind, self._points[node], detail))


class Dead(OSError):
    """What a node meets at its edges that is dead and does not know it yet."""


class Life:
    """One incarnation of a node. Once it has ended nothing of it passes an edge any more, whatever its tasks still do.

    `cuts` are called at its end, before its tasks are cancelled.
    """

    def __init__(self, ground: Ground, node: str, number: int) -> None:
        self.ground, self.node, self.number = ground, node, number
        self.alive, self.crashed = True, False
        self.scope = trio.CancelScope()
        self.over = trio.Event()
        self.cuts: list[Callable[[], None]] = []

    def __repr__(self) -> str:
        return f"<Life {self.number} of {self.node}, {'alive' if self.alive else 'over'}>"

    def crash(self, point: str = "") -> None:
        """Ends it at once, at whatever await its tasks are."""
        if self.alive:
            self.crashed = True
            self.ground.saw(NodeCrashed, self.node, life=self.number, point=point)
            self.end()

    def end(self) -> None:
        self.alive = False
        for cut in self.cuts:
            cut()
        self.scope.cancel()

    def passes(self, kind: str, detail: str = "") -> None:
        """One of the points at which a node may die. Raises `Dead`."""
        if self.alive and self.ground.dies_at(self.node, kind, detail):
            self.crash(f"{kind} {detail}".strip())
        self.require()

    def require(self) -> None:
        """Raises `Dead` where it is over."""
        if not self.alive:
            raise Dead(f"{self.node} is dead")


class HostClock:
    """The wall clock of one host: it follows virtual time, and can be set."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=trio.current_time()) + self.ahead


class SeededIds:
    """Identifiers and bytes that are random and the same for the same chance."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def authorization_identifier(self) -> str:
        return f"{self._chance.getrandbits(48):012X}"

    def request_identifier(self) -> str:
        return str(UUID(int=self._chance.getrandbits(128), version=4))

    def jitter(self) -> float:
        return self._chance.random()

    def fresh_bytes(self, count: int) -> bytes:
        return self._chance.randbytes(count)
