"""What a limit is, wherever it stands."""

from __future__ import annotations

from statecharts.vocabulary import Value


class Limit(Value, frozen=True, kw_only=True):
    """How big or how many one thing may be: a text, an answer, a list that is shown. What is beyond is not taken."""

    name: str
    limit: int
    unit: str
    reason: str
