"""What all figures share: their shape, and how time and processor time are taken."""

from __future__ import annotations

import operator
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict

CHECKOUT = Path(__file__).resolve().parents[2]

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_GOAL = re.compile(r"(<=|>=) ([0-9][0-9,.]*)")
_HOLDS = {"<=": operator.le, ">=": operator.ge}


class Figure(TypedDict):
    """One measured value. `goal` is text: "<= 40", ">= 8,000", or "" where there is none; `n` counts observations."""

    figure: str
    value: float
    unit: str
    goal: str
    n: int


def reached(figure: Figure) -> bool | None:
    """Whether the value satisfies its goal; None if it has none."""
    goal = _GOAL.fullmatch(figure["goal"])
    return None if goal is None else _HOLDS[goal[1]](figure["value"], float(goal[2].replace(",", "")))


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder beside the code, gone afterwards: /tmp is memory on many machines, where nothing becomes durable."""
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=CHECKOUT) as folder:
        yield Path(folder)


def cpu_s(pid: int) -> float:
    """The processor time of a process with all its threads, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def resident_kib(pid: int) -> int:
    """The memory that a process has for itself alone: what it shares, as code of libraries, counts for nobody."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that is not exceeded by `percent` of them (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100).__int__() - 1)]
