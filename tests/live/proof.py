"""What real processes, real sockets and real files show, as figures: `figures()` is for the scorecard of a long run.

Each part is a plain function too, and says its figures with their n: charges under SIGKILL (L5), a node under attack
(F18 to F21), and damage at rest (F13, F14). A full disk (F11) and a sync that fails (F12) either
hold or do not, and are tests alone.
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import structlog
import trio

from tests.bench.measures import Figure
from tests.live import test_chaos_live, test_siege_live
from tests.live.chaos import survived
from tests.live.siege import besieged
from tests.support.cuts import Cuts, cuts_of_file, cuts_of_log, garbage_after_file, garbage_after_log
from tests.support.damage import Outcome, Tally, flips, flips_in_head, flips_in_log
from tests.support.long import MINUTES, of_length

SEED = 20_131
FLIPS, FLIPS_IN_LOG, FLIPS_IN_HEAD = of_length((100, 10, 5), (2_000, 200, 100))
LOG_STEP, LOOK_STEP, FILE_STEP = of_length((97, 20, 499), (1, 100, 1))
GARBAGE = of_length(8, 300)

REASON_LENGTH = 600

Part = Callable[[Path, int], Iterator[Figure]]


def figures(seed: int = SEED, jobs: int = 1, minutes: float = MINUTES) -> tuple[list[Figure], list[str]]:
    """What all parts show, so many at a time, and what kept any of them from coming to its end.

    One that fails keeps no other from running; none is begun once so many minutes are over.
    """
    found: list[Figure] = []
    problems: list[str] = []
    until = time.monotonic() + minutes * 60
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        asked = {part.__name__: pool.submit(_told, part.__name__, seed, until) for part in PARTS}
        for name, told in asked.items():
            try:
                found += told.result()
            except Exception as error:
                problem = f"{name} did not come to its end: {error!r}"
                print(problem[:REASON_LENGTH], flush=True)  # before the traceback, which holds what every node logged
                traceback.print_exc()
                problems.append(problem)
    return found, problems


def _told(name: str, seed: int, until: float) -> list[Figure]:
    begun = time.monotonic()
    if begun >= until:
        raise TimeoutError("there was no time left for it")
    (part,) = (part for part in PARTS if part.__name__ == name)
    with tempfile.TemporaryDirectory(prefix="roamnode-proof-") as folder:
        found = list(part(Path(folder), seed))
    print(f"{name} took {time.monotonic() - begun:.0f} s", flush=True)
    return found


def killed(folder: Path, seed: int) -> Iterator[Figure]:
    """Charges while both nodes are killed again and again."""
    plan = of_length(test_chaos_live.SHORT, test_chaos_live.LONG)
    report = survived(replace(plan, seed=seed), folder)
    yield from report.figures()


def attacked(folder: Path, _: int) -> Iterator[Figure]:
    """A station that charges while hundreds attack its node."""
    course = test_siege_live
    yield from besieged(folder, course.CHARGES, course.SLOW_UNTIL, course.FLOOD_UNTIL).figures()


def damaged(folder: Path, seed: int) -> Iterator[Figure]:
    """Single bits that flip: in the file, in the log of a node that died, in the head."""
    for name, work, count in (("file", flips, FLIPS), ("log", flips_in_log, FLIPS_IN_LOG),
                              ("head", flips_in_head, FLIPS_IN_HEAD)):  # fmt: skip
        yield from _of_flips(name, _alone(work, folder / name, seed, count))


def cut(folder: Path, seed: int) -> Iterator[Figure]:
    """Ends that are cut off, or are garbage."""
    for name, work in (
        ("log_cut", partial(cuts_of_log, lengths_between=LOG_STEP, looks_between=LOOK_STEP)),
        ("file_cut", partial(cuts_of_file, lengths_between=FILE_STEP)),
        ("log_garbage", partial(garbage_after_log, seed=seed, count=GARBAGE)),
        ("file_garbage", partial(garbage_after_file, seed=seed, count=GARBAGE // 4)),
    ):
        yield from _of_cuts(name, _alone(work, folder / name))


PARTS: tuple[Part, ...] = (cut, killed, attacked, damaged)
"""What takes longest comes first."""


def _alone(work: Callable[..., object], folder: Path, *args: object) -> object:
    folder.mkdir(parents=True, exist_ok=True)
    # What a damaged store complains of, ten thousand times, is judged and not read.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    return trio.run(partial(work, folder, *args))


def _of_flips(name: str, tally: Tally) -> Iterator[Figure]:
    wrong = len(tally.wrong)
    yield Figure(figure=f"flips_{name}_wrong_values_used", value=wrong, unit="values", goal="<= 0", n=tally.n)
    for outcome in Outcome:
        goal = "<= 0" if outcome is Outcome.MISSED else ""
        yield Figure(figure=f"flips_{name}_{outcome}", value=tally.outcomes[outcome], unit="bits", goal=goal, n=tally.n)


def _of_cuts(name: str, cuts: Cuts) -> Iterator[Figure]:
    yield Figure(figure=f"{name}_wrong", value=len(cuts.wrong), unit="cuts", goal="<= 0", n=cuts.n)
    yield Figure(figure=f"{name}_noticed", value=cuts.noticed, unit="cuts", goal="", n=cuts.looked_at)


if __name__ == "__main__":
    # A part can be had alone: python -m tests.live.proof killed
    chosen = [part for part in PARTS if part.__name__ in sys.argv[1:] or not sys.argv[1:]]
    with tempfile.TemporaryDirectory(prefix="roamnode-proof-") as scratch:
        for part in chosen:
            for figure in part(Path(scratch) / part.__name__, SEED):
                print(json.dumps(figure), flush=True)
