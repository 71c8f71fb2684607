"""Worlds that were run pass every checker; forged in any one thing, they are objected to by name."""

from __future__ import annotations

from functools import cache
from itertools import cycle
from random import Random

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.world.checker import check
from tests.world.forgeries import FORGERIES
from tests.world.forging import Forgery, NothingToForge, World
from tests.world.plan import drawn
from tests.world.world import Outcome, play

VERSIONS = [("1.6",), ("2.0.1", "2.1")]
"""What the stations of a world speak, in turn."""


@cache
def outcome(versions: tuple[str, ...]) -> Outcome:
    plan = drawn(3)
    spoken = zip(plan.stations, cycle(versions), strict=False)
    stations = tuple(msgspec.structs.replace(station, ocpp_version=version) for station, version in spoken)
    return play(msgspec.structs.replace(plan, stations=stations))


@pytest.mark.parametrize("versions", VERSIONS, ids=" ".join)
def test_a_world_without_faults_passes_every_checker(versions: tuple[str, ...]) -> None:
    verdict = check(outcome(versions).history, outcome(versions).finals)
    assert not verdict.violations, str(verdict)
    assert not verdict.excuses
    met = ("CDRs lost", "CDRs doubled", "Wh unexplained")
    assert all(figure.n > 0 for figure in verdict.figures if figure.name in met)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(VERSIONS), st.sampled_from(FORGERIES), st.randoms(use_true_random=False))
def test_whatever_is_forged_in_a_world_that_was_run_is_objected_to_by_name(
    versions: tuple[str, ...], forgery: Forgery, chance: Random
) -> None:
    world = World(outcome(versions).history, dict(outcome(versions).finals), chance.choice)
    try:
        forgery.forge(world)
    except NothingToForge:
        assume(False)
    assert forgery.invariant in check(world.history, world.finals).broken
