"""What every `StationConnection` keeps to: a WebSocket, on loopback or in a world, and the line held in hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio
import trio.testing

from protocols.cli.config_stations import Ocpp
from protocols.ocpp.client import StationEnd, open_central_system
from protocols.ocpp.server import StationServer, serve_stations
from statecharts.oddities import OddMessage
from statecharts.ports import StationConnection
from statecharts.promises import Promise
from statecharts.station_commands import (
    CallVerdict,
    ClearCache,
    RemoteStartTransaction,
    RemoteStopTransaction,
    StationCommand,
)
from statecharts.station_credentials import SecurityProfile, Shown, StationCredentials, TurnedAway
from tests.support.house import StationLine, open_house
from tests.world.faults import Faults
from tests.world.ground import Ground, Life
from tests.world.lines import Line
from tests.world.network import Network

COMMANDS = (RemoteStartTransaction(id_tag="0A1B2C3D4E5F", connector_id=1), RemoteStopTransaction(transaction_id=7))


class Central:
    """Directory and door of a central system with one station."""

    def __init__(self) -> None:
        self.connections: list[StationConnection] = []
        self.online = trio.Event()

    def credentials(self, identity: str) -> StationCredentials | None:
        return StationCredentials(profile=SecurityProfile.NONE) if identity == "CS01" else None

    async def introduce(self, identity: str, shown: Shown) -> None:
        """Strangers stay strangers."""

    def ocpp_version(self, identity: str) -> str | None:
        return None

    def connected(self, identity: str, connection: StationConnection) -> Promise[None]:
        self.connections.append(connection)
        self.online.set()
        opened: Promise[None] = Promise()
        opened.set(None)
        return opened

    def reported(self, identity: str, connection: StationConnection, report: Any) -> Any:
        raise AssertionError(f"the station was to report nothing, and said {report}")

    def odd(self, identity: str, odd: OddMessage) -> Promise[None]:
        noted: Promise[None] = Promise()
        noted.set(None)
        return noted

    def disconnected(self, identity: str, connection: StationConnection) -> None:
        """Nothing to take back."""

    def is_charging(self, identity: str) -> bool:
        return False

    def turned_away(self, identity: str, event: TurnedAway) -> None:
        raise AssertionError(f"nobody is turned away here: {event}")


Answers = list[str]
Heard = list[StationCommand]
Open = Callable[[Answers, Heard], AbstractAsyncContextManager[StationConnection]]


@asynccontextmanager
async def websocket(answers: Answers, heard: Heard) -> AsyncIterator[StationConnection]:
    central = Central()

    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
            serve = partial(serve_stations, listeners, directory=central, door=central, epochs=lambda: "c")
            server: StationServer = await nursery.start(serve)
            url = f"ws://127.0.0.1:{server.ports[0]}/ocpp"
            nursery.start_soon(station, open_central_system(url, "CS01", None, epoch="s"), answers, heard)
            await central.online.wait()
            yield central.connections[0]
            await server.close_all()


async def station(connected: AbstractAsyncContextManager[StationEnd], answers: Answers, heard: Heard) -> None:
    """The other end: answers each command with the next of its answers."""
    async with connected as end:
        while True:
            try:
                incoming = await end.next_command()
            except OSError:
                return
            heard.append(incoming.command)
            await incoming.answer(answers.pop(0))


@asynccontextmanager
async def in_a_world(answers: Answers, heard: Heard) -> AsyncIterator[StationConnection]:
    central = Central()
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            ground = Ground(0, nursery, Faults())
            network = Network(ground, ("NL-MOT",))
            listeners = await network.front(Life(ground, "NL-MOT", 1)).listen("ocpp", Ocpp(host="NL-MOT"), 9000)
            serve = partial(serve_stations, listeners, directory=central, door=central, epochs=lambda: "c")
            server: StationServer = await nursery.start(serve)
            line = Line(ground, network, "CS01", "ws://NL-MOT:9000/ocpp", "sixteen bytes and more")
            nursery.start_soon(station, line.connect(), answers, heard)
            await central.online.wait()
            yield central.connections[0]
            await server.close_all()


@asynccontextmanager
async def by_hand(answers: Answers, heard: Heard) -> AsyncIterator[StationConnection]:
    async with trio.open_nursery() as nursery:
        async with open_house("IE-001", nursery) as house:
            line = StationLine(house, "CS01")
            line.commands = heard
            line.verdicts = [CallVerdict[answer.upper()] for answer in answers]
            yield line
        nursery.cancel_scope.cancel()


every_connection = pytest.mark.parametrize("opened", [websocket, in_a_world, by_hand])


@every_connection
async def test_it_says_what_it_speaks(opened: Open) -> None:
    async with opened([], []) as connection:
        assert connection.protocol == "ocpp1.6"


@every_connection
@pytest.mark.parametrize("answer", ["Accepted", "Rejected"])
async def test_a_command_ends_as_the_station_answers_it(opened: Open, answer: str) -> None:
    heard: Heard = []
    async with opened([answer], heard) as connection:
        outcome = await connection.call(COMMANDS[0])
    assert outcome.verdict is CallVerdict[answer.upper()]
    assert heard == [COMMANDS[0]]


@every_connection
async def test_later_callers_wait_in_order(opened: Open) -> None:
    heard: Heard = []
    async with opened(["Accepted", "Rejected"], heard) as connection, trio.open_nursery() as nursery:
        for command in COMMANDS:
            nursery.start_soon(connection.call, command)
            await trio.testing.wait_all_tasks_blocked(0.001)
    assert heard == list(COMMANDS)


@every_connection
async def test_a_command_after_the_end_was_never_sent(opened: Open) -> None:
    heard: Heard = []
    async with opened([], heard) as connection:
        connection.close(1000, "a newer connection took over")
        outcome = await connection.call(ClearCache())
    assert outcome.verdict is CallVerdict.NEVER_SENT
    assert heard == []
