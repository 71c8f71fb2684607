"""Worlds in which things go wrong: nothing is lost, nothing doubled, and everything that was begun comes to its end.

So many seeds are played as `WORLDS` in the environment says, beside those that have failed once.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
import trio

from tests.world import trial
from tests.world.checker.verdict import Figure
from tests.world.plan import Plan, drawn
from tests.world.swarm import TROUBLES, swarm, troubles_of
from tests.world.trial import Trial, card, tried
from tests.world.visits import HABITS

CHUNK = 5
FRESH = range(1_001, 1_001 + int(os.environ.get("WORLDS", "10")))


class FailedOnce(msgspec.Struct):
    """A plan as it was drawn then: what its seed draws now may be another. `why` is what was found."""

    why: str
    plan: Plan


FAILED_ONCE = [
    msgspec.json.decode(line, type=FailedOnce)
    for line in Path(__file__).with_name("regressions.jsonl").read_text().splitlines()
]


def chunks(seeds: range) -> list[tuple[int, ...]]:
    return [tuple(seeds[first : first + CHUNK]) for first in range(0, len(seeds), CHUNK)]


@pytest.mark.parametrize("once", FAILED_ONCE, ids=lambda once: str(once.plan.seed))
def test_a_world_that_was_objected_to_once_is_not_any_more(once: FailedOnce) -> None:
    assert not tried(once.plan.seed, once.plan).objections, once.why


@pytest.mark.parametrize("seeds", chunks(FRESH), ids=lambda seeds: f"{seeds[0]}..{seeds[-1]}")
def test_a_world_withstands_what_goes_wrong_in_it(seeds: tuple[int, ...]) -> None:
    told = [found.told for found in map(tried, seeds) if found.objections]
    assert not told, "\n\n".join(told)


def test_a_world_with_troubles_is_one_course_of_events() -> None:
    seed = next(seed for seed in range(100) if len(swarm(seed).troubles) > 5 and troubles_of(swarm(seed)).lasts_s == 0)
    first = tried(seed)
    assert tried(seed).digest == first.digest != ""


def test_among_a_few_hundred_seeds_is_every_trouble_and_every_habit_and_peace() -> None:
    plans = [swarm(seed) for seed in range(300)]
    assert {name for plan in plans for name in plan.troubles} == TROUBLES.keys()
    assert {roaming.habit for plan in plans for roaming in plan.roaming} == HABITS.keys()
    assert sum(not plan.troubles for plan in plans) > 10


def test_what_a_trouble_is_like_does_not_depend_on_the_others() -> None:
    plan = swarm(7)
    alone = {name: repr(kind(plan)) for name, kind in TROUBLES.items()}
    assert alone == {name: repr(TROUBLES[name](plan)) for name in reversed(TROUBLES)}


def test_a_seed_that_fails_is_told_so_that_it_can_be_played_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "objections_to", lambda *_: ["I1: a charge record is lost"])
    found = tried(5)
    for words in ("seed 5 at ", "I1: a charge record is lost", "the last 50 events", "node.py replay --seed 5"):
        assert words in found.told
    assert found.told.count("\n") > trial.LAST_EVENTS


def test_a_world_that_breaks_is_an_objection_and_not_the_end_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "CPU_S_MAX", 0.05)
    found = tried(5)
    assert found.objections and "does not come to its end" in found.told


def test_a_world_that_never_comes_to_its_next_step_is_ended_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    async def spinning() -> None:
        while True:
            pass

    monkeypatch.setattr(trial, "CPU_S_MAX", 0.05)
    monkeypatch.setattr(trial, "END_CPU_S_MAX", 0.05)
    monkeypatch.setattr(trial, "play", lambda *_: trio.run(spinning))
    assert "does not come to its end" in tried(5).told


def test_many_trials_add_up() -> None:
    def of(seed: int, **more: object) -> Trial:
        figure = Figure(name="CDRs lost", value=seed - 1, n=10)
        return Trial(seed=seed, troubles=("crash",), figures=(figure,), probes={"crash": seed}, virtual_s=3_600, **more)

    told = card([of(1), of(2, objections=("I1: lost",))], wall_s=60)
    assert (told["worlds"], told["failed"], told["virtual_hours"], told["worlds_per_minute"]) == (2, [2], 2.0, 2.0)
    assert told["figures"]["CDRs lost"] == {"value": 1, "n": 20}
    assert told["probes"] == {"crash": 3} and "crash" not in told["probes_never_met"]
    assert told["troubles"] == {"crash": 2}


def test_a_peaceful_plan_has_no_trouble() -> None:
    assert troubles_of(drawn(1)).all == ()
