"""A station at a whole operator that says whatever its firmware makes it say, over WebSocket frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import trio

from protocols.ocpp.connection import LiveConnection
from protocols.ocpp.limits import Limits
from protocols.ocpp.server import DIALECTS
from statecharts.meters import Meters
from statecharts.station_credentials import Login
from tests.support.books import CARD
from tests.support.house import House
from tests.unit.ocpp.ocpp_wire import Wire, wires


class Firmware:
    """A station that says whatever it likes, frame by frame, and does nothing that it is asked for."""

    def __init__(self, house: House, wire: Wire) -> None:
        self.house, self.wire = house, wire
        self.calls = 0

    async def call(self, action: str, payload: Any) -> list[Any]:
        """The frame that answers a CALL."""
        self.calls += 1
        await self.wire.say(2, str(self.calls), action, payload)
        while True:
            frame = await self.wire.hear()
            assert frame is not None, "the connection has ended"
            if frame[0] != 2:
                assert frame[1] == str(self.calls)
                return list(frame)
            await self.wire.say(4, frame[1], "NotImplemented", "", {})

    async def say(self, action: str, **payload: Any) -> Any:
        """The payload of the answer to a report that is taken."""
        answer = await self.call(action, payload)
        assert answer[0] == 3, answer
        return answer[2]

    def at(self, **ago: float) -> str:
        return (self.house.clock.now() - timedelta(**ago)).isoformat()

    async def start(self, **other: Any) -> int:
        start = {"connectorId": 1, "idTag": CARD, "meterStart": 1000, "timestamp": self.at(), **other}
        number: int = (await self.say("StartTransaction", **start))["transactionId"]
        return number

    async def stop(self, number: Any, **other: Any) -> None:
        stop = {"transactionId": number, "meterStop": 3000, "timestamp": self.at(), **other}
        await self.say("StopTransaction", **stop)

    async def meter(self, number: int | None, *samples: Any, **other: Any) -> None:
        value = {"timestamp": self.at(), "sampledValue": list(samples)}
        of = {} if number is None else {"transactionId": number}
        await self.say("MeterValues", connectorId=1, meterValue=[value], **of, **other)

    async def charge(self, number: int) -> Any:
        return await self.house.data(f"local/{number}")

    async def orphans(self) -> list[Any]:
        asked = {"station": None, "kind": None, "state": "open", "cursor": None, "limit": 99}
        return list((await self.house.operator.orphans(**asked)).items)

    async def quirks(self) -> list[str]:
        asked = {"station": "CS01", "vendor": None, "model": None, "cursor": None, "limit": 99}
        return [each.what for each in (await self.house.operator.quirks(**asked)).items]


@asynccontextmanager
async def online(house: House, nursery: trio.Nursery, version: str = "ocpp1.6") -> AsyncIterator[Firmware]:
    ours, theirs = wires()
    ours.certificate = None  # type: ignore[attr-defined] -- it is no TLS
    end: Any = LiveConnection(
        "CS01",
        DIALECTS[version],
        ours,  # type: ignore[arg-type]
        login=Login(),
        door=house.stations,
        epoch="e",
        limits=Limits(),
        tolerated=Counter(),
        meters=Meters(),
    )
    nursery.start_soon(end.run, lambda: None)
    yield Firmware(house, theirs)
    theirs.close()
