"""`node.py demo`: two operators and six simulated stations as processes, and roaming transactions between them."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import trio
import typer
from rich.console import Console

from protocols.cli.demo_api import Api, View
from protocols.cli.demo_guide import guide
from protocols.cli.demo_operators import (
    BESIDE,
    HOME,
    LOCAL,
    RFID,
    ROAMING,
    STATIONS,
    USER,
    DemoStation,
    Operators,
    Secrets,
    free_ports,
)
from protocols.cli.demo_processes import Processes, open_processes
from protocols.cli.demo_record import Evidence, table_of
from protocols.cli.demo_timeline import APP, WIDTH, Timeline, short
from protocols.cli.folders import alone_in
from protocols.cli.starter import CannotRun, Starter, outcome_of

POWER_W = 150_000
METER_INTERVAL_S = 1
READY_TIMEOUT_S = 90.0
STORY_TIMEOUT_S = 120.0
POLL_S = 0.2
CHARGED_WH = 150
"""Enough to see the meter run; then the driver's app stops the charge."""


def play(starter: Starter, folder: Path, once: bool) -> None:
    """Plays the demo; with `once` it ends after the record, whose summary is the last line of stdout.

    Raises `CannotRun` with the reason if anything fails, takes too long or differs between the parties.
    """
    taken = f"another demo runs in {folder}: give this one its own with node.py demo --folder"
    with alone_in(folder, taken):
        operators = Operators(folder.resolve(), free_ports(), Secrets.fresh(starter.fresh_bytes))
        operators.write()
        summary = outcome_of(partial(_run, operators, starter.command, once))
    if once and summary is None:
        raise CannotRun("interrupted before the charge record was there; everything has ended")
    if once:
        typer.echo(msgspec.json.encode(summary))


async def _run(operators: Operators, command: tuple[str, ...], once: bool) -> View | None:
    """The summary of the record; None if a signal came first."""
    console = Console()
    # Into a file or a pipe there is no width to keep to.
    timeline = Timeline(console if console.is_terminal else Console(width=WIDTH), trio.current_time)
    charges: dict[str, View] = {}
    summary: View | None = None

    def hear(name: str, record: Mapping[str, Any]) -> None:
        if record.get("kind") == "charge":
            charges[record["id_tag"]] = dict(record)
        timeline.hear(name, record)

    async with (
        ended_by_signals(),
        open_processes(operators.folder, hear) as processes,
        open_scene(operators, timeline, charges) as scene,
    ):
        await scene.get_ready(processes, command)
        found = await scene.roam()
        told = found[STATIONS[0].ocpp]
        timeline.console.print(told.table(), table_of(found))
        energy_wh = {version: evidence.summary()["energy_wh"]["destination"] for version, evidence in found.items()}
        summary = {**told.summary(), "energy_wh_by_ocpp_version": energy_wh}
        if not once:
            await scene.get_free()
            typer.echo(guide(operators))
            await trio.sleep_forever()
    return summary


@asynccontextmanager
async def ended_by_signals() -> AsyncIterator[None]:
    """Ctrl-C and SIGTERM cancel the block, so that its processes are ended too; more signals then change nothing."""

    async def cancel(scope: trio.CancelScope) -> None:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                scope.cancel()

    async with trio.open_nursery() as nursery:
        with trio.CancelScope() as scope:
            nursery.start_soon(cancel, scope)
            yield
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def open_scene(operators: Operators, timeline: Timeline, charges: Mapping[str, View]) -> AsyncIterator[Scene]:
    """The scene with its clients, closed at the end of the block."""
    secrets = operators.secrets
    async with (
        Api(HOME, operators.home_url, secrets.app_token) as app,
        Api(LOCAL, operators.local_url, secrets.local_token) as local_room,
    ):
        yield Scene(operators, timeline, charges, app, local_room)


