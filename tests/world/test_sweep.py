"""Wherever a scenario is cut, it comes to one of the outcomes that are declared for it, and nothing is amiss."""

from __future__ import annotations

from itertools import islice

import pytest

from tests.support.long import of_length
from tests.world.harms import played
from tests.world.scenarios import SCENARIOS
from tests.world.sweep import (
    PAIRS,
    PARTS,
    Swept,
    crashes,
    ending_of,
    fresh_crashes,
    objections,
    shares,
    sweep,
    undisturbed,
)

EVERY, EVERY_OTHER_HARM = of_length((6, 15), (1, 1))
"""At one of so many points of a scenario its nodes die, at others in the next one. Of the other harms every 15th is
done, which is broken writes and full disks in turn; `make prove` does more of both, and `LONG=1` all."""


def test_every_scenario_comes_to_its_ending_when_nothing_disturbs_it_and_can_be_cut() -> None:
    for name, scenario in SCENARIOS.items():
        run = undisturbed(name)
        assert ending_of(run.outcome) == scenario.ending
        assert objections(scenario, run, 0) == ()
        assert any(True for _ in crashes(scenario, run))


@pytest.mark.parametrize(("place", "name"), list(enumerate(SCENARIOS)))
def test_whichever_point_a_node_dies_at_the_scenario_comes_to_a_legal_end(place: int, name: str) -> None:
    swept = sweep(name, "crashes", place % EVERY, EVERY)
    assert swept.idle == 0
    all_survived(swept)


@pytest.mark.parametrize("name", ["roaming", "card"])
def test_whatever_its_tasks_wait_for_when_a_node_dies_the_scenario_comes_to_a_legal_end(name: str) -> None:
    all_survived(sweep(name, "crashes at some steps"))


def test_whenever_a_client_hangs_up_the_effect_is_whole_or_absent_and_a_retry_gets_its_answer() -> None:
    all_survived(sweep("roaming", "hang-ups", 0, EVERY_OTHER_HARM))


@pytest.mark.parametrize("name", ["roaming", "card"])
def test_whichever_write_fails_or_finds_the_disk_full_the_scenario_comes_to_a_legal_end(name: str) -> None:
    all_survived(sweep(name, "failing writes", 0, EVERY_OTHER_HARM))


def test_points_that_scenarios_have_in_common_are_cut_in_the_first_of_them_alone() -> None:
    scenario, run = SCENARIOS["unplugged"], undisturbed("unplugged")
    fresh = list(fresh_crashes(scenario, run))
    passed_over = [crash.at for crash in crashes(scenario, run) if crash not in fresh]
    alike = zip(run.seen.marks, undisturbed("roaming").seen.marks, strict=False)
    assert fresh and passed_over
    assert all(mark.point == other.point for mark, other in islice(alike, max(passed_over)))
    assert list(fresh_crashes(SCENARIOS["roaming"], run)) == list(crashes(SCENARIOS["roaming"], run))


def test_what_comes_to_another_end_than_is_declared_is_objected_to() -> None:
    run = played(SCENARIOS["card"])
    (objection,) = objections(SCENARIOS["misuse"], run, 1)
    assert objection.startswith("it came to")


def test_all_that_a_long_run_does_is_shared_out_once() -> None:
    work = list(shares(["card", "blocked-user"], ["hang-ups"], pairs=True))
    firsts = [share.first for share in work if share.name == "card" and share.kind == PAIRS]
    assert firsts and set(firsts) == set(crashes(SCENARIOS["card"], undisturbed("card")))
    assert sum(share.kind == "hang-ups" for share in work) == 2 * PARTS
    assert len(set(work)) == len(work)


def all_survived(swept: Swept) -> None:
    assert swept.tried > 0
    assert not swept.failed, "\n".join(map(str, swept.failed))
