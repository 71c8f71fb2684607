"""What several messages of OCPP 1.6 have in common: idTagInfo, meter values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import groupby
from typing import Any

from protocols.ocpp.fields import given, present, read_optional_time, read_time, write_optional_time, write_time
from statecharts.station_reports import MeterSample
from statecharts.station_vocabulary import IdTagInfo, IdTagStatus

# -- idTagInfo ---------------------------------------------------------------------------------------------------------


def write_id_tag_info(info: IdTagInfo | None) -> dict[str, Any] | None:
    if info is None:
        return None
    return present(
        status=info.status.value,
        expiryDate=write_optional_time(info.expiry_date),
        parentIdTag=info.parent_id_tag,
    )


def read_id_tag_info(info: Any) -> IdTagInfo | None:
    if given(info) is None:
        return None
    return IdTagInfo(
        status=IdTagStatus(info.status),
        expiry_date=read_optional_time(info.expiryDate),
        parent_id_tag=given(info.parentIdTag),
    )


# -- meter values ------------------------------------------------------------------------------------------------------

_ENERGY = "Energy."
_DEFAULTS: dict[str, str] = {word: word for word in MeterSample.__struct_defaults__ if isinstance(word, str)}
"""A word that is a default -> the default itself. msgspec leaves out what *is* its default, not what equals it, and the
journal holds half as much without them."""


def read_meter_values(meter_values: Any) -> tuple[MeterSample, ...]:
    """All sampled values in their order, with the defaults of OCPP 1.6, 7.28, filled in; values stay text."""
    samples: list[MeterSample] = []
    for element in given(meter_values) or ():
        timestamp = read_time(element.timestamp)
        samples += [_read_sample(sample, timestamp) for sample in element.sampledValue]
    return tuple(samples)


def _read_sample(sample: Any, timestamp: datetime) -> MeterSample:
    known, measurand = _DEFAULTS.get, sample.measurand or "Energy.Active.Import.Register"
    # 7.28: Wh is the default of the energy measurands only; a voltage without a unit has none we may invent.
    unit = sample.unit or ("Wh" if measurand.startswith(_ENERGY) else "")
    context, location, form = sample.context or "Sample.Periodic", sample.location or "Outlet", sample.format or "Raw"
    return MeterSample(
        timestamp=timestamp,
        value=sample.value,
        measurand=known(measurand, measurand),
        unit=known(unit, unit),
        context=known(context, context),
        phase=sample.phase or None,
        location=known(location, location),
        format=known(form, form),
    )


def write_meter_values(samples: Iterable[MeterSample]) -> list[Mapping[str, Any]]:
    """One MeterValue for each run of samples with the same time."""
    return [
        {"timestamp": write_time(timestamp), "sampledValue": [_write_sample(sample) for sample in group]}
        for timestamp, group in groupby(samples, key=lambda sample: sample.timestamp)
    ]


def _write_sample(sample: MeterSample) -> dict[str, Any]:
    return present(
        value=sample.value,
        measurand=sample.measurand,
        unit=sample.unit or None,
        context=sample.context,
        phase=sample.phase,
        location=sample.location,
        format=sample.format,
    )
