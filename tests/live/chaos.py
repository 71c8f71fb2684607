"""Charges of two operators whose nodes are killed again and again, and what everybody has in his books afterwards.

Stations of two kinds charge at the same time: foreign ones (`foreign_station.py`), which meter what they are told, and
our simulated ones, which meter what flows. Drivers and apps do not give up while nodes are away. Everything is drawn
from one seed; the moments at which processes run are not, so that a seed repeats the plan and not the race.
"""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.bench.measures import Figure
from tests.live.chaos_books import Books, Charge, Verdict, judged
from tests.live.charging import Pair, owed
from tests.live.operators import ROOT, Operator, Process, Record, Station, broken, make_partners, running

CHARGE_S = 400.0
"""Within this time a charge is over, from its authorisation to its record, however often nodes are killed."""

DRAIN_S = 60.0
PAUSE_S = 0.2
"""How long an app waits before it looks or asks again."""

PAUSE_MAX_S = 8.0

POWER_W = 10_000_000
"""Of a simulated station, so that seconds give as much energy as an hour does in life."""

OVER = ("Settled", "Ready", "Expired")
"""How a Destination's transaction may end here: a grant whose answer was lost is never used."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What is to happen. `foreign` and `simulated` are stations with their numbers of connectors.

    A simulated driver takes his time to plug in and to leave: each charges `simulated_each` times at most.
    There are `kills_max` kills at most. A node is killed once it has logged as many more lines as `lines_between` says,
    or `moment_s` later at most, so that it is mostly in the middle of something; it stays away for `away_s` at most.
    Then there is peace for `peace` times as long as all of that took: a slow machine, too, gets something done.
    """

    seed: int
    charges: int
    foreign: dict[str, int]
    simulated: dict[str, int]
    simulated_each: int
    kills_max: int
    lines_between: tuple[int, int] = (10, 120)
    moment_s: float = 0.05
    away_s: float = 1.0
    peace: float = 0.3

    def __str__(self) -> str:
        connectors = sum(self.foreign.values()) + sum(self.simulated.values())
        return f"seed {self.seed}: {self.charges} charges at {connectors} connectors"


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a plan. `findings` is empty where nothing was lost, doubled, altered or complained about."""

    plan: Plan
    verdict: Verdict
    findings: tuple[str, ...]
    settled: int
    metered_wh: int
    kills: dict[str, int]
    at_once_max: int
    seconds: float

    def figures(self) -> list[Figure]:
        """The same as data, each with its n."""
        n, kills = self.settled, sum(self.kills.values())
        return [
            Figure(figure="live_cdrs_lost", value=self.verdict.lost, unit="CDRs", goal="<= 0", n=n),
            Figure(figure="live_cdrs_doubled", value=self.verdict.doubled, unit="CDRs", goal="<= 0", n=n),
            Figure(figure="live_wh_unexplained", value=self.verdict.unexplained_wh, unit="Wh", goal="<= 0", n=n),
            Figure(figure="live_wh_metered", value=self.metered_wh, unit="Wh", goal="", n=n),
            Figure(figure="live_nodes_killed", value=kills, unit="SIGKILLs", goal="", n=n),
            Figure(figure="live_charges_at_once", value=self.at_once_max, unit="charges", goal="", n=n),
            Figure(figure="live_findings", value=len(self.findings), unit="findings", goal="<= 0", n=n),
            Figure(figure="live_charges_per_minute", value=round(n / self.seconds * 60, 1), unit="1/min", goal="", n=n),
        ]


def survived(plan: Plan, folder: Path) -> Report:
    """Lets the plan happen, with journals and logs in `folder`, and looks into everybody's books."""
    with operators(plan, folder) as pair, _stations(plan, pair[1]) as (foreign, simulated):
        begun = time.monotonic()
        chaos = Chaos(pair, plan, foreign)
        views = chaos.run()
        drain(pair)
        seconds = time.monotonic() - begun
        metered = [*metered_by(foreign.values()), *_ended(simulated)]
        verdict = judged(books_of(pair, metered, views))
        findings = (*verdict.findings, *complaints(pair, foreign.values(), views), *_journal_findings(pair))
    energy_wh = sum(charge.energy_wh for charge in metered)
    return Report(plan, verdict, findings, len(views), energy_wh, chaos.kills, chaos.at_once_max, seconds)


