"""The load that stations make: many of them in one thread, each a generator that waits for its socket and goes on.

Sockets, epoll and a WebSocket codec of a few lines: so lean that a server is always what is measured. Every answer is
looked at: a CALLERROR, another message id or a closed connection ends the measurement with an error.
"""

from __future__ import annotations

import base64
import errno
import json
import os
import select
import socket
import ssl
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from websockets.speedups import apply_mask

READ, WRITE = select.EPOLLIN, select.EPOLLOUT
Work = Generator[int, None, None]
"""What one station does: yields the events of epoll that it waits for."""

_EPOCH = datetime(2026, 5, 4, tzinfo=UTC)
_TEXT, _CLOSE, _PING, _PONG = 1, 8, 9, 10


class LoadError(Exception):
    """The server did not do what the load needs: the measurement is void."""


@dataclass(slots=True)
class Station:
    """One station's end: its connection, and the numbers its messages carry; `back_s` is how long it took to come."""

    identity: str
    password: str
    tls: ssl.SSLContext | None = None
    subprotocol: str = "ocpp1.6"
    sock: Any = None
    calls: int = 0
    transaction_id: int = 0
    meter_wh: int = 1000
    back_s: float = 0.0
    buffer: bytearray = field(default_factory=bytearray)

    # -- opening -------------------------------------------------------------------------------------------------------

    def connect(self, port: int) -> Work:
        """TCP, TLS where there is any, the upgrade, and a BootNotification that is accepted."""
        begun = time.perf_counter()
        yield from self._dial(port)
        yield from self._upgrade(port)
        answer = yield from self.call("BootNotification", _BOOTS[self.subprotocol])
        if answer["status"] != "Accepted":
            raise LoadError(f"{self.identity}: boot answered {answer}")
        self.back_s = time.perf_counter() - begun

    def _dial(self, port: int) -> Work:
        self.sock = socket.socket()
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.sock.connect_ex(("127.0.0.1", port)) == errno.EINPROGRESS:
            yield WRITE
        if self.tls is None:
            return
        self.sock = self.tls.wrap_socket(self.sock, server_hostname="localhost", do_handshake_on_connect=False)
        while True:
            try:
                return self.sock.do_handshake()
            except ssl.SSLWantReadError:
                yield READ
            except ssl.SSLWantWriteError:
                yield WRITE

    def _upgrade(self, port: int) -> Work:
        key, credentials = _base64(os.urandom(16)), _base64(f"{self.identity}:{self.password}".encode())
        request = (
            f"GET /ocpp/{self.identity} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Protocol: {self.subprotocol}\r\nAuthorization: Basic {credentials}\r\n\r\n"
        )
        self.sock.send(request.encode())
        while (end := self.buffer.find(b"\r\n\r\n")) < 0:
            yield from self._receive()
        head = bytes(self.buffer[:end])
        del self.buffer[: end + 4]
        if not head.startswith(b"HTTP/1.1 101 "):
            raise LoadError(f"{self.identity}: {head[:60]!r}")

    # -- messages ------------------------------------------------------------------------------------------------------

    def call(self, action: str, payload: bytes) -> Generator[int, None, Any]:
        """The payload of the answer to this call."""
        self.calls += 1
        message_id = f"{self.identity}-{self.calls}"
        self.send(_TEXT, b'[2,"%b","%b",%b]' % (message_id.encode(), action.encode(), payload))
        frame = msgspec.json.decode((yield from self._message()))
        if frame[:2] != [3, message_id]:
            raise LoadError(f"{self.identity}: {action} {message_id} was answered {frame}")
        return frame[2]

    def send(self, opcode: int, data: bytes) -> None:
        mask = b"\x37\xfa\x21\x3d"
        size = len(data)
        head = bytes((0x80 | opcode, 0x80 | size)) if size < 126 else bytes((0x80 | opcode, 0xFE)) + size.to_bytes(2)
        frame = head + mask + apply_mask(data, mask)
        if self.sock.send(frame) != len(frame):
            raise LoadError(f"{self.identity}: the server does not read")

    def _message(self) -> Generator[int, None, bytes]:
        """The next text; pings are answered on the way."""
        while True:
            while (frame := self._frame()) is None:
                yield from self._receive()
            opcode, data = frame
            if opcode == _TEXT:
                return data
            self._control(opcode, data)

    def take_pings(self) -> Work:
        """Nothing but answering pings, for ever."""
        yield READ
        while True:
            yield from self._receive()
            while (frame := self._frame()) is not None:
                self._control(*frame)

    def _control(self, opcode: int, data: bytes) -> None:
        if opcode == _PING:
            self.send(_PONG, data)
        elif opcode != _PONG:
            raise LoadError(f"{self.identity}: unexpected frame {opcode} {data!r}")

    def _frame(self) -> tuple[int, bytes] | None:
        """A whole frame of a server, which is never masked nor, from ours and from `websockets`, fragmented."""
        buffer = self.buffer
        if len(buffer) < 2:
            return None
        size, start = buffer[1], 2
        if size == 126:
            size, start = int.from_bytes(buffer[2:4]), 4
        if len(buffer) < start + size:
            return None
        opcode, data = buffer[0] & 15, bytes(buffer[start : start + size])
        del buffer[: start + size]
        return opcode, data

    def _receive(self) -> Work:
        while True:
            try:
                data = self.sock.recv(65_536)
            except (BlockingIOError, ssl.SSLWantReadError):
                yield READ
                continue
            if not data:
                raise LoadError(f"{self.identity}: the server closed the connection")
            self.buffer += data
            return


