"""Energy in whole watt-hours, times in UTC, places in decimal degrees: exactly, or refused."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mobieurope_samples import energies, locations, times

from protocols.mobieurope.mapping import (
    Unreadable,
    read_boolean,
    read_energy,
    read_location,
    read_long,
    read_time,
    write_energy,
    write_location,
    write_time,
)
from statecharts.limits import DEGREES_DECIMALS
from statecharts.vocabulary import EnergyUnit, Location


@given(energies, st.sampled_from(EnergyUnit))
def test_energy_is_written_exactly_and_read_back(energy_wh: int, unit: EnergyUnit) -> None:
    assert read_energy(write_energy(energy_wh, unit), unit) == energy_wh


@pytest.mark.parametrize(
    ("energy_wh", "unit", "text"),
    [
        (12345, EnergyUnit.WH, "12345"),
        (12345, EnergyUnit.KWH, "12.345"),
        (0, EnergyUnit.KWH, "0.000"),
        (1, EnergyUnit.KWH, "0.001"),
        (-1, EnergyUnit.WH, "-1"),
        (2**63 - 1, EnergyUnit.KWH, "9223372036854775.807"),
    ],
)
def test_energy_is_written_in_the_configured_unit(energy_wh: int, unit: EnergyUnit, text: str) -> None:
    assert write_energy(energy_wh, unit) == text


@pytest.mark.parametrize(
    ("text", "unit", "energy_wh"),
    [
        ("12345.5", EnergyUnit.WH, 12346),
        ("12345.4999", EnergyUnit.WH, 12345),
        ("-0.5", EnergyUnit.WH, -1),
        ("12.3455", EnergyUnit.KWH, 12346),
        ("1.2345E1", EnergyUnit.KWH, 12345),
        (" 0.29 ", EnergyUnit.KWH, 290),  # by float, 0.29 kWh would be 290.00000000000006 Wh or 289.99999999999994
        ("-0", EnergyUnit.WH, 0),
        ("1E-400", EnergyUnit.WH, 0),
        ("0.0004" + "9" * 40, EnergyUnit.KWH, 0),
    ],
)
def test_energy_is_read_half_up_to_whole_watt_hours(text: str, unit: EnergyUnit, energy_wh: int) -> None:
    assert read_energy(text, unit) == energy_wh


@pytest.mark.parametrize(
    "text", ["NaN", "INF", "-INF", "1E400", "1E999999999", "9223372036854775808", "1E99999999999999999999"]
)
def test_what_is_no_amount_of_energy_is_refused(text: str) -> None:
    for unit in EnergyUnit:
        with pytest.raises(Unreadable, match="energyConsumed"):
            read_energy(text, unit)


@given(times)
def test_times_are_written_in_utc_with_z_and_read_back(time: datetime) -> None:
    text = write_time(time)
    assert text.endswith("Z")
    assert read_time(text) == time


def test_a_machine_in_another_zone_says_and_reads_utc(machine_in_lisbon: None) -> None:
    noon = datetime(2026, 5, 4, 12, tzinfo=UTC)
    assert write_time(noon) == "2026-05-04T12:00:00Z"
    assert read_time("2026-05-04T12:00:00").isoformat() == "2026-05-04T12:00:00+00:00"


def test_a_naive_time_is_never_written() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        write_time(datetime(2024, 5, 17))


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2024-05-17T12:00:00", datetime(2024, 5, 17, 12, tzinfo=UTC)),
        ("2024-05-17T12:00:00+02:00", datetime(2024, 5, 17, 10, tzinfo=UTC)),
        (" 2024-05-17T12:00:00Z\n", datetime(2024, 5, 17, 12, tzinfo=UTC)),
        ("2024-05-17T12:00:00.123456789Z", datetime(2024, 5, 17, 12, 0, 0, 123456, tzinfo=UTC)),
        ("2024-05-17T12:00:00.5-11:30", datetime(2024, 5, 17, 23, 30, 0, 500000, tzinfo=UTC)),
        ("2024-12-31T24:00:00Z", datetime(2025, 1, 1, tzinfo=UTC)),
    ],
)
def test_times_are_read_with_any_offset(text: str, time: datetime) -> None:
    assert read_time(text) == time


@pytest.mark.parametrize(
    "text", ["-0001-01-01T00:00:00Z", "12024-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T24:00:00Z"]
)
def test_times_beyond_the_calendar_are_refused(text: str) -> None:
    with pytest.raises(Unreadable, match="time"):
        read_time(text)


def test_booleans_are_read_in_all_their_spellings() -> None:
    assert [read_boolean(text) for text in ("true", "1", " true ", "false", "0", "\n0")] == [True] * 3 + [False] * 3


def test_longs_are_read_with_any_number_of_zeros() -> None:
    assert [read_long(text) for text in (" 5 ", "+5", "-0", "0" * 10_000 + "7", str(2**63 - 1))] == [
        5,
        5,
        0,
        7,
        2**63 - 1,
    ]


@given(locations)
def test_d25_decimal_coordinates_are_read(location: object) -> None:
    assert read_location(SimpleNamespace(**write_location(location))) == location


def test_d25_coordinates_keep_every_digit() -> None:
    near_nothing = Location(latitude=Decimal("0.0000001"), longitude=Decimal("-1E-8"))
    assert write_location(near_nothing) == {"latitude": "0.0000001", "longitude": "-0.00000001"}
    location = read_location(SimpleNamespace(latitude="53.34980500", longitude=" -6.26031"))
    assert (location.latitude, location.longitude) == (Decimal("53.34980500"), Decimal("-6.26031"))
    assert write_location(location) == {"latitude": "53.34980500", "longitude": "-6.26031"}


@pytest.mark.parametrize("latitude", ["", "north", "90.1", "-91", "NaN", "Infinity", "1E-999999", None])
def test_what_is_no_latitude_is_refused(latitude: str | None) -> None:
    with pytest.raises(Unreadable, match="latitude"):
        read_location(SimpleNamespace(latitude=latitude, longitude="0"))


@pytest.mark.parametrize("side", [1, -1])
def test_coordinates_reach_to_the_poles_and_around_the_world_and_no_further(side: int) -> None:
    location = read_location(SimpleNamespace(latitude=str(90 * side), longitude=str(180 * side)))
    assert (location.latitude, location.longitude) == (90 * side, 180 * side)
    for latitude, longitude, wrong in (("90.1", "0", "latitude"), ("0", "180.1", "longitude")):
        sign = "-" if side < 0 else ""
        with pytest.raises(Unreadable, match=f"^{wrong} .* between -"):
            read_location(SimpleNamespace(latitude=sign + latitude, longitude=sign + longitude))


def test_coordinates_have_as_many_digits_as_the_limit_says() -> None:
    finest = "0." + "1" * DEGREES_DECIMALS.limit
    assert read_location(SimpleNamespace(latitude=finest, longitude="0")).latitude == Decimal(finest)
    with pytest.raises(Unreadable, match="latitude"):
        read_location(SimpleNamespace(latitude=finest + "1", longitude="0"))


@pytest.mark.parametrize("sign", ["", "-"])
def test_energy_reaches_to_the_limit_and_no_further(sign: str) -> None:
    most = int(f"{sign}{2**63 - 1}")
    assert read_energy(f"{sign}9223372036854775807", EnergyUnit.WH) == most
    assert read_energy(f"{sign}9223372036854775.8074", EnergyUnit.KWH) == most
    for text, unit in (("9223372036854775808", EnergyUnit.WH), ("9223372036854775.8075", EnergyUnit.KWH)):
        with pytest.raises(Unreadable, match="energyConsumed"):
            read_energy(sign + text, unit)
