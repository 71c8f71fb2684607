"""Where connections of stations lead: `ports.StationDoor`, in front of the stations' actors."""

from __future__ import annotations

from actors.context import Context
from actors.station import Gone, Online, Report
from statecharts.ports import StationConnection
from statecharts.station_vocabulary import ReportAnswer, StationReport


class StationRole:
    """Hands every word of a station to its actor."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def connected(self, identity: str, connection: StationConnection) -> None:
        await self._context.system.ask(f"station/{identity}", Online(connection))

    async def reported(self, identity: str, connection: StationConnection, report: StationReport) -> ReportAnswer:
        answer: ReportAnswer = await self._context.system.ask(f"station/{identity}", Report(connection, report))
        return answer

    async def disconnected(self, identity: str, connection: StationConnection) -> None:
        self._context.system.tell(f"station/{identity}", Gone(connection))
