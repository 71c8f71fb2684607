"""What the README tells a newcomer to type works, and what it links to is there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.sizes import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
TEXTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def commands() -> list[str]:
    """The lines of all fenced blocks marked `sh`, also of those within a list."""
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```$", README, re.MULTILINE | re.DOTALL)
    return [line.strip() for block in blocks for line in block.splitlines() if line.strip()]


def long_ones() -> set[str]:
    """What the continuous integration runs, in its own words."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    return {line.partition(" 2>&1")[0] for line in script.splitlines() if line.startswith("make ")}


CHEAP = [line for line in commands() if not line.startswith("make ")]


def test_every_command_is_run_here_or_by_the_continuous_integration():
    assert len(CHEAP) >= 5
    assert set(commands()) - set(CHEAP) - long_ones() == {"make demo"}, "which is `make demo ONCE=1` and stays up"
    assert {"make test", "make check", "make prove", "make demo ONCE=1"} == long_ones()


@pytest.mark.parametrize("command", sorted({*CHEAP, "make"}))
def test_a_command_of_the_readme_runs(command):
    program, *arguments = command.split()
    assert program in ("make", ".venv/bin/python")
    run = [program if program == "make" else sys.executable, *arguments]
    ended = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout


def test_every_decision_is_listed():
    decisions = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs" / "adr").glob("*.md")}
    assert set(re.findall(r"docs/adr/[^)]*", README)) == decisions


def test_every_target_of_make_is_explained():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    # These tests may themselves be run by make, which would then say where it enters and leaves.
    environ = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    told = subprocess.run(["make"], cwd=ROOT, env=environ, capture_output=True, text=True, check=True).stdout
    assert {line.split()[1] for line in told.splitlines()} == set(phony.split())
    for target in {"make demo", "make test", "make check"}:
        assert target in README


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_to_a_file_leads_somewhere(text: Path):
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", text.read_text(encoding="utf-8"))
    assert [link for link in links if not (text.parent / link).exists()] == []


def test_every_decision_is_in_the_readme_and_has_its_parts():
    for path in (ROOT / "docs" / "adr").glob("*.md"):
        assert f"docs/adr/{path.name}" in README
        text = path.read_text(encoding="utf-8")
        assert all(part in text for part in ("Status: ", "## Context", "## Decision", "## Consequences"))
        assert len(text.splitlines()) <= 50, "half a page, or a little more"


def test_every_command_of_the_command_line_is_in_the_changelog_and_the_examples_are_named():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    for command in ("run", "check-config", "check-journal", "station", "charts", "secret", "demo"):
        assert f"`{command}`" in changelog or f"`node.py {command}`" in changelog
    for example in (ROOT / "examples").glob("*.toml"):
        assert f"examples/{example.name}" in README
