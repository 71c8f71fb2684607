"""Tries to break the promises of the node, and makes the scorecard of it: `make prove`, `make prove LONG=1`.

How long it takes is set by `LONG` and `MINUTES` in the environment (tests/support/long.py), who has how much of that in
tests/prove/effort.py.
Exit status 1 if any gate was missed, if any part could not be run to its end, or if a long run had nothing to hold
against a gate.
"""

from __future__ import annotations

import subprocess
import sys
import time
import traceback
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

from tests.bench.measures import CHECKOUT
from tests.prove.effort import SHARES, Effort, minutes_of
from tests.prove.page import Section, page, renewed

PARTS = ("worlds", "crashes", "models", "live", "fuzz", "planted", "partners", "code")
"""Each has `section(effort)`, with the minutes of this part; the page has them in this order."""


def asked() -> Namespace:
    parser = ArgumentParser(prog="python -m tests.prove", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of: {', '.join(PARTS)}; all of them by default")
    parser.add_argument("--first-seed", type=int, default=1, metavar="N", help="the seed of the first world (1)")
    parser.add_argument("--jobs", type=int, default=2, help="how many processes work at once (2)")
    parser.add_argument(
        "--page", type=Path, metavar="FILE", help="write the page there; where parts are named, they are renewed in it"
    )
    return parser.parse_args()


def main() -> int:
    wanted = asked()
    unknown = [part for part in wanted.parts if part not in PARTS]
    if unknown:
        print(f"there is no {', '.join(unknown)}; choose among: {', '.join(PARTS)}", file=sys.stderr)
        return 2
    effort = Effort(first_seed=wanted.first_seed, jobs=wanted.jobs)
    commit = _commit()  # before it all: what is written in the meantime is not what was tried
    sections = _all_tried(wanted.parts or PARTS, effort)
    made_at = datetime.now(UTC)
    text = page(sections, how=_how(effort), made_at=made_at, commit=commit, seeds=_seeds(effort))
    print(f"\n{text}")
    if wanted.page:
        if wanted.parts and wanted.page.exists():
            text = renewed(wanted.page.read_text(encoding="utf-8"), sections, made_at=made_at, commit=commit)
        wanted.page.write_text(text, encoding="utf-8")
        print(f"written to {wanted.page}")
    return _outcome(sections, effort)


def _all_tried(parts: Sequence[str], effort: Effort) -> list[Section]:
    """What each came to, in the order of the page; what one leaves of its time is for those after it."""
    until = time.monotonic() + effort.minutes * 60
    left = [part for part in SHARES if part in parts]
    found: dict[str, Section] = {}
    while left:
        part = left.pop(0)
        minutes = minutes_of(part, (until - time.monotonic()) / 60, left)
        found[part] = _tried(part, replace(effort, minutes=minutes))
    return [found[part] for part in PARTS if part in found]


def _tried(part: str, effort: Effort) -> Section:
    print(f"{part} ...", flush=True)
    begun = time.monotonic()
    prove: Callable[[Effort], Section] = import_module(f"tests.prove.{part}").section
    try:
        section = prove(effort)
    except Exception as error:
        traceback.print_exc()
        section = Section(title=part.capitalize(), figures=[], problems=(f"could not be run to its end: {error!r}",))
    section = replace(section, seconds=time.monotonic() - begun)
    print(f"{part} took {section.seconds:.0f} s", flush=True)
    return section


def _outcome(sections: list[Section], effort: Effort) -> int:
    """A long run must have held something against each of its gates; a short one says where it had nothing."""
    untried = [figure for section in sections for figure in section.untried if effort.long]
    for figure in untried:
        print(f"NOT TRIED: {figure['figure']}", file=sys.stderr)
    for section in sections:
        for figure in section.missed:
            print(f"MISSED: {figure['figure']} is {figure['value']:g}, not {figure['goal']}", file=sys.stderr)
        for problem in section.problems:
            print(f"{section.title}: {problem}", file=sys.stderr)
    return int(bool(untried) or any(section.missed or section.problems for section in sections))


def _how(effort: Effort) -> str:
    return f"make prove LONG=1 MINUTES={effort.minutes:g}" if effort.long else "make prove"


def _seeds(effort: Effort) -> str:
    return f"worlds from seed {effort.first_seed} on"


def _commit() -> str:
    found = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=CHECKOUT, capture_output=True, text=True)
    return found.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
