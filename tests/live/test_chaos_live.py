"""Many charges while both nodes are killed again and again: none lost, none doubled, every Wh accounted for."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.live.charging import Pair
from tests.live.operators import Operator, Record, Station, broken, make_partners, running, station_of

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live-chaos"), pytest.mark.timeout(240)]

SEED = 20_131
CHARGES = 20
KILLS_MIN, KILLS_MAX = 3, 6
LINES_BETWEEN_KILLS = (10, 40)
"""A node is killed when it has logged so many lines more: at a moment of work, never at a moment of rest."""

CHARGE_S = 120.0
PAUSE_S = 0.1
"""How long an app waits before it looks or asks again."""

STATIONS = {"CS01": 2, "CS02": 2}


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    quick = {
        "": {"start_margin_s": 1, "open_authorizations_per_user_max": 1_000},
        "destination_deadlines": {"stop_s": 3},
        "source_deadlines": {"start_s": 8, "stop_s": 5, "authorize_answer_s": 3},
    }
    home = Operator("NL-MOT", tmp_path / "home", roles=("source",), settings=quick)
    local = Operator("IE-001", tmp_path / "local", roles=("destination",), stations=STATIONS, settings=quick)
    make_partners(home, local)
    with running(home, local):
        yield home, local


class Driver:
    """A driver at one connector, and the app that does not give up while nodes are away."""

    def __init__(self, pair: Pair, over: threading.Event, station: Station, connector: int, seed: int) -> None:
        self.home, self.local = pair
        self.over = over
        self.station, self.connector = station, connector
        self.random = random.Random(seed)

    def charge(self) -> Record:
        """One charge from the authorisation to the record, asked for as often as it takes."""
        deadline, view, charged = time.monotonic() + CHARGE_S, self.authorize(), False
        while view["state"] != "Settled":
            assert time.monotonic() < deadline, f"never settled: {view}\n{self.home.node.transcript(40)}"
            assert not self.over.is_set(), "another driver gave up"
            if view["state"] == "Ready":
                self.post(f"/api/v1/transactions/{view['transaction_id']}/start")
            elif view["state"] == "TxRunning":
                if not charged:
                    self.station.order(do="charge", connector=self.connector, wh=self.random.randint(1, 50_000))
                    charged = True
                self.end(view)
            elif view["state"] in ("Expired", "Refused"):
                view = self.authorize()
            self.over.wait(PAUSE_S)
            view = self.look(view)
        return view

    def end(self, view: Record) -> None:
        self.post(f"/api/v1/transactions/{view['transaction_id']}/stop")

    def authorize(self) -> Record:
        place = {"local_service_identifier": self.station.identity, "connector_identifier": str(self.connector)}
        asked = {"user_identifier": "anna", "destination": self.local.name, **place}
        deadline = time.monotonic() + CHARGE_S
        while time.monotonic() < deadline and not self.over.is_set():
            answer = self.post("/api/v1/authorizations", asked)
            if answer is not None and answer.status_code == 201:
                view: Record = answer.json()
                return view
            self.over.wait(PAUSE_S)
        raise AssertionError(f"never authorised\n{self.local.node.transcript(40)}")

    def post(self, path: str, content: Record | None = None) -> httpx.Response | None:
        try:
            return self.home.app.post(path, json=content)
        except httpx.TransportError:
            return None

    def look(self, view: Record) -> Record:
        try:
            answer = self.home.app.get(f"/api/v1/transactions/{view['transaction_id']}")
        except httpx.TransportError:
            return view
        return answer.json() if answer.status_code == 200 else view


def kill_again_and_again(pair: Pair, over: threading.Event, chance: random.Random) -> int:
    """Kills one of the two after some lines of its log, and starts it again, KILLS_MAX times or until it is over."""
    kills = 0
    while kills < KILLS_MAX and not over.is_set():
        victim = chance.choice(pair)
        lines = len(victim.node.records) + chance.randint(*LINES_BETWEEN_KILLS)
        victim.node.wait_for_news(lines, 3.0)
        if not over.is_set():
            victim.restart()
            kills += 1
    return kills


def test_no_charge_is_lost_or_doubled_however_often_either_node_is_killed(pair: Pair) -> None:
    _, local = pair
    with ExitStack() as stack, ThreadPoolExecutor(len(STATIONS) * 2 + 1) as pool:
        stations = [stack.enter_context(station_of(local, identity)) for identity in STATIONS]
        over, places = threading.Event(), [(station, connector) for station in stations for connector in (1, 2)]
        drivers = [Driver(pair, over, *place, SEED + number) for number, place in enumerate(places)]
        killing = pool.submit(kill_again_and_again, pair, over, random.Random(SEED))
        try:
            each = CHARGES // len(drivers)
            work = [pool.submit(lambda d: [d.charge() for _ in range(each)], driver) for driver in drivers]
            views = [view for future in work for view in future.result()]
        finally:
            over.set()
        assert killing.result() >= KILLS_MIN
        assert len(views) == CHARGES
        check_every_charge(pair, stations, views)


def check_every_charge(
    pair: Pair, stations: list[Station], views: list[Record], *, but: Iterable[str] = (), earlier: Collection[str] = ()
) -> None:
    """At the stations and at both operators there is the same one record of each charge.

    `but` may have been logged; `earlier` are authorisations of tests before this one.
    """
    home, local = pair
    names = {view["authorization_identifier"] for view in views}
    stopped = [record for station in stations for record in station.said("stopped")]
    local.until_true(
        lambda: local.transactions("destination"),
        lambda found: all(t["state"] in ("Settled", "Ready", "Expired") for t in found),
    )
    found = (home.cdrs("source"), local.cdrs("destination"))
    received, made = ([cdr for cdr in cdrs if cdr["authorization_identifier"] not in earlier] for cdrs in found)
    assert len(names) == len(views)
    assert {cdr["authorization_identifier"] for cdr in received} >= names
    by_station = sorted((record["id_tag"], record["energy_wh"]) for record in stopped)
    for records in (received, made):
        assert sorted((cdr["authorization_identifier"], cdr["energy_wh"]) for cdr in records) == by_station
    assert not local.log("station.orphan")
    assert not broken(pair, but=but)
    assert not local.transactions("local")
    for station in stations:
        calls = [record["id_tag"] for record in station.said("remote_start")]
        for view in views:
            starts = sum(operation["kind"] == "start" for operation in view["operations"])
            assert calls.count(view["authorization_identifier"]) <= starts
