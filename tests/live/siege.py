"""A node under attack, and a station that charges meanwhile: what it has to say of its charges, and how soon.

The same plan is done twice by the same station, in peace and under attack, on bare streams that cost next to nothing
(`tests.bench.lean`): app's calls, the station's own calls over TLS, and the Source's records.
"""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Awaitable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import trio
import trustme

from tests.bench.lean import Http, Station
from tests.bench.measures import Figure, percentile
from tests.live.attackers import STATIONS, Victim
from tests.live.operators import ROOT, Operator, Process, broken, make_partners, running

T = TypeVar("T")

METERED = 10
LOOK_AGAIN_S = 0.05
CHARGE_S = 60.0
PLACE_S = 60.0
ATTACKERS_FILE = Path(__file__).with_name("attackers.py")
HOSTILE = tuple(f"CS{60 + number}" for number in range(len(STATIONS)))

SLOW = {"http_head": 20, "http_body": 20, "tls_handshake": 20, "ws_handshake": 20, "ws_frames": 1, "ws_silent": 1,
        "idle_http": 700, "idle_ocpp": 300}  # fmt: skip
"""Slow-loris in every phase, half-open peers, and a thousand connections that say nothing."""

FLOOD = {"http_long_head": 3, "http_long_body": 3, "http_endless_body": 3, "http_never_reading": 3, "ws_long_frame": 1,
         "ws_many_frames": 1, "ws_compressed": 1, "ws_never_reading": 1}  # fmt: skip
"""Too much of everything, and peers that never read."""


@dataclass(slots=True)
class Course:
    """What became of a plan: the energy of each charge as it stands in the Source's records, and every wait."""

    records: list[int | None] = field(default_factory=list)
    waits_s: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Siege:
    """One kind of attack: its course, what the attackers saw, and what the node needed for it."""

    name: str
    course: Course
    ended: dict[str, list[float]]
    sent_bytes: int
    grown_bytes: int
    attackers: int


@dataclass(frozen=True, slots=True)
class Report:
    """The plan in peace, and under each attack; `complaints` is what nodes logged as their own failures."""

    peace: Course
    sieges: tuple[Siege, ...]
    complaints: tuple[str, ...]

    def figures(self) -> Iterator[Figure]:
        """The same as data, each with its n."""
        for siege in self.sieges:
            waits, affected = siege.course.waits_s, self.affected(siege)
            ratio = percentile(waits, 99) / percentile(self.peace.waits_s, 99)
            name = f"attack_{siege.name}"
            yield Figure(figure=f"{name}_others_affected", value=affected, unit="charges", goal="<= 0",
                         n=len(siege.course.records))  # fmt: skip
            yield Figure(figure=f"{name}_others_p99_ratio", value=round(ratio, 2), unit="x", goal="", n=len(waits))
            yield Figure(figure=f"{name}_memory_grown", value=round(siege.grown_bytes / 2**20, 1), unit="MiB", goal="",
                         n=siege.attackers)  # fmt: skip
            if siege.sent_bytes > siege.grown_bytes:  # else each connection counts, and not what is said on it
                held = siege.grown_bytes / siege.sent_bytes
                yield Figure(figure=f"{name}_bytes_held_per_byte", value=round(held, 3), unit="x", goal="<= 2",
                             n=siege.sent_bytes)  # fmt: skip
            for kind, after_s in sorted(siege.ended.items()):
                yield Figure(figure=f"{name}_{kind}_ended_after", value=round(max(after_s), 1), unit="s", goal="",
                             n=len(after_s))  # fmt: skip

    def affected(self, siege: Siege) -> int:
        """How many charges came out otherwise than in peace."""
        return sum(a != b for a, b in zip(siege.course.records, self.peace.records, strict=True))


