"""What the bench says of its figures is right: goals, percentiles, and that each of its modules can be asked."""

from __future__ import annotations

from importlib import import_module

import pytest

from tests.bench.__main__ import MODULES, main
from tests.bench.measures import CHECKOUT, Figure, percentile, reached, scratch


def figure(value: float, goal: str) -> Figure:
    return Figure(figure="some_ms", value=value, unit="ms", goal=goal, n=1)


@pytest.mark.parametrize(
    ("value", "goal", "outcome"),
    [(40, "<= 40", True), (40.1, "<= 40", False), (8_000, ">= 8,000", True), (7_999, ">= 8,000", False), (1, "", None)],
)
def test_a_goal_is_reached_or_not(value: float, goal: str, outcome: bool | None) -> None:
    assert reached(figure(value, goal)) is outcome


@pytest.mark.parametrize(("percent", "value"), [(1, 1), (50, 50), (99, 99), (99.5, 100), (100, 100)])
def test_a_percentile_is_the_value_that_no_more_than_so_many_exceed(percent: float, value: int) -> None:
    assert percentile(range(100, 0, -1), percent) == value


def test_every_module_has_figures_and_no_other_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    assert all(callable(import_module(f"tests.bench.{name}").figures) for name in MODULES)
    assert main(["nothing"]) == 2
    assert ", ".join(MODULES) in capsys.readouterr().err


def test_what_is_measured_lies_on_the_disk_of_the_checkout_and_leaves_nothing_there() -> None:
    with scratch() as folder:
        assert folder.parent == CHECKOUT
        (folder / "journal.db").touch()
    assert not folder.exists()
