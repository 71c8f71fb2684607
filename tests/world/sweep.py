"""The crash sweep: each scenario again and again, harmed once at each of its points, and judged by what it comes to.

`python -m tests.world.sweep --pairs --minutes 30 --jobs 2` does all of it, then pairs of crashes for as long as it may.
"""

from __future__ import annotations

import json
import random
import sys
import time
from argparse import ArgumentParser, Namespace
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from functools import cache, partial
from itertools import islice, product, takewhile
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tests.world.checker import check
from tests.world.checker.wire import frame
from tests.world.harms import Crash, CrashInStep, HangUp, Harm, Run, WriteFails, befell, played
from tests.world.history import AnswerSent, ChargeSeen, FrameArrived, RequestArrived, RequestSent
from tests.world.scenarios import SCENARIOS, Ending, Scenario
from tests.world.world import Outcome

FLAGS = frozenset({"estimated", "misuse", "late-stop", "superseded"})
TOUCHES = 6
"""How often an app receives and sends in one exchange, at most."""

COMMANDS = ("RemoteStartTransaction", "RemoteStopTransaction")


# -- what a run came to ------------------------------------------------------------------------------------------------


def ending_of(outcome: Outcome) -> Ending:
    """What this world came to."""
    views: dict[str, list[str]] = {"source": [], "destination": [], "local": []}
    records: list[str] = []
    left: list[str] = []
    for finals in outcome.finals.values():
        for row in finals.rows("transactions"):
            view = msgspec.json.decode(row["document"])
            flags = sorted(FLAGS & set(view.get("flags", ())))
            views[row["stream"].partition("/")[0]].append("/".join([view["state"], *flags]))
        documents = (msgspec.json.decode(r["document"]) for r in finals.rows("ledger") if r["role"] == "source")
        records += [_measured(outcome, document) for document in documents]
        left += [f"orphan {row['kind']}" for row in finals.rows("orphans") if not row["outcome"]]
        left += [f"parked {row['operation']}" for row in finals.rows("deliveries") if row["status"] == "parked"]
        left += [f"quarantine {row['actor']}" for row in finals.rows("quarantine")]
    return Ending(
        **{role: _listed(states) for role, states in views.items()},
        records=_listed(records),
        asked=_listed(list(_asked(outcome))),
        left=_listed(left),
    )


def _measured(outcome: Outcome, record: dict[str, object]) -> str:
    truth = {_energy(seen) for seen in outcome.history.of(ChargeSeen) if seen.meter_stop_wh is not None}
    return "metered" if record.get("energy_wh") in truth else f"{record.get('energy_wh')}-Wh"


def _energy(seen: ChargeSeen) -> int:
    assert seen.meter_stop_wh is not None
    return seen.meter_stop_wh - seen.meter_start_wh


def _asked(outcome: Outcome) -> Iterator[str]:
    for sight in outcome.history.of(FrameArrived):
        said = frame(sight.text)
        if said is not None and said.kind == 2 and said.action in COMMANDS:
            yield said.action.removeprefix("Remote").removesuffix("Transaction")


def _listed(words: list[str]) -> str:
    return " ".join(sorted(words))


# -- what is wrong with it ---------------------------------------------------------------------------------------------


def objections(scenario: Scenario, run: Run, harms: int) -> tuple[str, ...]:
    """All that may not be, in words: none where the run came to one of the scenario's endings, and in order."""
    outcome = run.outcome
    found = [*outcome.failures, *map(str, check(outcome.history, outcome.finals).violations), *_told_otherwise(outcome)]
    found += [line for line in outcome.logged if "store.unavailable" not in line or not run.seen.writes_failed]
    if not outcome.drained:
        found.append("it did not come to rest")
    ending = ending_of(outcome)
    if ending not in scenario.endings(harms):
        found.append(f"it came to {ending}")
    return tuple(found)


def _told_otherwise(outcome: Outcome) -> Iterator[str]:
    """An app that repeats a request under its key gets the answer that was made of it first."""
    keys = {sent.exchange: (sent.who, sent.path, sent.key) for sent in outcome.history.of(RequestSent) if sent.key}
    first: dict[tuple[str, str, str], AnswerSent] = {}
    for answer in outcome.history.of(AnswerSent):
        key = keys.get(answer.exchange)
        if key is None or answer.status >= 500 or not answer.body or "request-under-way" in answer.body:
            continue
        known = first.setdefault(key, answer)
        if _promised(known) != _promised(answer):
            yield f"{key} was answered {known.status} {known.body}, then {answer.status} {answer.body}"


