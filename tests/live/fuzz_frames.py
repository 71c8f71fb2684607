"""The station port of a real node, fuzzed over loopback: frames of stations gone mad, and one that charges afterwards.

What a connection says is a function of the seed and of its number: `python -m tests.live.fuzz_frames --seed S --only N`
says that of one again. A connection that is closed must be closed within its bound, one that is not must have answered
every call on it; neither may cost the node an error, or memory.
"""

from __future__ import annotations

import base64
import json
import random
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import trio

from tests.bench.lean import Station
from tests.bench.measures import Figure
from tests.live.fuzz_grammar import SAID, Burst, burst, frame, pieces_of
from tests.live.operators import START_S, Operator, broken

MAD = {f"MAD{number}": protocol for number, protocol in enumerate(4 * [*SAID])}
CALM = "CALM"
FRAMES_EACH = 60
ANSWERED_WITHIN_S = 40.0
"""A node gives a handler 20 s, and looks at that twice; nothing here should ever take a tenth of it."""

SLOW_SHARE = 0.02
SETTLED = 0.2
"""After this share of all frames a node has met everything: what it has in memory then is what it needs."""

_CLOSE, _TEXT, _FIN_TEXT = 8, 1, 0x81
_HEAD_END = b"\r\n\r\n"


@dataclass
class Fuzzed:
    """What was said, and what became of it. `hanging` are connections that were neither closed nor answered in time."""

    frames: int = 0
    connections: int = 0
    answered: int = 0
    seconds: float = 0.0
    ends: Counter[str] = field(default_factory=Counter)
    hanging: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    crashes: list[str] = field(default_factory=list)
    memory_before: int = 0
    memory_after: int = 0
    energy_wh: int | None = None

    @property
    def grown_bytes(self) -> int:
        return self.memory_after - self.memory_before

    def figures(self) -> Iterator[Figure]:
        n = self.frames
        yield Figure(figure="fuzz_frames", value=n, unit="frames", goal="", n=n)
        yield Figure(figure="fuzz_crashes", value=len(self.crashes), unit="errors", goal="<= 0", n=n)
        yield Figure(
            figure="fuzz_hanging", value=len(self.hanging), unit="connections", goal="<= 0", n=self.connections
        )
        yield Figure(figure="fuzz_closed_for_a_message", value=len(self.lost), unit="connections", goal="<= 0",
                     n=self.connections)  # fmt: skip
        yield Figure(figure="fuzz_answered", value=self.answered, unit="calls", goal="", n=n)
        yield Figure(figure="fuzz_slowest_connection", value=round(self.slowest_s, 2), unit="s", goal="",
                     n=self.connections)  # fmt: skip
        yield Figure(figure="fuzz_memory_grown", value=round(self.grown_bytes / 2**20, 1), unit="MiB", goal="", n=n)
        yield Figure(figure="fuzz_charges_after", value=int(self.energy_wh == CHARGED_WH), unit="charges", goal=">= 1",
                     n=1)  # fmt: skip


# -- one connection ----------------------------------------------------------------------------------------------------


