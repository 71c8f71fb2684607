"""`node.py replay` shows a simulated world, and says what it needs where there is none."""

from __future__ import annotations

from protocols.cli import replay
from tests.world import trial


def test_a_world_is_shown_by_whom_and_what(cli):
    assert cli.call("replay", "--seed", "5", "--station", "IE-ESB-CS01", "--transaction", "BootNotification") == 0
    assert cli.out[0].startswith("<Plan 5: ")
    events = [line for line in cli.out if line.startswith("0d ")]
    assert events and all("BootNotification" in line for line in events)


def test_a_world_that_is_objected_to_is_status_1(cli, monkeypatch):
    monkeypatch.setattr(trial, "objections_to", lambda *_: ["I1: lost"])
    assert cli.call("replay", "--seed", "5") == 1
    assert cli.out[-1] == "- I1: lost"


def test_who_is_not_in_a_world_is_told_who_is(cli):
    assert cli.call("replay", "--seed", "5", "--node", "NOPE") == 2
    assert "in world 5 there is no NOPE, but NL-MOT, IE-ESB" in " ".join(cli.err)
    assert cli.call("replay", "--seed", "-3") == 2


def test_without_a_clone_it_says_what_it_needs(cli, monkeypatch):
    monkeypatch.setattr(replay, "WORLDS", "tests.world.no_such_room")
    assert cli.call("replay", "--seed", "5") == 1
    assert cli.err[0].startswith("node.py: worlds are played from a clone")
