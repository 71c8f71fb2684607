"""Whole operators for live tests: real `node.py run` processes on loopback, that can be killed and started again.

An `Operator` has a folder, ports and secrets of its own, which outlive its processes; a `Station` is the foreign one of
`foreign_station.py`. Nothing here sleeps to wait for something: what is waited for is a line that a process writes, and
a transaction is looked at again when its node has logged something.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple

import httpx

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
NPM_STATION = HERE / "npm"
"""The package of a station on Node.js, which runs where `make test` could install what it needs."""


class Make(NamedTuple):
    """A make of foreign stations: the program that runs it, and its script."""

    program: str
    script: Path


ASYNCIO = Make(sys.executable, HERE / "foreign_station.py")
ASYNCIO_2 = Make(sys.executable, HERE / "foreign_station_2.py")
NPM = Make("node", NPM_STATION / "station.mjs")

START_S = 60.0
WAIT_S = 20.0
EXIT_S = 10.0
LOOK_AGAIN_S = 0.5
"""A transaction is looked at again after this long, in case that its node logs nothing, as a killed one."""

PORTS = range(20_000, 32_000)
"""Below those that Linux takes for connections unless it is told otherwise (net.ipv4.ip_local_port_range)."""

CARDS = ["04A1B2C3D4"]
Record = dict[str, Any]


def free_ports(count: int) -> list[int]:
    """Ports on loopback that nobody listens at, all different.

    None of those that the system gives to connections of others: one would be taken before it is listened at.
    """
    found: list[int] = []
    while len(found) < count:
        port = secrets.choice(PORTS)
        with socket.socket() as tried, contextlib.suppress(OSError):
            tried.bind(("127.0.0.1", port))
            found += [port] if port not in found else []
    return found


def matches(record: Record, wanted: Record) -> bool:
    return all(record.get(name) == value for name, value in wanted.items())


class Process:
    """A process that writes JSON objects, one a line, and what it has written so far.

    `within` is the command that runs it somewhere else than here: in another namespace, under another limit; `program`
    is what takes the arguments.
    """

    def __init__(
        self,
        arguments: list[str],
        *,
        lines_on: str,
        folder: Path = ROOT,
        within: Sequence[str] = (),
        program: str = sys.executable,
    ) -> None:
        pipe, command = subprocess.PIPE, [*within, program, *arguments]
        self.popen = subprocess.Popen(command, cwd=folder, text=True, stdin=pipe, stdout=pipe, stderr=pipe)
        assert self.popen.stdout is not None and self.popen.stderr is not None
        self.records: list[Record] = []
        self.other_lines: list[str] = []
        self._news = threading.Condition()
        streams = {"stdout": self.popen.stdout, "stderr": self.popen.stderr}
        lines, rest = streams.pop(lines_on), next(iter(streams.values()))
        self._readers = [
            threading.Thread(target=self._read, args=(lines, self._keep), daemon=True),
            threading.Thread(target=self._read, args=(rest, self.other_lines.append), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: IO[str], keep: Callable[[str], None]) -> None:
        for line in stream:
            keep(line)
        with self._news:
            self._news.notify_all()

    def _keep(self, line: str) -> None:
        with self._news:
            try:
                self.records.append(json.loads(line))
            except ValueError:
                self.other_lines.append(line)
            self._news.notify_all()

    # -- what it says --------------------------------------------------------------------------------------------------

    def said(self, event: str, **wanted: Any) -> list[Record]:
        """All it has said of this event so far."""
        return [r for r in list(self.records) if matches(r, {"event": event, **wanted})]

    def wait_for(self, event: str, *, count: int = 1, timeout_s: float = WAIT_S, **wanted: Any) -> Record:
        """The `count`-th record of this event; fails with all that was said when it does not come in time."""

        def found() -> bool:
            return len(self.said(event, **wanted)) >= count or self.popen.poll() is not None

        with self._news:
            self._news.wait_for(found, timeout_s)
        records = self.said(event, **wanted)
        assert len(records) >= count, f"no {event} {wanted} in {timeout_s:g} s:\n{self.transcript(40)}"
        return records[count - 1]

    def wait_until(self, look: Callable[[], Iterable[Record]], timeout_s: float = WAIT_S) -> list[Record]:
        """What `look` finds, once it finds something."""
        with self._news:
            self._news.wait_for(lambda: list(look()) or not self.alive, timeout_s)
        found = list(look())
        assert found, f"nothing found in {timeout_s:g} s:\n{self.transcript(40)}"
        return found

    def wait_for_news(self, known: int, timeout_s: float) -> None:
        """Returns once it has written more than `known` records, or the time is over."""
        with self._news:
            self._news.wait_for(lambda: len(self.records) > known, timeout_s)

    def transcript(self, last: int | None = None) -> str:
        """What it has written (the `last` lines of it), for people who look for what went wrong."""
        lines = [*(json.dumps(record) for record in self.records), *self.other_lines]
        return "\n".join(lines[-last:] if last else lines)

    # -- its end -------------------------------------------------------------------------------------------------------

    @property
    def alive(self) -> bool:
        return self.popen.poll() is None

    def order(self, **order: Any) -> None:
        assert self.popen.stdin is not None
        self.popen.stdin.write(json.dumps(order) + "\n")
        self.popen.stdin.flush()

    def kill(self) -> None:
        """SIGKILL: it gets no chance to say or write anything more."""
        self.popen.kill()
        self.exit_status()

    def terminate(self) -> None:
        self.popen.terminate()

    def exit_status(self, timeout_s: float = EXIT_S) -> int:
        """Waits for its end; fails if it does not come in time."""
        status: int = self.popen.wait(timeout_s)
        for reader in self._readers:
            reader.join(EXIT_S)
        for stream in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
            if stream is not None:
                _close(stream)
        return status

    def close(self) -> None:
        if self.alive:
            self.kill()
        else:
            self.exit_status()


def _close(stream: IO[str]) -> None:
    with contextlib.suppress(BrokenPipeError):  # an order that a killed process never read
        stream.close()


@dataclass
class Operator:
    """One operator: its folder, ports, secrets and configuration; `node` is its present process.

    `stations` are its stations' identities with their numbers of connectors; `settings` go over the configuration,
    table by table, with "" for the keys outside of every table; `partner_keys` stand in each row of a partner, and
    `station_keys` in each row of a station. `password_hash` opens
    the pages to all of its people. `within` is where its processes run (`Process`).
    """

    name: str
    folder: Path
    roles: tuple[str, ...] = ("source", "destination")
    stations: dict[str, int] = field(default_factory=dict)
    users: tuple[str, ...] = ("anna",)
    partners: list[tuple[str, str, str, str, str]] = field(default_factory=list)
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    partner_keys: dict[str, Any] = field(default_factory=dict)
    station_keys: dict[str, Any] = field(default_factory=dict)
    password_hash: str = ""
    within: tuple[str, ...] = ()
    lives: list[Process] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.port, self.ocpp_port = free_ports(2)
        self.app_token, self.operator_token = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        self.station_passwords = {identity: secrets.token_urlsafe(15) for identity in self.stations}
        base = f"http://127.0.0.1:{self.port}"
        self.app = httpx.Client(base_url=base, headers=_bearer(self.app_token), timeout=WAIT_S)
        self.desk = httpx.Client(base_url=base, headers=_bearer(self.operator_token), timeout=WAIT_S)
        # Seldom heard of: a connection that it kept could be one to a node that was killed since.
        self.stranger = httpx.Client(base_url=base, timeout=WAIT_S, limits=httpx.Limits(max_keepalive_connections=0))

    # -- configuration -------------------------------------------------------------------------------------------------

    def service_url(self, role: str, port: int | None = None) -> str:
        return f"http://127.0.0.1:{port or self.port}/services/mobiEurope{role.capitalize()}Service"

    @property
    def config_file(self) -> Path:
        return self.folder / "node.toml"

    def configuration(self) -> str:
        """Its TOML: deadlines and pauses short, so that what takes minutes in life takes seconds here."""
        tables: dict[str, dict[str, Any]] = {
            "": {
                "pms_identifier": self.name,
                "roles": self.roles,
                "data_dir": str(self.folder / "data"),
                "start_margin_s": 2,
            },
            "log": {"format": "json"},
            "http": {"port": self.port},
            "ocpp": {"port": self.ocpp_port, "call_timeout_s": 5},
            "delivery": {"attempt_timeout_s": 3, "retry_base_s": 0.1, "retry_cap_s": 0.5},
            "source_deadlines": {"authorize_answer_s": 5, "authorization_s": 60, "start_s": 15, "stop_s": 10},
            "destination_deadlines": {"authorization_s": 60, "stop_s": 6, "progress_interval_s": 0.05},
        }
        for name, values in self.settings.items():
            tables[name] = {**tables.get(name, {}), **values}
        people = {"password_hash": self.password_hash} if self.password_hash else {}
        rows: list[tuple[str, dict[str, Any]]] = [
            *(
                ("users", {"identifier": u, "id_tags": ["04A1B2C3D4"] if u == "anna" else [], **people})
                for u in self.users
            ),
            ("apps", {"name": "app", "token": self.app_token, "users": ["*"]}),
            ("operators", {"name": "desk", "token": self.operator_token, **people}),
        ]
        for role, partner, url, ours, theirs in self.partners:
            secrets_of = {"password": ours, "incoming_password": theirs}
            rows.append((role, {"pms_identifier": partner, "url": url, **secrets_of, **self.partner_keys}))
        for identity, connectors in self.stations.items():
            rows.append(("stations", {"identity": identity, "password": self.station_passwords[identity],
                                      "connectors": connectors, "connection_timeout_s": 3,
                                      "latitude": "53.35", "longitude": "-6.26", **self.station_keys}))  # fmt: skip
        text = [_table(f"[{name}]" if name else "", values) for name, values in tables.items()]
        return "\n".join([*text, *(_table(f"[[{name}]]", values) for name, values in rows)]) + "\n"

    # -- its processes -------------------------------------------------------------------------------------------------

    @property
    def node(self) -> Process:
        return self.lives[-1]

    def start(self) -> None:
        """Starts the node, for the first time or again, and waits until it is ready."""
        self.launch()
        self.node.wait_for("node.ready", timeout_s=START_S)

    def launch(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config_file.write_text(self.configuration(), encoding="utf-8")
        command = ["node.py", "run", "-c", str(self.config_file)]
        self.lives.append(Process(command, lines_on="stderr", within=self.within))

    def kill(self) -> None:
        self.node.kill()

    def restart(self) -> None:
        """SIGKILL, and a new life from what is on the disk."""
        self.kill()
        self.start()

    def close(self) -> None:
        for client in (self.app, self.desk, self.stranger):
            client.close()
        for number, life in enumerate(self.lives, start=1):
            life.close()
            # Kept beside the journal, for whoever looks into a failed test.
            (self.folder / f"life-{number}.log").write_text(life.transcript(), encoding="utf-8")

    def log(self, event: str, **wanted: Any) -> list[Record]:
        """What all its processes have logged of this event."""
        return [record for life in self.lives for record in life.said(event, **wanted)]

    # -- what an app does ----------------------------------------------------------------------------------------------

    def authorize(self, destination: str, station: str, connector: int | None = 1, **headers: str) -> Record:
        """A new transaction in Ready."""
        asked: Record = {"user_identifier": "anna", "destination": destination, "local_service_identifier": station}
        if connector is not None:
            asked["connector_identifier"] = str(connector)
        return _good(self.app.post("/api/v1/authorizations", json=asked, headers=headers), 201)

    def request(self, what: str, transaction_id: str, **headers: str) -> Record:
        """Asks for a start or a stop; the operation that was answered."""
        answer = self.app.post(f"/api/v1/transactions/{transaction_id}/{what}", headers=headers)
        operation: Record = _good(answer, 202)["operation"]
        return operation

    def transaction(self, role: str, identifier: str) -> Record:
        return _good(self.desk.get(f"/api/v1/operator/transactions/{role}/{identifier}"))

    def transactions(self, role: str) -> list[Record]:
        """All of a role, newest first."""
        return self.listed("transactions", role=role)

    def cdrs(self, role: str) -> list[Record]:
        return self.listed("cdrs", role=role)

    def listed(self, what: str, **which: Any) -> list[Record]:
        """All pages of one of the operator's lists."""
        items: list[Record] = []
        answer = self.desk.get(f"/api/v1/operator/{what}", params={**which, "limit": 200})
        while True:
            items += _good(answer)["items"]
            if "next" not in answer.links:
                return items
            answer = self.desk.get(answer.links["next"]["url"])

    def station(self, identity: str) -> Record:
        found = _good(self.desk.get("/api/v1/operator/stations"))
        return next(station for station in found["items"] if station["identity"] == identity)

    def until(self, role: str, identifier: str, *states: str, timeout_s: float = WAIT_S) -> Record:
        """The transaction once it is in one of these states."""
        view: Record = self.until_true(
            lambda: self.transaction(role, identifier), lambda view: view["state"] in states, timeout_s
        )
        return view

    def until_true(self, look: Callable[[], Any], fits: Callable[[Any], bool], timeout_s: float = WAIT_S) -> Any:
        """What `look` gives once it fits; looked at again whenever the node logs, and while it is away."""
        deadline, found = time.monotonic() + timeout_s, None
        while time.monotonic() < deadline:
            known = len(self.node.records)
            try:
                found = look()
            except httpx.TransportError as error:
                found = repr(error)
            else:
                if fits(found):
                    return found
            self.node.wait_for_news(known, LOOK_AGAIN_S)
        raise AssertionError(f"{self.name} after {timeout_s:g} s: {found}\n{self.node.transcript(40)}")


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _table(head: str, values: dict[str, Any]) -> str:
    # JSON's strings, numbers and lists are TOML's too.
    return "\n".join([head, *(f"{name} = {json.dumps(value)}" for name, value in values.items())])


