"""`node.py verify`: our own node conforms, and partners that are wrong are found out."""

from __future__ import annotations

from statistics import median

from tests.bench.measures import Figure
from tests.prove import suites
from tests.prove.effort import Effort
from tests.prove.page import Section

TESTS = ("tests/verify", "tests/live/test_verify_live.py")
WRONG = "defects_are_found"
FLOWS_MAX = 200


def section(effort: Effort) -> Section:
    suite = suites.run(effort, *TESTS)
    wrong = [case for case in suite.ran if WRONG in case.name]
    flows = [int(case.properties["flows"]) for case in wrong if "flows" in case.properties]
    own = [case for case in suite.ran if "our_own" in case.name]
    share = 100 * sum(not case.trouble for case in wrong) / len(wrong)
    conforming = sum(not case.trouble for case in own)
    return Section(
        title="Partners seen from outside",
        figures=[
            Figure(figure="Motown's defects found", value=share, unit="%", goal=">= 100", n=len(wrong)),
            Figure(figure="flows to find one, median", value=median(flows), unit="", goal="", n=len(flows)),
            Figure(figure="flows to find one, most", value=max(flows), unit="", goal=f"<= {FLOWS_MAX}", n=len(flows)),
            Figure(figure="our own roles conforming", value=conforming, unit="", goal=f">= {len(own)}", n=len(own)),
        ],
        problems=suite.problems,
    )
