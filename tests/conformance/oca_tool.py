"""The test tool's end of a WebSocket to a whole operator: it says what a case wants said, and answers as it wants."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import trio

from protocols.ocpp.v16 import V16
from protocols.ocpp.v201 import V201
from statecharts.station_commands import CallOutcome, StationCommand
from tests.conformance.oca_scene import CARD, CS, USERS
from tests.support.house import House, open_house, place
from tests.unit.ocpp.ocpp_firmware import online
from tests.unit.ocpp.ocpp_wire import Wire

ACCEPTED = {"status": "Accepted"}
EVERY_COMMAND = (*V201.commands.actions, *V16.commands.actions)
BOOT = {"chargingStation": {"vendorName": "OCTT", "model": "Virtual"}, "reason": "PowerUp"}
BOOT_16 = {"chargePointVendor": "OCTT", "chargePointModel": "Virtual"}
TOKEN = {"idToken": CARD, "type": "ISO14443"}


class Tool:
    """A charging station of the test tool. `asked` is what the central system has asked, `answers` what it is told.

    `errors` has the codes of the actions that it answers with a CALLERROR.
    """

    def __init__(self, house: House, wire: Wire) -> None:
        self.house, self._wire = house, wire
        self.asked: list[tuple[str, Any]] = []
        self.answers: dict[str, Any] = {}
        self.errors: dict[str, str] = {}
        self._replies: dict[str, Any] = {}
        self._news = trio.Event()
        self._seq_no = -1

    async def run(self) -> None:
        while (frame := await self._wire.hear()) is not None:
            if frame[0] == 2:
                self.asked.append((frame[2], frame[3]))
                await self._answer(frame[1], frame[2])
            else:
                self._replies[frame[1]] = frame
                self._news.set()

    async def _answer(self, name: str, action: str) -> None:
        if action in self.errors:
            await self._wire.say(4, name, self.errors[action], "", {})
        else:
            await self._wire.say(3, name, self.answers.get(action, ACCEPTED))

    async def call(self, action: str, payload: Any) -> list[Any]:
        """The frame that answers a call."""
        name = f"octt-{len(self._wire.sent)}"
        await self._wire.say(2, name, action, payload)
        while name not in self._replies:
            self._news = trio.Event()
            await self._news.wait()
        frame: list[Any] = self._replies.pop(name)
        return frame

    async def say(self, action: str, **payload: Any) -> Any:
        """The payload of the answer, which must not be an error."""
        frame = await self.call(action, payload)
        assert frame[0] == 3, frame
        return frame[2]

    async def event(self, kind: str, wh: Any = None, **other: Any) -> Any:
        """What the next event of the only transaction is answered."""
        self._seq_no += 1
        sampled = wh if isinstance(wh, list) else [{"value": wh}]
        reading = {} if wh is None else {"meterValue": [{"timestamp": self.now(), "sampledValue": sampled}]}
        info = {"transactionId": "octt-1", **other.pop("transactionInfo", {})}
        said = {"eventType": kind, "timestamp": self.now(), "triggerReason": "Authorized", "seqNo": self._seq_no}
        where = {"evse": {"id": 1, "connectorId": 1}} if kind == "Started" else {}
        return await self.say("TransactionEvent", **{**said, **where, **reading, "transactionInfo": info, **other})

    async def ask(self, command: StationCommand) -> CallOutcome:
        """What becomes of a command of the operator."""
        return await self.house.command(CS, command)

    async def sent(self, command: StationCommand, **answer: Any) -> tuple[str, Any, CallOutcome]:
        """The request that a command becomes, and what the operator hears when each is answered so."""
        before = len(self.asked)
        self.answers = dict.fromkeys(EVERY_COMMAND, answer) if answer else {}
        outcome = await self.ask(command)
        return (*self.asked[before], outcome)

    async def shows(self, status: str, evse: int = 1) -> None:
        at = {"timestamp": self.now(), "connectorStatus": status, "evseId": evse, "connectorId": 1}
        await self.say("StatusNotification", **at)

    async def shown(self, evse: int = 1) -> str:
        [view] = (await self.house.operator.stations(cursor=None, limit=9)).items
        return str(view.connectors[str(evse)])

    async def charges(self) -> list[Any]:
        """The transactions of the station's charges, oldest first."""
        book = (await self.house.data(f"station/{CS}")).data.charges.values()
        return [await self.house.data(charge.transaction) for charge in book]

    async def charge(self) -> Any:
        (only,) = await self.charges()
        return only

    async def log(self, kind: str) -> list[dict[str, Any]]:
        page = await self.house.operator.station_log(CS, kind=kind, cursor=None, limit=99)
        return [entry.report for entry in reversed(page.items)]

    def now(self) -> str:
        return self.house.clock.now().isoformat()

    def soon(self, seconds: float) -> datetime:
        return self.house.clock.now() + timedelta(seconds=seconds)


@asynccontextmanager
async def tool(nursery: trio.Nursery, version: str = "ocpp2.0.1") -> AsyncIterator[Tool]:
    """A station of the test tool that has booted, with two free EVSEs."""
    booted = BOOT_16 if version == "ocpp1.6" else BOOT
    async with (
        open_house("IE-001", nursery, places=(place(),), users=USERS) as house,
        online(house, nursery, version) as firmware,
    ):
        station = Tool(house, firmware.wire)
        nursery.start_soon(station.run)
        await station.say("BootNotification", **booted)
        for evse in (1, 2) if booted is BOOT else ():
            await station.shows("Available", evse)
        yield station
