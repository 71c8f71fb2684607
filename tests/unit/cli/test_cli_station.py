"""`node.py station`: which stations it simulates, with what, and what it refuses."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from protocols.cli.config_checks import SAMPLE_SALT
from statecharts.simulated_equipment import BEHAVIOURS
from statecharts.vocabulary import Value
from tests.unit.cli.conftest import EXAMPLES

DESTINATION = EXAMPLES / "destination.toml"


@pytest.fixture(autouse=True)
def no_password(monkeypatch):
    monkeypatch.delenv("STATION_PASSWORD", raising=False)


def test_a_station_of_a_configuration_has_its_address_password_and_connectors(cli, starter):
    assert cli.call("station", "--config", DESTINATION, "IE-001-CS01") == 0
    (plan,) = starter.plans
    assert (plan.identity, plan.url) == ("IE-001-CS01", "ws://127.0.0.1:9100/ocpp")
    assert (plan.password, plan.connectors) == ("sample-station-password-CS01", 2)


def test_without_a_name_all_stations_of_the_configuration_are_simulated(cli, starter, monkeypatch):
    monkeypatch.setenv("STATION_PASSWORD", "sample-station-password-CS02")
    assert cli.call("station", "--config", DESTINATION) == 0
    assert [(plan.identity, plan.password) for plan in starter.plans] == [
        ("IE-001-CS01", "sample-station-password-CS01"),
        ("IE-001-CS02", "sample-station-password-CS02"),
    ]


def test_a_station_by_its_url_takes_its_password_from_the_environment(cli, starter, monkeypatch):
    monkeypatch.setenv("STATION_PASSWORD", "of the environment")
    options = ["--connectors", "3", "--power-w", "22000", "--meter-interval-s", "5", "--seed", "7", "--swipe", "04AB"]
    assert cli.call("station", "--url", "wss://host/ocpp", "--identity", "X", "--behaviour", "unplugs", *options) == 0
    (plan,) = starter.plans
    assert (plan.identity, plan.url, plan.password) == ("X", "wss://host/ocpp", "of the environment")
    assert (plan.connectors, plan.power_w, plan.meter_interval_s) == (3, 22_000, 5)
    assert (plan.behaviour, plan.seed, plan.swipe) == ("unplugs", 7, "04AB")


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
def test_a_station_speaks_the_version_that_is_asked_for(cli, starter, version):
    assert cli.call("station", "--url", "ws://host/ocpp", "X", "--ocpp", version) == 0
    assert starter.plans[0].ocpp_version == version


def test_without_a_password_a_station_connects_without_credentials(cli, starter):
    assert cli.call("station", "--url", "ws://host:9000/ocpp", "X") == 0
    assert starter.plans[0].password is None


def test_a_count_makes_numbered_stations(cli, starter):
    assert cli.call("station", "--url", "ws://host:9000/ocpp", "--identity", "X", "--count", "3") == 0
    assert [plan.identity for plan in starter.plans] == ["X-1", "X-2", "X-3"]


@pytest.mark.parametrize(("host", "url"), [("0.0.0.0", "ws://127.0.0.1:9123/ocpp"), ("::", "ws://[::1]:9123/ocpp")])
def test_a_node_that_listens_everywhere_is_reached_at_this_machine(cli, starter, monkeypatch, tmp_path, host, url):
    monkeypatch.setenv("ROAMNODE_OCPP__HOST", host)
    monkeypatch.setenv("ROAMNODE_OCPP__PORT", "9123")
    config = tmp_path / "both.toml"
    ours = (EXAMPLES / "both.toml").read_text().replace("sample-", "no-longer-a-")
    config.write_text(ours.replace(SAMPLE_SALT, "$b3VyIG93biBzYWx0$"))
    assert cli.call("station", "--config", config, "NL-MOT-CS01") == 0
    assert starter.plans[0].url == url


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "name the central system"),
        (["X"], "name the central system"),
        (["--url", "ws://host/ocpp"], "needs the station's identity"),
        (["--url", "http://host/ocpp", "X"], "must read like ws://"),
        (["--url", "ws://host:x/ocpp", "X"], "must read like ws://"),
        (["--url", "ws://host/ocpp", "X", "--behaviour", "angry"], "no behaviour angry; there are normal, "),
        (["--url", "ws://host/ocpp", "a/b"], "the identity 'a/b' must be 1 to 48 characters without spaces, slashes"),
        (["--url", "ws://host/ocpp", "X", "--swipe", "0" * 21], "must be 1 to 20 characters without spaces"),
        (["--config", DESTINATION, "CS9"], "no station CS9 in the configuration, which has IE-001-CS01, IE-001-CS02"),
        (["--config", DESTINATION, "--count", "2"], "--count needs the name"),
        (["--config", DESTINATION, "IE-001-CS02"], "only a hash of IE-001-CS02's password: set STATION_PASSWORD"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(cli, starter, arguments, reason):
    assert cli.call("station", *arguments) == 2
    assert len(cli.err) == 1 and reason in cli.err[0]
    assert starter.plans == []


def test_a_node_at_any_free_port_has_no_address_to_simulate_at(cli, monkeypatch):
    monkeypatch.setenv("ROAMNODE_OCPP__PORT", "0")
    assert cli.call("station", "--config", DESTINATION, "IE-001-CS01") == 2
    assert "give the address with --url" in cli.err[0]


def test_the_help_tells_every_behaviour(cli):
    assert cli.call("station", "--help") == 0
    told = " ".join("\n".join(cli.out).replace("│", " ").split())
    assert all(f"{name} (" in told for name in BEHAVIOURS)


class Something(Value, frozen=True, kw_only=True):
    at: datetime = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    station: str
    kind: str
    text: str


def test_events_are_lines_of_json_on_stdout_and_else_words_on_stderr(cli, starter, capsys):
    step = Something(station="X", kind="sent", text="Heartbeat")
    cli.call("station", "--url", "ws://host/ocpp", "X", "--events")
    starter.tell(step)
    assert json.loads(capsys.readouterr().out) == {"station": "X", "kind": "sent", "text": "Heartbeat"}
    cli.call("station", "--url", "ws://host/ocpp", "X")
    starter.tell(step)
    assert capsys.readouterr() == ("", "03:04:05 X sent: Heartbeat\n")
