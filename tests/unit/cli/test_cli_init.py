"""`node.py init`: what it asks, and that what it writes can be used."""

from __future__ import annotations

import io
import os
import stat
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from protocols.cli.config import Config, load_config


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Any) -> Path:
    """Where the configuration goes; every secret is another one."""
    monkeypatch.setattr(cli.starter, "fresh_bytes", os.urandom)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "node.toml"


def written(file: Path) -> Config:
    return load_config(file, {})


@pytest.mark.parametrize(
    ("plays", "roles", "tables"),
    [
        ("source", ["source"], {"users", "apps", "destinations"}),
        ("destination", ["destination"], {"ocpp", "stations", "sources"}),
        ("both", ["source", "destination"], {"ocpp", "users", "apps", "stations", "destinations", "sources"}),
    ],
)
def test_a_role_gets_the_tables_that_it_needs_and_they_can_be_used(
    cli: Any, file: Path, plays: str, roles: list[str], tables: set[str]
) -> None:
    told = ["--plays", plays, "--partner", "IE-001", "--partner-url", "https://ie.example.org/"]
    assert cli.call("init", "--yes", *told) == 0, cli.err
    config = written(file)
    assert [role.value for role in config.roles] == roles
    found = set(tomllib.loads(file.read_text()))
    assert found - {"pms_identifier", "roles", "data_dir", "http", "operators"} == tables
    assert config.warnings() == []
    urls = {peer.url for peer in (*config.destinations, *config.sources)}
    assert urls <= {
        "https://ie.example.org/services/mobiEuropeDestinationService",
        "https://ie.example.org/services/mobiEuropeSourceService",
    }


def test_every_secret_is_another_one_and_the_file_is_for_its_owner_alone(cli: Any, file: Path) -> None:
    assert cli.call("init", "--yes", "--partner", "IE-001") == 0
    keys = ("token", "password", "incoming_password")
    rows = [row for table in tomllib.loads(file.read_text()).values() if isinstance(table, list) for row in table]
    secrets = [row[key] for row in rows if isinstance(row, dict) for key in keys if key in row]
    assert len(secrets) == len(set(secrets)) == 7
    assert min(map(len, secrets)) >= 32
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not any(secret in line for secret in secrets for line in (*cli.out, *cli.err))


def test_a_person_is_asked_and_asked_again_for_what_cannot_be(
    cli: Any, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = ["a b", "IE-001", "destination", "", "north", "53.1", "-6.2", "NL-MOT", "http://nl.example.org"]
    typed += ["https://nl.example.org", "", "", "99999", "9200", "journal"]
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(typed) + "\n"))
    assert cli.call("init") == 0, cli.err
    config = written(file)
    assert (config.pms_identifier, config.ocpp.port, str(config.data_dir)) == ("IE-001", 9200, "journal")
    (station,) = config.stations
    assert (station.identity, str(station.latitude), str(station.longitude)) == ("IE-001-CS01", "53.1", "-6.2")
    complaints = [line for line in cli.err if "Error: " in line]
    assert len(complaints) == 4
    assert any("must begin with https:// beyond this machine" in line for line in complaints)


def test_what_is_not_wanted_is_none(cli: Any, file: Path) -> None:
    assert cli.call("init", "--yes", "--station", "none", "--user", "none") == 0
    assert (written(file).stations, written(file).users) == ((), ())


def test_the_station_that_it_names_can_be_simulated_by_it(cli: Any, file: Path) -> None:
    assert cli.call("init", "--yes", "--file", file) == 0
    assert f"node.py station NL-MOT-CS01 -c {file}" in cli.out
    assert cli.call("station", "NL-MOT-CS01", "-c", file) == 0
    (plan,) = cli.starter.plans
    assert (plan.url, len(plan.password)) == ("ws://127.0.0.1:9100/ocpp", 32)


def test_a_file_that_is_there_is_left_as_it_is(cli: Any, file: Path) -> None:
    file.write_text("mine")
    assert cli.call("init", "--yes") == 1
    assert "is there already" in cli.err[0]
    assert file.read_text() == "mine"


@pytest.mark.parametrize(
    ("told", "status", "said"),
    [
        (["--http-port", "99999"], 2, "less than or equal to 65535"),
        (["--latitude", "91"], 2, "less than or equal to 90"),
        (["--http-port", "9100"], 2, "must differ from"),
        (["--plays", "neither"], 2, "--plays"),
        (["--file", "no/such/folder/node.toml"], 1, "No such file or directory"),
    ],
)
def test_what_cannot_be_is_said_and_nothing_is_written(
    cli: Any, file: Path, told: list[str], status: int, said: str
) -> None:
    assert cli.call("init", "--yes", *told) == status
    assert said in " ".join(cli.err)
    assert not file.exists()
