"""One seed, one course of events: trio with its scheduler seeded, on virtual time that jumps whenever all wait.

The only module that touches what is private to trio; trio's own test of its scheduler does the same. That it works is
shown by a test that plays one seed in two processes and compares the hashes of their histories.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import trio
import trio.testing

T = TypeVar("T")

_trio: Any = trio._core._run


def run(main: Callable[[], Awaitable[T]], seed: int) -> T:
    """What `main` returns, run on virtual time that begins at 0; the order in which tasks run follows from the seed."""
    allowed, chance = _trio._ALLOW_DETERMINISTIC_SCHEDULING, _trio._r.getstate()
    _trio._ALLOW_DETERMINISTIC_SCHEDULING = True
    _trio._r.seed(seed)
    try:
        return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    finally:
        _trio._ALLOW_DETERMINISTIC_SCHEDULING = allowed
        _trio._r.setstate(chance)
