"""A plugin of pytest's that makes random tests try on until one objects, and writes down how many tries that took.

Loaded with `-p tests.mutants.counting`. Whatever a test sets for itself, each of its runs is of the seed that was asked
for, ends with the first failure, and does not look for the shortest: what counts is when it is found.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.statistics import collector

TRIED: dict[str, int] = {}
"""How many examples each random test has tried, by its name."""

OBJECTIONS: list[tuple[str, str]] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--tries", type=int, required=True, help="how many examples each random test may try")
    parser.addoption("--tries-report", type=Path, required=True, help="where to write what came of it")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        _let_try(item, config.getoption("--tries"))


def _let_try(item: Any, tries: int) -> None:
    machine = getattr(item.cls, "settings", None)
    own = machine or getattr(item.obj, "_hypothesis_internal_use_settings", None)
    freed = settings(
        own,
        max_examples=tries,
        derandomize=False,
        database=None,
        phases=(Phase.generate,),
        report_multiple_bugs=False,
        print_blob=False,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    if machine is not None:
        item.cls.settings = freed
    elif hasattr(item.obj, "hypothesis"):
        item.obj._hypothesis_internal_use_settings = freed


@pytest.hookimpl(hookwrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    def count(statistics: Any) -> None:
        TRIED[item.nodeid] = len(statistics.get("generate-phase", {}).get("test-cases", ()))

    with collector.with_value(count):  # type: ignore[no-untyped-call]
        yield


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed:
        said = report.longrepr.reprcrash.message if hasattr(report.longrepr, "reprcrash") else str(report.longrepr)
        OBJECTIONS.append((report.nodeid, said.strip().splitlines()[0] if said.strip() else ""))


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.failed:
        OBJECTIONS.append((report.nodeid, "cannot be collected"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    found = {"tried": TRIED, "objections": OBJECTIONS}
    session.config.getoption("--tries-report").write_text(json.dumps(found))
