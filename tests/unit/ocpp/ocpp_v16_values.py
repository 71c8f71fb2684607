"""Hypothesis strategies for the values that several messages of OCPP 1.6 share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st
from ocpp.v16 import enums

from statecharts import station_vocabulary as values
from statecharts.station_reports import MeterSample


def texts(longest: int) -> st.SearchStrategy[str]:
    return st.text(st.characters(exclude_categories=["Cs"]), max_size=longest)


def one_of(enum: Any) -> st.SearchStrategy[str]:
    return st.sampled_from([member.value for member in enum])


UNITS = [unit.value for unit in enums.UnitOfMeasure if unit.value != "Celsius"]
INTEGERS = st.integers(-(2**31), 2**31 - 1)
WATT_HOURS = st.integers(0, 2**53)
MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
CLOCKS = MOMENTS.map(lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000))
SAMPLES = st.builds(
    MeterSample,
    timestamp=MOMENTS,
    value=st.text("0123456789.-", min_size=1, max_size=12),
    measurand=one_of(enums.Measurand),
    unit=st.sampled_from(UNITS),
    context=one_of(enums.ReadingContext),
    phase=st.none() | one_of(enums.Phase),
    location=one_of(enums.Location),
    format=one_of(enums.ValueFormat),
)
ID_TAG_INFO = st.builds(
    values.IdTagInfo,
    status=st.sampled_from(values.IdTagStatus),
    expiry_date=st.none() | MOMENTS,
    parent_id_tag=st.none() | texts(20),
)