def heartbeat(station: Station) -> Generator[int, None, Any]:
    answer = yield from station.call("Heartbeat", b"{}")
    if "currentTime" not in answer:
        raise LoadError(f"{station.identity}: Heartbeat was answered {answer}")


def start_transaction(station: Station) -> Generator[int, None, Any]:
    """A charge with a card of the operator's own, at connector 1."""
    started = {"connectorId": 1, "idTag": ID_TAG, "meterStart": station.meter_wh, "timestamp": _time(0)}
    answer = yield from station.call("StartTransaction", json.dumps(started).encode())
    if answer["idTagInfo"]["status"] != "Accepted":
        raise LoadError(f"{station.identity}: StartTransaction was answered {answer}")
    station.transaction_id = answer["transactionId"]


def meter_values(station: Station) -> Generator[int, None, Any]:
    """Twelve sampled values of the running charge, 2 kB, never the same twice."""
    station.meter_wh += 7
    sampled = _SAMPLED % station.meter_wh
    payload = b'{"connectorId":1,"transactionId":%d,"meterValue":[{"timestamp":"%b","sampledValue":%b}]}' % (
        station.transaction_id,
        _time(station.meter_wh).encode(),
        sampled,
    )
    answer = yield from station.call("MeterValues", payload)
    if answer != {}:
        raise LoadError(f"{station.identity}: MeterValues was answered {answer}")


def begin_transaction(station: Station) -> Generator[int, None, Any]:
    """The same charge in OCPP 2.0.1: the first event of its transaction."""
    answer = yield from station.call("TransactionEvent", _event(station, "Started", _TOKEN, _SAMPLED_2[-1]))
    if answer["idTokenInfo"]["status"] != "Accepted":
        raise LoadError(f"{station.identity}: TransactionEvent was answered {answer}")


def transaction_event(station: Station) -> Generator[int, None, Any]:
    """Eleven sampled values of the running charge as OCPP 2.0.1 tells them, 1.7 kB, never the same twice."""
    answer = yield from station.call("TransactionEvent", _event(station, "Updated", b"", *_SAMPLED_2))
    if answer != {}:
        raise LoadError(f"{station.identity}: TransactionEvent was answered {answer}")


def _event(station: Station, kind: str, token: bytes, *sampled: bytes) -> bytes:
    """An event of the station's only transaction; `transaction_id` counts its events."""
    station.meter_wh += 7
    station.transaction_id += 1
    at, values = _time(station.meter_wh).encode(), b",".join(sampled) % station.meter_wh
    return (
        b'{"eventType":"%b","timestamp":"%b","triggerReason":"MeterValuePeriodic","seqNo":%d,%b'
        b'"transactionInfo":{"transactionId":"5a1c8e7e-bench-%b","chargingState":"Charging"},'
        b'"evse":{"id":1,"connectorId":1},"meterValue":[{"timestamp":"%b","sampledValue":[%b]}]}'
    ) % (kind.encode(), at, station.transaction_id, token, station.identity.encode(), at, values)


ID_TAG = "04A1B2C3D4"
"""The card of the user whom every operator of `tests.live.operators` knows."""

_PHASES = [("Voltage", "V", "230.4"), ("Current.Import", "A", "15.98"), ("Power.Active.Import", "W", "3681.8")]
_VALUES = [
    {"value": "%d", "context": "Sample.Periodic", "format": "Raw", "measurand": "Energy.Active.Import.Register",
     "location": "Outlet", "unit": "Wh"},
    *({"value": value, "context": "Sample.Periodic", "format": "Raw", "measurand": measurand, "phase": phase,
       "location": "Outlet", "unit": unit} for measurand, unit, value in _PHASES for phase in ("L1", "L2", "L3")),
    {"value": "11045.4", "context": "Sample.Periodic", "format": "Raw", "measurand": "Power.Active.Import",
     "location": "Outlet", "unit": "W"},
    {"value": "32", "context": "Sample.Periodic", "format": "Raw", "measurand": "Current.Offered",
     "location": "Outlet", "unit": "A"},
]  # fmt: skip
_SAMPLED = json.dumps(_VALUES).encode()

