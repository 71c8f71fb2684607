"""The measurement of a reconnect storm, small: everybody comes back, and what is said of it can be."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.recovery import recovery


@pytest.mark.live
def test_all_stations_come_back_and_are_counted(tmp_path: Path) -> None:
    figures = {figure["figure"]: figure for figure in recovery(tmp_path / "recovery", 40)}
    assert {name: figure["n"] for name, figure in figures.items()} == {
        **{f"recovery_40_p{percent}_s": 40 for percent in (50, 90, 99)},
        "recovery_40_charging_p99_s": 4,
        "recovery_40_charging_ratio": 4,
        "recovery_40_cpu_s": 40,
    }
    slowest = figures["recovery_40_p99_s"]["value"]
    assert 0 <= figures["recovery_40_p50_s"]["value"] <= slowest < 60
