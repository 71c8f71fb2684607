"""Libraries without what they would take along only because it happens to be installed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without(*modules: str) -> Iterator[None]:
    """While the block imports, these modules are as good as not installed; afterwards everybody can import them.

    For what a library takes for its comfort and does without elsewhere (`try: import rich`), where that costs a good
    part of a node's start and is never used in it. A module that was imported before is not hidden.
    """
    hidden = [module for module in modules if module not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for module in hidden:
            del sys.modules[module]
