"""What the OCPP tests share: a directory, a door that records, two peers on memory streams, a served listener."""

from __future__ import annotations

import itertools
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

import trio
import trio.testing

from protocols.ocpp.client import StationEnd, open_central_system
from protocols.ocpp.limits import Limits
from protocols.ocpp.server import StationServer, serve_stations
from statecharts.credentials import hash_secret
from statecharts.meters import Meters
from statecharts.oddities import OddMessage
from statecharts.ports import StationConnection
from statecharts.promises import Promise
from statecharts.station_credentials import SecurityProfile, Shown, StationCredentials, TurnedAway
from statecharts.station_reports import (
    AuthorizeIdTag,
    BootAnswer,
    BootNotification,
    Heartbeat,
    HeartbeatAnswer,
    IdTagAnswer,
    RegistrationStatus,
    ReportAnswer,
    StartAnswer,
    StartTransaction,
    StationReport,
    StopTransaction,
)
from statecharts.station_vocabulary import IdTagInfo, IdTagStatus
from statecharts.vocabulary import Acknowledgement
from tests.support.promises import promised

NOW = datetime(2026, 5, 4, 3, 2, 1, 250_000, tzinfo=UTC)
PASSWORD = bytes.fromhex("00ff3a41") * 5
"""Twenty bytes that are neither UTF-8 nor free of colons."""

ACCEPTED = IdTagInfo(status=IdTagStatus.ACCEPTED)
ANSWERS: dict[type[Any], ReportAnswer] = {
    BootNotification: BootAnswer(status=RegistrationStatus.ACCEPTED, current_time=NOW, interval_s=300),
    Heartbeat: HeartbeatAnswer(current_time=NOW),
    AuthorizeIdTag: IdTagAnswer(id_tag_info=ACCEPTED),
    StartTransaction: StartAnswer(transaction_id=7, id_tag_info=ACCEPTED),
    StopTransaction: IdTagAnswer(id_tag_info=None),
}


class Directory:
    """One station, with a password unless it needs none, and the OCPP version it is to speak."""

    def __init__(self, identity: str = "CS01", password: bytes | None = PASSWORD, **more: Any) -> None:
        self.identity = identity
        profile = SecurityProfile.NONE if password is None else SecurityProfile.BASIC
        hashed = None if password is None else hash_secret(password, b"salt of CS01")
        self.opened_by = StationCredentials(**{"profile": profile, "password_hash": hashed, **more})
        self.version: str | None = None

    def credentials(self, identity: str) -> StationCredentials | None:
        return self.opened_by if identity == self.identity else None

    async def introduce(self, identity: str, shown: Shown) -> None:
        """Strangers stay strangers."""

    def ocpp_version(self, identity: str) -> str | None:
        return self.version


class Door:
    """Records what comes through, and answers with `ANSWERS` or as `behaviour` says. The newest connection wins."""

    def __init__(self, behaviour: Callable[[StationReport], Awaitable[ReportAnswer]] | None = None) -> None:
        self.behaviour = behaviour
        self.reports: list[StationReport] = []
        self.odd_messages: list[OddMessage] = []
        self.events: list[tuple[str, str]] = []
        self.turned: list[tuple[str, TurnedAway]] = []
        self.charging: set[str] = set()
        self.current: StationConnection | None = None
        self.online, self.offline = trio.Event(), trio.Event()

    def connected(self, identity: str, connection: StationConnection) -> Promise[None]:
        older, self.current = self.current, connection
        self.events.append(("connected", identity))
        self.online.set()
        if older:
            older.close(1000, "a newer connection took over")
        opened: Promise[None] = Promise()
        opened.set(None)
        return opened

    def reported(
        self, identity: str, connection: StationConnection, report: StationReport
    ) -> ReportAnswer | Promise[ReportAnswer]:
        self.reports.append(report)
        if self.behaviour:
            return promised(self.behaviour, report)
        return ANSWERS.get(type(report), Acknowledgement())

    def odd(self, identity: str, odd: OddMessage) -> Promise[None]:
        self.odd_messages.append(odd)
        noted: Promise[None] = Promise()
        noted.set(None)
        return noted

    def disconnected(self, identity: str, connection: StationConnection) -> None:
        self.events.append(("disconnected", identity))
        if self.current is connection:
            self.current = None
        self.offline.set()

    def is_charging(self, identity: str) -> bool:
        return identity in self.charging

    def turned_away(self, identity: str, event: TurnedAway) -> None:
        self.turned.append((identity, event))


class World:
    """A central system on a loopback port."""

    def __init__(
        self, server: StationServer, door: Door, directory: Directory, nursery: trio.Nursery, meters: Meters
    ) -> None:
        self.server, self.door, self.directory, self.nursery = server, door, directory, nursery
        self.meters = meters
        self._epochs = itertools.count(1)
        self._streams: list[trio.SocketStream] = []

    @property
    def port(self) -> int:
        return self.server.ports[0]

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ocpp"

    @asynccontextmanager
    async def station(
        self, identity: str = "CS01", password: bytes | None = PASSWORD, limits: Limits | None = None
    ) -> AsyncIterator[StationEnd]:
        epoch = f"station{next(self._epochs)}"
        async with open_central_system(self.url, identity, password, epoch=epoch, limits=limits) as end:
            yield end

    async def tcp(self) -> trio.SocketStream:
        """A bare connection, closed with the world."""
        self._streams.append(await trio.open_tcp_stream("127.0.0.1", self.port))
        return self._streams[-1]

    async def hang_up(self) -> None:
        for stream in self._streams:
            await stream.aclose()

    async def online(self) -> StationConnection:
        await self.door.online.wait()
        assert self.door.current is not None
        return self.door.current


class MemoryListener(trio.abc.Listener[trio.abc.Stream]):
    """A listener without a network: `connect` gives the client's end of a stream that is then accepted."""

    def __init__(self) -> None:
        self._arrived, self._accepted = trio.open_memory_channel[trio.abc.Stream](16)

    async def connect(self) -> trio.StapledStream[Any, Any]:
        ours, theirs = trio.testing.memory_stream_pair()
        await self._arrived.send(theirs)
        return ours

    async def accept(self) -> trio.abc.Stream:
        return await self._accepted.receive()

    async def aclose(self) -> None:
        self._accepted.close()


@asynccontextmanager
async def central_system(
    door: Door | None = None,
    directory: Directory | None = None,
    limits: Limits | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[World]:
    """A listener on loopback; with `tls` one that speaks it, and a plain one beside it."""
    door, directory = door or Door(), directory or Directory()
    epochs, meters = map("epoch{}".format, itertools.count(1)), Meters()
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
            plain = await trio.open_tcp_listeners(0, host="127.0.0.1") if tls else ()
            serve = partial(serve_stations, listeners, directory=directory, door=door, limits=limits, meters=meters)
            server = await nursery.start(partial(serve, epochs=lambda: next(epochs), tls=tls, plain=plain))
            world = World(server, door, directory, nursery, meters)
            try:
                yield world
            finally:
                await world.hang_up()
            await world.server.close_all()
