"""What charging profiles come to at a moment, and over a time (OCPP 1.6 section 3.13)."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statecharts.charging_limits import Charging, Installed, composite, limit_w
from statecharts.station_vocabulary import ChargingPeriod, ChargingProfile, ChargingSchedule

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HERE = Charging(connector_id=1, power_w=11_000, since=NOON - timedelta(minutes=10))
DAY_S = 86_400


def installed(*limits: tuple[int, int], connector: int = 1, unit: str = "W", **more: Any) -> Installed:
    """A profile whose schedule has these (start in seconds, limit)."""
    periods = tuple(ChargingPeriod(start_s=start_s, limit=Decimal(limit)) for start_s, limit in limits)
    schedule = ChargingSchedule(
        rate_unit=unit, periods=periods, duration_s=more.pop("duration_s", None), starts_at=more.pop("starts_at", None)
    )
    whole = {"profile_id": 1, "stack_level": 0, "purpose": "TxDefaultProfile", "kind": "Absolute", **more}
    return Installed(connector_id=connector, profile=ChargingProfile(schedules=(schedule,), **whole))


@pytest.mark.parametrize(
    ("profiles", "limit"),
    [
        ([], 11_000),
        ([installed((0, 4_000), starts_at=NOON)], 4_000),
        ([installed((0, 4_000), starts_at=NOON + timedelta(hours=1))], 11_000),
        ([installed((0, 99_000))], 11_000),
        ([installed((0, 4_000), connector=2)], 11_000),
        ([installed((0, 4_000), connector=0)], 4_000),
        ([installed((0, 4_000), connector=0, stack_level=3), installed((0, 5_000))], 5_000),
        ([installed((0, 4_000)), installed((0, 5_000), stack_level=1)], 5_000),
        ([installed((0, 4_000)), installed((0, 5_000), purpose="TxProfile")], 5_000),
        ([installed((0, 4_000), connector=0, purpose="ChargingStationMaxProfile"), installed((0, 5_000))], 4_000),
        ([installed((0, 10), unit="A")], 6_900),
        ([installed((0, 4_000), valid_from=NOON + timedelta(seconds=1))], 11_000),
        ([installed((0, 4_000), valid_to=NOON)], 11_000),
        ([installed((0, 4_000), starts_at=NOON - timedelta(hours=1), duration_s=3_600)], 11_000),
        ([installed((0, 4_000), (600, 2_000), kind="Relative")], 2_000),
        ([installed((0, 4_000), (601, 2_000), kind="Relative")], 4_000),
        (
            [
                installed(
                    (0, 4_000), (43_200, 2_000), kind="Recurring", recurrency="Daily", starts_at=NOON.replace(hour=0)
                )
            ],
            2_000,
        ),
    ],
)
def test_the_limit_of_a_moment(profiles: list[Installed], limit: int) -> None:
    assert limit_w(profiles, HERE, NOON) == limit


def test_a_profile_of_a_transaction_says_nothing_while_none_runs() -> None:
    idle = Charging(connector_id=1, power_w=11_000)
    assert limit_w([installed((0, 4_000), purpose="TxProfile")], idle, NOON) == 11_000


def test_a_weekly_profile_says_the_same_a_week_later_and_before_it_began() -> None:
    weekly = installed((0, 4_000), (DAY_S, 2_000), kind="Recurring", recurrency="Weekly", starts_at=NOON)
    later = [limit_w([weekly], HERE, NOON + timedelta(days=days)) for days in (0, 1, 6, 7, 8, 70)]
    assert later == [4_000, 2_000, 2_000, 4_000, 2_000, 4_000]


def test_a_composite_schedule_has_a_period_for_each_limit() -> None:
    nights = installed(
        (0, 3_000), (6 * 3_600, 7_000), kind="Recurring", recurrency="Daily", starts_at=NOON.replace(hour=0)
    )
    periods = composite([nights], HERE, NOON, DAY_S)
    assert [(period.start_s, period.limit) for period in periods] == [(0, 7_000), (43_200, 3_000), (64_800, 7_000)]


LIMITS = st.lists(
    st.tuples(st.integers(0, DAY_S), st.integers(0, 20_000)), min_size=1, max_size=4, unique_by=lambda limit: limit[0]
)
PROFILES = st.lists(
    st.builds(
        lambda limits, **more: installed(*sorted(limits), **more),
        LIMITS,
        connector=st.integers(0, 2),
        purpose=st.sampled_from(["TxDefaultProfile", "TxProfile", "ChargingStationMaxProfile"]),
        kind=st.sampled_from(["Absolute", "Relative", "Recurring"]),
        recurrency=st.sampled_from(["Daily", "Weekly", None]),
        stack_level=st.integers(0, 3),
        starts_at=st.sampled_from([None, NOON - timedelta(days=3), NOON + timedelta(hours=2)]),
        duration_s=st.sampled_from([None, 1_800, DAY_S]),
    ),
    max_size=4,
)


@given(PROFILES, st.integers(0, DAY_S - 1))
def test_a_composite_schedule_says_of_every_moment_what_its_limit_is(profiles: list[Installed], at_s: int) -> None:
    periods = composite(profiles, HERE, NOON, DAY_S)
    assert periods[0].start_s == 0
    assert all(earlier.start_s < later.start_s for earlier, later in itertools.pairwise(periods))
    valid = [period for period in periods if period.start_s <= at_s][-1]
    assert valid.limit == limit_w(profiles, HERE, NOON + timedelta(seconds=at_s)) <= HERE.power_w
