"""The order in which what listens is drained."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from protocols import serving
from protocols.cli.config import load_config
from protocols.cli.listeners import ServerTls
from protocols.serving import Directories, Doors, Front, Servers
from statecharts.meters import Meters
from tests.support.house import CountingIds, VirtualClock
from tests.support.sizes import ROOT
from tests.unit.rest.fakes import FakeAnswers, FakeInsight, FakeOperators, FakeTokens


class FakeWorld:
    """Where times and names come from that nobody asks for here."""

    clock, ids = VirtualClock(), CountingIds()
    fresh_bytes = staticmethod(bytes)


class Stations:
    """A listener of stations that writes down what it is told."""

    ports, plain_ports = (1,), ()

    def __init__(self, told: list[str]) -> None:
        self.told = told

    def stop_accepting(self) -> None:
        self.told.append("no more stations")

    async def close_all(self) -> None:
        self.told.append("stations closed")


def _servers(draining: trio.Event, front: Front) -> Servers:
    nobody: Any = None
    door: Any = object()
    environ = {"ROAMNODE_HTTP__PORT": "0", "ROAMNODE_OCPP__PORT": "0"}
    return Servers(
        load_config(ROOT / "examples" / "destination.toml", environ),
        Doors(FakeOperators(), None, FakeAnswers(), FakeInsight(draining), None, None, door),
        Directories(FakeTokens(), nobody, nobody, nobody),
        draining=draining,
        version="1",
        world=FakeWorld(),
        meters=Meters(),
        tls=ServerTls(),
        front=front,
    )


async def test_stations_are_closed_once_requests_in_flight_have_their_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    draining, in_flight = trio.Event(), trio.Event()

    async def serve_http(app: Any, listeners: list[trio.SocketListener], **more: Any) -> None:
        for listener in listeners:
            await listener.aclose()
        more["task_status"].started(["http://x"])
        await in_flight.wait()
        told.append("requests answered")

    async def serve_stations(listeners: list[trio.SocketListener], **more: Any) -> None:
        for listener in listeners:
            await listener.aclose()
        more["task_status"].started(Stations(told))

    monkeypatch.setattr(serving, "serve_stations", serve_stations)
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            await _servers(draining, Front(serve_http=serve_http)).start(nursery)
            draining.set()
            while not told:
                await trio.lowlevel.checkpoint()
            await trio.testing.wait_all_tasks_blocked()
            assert told == ["no more stations"]
            in_flight.set()
    assert told == ["no more stations", "requests answered", "stations closed"]
