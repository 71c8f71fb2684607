"""Worlds that were run pass every checker; forged in any one thing, they are objected to by name."""

from __future__ import annotations

from functools import cache
from random import Random

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.world.checker import check
from tests.world.forgeries import FORGERIES
from tests.world.forging import Forgery, NothingToForge, World
from tests.world.plan import drawn
from tests.world.world import Outcome, play


@cache
def outcome() -> Outcome:
    return play(drawn(3))


def test_a_world_without_faults_passes_every_checker() -> None:
    verdict = check(outcome().history, outcome().finals)
    assert not verdict.violations, str(verdict)
    assert not verdict.excuses
    assert all(figure.n > 0 for figure in verdict.figures if figure.name in ("CDRs lost", "CDRs doubled"))


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(FORGERIES), st.randoms(use_true_random=False))
def test_whatever_is_forged_in_a_world_that_was_run_is_objected_to_by_name(forgery: Forgery, chance: Random) -> None:
    world = World(outcome().history, dict(outcome().finals), chance.choice)
    try:
        forgery.forge(world)
    except NothingToForge:
        assume(False)
    assert forgery.invariant in check(world.history, world.finals).broken
