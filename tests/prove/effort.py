"""How much is tried in one run, and how its time is shared out."""

from __future__ import annotations

from dataclasses import dataclass

from tests.support.long import IS_LONG, MINUTES


@dataclass(frozen=True, kw_only=True)
class Effort:
    """`long` runs work as long as their share of `minutes` allows, short ones do a fixed amount.

    `first_seed` is that of the first world; `jobs` processes may run at once.
    """

    first_seed: int
    jobs: int
    long: bool = IS_LONG
    minutes: float = MINUTES
