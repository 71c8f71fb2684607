"""Who may use which connector while some are reserved: as plain words would have it, for any reservations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from statecharts import reservation, station
from statecharts.events import Event
from statecharts.evse import StatusReported
from statecharts.reservation import Reservation, ReservationAsked, ReservationEnded, ReservationTold
from statecharts.station import ChargeOpened, Station
from statecharts.station_commands import CallVerdict, ReserveNow
from statecharts.station_reports import ConnectorStatus, StartTransaction

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
TAGS = ("ANNA", "bert", "CARL")
CONNECTORS = (1, 2, 3)

some_tag = st.sampled_from(TAGS)
some_group = st.none() | st.sampled_from(("FLEET", "CLUB"))
reservations = st.lists(
    st.builds(
        Reservation,
        state=st.sampled_from((reservation.S.ASKED, reservation.S.HELD)),
        connector_id=st.integers(0, 3),
        id_tag=some_tag,
        group=some_group,
        expires_at=st.sampled_from((NOON - HOUR, NOON, NOON + HOUR)),
    ),
    max_size=4,
)


def could_all_be_served(wanted: int, free: list[int], register: list[Reservation]) -> bool:
    """By trying out: the connector is nobody's own, and every reservation of any connector finds one of the rest."""
    own = {each.connector_id for each in register if each.connector_id}
    anywhere = sum(not each.connector_id for each in register)
    rest = [connector for connector in free if connector != wanted and connector not in own]
    return wanted not in own and (anywhere == 0 or any(permutations(rest, anywhere)))


@given(reservations, st.sets(st.sampled_from(CONNECTORS)), st.none() | some_tag, some_group)
def test_a_connector_is_for_whoever_leaves_everybody_else_what_is_kept_for_them(
    found: list[Reservation], free: set[int], id_tag: str | None, group: str | None
) -> None:
    register = dict(enumerate(found))
    others = [
        each
        for each in found
        if each.expires_at == NOON + HOUR
        and not (id_tag is not None and each.id_tag.lower() == id_tag.lower())
        and not (group is not None and each.group == group)
    ]
    for connector in free:
        kept = reservation.in_the_way(register, connector, sorted(free), id_tag, group, NOON)
        assert (kept is None) == could_all_be_served(connector, sorted(free), others)
        assert kept is None or kept in others


def asked(number: int, connector_id: int = 1, id_tag: str = "ANNA", group: str | None = None) -> ReservationAsked:
    order = ReserveNow(
        reservation_id=number,
        connector_id=connector_id,
        expiry_date=NOON + HOUR,
        id_tag=id_tag,
        parent_id_tag=group,
    )
    return ReservationAsked(at=NOON, order=order)


def told(number: int, verdict: CallVerdict = CallVerdict.ACCEPTED) -> ReservationTold:
    return ReservationTold(at=NOON, number=number, verdict=verdict)


def status(connector_id: int, said: ConnectorStatus) -> StatusReported:
    return StatusReported(at=NOON, connector_id=connector_id, status=said)


def started(connector_id: int, id_tag: str, number: int | None = None) -> ChargeOpened:
    start = StartTransaction(
        connector_id=connector_id, id_tag=id_tag, meter_start_wh=0, timestamp=NOON, reservation_id=number
    )
    return ChargeOpened(at=NOON, number=1, transaction="local/1", start=start)


class PlainRegister:
    """A list in somebody's hand: who has which connector until when, and whether the station has said yes."""

    def __init__(self) -> None:
        self.kept: dict[int, tuple[int, str, datetime, bool]] = {}

    def hear(self, event: Event) -> None:
        self.kept = {number: each for number, each in self.kept.items() if each[2] > event.wall_at}
        match event:
            case ReservationAsked(order=order):
                self.kept[event.number] = (order.connector_id, order.id_tag, order.expiry_date, False)
            case ReservationTold(number=number, verdict=verdict) if number in self.kept:
                connector_id, id_tag, until, sure = self.kept[number]
                if verdict is CallVerdict.ACCEPTED:
                    self.kept[number] = connector_id, id_tag, until, True
                elif verdict is not CallVerdict.UNKNOWN and not sure:
                    del self.kept[number]
            case ReservationEnded(number=number):
                self.kept.pop(number, None)
            case ChargeOpened(start=start):
                self.kept.pop(start.reservation_id or self.own(start.connector_id, start.id_tag), None)

    def own(self, connector_id: int, id_tag: str) -> int:
        for place in (connector_id, 0):
            for number in sorted(self.kept):
                if self.kept[number][:2] == (place, id_tag):
                    return number
        return 0


