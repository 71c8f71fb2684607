"""A station that says what its script has it say: what no honest simulation does by itself, and what none remembers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import trio

from actors.simulated_line import Connect
from statecharts.ports import CentralSystem
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
from tests.world.ground import Ground, HostClock
from tests.world.history import ChargeSeen

AGAIN_AFTER_S = 5.0
UNKNOWN_NUMBER = -1


@dataclass(frozen=True, kw_only=True)
class Tale:
    """A charge at connector 1 as it was, whatever the station tells of it."""

    id_tag: str
    began: datetime
    ended: datetime
    meter_start_wh: int = 1_000
    meter_stop_wh: int = 4_000


class ScriptedStation:
    """Speaks on its station's line: each report until it is answered, over as many connections as that takes.

    It agrees to every command and does nothing about it. It boots on its first connection alone.
    """

    def __init__(self, ground: Ground, identity: str, connect: Connect, clock: HostClock) -> None:
        self.identity = identity
        self._ground, self._connect, self._clock = ground, connect, clock
        self._central: CentralSystem | None = None
        self._connected = trio.Event()

    async def run(self) -> None:
        """Keeps a connection up until cancelled."""
        while True:
            try:
                async with self._connect() as central:
                    self._central = central
                    self._connected.set()
                    while True:
                        incoming = await central.next_command()
                        await incoming.answer("Accepted")
            except* OSError:
                self._central = None
            await trio.sleep(AGAIN_AFTER_S)

    async def say(self, report: StationReport) -> ReportAnswer:
        """The answer to this report, however often it must be told."""
        await self._connected.wait()
        while True:
            try:
                if self._central is not None:
                    return await self._central.call(report)
            except OSError:  # a timeout too
                pass
            await trio.sleep(AGAIN_AFTER_S)

    async def boot(self) -> None:
        """Registers, and tells that its connector is free."""
        await self.say(BootNotification(vendor="roamnode", model="scripted", serial_number=self.identity))
        free, now = ConnectorStatus.AVAILABLE, self.ago(0)
        await self.say(StatusNotification(connector_id=1, status=free, error_code="NoError", timestamp=now))

    async def begin(self, tale: Tale) -> StartAnswer:
        """Tells how a charge began."""
        self._saw(tale)
        answer = await self.say(
            StartTransaction(
                connector_id=1, id_tag=tale.id_tag, meter_start_wh=tale.meter_start_wh, timestamp=tale.began
            )
        )
        assert isinstance(answer, StartAnswer)
        self._saw(tale, answer.transaction_id)
        return answer

    async def meter(self, number: int, at: datetime, register_wh: int) -> None:
        sample = MeterSample(timestamp=at, value=str(register_wh))
        await self.say(MeterValues(connector_id=1, transaction_id=number, samples=(sample,)))

    async def end(self, tale: Tale, number: int = UNKNOWN_NUMBER) -> None:
        """Tells how a charge ended, by its number or, where the station has none, without."""
        await self.say(
            StopTransaction(
                transaction_id=number, meter_stop_wh=tale.meter_stop_wh, timestamp=tale.ended, id_tag=tale.id_tag
            )
        )

    def ago(self, seconds: float) -> datetime:
        """That long ago, by the station's clock."""
        return self._clock.now() - timedelta(seconds=seconds)

    def _saw(self, tale: Tale, number: int | None = None) -> None:
        self._ground.saw(
            ChargeSeen,
            self.identity,
            connector_id=1,
            id_tag=tale.id_tag,
            started_at=tale.began.isoformat(),
            meter_start_wh=tale.meter_start_wh,
            transaction_id=number,
            stopped_at=tale.ended.isoformat(),
            meter_stop_wh=tale.meter_stop_wh,
            reason="Local",
        )
