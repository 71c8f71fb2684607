"""The page on testing says what is so: its examples run as they stand there, and its tables name all there is."""

from __future__ import annotations

import re
from typing import Any

import pytest

from statecharts import flows, invalid_flows
from tests.support.sizes import ROOT

PAGE = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
MACHINES = re.compile(r"^(Test\w+) = (\w+)\.TestCase$", re.MULTILINE)


def trials_of(example: str) -> dict[str, Any]:
    """The tests that an example defines, ready to be called."""
    names: dict[str, Any] = {"__name__": "example"}
    exec(example, names)
    functions = {name: value for name, value in names.items() if name.startswith("test_")}
    machines = {name: names[name]("runTest").runTest for name, _ in MACHINES.findall(example)}
    return {**functions, **machines}


@pytest.mark.parametrize("example", EXAMPLES, ids=[f"example {n}" for n in range(1, len(EXAMPLES) + 1)])
def test_an_example_runs_as_it_stands(example: str) -> None:
    trials = trials_of(example)
    assert trials
    for trial in trials.values():
        trial()


def test_every_public_strategy_is_on_the_page() -> None:
    public = {*flows.__all__, *invalid_flows.__all__} - {"Flow"}
    assert {name for name in public if f"`{name}" not in PAGE} == set()


def test_every_machine_is_on_the_page() -> None:
    modules = (ROOT / "tests" / "models").glob("test_model_*.py")
    machines = {machine for module in modules for _, machine in MACHINES.findall(module.read_text(encoding="utf-8"))}
    assert len(machines) >= 7
    assert {name for name in machines if f"`{name}`" not in PAGE} == set()
