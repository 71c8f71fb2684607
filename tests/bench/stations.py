"""What stations cost: CPU per message beside the `ocpp` package, memory per station, and how fast they come back.

Messages per CPU-second of the server's process, 64 stations in a closed loop, rounds of each server in turn. Ours is a
real node: passwords, a SQLite file with synchronous=FULL, its log; MeterValues and TransactionEvents are on the disk
before they are answered. The package keeps nothing.
"""

from __future__ import annotations

import sqlite3
import ssl
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import trustme

from protocols.cli.open_files import BESIDE_CONNECTIONS, open_files
from tests.bench.measures import Figure, cpu_s, percentile, resident_kib, scratch
from tests.bench.nodes import Node, as_shipped, running
from tests.bench.station_load import (
    Fleet,
    Station,
    begin_transaction,
    heartbeat,
    meter_values,
    start_transaction,
    transaction_event,
)
from tests.live.operators import ROOT, Operator

Does = Callable[[Station], Generator[int, None, Any]]

ACTIVE = 64
STATIONS = 5_000
WITH_CERTIFICATE, HANDSHAKES_AT_ONCE = 500, 50
ROUNDS = 5
ROUND_S = 3.0
WARM_S = 1.0
SETTLE_S = 3.0
OCPP_16, OCPP_201 = "ocpp1.6", "ocpp2.0.1"
HEARTBEATS = 12
"""What each station says before its memory is looked at: more than the node remembers answers of."""


def figures() -> list[Figure]:
    with scratch() as folder:
        place = folder
        return [
            *messages(place / "messages"),
            *events(place / "events"),
            *connections(place / "connections"),
            *connections_by_certificate(place / "certificates"),
        ]


def operator(folder: Path, stations: int, **settings: dict[str, Any]) -> Operator:
    identities = {f"CS{number:05}": 2 for number in range(stations)}
    return Operator("IE-001", folder, roles=("destination",), stations=identities, settings=as_shipped(**settings))


def fleet_of(owner: Operator, port: int, tls: ssl.SSLContext | None = None, subprotocol: str = OCPP_16) -> Fleet:
    return Fleet(port, [Station(*known, tls, subprotocol) for known in owner.station_passwords.items()])


# -- messages per CPU-second -------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Contender:
    """A server under load, and what its rounds gave: messages per CPU-second, and in all."""

    name: str
    pid: int
    fleet: Fleet
    per_cpu_s: dict[str, list[float]] = field(default_factory=dict)
    answered: dict[str, int] = field(default_factory=dict)

    def warm(self, load: str, does: Does) -> None:
        self.answered[load], self.per_cpu_s[load] = self.fleet.load(does, WARM_S).count, []

    def round(self, load: str, does: Does) -> None:
        before = cpu_s(self.pid)
        count = self.fleet.load(does, ROUND_S).count
        self.per_cpu_s[load].append(count / (cpu_s(self.pid) - before))
        self.answered[load] += count


def messages(folder: Path, rounds: int = ROUNDS) -> Iterator[Figure]:
    """Heartbeats and MeterValues of OCPP 1.6."""
    owner = operator(folder, ACTIVE)
    with charging(owner, OCPP_16, start_transaction) as contenders:
        for load, does, goal in (("heartbeat", heartbeat, ">= 5"), ("metervalues", meter_values, ">= 12")):
            _rounds(contenders, load, does, rounds)
            yield from _compared(load, goal, *contenders)
    _check_kept(owner, contenders[0].answered["metervalues"])


def events(folder: Path, rounds: int = ROUNDS) -> Iterator[Figure]:
    """TransactionEvents of OCPP 2.0.1."""
    owner = operator(folder, ACTIVE)
    with charging(owner, OCPP_201, begin_transaction) as contenders:
        _rounds(contenders, "transactionevent", transaction_event, rounds)
        yield from _compared("transactionevent", ">= 12", *contenders)
    _check_kept(owner, contenders[0].answered["transactionevent"])


@contextmanager
def charging(owner: Operator, subprotocol: str, begins: Does) -> Iterator[tuple[Contender, Contender, Contender]]:
    """A node, and the package in both its settings, each with stations that charge."""
    node = Node(owner)
    spoken = "--ocpp", subprotocol
    with running(node), opponent(*spoken) as theirs, opponent(*spoken, "--synchronous-validation") as tuned:
        contenders = (
            Contender("node", node.pid, fleet_of(owner, owner.ocpp_port, subprotocol=subprotocol)),
            Contender("ocpp", theirs[0], fleet_of(owner, theirs[1], subprotocol=subprotocol)),
            Contender("ocpp_synchronous_validation", tuned[0], fleet_of(owner, tuned[1], subprotocol=subprotocol)),
        )
        with ExitStack() as stack:
            for contender in contenders:
                stack.callback(contender.fleet.close)
                contender.fleet.connect()
                contender.fleet.each(begins)
            yield contenders


