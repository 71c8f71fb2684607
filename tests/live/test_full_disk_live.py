"""A disk without a free byte: nothing new is promised, nothing promised is lost, and space that returns is enough."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.live.charging import Pair, begun, settled
from tests.live.operators import ROOT, START_S, Operator, Station, broken, make_partners, running
from tests.live.small_disk import SmallDisk, small_disk

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live-full-disk")]

SIZE_BYTES = 12_000_000
FULL = ("store.unavailable",)
"""What a node logs, and should, while its disk is full."""

Disks = dict[str, SmallDisk]


@pytest.fixture(scope="module")
def disks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disks]:
    """A small disk for each operator's data."""
    folder = tmp_path_factory.mktemp("full")
    with ExitStack() as stack:
        try:
            yield {
                name: stack.enter_context(small_disk(folder / name / "data", SIZE_BYTES)) for name in ("home", "local")
            }
        except RuntimeError as reason:
            pytest.skip(str(reason))


@pytest.fixture(scope="module")
def session_pair(disks: Disks) -> Iterator[Pair]:
    home = Operator("NL-MOT", disks["home"].folder.parent, roles=("source",), within=disks["home"].within)
    local = Operator("IE-001", disks["local"].folder.parent, roles=("destination",), stations={"CS01": 2},
                     within=disks["local"].within)  # fmt: skip
    make_partners(home, local)
    with running(home, local):
        yield home, local
        for operator in (home, local):
            checked = node_of(operator, "check-journal")
            assert checked.stdout == "the journal is as it was written\n", checked


@pytest.fixture
def pair(session_pair: Pair, disks: Disks) -> Iterator[Pair]:
    """Both nodes, at work on disks with space, before and afterwards."""
    yield session_pair
    for disk in disks.values():
        disk.free()
    assert not broken(session_pair, but=FULL)


def node_of(operator: Operator, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*operator.within, sys.executable, "node.py", *arguments, "-c", str(operator.config_file)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=START_S, check=False)


def wish(home: Operator, connector: int) -> httpx.Response:
    where = {"local_service_identifier": "CS01", "connector_identifier": str(connector)}
    return home.app.post("/api/v1/authorizations", json={"user_identifier": "anna", "destination": "IE-001", **where})


def refused(home: Operator) -> httpx.Response:
    """The first refusal of a new charge. What was granted before is durable: it is looked for afterwards."""
    answer: httpx.Response = home.until_true(lambda: wish(home, 2), lambda answer: answer.status_code != 201)
    return answer


def unready(operator: Operator) -> str:
    """Why the operator's node says that it takes no work."""
    return str(_health_once(operator, 503).text)


def ready(operator: Operator) -> None:
    _health_once(operator, 200)


def _health_once(operator: Operator, status: int) -> httpx.Response:
    answer: httpx.Response = operator.until_true(
        lambda: operator.stranger.get("/health/ready"), lambda answer: answer.status_code == status
    )
    return answer


def test_a_destination_on_a_full_disk_answers_its_station_nothing_false_and_settles_once_there_is_space(
    pair: Pair, station: Station, disks: Disks
) -> None:
    home, local = pair
    view = begun(pair, station)
    disks["local"].fill()
    answer = refused(home)
    assert (answer.status_code, answer.json()["kind"]) == (504, "peer-unanswered")
    assert "ResponseError 503: the node cannot reach its store" in answer.text
    known = {each["authorization_identifier"] for each in local.transactions("destination")}
    station.order(do="charge", wh=3_210)
    station.order(do="unplug")
    station.wait_for("retry", count=3)
    assert "store" in unready(local)
    assert not station.said("stopped")
    disks["local"].free()
    assert settled(pair, station, view)["energy_wh"] == 3_210
    ready(local)
    assert {each["authorization_identifier"] for each in local.transactions("destination")} >= known
    after = begun(pair, station)
    home.request("stop", after["transaction_id"])
    assert settled(pair, station, after)["energy_wh"] == 0


def test_a_source_on_a_full_disk_promises_no_charge_and_takes_its_record_once_there_is_space(
    pair: Pair, station: Station, disks: Disks
) -> None:
    home, local = pair
    view = begun(pair, station)
    disks["home"].fill()
    assert refused(home).status_code == 503
    assert home.app.post(f"/api/v1/transactions/{view['transaction_id']}/stop").status_code == 503
    station.order(do="charge", wh=1_230)
    station.order(do="unplug")
    local.until("destination", view["authorization_identifier"], "TxFinished")
    local.node.wait_for("peer.retry", operation="EndTransaction", count=2)
    assert "store" in unready(home)
    assert home.transaction("source", view["transaction_id"])["state"] != "Settled"
    disks["home"].free()
    assert settled(pair, station, view)["energy_wh"] == 1_230
    ready(home)


def test_a_node_that_dies_on_a_full_disk_goes_on_where_it_was_once_there_is_space(
    pair: Pair, station: Station, disks: Disks
) -> None:
    _, local = pair
    view = begun(pair, station)
    disks["local"].fill()
    station.order(do="charge", wh=900)
    station.order(do="unplug")
    station.wait_for("retry")
    local.kill()
    disks["local"].free()
    local.start()
    assert settled(pair, station, view)["energy_wh"] == 900


def test_a_node_whose_disk_is_full_from_the_beginning_says_so_and_ends(tmp_path: Path) -> None:
    try:
        with small_disk(tmp_path / "data", 100_000) as disk:
            fresh = Operator("NL-MOT", tmp_path, roles=("source",), within=disk.within)
            make_partners(fresh, Operator("IE-001", tmp_path / "other", stations={}))
            disk.fill()
            fresh.config_file.write_text(fresh.configuration())
            ended = node_of(fresh, "run")
    except RuntimeError as reason:
        pytest.skip(str(reason))
    assert ended.returncode == 1
    assert "full" in ended.stderr
    assert "Traceback" not in ended.stderr