class Mad:
    """One connection of a station that has gone mad."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream, self._bytes = stream, bytearray()
        self.answered: Counter[str] = Counter()
        self.is_over = trio.Event()
        self._news = trio.Event()

    async def open(self, identity: str, password: str, protocol: str) -> None:
        basic = base64.b64encode(f"{identity}:{password}".encode()).decode()
        await self._stream.send_all(
            f"GET /ocpp/{identity} HTTP/1.1\r\nHost: node\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            f"Sec-WebSocket-Protocol: {protocol}\r\nAuthorization: Basic {basic}\r\n\r\n".encode()
        )
        while _HEAD_END not in self._bytes:
            received = await self._stream.receive_some()
            if not received:
                raise OSError(f"{identity} was not let in")
            self._bytes += received
        head, _, rest = bytes(self._bytes).partition(_HEAD_END)
        if b" 101 " not in head:
            raise OSError(f"{identity} was not let in: {head!r}")
        self._bytes = bytearray(rest)

    async def say(self, said: Burst, rng: random.Random) -> None:
        """All of it, glued together as a rule, in tatters sometimes."""
        whole = b"".join(said.pieces)
        is_slow = rng.random() < SLOW_SHARE
        try:
            for piece in pieces_of(whole[:3_000], rng) if is_slow else ():
                await self._stream.send_all(piece)
                await trio.sleep(0.001)
            await self._stream.send_all(whole[3_000:] if is_slow else whole)
            if said.ends:
                await self._stream.send_eof()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return  # it was closed while it spoke, as it may be

    async def probe(self, name: str) -> None:
        try:
            await self._stream.send_all(frame(_TEXT, f'[2,"{name}","Heartbeat",{{}}]'.encode()))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return

    async def hear(self) -> None:
        """Takes what the node says until the connection is over."""
        try:
            while True:
                while (message := self._next()) is not None:
                    self._heard(*message)
                received = await self._stream.receive_some(65_536)
                if not received:
                    break
                self._bytes += received
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        self.is_over.set()
        self._news.set()

    def _next(self) -> tuple[int, bytes] | None:
        """The next whole frame of the node, whose frames are not masked."""
        if len(self._bytes) < 2:
            return None
        size, start = self._bytes[1], 2
        if size >= 126:
            start = 4 if size == 126 else 10
            size = int.from_bytes(self._bytes[2:start])
        if len(self._bytes) < start + size:
            return None
        kind, body = self._bytes[0], bytes(self._bytes[start : start + size])
        del self._bytes[: start + size]
        return kind, body

    def _heard(self, kind: int, body: bytes) -> None:
        if kind == _FIN_TEXT:
            said = json.loads(body)
            if said[0] in (3, 4):
                self.answered[str(said[1])] += 1
                self._news.set()

    async def settled(self, owed: set[str]) -> bool:
        """Whether all of these are answered; returns when they are, or when the connection is over."""
        while not owed <= self.answered.keys() and not self.is_over.is_set():
            self._news = trio.Event()
            await self._news.wait()
        return owed <= self.answered.keys()


class Fuzzer:
    """Says what the stations say, so many frames in all, and keeps the books."""

    def __init__(self, operator: Operator, seed: int, frames: int) -> None:
        self._operator, self._seed, self._frames = operator, seed, frames
        self.found, self._number = Fuzzed(), 0

    async def run(self) -> None:
        began = time.monotonic()
        async with trio.open_nursery() as nursery:
            for identity, protocol in MAD.items():
                nursery.start_soon(self._station, identity, protocol)
        self.found.seconds = time.monotonic() - began

    async def _station(self, identity: str, protocol: str) -> None:
        while self.found.frames < self._frames and self._operator.node.alive:
            self._number += 1
            await self.connection(identity, protocol, self._number)
            if not self.found.memory_before and self.found.frames >= SETTLED * self._frames:
                self.found.memory_before = memory_of(self._operator)

    async def connection(self, identity: str, protocol: str, number: int) -> None:
        """One connection, from its handshake until it is closed or has answered everything."""
        name = f"{self._seed}/{protocol}/{number}"
        said, found = burst(name, protocol, FRAMES_EACH), self.found
        began = trio.current_time()
        stream = await trio.open_tcp_stream("127.0.0.1", self._operator.ocpp_port)
        mad = Mad(stream)
        try:
            await mad.open(identity, self._operator.station_passwords[identity], protocol)
            with trio.move_on_after(ANSWERED_WITHIN_S) as patience:
                await self._conversation(mad, said, name)
            if patience.cancelled_caught:
                missing = sorted({"probe", *said.owed} - mad.answered.keys())
                found.hanging.append(f"{name}: {len(missing)} of {said.frames} not answered, {missing[:3]}")
        finally:
            await trio.aclose_forcefully(stream)
        found.frames += said.frames
        found.connections += 1
        found.answered += mad.answered.total()
        found.slowest_s = max(found.slowest_s, trio.current_time() - began)

    async def _conversation(self, mad: Mad, said: Burst, name: str) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(mad.hear)
            await mad.say(said, random.Random(f"{name}/pace"))
            if not said.ends:
                await mad.probe("probe")
            owed = {"probe", *said.owed}
            if said.ends:
                await mad.is_over.wait()
            is_whole = await mad.settled(owed)
            self.found.ends["answered" if is_whole else "closed"] += 1
            if not is_whole and not said.breaks:
                self.found.lost.append(name)
            nursery.cancel_scope.cancel()


# -- the node ----------------------------------------------------------------------------------------------------------

CHARGED_WH = 4_321


def memory_of(operator: Operator) -> int:
    """What the node's process has in memory, in bytes."""
    for line in Path(f"/proc/{operator.node.popen.pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("the node has no memory")


def fuzzed(folder: Path, seed: int, frames: int, only: int | None = None) -> Fuzzed:
    """A node of its own, to which so many frames are said; or those of one connection again."""
    operator = Operator("IE-001", folder, roles=("destination",), stations={**dict.fromkeys(MAD, 2), CALM: 1},
                        settings={"log": {"format": "json", "level": "error"}})  # fmt: skip
    fuzzer = Fuzzer(operator, seed, frames)
    try:
        operator.launch()
        operator.until_true(lambda: operator.stranger.get("/health").status_code, lambda status: status == 200, START_S)
        if only is None:
            trio.run(fuzzer.run)
        else:
            trio.run(_again, fuzzer, only)
        fuzzer.found.memory_after = memory_of(operator)
        fuzzer.found.energy_wh = trio.run(_charge, operator)
    finally:
        alive = operator.node.alive
        operator.close()
    gone = () if alive else ("the node is gone",)
    fuzzer.found.crashes += [*gone, *map(str, broken((operator,)))]
    return fuzzer.found


async def _again(fuzzer: Fuzzer, number: int) -> None:
    """What this connection said, as a station of each protocol."""
    for identity, protocol in list(MAD.items())[: len(SAID)]:
        await fuzzer.connection(identity, protocol, number)


async def _charge(operator: Operator) -> int | None:
    """What a station that is well charges there, by the node's own record; None if it does not."""
    stream = await trio.open_tcp_stream("127.0.0.1", operator.ocpp_port)
    with trio.fail_after(30):
        async with stream, trio.open_nursery() as nursery:
            station = Station(stream, _never_asked)
            await station.open(CALM, operator.station_passwords[CALM])
            nursery.start_soon(station.run)
            await station.call("BootNotification", {"chargePointVendor": "Calm", "chargePointModel": "Lean"})
            begun = {"connectorId": 1, "idTag": "04A1B2C3D4", "meterStart": 1_000, "timestamp": _now()}
            number = (await station.call("StartTransaction", begun))["transactionId"]
            ended = {"transactionId": number, "meterStop": 1_000 + CHARGED_WH, "timestamp": _now()}
            await station.call("StopTransaction", ended)
            nursery.cancel_scope.cancel()
    view = await trio.to_thread.run_sync(operator.transaction, "local", str(number))
    energy_wh: int | None = view["energy_wh"] if view["state"] == "Settled" else None
    return energy_wh


async def _never_asked(action: str, content: Any) -> Any:
    return {"status": "Accepted"}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def main() -> int:
    parser = ArgumentParser(prog="python -m tests.live.fuzz_frames", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--only", type=int, help="the number of one connection, said again")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="roamnode-fuzz-") as folder:
        found = fuzzed(Path(folder), asked.seed, asked.frames, asked.only)
    for each in (*found.figures(), dict(found.ends), {"seconds": round(found.seconds, 1)}):
        print(json.dumps(each))
    for name in (*found.hanging, *found.lost):
        print(f"look at {name}")
    for crash in found.crashes[:5]:
        print(crash)
    return int(bool(found.hanging or found.lost or found.crashes))


if __name__ == "__main__":
    sys.exit(main())
