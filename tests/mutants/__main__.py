"""Plants one bug after the other and says which of them were found: `python -m tests.mutants`."""

from __future__ import annotations

import json
import sys
import time
from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.mutants.table import MUTANTS
from tests.mutants.trial import Trial, scorecard, try_all, unsound
from tests.mutants.workloads import Mutant


def asked() -> Namespace:
    parser = ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--only", action="append", metavar="NAME", help="this bug alone; may be given again")
    parser.add_argument("--by", metavar="NAME", help="with this workload alone")
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds each random workload begins with")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=1, help="how many bugs to try at a time")
    parser.add_argument(
        "--minutes",
        type=float,
        default=float("inf"),
        help="no second or third seed after so many",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all of it there as data")
    parser.add_argument("--trust", action="store_true", help="do not try the workloads on a house without a bug first")
    return parser.parse_args()


def only_by(name: str, mutant: Mutant) -> Mutant:
    return replace(mutant, workloads=tuple(each for each in mutant.workloads if each.name == name))


def tell(trial: Trial) -> None:
    by = trial.by.name if trial.by else "nothing"
    soon = f"{trial.median:g} tries of {trial.tries}" if trial.is_random else ""
    found = "found " if trial.is_found else "MISSED"
    print(f"{found} {trial.mutant.name:42} by {by:24} {trial.seconds:5.0f} s  {soon}", flush=True)
    print(f"       {trial.trouble or trial.objection:.180}", flush=True)


def summary(card: dict[str, Any]) -> str:
    random = f"{card['found_at_random']} of them at random, after {card['median_tries']} tries in the median"
    return f"{card['found']} of {card['planted']} planted bugs found; {random}"


def main() -> int:
    wanted = asked()
    until = time.monotonic() + 60 * wanted.minutes
    unknown = set(wanted.only or ()) - {mutant.name for mutant in MUTANTS}
    if unknown:
        sys.exit(f"there is no such bug: {', '.join(sorted(unknown))}")
    chosen = [mutant for mutant in MUTANTS if not wanted.only or mutant.name in wanted.only]
    if wanted.by:
        chosen = [only_by(wanted.by, mutant) for mutant in chosen]
    seeds = range(wanted.first_seed, wanted.first_seed + wanted.seeds)
    if not wanted.trust:
        used = list(dict.fromkeys(workload for mutant in chosen for workload in mutant.workloads))
        false_alarms = unsound(used, wanted.first_seed, at_once=wanted.at_once)
        if false_alarms:
            sys.exit("a house without a bug is objected to: " + "; ".join(false_alarms))
    card = scorecard(try_all(chosen, seeds, at_once=wanted.at_once, until=until, told=tell))
    if wanted.json:
        wanted.json.write_text(json.dumps(card, indent=1))
    print(summary(card))
    return 0 if card["found"] == card["planted"] else 1


sys.exit(main())
