"""Where connections of stations lead: `ports.StationDoor`, in front of the stations' actors."""

from __future__ import annotations

from actors.context import Context
from actors.inbox import Odd
from actors.station import StationActor
from actors.station_messages import Gone, Online, Report
from actors.station_standing import charge_goes_on
from statecharts.oddities import OddMessage
from statecharts.ports import StationConnection
from statecharts.promises import Promise
from statecharts.station_credentials import TurnedAway
from statecharts.station_reports import ReportAnswer, StationDataTransfer, StationReport


class StationRole:
    """Hands every word of a station to its actor."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def connected(self, identity: str, connection: StationConnection) -> Promise[None]:
        return self._station(identity).promise(Online(connection))

    def reported(
        self, identity: str, connection: StationConnection, report: StationReport
    ) -> ReportAnswer | Promise[ReportAnswer]:
        station = self._station(identity)
        if isinstance(report, StationDataTransfer):
            kept = station.promise(Report(connection, report))
            return self._context.vendors.answer(self._context.system, identity, report, kept)
        return station.at_once(connection, report) or station.promise(Report(connection, report))

    def odd(self, identity: str, odd: OddMessage) -> Promise[None]:
        """Counts what is odd; what loses something is kept, and each kind's first message of a station logged."""
        station, now = self._station(identity), self._context.clock.wall()
        boot = station.data.registration.boot
        model = odd.model or ((boot.vendor, boot.model) if boot else ("", ""))
        is_first = self._context.quirks.noticed(identity, model, odd, now)
        if odd.handling.loses_something or is_first:
            return station.promise(Odd(odd))
        noted: Promise[None] = Promise()
        noted.set(None)
        return noted

    def disconnected(self, identity: str, connection: StationConnection) -> None:
        self._context.system.tell(f"station/{identity}", Gone(connection))

    def is_charging(self, identity: str) -> bool:
        return charge_goes_on(self._context, identity)

    def turned_away(self, identity: str, event: TurnedAway) -> None:
        self._context.system.tell(f"station/{identity}", event)

    def _station(self, identity: str) -> StationActor:
        station = self._context.system.actor(f"station/{identity}")
        assert isinstance(station, StationActor)
        return station
