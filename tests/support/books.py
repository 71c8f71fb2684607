"""What tests look up in a station's book and among its transactions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import trio

from actors.records import Orphan
from actors.station import StationActor
from statecharts.station import StationCharge
from tests.support.house import House, StationLine

CARD, STRANGER = "CARD0001", "NOBODY"
"""An idTag of a user of ours, and one that nobody knows."""


def actor(line: StationLine) -> StationActor:
    found = line.house.context.system.actor(f"station/{line.identity}")
    assert isinstance(found, StationActor)
    return found


async def book(line: StationLine) -> dict[int, StationCharge]:
    """All charges in the station's book, by their numbers."""
    charges: dict[int, StationCharge] = (await line.house.data(f"station/{line.identity}")).data.charges
    return charges


async def going_on(line: StationLine) -> list[int]:
    """The numbers of the charges that are open in the book."""
    return [charge.number for charge in (await book(line)).values() if charge.open]


async def free(line: StationLine) -> tuple[int, ...]:
    """The connectors where a charge may start."""
    found: tuple[int, ...] = (await line.house.data(f"station/{line.identity}")).free
    return found


async def local(line: StationLine, number: int) -> Any:
    """The local transaction that this number was opened for."""
    return await line.house.data(f"local/{number}")


async def orphans(line: StationLine) -> tuple[Orphan, ...]:
    return (await line.house.context.orphans.page(limit=99)).items


async def locals_of(house: House) -> list[Any]:
    """The views of all local transactions, oldest first."""
    page = await house.operator.transactions(role="local", state=None, cursor=None, limit=99)
    return list(reversed(page.items))


async def restarted(line: StationLine, nursery: trio.Nursery, *, boot: bool = False) -> StationLine:
    """The station's next connection, after its node was killed and started again."""
    await line.house.restart(nursery)
    again = StationLine(line.house, line.identity)
    await again.come_online(boot=boot)
    return again


def ago(line: StationLine, **time: float) -> Any:
    """That long before now, as timedelta counts."""
    return line.house.clock.now() - timedelta(**time)
