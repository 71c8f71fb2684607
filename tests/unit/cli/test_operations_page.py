"""What operators copy from the page on operation, the alert rules and the unit is there."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from actors.insight import AGES, CLOCK_BANDS, FAR_OFF, OLDEST
from protocols.cli.ctl_table import COMMANDS
from tests.support.sizes import ROOT

PAGES = ("docs/operations.md", "examples/alerts.yml")
UNIT = ROOT / "examples" / "roamnode.service"


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_every_question_to_a_node_is_one_that_ctl_can_ask(page: str) -> None:
    known = {f"{command.thing} {command.verb}" for command in COMMANDS}
    named = set(re.findall(r"node\.py ctl ([a-z]+ [a-z-]+)", text_of(page)))
    assert named and named <= known


def test_every_metric_of_the_alert_rules_is_one_of_ours() -> None:
    ours = set(re.findall(r"^\| `(roamnode_[a-z0-9_]+)`", text_of("docs/metrics.md"), re.MULTILINE))
    named = {name.removesuffix("_bucket") for name in re.findall(r"\broamnode_[a-z0-9_]+", text_of(PAGES[1]))}
    assert len(named) >= 8 and named <= ours


def test_alert_rules_ask_for_label_values_that_there_are() -> None:
    rules = text_of(PAGES[1])
    assert set(re.findall(r'age="(\w+)"', rules)) <= {*AGES, OLDEST}
    assert set(re.findall(r'off="(\w+)"', rules)) <= {*CLOCK_BANDS, FAR_OFF}


def test_an_alert_rule_has_a_name_an_expression_and_a_summary() -> None:
    rules = text_of(PAGES[1]).split("- alert: ")[1:]
    names = [rule.split()[0] for rule in rules]
    assert len(names) == len(set(names)) >= 8
    assert all("expr: " in rule and "summary: " in rule for rule in rules)


def test_what_the_unit_runs_is_what_the_command_line_knows() -> None:
    lines = re.findall(r"^Exec\w+=\S+/python (node\.py .*)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(lines) == 2
    for line in lines:
        script, command, *_ = shlex.split(line)
        asked = subprocess.run([sys.executable, script, command, "--help"], cwd=ROOT, capture_output=True, check=True)
        assert b"--config" in asked.stdout


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text(encoding="utf-8").replace("/opt/roamnode/.venv/bin/python", sys.executable))
    checked = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert [line for line in checked.stderr.splitlines() if UNIT.name in line] == []
