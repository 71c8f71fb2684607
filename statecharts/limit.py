"""What a limit is, and what a bound, wherever they stand."""

from __future__ import annotations

from statecharts.vocabulary import Value


class Limit(Value, frozen=True, kw_only=True):
    """How big or how many one thing may be: a text, an answer, a list that is shown. What is beyond is not taken."""

    name: str
    limit: int
    unit: str
    reason: str


class Bound(Limit, frozen=True, kw_only=True):
    """How far something may grow that fills and empties. `name` is what metrics call it: its fill is remembered."""
