"""Each command does what it says; each mistake is one line and an exit status."""

from __future__ import annotations

import hashlib

import pytest

from protocols.cli.documents import CHARTS, pages
from statecharts.credentials import secret_matches
from tests.support.sizes import ROOT
from tests.unit.cli.conftest import EXAMPLES


def test_the_version_is_told(cli):
    assert cli.call("--version") == 0
    assert cli.out == ["roamnode 1.2.3"]


def test_without_a_command_the_commands_are_listed(cli):
    assert cli.call() == 2
    told = "\n".join(cli.out)
    for name in ("run", "check-config", "check-journal", "station", "demo", "charts", "secret"):
        assert f" {name} " in told
    assert cli.err == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["rum"],
        ["run", "--confg", "x"],
        ["run", "x"],
        ["run", "--config"],
        ["station", "--count", "none", "--url", "ws://x/"],
        ["station", "--count", "0", "--url", "ws://x/"],
        ["demo", "--twice"],
    ],
)
def test_wrong_use_is_one_line_and_status_2(cli, starter, arguments):
    assert cli.call(*arguments) == 2
    assert cli.out == []
    assert len(cli.err) == 1
    assert cli.err[0].startswith("node.py: ")
    assert starter.ran == []


def test_run_starts_the_node_of_the_configuration(cli, starter):
    assert cli.call("run", "--config", EXAMPLES / "both.toml") == 0
    assert [config.pms_identifier for config in starter.ran] == ["NL-MOT"]


def test_run_with_a_wrong_configuration_starts_nothing(cli, starter, tmp_path):
    wrong = tmp_path / "wrong.toml"
    wrong.write_text('pms_identifier = "A"\nroles = ["sauce"]\n')
    assert cli.call("run", "--config", wrong) == 2
    assert cli.err[0].startswith("configuration: roles.0: ")
    assert starter.ran == []


def test_run_without_a_configuration_names_what_is_missing(cli, monkeypatch):
    monkeypatch.delenv("ROAMNODE_ROLES", raising=False)
    assert cli.call("run") == 2
    assert {line.split(": ")[1] for line in cli.err} == {"pms_identifier", "roles"}


def test_a_good_configuration_is_called_good_and_its_warnings_told(cli, starter):
    assert cli.call("check-config", "-c", EXAMPLES / "source.toml") == 0
    assert cli.out[-1] == "NL-MOT as source: the configuration is good"
    assert all(line.startswith("warning: ") for line in cli.out[:-1])
    assert starter.ran == []


def test_a_missing_file_is_named(cli, tmp_path):
    assert cli.call("check-config", "-c", tmp_path / "none.toml") == 2
    assert cli.err == [f"configuration: {tmp_path / 'none.toml'}: no such file"]


def test_a_sound_journal_is_called_sound(cli):
    assert cli.call("check-journal", "-c", EXAMPLES / "both.toml") == 0
    assert cli.out == ["the journal is as it was written"]


def test_what_is_wrong_in_a_journal_is_told_and_the_status_is_1(cli, starter):
    starter.problems = ("journal stream station/X, seq 3: altered",)
    assert cli.call("check-journal", "-c", EXAMPLES / "both.toml") == 1
    assert cli.out == list(starter.problems)
    assert len(cli.err) == 1


def test_a_fresh_secret_comes_with_hashes_that_open_to_it(cli):
    assert cli.call("secret") == 0
    secret, station, peer, token = cli.out
    hashed = station.split('"')[1]
    assert secret_matches(secret.encode(), hashed) and peer.split('"')[1] == hashed
    assert token.split('"')[1] == hashlib.sha256(secret.encode()).hexdigest()
    assert [line.split(" = ")[0] for line in (station, peer, token)] == [
        *("password_hash", "incoming_password_hash", "token_sha256"),
    ]


# -- charts ------------------------------------------------------------------------------------------------------------


def test_charts_writes_every_page_and_finds_it_fresh(cli, tmp_path):
    assert cli.call("charts", "--folder", tmp_path) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "bounds.md",
        "charts.md",
        "configuration.md",
        "ctl.md",
        "stations.md",
    ]
    assert cli.call("charts", "--check", "--folder", tmp_path) == 0
    assert (cli.out, cli.err) == ([], [])


def test_a_stale_or_missing_page_is_named_and_not_written(cli, tmp_path):
    cli.call("charts", "--folder", tmp_path)
    page = tmp_path / "charts.md"
    page.write_text(page.read_text() + "x")
    (tmp_path / "configuration.md").unlink()
    assert cli.call("charts", "--check", "--folder", tmp_path) == 1
    assert "charts.md" in cli.err[0] and "configuration.md" in cli.err[0]
    assert not (tmp_path / "configuration.md").exists() and page.read_text().endswith("x")


def test_the_pages_in_docs_are_fresh(cli):
    assert cli.call("charts", "--check", "--folder", ROOT / "docs") == 0


def test_the_page_of_charts_draws_every_chart():
    text = pages()["charts.md"]
    assert text.count("stateDiagram-v2") == len(CHARTS) == 14
    assert all(f"\n## {chart.name}\n" in text for chart in CHARTS)
