"""Wherever a scenario is cut, it comes to one of the outcomes that are declared for it, and nothing is amiss."""

from __future__ import annotations

import pytest

from tests.world.harms import played
from tests.world.scenarios import SCENARIOS
from tests.world.sweep import ending_of, objections, sweep

CRASHES = [(name, part) for name, scenario in SCENARIOS.items() for part in range(len(scenario.operators))]
"""Each scenario in as many parts as it has operators, so that they can be shared out evenly."""


def test_every_scenario_comes_to_its_ending_when_nothing_disturbs_it() -> None:
    for scenario in SCENARIOS.values():
        run = played(scenario)
        assert ending_of(run.outcome) == scenario.ending
        assert objections(scenario, run, 0) == ()


@pytest.mark.parametrize(("name", "part"), CRASHES)
def test_whichever_point_a_node_dies_at_the_scenario_comes_to_a_legal_end(name: str, part: int) -> None:
    swept = sweep(name, "crashes", part, len(SCENARIOS[name].operators))
    assert swept.tried and not swept.failed, "\n".join(map(str, swept.failed))
