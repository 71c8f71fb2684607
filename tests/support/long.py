"""Whether this run of the proofs is a long one: `make prove LONG=1`; without it they are as short as `make test` needs.

`LONG` and `MINUTES` are read here and nowhere else.
"""

from __future__ import annotations

import os
from typing import TypeVar

T = TypeVar("T")

IS_LONG = os.environ.get("LONG", "") not in ("", "0")
MINUTES = float(os.environ.get("MINUTES", "30"))
"""How long a long run may take in all."""


def of_length(short: T, long: T) -> T:
    """What fits this run."""
    return long if IS_LONG else short
