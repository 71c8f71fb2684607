"""The scorecard says what it was made of, and a gate that was missed fails the run."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from types import SimpleNamespace

import pytest

from tests.bench.measures import Figure
from tests.prove import __main__ as prove
from tests.prove import planted, worlds
from tests.prove.effort import SHARES, Effort
from tests.prove.page import Section, page, renewed
from tests.world.trial import tried
from tests.world.twins import tried_twice

NONE_LOST = Figure(figure="CDRs lost", value=0, unit="", goal="<= 0", n=12_345)
ONE_LOST = Figure(figure="CDRs lost", value=1, unit="", goal="<= 0", n=12_345)
EFFORT = Effort(first_seed=7, jobs=1, long=False, minutes=1)


def test_the_page_says_what_it_was_made_of_and_every_n():
    section = Section(title="Worlds", figures=[NONE_LOST], notes=("Seeds 7 to 9.",), problems=("seed 8",), seconds=120)
    text = page([section], how="make prove", made_at=datetime(2026, 3, 1, tzinfo=UTC), commit="abc1234", seeds="from 7")
    assert "2026-03-01 00:00 UTC, commit abc1234, by `make prove` in 2 minutes, from 7." in text
    assert "Tried for 120 s." in text
    assert "| CDRs lost | 0 | <= 0 | met | 12,345 |" in text
    assert "- Seeds 7 to 9." in text
    assert "- seed 8" in text
    assert "trio 0." in text


def test_a_gate_that_nothing_was_held_against_is_not_met():
    untried = Figure(figure="attacks admitted", value=0, unit="", goal="<= 0", n=0)
    text = page([Section(title="T", figures=[untried])], how="", made_at=datetime.now(UTC), commit="", seeds="")
    assert "| attacks admitted | 0 | <= 0 | not tried | 0 |" in text


def test_a_long_run_with_nothing_to_hold_against_a_gate_fails(monkeypatch, capsys):
    untried = Section(title="T", figures=[Figure(figure="attacks admitted", value=0, unit="", goal="<= 0", n=0)])
    monkeypatch.setattr(prove, "import_module", lambda _: SimpleNamespace(section=lambda _: untried))
    monkeypatch.setattr(sys, "argv", ["prove", "code"])
    for long in (False, True):
        monkeypatch.setattr(prove, "Effort", partial(Effort, long=long, minutes=1))
        assert prove.main() == int(long)
    assert "NOT TRIED: attacks admitted" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("section", "status"),
    [
        (Section(title="T", figures=[NONE_LOST]), 0),
        (Section(title="T", figures=[ONE_LOST]), 1),
        (Section(title="T", figures=[NONE_LOST], problems=("not as it must be",)), 1),
    ],
)
def test_a_missed_gate_or_a_problem_fails_the_run(section, status, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(prove, "import_module", lambda _: SimpleNamespace(section=lambda _: section))
    monkeypatch.setattr(sys, "argv", ["prove", "code", "--page", str(tmp_path / "card.md")])
    assert prove.main() == status
    assert "## T" in (tmp_path / "card.md").read_text()
    assert bool(capsys.readouterr().err) is bool(status)


def test_a_part_that_breaks_fails_the_run_and_is_named(monkeypatch, capsys):
    def broken(_):
        raise RuntimeError("no store")

    monkeypatch.setattr(prove, "import_module", lambda _: SimpleNamespace(section=broken))
    monkeypatch.setattr(sys, "argv", ["prove", "live"])
    assert prove.main() == 1
    assert "no store" in capsys.readouterr().err


def test_every_part_has_its_share_of_the_minutes_and_what_one_leaves_is_for_the_others(monkeypatch):
    had: dict[str, float] = {}
    told = SimpleNamespace(section=lambda effort: had.update({part: effort.minutes}) or Section(title="T", figures=[]))
    part = ""

    def imported(name: str) -> SimpleNamespace:
        nonlocal part
        part = name.rpartition(".")[2]
        return told

    monkeypatch.setattr(prove, "import_module", imported)
    monkeypatch.setattr(sys, "argv", ["prove"])
    monkeypatch.setattr(prove, "Effort", lambda **given: Effort(long=True, minutes=30, **given))
    assert prove.main() == 0
    assert list(had) == list(SHARES) and set(SHARES) == set(prove.PARTS)
    assert sum(SHARES.values()) == pytest.approx(1)
    assert had["code"] == pytest.approx(30 * SHARES["code"], rel=0.01)
    assert had["planted"] == pytest.approx(30, rel=0.01)  # no part before has used anything


def test_a_part_that_does_not_exist_is_said_so(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["prove", "everything"])
    assert prove.main() == 2
    assert "worlds, crashes" in capsys.readouterr().err


def test_every_part_can_be_had():
    for part in prove.PARTS:
        assert callable(import_module(f"tests.prove.{part}").section)


def test_worlds_that_are_objected_to_are_named_with_how_to_see_them_again(monkeypatch):
    card = {
        "worlds": 3,
        "failed": [8],
        "twins": 2,
        "twins_failed": [20],
        "seeds": [7, 9],
        "excused": 0,
        "charges_planned": 20,
        "virtual_hours": 4.0,
        "worlds_per_minute": 60.0,
        "calls": {"rest": 30},
        "calls_per_s": 10.0,
        "figures": {"CDRs lost": {"value": 1, "n": 12}},
        "pairs": {"source transaction": {"met": 60, "of": 120, "missed": []}},
        "probes": {"late stop": 0},
        "probes_never_met": ["late stop"],
    }
    monkeypatch.setattr(worlds, "told_by", lambda *_: card)
    section = worlds.section(EFFORT)
    missed = ["worlds objected to", "twin worlds objected to", "CDRs lost"]
    assert [figure["figure"] for figure in section.missed] == missed
    assert section.problems == (
        "seed 8 is objected to: node.py replay --seed 8",
        "the twins of seed 20 differ: python -m tests.world --twins --seeds 20",
    )
    assert worlds.section(Effort(first_seed=7, jobs=1, long=True, minutes=1)).problems[2] == "never met: late stop"


def test_a_planted_bug_that_is_not_found_is_a_missed_gate_and_named(monkeypatch):
    found = {"name": "a", "what": "it adds", "found": True, "trouble": ""}
    late = {"name": "b", "what": "it forgets", "found": False, "trouble": "there was no time left for it"}
    card = {"planted": 2, "found": 1, "found_at_random": 1, "median_tries": 7, "slowest_median_tries": 9}
    monkeypatch.setattr(planted, "told_by", lambda *_: card | {"mutants": [found, late]})
    section = planted.section(EFFORT)
    assert [(figure["figure"], figure["value"], figure["n"]) for figure in section.missed] == [
        ("planted bugs found", 1, 2)
    ]
    assert section.problems == ("not found: b: it forgets; there was no time left for it",)
    assert ("tries to find one, median", 7, 1) in [
        (each["figure"], each["value"], each["n"]) for each in section.figures
    ]


def test_every_gate_is_of_a_figure_that_worlds_have():
    figures = {figure.name for figure in (*tried(1).figures, *tried_twice(20).figures)}
    assert set(worlds.GATES) <= figures


def test_a_part_is_renewed_in_its_place_and_a_new_one_comes_last():
    first, other = Section(title="Worlds", figures=[NONE_LOST]), Section(title="Live", figures=[NONE_LOST])
    at = datetime(2026, 3, 1, tzinfo=UTC)
    whole = page([first, other], how="make prove", made_at=at, commit="abc1234", seeds="from 7")
    again = Section(title="Worlds", figures=[ONE_LOST], seconds=9)
    new = Section(title="Fuzz", figures=[NONE_LOST])
    text = renewed(whole, [again, new], made_at=datetime(2026, 3, 2, tzinfo=UTC), commit="def5678")
    assert [line for line in text.splitlines() if line.startswith("## ")] == ["## Worlds", "## Live", "## Fuzz"]
    assert text.startswith(whole.partition("## ")[0])
    assert "| CDRs lost | 1 | <= 0 | MISSED | 12,345 |" in text.partition("## Live")[0]
    assert text.count("Made anew on 2026-03-02 00:00 UTC, commit def5678.") == 2
    assert renewed(whole, [], made_at=at, commit="") == whole
