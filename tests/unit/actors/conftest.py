"""Operators and stations on virtual time, running for one test; the test itself must name `autojump_clock`."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio

from tests.support.house import StationLine, open_house
from tests.support.roaming import Roaming, two_operators


@pytest.fixture
async def roaming(autojump_clock: object, nursery: trio.Nursery) -> AsyncIterator[Roaming]:
    """Two linked operators and a station."""
    async with two_operators(nursery) as found:
        yield found


@pytest.fixture
async def line(autojump_clock: object, nursery: trio.Nursery) -> AsyncIterator[StationLine]:
    """Station CS01 of an operator without partners: online, booted, both connectors free."""
    async with open_house("IE-001", nursery) as house:
        station = StationLine(house, "CS01")
        await station.come_online()
        yield station
