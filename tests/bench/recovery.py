"""How a node gets over the loss of all its connections: stations that drop at once and come back at once.

Every tenth charges. Each comes back as soon as it can, as after a short loss of the network: dials, is let in, boots.
The time of a station is from the moment when it begins until its boot is answered.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from protocols.cli.open_files import BESIDE_CONNECTIONS, open_files
from tests.bench.measures import Figure, percentile, scratch
from tests.bench.nodes import Node, running
from tests.bench.station_load import start_transaction
from tests.bench.stations import STATIONS, fleet_of, operator

CHARGING_ONE_IN = 10


def figures() -> list[Figure]:
    with scratch() as folder:
        return list(recovery(folder / "recovery"))


def recovery(folder: Path, stations: int = STATIONS) -> Iterator[Figure]:
    """The curve: until half, nine tenths and 99 of 100 are back; and 99 of 100 of those that charge."""
    open_files(stations + BESIDE_CONNECTIONS)
    owner = operator(folder, stations)
    node = Node(owner)
    with running(node):
        fleet = fleet_of(owner, owner.ocpp_port)
        fleet.connect()
        charging = fleet.stations[::CHARGING_ONE_IN]
        fleet.of(charging).each(start_transaction)
        fleet.drop()
        cpu_before = node.cpu_s
        fleet.connect()
        cpu = node.cpu_s - cpu_before
        back, charging_back = ([station.back_s for station in some] for some in (fleet.stations, charging))
        fleet.close()
    for percent in (50, 90, 99):
        goal = "<= 8" if percent == 99 else ""
        yield _figure(f"recovery_{stations}_p{percent}_s", percentile(back, percent), "s", goal, stations)
    first = percentile(charging_back, 99)
    yield _figure(f"recovery_{stations}_charging_p99_s", first, "s", "", len(charging))
    yield _figure(f"recovery_{stations}_charging_ratio", first / percentile(back, 99), "x", "<= 0.8", len(charging))
    yield _figure(f"recovery_{stations}_cpu_s", cpu, "s", "", stations)


def _figure(name: str, value: float, unit: str, goal: str, n: int) -> Figure:
    return Figure(figure=name, value=round(value, 2), unit=unit, goal=goal, n=n)
