"""Trying the planted bugs: whether, by what, and how soon each of them is found."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from tests.mutants.planting import DoesNotApply, house_with
from tests.mutants.workloads import CannotRun, Mutant, Verdict, Workload, Worlds

NO_TIME = "there was no time left for it"
SOUND_TRIES = 50
"""How often a workload is tried on a house without a bug: as often as it may take in the median to find one."""


@dataclass
class Trial:
    """What came of one bug. `tries` has an entry per seed, None where nothing objected."""

    mutant: Mutant
    by: Workload | Worlds | None = None
    tries: list[int | None] = field(default_factory=list)
    objection: str = ""
    trouble: str = ""
    seconds: float = 0.0

    @property
    def median(self) -> float:
        """Over all seeds; infinite if most of them did not find it."""
        return median([math.inf if each is None else each for each in self.tries] or [math.inf])

    @property
    def is_found(self) -> bool:
        return not math.isinf(self.median)

    @property
    def is_random(self) -> bool:
        """Whether a random test or world found it, and not one that always does the same."""
        return self.is_found and any(self.tries)

    def as_data(self) -> dict[str, Any]:
        return {
            "name": self.mutant.name,
            "what": self.mutant.what,
            "breaks": self.mutant.breaks,
            "seen": self.mutant.seen,
            "found": self.is_found,
            "by": self.by.name if self.by else None,
            "random": self.is_random,
            "tries": self.tries,
            "median_tries": self.median if self.is_found else None,
            "objection": self.objection,
            "trouble": self.trouble,
            "seconds": round(self.seconds, 1),
        }


def try_all(
    mutants: Iterable[Mutant],
    seeds: Iterable[int],
    *,
    at_once: int = 1,
    until: float = math.inf,
    told: Callable[[Trial], None],
) -> list[Trial]:
    """Tries each bug with each seed, and none after `until` (of time.monotonic); `told` hears of each in its turn."""
    chosen, starts = tuple(mutants), tuple(seeds)

    def one(mutant: Mutant) -> Trial:
        trial = try_one(mutant, starts) if time.monotonic() < until else Trial(mutant, trouble=NO_TIME)
        told(trial)
        return trial

    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(one, chosen))


def try_one(mutant: Mutant, seeds: tuple[int, ...]) -> Trial:
    """The workload that objects first, and how soon it does with each seed."""
    trial, began = Trial(mutant), time.monotonic()
    try:
        with house_with(mutant.name) as folder:
            _try_in(folder, trial, seeds)
    except (DoesNotApply, CannotRun) as error:
        trial.trouble = str(error)
    trial.seconds = time.monotonic() - began
    return trial


def _try_in(folder: Path, trial: Trial, seeds: tuple[int, ...]) -> None:
    for workload in trial.mutant.workloads:
        verdicts = list(_verdicts(workload, folder, seeds))
        tries = [None if verdict.objection is None else verdict.tries for verdict in verdicts]
        if any(each is not None for each in tries):
            trial.by, trial.tries = workload, tries
            trial.objection = next(verdict.objection for verdict in verdicts if verdict.objection)
            return


def _verdicts(workload: Workload | Worlds, folder: Path, seeds: tuple[int, ...]) -> Iterator[Verdict]:
    """One per seed; of a suite, which would say the same each time, one in all."""
    for seed in seeds if workload.is_random else seeds[:1]:
        yield workload.run(folder, seed)


def unsound(workloads: Iterable[Workload | Worlds], seed: int, *, at_once: int = 1) -> list[str]:
    """The objections to a house without a bug: there must be none, or what is found means nothing.

    Worlds are not asked here: they look at each find of theirs in a house without the bug.
    """

    def objection(workload: Workload) -> str | None:
        with house_with(None) as folder:
            return replace(workload, tries=min(workload.tries, SOUND_TRIES)).run(folder, seed).objection

    asked = [workload for workload in workloads if isinstance(workload, Workload)]
    with ThreadPoolExecutor(at_once) as pool:
        said = zip(asked, pool.map(objection, asked), strict=True)
        return [f"{workload.name}: {found}" for workload, found in said if found is not None]


def scorecard(trials: Iterable[Trial]) -> dict[str, Any]:
    """All of it as data: found and planted, and the median of the random ones' medians."""
    every = list(trials)
    found = [trial for trial in every if trial.is_found]
    random = [trial.median for trial in found if trial.is_random]
    return {
        "planted": len(every),
        "found": len(found),
        "found_at_random": len(random),
        "median_tries": median(random) if random else None,
        "slowest_median_tries": max(random, default=None),
        "mutants": [trial.as_data() for trial in every],
    }
