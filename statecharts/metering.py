"""Which of a station's sampled values is the energy register, and what it reads in integer watt-hours."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

from statecharts.station_reports import MeterSample

ENERGY_REGISTER = "Energy.Active.Import.Register"
REGISTER_DIGITS = 18
"""No meter counts further, in Wh; and so many a journal and a database can hold."""

TO_WH = {"wh": Decimal(1), "kwh": Decimal(1000)}
"""By unit in small letters: some stations write Kwh."""


def register_wh(sample: MeterSample) -> int | None:
    """The reading of one sample if it is the whole station outlet's energy import register, else None.

    A sum over all phases has no phase; a value that is no finite number, or one that no meter has, or signed data,
    reads as None.
    """
    if sample.measurand != ENERGY_REGISTER or sample.phase is not None or sample.unit.lower() not in TO_WH:
        return None
    try:
        value, unit_wh = Decimal(sample.value), TO_WH[sample.unit.lower()]
        # A few characters may name a number of a million digits.
        if not value.is_finite() or value.adjusted() + unit_wh.adjusted() >= REGISTER_DIGITS:
            return None
        return int((value * unit_wh).to_integral_value(ROUND_HALF_UP))
    except InvalidOperation:
        return None


def newest_register(samples: Iterable[MeterSample]) -> tuple[MeterSample, int] | None:
    """The newest energy reading among these samples, with its value in Wh."""
    return max(_registers(samples), key=lambda reading: reading[0].timestamp, default=None)


def oldest_register(samples: Iterable[MeterSample]) -> tuple[MeterSample, int] | None:
    """The oldest energy reading among these samples, with its value in Wh."""
    return min(_registers(samples), key=lambda reading: reading[0].timestamp, default=None)


def _registers(samples: Iterable[MeterSample]) -> list[tuple[MeterSample, int]]:
    energy = [sample for sample in samples if sample.measurand == ENERGY_REGISTER]
    return [(sample, wh) for sample in energy if (wh := register_wh(sample)) is not None]
