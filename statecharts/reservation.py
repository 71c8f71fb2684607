"""Reservations of a station: a connector that is kept for one idTag, or one of its group, until it is used or lapses.

OCPP 1.6 sections 5.2 and 5.13, OCPP 2.x part 2, use cases H01 to H04. The station enforces them at its own reader; what
stands here is why nobody is sent to a connector that it keeps for another. It counts from before the station is asked,
so that a crash forgets none that the station has; one that has lapsed counts no more, whether we heard of it or not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from statecharts.chart import Chart, Decision, State, move, repeat
from statecharts.events import Fact
from statecharts.station_commands import CallVerdict, ReserveNow
from statecharts.station_reports import StartTransaction
from statecharts.vocabulary import Value


class S(StrEnum):
    NONE = "None"
    ASKED = "Asked"
    HELD = "Held"


class ReservationAsked(Fact, frozen=True, kw_only=True):
    """The station is about to be asked; one of the same number is replaced (OCPP 1.6 section 5.13)."""

    order: ReserveNow

    @property
    def number(self) -> int:
        return self.order.reservation_id


class ReservationTold(Fact, frozen=True, kw_only=True):
    """What became of asking. While that is unknown the station may have it, and it counts."""

    number: int
    verdict: CallVerdict


class ReservationEnded(Fact, frozen=True, kw_only=True):
    """It was cancelled, or the station says that it is over; `reason` says which."""

    number: int
    reason: str = ""


class Reservation(Value, frozen=True, kw_only=True):
    """Connector 0 stands for any. `group` is the parentIdTag (2.x: groupIdToken) whose members may use it as well."""

    state: str = S.NONE
    number: int = 0
    connector_id: int = 0
    id_tag: str = ""
    group: str | None = None
    expires_at: datetime | None = None

    def counts(self, now: datetime) -> bool:
        return self.state != S.NONE and self.expires_at is not None and now < self.expires_at

    def lets(self, id_tag: str | None, group: str | None) -> bool:
        """Whether it is for this idTag, whose case means nothing, or for its group."""
        mine = id_tag is not None and id_tag.casefold() == self.id_tag.casefold()
        return mine or (group is not None and self.group is not None and group.casefold() == self.group.casefold())


Register = Mapping[int, Reservation]


def _asked(_: Reservation, event: ReservationAsked) -> dict[str, Any]:
    order = event.order
    return {
        "number": order.reservation_id,
        "connector_id": order.connector_id,
        "id_tag": order.id_tag,
        "group": order.parent_id_tag,
        "expires_at": order.expiry_date,
    }


def _accepted(_: Reservation, event: ReservationTold) -> bool:
    return event.verdict is CallVerdict.ACCEPTED


def _unknown(_: Reservation, event: ReservationTold) -> bool:
    return event.verdict is CallVerdict.UNKNOWN


CHART: Chart[Reservation] = Chart(
    name="reservation",
    initial=S.NONE,
    states=(
        State(S.NONE, "there is none, or it is over", resting=True),
        State(S.ASKED, "the station was asked and may have it: counts until it lapses", resting=True),
        State(S.HELD, "the station has it: counts until it lapses", resting=True),
    ),
    rows=(
        move(ReservationAsked, tuple(S), S.ASKED, note="one of the same number is replaced"),
        move(ReservationTold, S.ASKED, S.HELD, when=_accepted, note="accepted"),
        repeat(ReservationTold, S.ASKED, when=_unknown, note="nobody knows: it may have it"),
        move(ReservationTold, S.ASKED, S.NONE, note="refused, or never sent"),
        repeat(ReservationTold, (S.NONE, S.HELD), note="it is over, or was told already"),
        move(ReservationEnded, (S.ASKED, S.HELD), S.NONE),
        repeat(ReservationEnded, S.NONE),
    ),
    evolve={ReservationAsked: _asked},
)

ReservationEvent = ReservationAsked | ReservationTold | ReservationEnded
EVENTS = (ReservationAsked, ReservationTold, ReservationEnded)


def decided(register: Register, event: ReservationEvent) -> Decision[Reservation]:
    """What an event is to the reservation of its number."""
    return CHART.step(register.get(event.number, Reservation()), event)


def step(register: Register, event: ReservationEvent) -> dict[int, Reservation]:
    """The register after an event; those that are over, or had lapsed by then, are forgotten."""
    after = {**register, event.number: decided(register, event).data}
    now = event.wall_at
    return {n: each for n, each in after.items() if each.state != S.NONE and (each.counts(now) or n == event.number)}


def used(register: Register, start: StartTransaction, now: datetime) -> dict[int, Reservation]:
    """The register once a charge has begun: the reservation that it names is used up, or the one of its idTag there."""
    if start.reservation_id is not None:
        return without(register, (start.reservation_id,))
    mine = {n: each for n, each in register.items() if each.counts(now) and each.lets(start.id_tag, None)}
    # One of this very connector before one of any.
    found = sorted(at_connector(mine, start.connector_id)) or sorted(at_connector(mine, 0))
    return without(register, found[:1])


def without(register: Register, numbers: Iterable[int]) -> dict[int, Reservation]:
    gone = set(numbers)
    return {number: each for number, each in register.items() if number not in gone}


def at_connector(register: Register, connector_id: int) -> tuple[int, ...]:
    """The numbers of those of this very connector."""
    return tuple(number for number, each in register.items() if each.connector_id == connector_id)


def own(register: Register, connector_id: int, id_tag: str | None, group: str | None, now: datetime) -> bool:
    """Whether this connector is kept for this very idTag or group."""
    here = (each for each in register.values() if each.connector_id in (connector_id, 0) and each.counts(now))
    return any(each.lets(id_tag, group) for each in here)


def in_the_way(
    register: Register, connector_id: int, free: Collection[int], id_tag: str | None, group: str | None, now: datetime
) -> Reservation | None:
    """The reservation for which this idTag may not use a connector now; None if it may. No idTag: anybody's.

    `free` are all connectors where a charge could begin. Of those that are no one's own, as many stay free as
    reservations of any connector need (OCPP 1.6 section 5.13).
    """
    others = [each for each in register.values() if each.counts(now) and not each.lets(id_tag, group)]
    here = [each for each in others if each.connector_id == connector_id]
    if here:
        return here[0]
    anywhere = [each for each in others if each.connector_id == 0]
    kept = {each.connector_id for each in others}
    left = [number for number in free if number not in kept and number != connector_id]
    return anywhere[0] if len(left) < len(anywhere) else None
