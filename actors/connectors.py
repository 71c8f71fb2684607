"""A station's connectors: which are free for whom, and who is about to start where."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from actors.station_messages import Hold
from statecharts import reservation
from statecharts.reservation import Reservation, ReservationEvent
from statecharts.station_reports import ConnectorStatus
from statecharts.vocabulary import Refused, refused

if TYPE_CHECKING:
    from actors.station import StationActor

FREE = (ConnectorStatus.AVAILABLE, ConnectorStatus.PREPARING)
"""Cable first is normal: Preparing is as good as Available (DESIGN: what a Destination checks)."""


class Connectors:
    """The part of a station's actor that says where a charge may begin; runs within its turns."""

    __slots__ = ("_station", "holds")

    def __init__(self, station: StationActor) -> None:
        self._station = station
        self.holds: dict[int, Hold] = {}

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of all that it should have."""
        return tuple(range(1, self._station.place.connectors + 1))

    def hold(self, wish: Hold) -> int:
        """The connector that is this start's until it is let go. Raises `Refused` (409) if there is none for it."""
        mine = [connector for connector, hold in self.holds.items() if hold.transaction == wish.transaction]
        wanted = (wish.connector_id,) if wish.connector_id else self.numbers
        if mine and mine[0] in wanted:
            return mine[0]
        free, kept = self.free_for(wish)
        found = [connector for connector in free if connector in wanted]
        if not found:
            raise taken("the connector" if wish.connector_id else "every connector", wanted, kept)
        # Whoever asks for any connector is to leave those to others that are not kept for him.
        chosen = next((connector for connector in found if self._is_own(connector, wish)), found[0])
        self.holds[chosen] = wish
        return chosen

    def release(self, transaction: str) -> None:
        """Nobody starts on this transaction's connector any more."""
        self.holds = {connector: hold for connector, hold in self.holds.items() if hold.transaction != transaction}

    async def take(self, message: Hold | ReservationEvent) -> int | None:
        """Holds a connector, or writes down what becomes of a reservation if that is anything new."""
        if isinstance(message, Hold):
            return self.hold(message)
        await self._reserve(message)
        return None

    async def _reserve(self, event: ReservationEvent) -> None:
        if reservation.decided(self._station.data.reservations, event).fact is not None:
            await self._station.record(event)

    def free_for(self, wish: Hold | None) -> tuple[tuple[int, ...], dict[int, Reservation]]:
        """Where this start (None: anybody's) may begin, and the reservations that keep it from other connectors."""
        unused = [connector for connector in self.numbers if self._is_unused(connector, wish)]
        register, now = self._station.data.reservations, self._station.context.clock.wall()
        if not register:
            return tuple(unused), {}
        who = (wish.id_tag, wish.group) if wish else (None, None)
        found = {c: reservation.in_the_way(register, c, unused, who[0], who[1], now) for c in unused}
        kept = {connector: each for connector, each in found.items() if each is not None}
        return tuple(connector for connector in unused if connector not in kept), kept

    def _is_unused(self, connector_id: int, wish: Hold | None) -> bool:
        held, book = self.holds.get(connector_id), self._station.data
        nobody_starts = held is None or (wish is not None and held.transaction == wish.transaction)
        shown = book.evse(connector_id).state
        shows_free = shown in FREE or (shown == ConnectorStatus.RESERVED and self._is_kept(connector_id, wish))
        return nobody_starts and shows_free and book.open_on(connector_id) is None

    def _is_kept(self, connector_id: int, wish: Hold | None) -> bool:
        """Whether what a connector shows as reserved stands in the register: the register then says for whom."""
        now = self._station.context.clock.wall()
        register = self._station.data.reservations
        here = (register[number] for number in reservation.at_connector(register, connector_id))
        return any(each.counts(now) for each in here) or (wish is not None and self._is_own(connector_id, wish))

    def _is_own(self, connector_id: int, wish: Hold) -> bool:
        now = self._station.context.clock.wall()
        return reservation.own(self._station.data.reservations, connector_id, wish.id_tag, wish.group, now)


def taken(where: str, wanted: Collection[int], kept: Mapping[int, Reservation]) -> Refused:
    """Why nobody else may begin at any of these connectors; of several that are reserved, until the first lapses."""
    lapses = [each.expires_at for connector, each in kept.items() if connector in wanted and each.expires_at]
    if not lapses:
        return refused(409, "connector-busy", f"{where} is in use, about to be used or out of service")
    until = min(lapses).isoformat(timespec="seconds").replace("+00:00", "Z")
    return refused(409, "connector-reserved", f"{where} is taken: reserved for somebody else until {until}")