@contextmanager
def operators(plan: Plan, folder: Path) -> Iterator[Pair]:
    """The two of them: whoever gives up does so soon, but an authorisation lasts as long as the chaos may."""
    quick = {
        "": {"start_margin_s": 1, "open_authorizations_per_user_max": 10_000},
        "destination_deadlines": {"stop_s": 3, "authorization_s": 900},
        "source_deadlines": {"start_s": 20, "stop_s": 5, "authorize_answer_s": 3, "authorization_s": 900},
    }
    stations = {**plan.foreign, **plan.simulated}
    home = Operator("NL-MOT", folder / "home", roles=("source",), settings=quick)
    local = Operator("IE-001", folder / "local", roles=("destination",), stations=stations, settings=quick)
    local.station_keys = {"connection_timeout_s": 10}  # simulated drivers take 2 to 6 s to plug in
    make_partners(home, local)
    with running(home, local):
        yield home, local


@contextmanager
def _stations(plan: Plan, local: Operator) -> Iterator[tuple[dict[str, Station], Process]]:
    """All stations, online: each foreign one in a process, the simulated ones together in another."""
    options = ["--events", "--seed", str(plan.seed), "--power-w", str(POWER_W), "--meter-interval-s", "1"]
    command = ["node.py", "station", "-c", str(local.config_file), *plan.simulated, *options]
    with ExitStack() as stack:
        simulated = Process(command, lines_on="stdout")
        stack.callback(simulated.close)
        foreign = {name: Station(local, name) for name in plan.foreign}
        for station in foreign.values():
            stack.callback(station.close)
            station.order(do="connect")
        for name in (*plan.foreign, *plan.simulated):
            local.node.wait_for("station.online", station=name)
        yield foreign, simulated


class Chaos:
    """Drivers at all connectors, and whoever kills nodes meanwhile. `kills` counts, by operator."""

    def __init__(self, pair: Pair, plan: Plan, foreign: dict[str, Station]) -> None:
        self.pair, self.plan, self.foreign = pair, plan, foreign
        self.kills = {operator.name: 0 for operator in pair}
        self.at_once_max = 0
        self._at_once = 0
        self._lock = threading.Lock()
        self._tickets = itertools.islice(itertools.count(), plan.charges)
        self.over = threading.Event()

    def run(self) -> list[Record]:
        """The views of all charges, once they are settled. Raises whatever made a driver give up."""
        drivers = list(self._drivers())
        with ThreadPoolExecutor(len(drivers) + 1) as pool:
            killing = pool.submit(self._kill_again_and_again)
            work = [pool.submit(self._drive, driver) for driver in drivers]
            done, _ = wait([*work, killing] if killing.done() else work, return_when=FIRST_EXCEPTION)
            self.over.set()
        for over in (*done, killing):
            over.result()  # whoever gave up first says why
        return [view for future in work for view in future.result()]

    def _drivers(self) -> Iterator[Driver]:
        numbers = itertools.count()
        for name, connectors in self.plan.foreign.items():
            for connector in range(1, connectors + 1):
                yield ForeignDriver(self, name, connector, next(numbers), self.foreign[name])
        for name, connectors in self.plan.simulated.items():
            for connector in range(1, connectors + 1):
                yield Driver(self, name, connector, next(numbers))

    def _drive(self, driver: Driver) -> list[Record]:
        views = []
        while len(views) < driver.charges_max and self._has_another():
            views.append(driver.charge())
        return views

    def _has_another(self) -> bool:
        with self._lock:
            return next(self._tickets, None) is not None

    def charging(self, more: int) -> None:
        """So many charges more are under way."""
        with self._lock:
            self._at_once += more
            self.at_once_max = max(self.at_once_max, self._at_once)

    def _kill_again_and_again(self) -> None:
        chance = random.Random(f"{self.plan.seed}/kills")
        home, local = self.pair
        while sum(self.kills.values()) < self.plan.kills_max and not self.over.is_set():
            victims = chance.choice(((home,), (local,), (home,), (local,), (home, local)))
            lines = len(victims[0].node.records) + chance.randint(*self.plan.lines_between)
            victims[0].node.wait_for_news(lines, 3.0)
            self.over.wait(chance.uniform(0, self.plan.moment_s))
            away_s = chance.uniform(0, self.plan.away_s)
            if not self.over.is_set():
                self.over.wait(self._kill(victims, away_s) * self.plan.peace)

    def _kill(self, victims: Sequence[Operator], away_s: float) -> float:
        """Kills these and starts them again; how long that has taken (s)."""
        begun = time.monotonic()
        for victim in victims:
            victim.kill()
            self.kills[victim.name] += 1
        self.over.wait(away_s)
        for victim in victims:
            victim.start()
        return time.monotonic() - begun


