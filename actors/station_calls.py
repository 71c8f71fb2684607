"""What is asked of one station, by whoever asks: sent at most once, and waited for until its outcome is known."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import structlog
import trio

from statecharts.bounds import REPORT_SETTINGS, RESERVATIONS_KEPT
from statecharts.feature_profiles import SUPPORTED_PROFILES, profile_of, profiles_in
from statecharts.ports import StationConnection
from statecharts.reservation import ReservationAsked, ReservationEnded, ReservationEvent, ReservationTold
from statecharts.station_commands import (
    CallOutcome,
    CallVerdict,
    CancelReservation,
    GetBaseReport,
    GetConfiguration,
    RemoteStartTransaction,
    RemoteStopTransaction,
    ReserveNow,
    StationCommand,
    TriggerMessage,
)
from statecharts.station_reports import NotifyReport, RegistrationStatus, StationReport
from statecharts.station_session import asked_of_plugs
from statecharts.station_settings import Gathered

if TYPE_CHECKING:
    from actors.station import StationActor

REPORT_WITHIN_S = 60.0
"""How long a station may take to report all its settings: some hundred messages."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Awaited:
    """A report that somebody waits for, until it is complete, or more than may be."""

    request_id: int
    gathered: Gathered = field(default_factory=lambda: Gathered(REPORT_SETTINGS.limit))
    over: trio.Event = field(default_factory=trio.Event)