def _good(answer: httpx.Response, status: int = 200) -> Record:
    assert answer.status_code == status, f"{answer.request.url}: {answer.status_code} {answer.text}"
    content: Record = answer.json()
    return content


def make_partners(source: Operator, destination: Operator, *, ports: tuple[int, int] | None = None) -> None:
    """Makes the users of one welcome at the stations of the other; `ports` are where each is to be reached instead."""
    to_destination, to_source = secrets.token_urlsafe(18), secrets.token_urlsafe(18)
    at_destination, at_source = ports or (destination.port, source.port)
    url = destination.service_url("destination", at_destination)
    source.partners.append(("destinations", destination.name, url, to_destination, to_source))
    url = source.service_url("source", at_source)
    destination.partners.append(("sources", source.name, url, to_source, to_destination))


class Station(Process):
    """The foreign station, at work for an operator, in the version of OCPP that its subprotocol names."""

    def __init__(
        self,
        operator: Operator,
        identity: str,
        *,
        manual: bool = False,
        make: Make = ASYNCIO,
        subprotocol: str = "ocpp1.6",
        password: str | None = None,
    ) -> None:
        self.identity = identity
        password = password or operator.station_passwords[identity]
        arguments = [str(make.script), "--subprotocol", subprotocol, "--url", f"ws://127.0.0.1:{operator.ocpp_port}/ocpp",
                     "--identity", identity, f"--password={password}",
                     "--connectors", str(operator.stations[identity])]  # fmt: skip
        arguments += ["--manual"] if manual else []
        super().__init__(arguments, lines_on="stdout", program=make.program)

    def come_online(self) -> None:
        """Connects, and has introduced itself when this returns."""
        before = len(self.said("online"))
        self.order(do="connect")
        self.wait_for("online", count=before + 1)

    def leave(self) -> None:
        """Ends what is still being charged, so that the next test finds free connectors, as far as anybody hears it."""
        if self.alive:
            self.order(do="leave")
            self.wait_for("left")


def broken(operators: Iterable[Operator], *, but: Iterable[str] = ()) -> list[Record]:
    """What nodes have logged as their own failures: whatever they are sent and however they die, there is none.

    `but` names the events that a test brings about.
    """
    records = [record for operator in operators for life in operator.lives for record in life.records]
    return [record for record in records if record.get("level") in ("error", "critical") and record["event"] not in but]


@contextmanager
def running(*operators: Operator) -> Iterator[None]:
    """The nodes of these operators, all started at once, ended for certain."""
    try:
        for operator in operators:
            operator.launch()
        for operator in operators:
            operator.node.wait_for("node.ready", timeout_s=START_S)
        yield
    finally:
        for operator in operators:
            operator.close()


@contextmanager
def station_of(
    operator: Operator, identity: str, *, manual: bool = False, make: Make = ASYNCIO, subprotocol: str = "ocpp1.6"
) -> Iterator[Station]:
    """A foreign station that is online."""
    station = Station(operator, identity, manual=manual, make=make, subprotocol=subprotocol)
    try:
        station.come_online()
        yield station
    finally:
        station.leave()
        station.close()
