"""Fixtures of the simulated stations' tests."""

from __future__ import annotations

import pytest
import trio
from central_in_memory import HOUR_S, Central, Run, settled

from actors.simulated_station import SimulatedStation


@pytest.fixture
def central() -> Central:
    return Central()


@pytest.fixture
def run(nursery: trio.Nursery) -> Run:
    async def run(station: SimulatedStation) -> None:
        await nursery.start(station.run)
        with trio.fail_after(HOUR_S):
            await station.registered.wait()
        await settled()

    return run
