"""docs/conformance.md and docs/real-stations.md say what is tried, and with which test."""

from __future__ import annotations

import re

import pytest

from statecharts.simulated_equipment import BEHAVIOURS
from statecharts.simulated_oddities import ODDITIES
from tests.support.sizes import ROOT

PAGE = (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")
TRIED = re.findall(r"^\| TC_(\S+)_CSMS \| .* \| `(\S+\.py)` `(\S+)` \|$", PAGE, re.MULTILINE)
NOT_TRIED = re.findall(r"^\| TC_(\S+)_CSMS \| [^|]+ \| ([^`|]+) \|$", PAGE, re.MULTILINE)
REAL = (ROOT / "docs" / "real-stations.md").read_text(encoding="utf-8")
SHOWN = sorted(set(re.findall(r"`(\S+\.py)` `(test_\w+)`", REAL)))
VERSIONS = {
    "1.6": ("test_oca_16.py", r"tc_(\d{3}(?:_\d)?)_csms"),
    "2.0.1": ("test_oca_201.py", r"tc_([a-z]_\d\d)_csms"),
    "2.0.1, services": ("test_oca_201_services.py", r"tc_([a-z]_\d\d)_csms"),
}


@pytest.mark.parametrize(("case", "file", "test"), TRIED)
def test_a_case_is_tried_by_a_test_that_there_is(case: str, file: str, test: str) -> None:
    assert f"def {test}(" in (ROOT / "tests" / file).read_text(encoding="utf-8")


def test_every_case_stands_on_the_page_once() -> None:
    cases = [case for case, *_ in (*TRIED, *NOT_TRIED)]
    assert len(cases) == len(set(cases)) == PAGE.count("| TC_")


def test_the_page_counts_the_cases_of_each_version() -> None:
    of_16 = sum(case[0].isdigit() for case, *_ in TRIED)
    assert f"OCPP 1.6: {of_16} cases tried" in PAGE
    assert f"OCPP 2.0.1: {len(TRIED) - of_16} cases tried" in PAGE


@pytest.mark.parametrize(("file", "pattern"), VERSIONS.values(), ids=VERSIONS)
def test_every_test_that_is_named_by_a_case_stands_on_the_page(file: str, pattern: str) -> None:
    text = (ROOT / "tests" / "conformance" / file).read_text(encoding="utf-8")
    named = {
        (case.upper(), name)
        for name in re.findall(r"def (test_tc_\w+)", text)
        for case in re.findall(f"(?={pattern})", name)
    }
    assert named == {(case, test) for case, at, test in TRIED if at == f"conformance/{file}"}


@pytest.mark.parametrize(("file", "test"), SHOWN)
def test_what_real_stations_do_is_shown_by_a_test_that_there_is(file: str, test: str) -> None:
    assert f"def {test}(" in (ROOT / "tests" / file).read_text(encoding="utf-8")


def test_the_page_names_every_oddity_and_behaviour_that_a_simulated_station_can_show() -> None:
    assert set(re.findall(r"--odd ([\w-]+)", REAL)) == set(ODDITIES)
    assert set(re.findall(r"--behaviour (\w+)", REAL)) <= set(BEHAVIOURS)