@contextmanager
def opponent(*arguments: str) -> Iterator[tuple[int, int]]:
    """The `ocpp` package's server in a process of its own: its process, its port."""
    command = [sys.executable, "-m", "tests.bench.opponent", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.pid, int(process.stdout.readline())
        finally:
            process.kill()


def _rounds(contenders: tuple[Contender, ...], load: str, does: Does, rounds: int) -> None:
    """Rounds in turn; while one is under load the others only keep their connections."""
    for contender in contenders:
        contender.warm(load, does)
    for _ in range(rounds):
        for contender in contenders:
            contender.round(load, does)


def _compared(load: str, goal: str, ours: Contender, theirs: Contender, tuned: Contender) -> Iterator[Figure]:
    for name, base, wanted in ((f"{load}_ratio", theirs, goal), (f"{load}_ratio_synchronous_validation", tuned, "")):
        ratios = [mine / other for mine, other in zip(ours.per_cpu_s[load], base.per_cpu_s[load], strict=True)]
        yield _figure(name, median(ratios), "x", wanted, ours.answered[load] + base.answered[load])
    for contender in (ours, theirs, tuned):
        rate = median(contender.per_cpu_s[load])
        yield _figure(f"{load}_per_cpu_s_{contender.name}", rate, "messages/s", "", contender.answered[load])


def _check_kept(owner: Operator, answered: int) -> None:
    """Raises RuntimeError unless every reading that was answered is in the journal."""
    with closing(sqlite3.connect(f"file:{owner.folder}/data/journal.db?mode=ro", uri=True)) as database:
        (kept,) = database.execute("SELECT count(*) FROM journal WHERE type = 'MeterRead'").fetchone()
    if kept < answered:
        raise RuntimeError(f"{answered} readings were answered, and {kept} are in the journal")


# -- connections -------------------------------------------------------------------------------------------------------


def connections(folder: Path, stations: int = STATIONS) -> Iterator[Figure]:
    open_files(stations + BESIDE_CONNECTIONS)
    nobody, owner = Node(operator(folder / "one", 1)), operator(folder / "many", stations)
    with running(nobody):
        empty_kib = resident_kib(nobody.pid)
    node = Node(owner)
    with running(node):
        configured_kib, cpu_before = resident_kib(node.pid), node.cpu_s
        fleet = fleet_of(owner, owner.ocpp_port)
        storm = fleet.connect()
        cpu = node.cpu_s - cpu_before
        for _ in range(HEARTBEATS):
            fleet.each(heartbeat)
        fleet.rest(SETTLE_S)
        connected_kib = resident_kib(node.pid)
        yield _figure("connect_5000_s", storm.seconds, "s", "<= 8", storm.count)
        yield _figure("connect_5000_p50_ms", percentile(storm.latencies_s, 50) * 1000, "ms", "", storm.count)
        yield _figure("connect_5000_p99_ms", percentile(storm.latencies_s, 99) * 1000, "ms", "", storm.count)
        yield _figure("connects_per_cpu_s", storm.count / cpu, "1/s", "", storm.count)
        yield _figure("idle_kib_per_station", (connected_kib - empty_kib) / stations, "KiB", "<= 22", stations)
        yield _figure("idle_kib_configured_only", (configured_kib - empty_kib) / stations, "KiB", "", stations)
        fleet.close()


def connections_by_certificate(folder: Path, stations: int = WITH_CERTIFICATE) -> Iterator[Figure]:
    """The same with TLS and a certificate of each station, every handshake a whole one."""
    folder.mkdir(parents=True)
    settings, tls = certificates(folder)
    # Profile 2: one certificate for all of them, and each its own password.
    owner = operator(folder, stations, ocpp={**settings, "security_profile": 2})
    node = Node(owner)
    with running(node):
        fleet, cpu_before = fleet_of(owner, owner.ocpp_port, tls), node.cpu_s
        storm = fleet.connect(HANDSHAKES_AT_ONCE)
        yield _figure("connect_mtls_per_s", storm.count / storm.seconds, "1/s", "", storm.count)
        yield _figure("connects_mtls_per_cpu_s", storm.count / (node.cpu_s - cpu_before), "1/s", "", storm.count)
        fleet.close()


def certificates(folder: Path) -> tuple[dict[str, Any], ssl.SSLContext]:
    """What an operator configures so that stations show certificates, and what a station does to show one."""
    authority = trustme.CA()
    own = authority.issue_cert("localhost")
    files = {name: str(folder / f"{name}.pem") for name in ("tls_certificate", "tls_key", "client_authorities")}
    own.cert_chain_pems[0].write_to_path(files["tls_certificate"])
    own.private_key_pem.write_to_path(files["tls_key"])
    authority.cert_pem.write_to_path(files["client_authorities"])
    tls = ssl.create_default_context(cafile=files["client_authorities"])
    authority.issue_cert("station.example").configure_cert(tls)
    return files, tls


def _figure(name: str, value: float, unit: str, goal: str, n: int) -> Figure:
    return Figure(figure=name, value=round(value, 2), unit=unit, goal=goal, n=n)
