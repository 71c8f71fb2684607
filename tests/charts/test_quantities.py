"""Registers, distances and pauses: the numbers that charts and doors are told, exactly."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statecharts.delivery import backoff_s
from statecharts.metering import newest_register, register_wh
from statecharts.places import EARTH_RADIUS_M, distance_m, service_status
from statecharts.station_reports import ConnectorStatus, MeterSample
from statecharts.vocabulary import Location, ServiceStatus

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

# -- registers ---------------------------------------------------------------------------------------------------------


def sample(value: str, unit: str = "Wh", at: datetime = NOON, **other: str) -> MeterSample:
    return MeterSample(timestamp=at, value=value, unit=unit, **other)


@given(ten_thousandths=st.integers(-(10**12), 10**12))
def test_a_register_in_kwh_is_whole_watt_hours_half_rounded_away_from_zero(ten_thousandths: int) -> None:
    text = str(Decimal(ten_thousandths) / 10_000)
    tenths_wh = abs(ten_thousandths)
    expected = math.copysign(1, ten_thousandths) * ((tenths_wh + 5) // 10)
    assert register_wh(sample(text, "kWh")) == expected
    assert register_wh(sample(text.replace(".", ""), "Wh")) == int(text.replace(".", ""))


@pytest.mark.parametrize(
    "other",
    [
        {"measurand": "Energy.Active.Export.Register"},
        {"measurand": "Energy.Active.Import.Register", "phase": "L1"},
        {"unit": "kVAh"},
        {"unit": ""},
        {"value": "NaN"},
        {"value": "-Infinity"},
        {"value": "much"},
        {"value": ""},
        {"value": "1E999999"},
        {"value": "1E1000000"},
        {"value": "1E18"},
        {"value": "1E15", "unit": "kWh"},
        {"value": "9" * 5_000},
    ],
)
def test_what_is_no_reading_of_the_whole_import_register_reads_as_none(other: dict[str, str]) -> None:
    said = {"value": "1000", **other}
    assert register_wh(sample(**said)) is None
    assert newest_register([sample(**said)]) is None
    assert newest_register([sample(**said), sample("7")]) == (sample("7"), 7)


@given(st.permutations([(3, "30"), (1, "90"), (2, "10")]))
def test_the_newest_reading_counts_wherever_it_stands_and_whatever_it_says(said: list[tuple[int, str]]) -> None:
    found = newest_register(sample(value, at=NOON + timedelta(hours=hour)) for hour, value in said)
    assert found == (sample("30", at=NOON + timedelta(hours=3)), 30)


# -- distances ---------------------------------------------------------------------------------------------------------


def at(latitude: float, longitude: float) -> Location:
    return Location(latitude=Decimal(str(latitude)), longitude=Decimal(str(longitude)))


HALF_ROUND = math.pi * EARTH_RADIUS_M


@pytest.mark.parametrize(
    ("a", "b", "metres"),
    [
        (at(0, 0), at(0, 90), HALF_ROUND / 2),
        (at(0, 0), at(0, 180), HALF_ROUND),
        (at(-90, 0), at(90, 0), HALF_ROUND),
        (at(60, 0), at(60, 180), HALF_ROUND / 3),  # over the pole
        (at(53.3498, -6.2603), at(51.5074, -0.1278), 463_312),  # Dublin and London: 464 km along the ellipsoid
    ],
)
def test_distances_are_those_of_a_globe(a: Location, b: Location, metres: float) -> None:
    assert distance_m(a, b) == distance_m(b, a) == pytest.approx(metres, abs=1)


def by_cosines(a: Location, b: Location) -> float:
    """The same by the spherical law of cosines, which is exact enough except for neighbours."""
    lat_a, lat_b = math.radians(a.latitude), math.radians(b.latitude)
    turn = math.cos(math.radians(b.longitude - a.longitude))
    cosine = math.sin(lat_a) * math.sin(lat_b) + math.cos(lat_a) * math.cos(lat_b) * turn
    return EARTH_RADIUS_M * math.acos(max(-1.0, min(1.0, cosine)))


PLACES = st.builds(at, st.integers(-900, 900).map(lambda n: n / 10), st.integers(-1800, 1800).map(lambda n: n / 10))


@given(PLACES, PLACES)
def test_no_two_places_are_further_apart_than_half_the_globe(a: Location, b: Location) -> None:
    assert 0 <= distance_m(a, b) <= round(HALF_ROUND)
    assert distance_m(a, b) == pytest.approx(by_cosines(a, b), abs=2)
    opposite = at(-float(a.latitude), float(a.longitude) - math.copysign(180, float(a.longitude)))
    assert distance_m(a, opposite) == pytest.approx(HALF_ROUND, abs=1)


@pytest.mark.parametrize(
    ("states", "free", "in_service", "shown"),
    [
        ({}, (), True, ServiceStatus.UNKNOWN),
        ({1: "Unknown"}, (), True, ServiceStatus.UNKNOWN),
        ({1: "Unknown", 2: ConnectorStatus.FAULTED}, (), True, ServiceStatus.OUT_OF_SERVICE),
        ({1: ConnectorStatus.FAULTED, 2: ConnectorStatus.CHARGING}, (), True, ServiceStatus.IN_USE),
        ({1: ConnectorStatus.AVAILABLE}, (), True, ServiceStatus.IN_USE),  # held for a start that was asked for
        ({1: ConnectorStatus.FAULTED, 2: ConnectorStatus.AVAILABLE}, (2,), True, ServiceStatus.AVAILABLE),
        ({1: ConnectorStatus.AVAILABLE}, (1,), False, ServiceStatus.UNKNOWN),
    ],
)
def test_a_station_is_shown_as_good_as_its_best_connector(
    states: dict[int, str], free: Iterable[int], in_service: bool, shown: ServiceStatus
) -> None:
    assert service_status(states, free, in_service=in_service) is shown


# -- pauses ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attempts", "jitter", "pause_s"),
    [
        (0, 0.0, 1),
        (3, 0.0, 8),
        (3, 0.5, 6),
        (3, 1.0, 4),
        (9, 0.0, 512),
        (10, 0.0, 900),
        (10, 1.0, 450),
        (10**9, 0.0, 900),
    ],
)
def test_pauses_double_up_to_the_cap_less_up_to_half_of_it(attempts: int, jitter: float, pause_s: float) -> None:
    assert backoff_s(attempts, jitter, base_s=1, cap_s=900) == pause_s