class Calls:
    """The part of a station's actor that sends commands; not within its turns, but for `heard`."""

    __slots__ = ("_awaited", "_profiles", "_request_id", "_station")

    def __init__(self, station: StationActor) -> None:
        self._station = station
        self._request_id = 0
        self._awaited: _Awaited | None = None
        self._profiles: frozenset[str] | None = None

    def booted(self) -> None:
        """Another firmware may have other profiles."""
        self._profiles = None

    async def send(
        self, command: StationCommand, until: datetime | None = None, *, forced: bool = False
    ) -> CallOutcome:
        """Sends a command and waits for what became of it; see `StationActor.command`."""
        connection = self._station.connection
        if connection is None:
            return CallOutcome(verdict=CallVerdict.NEVER_SENT, cause="the station is not connected")
        registered = self._station.data.registration.state
        if isinstance(command, RemoteStartTransaction) and not self._station.standing.may_charge:
            standing = self._station.standing.now.state
            return CallOutcome(verdict=CallVerdict.NEVER_SENT, cause=f"the operator has the station {standing}")
        remote = isinstance(command, RemoteStartTransaction | RemoteStopTransaction)
        rejected = registered == RegistrationStatus.REJECTED
        if rejected or (remote and registered != RegistrationStatus.ACCEPTED):
            # OCPP 1.6 section 4.2: nothing to a rejected station, no RemoteStart or RemoteStop before it was accepted.
            return CallOutcome(verdict=CallVerdict.NEVER_SENT, cause=f"the station's registration is {registered}")
        cause = "" if forced else self._lacks(connection, command) or self._station.limits.refusal(command)
        if cause:
            return CallOutcome(verdict=CallVerdict.NEVER_SENT, cause=cause)
        if isinstance(command, GetConfiguration) and not command.keys and connection.protocol.startswith("ocpp2"):
            return await self._report(connection)
        if isinstance(command, ReserveNow | CancelReservation):
            return await self._reserving(connection, command, until)
        if isinstance(command, TriggerMessage) and connection.protocol.startswith("ocpp2"):
            return await self._trigger(connection, command, until)
        return await self._sent(connection, command, until)

    def _lacks(self, connection: StationConnection, command: StationCommand) -> str:
        """Why a station of OCPP 1.6 cannot do this, by the profiles that it has told since it booted."""
        profile = profile_of(command)
        if self._profiles is None or profile in self._profiles or not connection.protocol.startswith("ocpp1"):
            return ""
        return f"the station has no {profile}: it is not among its {SUPPORTED_PROFILES}"

    def _learn(self, outcome: CallOutcome) -> None:
        """Remembers which profiles a station has, when it is asked for its settings."""
        self._profiles = profiles_in(outcome.data) or self._profiles

    async def _reserving(
        self, connection: StationConnection, command: ReserveNow | CancelReservation, until: datetime | None
    ) -> CallOutcome:
        """Asks for a reservation, or for its end, and has the station's register say so in any case.

        One counts from before it is asked for. That there is none of this number to be cancelled ends it too.
        """
        station, number = self._station, command.reservation_id
        if isinstance(command, ReserveNow):
            register = station.data.reservations
            if number not in register and len(register) >= RESERVATIONS_KEPT.limit:
                cause = f"{len(register)} reservations are kept for the station, the most is that"
                return CallOutcome(verdict=CallVerdict.NEVER_SENT, cause=cause)
            await self._register(ReservationAsked(at=station.clock.now(), order=command))
            station.context.watermarks.saw(RESERVATIONS_KEPT, len(station.data.reservations))
        outcome = await self._sent(connection, command, until)
        now = station.clock.now()
        if isinstance(command, ReserveNow):
            await self._register(ReservationTold(at=now, number=number, verdict=outcome.verdict))
        elif outcome.verdict in (CallVerdict.ACCEPTED, CallVerdict.REJECTED):
            await self._register(ReservationEnded(at=now, number=number, reason="cancelled"))
        return outcome

    async def _register(self, event: ReservationEvent) -> None:
        await self._station.context.system.ask(self._station.key, event)

    async def _trigger(
        self, connection: StationConnection, command: TriggerMessage, until: datetime | None
    ) -> CallOutcome:
        """Asks for what each plug shows, one after the other; the first that is not accepted stands for the rest."""
        first, *others = asked_of_plugs(command, self._station.data.evses)
        outcome = await self._sent(connection, first, until)
        for each in others:
            if outcome.verdict is not CallVerdict.ACCEPTED:
                break
            outcome = await self._sent(connection, each, until)
        return outcome

    async def _sent(
        self, connection: StationConnection, command: StationCommand, until: datetime | None = None
    ) -> CallOutcome:
        outcome = CallOutcome(verdict=CallVerdict.UNKNOWN, cause="no answer in time")
        within_s = math.inf if until is None else (until - self._station.clock.now()).total_seconds()
        with trio.move_on_after(max(0.0, within_s)):
            outcome = await connection.call(self._station.data.in_its_words(command))
        if isinstance(command, GetConfiguration):
            self._learn(outcome)
        name, verdict = type(command).__name__, outcome.verdict.value
        log.info("station.command", station=self._station.identity, command=name, verdict=verdict)
        return outcome

    # -- all settings of a station of OCPP 2.x -------------------------------------------------------------------------

    async def _report(self, connection: StationConnection) -> CallOutcome:
        """All settings, which OCPP 2.x reports in parts: as one answer, in the shape that OCPP 1.6 gives it."""
        if self._awaited is not None:
            cause = "a report of the station's settings is under way already"
            return CallOutcome(verdict=CallVerdict.NEVER_SENT, cause=cause)
        # Its first part may come before the answer does.
        awaited = self._awaited = _Awaited(self.new_request_id())
        try:
            outcome = await self._sent(connection, GetBaseReport(request_id=awaited.request_id))
            if outcome.verdict is not CallVerdict.ACCEPTED:
                return outcome
            with trio.move_on_after(REPORT_WITHIN_S):
                await awaited.over.wait()
            return _joined(awaited.gathered)
        finally:
            self._awaited = None

    def new_request_id(self) -> int:
        """A number that no earlier request had, in another life of the node either: what comes late is not mixed up."""
        self._request_id = max(self._request_id + 1, int(self._station.context.clock.wall().timestamp()) % 2**31)
        return self._request_id

    def heard(self, report: StationReport) -> None:
        """Takes over a part of what is being waited for; anything else is no concern of this."""
        awaited = self._awaited
        if awaited is None or not isinstance(report, NotifyReport) or awaited.request_id != report.request_id:
            return
        taken = awaited.gathered.add(report)
        self._station.context.watermarks.saw(REPORT_SETTINGS, awaited.gathered.count)
        if awaited.gathered.complete or not taken:
            awaited.over.set()


def _joined(gathered: Gathered) -> CallOutcome:
    """The settings as one answer; unknown where the report did not come to its end."""
    data = {"configurationKey": [setting.shown() for setting in gathered.settings], "unknownKey": []}
    if gathered.complete:
        return CallOutcome(verdict=CallVerdict.ACCEPTED, data=data)
    cause = f"the station reported {gathered.count} settings, and not its last part"
    return CallOutcome(verdict=CallVerdict.UNKNOWN, cause=cause, data=data)
