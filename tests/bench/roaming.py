"""What a roaming transaction and a progress update cost two nodes, and how soon a start is at the station.

Two real nodes as an operator runs them; stations, app and clock are in this process, whose own work is not counted.
A transaction is three REST calls of the app (authorize, start, stop) and six SOAP calls between the nodes (authorize,
requestStart, notify, requestStop, notify, endTransaction); its station reports the start, the stop and what its
connector is doing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import trio

from tests.bench.lean import Http, Station
from tests.bench.measures import Figure, percentile, scratch
from tests.bench.nodes import Node, running, two_operators

STATIONS, CONNECTORS = 60, 10
IN_FLIGHT = 20
WARM_EACH, CHARGES_EACH, UPDATES_EACH = 2, 10, 15
CHARGE_S = 0.05
STARTS_PER_S, STARTS_FOR_S = 20, 30
PREPARED_AT_ONCE = 10
IDLE_S = 3.0
PROGRESS_INTERVAL_S, UPDATE_EVERY_S = 0.01, 0.4
SETTLED_S = 60

IDENTITIES = [f"CS{number:02}" for number in range(STATIONS)]
USERS = tuple(f"user-{number}" for number in range(STATIONS * CONNECTORS))


async def figures() -> list[Figure]:
    with scratch() as folder:
        # Every update that is sent here is told: how seldom a node tells one is the operator's choice.
        interval = {"progress_interval_s": PROGRESS_INTERVAL_S}
        home, local = two_operators(
            folder, dict.fromkeys(IDENTITIES, CONNECTORS), USERS, destination_deadlines=interval
        )
        with running(home, local):
            async with _world(home, local) as world:
                return [*await _transactions(world), await _progress(world), *await _remote_starts(world)]


# -- what is measured --------------------------------------------------------------------------------------------------


async def _transactions(world: World) -> list[Figure]:
    await _side_by_side(world.charges, WARM_EACH)
    await world.all_settled()
    before = world.cpu_s
    await _side_by_side(world.charges, CHARGES_EACH)
    await world.all_settled()
    count = IN_FLIGHT * CHARGES_EACH
    each_ms = [1000 * (after - now) / count for now, after in zip(before, world.cpu_s, strict=True)]
    return [
        Figure(figure="roaming_cpu_ms", value=round(sum(each_ms), 1), unit="ms", goal="<= 40", n=count),
        Figure(figure="roaming_cpu_ms_source", value=round(each_ms[0], 1), unit="ms", goal="", n=count),
        Figure(figure="roaming_cpu_ms_destination", value=round(each_ms[1], 1), unit="ms", goal="", n=count),
    ]


async def _progress(world: World) -> Figure:
    charges: dict[int, Charge] = {}

    async def begin(lane: int, _: int) -> None:
        charges[lane] = await world.begin(lane)

    async def update(lane: int, count: int) -> None:
        for number in range(count):
            await world.meter(charges[lane], wh=number)
            await trio.sleep(UPDATE_EVERY_S)

    async def end(lane: int, _: int) -> None:
        await world.end(charges[lane])

    await _side_by_side(begin, 1)
    await _side_by_side(update, WARM_EACH)
    await world.quiet()
    told, before = world.home.said("ProgressReported"), sum(world.cpu_s)
    await _side_by_side(update, UPDATES_EACH)
    await world.quiet()
    told, used_s = world.home.said("ProgressReported") - told, sum(world.cpu_s) - before
    await _side_by_side(end, 1)
    await world.all_settled()
    return Figure(figure="progress_cpu_ms", value=round(1000 * used_s / told, 1), unit="ms", goal="", n=told)


async def _remote_starts(world: World) -> list[Figure]:
    """From the moment at which an app was to ask for a start to the frame at the station, however late it asked."""
    count = STARTS_PER_S * STARTS_FOR_S
    ready = await world.authorized(count)
    due_at: dict[str, float] = {}
    begun = trio.current_time() + 1
    async with trio.open_nursery() as nursery:
        for number, charge in enumerate(ready):
            due_at[charge.name] = begun + number / STARTS_PER_S
            await trio.sleep_until(due_at[charge.name])
            nursery.start_soon(world.start, charge)
    await world.all_begun(list(due_at))
    waits_ms = [1000 * (world.asked_at[name] - at) for name, at in due_at.items()]
    p50, p99 = round(percentile(waits_ms, 50), 1), round(percentile(waits_ms, 99), 1)
    return [
        Figure(figure="remote_start_p50_ms", value=p50, unit="ms", goal="<= 20", n=count),
        Figure(figure="remote_start_p99_ms", value=p99, unit="ms", goal="<= 80", n=count),
    ]


async def _side_by_side(work: Callable[[int, int], Awaitable[None]], each: int) -> None:
    async with trio.open_nursery() as nursery:
        for lane in range(IN_FLIGHT):
            nursery.start_soon(work, lane, each)


# -- two nodes, stations and an app ------------------------------------------------------------------------------------


class Charge:
    """A transaction of ours: where it is, what the Source calls it, and what both operators call it."""

    def __init__(self, station: int, connector: int, view: Any) -> None:
        self.station, self.connector = station, connector
        self.id: str = view["transaction_id"]
        self.name: str = view["authorization_identifier"]
        self.number = 0


class World:
    """Everything around the nodes. `asked_at` is when a station was asked to start, by authorisation."""

    def __init__(self, home: Node, local: Node, nursery: trio.Nursery) -> None:
        self.home, self.local = home, local
        self.asked_at: dict[str, float] = {}
        self._begun: defaultdict[str, trio.Event] = defaultdict(trio.Event)
        self._ended: defaultdict[int, trio.Event] = defaultdict(trio.Event)
        self._numbers: dict[str, int] = {}
        self._connectors: dict[int, int] = {}
        self._stations: list[Station] = []
        self._idle: list[tuple[Http, float]] = []
        self._nursery = nursery
        self._charges = 0

    @property
    def cpu_s(self) -> list[float]:
        """The processor time used so far, of each node."""
        return [self.home.cpu_s, self.local.cpu_s]

    async def open(self) -> None:
        for number in range(STATIONS):
            self._stations.append(await self._station(number))

    # -- the app -------------------------------------------------------------------------------------------------------

    async def charges(self, lane: int, count: int) -> None:
        """Complete transactions, one after the other, at one station."""
        for _ in range(count):
            charge = await self.begin(lane)
            await trio.sleep(CHARGE_S)
            await self.end(charge)

    async def begin(self, lane: int) -> Charge:
        """A transaction whose station charges."""
        charge = await self.authorize(lane, 1, USERS[lane])
        await self.start(charge)
        await self._begun[charge.name].wait()
        charge.number = self._numbers[charge.name]
        return charge

    async def end(self, charge: Charge) -> None:
        await self._post(f"/api/v1/transactions/{charge.id}/stop")
        await self._ended[charge.number].wait()
        self._charges += 1

    async def authorize(self, station: int, connector: int, user: str) -> Charge:
        asked = {"user_identifier": user, "destination": self.local.operator.name}
        where = {"local_service_identifier": IDENTITIES[station], "connector_identifier": str(connector)}
        return Charge(station, connector, await self._post("/api/v1/authorizations", asked | where))

    async def authorized(self, count: int) -> list[Charge]:
        """So many authorisations, each at a connector and for a user of its own, asked for a few at a time."""
        ready: list[Charge] = []

        async def lane(first: int) -> None:
            for number in range(first, count, PREPARED_AT_ONCE):
                ready.append(await self.authorize(number % STATIONS, 1 + number // STATIONS, USERS[number]))

        async with trio.open_nursery() as nursery:
            for first in range(PREPARED_AT_ONCE):
                nursery.start_soon(lane, first)
        return ready

    async def start(self, charge: Charge) -> None:
        await self._post(f"/api/v1/transactions/{charge.id}/start")

    async def meter(self, charge: Charge, wh: int) -> None:
        """The station meters, and has the node's answer."""
        value = {"value": str(wh), "measurand": "Energy.Active.Import.Register", "unit": "Wh"}
        content = {"connectorId": charge.connector, "transactionId": charge.number,
                   "meterValue": [{"timestamp": _now(), "sampledValue": [value]}]}  # fmt: skip
        await self._stations[charge.station].call("MeterValues", content)

    async def all_begun(self, names: list[str]) -> None:
        """Waits until the stations charge for all these authorisations."""
        with trio.fail_after(SETTLED_S):
            for name in names:
                await self._begun[name].wait()

    async def all_settled(self) -> None:
        """Waits until the Source has acknowledged every charge record."""
        desk = await self._connection(self.local.operator.port, self.local.operator.operator_token)
        with trio.fail_after(SETTLED_S):
            while ledger := (await desk.call("GET", "/api/v1/operator/peers"))["items"][0]["ledger"]:
                if ledger["acknowledged"] == self._charges:
                    return
                await trio.sleep(0.1)

    async def quiet(self) -> None:
        """Waits until neither node has anything to do."""
        before = [-1.0]
        while self.cpu_s != before:
            before = self.cpu_s
            await trio.sleep(0.2)

    async def _post(self, path: str, content: Any = None) -> Any:
        connection = await self._idle_connection()
        found = await connection.call("POST", path, content)
        self._idle.append((connection, trio.current_time()))
        return found

    async def _idle_connection(self) -> Http:
        """One that is open for certain: the node closes those that are idle for long."""
        while self._idle:
            connection, since = self._idle.pop()
            if trio.current_time() - since < IDLE_S:
                return connection
            await connection.aclose()
        return await self._connection()

    async def _connection(self, port: int = 0, token: str = "") -> Http:
        operator = self.home.operator
        return await Http.open(port or operator.port, token or operator.app_token)

    # -- the stations --------------------------------------------------------------------------------------------------

    async def _station(self, number: int) -> Station:
        identity, operator = IDENTITIES[number], self.local.operator

        async def asked(action: str, content: Any) -> Any:
            if action == "RemoteStartTransaction":
                self.asked_at[content["idTag"]] = trio.current_time()
                self._nursery.start_soon(self._charge, station, content["connectorId"], content["idTag"])
            else:
                self._nursery.start_soon(self._stop, station, content["transactionId"])
            return {"status": "Accepted"}

        station = Station(await trio.open_tcp_stream("127.0.0.1", operator.ocpp_port), asked)
        await station.open(identity, operator.station_passwords[identity])
        self._nursery.start_soon(station.run)
        await station.call("BootNotification", {"chargePointVendor": "Bench", "chargePointModel": "Lean"})
        for connector in range(1, CONNECTORS + 1):
            await _status(station, connector, "Available")
        return station

    async def _charge(self, station: Station, connector: int, id_tag: str) -> None:
        await _status(station, connector, "Preparing")
        content = {"connectorId": connector, "idTag": id_tag, "meterStart": 0, "timestamp": _now()}
        answer = await station.call("StartTransaction", content)
        if answer["idTagInfo"]["status"] != "Accepted":
            raise RuntimeError(f"the start of {id_tag} was answered {answer}")
        await _status(station, connector, "Charging")
        self._numbers[id_tag] = answer["transactionId"]
        self._connectors[answer["transactionId"]] = connector
        self._begun[id_tag].set()

    async def _stop(self, station: Station, number: int) -> None:
        content = {"transactionId": number, "meterStop": 1_000, "timestamp": _now(), "reason": "Remote"}
        await station.call("StopTransaction", content)
        await _status(station, self._connectors[number], "Finishing")
        await _status(station, self._connectors[number], "Available")
        self._ended[number].set()


@asynccontextmanager
async def _world(home: Node, local: Node) -> AsyncIterator[World]:
    async with trio.open_nursery() as nursery:
        world = World(home, local, nursery)
        await world.open()
        yield world
        nursery.cancel_scope.cancel()


async def _status(station: Station, connector: int, status: str) -> None:
    await station.call("StatusNotification", {"connectorId": connector, "errorCode": "NoError", "status": status})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
