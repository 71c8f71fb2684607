"""SIGTERM: no new work, everybody is told, exit status 0 within 10 s, and the next life goes on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.live.charging import Pair, begun, settled
from tests.live.operators import (
    EXIT_S,
    START_S,
    Operator,
    Record,
    Station,
    broken,
    make_partners,
    running,
    station_of,
)

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live-pair")]


class Watcher:
    """An app that follows a transaction's events until the stream ends."""

    def __init__(self, operator: Operator, transaction_id: str) -> None:
        self.events: list[str] = []
        self.first = threading.Event()
        self._path = f"/api/v1/transactions/{transaction_id}/events"
        self._app = operator.app
        self._thread = threading.Thread(target=self._follow)
        self._thread.start()
        assert self.first.wait(EXIT_S)

    def _follow(self) -> None:
        with self._app.stream("GET", self._path) as stream:
            for line in stream.iter_lines():
                if line.startswith("event: "):
                    self.events.append(line.removeprefix("event: "))
                    self.first.set()

    def until_it_ends(self) -> list[str]:
        self._thread.join(EXIT_S)
        assert not self._thread.is_alive(), "the stream goes on"
        return self.events


def test_sigterm_in_the_middle_of_a_charge_ends_nothing_but_the_node(pair: Pair, station: Station) -> None:
    home, _ = pair
    view = begun(pair, station)
    watcher = Watcher(home, view["transaction_id"])

    for operator in pair:
        operator.node.terminate()
    assert [operator.node.exit_status(EXIT_S) for operator in pair] == [0, 0]
    assert watcher.until_it_ends()[-1] == "drain"
    assert station.wait_for("disconnected")["code"] == 1012
    assert home.node.said("node.drained", finished=True)
    station.order(do="charge", wh=4_000)

    for operator in pair:
        operator.launch()
    for operator in pair:
        operator.node.wait_for("node.ready", timeout_s=START_S)
    station.wait_for("online", count=2)
    home.request("stop", view["transaction_id"])
    assert settled(pair, station, view)["energy_wh"] == 4_000


@pytest.fixture
def idle(tmp_path: Path) -> Iterator[Operator]:
    operator = Operator("IE-001", tmp_path, roles=("destination",), stations={"CS01": 1})
    with running(operator):
        yield operator


def test_sigterm_while_idle_ends_the_node_at_once(idle: Operator) -> None:
    # A client that keeps its connection open holds nothing up.
    assert idle.stranger.get("/health").json()["status"] == "ok"
    idle.node.terminate()
    assert idle.node.exit_status(EXIT_S) == 0
    with pytest.raises(httpx.ConnectError):
        idle.stranger.get("/health")
    assert not idle.node.other_lines


STARTS = 20


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[Pair]:
    """Two operators and a station with a connector for each start."""
    home = Operator("NL-MOT", tmp_path / "home", roles=("source",))
    local = Operator("IE-001", tmp_path / "local", roles=("destination",), stations={"CS01": STARTS})
    local.settings[""] = {"open_authorizations_per_user_max": STARTS}
    make_partners(home, local)
    with running(home, local):
        yield home, local


def _start(home: Operator, transaction_id: str, together: threading.Barrier) -> str | None:
    """An app of its own that starts a charge; the operation it was promised, None if it was clearly told nothing."""
    headers = {"Authorization": f"Bearer {home.app_token}"}
    with httpx.Client(base_url=home.app.base_url, headers=headers, timeout=EXIT_S) as app:
        app.get("/health/live")
        together.wait()
        try:
            answer = app.post(f"/api/v1/transactions/{transaction_id}/start")
        except httpx.TransportError:
            return None
        assert answer.status_code in (202, 503), answer.text
        return str(answer.json()["operation"]["request_identifier"]) if answer.status_code == 202 else None


def test_sigterm_while_starts_are_in_flight_loses_none_that_was_answered(busy: Pair) -> None:
    home, local = busy
    with station_of(local, "CS01") as station, ThreadPoolExecutor(STARTS) as apps:
        names = [home.authorize("IE-001", "CS01", n + 1)["transaction_id"] for n in range(STARTS)]
        together = threading.Barrier(STARTS)
        started = [apps.submit(_start, home, name, together) for name in names]
        wait(started, EXIT_S, return_when=FIRST_COMPLETED)
        for operator in busy:
            operator.node.terminate()
        promised = {name: one.result() for name, one in zip(names, started, strict=True)}
        assert [operator.node.exit_status(EXIT_S) for operator in busy] == [0, 0]
        assert any(promised.values())
        for operator in busy:
            operator.start()
        station.wait_for("online", count=2)
        for name, operation in promised.items():
            if operation is not None:
                view = home.until_true(partial(home.transaction, "source", name), _is_decided)
                assert [one["request_identifier"] for one in view["operations"]] == [operation]
    assert not broken(busy)


def _is_decided(view: Record) -> bool:
    return all(operation["status"] != "pending" for operation in view["operations"])
