"""What each word of a station makes of a charge, field by field."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from statecharts import charge_changes as changes
from statecharts.charging import (
    DOUBTED,
    Charge,
    Charging,
    ChargingDeadlines,
    MeterRead,
    StationDoubted,
    TransactionStarted,
    TransactionStopped,
)
from statecharts.events import DeadlineReached, LookAfterCharge, ReleaseConnector, StationAnswered
from statecharts.station_commands import CallOutcome, CallVerdict
from statecharts.station_reports import MeterSample

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER, STILL_LATER = NOON + timedelta(minutes=5), NOON + timedelta(minutes=9)
NOW = NOON + timedelta(minutes=10)
RUNNING = Charge(number=7, connector_id=1, id_tag="CARD", start_timestamp=NOON, meter_start_wh=1_000)


def of(charge: Charge = RUNNING, **other: Any) -> Charging:
    return Charging(state="TxRunning", station="CS01", charge=charge, **other)


def with_(charge: Charge = RUNNING, **other: Any) -> Charge:
    return msgspec.structs.replace(charge, **other)


def readings(*registers: int) -> tuple[MeterSample, ...]:
    """Registers a minute apart, the newest first."""
    return tuple(
        MeterSample(timestamp=NOON + timedelta(minutes=minute), value=str(register))
        for minute, register in reversed(tuple(enumerate(registers, start=1)))
    )


def started(**other: Any) -> TransactionStarted:
    known: dict[str, Any] = {"number": 7, "connector_id": 2, "id_tag": "CARD", "meter_start_wh": 1_000}
    return TransactionStarted(at=NOW, timestamp=NOON, **{**known, **other})


def read(meter_wh: int | None = None, **other: Any) -> MeterRead:
    return MeterRead(at=NOW, timestamp=LATER, meter_wh=meter_wh, **other)


def stopped(meter_stop_wh: int | None = 3_000, **other: Any) -> TransactionStopped:
    known: dict[str, Any] = {"number": 7, "timestamp": STILL_LATER, "reason": "Local"}
    return TransactionStopped(at=NOW, meter_stop_wh=meter_stop_wh, **{**known, **other})


def charge_after(changed: dict[str, Any]) -> Charge:
    charge = changed["charge"]
    assert isinstance(charge, Charge)
    return charge


# -- the beginning -----------------------------------------------------------------------------------------------------


def test_a_start_fills_in_all_that_it_says():
    assert changes.begun(Charge(), started(partial=True)) == Charge(
        number=7, connector_id=2, id_tag="CARD", start_timestamp=NOON, meter_start_wh=1_000, partial=True
    )


@pytest.mark.parametrize(
    ("shown", "start", "now"), [(None, 1_000, None), (900, 1_000, 1_000), (1_500, 1_000, 1_500), (1_500, None, 1_500)]
)
def test_what_was_read_before_the_start_never_puts_the_register_back(
    shown: int | None, start: int | None, now: int | None
):
    assert changes.begun(Charge(meter_last_wh=shown), started(meter_start_wh=start)).meter_last_wh == now


@pytest.mark.parametrize(
    ("before", "after", "holds"), [(None, 5, True), (5, 5, True), (5, 6, True), (5, 4, False), (5, None, False)]
)
def test_a_register_that_falls_is_noticed(before: int | None, after: int | None, holds: bool):
    was, now = of(with_(meter_last_wh=before)), of(with_(meter_last_wh=after))
    assert changes.meter_never_falls(was, now, read()) is holds


# -- readings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("said", "used"), [(7, True), (8, False), (None, False)])
def test_only_its_own_number_shows_that_a_station_knows_it(said: int | None, used: bool):
    assert changes.named(RUNNING, read(number=said)) == with_(number_used=used)
    known = with_(number_used=True)
    assert changes.named(known, read(number=said)) == known


def test_a_reading_is_the_newest_with_its_time():
    assert charge_after(changes.metered(of(), read(1_500))) == with_(meter_last_wh=1_500, meter_last_at=LATER)
    still = charge_after(changes.metered(of(with_(meter_last_wh=1_500)), read(1_500)))
    assert (still.meter_last_wh, still.meter_last_at) == (1_500, LATER)
    assert charge_after(changes.metered(of(with_(meter_last_wh=1_500)), read(1_499))).meter_last_at is None


@pytest.mark.parametrize(
    ("reading", "dispels"), [(read(1_001), True), (read(1_000), False), (read(number=7), True), (read(), False)]
)
def test_a_reading_dispels_a_doubt_where_energy_has_flowed_or_the_charge_is_named(reading: MeterRead, dispels: bool):
    doubted = of(doubted_until=NOW, flags=("silent", DOUBTED))
    changed = changes.metered(doubted, reading)
    assert changed.get("flags", doubted.flags) == (("silent",) if dispels else ("silent", DOUBTED))
    assert ("doubted_until" in changed) is dispels


def test_a_start_without_a_reading_takes_the_oldest_one_that_comes():
    bare = with_(meter_start_wh=None)
    assert changes.metered_first(bare, readings(1_000, 1_200)) == with_(meter_start_wh=1_000)
    assert charge_after(changes.metered(of(bare), read(1_200, samples=readings(1_000, 1_200)))).meter_start_wh == 1_000
    ended = charge_after(changes.stopped(of(bare), stopped(samples=readings(1_000, 3_000))))
    assert (ended.meter_start_wh, ended.energy_wh) == (1_000, 2_000)


def test_a_first_reading_is_not_taken_where_there_is_one_or_nothing_began_or_nothing_was_read():
    for charge, samples in (
        (RUNNING, readings(500)),
        (Charge(), readings(500)),
        (with_(meter_start_wh=None), ()),
    ):
        assert changes.metered_first(charge, samples) == charge


# -- the end -----------------------------------------------------------------------------------------------------------


def test_a_stop_fills_in_all_that_it_says():
    changed = changes.stopped(of(flags=("silent", DOUBTED)), stopped())
    assert changed == {
        "charge": with_(stop_timestamp=STILL_LATER, meter_stop_wh=3_000, reason="Local"),
        "stop_said": (STILL_LATER, 3_000),
        "finished_at": NOW,
        "flags": ("silent",),
        "changed_at": NOW,
    }


@pytest.mark.parametrize(
    ("said", "samples", "shown", "meter_stop_wh"),
    [
        (3_000, readings(2_500), 2_000, 3_000),
        (None, readings(2_400, 2_500), 2_000, 2_500),
        (None, (), 2_000, 2_000),
        (None, (), None, 1_000),
        (0, (), 2_000, 0),
    ],
)
def test_a_stop_without_a_register_takes_the_newest_that_is_known_and_says_that_it_did(
    said: int | None, samples: tuple[MeterSample, ...], shown: int | None, meter_stop_wh: int
):
    ended = charge_after(changes.stopped(of(with_(meter_last_wh=shown)), stopped(said, samples=samples)))
    assert (ended.meter_stop_wh, ended.estimated) == (meter_stop_wh, said is None)


def test_a_stop_of_a_charge_of_which_nothing_is_known_has_no_energy():
    ended = charge_after(changes.stopped(of(Charge()), stopped(None)))
    assert (ended.meter_stop_wh, ended.energy_wh, ended.number) == (None, None, 7)


def test_what_was_charged_before_the_first_reading_makes_the_end_an_estimate():
    assert charge_after(changes.stopped(of(with_(partial=True)), stopped())).estimated


@pytest.mark.parametrize(("ours", "said", "number"), [(None, 1, 1), (None, 0, None), (None, -1, None), (7, 9, 7)])
def test_a_stop_gives_its_number_only_to_a_charge_without_one(ours: int | None, said: int, number: int | None):
    assert charge_after(changes.stopped(of(with_(number=ours)), stopped(number=said))).number == number


@pytest.mark.parametrize(
    ("charge", "meter_stop_wh", "may"),
    [
        (RUNNING, 1_000, True),
        (RUNNING, 999, False),
        (RUNNING, None, True),
        (with_(meter_last_wh=2_000), 2_000, True),
        (with_(meter_last_wh=2_000), 1_999, False),
        (with_(meter_last_wh=0, meter_start_wh=None), 0, True),
        (Charge(), 5, True),
        (Charge(), None, True),
        (with_(number_used=True), 3_000, False),
    ],
)
def test_a_stop_without_a_name_can_end_what_its_register_fits(charge: Charge, meter_stop_wh: int | None, may: bool):
    assert changes.may_end_nameless(of(charge), stopped(meter_stop_wh)) is may


def test_a_charge_whose_stop_was_reported_is_ended_by_the_same_words_only():
    """Its start came after its end, so that the book of its station has no stop of it."""
    over = of(stop_said=(STILL_LATER, 3_000))
    assert changes.may_end_nameless(over, stopped(3_000, number=-1))
    assert not changes.may_end_nameless(over, stopped(3_001, number=-1))


def test_a_stop_that_comes_after_the_end_is_noted_and_changes_no_figure():
    assert changes.stopped_late(of(), stopped()) == {
        "stop_said": (STILL_LATER, 3_000),
        "flags": ("late-stop",),
        "changed_at": NOW,
    }


@pytest.mark.parametrize(
    ("start", "end", "flags"),
    [
        (NOON, LATER, ()),
        (datetime(1970, 1, 1, tzinfo=UTC), LATER, ("clock-wrong",)),
        (NOON, NOW + timedelta(days=400), ("clock-wrong",)),
        (None, None, ()),
    ],
)
def test_times_that_nobody_can_have_seen_are_flagged(
    start: datetime | None, end: datetime | None, flags: tuple[str, ...]
):
    charge = with_(start_timestamp=start, stop_timestamp=end)
    assert changes.clock_flags(charge, stopped()) == flags


@pytest.mark.parametrize(
    ("charge", "at", "meter_wh"),
    [
        (with_(meter_last_wh=2_000, meter_last_at=LATER), LATER, 2_000),
        (with_(meter_last_wh=0, meter_last_at=LATER), LATER, 0),
        (RUNNING, NOON, 1_000),
        (Charge(number=7), NOW, None),
    ],
)
def test_an_end_that_nobody_reported_is_what_was_seen_last(charge: Charge, at: datetime, meter_wh: int | None):
    changed = changes.reconciled(of(charge), DeadlineReached(at=NOW), "nothing was heard")
    ended = with_(charge, stop_timestamp=at, meter_stop_wh=meter_wh, reason="Reconciled", estimated=True)
    assert charge_after(changed) == ended
    assert (changed["cause"], changed["finished_at"], changed["changed_at"]) == ("nothing was heard", NOW, NOW)
    assert "estimated" in changed["flags"]


def test_the_end_of_a_charge_whose_clock_was_never_set_says_so_also_where_nobody_reported_it():
    never_set = with_(start_timestamp=datetime(1970, 1, 1, tzinfo=UTC))
    assert "clock-wrong" in changes.reconciled(of(never_set), DeadlineReached(at=NOW), "silence")["flags"]


# -- doubt -------------------------------------------------------------------------------------------------------------


def test_a_doubt_begins_once_and_has_its_flag():
    deadlines = ChargingDeadlines(reconcile_s=60)
    first = changes.doubted(of(deadlines=deadlines), StationDoubted(at=NOW, reason="boot"))
    assert first == {"doubted_until": NOW + timedelta(seconds=60), "flags": (DOUBTED,), "changed_at": NOW}
    again = changes.doubted(of(deadlines=deadlines, doubted_until=LATER), StationDoubted(at=NOW, reason="boot"))
    assert again["doubted_until"] == LATER


# -- guards and effects ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verdict", CallVerdict)
def test_only_a_command_of_this_purpose_that_certainly_did_nothing_has_failed(verdict: CallVerdict):
    certain = verdict in {CallVerdict.REJECTED, CallVerdict.ERROR, CallVerdict.NEVER_SENT}
    for purpose in ("start", "stop"):
        answered = StationAnswered(at=NOW, purpose=purpose, outcome=CallOutcome(verdict=verdict))
        assert changes.call_failed("stop")(of(), answered) is (certain and purpose == "stop")


def test_effects_go_to_the_station_of_the_charge():
    assert list(changes.release(of(), of(), read())) == [ReleaseConnector(station="CS01")]
    assert list(changes.look_after(of(), of(), read())) == [LookAfterCharge(station="CS01")]
