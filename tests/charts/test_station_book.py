"""A station's book of charges: which charge a report means, by its number, its time, or what else it says."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from statecharts.bounds import CHARGES_KEPT
from statecharts.evse import StatusReported
from statecharts.station import (
    CREDIBLE_SINCE,
    Booted,
    ChargeClosed,
    ChargeJudged,
    ChargeOpened,
    Station,
    StopKept,
    apply,
    is_older,
    region_state,
)
from statecharts.station_reports import (
    BootNotification,
    ConnectorStatus,
    RegistrationStatus,
    StartTransaction,
    StopTransaction,
)
from statecharts.station_vocabulary import IdTagInfo, IdTagStatus

NOON = CREDIBLE_SINCE + timedelta(days=2000, hours=12)
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)


def start(hours: float = 0, *, connector: int = 1, tag: str = "CARD", meter_wh: int = 0, **at: Any) -> StartTransaction:
    timestamp = at.get("at", NOON + hours * HOUR)
    return StartTransaction(connector_id=connector, id_tag=tag, meter_start_wh=meter_wh, timestamp=timestamp)


def stop(hours: float, number: int = -1, tag: str | None = None) -> StopTransaction:
    return StopTransaction(transaction_id=number, meter_stop_wh=900, timestamp=NOON + hours * HOUR, id_tag=tag)


def book(*events: Any) -> Station:
    station = Station()
    for event in events:
        station = apply(station, event)
    return station


def opened(number: int, said: StartTransaction) -> ChargeOpened:
    return ChargeOpened(at=NOON, number=number, transaction=f"local/{number}", start=said)


def closed(number: int, said: StopTransaction | None) -> ChargeClosed:
    return ChargeClosed(at=NOON, number=number, stop=said)


# -- readings ----------------------------------------------------------------------------------------------------------

ENDED_THEN_OPEN = book(opened(1, start(0)), closed(1, stop(2, 1)), opened(2, start(4)))


@pytest.mark.parametrize(
    ("hours", "number"),
    [(0, 1), (1, 1), (2, 1), (3, 2), (4, 2), (9, 2), (-1, 2)],
    ids=["first moment", "within", "last moment", "between", "start", "later", "before all"],
)
def test_a_reading_without_a_number_is_of_the_charge_of_its_time_else_of_the_one_that_goes_on(
    hours: float, number: int
) -> None:
    charge = ENDED_THEN_OPEN.charge_at(1, NOON + hours * HOUR)
    assert charge is not None and charge.number == number


def test_a_reading_where_nothing_goes_on_and_nothing_did_is_of_no_charge() -> None:
    assert ENDED_THEN_OPEN.charge_at(2, NOON + HOUR) is None
    reconciled = book(opened(1, start(0)), closed(1, None))
    assert reconciled.charge_at(1, NOON + HOUR) is None


# -- stops -------------------------------------------------------------------------------------------------------------


def test_a_stop_with_a_number_means_that_charge_and_no_other() -> None:
    assert ENDED_THEN_OPEN.charge_meant(stop(9, 1)) == ENDED_THEN_OPEN.charges[1]
    assert ENDED_THEN_OPEN.charge_meant(stop(9, 7)) is None


@pytest.mark.parametrize("number", [-1, 0])
def test_a_stop_without_a_number_means_the_only_charge_that_it_can_end(number: int) -> None:
    one = book(opened(1, start(0)))
    two = book(opened(1, start(0)), opened(2, start(0, connector=2, tag="OTHER")))
    reconciled = book(opened(1, start(0)), closed(1, None))
    assert one.charge_meant(stop(1, number)) == one.charges[1]
    assert one.charge_meant(stop(-1, number)) is None, "it was before the charge began"
    assert two.charge_meant(stop(1, number)) is None, "it could be either"
    assert two.charge_meant(stop(1, number, "other")) == two.charges[2]
    assert reconciled.charge_meant(stop(1, number)) == reconciled.charges[1]


def test_of_an_open_charge_and_one_that_was_reconciled_a_stop_means_the_open_one() -> None:
    both = book(opened(1, start(0)), closed(1, None), opened(2, start(1)))
    assert both.charge_meant(stop(2)) == both.charges[2]


@pytest.mark.parametrize("status", ["Charging", "SuspendedEV", "SuspendedEVSE"])
def test_a_stop_that_names_nothing_means_nothing_while_another_connector_shows_a_charge_that_is_not_in_the_book(
    status: str,
) -> None:
    shown = StatusReported(at=NOON, connector_id=2, status=ConnectorStatus(status))
    own = StatusReported(at=NOON, connector_id=1, status=ConnectorStatus(status))
    station = book(opened(1, start(0)), shown)
    assert station.charge_meant(stop(1)) is None
    assert station.charge_meant(stop(1, tag="CARD")) == station.charges[1]
    known = book(opened(1, start(0)), own, opened(2, start(2, connector=2)), shown)
    assert known.charge_meant(stop(1)) == known.charges[1]
    gone = book(opened(1, start(0)), closed(1, None), own)
    assert gone.charge_meant(stop(1)) == gone.charges[1], "that connector shows the charge which it means"
    again = book(opened(1, start(0)), closed(1, stop(1)), shown)
    assert again.charge_meant(stop(1)) == again.charges[1], "it has ended that before"


def test_a_stop_that_comes_again_means_the_charge_that_it_ended() -> None:
    ended = book(opened(1, start(0)), closed(1, stop(1)), opened(2, start(0.5, connector=2)))
    assert ended.charge_meant(stop(1)) == ended.charges[1]


@pytest.mark.parametrize(
    ("kept", "begun", "meant"),
    [
        (stop(1), start(0), True),
        (stop(1, 0), start(0), True),
        (stop(0), start(0), True),
        (stop(1, 1), start(0), False),  # it has a number that we gave to another start
        (stop(-1), start(0), False),
        (stop(1, tag="card"), start(0), True),
        (stop(1, tag="OTHER"), start(0), False),
        (stop(1), start(at=CREDIBLE_SINCE), True),
        (stop(1), start(at=CREDIBLE_SINCE - SECOND), False),
    ],
)
def test_a_stop_that_came_first_waits_for_the_start_that_it_can_end(
    kept: StopTransaction, begun: StartTransaction, meant: bool
) -> None:
    waiting = book(StopKept(at=NOON, stop=kept))
    assert waiting.stop_of(begun) == (kept if meant else None)
    assert book(StopKept(at=NOON, stop=kept), opened(1, begun), closed(1, kept)).stops == ()


def test_of_several_stops_that_came_first_a_start_takes_the_one_that_names_its_idtag_or_the_only_one_there_is() -> None:
    def kept(*stops: StopTransaction) -> Station:
        return book(*(StopKept(at=NOON, stop=each) for each in stops))

    low, begun = stop(1), start(0, meter_wh=901)
    assert kept(stop(1), stop(2)).stop_of(start(0)) is None, "it could be either"
    assert kept(stop(1), stop(2, tag="card")).stop_of(start(0)) == stop(2, tag="card")
    assert kept(stop(1), stop(2)).stop_of(start(1.5)) == stop(2), "the other was before it began"
    assert kept(low).stop_of(begun) is None, "it is below where the register began"


def test_a_stop_that_names_nothing_and_may_end_a_charge_of_the_book_is_not_taken_for_that_of_a_late_start() -> None:
    late, other = start(0, connector=2, tag="OTHER"), start(0.5)
    waiting = StopKept(at=NOON, stop=stop(1))
    assert book(opened(1, other), waiting).stop_of(late) is None
    assert book(opened(1, other), waiting, opened(2, late)).stop_of(late) is None
    assert book(waiting, opened(1, late)).stop_of(late) == stop(1)
    assert book(opened(1, other), closed(1, stop(0.7)), waiting, opened(2, late)).stop_of(late) == stop(1)


# -- starts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("again", "over", "same"),
    [
        (start(0), False, True),
        (start(0, tag="card"), False, True),
        (start(0, connector=2), False, False),
        (start(0, meter_wh=1), False, False),
        (start(0.001), False, False),
        (start(0), True, True),
    ],
)
def test_a_start_that_says_the_same_is_a_retry(again: StartTransaction, over: bool, same: bool) -> None:
    station = book(opened(1, start(0)), *((closed(1, stop(1, 1)),) if over else ()))
    assert (station.same_start(again, NOON + 2 * HOUR) is not None) is same


@pytest.mark.parametrize(
    ("began", "credible"),
    [
        (CREDIBLE_SINCE - SECOND, False),
        (CREDIBLE_SINCE, True),
        (NOON, True),
        (NOON + SECOND, False),
    ],
)
def test_after_its_end_a_start_is_a_retry_only_if_its_clock_is_to_be_trusted(began: Any, credible: bool) -> None:
    said = start(at=began)
    going_on = book(opened(1, said))
    over = book(opened(1, said), closed(1, None))
    assert going_on.same_start(said, NOON) == going_on.charges[1]
    assert over.same_start(said, NOON) == (over.charges[1] if credible else None)
    assert is_older(said, NOON + SECOND) is credible
    assert is_older(said, began) is False


# -- what the journal says of it ---------------------------------------------------------------------------------------


def test_what_a_charge_turned_out_to_be_is_noted() -> None:
    info = IdTagInfo(status=IdTagStatus.INVALID)
    judged = book(opened(1, start(0)), ChargeJudged(at=NOON, number=1, transaction="local/9", id_tag_info=info))
    assert (judged.charges[1].transaction, judged.charges[1].id_tag_info) == ("local/9", info)


def test_only_charges_that_are_over_leave_the_book_the_oldest_first() -> None:
    station = book(opened(1, start(0)))
    for number in range(2, CHARGES_KEPT.limit + 4):
        station = apply(apply(station, opened(number, start(number))), closed(number, stop(number + 0.5, number)))
    station = apply(station, opened(99, start(99)))
    assert list(station.charges) == [1, *range(4, CHARGES_KEPT.limit + 4), 99]


@pytest.mark.parametrize("status", RegistrationStatus)
def test_a_station_is_registered_as_it_was_answered(status: RegistrationStatus) -> None:
    booted = book(Booted(at=NOON, boot=BootNotification(vendor="V", model="M"), status=status))
    assert booted.registration.state == status


def test_a_connector_whose_error_changes_is_in_the_same_state_anew() -> None:
    def said(error: str) -> StatusReported:
        return StatusReported(at=NOON, connector_id=1, status=ConnectorStatus.FAULTED, error_code=error)

    faulted = book(said("GroundFailure"), said("OverVoltage"))
    assert (faulted.evse(1).state, faulted.evse(1).error_code) == ("Faulted", "OverVoltage")
    assert region_state(faulted, said("OverVoltage")) == "Faulted"