def _promised(answer: AnswerSent) -> tuple[int, object]:
    """What an answer commits to: which transaction it speaks of. Its state goes on meanwhile."""
    body = msgspec.json.decode(answer.body)
    return answer.status, body.get("transaction_id", body.get("type"))


# -- where harm can be done --------------------------------------------------------------------------------------------


@cache
def undisturbed(name: str) -> Run:
    """A scenario without harm: in it is looked up where harm can be done."""
    return played(SCENARIOS[name])


def crashes(scenario: Scenario, run: Run, *, all_of_them: bool = False) -> Iterator[Crash]:
    """Where each node may die in a run like this.

    Two points between which a node has neither written nor said anything are one to it: what it was told and had not
    written is lost either way. With `all_of_them` they are two, since the others may have gone on.
    """
    for node in scenario.operators:
        seen: set[int] = set()
        for at, mark in enumerate(run.seen.marks, 1):
            face = mark.faces.get(node)
            if face is not None and (all_of_them or face not in seen):
                seen.add(face)
                yield Crash(node, at)


def fresh_crashes(scenario: Scenario, run: Run) -> Iterator[Crash]:
    """Where nodes may die in it and in none of the scenarios before it: what these begin with as well is cut there."""
    known = max((_alike(run, undisturbed(name)) for name in _before(scenario)), default=0)
    return (crash for crash in crashes(scenario, run) if crash.at > known)


def _before(scenario: Scenario) -> Iterator[str]:
    return takewhile(lambda name: SCENARIOS[name] is not scenario, SCENARIOS)


def _alike(one: Run, other: Run) -> int:
    """How many points two runs have in common, from their beginnings on."""
    pairs = zip(one.seen.marks, other.seen.marks, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0].point == pair[1].point, pairs))


def steps(scenario: Scenario, run: Run, *, every: int = 1) -> Iterator[CrashInStep]:
    """Each node dying at every so many of its tasks' steps: at whatever awaits these are."""
    for node in scenario.operators:
        for at in run.seen.steps.get(node, ())[::every]:
            yield CrashInStep(node, at)


def hang_ups(scenario: Scenario, run: Run) -> Iterator[HangUp]:
    """Each client that wants something going away: whenever the app receives or sends, and while anything is written.

    A write takes a millisecond until it is durable and another until it is told: between each two of these, once.
    """
    history = run.outcome.history
    arrived = {sight.exchange: sight.at for sight in history.of(RequestArrived)}
    answered = {sight.exchange: sight.at for sight in history.of(AnswerSent)}
    for sent in history.of(RequestSent):
        if sent.method == "GET" or sent.exchange not in answered:
            continue
        yield from (HangUp(sent.exchange, touch=touch) for touch in range(1, TOUCHES + 1))
        took_ms = round(1_000 * (answered[sent.exchange] - arrived[sent.exchange]))
        yield from (HangUp(sent.exchange, after_s=(ms + 0.5) / 1_000) for ms in range(took_ms))


def failing_writes(scenario: Scenario, run: Run) -> Iterator[WriteFails]:
    """Each write failing once, and each being the first of those that a full disk refuses."""
    for node in scenario.operators:
        for at in range(1, run.seen.writes[node] + 1):
            yield WriteFails(node, at, "broken")
            yield WriteFails(node, at, "full")


# -- the sweeps --------------------------------------------------------------------------------------------------------


class Failed(msgspec.Struct, frozen=True):
    """A run that came to no good end: with which harm, and what is wrong."""

    scenario: str
    harms: tuple[Harm, ...]
    wrong: tuple[str, ...]

    def __str__(self) -> str:
        return "\n    ".join([f"{self.scenario} with {', '.join(map(str, self.harms))}:", *self.wrong])


class Swept(msgspec.Struct):
    """How much harm of a kind was done, and what of it was not survived; `idle`: what came to nothing."""

    tried: int = 0
    idle: int = 0
    failed: list[Failed] = []

    def __add__(self, other: Swept) -> Swept:
        return Swept(self.tried + other.tried, self.idle + other.idle, self.failed + other.failed)

    def judge(self, name: str, run: Run, *harms: Harm) -> None:
        if not befell(run, harms):
            self.idle += 1
            return
        self.tried += 1
        wrong = objections(SCENARIOS[name], run, len(harms))
        if wrong:
            self.failed.append(Failed(name, harms, wrong))


HARMS: Mapping[str, Callable[[Scenario, Run], Iterator[Harm]]] = {
    "crashes": fresh_crashes,
    "crashes at all points": partial(crashes, all_of_them=True),
    "crashes at steps": partial(steps, every=13),
    "crashes at some steps": partial(steps, every=97),
    "hang-ups": hang_ups,
    "failing writes": failing_writes,
}
"""What a sweep may do to a scenario, once each."""