def besieged(folder: Path, charges: int, slow_until: tuple[str, ...], flood_until: tuple[str, ...]) -> Report:
    """Two operators, attacked in two ways; each attack lasts until one connection of these kinds has been ended."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    home, local = _operators(folder, authority)
    with running(home, local):
        peace, sieges = trio.run(_besieged, home, local, folder, charges, slow_until, flood_until)
        complaints = tuple(map(str, broken((home, local))))
    return Report(peace, sieges, complaints)


def _operators(folder: Path, authority: trustme.CA) -> tuple[Operator, Operator]:
    leaf = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    leaf.cert_chain_pems[0].write_to_path(str(folder / "node.pem"))
    leaf.private_key_pem.write_to_path(str(folder / "node.key"))
    tls = {"tls_certificate": str(folder / "node.pem"), "tls_key": str(folder / "node.key"), "ping_interval_s": 2}
    # How long each answer takes is what is measured: nobody gives up before, on a machine that does more beside it.
    patient = {"source_deadlines": {"authorize_answer_s": 40, "authorization_s": 60, "start_s": 45, "stop_s": 45},
               "delivery": {"attempt_timeout_s": 20, "retry_base_s": 0.1, "retry_cap_s": 0.5}}  # fmt: skip
    home = Operator("NL-MOT", folder / "home", roles=("source",), settings=patient)
    settings = {"ocpp": tls, "destination_deadlines": {"stop_s": 40}, "delivery": patient["delivery"]}
    local = Operator("IE-001", folder / "local", roles=("destination",), settings=settings,
                     stations=dict.fromkeys(("CS01", *HOSTILE), 1))  # fmt: skip
    make_partners(home, local)
    return home, local


async def _besieged(
    home: Operator,
    local: Operator,
    folder: Path,
    charges: int,
    slow_until: tuple[str, ...],
    flood_until: tuple[str, ...],
) -> tuple[Course, tuple[Siege, ...]]:
    trust = ssl.create_default_context(cafile=str(folder / "authority.pem"))
    async with _visitor(home, local, trust) as visitor:
        await visitor.course(1)  # what everything does for the first time
        peace = await visitor.course(charges)
        sieges = []
        for name, attackers, until in (("flood", FLOOD, flood_until), ("slow", SLOW, slow_until)):
            sieges.append(await _siege(visitor, name, attackers, until, folder, charges))
        return peace, tuple(sieges)


async def _siege(
    visitor: Visitor, name: str, attackers: dict[str, int], until: tuple[str, ...], folder: Path, charges: int
) -> Siege:
    pid = visitor.local.node.popen.pid
    before = _memory_now(pid)
    with _attackers(visitor, attackers, folder) as process:
        in_thread = trio.to_thread.run_sync
        await in_thread(lambda: process.wait_for("in_place", timeout_s=PLACE_S))
        course = await visitor.course(charges)
        for kind in until:
            await in_thread(lambda kind=kind: process.wait_for("ended", attack=kind, timeout_s=120))
        ended = process.said("ended")
    by_kind: dict[str, list[float]] = {}
    for each in ended:
        by_kind.setdefault(each["attack"], []).append(each["after_s"])
    grown = _memory(pid, "VmHWM") - before  # the most it had
    return Siege(name, course, by_kind, sum(each["sent"] for each in ended), grown, sum(attackers.values()))


@contextmanager
def _attackers(visitor: Visitor, attackers: dict[str, int], folder: Path) -> Iterator[Process]:
    local = visitor.local
    _, name, _, _, theirs = local.partners[0]
    victim = Victim(
        http=local.port,
        ocpp=local.ocpp_port,
        authority=str(folder / "authority.pem"),
        basic=base64.b64encode(f"{name}:{theirs}".encode()).decode(),
        stations={identity: local.station_passwords[identity] for identity in HOSTILE},
    )
    asked = json.dumps({"victim": asdict(victim), "attackers": attackers})
    process = Process([str(ATTACKERS_FILE), asked], lines_on="stdout", folder=ROOT)
    try:
        yield process
    finally:
        process.close()


def _memory_now(pid: int) -> int:
    """What a process has in memory, in bytes; the most it had is forgotten."""
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")
    return _memory(pid, "VmRSS")


def _memory(pid: int, what: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"there is no {what} of process {pid}")


# -- whoever is not attacked -------------------------------------------------------------------------------------------


class Visitor:
    """An app at the Source and a station at the Destination, which do the same plan again and again."""

    def __init__(self, home: Operator, local: Operator, app: Http) -> None:
        self.home, self.local, self._app = home, local, app
        self._asked: dict[str, trio.Event] = {}
        self._stop = trio.Event()
        self._meter_wh = self._calls_made = 0
        self._waits_s: list[float] = []
        self.station: Station

    async def course(self, charges: int) -> Course:
        """So many charges, one after the other, of 1 kWh, 2 kWh and so on."""
        self._waits_s = []
        records = [await self._charge(1_000 * number) for number in range(1, charges + 1)]
        return Course(records, self._waits_s)

    async def _charge(self, wh: int) -> int | None:
        wish = {"user_identifier": "anna", "destination": self.local.name, "local_service_identifier": "CS01"}
        with trio.fail_after(CHARGE_S):
            view = await self._timed(self._call("POST", "/api/v1/authorizations", wish))
            name, path = view["authorization_identifier"], f"/api/v1/transactions/{view['transaction_id']}"
            self._asked[name], self._stop = trio.Event(), trio.Event()
            await self._timed(self._call("POST", f"{path}/start"))
            await self._asked[name].wait()
            number = await self._begin(name)
            for part in range(1, METERED + 1):
                await self._meter(number, self._meter_wh + wh * part // METERED)
            self._meter_wh += wh
            await self._until(path, "TxRunning")
            await self._timed(self._call("POST", f"{path}/stop"))
            await self._stop.wait()
            await self._end(number)
            await self._until(path, "Settled")
        return await self._record(name)

    async def _until(self, path: str, state: str) -> None:
        while True:
            view = await self._timed(self._call("GET", path))
            if view["state"] == state:
                return
            await trio.sleep(LOOK_AGAIN_S)

    async def _record(self, name: str) -> int | None:
        """The energy of the one record of this authorisation; None if there is not one."""
        cdrs = await trio.to_thread.run_sync(self.home.cdrs, "source")
        found = [cdr["energy_wh"] for cdr in cdrs if cdr["authorization_identifier"] == name]
        return found[0] if len(found) == 1 else None

    # -- the station ---------------------------------------------------------------------------------------------------

    async def asked(self, action: str, content: Any) -> Any:
        if action == "RemoteStartTransaction":
            self._asked[content["idTag"]].set()
        else:
            self._stop.set()
        return {"status": "Accepted"}

    async def _begin(self, name: str) -> int:
        content = {"connectorId": 1, "idTag": name, "meterStart": self._meter_wh, "timestamp": _now()}
        answer = await self._timed(self.station.call("StartTransaction", content))
        await self._status("Charging")
        return int(answer["transactionId"])

    async def _meter(self, number: int, wh: int) -> None:
        values = [{"timestamp": _now(), "sampledValue": [{"value": str(wh)}]}]
        content = {"connectorId": 1, "transactionId": number, "meterValue": values}
        await self._timed(self.station.call("MeterValues", content))

    async def _end(self, number: int) -> None:
        content = {"transactionId": number, "meterStop": self._meter_wh, "timestamp": _now(), "reason": "Remote"}
        await self._timed(self.station.call("StopTransaction", content))
        await self._status("Available")

    async def _status(self, status: str) -> None:
        content = {"connectorId": 1, "errorCode": "NoError", "status": status}
        await self._timed(self.station.call("StatusNotification", content))

    async def introduce(self) -> None:
        await self.station.call("BootNotification", {"chargePointVendor": "Siege", "chargePointModel": "Lean"})
        await self._status("Available")

    # -- waits ---------------------------------------------------------------------------------------------------------

    async def _call(self, method: str, path: str, content: Any = None) -> Any:
        """The node closes what is idle for long, as the app is between two courses: a call may be made again."""
        self._calls_made += 1
        key = f"call-{self._calls_made}" if method == "POST" else ""
        return await self._app.call(method, path, content, key)

    async def _timed(self, answer: Awaitable[T]) -> T:
        begun = trio.current_time()
        found = await answer
        self._waits_s.append(trio.current_time() - begun)
        return found


@asynccontextmanager
async def _visitor(home: Operator, local: Operator, trust: ssl.SSLContext) -> Any:
    plain = await trio.open_tcp_stream("127.0.0.1", local.ocpp_port)
    app = await Http.open(home.port, home.app_token)
    async with plain, aclosing(app), trio.open_nursery() as nursery:
        stream: Any = trio.SSLStream(plain, trust, server_hostname="localhost", https_compatible=True)
        visitor = Visitor(home, local, app)
        visitor.station = Station(stream, visitor.asked)
        await visitor.station.open("CS01", local.station_passwords["CS01"])
        nursery.start_soon(visitor.station.run)
        await visitor.introduce()
        yield visitor
        nursery.cancel_scope.cancel()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