KINDS = (ReservationAsked, ReservationAsked, ChargeOpened, ReservationTold, ReservationEnded)
some_number = st.integers(1, 3)
minutes = st.sampled_from((1, 20, 60)).map(lambda number: timedelta(minutes=number))


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """What is asked for, told, cancelled and charged at a station, as time goes by."""
    found: list[Event] = []
    now = NOON
    for _ in range(draw(st.integers(1, 12))):
        now += draw(minutes)
        number, connector_id, id_tag = draw(some_number), draw(st.integers(0, 1)), draw(st.sampled_from(TAGS[:2]))
        kind = draw(st.sampled_from(KINDS))
        if kind is ReservationAsked:
            order = ReserveNow(
                reservation_id=number, connector_id=connector_id, expiry_date=now + draw(minutes), id_tag=id_tag
            )
            found.append(ReservationAsked(at=now, order=order))
        elif kind is ReservationTold:
            found.append(ReservationTold(at=now, number=number, verdict=draw(st.sampled_from(CallVerdict))))
        elif kind is ReservationEnded:
            found.append(ReservationEnded(at=now, number=number))
        else:
            begun = started(1, id_tag, draw(st.none() | some_number))
            found.append(msgspec.structs.replace(begun, at=now))
    return found


@settings(max_examples=150)
@given(histories())
def test_the_register_is_what_somebody_would_have_in_his_hand(history: list[Event]) -> None:
    data, plain = Station(), PlainRegister()
    for event in history:
        data = station.apply(data, event)
        plain.hear(event)
        counting = {n: each for n, each in data.reservations.items() if each.counts(event.wall_at)}
        shown = {n: (r.connector_id, r.id_tag, r.expires_at, r.state == "Held") for n, r in counting.items()}
        assert shown == plain.kept


def left_after(*events: Event) -> dict[int, str]:
    data = Station()
    for event in events:
        data = station.apply(data, event)
    return {number: each.state for number, each in data.reservations.items()}


def test_it_counts_from_before_the_station_is_asked_until_that_says_no() -> None:
    assert left_after(asked(7)) == {7: "Asked"}
    assert left_after(asked(7), told(7)) == {7: "Held"}
    assert left_after(asked(7), told(7, CallVerdict.UNKNOWN)) == {7: "Asked"}
    for no in (CallVerdict.REJECTED, CallVerdict.ERROR, CallVerdict.NEVER_SENT):
        assert left_after(asked(7), told(7, no)) == {}
    assert left_after(asked(7), told(7), ReservationEnded(at=NOON, number=7)) == {}


def test_one_of_the_same_number_takes_the_place_of_the_other() -> None:
    data = Station()
    for event in (asked(7, 1), told(7), asked(7, 2, "bert"), told(7)):
        data = station.apply(data, event)
    assert [(each.connector_id, each.id_tag) for each in data.reservations.values()] == [(2, "bert")]


def test_one_that_has_lapsed_is_forgotten_with_the_next() -> None:
    late = ReservationAsked(at=NOON + 2 * HOUR, order=asked(8, 2).order)
    assert left_after(asked(7), told(7), late) == {8: "Asked"}


def test_a_charge_uses_up_the_reservation_that_it_names_or_that_is_its_own() -> None:
    kept = asked(7), told(7), asked(8, 2, "bert"), told(8), asked(9, 0, "CARL"), told(9)
    assert set(left_after(*kept, started(1, "driver of the group", 7))) == {8, 9}
    assert set(left_after(*kept, started(2, "BERT"))) == {7, 9}
    assert set(left_after(*kept, started(3, "CARL"))) == {7, 8}
    assert set(left_after(*kept, started(3, "nobody's"))) == {7, 8, 9}


def test_a_charge_uses_up_no_reservation_that_has_lapsed() -> None:
    soon = msgspec.structs.replace(asked(7).order, expiry_date=NOON + timedelta(minutes=5))
    begun = msgspec.structs.replace(started(1, "ANNA"), at=NOON + timedelta(minutes=10))
    assert set(left_after(ReservationAsked(at=NOON, order=soon), asked(8), begun)) == {7}, "forgotten with the next"


def test_a_connector_that_shows_that_it_is_kept_for_nobody_ends_what_was_reserved_there() -> None:
    kept = status(1, ConnectorStatus.AVAILABLE), asked(7), told(7)
    assert left_after(*kept, status(1, ConnectorStatus.AVAILABLE)) == {7: "Held"}, "it said so before already"
    shown = *kept, status(1, ConnectorStatus.RESERVED)
    assert left_after(*shown) == {7: "Held"}
    assert left_after(*shown, status(2, ConnectorStatus.FAULTED)) == {7: "Held"}
    for said in (ConnectorStatus.AVAILABLE, ConnectorStatus.FAULTED, ConnectorStatus.UNAVAILABLE):
        assert left_after(*shown, status(1, said)) == {}
    assert left_after(*shown, status(1, ConnectorStatus.PREPARING)) == {7: "Held"}, "whoever reserved it has come"
