"""SIGTERM: no new work, everybody is told, exit status 0 within 10 s, and the next life goes on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.live.charging import Pair, begun, settled
from tests.live.operators import EXIT_S, START_S, Operator, Station, running

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
