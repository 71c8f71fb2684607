"""Every bound of a node in one place: what may grow no further than where, in which unit, and why there.

Code takes its limits from here, the configuration overrides those that an operator may wish to change, and `Watermarks`
remember the highest value that was seen of each: both stand in `/metrics`; docs/bounds.md shows this page.
"""

from __future__ import annotations

from collections.abc import Iterator

from statecharts.vocabulary import Value


class Bound(Value, frozen=True, kw_only=True):
    """One bound. `name` is what metrics call it; `what` happens beyond it, and the reason for the number."""

    name: str
    limit: int
    unit: str
    reason: str


# -- actors ------------------------------------------------------------------------------------------------------------

MAILBOX = Bound(
    name="actor_mailbox",
    limit=256,
    unit="messages",
    reason="more than any honest station or app has waiting at one actor; the next sender is told to come back (503)",
)
WAKING = Bound(
    name="actors_waking",
    limit=16,
    unit="actors",
    reason="enough journal reads at once to keep the readers busy; the other sleepers wait as keys, so that thousands "
    "of deadlines at one moment fill no memory",
)
APPENDS_WAITING = Bound(
    name="journal_appends_waiting",
    limit=10_000,
    unit="appends",
    reason="one second of the journal's work; those behind wait to be let in, so that memory stays flat",
)

BOUNDS: tuple[Bound, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Bound))
"""All of them, in the order of this page."""


class Watermarks:
    """The limit that is in force for each bound, and the highest value seen since the node started."""

    def __init__(self) -> None:
        self._limits = {bound.name: bound.limit for bound in BOUNDS}
        self._highest = dict.fromkeys(self._limits, 0)

    def limit(self, bound: Bound, limit: int) -> None:
        """The configuration sets another limit than the one of this page."""
        self._limits[bound.name] = limit

    def saw(self, bound: Bound, value: int) -> None:
        """Remembers the value if it is the highest so far."""
        if value > self._highest[bound.name]:
            self._highest[bound.name] = value

    def __iter__(self) -> Iterator[tuple[Bound, int, int]]:
        """Each bound with its highest value and its limit."""
        for bound in BOUNDS:
            yield bound, self._highest[bound.name], self._limits[bound.name]
