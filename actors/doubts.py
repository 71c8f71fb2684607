"""A station's charges that may be over without a word: the station is looked at, and asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.charges import Charges
from actors.enquiry import Enquiry
from actors.station_messages import LookAfter, StatusTold
from statecharts.charging import StationConfirmed, StationDenied, StationDoubted
from statecharts.evse import CHARGES_GO_ON
from statecharts.station import StationCharge
from statecharts.station_commands import CallOutcome
from statecharts.station_session import goes_on

if TYPE_CHECKING:
    from actors.station import StationActor


class Doubts:
    """The part of a station's actor that deals with charges in doubt; runs within its turns."""

    __slots__ = ("_asked", "_charges", "_station")

    def __init__(self, station: StationActor, charges: Charges) -> None:
        self._station, self._charges = station, charges
        self._asked: Enquiry | None = None

    def _told(self, number: int, outcome: CallOutcome) -> None:
        """Hands on what a station says, asked about a charge: it is for a turn after what it has reported by now."""
        self._station.context.system.tell(self._station.key, StatusTold(number, outcome))

    async def booted(self) -> None:
        """Every charge may have ended with the boot, and another firmware may be able to say more."""
        if self._asked is not None:
            self._asked.booted()
        for charge in self._open():
            doubted = StationDoubted(at=self._station.clock.now(), reason="the station booted")
            await self._charges.tell(charge, doubted)
            self._station.context.system.tell(self._station.key, LookAfter())

    async def heard(self, message: LookAfter | StatusTold) -> None:
        """Looks after all charges, or takes what the station says of one."""
        if isinstance(message, StatusTold):
            await self._decide(message.number, goes_on(message.outcome))
        elif self._station.connection is not None:
            await self._look_after()

    async def _look_after(self) -> None:
        """Asks the station about charges that are in doubt; what a connector last showed ends a doubt of mere silence.

        A station need not meter, and reports a status only when it changes: so that status still holds. One of OCPP 2.x
        shows no more than that a cable is plugged in; it can be asked.
        """
        asked = []
        for charge in self._open():
            doubted = await self._charges.doubted(charge)
            if doubted is None:
                continue
            asked.append(charge)
            shown = self._station.data.evse(charge.start.connector_id).state
            if doubted.only_silent and shown in CHARGES_GO_ON and not charge.reference:
                await self._charges.tell(charge, StationConfirmed(at=self._station.clock.now()))
        if asked:
            self._asked = self._asked or Enquiry(self._station.command, self._told)
            self._station.context.system.spawn(self._asked.ask, asked)

    async def _decide(self, number: int, going_on: bool | None) -> None:
        """What the station says of a charge, unless its end was reported meanwhile."""
        charge, now = self._station.data.charges.get(number), self._station.clock.now()
        if charge is not None and charge.open and going_on is not None:
            await self._charges.tell(charge, StationConfirmed(at=now) if going_on else StationDenied(at=now))

    def _open(self) -> list[StationCharge]:
        return [charge for charge in self._station.data.charges.values() if charge.open]
