"""Plays many worlds and judges each: `python -m tests.world --seeds 1..1000 --minutes 30 --jobs 2`."""

from __future__ import annotations

import json
import signal
import sys
import time
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tests.world.swarm import TROUBLES
from tests.world.trial import Trial, card, tried
from tests.world.twins import EVERY, tried_twice

SAYS_EVERY_S = 10.0


def asked() -> Namespace:
    parser = ArgumentParser(prog="python -m tests.world", description=__doc__)
    parser.add_argument("--seeds", type=_range, default=range(1, 101), metavar="A..B", help="both are played too")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no world after so many")
    parser.add_argument("--jobs", type=_positive, default=1, help="processes")
    parser.add_argument("--stop", action="store_true", help="end at the first world that is objected to")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what it adds up to there")
    parser.add_argument("--twins", action="store_true", help="twin worlds of these seeds, and nothing else")
    parser.add_argument("--troubles", action="store_true", help="say what can go wrong, and play nothing")
    return parser.parse_args()


def _range(text: str) -> range:
    first, _, last = text.partition("..")
    try:
        seeds = range(int(first), int(last or first) + 1)
    except ValueError:
        raise ArgumentTypeError(f"{text} is no range of seeds such as 1..100") from None
    if not seeds or seeds[0] < 0:
        raise ArgumentTypeError(f"there are no seeds in {text}: it goes from the lower to the higher, from 0 on")
    return seeds


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise ArgumentTypeError(f"{text} is no number from 1 on")
    return int(text)


def trials(seeds: range, jobs: int, until: float, *, twins: bool = False) -> Iterator[Trial]:
    """The trials of these seeds as they come to their end; none begins after `until` (of time.monotonic).

    Each is a world, one in `EVERY` has twins as well; with `twins` that is all there is.
    """
    left = ((tried_twice, seed) for seed in seeds) if twins else _mixed(seeds)
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        running = _begun(pool, islice(left, jobs + 1))
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for each in done:
                yield each.result()
                if time.monotonic() < until:
                    running |= _begun(pool, islice(left, 1))


def _begun(pool: ProcessPoolExecutor, trials: Iterable[tuple[Callable[[int], Trial], int]]) -> set[Future[Trial]]:
    """Trials on their way, in processes that end what they have begun when a terminal interrupts all of us."""
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)  # inherited by the processes that are made here
    try:
        return {pool.submit(how, seed) for how, seed in trials}
    finally:
        signal.signal(signal.SIGINT, handler)


def _mixed(seeds: range) -> Iterator[tuple[Callable[[int], Trial], int]]:
    for seed in seeds:
        yield tried, seed
        if seed % EVERY == 0:
            yield tried_twice, seed


def main() -> int:
    wanted = asked()
    if wanted.troubles:
        for kind in TROUBLES.values():
            print(f"{kind.name:18} {kind.row:4} {kind.meaning}")
        return 0
    began = said = time.monotonic()
    found: list[Trial] = []
    stopped = False
    try:
        for trial in trials(wanted.seeds, wanted.jobs, began + wanted.minutes * 60, twins=wanted.twins):
            found.append(trial)
            if trial.objections:
                print(f"{trial.told}\n", flush=True)
                if wanted.stop:
                    break
            if time.monotonic() > said + SAYS_EVERY_S:
                said = time.monotonic()
                print(summary(card(found, said - began)), flush=True)
    except KeyboardInterrupt:
        stopped = True
        print("stopped: what was played until then", file=sys.stderr)
    told = card(found, time.monotonic() - began)
    print(summary(told))
    print(f"probes never met: {', '.join(told['probes_never_met']) or 'none'}")
    if wanted.json:
        wanted.json.write_text(json.dumps(told, indent=1))
    return 130 if stopped else int(bool(told["failed"] or told["twins_failed"]))


def summary(told: dict[str, Any]) -> str:
    """One line of what has been played so far."""
    return (
        f"{told['worlds']} worlds, {len(told['failed'])} objected to {told['failed'][:10]}; "
        f"{told['twins']} twins, {len(told['twins_failed'])} objected to {told['twins_failed'][:10]}; "
        f"{told['worlds_per_minute']} a minute, {told['virtual_hours']} virtual hours, "
        f"{told['charges_planned']} charges, {told['calls_per_s']} calls/s"
    )


if __name__ == "__main__":
    sys.exit(main())
