"""Trying the planted bugs: whether, by what, and how soon each of them is found."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from tests.mutants.planting import DoesNotApply, house_with
from tests.mutants.workloads import CannotRun, Mutant, Workload, Worlds

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
    """Tries all bugs with the first seed, then with the next ones until `until` (of time.monotonic).

    The first seed is not bounded by it: however slow the machine, no bug is left untried.
    With each further seed those come first that most of the seeds before it did not find. `told` hears of each bug when
    no other seed is to come for it.
    """
    trials, starts = [Trial(mutant) for mutant in mutants], tuple(seeds)

    def one(trial: Trial, seed: int) -> None:
        if seed == starts[0] or time.monotonic() < until:
            try_one(trial, seed)
        if seed == starts[-1]:
            told(trial)

    with ThreadPoolExecutor(at_once) as pool:
        for seed in starts:
            ordered = sorted(trials, key=lambda trial: trial.is_found)
            list(pool.map(one, ordered, [seed] * len(ordered)))
    return trials


def try_one(trial: Trial, seed: int) -> Trial:
    """Adds what one seed finds: whatever objected before is asked again, or else all workloads until one objects.

    A suite would say the same each time: where it has objected, nothing more is asked.
    """
    if trial.by is not None and not trial.by.is_random:
        return trial
    began = time.monotonic()
    try:
        with house_with(trial.mutant.name) as folder:
            _try_in(folder, trial, seed)
    except (DoesNotApply, CannotRun) as error:
        trial.trouble = str(error)
    trial.seconds += time.monotonic() - began
    return trial


def _try_in(folder: Path, trial: Trial, seed: int) -> None:
    for workload in (trial.by,) if trial.by else trial.mutant.workloads:
        verdict = workload.run(folder, seed)
        if verdict.objection is not None:
            if not workload.is_random:
                trial.tries.clear()  # what the seeds before did not find is no matter of chance here
            trial.by, trial.objection = workload, trial.objection or verdict.objection
            trial.tries.append(verdict.tries)
            return
    trial.tries.append(None)


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