def sweep(name: str, kind: str, part: int = 0, parts: int = 1) -> Swept:
    """Plays a scenario once with each harm of this kind; only with every `parts`-th of them where that is given."""
    scenario, swept = SCENARIOS[name], Swept()
    run = played(scenario, count_steps=True) if "steps" in kind else undisturbed(name)
    harms = HARMS[kind](scenario, run)
    for harm in islice(harms, part, None, parts):
        swept.judge(name, played(scenario, harm), harm)
    return swept


def sweep_pairs(name: str, first: Crash) -> Swept:
    """Plays a scenario with this crash and each that may come after it."""
    scenario, swept = SCENARIOS[name], Swept()
    for second in crashes(scenario, played(scenario, first)):
        if second.at > first.at:
            swept.judge(name, played(scenario, first, second), first, second)
    return swept


# -- all of it ---------------------------------------------------------------------------------------------------------

PARTS = 4
LONG_KINDS = ("crashes at all points", "crashes at steps", "hang-ups", "failing writes")
PAIRS = "pairs of crashes"


class Share(NamedTuple):
    """A part of the work, for one process: harms of a kind, or all pairs that begin with `first`."""

    kind: str
    name: str
    part: int = 0
    first: Crash | None = None

    def done(self) -> Swept:
        if self.first is not None:
            return sweep_pairs(self.name, self.first)
        return sweep(self.name, self.kind, self.part, PARTS)


def shares(names: Sequence[str], kinds: Sequence[str], *, pairs: bool) -> Iterator[Share]:
    """All the work there is: the pairs last, in an order by chance that is always the same."""
    for kind, name in product(kinds, names):
        yield from (Share(kind, name, part) for part in range(PARTS))
    if pairs:
        firsts = [Share(PAIRS, name, first=crash) for name in names for crash in _crashes_of(name)]
        random.Random(0).shuffle(firsts)
        yield from firsts


def _crashes_of(name: str) -> Iterator[Crash]:
    return crashes(SCENARIOS[name], undisturbed(name))


def asked() -> Namespace:
    parser = ArgumentParser(prog="python -m tests.world.sweep", description=__doc__)
    parser.add_argument("--only", action="append", choices=SCENARIOS, help="this scenario; may be given again")
    parser.add_argument("--kind", action="append", choices=HARMS, help="this harm alone; may be given again")
    parser.add_argument("--pairs", action="store_true", help="pairs of crashes as well, as many as there is time for")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin nothing new after so many")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what it adds up to there")
    return parser.parse_args()


def main() -> int:
    wanted = asked()
    work = list(shares(wanted.only or [*SCENARIOS], wanted.kind or LONG_KINDS, pairs=wanted.pairs))
    until = time.monotonic() + wanted.minutes * 60
    found: defaultdict[str, Swept] = defaultdict(Swept)
    begun: Counter[str] = Counter()
    with ProcessPoolExecutor(wanted.jobs, mp_context=get_context("spawn")) as pool:
        for share, swept in _all_done(pool, work, wanted.jobs, until):
            begun[share.kind] += 1
            found[share.kind] += swept
            for failed in swept.failed:
                print(failed, flush=True)
    card = {kind: _row(swept, begun[kind], sum(share.kind == kind for share in work)) for kind, swept in found.items()}
    for kind, row in card.items():
        print(f"{kind:24} {row['survived']} of {row['tried']} survived; {row['share']:.0%} of all there are")
    if wanted.json:
        wanted.json.write_text(json.dumps(card, indent=1))
    return 1 if any(swept.failed for swept in found.values()) else 0


def _all_done(
    pool: ProcessPoolExecutor, work: Sequence[Share], jobs: int, until: float
) -> Iterator[tuple[Share, Swept]]:
    """What each share came to, as they end; none begins after `until` (of time.monotonic)."""
    left = iter(work)
    running = {pool.submit(Share.done, share): share for share in islice(left, jobs + 1)}
    while running:
        for each in wait(running, return_when=FIRST_COMPLETED).done:
            yield running.pop(each), each.result()
            if time.monotonic() < until:
                running |= {pool.submit(Share.done, share): share for share in islice(left, 1)}


def _row(swept: Swept, begun: int, shares: int) -> dict[str, Any]:
    """For the scorecard. `share`: how much of this work was done, by its parts."""
    return {
        "tried": swept.tried,
        "survived": swept.tried - len(swept.failed),
        "idle": swept.idle,
        "share": begun / shares,
        "failed": [str(failed) for failed in swept.failed],
    }


if __name__ == "__main__":
    from tests.world import sweep as myself  # by the name under which other processes know its classes

    sys.exit(myself.main())