@dataclass(frozen=True, slots=True)
class Scene:
    """The story itself. `charges` is what the stations have told of theirs, by idTag."""

    operators: Operators
    timeline: Timeline
    charges: Mapping[str, View]
    app: Api
    local_room: Api

    # -- getting ready -------------------------------------------------------------------------------------------------

    async def get_ready(self, processes: Processes, command: tuple[str, ...]) -> None:
        """Starts all processes and waits until the stations are free for whoever comes."""
        note = self.timeline.note
        for operator in (LOCAL, HOME):
            note(f"starting {operator}: node.py run --config {self.operators.config_of(operator)}")
            await processes.start(operator, (*command, "run", "--config", str(self.operators.config_of(operator))))
        await self._until("the operators listen", self._operators_listen)
        note(f"both operators listen: {self.operators.home_url} and {self.operators.local_url}")
        self.timeline.head()
        for station in STATIONS:
            await processes.start(station.identity, (*command, *self._station_arguments(station)))
        await self._until("the stations are online", self._stations_are_ready)
        note(f"{len(STATIONS)} stations are online")

    async def get_free(self) -> None:
        """Waits until the driver has left, so that the next one may come."""
        self.timeline.note("the driver unplugs and leaves")
        await self._until(f"{ROAMING} is free again", self._stations_are_ready)

    def _station_arguments(self, station: DemoStation) -> tuple[str, ...]:
        config = str(self.operators.config_of(LOCAL))
        meter = ("--power-w", str(POWER_W), "--meter-interval-s", str(METER_INTERVAL_S))
        habits = ("--ocpp", station.ocpp, "--behaviour", station.behaviour)
        swipe = ("--swipe", station.card) if station.card else ()
        return ("station", "--config", config, station.identity, "--events", *meter, *habits, *swipe)

    async def _until(self, what: str, holds: Callable[[], Awaitable[bool]]) -> None:
        """Polls: what is waited for happens in another process."""
        with trio.move_on_after(READY_TIMEOUT_S):
            while True:
                if await holds():
                    return
                await trio.sleep(POLL_S)
        raise CannotRun(f"{what} not within {READY_TIMEOUT_S:g} s; see the logs in {self.operators.folder}")

    async def _operators_listen(self) -> bool:
        ports = self.operators.ports
        return all([await _listens(port) for port in (ports.home_http, ports.local_http, ports.local_ocpp)])

    async def _stations_are_ready(self) -> bool:
        found = {each["identity"]: each for each in (await self.local_room.get("/operator/stations"))["items"]}
        return all(_is_ready(found.get(station.identity, {})) for station in STATIONS)

    # -- the transaction -----------------------------------------------------------------------------------------------

    async def roam(self) -> dict[str, Evidence]:
        """Roaming transactions from authorisation to acknowledged record, by version of OCPP, beside a local one.

        The first is told as it happens; of the others, which go the same way at the same time, the outcome.
        """
        found: dict[str, Evidence] = {}
        with trio.move_on_after(STORY_TIMEOUT_S):
            granted = [(station, await self._authorize(station)) for station in (STATIONS[0], *BESIDE)]
            first = granted[0][1]
            self.timeline.follow(
                f"source/{first['transaction_id']}", f"destination/{first['authorization_identifier']}"
            )
            async with trio.open_nursery() as nursery:
                for station, grant in granted:
                    nursery.start_soon(self._roam_at, station, grant, found)
            self.timeline.follow()
            return {station.ocpp: found[station.ocpp] for station, _ in granted}
        raise CannotRun(
            f"no complete transaction within {STORY_TIMEOUT_S:g} s; see the logs in {self.operators.folder}"
        )

    async def _authorize(self, station: DemoStation) -> View:
        self.timeline.row(APP, f"{USER}: authorize {station.identity}")
        wish = {"user_identifier": USER, "destination": LOCAL, "local_service_identifier": station.identity}
        granted = await self.app.post("/authorizations", wish)
        self.timeline.row(APP, f"◀ {granted['state']}, authorisation {granted['authorization_identifier']}")
        return granted

    async def _roam_at(self, station: DemoStation, granted: View, found: dict[str, Evidence]) -> None:
        """Puts what the parties hold into `found`. Raises `CannotRun` where it differs."""
        began_s = self.timeline.seconds
        tell = partial(self.timeline.row, APP) if station.identity == ROAMING else _nobody
        settled = await self._charge(f"/transactions/{granted['transaction_id']}", tell)
        evidence = await self._evidence(settled, began_s)
        for difference in evidence.differences():
            raise CannotRun(f"{station}: {difference}")
        if station in BESIDE:
            energy_wh = settled["cdr"]["energy_wh"]
            self.timeline.row(APP, f"◀ {short(station.identity)}, OCPP {station.ocpp}: receipt: {energy_wh} Wh")
        found[station.ocpp] = evidence

    async def _charge(self, place: str, tell: Callable[[str], None]) -> View:
        """Starts, follows the events, stops once there is energy and the local charge runs too; returns the end."""
        tell("start")
        await self.app.post(f"{place}/start")
        stopped, shown = False, ""
        async for view in self.app.changes(f"{place}/events"):
            energy_wh = view.get("energy_wh") or 0
            news = f"◀ {view['state']}" + (f", {energy_wh} Wh" if energy_wh else "")
            if news != shown:
                tell(shown := news)
            if view["state"] == "Ready":
                raise CannotRun(f"the start failed: {view.get('cause')}")
            if view["state"] == "TxRunning" and energy_wh >= CHARGED_WH and not stopped and await self._local_runs():
                tell("stop")
                await self.app.post(f"{place}/stop")
                stopped = True
        receipt = await self.app.get(f"{place}/receipt")
        tell(f"◀ receipt: {receipt['energy_wh']} Wh")
        return await self.app.get(place)

    async def _local_runs(self) -> bool:
        found = await self.local_room.get("/operator/transactions", role="local")
        return any(each["local_service_identifier"] == RFID for each in found["items"])

    async def _evidence(self, settled: View, began_s: float) -> Evidence:
        """What all three hold, once the Destination has heard that its record arrived."""
        authorization = settled["authorization_identifier"]
        while True:
            destination = await self.local_room.get(f"/operator/transactions/destination/{authorization}")
            station = self.charges.get(authorization, {})
            if destination["state"] == "Settled" and station.get("stopped_at"):
                return Evidence(settled, destination, station, self.timeline.seconds - began_s)
            await trio.sleep(POLL_S)


def _nobody(_: str) -> None:
    """Whom a story is told to that goes on beside the one that is shown."""


async def _listens(port: int) -> bool:
    try:
        stream = await trio.open_tcp_stream("127.0.0.1", port)
    except OSError:
        return False
    await stream.aclose()
    return True


def _is_ready(station: View) -> bool:
    """Online and accepted, and free where the roaming driver shall come."""
    awaited = station.get("identity") in (ROAMING, *(beside.identity for beside in BESIDE))
    free = not awaited or station.get("connectors") == {"1": "Available"}
    return bool(station.get("online")) and station.get("registration") == "Accepted" and free
