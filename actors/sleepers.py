"""Actors that left memory and have a deadline: all that is kept of each is its key and when it is due."""

from __future__ import annotations

import heapq
from datetime import datetime

import trio

from statecharts.ports import Clock


class Sleepers:
    """Keys by deadline. One that was woken meanwhile stays in the heap as a husk until it is due or husks prevail."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []
        self._earlier = trio.Event()

    def __len__(self) -> int:
        return len(self._until)

    def __contains__(self, key: str) -> bool:
        return key in self._until

    def put(self, key: str, until: datetime) -> None:
        """Lets this actor sleep until then."""
        at = until.timestamp()
        self._until[key] = at
        heapq.heappush(self._heap, (at, key))
        if self._heap[0] == (at, key):
            self._earlier.set()
        if len(self._heap) > 2 * len(self._until) + 64:
            self._heap = [(at, key) for key, at in self._until.items()]
            heapq.heapify(self._heap)

    def take(self, key: str) -> bool:
        """Whether this actor slept; it does so no more."""
        return self._until.pop(key, None) is not None

    async def until_due(self) -> None:
        """Returns once a deadline has passed by the clock, which may tick a little otherwise than trio's."""
        while (wait_s := self._seconds_to_first()) > 0:
            self._earlier = trio.Event()
            with trio.move_on_after(wait_s):
                await self._earlier.wait()

    def due(self) -> str | None:
        """The key whose deadline passed first, if one has; it sleeps until it is taken."""
        return self._heap[0][1] if self._seconds_to_first() <= 0 else None

    def _seconds_to_first(self) -> float:
        while self._heap and self._until.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] - self._clock.now().timestamp() if self._heap else float("inf")
