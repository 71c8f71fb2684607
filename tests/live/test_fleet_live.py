"""Stations that no configuration names: registered over REST, or come by themselves, and then charging."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.live.operators import Operator, Process, Record, Station, make_partners, running

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live-fleet")]

STATIONS = "/api/v1/operator/stations"
HERE = {"latitude": 53.35, "longitude": -6.26}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """An operator with both roles, one station in its configuration, and itself as its only partner."""
    ocpp = {"unknown_stations": "pending", "boot_retry_s": 1}
    folder: Path = tmp_path_factory.mktemp("fleet")
    operator = Operator("NL-MOT", folder, stations={"FILE1": 1}, settings={"ocpp": ocpp})
    make_partners(operator, operator)
    with running(operator):
        yield operator


@contextmanager
def our_station(operator: Operator, identity: str, password: str) -> Iterator[Process]:
    """`node.py station`, which knows its name and its password, and no more."""
    url = f"ws://127.0.0.1:{operator.ocpp_port}/ocpp"
    command = ["-u", "node.py", "station", "--url", url, "--identity", identity, "--connectors", "2", "--events"]
    process = Process(command, lines_on="stdout", within=("env", f"STATION_PASSWORD={password}"))
    try:
        yield process
    finally:
        process.close()


def sheet(operator: Operator, identity: str) -> Record:
    found: Record = operator.desk.get(f"{STATIONS}/{identity}").json()
    return found


def until_free(operator: Operator, identity: str) -> None:
    operator.until_true(
        lambda: sheet(operator, identity),
        lambda found: (
            found["registration"] == "Accepted" and {each["state"] for each in found["connectors"]} == {"Available"}
        ),
    )


def charge(operator: Operator, identity: str) -> None:
    """A whole roaming charge, from the authorisation to its record."""
    view = operator.authorize(operator.name, identity)
    name = view["authorization_identifier"]
    operator.request("start", view["transaction_id"])
    operator.until("destination", name, "TxRunning")
    operator.until("source", view["transaction_id"], "TxRunning")
    operator.request("stop", view["transaction_id"])
    operator.until("source", view["transaction_id"], "Settled")


def test_a_station_is_registered_and_charges_and_its_old_password_opens_no_more(alone: Operator) -> None:
    answer = alone.desk.post(STATIONS, json={"identity": "NEW1", "connectors": 2, "location": HERE})
    assert answer.status_code == 201, answer.text
    password = answer.json()["password"]
    with our_station(alone, "NEW1", password):
        until_free(alone, "NEW1")
        charge(alone, "NEW1")
        alone.restart()
        until_free(alone, "NEW1")
        changed = alone.desk.post(f"{STATIONS}/NEW1/credentials", json={}).json()["password"]
        alone.node.wait_for("ocpp.turned_away", status=401)
    assert not sheet(alone, "NEW1")["online"]
    with our_station(alone, "NEW1", changed):
        until_free(alone, "NEW1")


def test_a_station_that_nobody_knows_waits_for_the_operator_and_then_charges(alone: Operator) -> None:
    password = secrets.token_urlsafe(18)
    with our_station(alone, "STRANGER", password):
        alone.until_true(
            lambda: sheet(alone, "STRANGER").get("registration"), lambda registration: registration == "Pending"
        )
        found = alone.desk.get(STATIONS, params={"standing": "Pending"}).json()["items"]
        assert [(each["identity"], each["origin"], each["online"]) for each in found] == [("STRANGER", "store", True)]
        accept = f"{STATIONS}/STRANGER/accept"
        assert alone.desk.post(accept, json={"location": HERE}).json()["kind"] == "station-incomplete"
        answer = alone.desk.post(accept, json={"connectors": 2, "location": HERE})
        assert answer.status_code == 200, answer.text
        until_free(alone, "STRANGER")
        charge(alone, "STRANGER")
    with our_station(alone, "STRANGER", secrets.token_urlsafe(18)):
        alone.node.wait_for("ocpp.turned_away", status=401)


def changed_over_ocpp(operator: Operator) -> tuple[str, Record]:
    answer = operator.desk.post(f"{STATIONS}/FILE1/credentials", json={"over_ocpp": True})
    assert answer.status_code == 200, answer.text
    return answer.json()["password"], answer.json()["station"]["security"]


def test_a_key_is_changed_on_a_foreign_station_and_no_lost_answer_and_no_crash_locks_it_out(alone: Operator) -> None:
    first = alone.station_passwords["FILE1"]
    station = Station(alone, "FILE1")
    try:
        station.come_online()
        second, security = changed_over_ocpp(alone)
        assert (security["key_state"], security["password_from"]) == ("Settled", "store")
        station.order(do="reboot")
        station.wait_for("online", count=2)
        station.order(do="set", hangs_up_at_key=True)
        third, security = changed_over_ocpp(alone)
        assert security["key_state"] == "Doubtful"
        station.wait_for("online", count=3)
        alone.until_true(lambda: sheet(alone, "FILE1")["security"]["key_state"], lambda state: state == "Settled")
        alone.restart()
        station.wait_for("online", count=4)
        assert not station.said("refused", status=401)
    finally:
        station.close()
    strangers = [Station(alone, "FILE1", password=key) for key in (first, second)]
    for stranger in strangers:
        stranger.order(do="connect")
        stranger.wait_for("refused", status=401)
        stranger.close()
    kept = [file.read_bytes() for file in (alone.folder / "data").iterdir()]
    logged = "".join(life.transcript() for life in alone.lives)
    assert all(key not in logged and not any(key.encode() in file for file in kept) for key in (second, third))
