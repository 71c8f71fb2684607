"""A charging station of the partner that we are: what it measures is the truth that charge records are held against."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime

import trio

from protocols.ocpp.v16 import V16
from protocols.verify.conversation import Conversation
from protocols.verify.options import CannotVerify
from statecharts.charging import MeterRead, TransactionStarted, TransactionStopped
from statecharts.events import Event, StationAnswered
from statecharts.ports import CentralSystem, Clock, IncomingCommand
from statecharts.station_commands import (
    CallOutcome,
    CallVerdict,
    RemoteStartTransaction,
    RemoteStopTransaction,
    StationCommand,
)
from statecharts.station_reports import (
    BootNotification,
    ConnectorStatus,
    MeterSample,
    MeterValues,
    ReportAnswer,
    StartAnswer,
    StartTransaction,
    StationReport,
    StatusNotification,
    StopTransaction,
)
from statecharts.station_vocabulary import IdTagStatus

Line = Callable[[], AbstractAsyncContextManager[CentralSystem]]
"""Opens the connection to the partner's central system."""

STRANGE_CARD = "VERIFY-CARD"
NO_NUMBER = 0
NOBODYS_NUMBER = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Seen:
    """A charge as the station itself knows it; `number` is None while its start was not answered."""

    id_tag: str
    started_at: datetime
    meter_start_wh: int
    number: int | None = None