class Driver:
    """A driver at one connector, and the app that does not give up while nodes are away."""

    def __init__(self, chaos: Chaos, station: str, connector: int, number: int) -> None:
        self.chaos, self.station, self.connector = chaos, station, connector
        self.home, self.local = chaos.pair
        self.charges_max = chaos.plan.simulated_each
        self.random = random.Random(f"{chaos.plan.seed}/{number}")

    def charge(self) -> Record:
        """One charge from the authorisation to the record, asked for as often as it takes."""
        deadline = time.monotonic() + CHARGE_S
        view, charged, end = self.authorize(deadline), False, self.ending()
        self.asks_next_at, self.asks_after_s = 0.0, PAUSE_S
        self.chaos.charging(1)
        while view["state"] != "Settled":
            self.go_on(deadline, view)
            if view["state"] == "Ready":
                self.ask("start", view)
            elif view["state"] == "TxRunning":
                charged = charged or self.draw()
                end(view)
            self.chaos.over.wait(PAUSE_S * self.random.uniform(0.5, 1.5))
            view = self.look(view)
        self.chaos.charging(-1)
        return view

    def go_on(self, deadline: float, view: object) -> None:
        """Raises AssertionError where the charge takes too long, or another driver has given up."""
        assert time.monotonic() < deadline, f"never over: {view}\n{self.transcripts()}"
        assert not self.chaos.over.is_set(), "another driver gave up"

    def transcripts(self) -> str:
        """What everybody has said of late, for whoever looks for what went wrong."""
        return "\n".join(node.transcript(20) for node in (self.home.node, self.local.node))

    def draw(self) -> bool:
        """Lets energy flow, which it does by itself at simulated stations."""
        return True

    def ending(self) -> Callable[[Record], None]:
        """How this charge will end."""
        return self.stop

    def stop(self, view: Record) -> None:
        self.ask("stop", view)

    def ask(self, what: str, view: Record) -> None:
        """Asks for it, less and less often: a Destination takes 64 requests of one transaction."""
        if time.monotonic() >= self.asks_next_at:
            self.post(f"/api/v1/transactions/{view['transaction_id']}/{what}")
            self.asks_next_at = time.monotonic() + self.asks_after_s
            self.asks_after_s = min(1.5 * self.asks_after_s, PAUSE_MAX_S)

    def authorize(self, deadline: float) -> Record:
        place = {"local_service_identifier": self.station, "connector_identifier": str(self.connector)}
        asked = {"user_identifier": "anna", "destination": self.local.name, **place}
        while True:
            answer = self.post("/api/v1/authorizations", asked)
            if answer is not None and answer.status_code == 201:
                view: Record = answer.json()
                return view
            self.go_on(deadline, answer and answer.text)
            self.chaos.over.wait(PAUSE_S * self.random.uniform(1, 3))

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


