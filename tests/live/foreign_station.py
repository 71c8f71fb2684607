"""A charging station that is not ours: the `ocpp` package's ChargePoint on asyncio websockets, in its own process.

Run as a script it takes one JSON object a line on stdin, `{"do": "plug_in", "connector": 1, ...}`, and writes what
happens to it on stdout, one JSON object a line: `{"event": "remote_start", "id_tag": ..., "connector": 1}`. Nothing in
it knows anything of the node beyond OCPP 1.6.

Like a real one it keeps its meters and its queue of transaction messages through every loss of the line, sends the
queue in order, each message until it is answered, and does not boot again because the line came back.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import itertools
import json
import logging
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ocpp.routing import after, on
from ocpp.v16 import ChargePoint, call, call_result
from ocpp.v16.enums import Action, AuthorizationStatus, RemoteStartStopStatus, ReservationStatus
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

RECONNECT_S = 0.1
RETRY_S = 0.2
CALL_TIMEOUT_S = 10
LEAVE_S = 2
ORDER_BYTES_MAX = 1_000_000

GONE = (ConnectionClosed, InvalidHandshake, OSError, TimeoutError)


def tell(event: str, **what: Any) -> None:
    print(json.dumps({"event": event, **what}), flush=True)


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass
class Charge:
    """A transaction as the station keeps it; `transaction_id` is -1 until the central system has given one."""

    id_tag: str
    connector: int
    meter_start: int
    started_at: str
    transaction_id: int = -1


@dataclass
class Line:
    """One connection to the central system, as the `ocpp` package speaks on it, and the errands that end with it."""

    point: ChargePoint
    socket: ClientConnection
    errands: set[asyncio.Task[Any]] = field(default_factory=set)


class Station:
    """The equipment, and what it does when it is told or asked."""

    subprotocol = "ocpp1.6"

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.meters = dict.fromkeys(range(1, arguments.connectors + 1), 10_000)
        self.charges: dict[int, Charge] = {}
        self.reserved: dict[int, int] = {}
        self.queue: deque[Callable[[ChargePoint], Awaitable[None]]] = deque()
        self.queued, self.idle = asyncio.Event(), asyncio.Event()
        self.idle.set()
        self.wanted = asyncio.Event()
        self.line: Line | None = None
        self.booted = False
        self.reconnects = True
        self.starts_by_itself = not arguments.manual
        self.answers_start = RemoteStartStopStatus.accepted
        self.hangs_up_at_key = False
        self.errands: set[asyncio.Task[None]] = set()

    # -- the line ------------------------------------------------------------------------------------------------------

    async def live(self) -> None:
        """Connects again and again, for as long as a line is wanted."""
        while True:
            await self.wanted.wait()
            try:
                await self.one_connection()
            except InvalidStatus as refusal:
                tell("refused", status=refusal.response.status_code)
            except GONE:
                tell("unreachable")
            except Exception as error:
                tell("failed", error=repr(error))
            if not self.reconnects:
                self.wanted.clear()
            await asyncio.sleep(RECONNECT_S)

    async def one_connection(self) -> None:
        user = f"{self.arguments.identity}:{self.arguments.password}".encode()
        headers = {"Authorization": f"Basic {base64.b64encode(user).decode()}"}
        url = f"{self.arguments.url}/{self.arguments.identity}"
        async with connect(url, subprotocols=[self.subprotocol], additional_headers=headers) as socket:
            point = self.point_on(socket)
            self.line = line = Line(point, socket)
            tell("connected")
            tasks = [asyncio.create_task(point.start()), asyncio.create_task(self.introduce_and_report(point))]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            self.line = None
            tasks += line.errands
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        tell("disconnected", code=socket.close_code, reason=socket.close_reason)

    def point_on(self, socket: ClientConnection) -> ChargePoint:
        return Point(self, socket)

    async def boot(self, point: ChargePoint) -> str:
        return str((await point.call(call.BootNotification("Foreign", "Asyncio 1"), suppress=False)).status)

    async def introduce_and_report(self, point: ChargePoint) -> None:
        if not self.booted:
            self.booted = await self.boot(point) == "Accepted"
        for connector in self.meters:  # whatever it was while there was no line (OCPP 1.6, 4.9)
            await self.show(connector, self.shown(connector))
        tell("online")
        await self.send_queue(point)

    async def send_queue(self, point: ChargePoint) -> None:
        """The messages in order, each until it has been answered."""
        while True:
            while self.queue:
                try:
                    await self.queue[0](point)
                except (ConnectionClosed, OSError):
                    return
                except Exception as error:
                    tell("retry", error=repr(error))
                    await asyncio.sleep(RETRY_S)
                else:
                    self.queue.popleft()
            self.idle.set()
            self.queued.clear()
            await self.queued.wait()

    def shown(self, connector: int) -> str:
        if connector in self.charges:
            return "Charging"
        return "Reserved" if connector in self.reserved.values() else "Available"

    async def show(self, connector: int, status: str) -> None:
        """A StatusNotification, if there is a line; nobody queues those."""
        if self.line is not None:
            said = self.status_of(connector, status)
            errand = asyncio.create_task(self.line.point.call(said))
            self.line.errands.add(errand)
            errand.add_done_callback(self.line.errands.discard)
            await asyncio.wait([errand])  # whatever comes of it: an answer, none in time, or the end of the line
            if not errand.cancelled():
                errand.exception()

    def status_of(self, connector: int, status: str) -> Any:
        return call.StatusNotification(connector, "NoError", status, timestamp=now())

    def owe(self, message: Callable[[ChargePoint], Awaitable[None]]) -> None:
        self.queue.append(message)
        self.idle.clear()
        self.queued.set()

    def in_background(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self.errands.add(task)
        task.add_done_callback(self.errands.discard)

    # -- what a driver and a tester do ---------------------------------------------------------------------------------

    async def connect(self) -> None:
        self.wanted.set()

    async def disconnect(self) -> None:
        """Pulls the network cable: the line is gone and stays away until `connect`."""
        self.wanted.clear()
        if self.line is not None:
            await self.line.socket.close()

    async def reboot(self) -> None:
        """Loses the line and introduces itself again; what is being charged goes on."""
        self.booted = False
        if self.line is not None:
            await self.line.socket.close()

    def change_key(self, key: str, value: str) -> str:
        """Its key for the next connection; with `hangs_up_at_key` its answer is lost with the line."""
        if key != "AuthorizationKey":
            return "NotSupported"
        self.arguments.password = value
        tell("new_key")
        if self.hangs_up_at_key and self.line is not None:
            self.line.socket.transport.abort()
        return "Accepted"

    def reserve(self, number: int, connector: int) -> None:
        self.reserved[number] = connector
        tell("reserved", number=number, connector=connector)
        self.in_background(self.show(connector, self.shown(connector)))

    async def set(self, **settings: Any) -> None:
        for name, value in settings.items():
            setattr(self, name, value)

    async def plug_in(self, id_tag: str, connector: int = 1) -> None:
        """A charge begins, with a line or without."""
        charge = Charge(id_tag, connector, self.meters[connector], now())
        self.charges[connector] = charge
        self.reserved = {number: kept for number, kept in self.reserved.items() if kept != connector}
        self.owe(lambda point: self.say_start(point, charge))
        await self.show(connector, "Charging")

    async def say_start(self, point: ChargePoint, charge: Charge) -> None:
        start = call.StartTransaction(charge.connector, charge.id_tag, charge.meter_start, charge.started_at)
        answer = await point.call(start, suppress=False)
        charge.transaction_id = answer.transaction_id
        status = answer.id_tag_info["status"]
        tell("started", connector=charge.connector, id_tag=charge.id_tag, transaction_id=answer.transaction_id,
             status=status, timestamp=charge.started_at)  # fmt: skip
        if status != AuthorizationStatus.accepted:
            await self.unplug(charge.connector, "DeAuthorized")

    async def charge(self, wh: int, connector: int = 1) -> None:
        """Energy flows, and is metered."""
        self.meters[connector] += wh
        charge, value, at = self.charges[connector], str(self.meters[connector]), now()
        sample = {"timestamp": at, "sampledValue": [{"value": value}]}

        async def say(point: ChargePoint) -> None:
            await point.call(call.MeterValues(connector, [sample], charge.transaction_id), suppress=False)
            tell("metered", connector=connector, wh=int(value))

        self.owe(say)

    async def unplug(self, connector: int = 1, reason: str = "Local") -> None:
        self.end(connector, reason)
        await self.show(connector, "Available")

    def end(self, connector: int, reason: str) -> None:
        charge, meter, at = self.charges.pop(connector), self.meters[connector], now()

        async def say(point: ChargePoint) -> None:
            stop = call.StopTransaction(meter, at, charge.transaction_id, reason, charge.id_tag)
            await point.call(stop, suppress=False)
            tell("stopped", connector=connector, id_tag=charge.id_tag, transaction_id=charge.transaction_id,
                 energy_wh=meter - charge.meter_start, reason=reason, started_at=charge.started_at, at=at)  # fmt: skip

        self.owe(say)

    async def leave(self) -> None:
        """Ends every charge, and waits a little until the central system has heard of it."""
        for connector in tuple(self.charges):
            await self.unplug(connector, "Other")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_S):
                await self.idle.wait()
        tell("left")

    async def raw(self, text: str) -> None:
        """Sends something that no station should."""
        assert self.line is not None
        await self.line.socket.send(text)

    # -- what the central system asks ----------------------------------------------------------------------------------

    def verdict_on_start(self, connector: int) -> str:
        """A connector that is in use takes no second charge."""
        return RemoteStartStopStatus.rejected if connector in self.charges else self.answers_start

    async def after_remote_start(self, id_tag: str, connector: int) -> None:
        if self.starts_by_itself and self.verdict_on_start(connector) == RemoteStartStopStatus.accepted:
            await self.plug_in(id_tag, connector)

    async def after_remote_stop(self, transaction_id: int) -> None:
        for charge in [c for c in self.charges.values() if c.transaction_id == transaction_id]:
            await self.unplug(charge.connector, "Remote")


class Point(ChargePoint):
    """The `ocpp` package's charge point; what it cannot know, the station says."""

    def __init__(self, station: Station, socket: ClientConnection) -> None:
        super().__init__(station.arguments.identity, socket, CALL_TIMEOUT_S)
        self.station = station
        numbers = itertools.count(1)
        # A station may number its messages from 1 on every connection (OCPP-J 1.6, 4.1.4 asks for no more).
        self._unique_id_generator = lambda: str(next(numbers))

    async def route_message(self, raw_msg: str) -> None:
        tell("frame", text=raw_msg)
        await super().route_message(raw_msg)

    @on(Action.remote_start_transaction)
    def on_remote_start(self, id_tag: str, connector_id: int = 1, **_: Any) -> Any:
        verdict = self.station.verdict_on_start(connector_id)
        tell("remote_start", id_tag=id_tag, connector=connector_id, verdict=verdict)
        return call_result.RemoteStartTransaction(verdict)

    @after(Action.remote_start_transaction)
    def started(self, id_tag: str, connector_id: int = 1, **_: Any) -> None:
        # In a task of its own: this reader must stay free to take the answers to what the start says.
        self.station.in_background(self.station.after_remote_start(id_tag, connector_id))

    @on(Action.reserve_now)
    def on_reserve_now(self, reservation_id: int, connector_id: int, **_: Any) -> Any:
        self.station.reserve(reservation_id, connector_id)
        return call_result.ReserveNow(ReservationStatus.accepted)

    @on(Action.change_configuration)
    def on_change_configuration(self, key: str, value: str) -> Any:
        return call_result.ChangeConfiguration(self.station.change_key(key, value))

    @on(Action.remote_stop_transaction)
    def on_remote_stop(self, transaction_id: int) -> Any:
        known = any(charge.transaction_id == transaction_id for charge in self.station.charges.values())
        tell("remote_stop", transaction_id=transaction_id, known=known)
        verdict = RemoteStartStopStatus.accepted if known else RemoteStartStopStatus.rejected
        return call_result.RemoteStopTransaction(verdict)

    @after(Action.remote_stop_transaction)
    def stopped(self, transaction_id: int) -> None:
        self.station.in_background(self.station.after_remote_stop(transaction_id))


async def obey(station: Station) -> None:
    """Does what stdin says, until it ends."""
    lines = asyncio.StreamReader(ORDER_BYTES_MAX)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        order = json.loads(line)
        await getattr(station, order.pop("do"))(**order)


async def main(station: Station) -> None:
    living = asyncio.create_task(station.live())
    await obey(station)
    living.cancel()


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--identity", required=True)
    parser.add_argument("--password", required=True)
    parser.add_argument("--connectors", type=int, default=1)
    parser.add_argument("--subprotocol", default="ocpp1.6", help="of those that the script speaks")
    parser.add_argument("--manual", action="store_true", help="a RemoteStart is accepted, and nobody plugs in")
    return parser.parse_args()


if __name__ == "__main__":
    logging.getLogger("ocpp").setLevel(logging.CRITICAL)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(Station(parsed())))