@dataclass(slots=True)
class Station:
    """One connector with a car that does what a flow says.

    `commands` are those of this flow, `obeyed` how many are done; `on_fact` hears what happens, in the words of the
    partner's chart.

    `on_start` and `on_stop` say what a RemoteStart and a RemoteStop meet: "accept", "reject", and for a start "hold"
    (accepted, but nobody plugs in yet) and "first" (the charge is reported before the command is answered).
    """

    system: CentralSystem
    connector: int
    clock: Clock
    tell: Callable[[], Awaitable[None]]
    meter_wh: int = 10_000
    charge: Seen | None = None
    held: str | None = None
    on_start: str = "accept"
    on_stop: str = "accept"
    talk: Conversation = field(default_factory=Conversation)
    commands: list[StationCommand] = field(default_factory=list)
    obeyed: int = 0
    on_fact: Callable[[Event], object] = lambda _: None

    def begin(self, talk: Conversation, on_fact: Callable[[Event], object]) -> None:
        self.talk, self.on_fact = talk, on_fact
        self.on_start = self.on_stop = "accept"
        self.held = None
        self.commands.clear()
        self.obeyed = 0

    async def boot(self) -> None:
        await self._report(BootNotification(vendor="roamnode", model="verify"))
        await self._show(ConnectorStatus.AVAILABLE)

    async def obey(self) -> None:
        """Answers what the central system asks until the connection ends."""
        with suppress(OSError):
            while True:
                command = await self.system.next_command()
                self.commands.append(command.command)
                await self._obey(command)
                self.obeyed = len(self.commands)
                await self.tell()

    async def _obey(self, command: IncomingCommand) -> None:
        match command.command:
            case RemoteStartTransaction(id_tag=id_tag):
                await self._asked_to_start(command, id_tag)
            case RemoteStopTransaction(transaction_id=number):
                known = self.charge is not None and self.charge.number == number and self.on_stop == "accept"
                await self._answer(command, "Accepted" if known else "Rejected")
                self._answered("stop", known)
                if known:
                    await self.unplug("Remote")
            case _:
                await command.refuse()
                self._note(command.command, "NotSupported")

    async def _asked_to_start(self, command: IncomingCommand, id_tag: str) -> None:
        able = self.charge is None and self.on_start != "reject"
        if able and self.on_start == "first":
            await self.plug_in(id_tag)
            await self._answer(command, "Accepted")
            self._answered("start", True)
            return
        await self._answer(command, "Accepted" if able else "Rejected")
        self._answered("start", able)
        if able and self.on_start == "hold":
            self.held = id_tag
        elif able:
            await self.plug_in(id_tag)

    async def _answer(self, command: IncomingCommand, status: str) -> None:
        await command.answer(status)
        self._note(command.command, status)

    def _note(self, command: StationCommand, status: str) -> None:
        action = V16.commands.action_of(command)
        self.talk.say(f"partner to the station: {action}", V16.commands.write_request(command).decode(), status)

    def _answered(self, purpose: str, accepted: bool) -> None:
        verdict = CallVerdict.ACCEPTED if accepted else CallVerdict.REJECTED
        self.on_fact(StationAnswered(at=self.clock.now(), purpose=purpose, outcome=CallOutcome(verdict=verdict)))

    # -- what the driver does ------------------------------------------------------------------------------------------

    async def plug_in(self, id_tag: str) -> None:
        await self._show(ConnectorStatus.PREPARING)
        start = StartTransaction(
            connector_id=self.connector, id_tag=id_tag, meter_start_wh=self.meter_wh, timestamp=self.clock.now()
        )
        answer = await self._report(start)
        self.held = None
        self.charge = Seen(id_tag, start.timestamp, self.meter_wh)
        if isinstance(answer, StartAnswer):
            self._started(start, answer)
        await self._show(ConnectorStatus.CHARGING)
        await self.tell()

    def _started(self, start: StartTransaction, answer: StartAnswer) -> None:
        self.charge = Seen(start.id_tag, start.timestamp, self.meter_wh, answer.transaction_id)
        status = answer.id_tag_info.status
        if start.id_tag == STRANGE_CARD:
            return
        seen = f"the partner sent RemoteStart for {start.id_tag}, and finds it {status}"
        self.talk.expect("own-start-accepted", status is IdTagStatus.ACCEPTED, seen)
        self.on_fact(
            TransactionStarted(
                at=self.clock.now(),
                number=answer.transaction_id,
                connector_id=start.connector_id,
                id_tag=start.id_tag,
                timestamp=start.timestamp,
                meter_start_wh=start.meter_start_wh,
            )
        )

    async def meter(self, wh: int) -> None:
        """Energy flows, and is reported."""
        self.meter_wh += wh
        if self.charge is None:
            return
        at, number = self.clock.now(), self.charge.number
        sample = MeterSample(timestamp=at, value=str(self.meter_wh))
        if self.charge.id_tag != STRANGE_CARD:
            self.on_fact(MeterRead(at=at, timestamp=at, meter_wh=self.meter_wh))
        await self._report(MeterValues(connector_id=self.connector, transaction_id=number, samples=(sample,)))

    async def unplug(self, reason: str = "EVDisconnected") -> None:
        """The charge ends; nothing happens where none runs."""
        if (charge := self.charge) is None:
            return
        self.charge = None
        stop = StopTransaction(
            transaction_id=-1 if charge.number is None else charge.number,
            meter_stop_wh=self.meter_wh,
            timestamp=self.clock.now(),
            reason=reason,
            id_tag=charge.id_tag,
        )
        if charge.id_tag != STRANGE_CARD:
            self._stopped(stop)
        await self._report(stop)
        await self._show(ConnectorStatus.FINISHING)
        await self._show(ConnectorStatus.AVAILABLE)
        await self.tell()

    def _stopped(self, stop: StopTransaction) -> None:
        self.on_fact(
            TransactionStopped(
                at=self.clock.now(),
                number=stop.transaction_id,
                timestamp=stop.timestamp,
                meter_stop_wh=stop.meter_stop_wh,
                reason=stop.reason,
            )
        )

    async def stray_stop(self) -> None:
        """Reports the end of a transaction that there never was.

        While a charge runs it says a number: a stop without one may be taken for that of the charge (OCPP 1.6 errata
        3.18).
        """
        number = NO_NUMBER if self.charge is None else NOBODYS_NUMBER
        now = self.clock.now()
        await self._report(StopTransaction(transaction_id=number, meter_stop_wh=self.meter_wh, timestamp=now))

    async def local_charge(self) -> None:
        """A driver with a card that is nobody's business but the partner's comes, charges and leaves."""
        if self.charge is None and self.held is None:
            await self.plug_in(STRANGE_CARD)
            await self.meter(10)
            await self.unplug("Local")

    async def _show(self, status: ConnectorStatus) -> None:
        now = self.clock.now()
        await self._report(
            StatusNotification(connector_id=self.connector, status=status, error_code="NoError", timestamp=now)
        )

    async def _report(self, report: StationReport) -> ReportAnswer | None:
        """The answer; None, and a finding, if there is none."""
        action = V16.reports.action_of(report)
        what, said = f"station: {action}", V16.reports.write_request(report).decode()
        try:
            answer = await self.system.call(report)
        except OSError as error:  # as are TimeoutError and a CALLERROR
            self.talk.say(what, said, f"{type(error).__name__}: {error}")
            self.talk.expect("station-served", False, f"{type(report).__name__} of the station: {error}")
            return None
        self.talk.say(what, said, V16.reports.write_answer(action, answer).decode())
        self.talk.expect("station-served", True, "")
        return answer


@asynccontextmanager
async def open_station(
    line: Line, connector: int, clock: Clock, tell: Callable[[], Awaitable[None]]
) -> AsyncIterator[Station]:
    """The station, booted and obeying. Raises `CannotVerify` where it is not let in."""
    refused: OSError | None = None
    try:
        async with line() as system, trio.open_nursery() as nursery:
            station = Station(system, connector, clock, tell)
            nursery.start_soon(station.obey)
            await station.boot()
            if station.talk.findings:
                raise CannotVerify(f"the station cannot register: {station.talk.findings[0].seen}")
            yield station
            nursery.cancel_scope.cancel()
    except OSError as error:
        refused = error
    if refused is not None:
        raise CannotVerify(f"the station cannot connect: {refused}")
