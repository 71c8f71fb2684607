"""A central system in memory for simulated stations: records what it hears, answers from a table, and can misbehave."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import trio
import trio.testing

from actors.simulated_station import SimulatedStation
from statecharts.ports import CentralSystem, IncomingCommand
from statecharts.station_commands import RemoteStartTransaction, StationCommand
from statecharts.station_reports import (
    AuthorizeIdTag,
    BootAnswer,
    BootNotification,
    Heartbeat,
    HeartbeatAnswer,
    IdTagAnswer,
    RegistrationStatus,
    ReportAnswer,
    SignCertificate,
    StartAnswer,
    StartTransaction,
    StationReport,
    StatusAnswer,
    StatusNotification,
    TransactionEvent,
)
from statecharts.station_vocabulary import IdTagInfo, IdTagStatus
from statecharts.vocabulary import Acknowledgement

EPOCH = datetime(2026, 3, 1, 8, tzinfo=UTC)
CALL_TIMEOUT_S = 30
ID_TAG = "0A1B2C3D4E5F"
HOUR_S = 3600
R = TypeVar("R")
Run = Callable[[SimulatedStation], Awaitable[None]]


class VirtualClock:
    """Wall time that follows trio's clock."""

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=trio.current_time())


class CallError(TimeoutError):
    """What the client raises for a CALLERROR: as good as no answer."""


class Asked:
    """A command on its way to the station."""

    def __init__(self, command: StationCommand, answers: list[str]) -> None:
        self._command, self._answers = command, answers
        self.answered = trio.Event()
        self.status = ""
        self.data: dict[str, Any] = {}

    @property
    def command(self) -> StationCommand:
        return self._command

    async def answer(self, status: str, data: dict[str, Any] | None = None) -> None:
        await trio.lowlevel.checkpoint()
        self.status, self.data = status, data or {}
        self._answers.append(status)
        self.answered.set()

    async def refuse(self) -> None:
        await self.answer("NotSupported")


class Wire:
    """One connection: the station's end of it."""

    def __init__(self, central: Central) -> None:
        self._central = central
        self._to_station, self._commands = trio.open_memory_channel[IncomingCommand](10)
        self.gone = trio.Event()
        self.calls_under_way = 0

    async def call(self, report: StationReport) -> ReportAnswer:
        self.calls_under_way += 1
        assert self.calls_under_way == 1, "OCPP 1.6: one outstanding call per direction"
        try:
            await trio.lowlevel.checkpoint()
            if self.gone.is_set():
                raise OSError("the connection is gone")
            self._central.heard.append((trio.current_time(), report))
            return await self._answer(report)
        finally:
            self.calls_under_way -= 1

    async def _answer(self, report: StationReport) -> ReportAnswer:
        answer = self._central.answer(report)
        if answer is None:
            with trio.move_on_after(CALL_TIMEOUT_S):
                await self.gone.wait()
                raise OSError("the connection is gone")
            raise TimeoutError("no answer")
        await trio.lowlevel.checkpoint()
        if self.gone.is_set():
            raise OSError("the connection is gone")
        return answer

    async def next_command(self) -> IncomingCommand:
        try:
            return await self._commands.receive()
        except trio.EndOfChannel:
            raise OSError("the connection is gone") from None

    async def ask(self, asked: Asked) -> None:
        await self._to_station.send(asked)

    async def aclose(self) -> None:
        self.close()

    def close(self) -> None:
        self.gone.set()
        self._to_station.close()


class Central:
    """`answers` replaces how a kind of report is answered: its function returns None to stay silent, or raises."""

    def __init__(self) -> None:
        self.heard: list[tuple[float, StationReport]] = []
        self.answered: list[str] = []
        self.wires: list[Wire] = []
        self.attempts: list[float] = []
        self.down = False
        self.deaf = False
        self.boot_statuses = [RegistrationStatus.ACCEPTED]
        self.id_tag_status = IdTagStatus.ACCEPTED
        self.answers: dict[type[StationReport], Callable[[Any], ReportAnswer | None]] = {}
        self._transactions: dict[StartTransaction, int] = {}

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[CentralSystem]:
        self.attempts.append(trio.current_time())
        await trio.lowlevel.checkpoint()
        if self.deaf:
            await trio.sleep_forever()
        if self.down:
            raise ConnectionRefusedError("connection refused")
        wire = Wire(self)
        self.wires.append(wire)
        try:
            yield wire
        finally:
            wire.close()

    def answer(self, report: StationReport) -> ReportAnswer | None:
        by_kind: dict[type[StationReport], Callable[[Any], ReportAnswer | None]] = {
            BootNotification: self._boot,
            Heartbeat: lambda _: HeartbeatAnswer(current_time=VirtualClock().now()),
            AuthorizeIdTag: lambda _: IdTagAnswer(id_tag_info=IdTagInfo(status=self.id_tag_status)),
            StartTransaction: self.start,
            TransactionEvent: lambda event: IdTagAnswer(
                id_tag_info=IdTagInfo(status=self.id_tag_status) if event.id_tag else None
            ),
            SignCertificate: lambda _: StatusAnswer(status="Accepted"),
            **self.answers,
        }
        return by_kind.get(type(report), lambda _: Acknowledgement())(report)

    def _boot(self, _: BootNotification) -> BootAnswer:
        status = self.boot_statuses.pop(0) if len(self.boot_statuses) > 1 else self.boot_statuses[0]
        return BootAnswer(status=status, current_time=VirtualClock().now(), interval_s=300)

    def start(self, report: StartTransaction) -> StartAnswer:
        """A repeated StartTransaction gets the number that the first one got."""
        number = self._transactions.setdefault(report, 100 + len(self._transactions))
        return StartAnswer(transaction_id=number, id_tag_info=IdTagInfo(status=self.id_tag_status))

    async def command(self, command: StationCommand) -> tuple[str, dict[str, Any]]:
        """Sends a command; the station's status word and the other fields of its answer."""
        asked = Asked(command, self.answered)
        await self.wires[-1].ask(asked)
        with trio.fail_after(CALL_TIMEOUT_S):
            await asked.answered.wait()
        return asked.status, asked.data

    def reports(self, kind: type[R]) -> list[R]:
        return [report for _, report in self.heard if isinstance(report, kind)]

    def statuses(self, connector_id: int) -> list[str]:
        """The statuses reported of a connector, in order."""
        return [str(r.status) for r in self.reports(StatusNotification) if r.connector_id == connector_id]


def new_station(central: Central, behaviour: str = "normal", *, seed: int = 7, **options: Any) -> SimulatedStation:
    return SimulatedStation(
        "CS01",
        clock=VirtualClock(),
        random=random.Random(seed).random,
        behaviour=behaviour,
        **{"connect": central.connect, **options},
    )


async def settled() -> None:
    """Lets all that happens at this very moment happen."""
    await trio.testing.wait_all_tasks_blocked()


async def charging_at_once(central: Central, station: SimulatedStation, run: Run) -> None:
    """Starts a transaction on connector 1, its cable in; whether it is answered is the central system's business."""
    await run(station)
    await station.plug(1)
    await settled()
    assert await central.command(RemoteStartTransaction(id_tag=ID_TAG, connector_id=1)) == ("Accepted", {})
    await settled()
    assert station.state(1) == "Charging"


async def charging(central: Central, station: SimulatedStation, run: Run) -> None:
    """Brings the station to a running, answered transaction on connector 1."""
    await charging_at_once(central, station, run)
    assert station.charges[0].transaction_id == 100
