"""Many charges while both nodes are killed again and again: none lost, none doubled, every Wh accounted for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live.chaos import Plan, survived
from tests.support.long import IS_LONG, of_length

FOREIGN = {"CS01": 2, "CS02": 2}
SHORT = Plan(
    seed=20_131,
    charges=18,
    foreign=FOREIGN,
    simulated={"CS11": 2},
    simulated_each=1,
    kills_max=4,
    lines_between=(5, 30),
    peace=0.0,
)
LONG = Plan(
    seed=20_131,
    charges=240,
    foreign=FOREIGN,
    simulated={f"CS{n}": 2 for n in range(11, 17)},
    simulated_each=8,
    kills_max=1_000,
    lines_between=(20, 300),
    peace=0.5,
)
KILLS_MIN = of_length(2, 5)

pytestmark = [
    pytest.mark.live,
    pytest.mark.timeout(1_200),
    pytest.mark.skipif(not IS_LONG, reason="`make prove` does it, LONG=1 here too"),
]


def test_no_charge_is_lost_or_doubled_however_often_either_node_is_killed(tmp_path: Path) -> None:
    report = survived(of_length(SHORT, LONG), tmp_path)
    assert not report.findings
    assert report.settled == report.plan.charges
    assert sum(report.kills.values()) >= KILLS_MIN
    assert all(figure["value"] == 0 for figure in report.figures() if figure["goal"] == "<= 0")
