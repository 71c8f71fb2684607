"""The code itself: every pair of state and event decided, everything annotated, sizes, and what tests reach."""

from __future__ import annotations

import ast
import json
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.bench.measures import CHECKOUT, Figure
from tests.charts.every_chart import CASES
from tests.prove.effort import Effort
from tests.prove.page import Section
from tests.support.sizes import functions, sources

MEASURED = ("statecharts", "protocols")
TESTS = (
    ("charts", "unit/ocpp"),
    tuple(f"unit/{room}" for room in ("mobieurope", "rest", "http", "cli", "config", "simulator")),
)
"""Those made for what is measured, shared out to two processes that run at once."""


def section(effort: Effort) -> Section:
    figures = [*_decided(), *_sizes(), _annotated()]
    if effort.long:
        figures += _coverage()
    return Section(title="The code", figures=figures)


def _decided() -> Iterator[Figure]:
    """Each pair is stepped with data and events of many walks, and what comes of it is looked at."""
    pairs = sum(len(list(case.chart.pairs())) for case in CASES.values())
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/charts/test_every_pair.py"]
    said = subprocess.run([*command, "-k", "test_the_pair_is_decided"], cwd=CHECKOUT, capture_output=True, text=True)
    passed = re.search(r"(\d+) passed", said.stdout)
    share = round(100 * int(passed[1]) / pairs, 2) if passed else 0.0
    yield Figure(figure="state x event pairs decided", value=share, unit="%", goal=">= 100", n=pairs)


def _sizes() -> Iterator[Figure]:
    sizes = sorted(each.lines for path in sources() for each in functions(path))
    measured = {
        "median": (statistics.median(sizes), 7),
        "p90": (statistics.quantiles(sizes, n=10)[-1], 25),
        "largest": (sizes[-1], 60),
    }
    for what, (lines, goal) in measured.items():
        name = f"lines of a function, {what}"
        yield Figure(figure=name, value=round(lines, 1), unit="lines", goal=f"<= {goal}", n=len(sizes))


def _annotated() -> Figure:
    every = [node for path in sources() for node in ast.walk(ast.parse(path.read_text("utf-8")))]
    defined = [node for node in every if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    share = 100 * sum(map(_is_annotated, defined)) / len(defined)
    return Figure(figure="functions annotated", value=round(share, 2), unit="%", goal=">= 100", n=len(defined))


def _is_annotated(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    several = [each for each in (arguments.vararg, arguments.kwarg) if each]
    without = [each.arg for each in (*named, *several) if each.annotation is None]
    return function.returns is not None and all(name in ("self", "cls", "mcs") for name in without)


def _coverage() -> Iterator[Figure]:
    """Lines and branches that the fast tests of these floors reach, measured with coverage.py."""
    with tempfile.TemporaryDirectory() as folder:
        found = _measured(Path(folder))
    for what, part, whole in (
        ("lines reached by their own tests", "covered_lines", "num_statements"),
        ("branches reached by their own tests", "covered_branches", "num_branches"),
    ):
        share = round(100 * found[part] / found[whole], 2)
        yield Figure(figure=what, value=share, unit="%", goal="", n=found[whole])


def _measured(folder: Path) -> dict[str, int]:
    data, report = f"--data-file={folder / 'data'}", folder / "report.json"
    run = ["-m", "coverage", "run", "--branch", "--parallel-mode", data, f"--source={','.join(MEASURED)}"]
    tests = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not live"]
    commands = [[sys.executable, *run, *tests, *(f"tests/{each}" for each in group)] for group in TESTS]
    ran = [subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.DEVNULL) for command in commands]
    statuses = [each.wait() for each in ran]
    if any(statuses):
        raise RuntimeError("a test failed while its coverage was measured")
    _python("-m", "coverage", "combine", "-q", data, str(folder))
    _python("-m", "coverage", "json", data, "-q", "-o", str(report))
    totals: dict[str, int] = json.loads(report.read_text("utf-8"))["totals"]
    return totals


def _python(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], cwd=CHECKOUT, check=True, stdout=subprocess.DEVNULL)
