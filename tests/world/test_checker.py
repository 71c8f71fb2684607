"""The checkers pass a good history, and object to each forged one by the name of the invariant that it breaks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest

from tests.world.checker import CHECKS, Verdict, check
from tests.world.forgeries import FORGERIES, Forgery, World
from tests.world.good_story import good_story
from tests.world.history import Finals, History


@cache
def good() -> tuple[History, dict[str, Finals]]:
    return good_story()


def forged(forgery: Forgery, pick: Any) -> Verdict:
    world = World(*good(), pick)
    forgery.forge(world)
    return check(world.history, world.finals)


def first(things: Sequence[Any]) -> Any:
    return things[0]


def last(things: Sequence[Any]) -> Any:
    return things[-1]


def test_a_good_history_passes_every_checker() -> None:
    verdict = check(*good())
    assert not verdict.violations, str(verdict)
    assert not verdict.excuses


def test_every_figure_of_a_good_history_has_its_n() -> None:
    figures = {figure.name: figure for figure in check(*good()).figures}
    assert (figures["CDRs lost"].n, figures["CDRs doubled"].n) == (1, 1)
    assert (figures["Wh unexplained"].value, figures["Wh unexplained"].n) == (0, 4_000)
    assert figures["sessions stuck"].n == 3


@pytest.mark.parametrize("pick", [first, last])
@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda each: f"{each.invariant}-{each.name}")
def test_a_forged_history_is_objected_to_by_name(forgery: Forgery, pick: Any) -> None:
    assert forgery.invariant in forged(forgery, pick).broken


def test_every_invariant_of_one_world_has_its_forgeries() -> None:
    assert {forgery.invariant for forgery in FORGERIES} == CHECKS.keys()
