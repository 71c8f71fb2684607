"""What was decided on a station, as far as its actor sees to it; and how others know what goes on there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import structlog

from actors.context import Context
from actors.fleet import Sight
from actors.station_messages import Review
from statecharts.bounds import CONNECTORS_UNTOLD
from statecharts.standing import S, Standing
from statecharts.station import UNKNOWN
from statecharts.station_commands import TriggerMessage
from statecharts.station_credentials import Login, still_opens
from statecharts.station_key import LoggedIn
from statecharts.station_reports import RegistrationStatus

if TYPE_CHECKING:
    from actors.station import StationActor

RETIRED = 1008, "this station is retired"
CREDENTIALS_CHANGED = 1008, "this station's credentials have changed"
NO_STATION = Standing(state=S.RETIRED)
"""How a station stands that is ours no more, as one that the configuration has lost."""

BOOT_AGAIN = TriggerMessage(what="BootNotification")

log = structlog.get_logger(__name__)


class Standings:
    """The part of a station's actor that keeps to what was decided on it; runs within its turns."""

    __slots__ = ("_context", "_station")

    def __init__(self, station: StationActor, context: Context) -> None:
        self._station, self._context = station, context

    @property
    def now(self) -> Standing:
        member = self._context.fleet.member(self._station.identity)
        return member.standing if member else NO_STATION

    @property
    def may_charge(self) -> bool:
        """Whether anybody is let charge here: what began before goes on whatever this says."""
        return self.now.state == S.ACCEPTED

    @property
    def is_charging(self) -> bool:
        return any(charge.open for charge in self._station.data.charges.values())

    @property
    def connectors(self) -> int:
        """How many connectors it has, or may have while nobody has said so: the states of more are not kept."""
        told = self._station.place.connectors
        if not told:
            self._context.watermarks.saw(CONNECTORS_UNTOLD, min(len(self._station.data.evses), CONNECTORS_UNTOLD.limit))
        return told or CONNECTORS_UNTOLD.limit

    def answer(self) -> tuple[RegistrationStatus, int]:
        """What a station is told that boots, and after how many seconds it speaks again (OCPP 1.6 section 4.2)."""
        status = self.now.answer(is_charging=self.is_charging)
        if status is RegistrationStatus.ACCEPTED:
            return status, self._heartbeat_s()
        return status, self._context.settings.boot_retry_s

    def _heartbeat_s(self) -> int:
        """Some stations' a little shorter than others': those that came back together shall not speak together."""
        settings = self._context.settings
        shorter = settings.heartbeat_spread * self._context.ids.jitter() if settings.heartbeat_spread else 0
        interval_s = self._station.limits.heartbeat_interval_s or settings.heartbeat_interval_s
        return max(1, round(interval_s * (1 - shorter)))

    def note(self) -> None:
        """Tells the fleet what lists show of this station."""
        registration = self._station.data.registration
        vendor, model = (registration.boot.vendor, registration.boot.model) if registration.boot else (None, None)
        sight = Sight(registration=registration.state, vendor=vendor, model=model)
        self._context.fleet.saw(self._station.identity, sight)

    async def came(self, login: Login) -> None:
        """The key by which a station has come in is the one that it has: a change whose answer was lost is decided."""
        event = LoggedIn(at=self._context.clock.now(), password_hash=login.opened_by)
        await self._context.fleet.turn_key(self._station.identity, event)
        told = self._station.data.registration.state
        if told not in (UNKNOWN, self.answer()[0]):
            # Decided on while it was away; a station that comes back need not boot.
            self._context.system.tell(self._station.key, Review())

    def review(self, decided: Review) -> None:
        """Does what a decision asks for: a retired station that charges no more goes, another is told by a boot."""
        connection = self._station.connection
        if connection is None:
            return
        if decided.new_credentials and not self._lets_in(connection.login):
            log.info("station.credentials_changed", station=self._station.identity)
            connection.close(*CREDENTIALS_CHANGED)
            return
        if self.now.state == S.RETIRED and not self.is_charging:
            log.info("station.retired", station=self._station.identity)
            connection.close(*RETIRED)
        elif self._station.data.registration.state != self.answer()[0]:
            self._context.system.spawn(self._ask_to_boot)

    def _lets_in(self, login: Login) -> bool:
        member = self._context.fleet.member(self._station.identity)
        return member is not None and still_opens(member.identity, member.entry.credentials, login)

    def charge_ended(self) -> None:
        """A retired station may go once its last charge has ended: after the turn in which that is answered."""
        if self.now.state == S.RETIRED:
            self._context.system.tell(self._station.key, Review())

    async def _ask_to_boot(self) -> None:
        """One that will not is told when it boots by itself."""
        outcome = await self._station.command(BOOT_AGAIN)
        log.info("station.asked_to_boot", station=self._station.identity, verdict=outcome.verdict.value)


def is_online(context: Context, identity: str) -> bool:
    """Whether a station is connected: whoever is has its actor in memory."""
    key = f"station/{identity}"
    return key in context.system and _actor(context, key).connection is not None


def charge_goes_on(context: Context, identity: str) -> bool:
    """Whether a charge goes on at this station, as far as is known without asking it."""
    key = f"station/{identity}"
    if key in context.system:
        station = _actor(context, key)
        if station.ready.settled:
            return any(charge.open for charge in station.data.charges.values())
    return identity in context.charging


def _actor(context: Context, key: str) -> StationActor:
    found: Any = context.system.actor(key)
    return cast("StationActor", found)