_TOKEN = b'"idToken":{"idToken":"%b","type":"ISO14443"},' % ID_TAG.encode()
_SAMPLED_2 = tuple(
    json.dumps(
        {
            "value": 0 if value["value"] == "%d" else float(value["value"]),
            **{name: said for name, said in value.items() if name not in ("value", "format", "unit")},
            "unitOfMeasure": {"unit": value["unit"]},
        },
        separators=(",", ":"),
    )
    .replace('"value":0,', '"value":%d,')
    .encode()
    for value in (*_VALUES[1:-1], _VALUES[0])
)
"""The same values as OCPP 2.0.1 writes them, the register last."""

_BOOTS = {
    "ocpp1.6": b'{"chargePointVendor":"Bench","chargePointModel":"One"}',
    "ocpp2.0.1": b'{"chargingStation":{"vendorName":"Bench","model":"One"},"reason":"PowerUp"}',
}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _time(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Round:
    """So many messages in so many seconds; `latencies_s` has one for each."""

    count: int
    seconds: float
    latencies_s: list[float]


class Fleet:
    """Stations that work at the same time."""

    def __init__(self, port: int, stations: Iterable[Station]) -> None:
        self.port, self.stations = port, list(stations)

    def connect(self, at_once: int | None = None) -> Round:
        """Brings all stations online and through their boot, `at_once` at a time (None: all together)."""
        work = [self._timed(lambda s=station: s.connect(self.port)) for station in self.stations]
        return self._measured(work, at_once)

    def of(self, stations: Iterable[Station]) -> Fleet:
        """Some of them."""
        return Fleet(self.port, stations)

    def drop(self) -> None:
        """All of them lose their connections, without a word."""
        self.close()
        for station in self.stations:
            station.buffer.clear()

    def each(self, does: Callable[[Station], Generator[int, None, Any]]) -> Round:
        """Every station does this once."""
        return self._measured([self._timed(lambda s=station: does(s)) for station in self.stations])

    def load(self, does: Callable[[Station], Generator[int, None, Any]], seconds: float) -> Round:
        """Every station does this again and again, the next time as soon as it was answered."""
        until = time.perf_counter() + seconds

        def again(station: Station) -> Callable[[list[float]], Work]:
            def work(latencies_s: list[float]) -> Work:
                while (begun := time.perf_counter()) < until:
                    yield from does(station)
                    latencies_s.append(time.perf_counter() - begun)

            return work

        return self._measured([again(station) for station in self.stations])

    def rest(self, seconds: float) -> None:
        """Only answers pings."""
        until = time.perf_counter() + seconds
        _Run((station, station.take_pings()) for station in self.stations)(len(self.stations), until)

    def close(self) -> None:
        for station in self.stations:
            if station.sock is not None:
                station.sock.close()

    def _timed(self, does: Callable[[], Work]) -> Callable[[list[float]], Work]:
        def work(latencies_s: list[float]) -> Work:
            begun = time.perf_counter()
            yield from does()
            latencies_s.append(time.perf_counter() - begun)

        return work

    def _measured(self, work: list[Callable[[list[float]], Work]], at_once: int | None = None) -> Round:
        latencies_s: list[float] = []
        begun = time.perf_counter()
        tasks = [(station, each(latencies_s)) for station, each in zip(self.stations, work, strict=True)]
        _Run(tasks)(at_once or len(tasks))
        return Round(len(latencies_s), time.perf_counter() - begun, latencies_s)


class _Run:
    """Tasks of stations, `at_once` at a time, to their end or until the time has come."""

    def __init__(self, tasks: Iterable[tuple[Station, Work]]) -> None:
        self._waiting = iter(tasks)
        self._running: dict[int, tuple[Station, Work]] = {}
        self._poll = select.epoll()

    def __call__(self, at_once: int, until: float = float("inf")) -> None:
        with self._poll:
            for _ in range(at_once):
                self._start_next()
            while self._running and time.perf_counter() < until:
                for number, _ in self._poll.poll(0.5):
                    self._go_on(number)

    def _start_next(self) -> None:
        for station, work in self._waiting:
            wanted = next(work, None)
            if wanted is not None:
                self._running[station.sock.fileno()] = station, work
                self._poll.register(station.sock, wanted)
                return

    def _go_on(self, number: int) -> None:
        wanted = next(self._running[number][1], None)
        if wanted is None:
            del self._running[number]
            self._poll.unregister(number)
            self._start_next()
        else:
            self._poll.modify(number, wanted)
