"""docs/conformance.md says which cases of the compliancy test tool are tried, and with which test."""

from __future__ import annotations

import re

import pytest

from tests.support.sizes import ROOT

PAGE = (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")
TRIED = re.findall(r"^\| TC_(\S+)_CSMS \| .* \| `(\S+\.py)` `(\S+)` \|$", PAGE, re.MULTILINE)
NOT_TRIED = re.findall(r"^\| TC_(\S+)_CSMS \| [^|]+ \| ([^`|]+) \|$", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("case", "file", "test"), TRIED)
def test_a_case_is_tried_by_a_test_that_there_is(case: str, file: str, test: str) -> None:
    assert f"def {test}(" in (ROOT / "tests" / file).read_text(encoding="utf-8")


def test_every_case_stands_on_the_page_once() -> None:
    cases = [case for case, *_ in (*TRIED, *NOT_TRIED)]
    assert len(cases) == len(set(cases)) == PAGE.count("| TC_")
    assert f"OCPP 1.6: {len(TRIED)} cases tried" in PAGE


def test_every_test_that_is_named_by_a_case_stands_on_the_page() -> None:
    text = (ROOT / "tests" / "conformance" / "test_oca_16.py").read_text(encoding="utf-8")
    named = {
        (case, name)
        for name in re.findall(r"def (test_tc_\w+)", text)
        for case in re.findall(r"tc_(\d{3}(?:_\d)?)_csms", name)
    }
    assert named == {(case, test) for case, file, test in TRIED if file == "conformance/test_oca_16.py"}
