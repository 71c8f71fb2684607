"""How much is tried in one run, and how its time is shared out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.support.long import IS_LONG, MINUTES

SHARES = {
    "code": 0.07,
    "partners": 0.04,
    "live": 0.12,
    "fuzz": 0.35,
    "models": 0.07,
    "crashes": 0.1,
    "worlds": 0.15,
    "planted": 0.1,
}
"""Of the minutes of a long run, in the order in which its parts are run.

First come those whose work is always the same; the others go on for as long as there is time. Planted bugs are last:
each is looked for once, however long that takes, and worlds are not to go without for it.
"""


@dataclass(frozen=True, kw_only=True)
class Effort:
    """`long` runs work for as long as their `minutes` allow, short ones do a fixed amount.

    `first_seed` is that of the first world; `jobs` processes may run at once.
    """

    first_seed: int
    jobs: int
    long: bool = IS_LONG
    minutes: float = MINUTES


def minutes_of(part: str, left: float, others: Sequence[str]) -> float:
    """The share of a part in the minutes that are left, where these others are still to come."""
    return max(0.0, left) * SHARES[part] / (SHARES[part] + sum(SHARES[other] for other in others))