class ForeignDriver(Driver):
    """A driver at a foreign station, who draws what he likes and may end the charge there, with a line or without."""

    def __init__(self, chaos: Chaos, name: str, connector: int, number: int, station: Station) -> None:
        super().__init__(chaos, name, connector, number)
        self.charges_max = chaos.plan.charges
        self.process = station
        self.unplugged = False

    def go_on(self, deadline: float, view: object) -> None:
        super().go_on(deadline, view)
        assert self.process.alive, f"the station has ended:\n{self.process.transcript(40)}"

    def transcripts(self) -> str:
        return f"{self.process.transcript(40)}\n{super().transcripts()}"

    def draw(self) -> bool:
        self.process.order(do="charge", connector=self.connector, wh=self.random.randint(1, 50_000))
        return True

    def ending(self) -> Callable[[Record], None]:
        self.unplugged = False
        return self.random.choice((self.stop, self.stop, self.unplug, self.unplug_offline))

    def unplug(self, view: Record) -> None:
        if not self.unplugged:
            self.process.order(do="unplug", connector=self.connector)
        self.unplugged = True

    def unplug_offline(self, view: Record) -> None:
        if not self.unplugged:
            self.process.order(do="disconnect")
            self.unplug(view)
            self.chaos.over.wait(self.random.uniform(0, 1.0))
            self.process.order(do="connect")


# -- afterwards --------------------------------------------------------------------------------------------------------


def drain(pair: Pair) -> None:
    """Returns once nobody owes anybody anything."""
    _, local = pair
    local.until_true(
        lambda: local.transactions("destination"), lambda found: all(t["state"] in OVER for t in found), DRAIN_S
    )
    for operator in pair:
        operator.until_true(lambda operator=operator: owed(operator), lambda count: count == 0, DRAIN_S)


def metered_by(stations: Iterable[Station]) -> Iterator[Charge]:
    """The charges that foreign stations have ended."""
    for station in stations:
        for record in station.said("stopped"):
            yield Charge(record["id_tag"], record["energy_wh"])


def _ended(fleet: Process) -> Iterator[Charge]:
    """The charges that simulated stations have ended, each as it was told last."""
    told = [record for record in list(fleet.records) if record["kind"] == "charge"]
    newest = {(record["station"], record["connector_id"], record["started_at"]): record for record in told}
    for record in newest.values():
        yield Charge(record["id_tag"], record["energy_wh"])


def books_of(pair: Pair, metered: list[Charge], views: list[Record], earlier: Collection[str] = ()) -> Books:
    """Everybody's books; `earlier` are authorisations of before the plan."""
    home, local = pair
    ledgers = {}
    for operator, role in ((home, "source"), (local, "destination")):
        records = map(_charge_of, operator.cdrs(role))
        ledgers[operator.name] = [record for record in records if record.name not in earlier]
    return Books(metered=metered, ledgers=ledgers, settled=[view["authorization_identifier"] for view in views])


def _charge_of(cdr: Record) -> Charge:
    return Charge(cdr["authorization_identifier"], cdr["energy_wh"])


def complaints(
    pair: Pair, stations: Iterable[Station], views: list[Record], *, but: Iterable[str] = ()
) -> Iterator[str]:
    """What must not have happened, whatever the books say; `but` may have been logged."""
    _, local = pair
    yield from (f"logged as a failure: {record}" for record in broken(pair, but=but))
    yield from (f"an orphan: {record}" for record in local.log("station.orphan"))
    yield from (f"a charge of nobody: {view}" for view in local.transactions("local"))
    calls = [record["id_tag"] for station in stations for record in station.said("remote_start")]
    for view in views:
        starts = sum(operation["kind"] == "start" for operation in view["operations"])
        sent = calls.count(view["authorization_identifier"])
        if sent > starts:
            yield f"{starts} starts were asked for, and {sent} RemoteStarts sent: {view}"


def _journal_findings(pair: Pair) -> Iterator[str]:
    """What `check-journal` has to say, beside the nodes that run."""
    commands = [[sys.executable, "node.py", "check-journal", "-c", str(each.config_file)] for each in pair]
    checks = [subprocess.Popen(command, cwd=ROOT, text=True, stdout=-1, stderr=-1) for command in commands]
    for operator, check in zip(pair, checks, strict=True):
        said, complained = check.communicate(timeout=DRAIN_S)
        if check.returncode != 0:
            yield f"check-journal of {operator.name} ended with {check.returncode}: {said} {complained}"
