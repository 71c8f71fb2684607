"""Nodes that die between two appends: a blade on the journal, and a driver, a station and an app that never give up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import trio

from actors.records import Append, Appended
from statecharts.ports import TransactionView
from statecharts.station_vocabulary import ConnectorStatus, RemoteStartTransaction, RemoteStopTransaction, StationReport
from statecharts.vocabulary import Refused
from tests.support.house import APP, House, StationLine
from tests.support.roaming import LOCAL, Charge, Roaming

PATIENCE_S = 30.0


@dataclass
class Blade:
    """Kills a house at its n-th append: before it is written, or once it is and nobody has heard of it."""

    house: House
    cut_at: int | None = None
    written: bool = False
    appends: int = 0
    cut: trio.Event = field(default_factory=trio.Event)
    _append: Callable[[Append], Awaitable[Appended]] = field(init=False)

    def __post_init__(self) -> None:
        self._append = self.house.journal.append
        self.house.journal.append = self.append  # type: ignore[method-assign]

    async def append(self, append: Append) -> Appended:
        self.appends += 1
        if self.appends != self.cut_at:
            return await self._append(append)
        if self.written:
            with trio.CancelScope(shield=True):
                await self._append(append)
        self.house.kill()
        self.cut.set()
        await trio.sleep_forever()
        raise AssertionError("cancelled above")


async def until_done(ask: Callable[[], Awaitable[Any]]) -> Any:
    """Asks as a station or an app does: again after a while, for as long as no answer comes."""
    while True:
        with trio.move_on_after(PATIENCE_S):
            try:
                return await ask()
            except Refused as no:
                if no.refusal.code < 500:
                    raise
            except RuntimeError:
                # The door of a node that is just dying: there is no nursery behind it any more.
                pass
        await trio.sleep(1)


@dataclass
class Journey:
    """One charge from the app's first tap to the charge record, whatever dies on the way."""

    roaming: Roaming
    keys: int = 0

    @property
    def line(self) -> StationLine:
        return self.roaming.station

    async def revive(self, blade: Blade) -> None:
        """Brings the house back as soon as it was cut, and with it the station's connection."""
        await blade.cut.wait()
        await trio.sleep(3)
        await blade.house.restart(self.roaming.nursery)
        if blade.house is self.roaming.local:
            commands = self.line.commands
            self.roaming.station = StationLine(self.roaming.local, "CS01")
            self.roaming.station.commands = commands
            await until_done(lambda: self.roaming.station.come_online(boot=False))

    async def say(self, report: StationReport) -> Any:
        return await until_done(lambda: self.line.say(report))

    async def travel(self) -> Charge:
        charge = await self.authorised()
        number = await self.started(charge)
        await trio.sleep(60)
        await until_done(lambda: self.line.meter(number, 2_000))
        await trio.sleep(60)
        await self.stopped(charge, number)
        await until_done(lambda: self.line.status(1, ConnectorStatus.AVAILABLE))
        await until_done(lambda: self.roaming.settled(charge, within_s=7_200))
        return charge

    async def authorised(self) -> Charge:
        """Taps until an operator agrees: one that died may have refused, then the app asks anew."""
        while True:
            try:
                view: TransactionView = await until_done(lambda: self.roaming.home.authorize(LOCAL))
            except Refused:
                continue
            assert view.authorization_identifier is not None
            return Charge(view.transaction_id, view.authorization_identifier)

    async def view(self, charge: Charge) -> TransactionView:
        found: TransactionView = await until_done(lambda: self.roaming.view(charge))
        return found

    async def started(self, charge: Charge) -> int:
        """Asks to start until the station is asked; then the car charges."""
        before = self.line.commands.count(RemoteStartTransaction(id_tag=charge.name, connector_id=1))
        while self.line.commands.count(RemoteStartTransaction(id_tag=charge.name, connector_id=1)) == before:
            if (await self.view(charge)).state == "Ready":
                await until_done(lambda: self.roaming.start(charge))
            await trio.sleep(1)
        start = self.line.house.clock.now()
        answer = await until_done(lambda: self.line.start(charge.name, at=start))
        assert answer.id_tag_info.status == "Accepted"
        return int(answer.transaction_id)

    async def stopped(self, charge: Charge, number: int) -> None:
        """Asks to stop until the station is asked; then the car stops."""
        while RemoteStopTransaction(transaction_id=number) not in self.line.commands:
            if (await self.view(charge)).state == "TxRunning":
                await until_done(lambda: self.roaming.home.source.stop(APP, charge.transaction_id, None))
            await trio.sleep(1)
        stop = self.line.house.clock.now()
        await until_done(lambda: self.line.stop(number, 4_200, reason="Remote", at=stop))
