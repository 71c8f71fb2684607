"""Measures the node: `python -m tests.bench` everything, `python -m tests.bench roaming commits` what is named.

Prints what it does, a table, and one JSON object a line for each figure: its name, value, unit, goal, and from how many
observations it was made. A figure that misses its goal is said to; only one that cannot be had ends with status 1.
"""

from __future__ import annotations

import inspect
import json
import sys
import time
import traceback
from importlib import import_module
from typing import Any

import trio

from tests.bench.measures import Figure, reached

MODULES = ("limits", "commits", "stores", "starts", "roaming", "stations", "recovery", "past")
"""Each has `figures()`, sync or async, and gives all its figures."""


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in MODULES]
    if unknown:
        print(f"there is no {', '.join(unknown)}; choose among: {', '.join(MODULES)}", file=sys.stderr)
        return 2
    figures, failed = [], []
    for name in names or MODULES:
        try:
            figures += _measured(name)
        except Exception:
            traceback.print_exc()
            failed.append(name)
    print(_table(figures))
    for figure in figures:
        print(json.dumps(figure))
    if failed:
        print(f"could not be measured: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _measured(name: str) -> list[Figure]:
    print(f"{name} ...", flush=True)
    begun = time.monotonic()
    measure: Any = import_module(f"tests.bench.{name}").figures
    found: list[Figure] = trio.run(measure) if inspect.iscoroutinefunction(measure) else measure()
    print(f"{name} took {time.monotonic() - begun:.0f} s", flush=True)
    return found


def _table(figures: list[Figure]) -> str:
    rows = [("figure", "value", "unit", "goal", "", "n")]
    for figure in figures:
        said = {None: "", True: "reached", False: "MISSED"}[reached(figure)]
        rows.append((figure["figure"], f"{figure['value']:g}", figure["unit"], figure["goal"], said, str(figure["n"])))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(["", *("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows), ""])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
