"""Suites of tests as part of the proof: run by pytest in a process of their own, long where the run is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from tests.bench.measures import CHECKOUT
from tests.prove.effort import Effort

_PROGRAMS = re.compile(r"(\d+) passing(?: examples)?, (\d+) failing")


@dataclass(frozen=True, slots=True)
class Case:
    """One test. `properties` are what it recorded; `trouble` is empty where it passed or was skipped."""

    name: str
    skipped: bool
    trouble: str
    properties: dict[str, str]


@dataclass(frozen=True, slots=True)
class Suite:
    """What became of the tests; `programs` are the random examples that passed and that failed."""

    cases: tuple[Case, ...]
    programs: tuple[int, int]
    status: int

    @property
    def ran(self) -> tuple[Case, ...]:
        return tuple(case for case in self.cases if not case.skipped)

    @property
    def problems(self) -> tuple[str, ...]:
        found = tuple(f"{case.name}: {case.trouble}" for case in self.cases if case.trouble)
        return found or (() if self.status == 0 else (f"pytest ended with status {self.status}",))


def run(effort: Effort, *tests: str, **environment: str) -> Suite:
    """Runs these files or folders with as many processes as the effort has jobs."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        options = ["-q", "-p", "no:cacheprovider", "-n", str(effort.jobs), "--dist", "loadgroup"]
        options += ["--hypothesis-show-statistics", f"--junitxml={report}"]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *tests],
            cwd=CHECKOUT,
            env=os.environ | {"LONG": "1" if effort.long else ""} | environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        cases = tuple(map(_case, ElementTree.parse(report).iter("testcase")))
    counts = [tuple(map(int, found)) for found in _PROGRAMS.findall(done.stdout)]
    programs = sum(passing for passing, _ in counts), sum(failing for _, failing in counts)
    return Suite(cases, programs, done.returncode)


def _case(element: ElementTree.Element) -> Case:
    trouble = next((each for kind in ("failure", "error") for each in element.iter(kind)), None)
    return Case(
        name=element.get("name", ""),
        skipped=element.find("skipped") is not None,
        trouble="" if trouble is None else trouble.get("message", "failed")[:500],
        properties={each.get("name", ""): each.get("value", "") for each in element.iter("property")},
    )
