"""What several messages of OCPP 2.x have in common: idTokens, EVSEs, meter values, and what only one version has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from itertools import groupby
from typing import Any

import msgspec

from protocols.ocpp.fields import given, present, read_optional_time, read_time, write_optional_time, write_time
from statecharts.limits import SAMPLE_WORDS_KEPT
from statecharts.station_reports import MeterSample
from statecharts.station_vocabulary import IdTagInfo, IdTagStatus


def said(payload: Any, field: str) -> Any:
    """The value of a field that the version need not have, None where it was left out."""
    return given(getattr(payload, field, None))


def plain(value: Any) -> Any:
    """A part of a payload as JSON has it."""
    return msgspec.to_builtins(value)


# -- idTokens ----------------------------------------------------------------------------------------------------------

_AUTHORIZATION_IDENTIFIER = re.compile(r"[0-9A-F]{12}")


def write_id_token(id_tag: str) -> dict[str, Any]:
    """An authorizationIdentifier is a token of the central system's own making; any other is taken for a card's."""
    central = _AUTHORIZATION_IDENTIFIER.fullmatch(id_tag)
    return {"idToken": id_tag, "type": "Central" if central else "ISO14443"}


def read_id_token(token: Any) -> str:
    """The token's text; a token without one (NoAuthorization) stands for nobody in particular, by its type."""
    text: str = token.idToken or token.type
    return text


def write_optional_token(id_tag: str | None) -> dict[str, Any] | None:
    return None if id_tag is None else write_id_token(id_tag)


def read_optional_token(token: Any) -> str | None:
    return None if given(token) is None else read_id_token(token)


_READ_STATUSES = {
    "Accepted": IdTagStatus.ACCEPTED,
    "Blocked": IdTagStatus.BLOCKED,
    "NoCredit": IdTagStatus.BLOCKED,
    "NotAllowedTypeEVSE": IdTagStatus.BLOCKED,
    "NotAtThisLocation": IdTagStatus.BLOCKED,
    "NotAtThisTime": IdTagStatus.BLOCKED,
    "Expired": IdTagStatus.EXPIRED,
    "ConcurrentTx": IdTagStatus.CONCURRENT_TX,
}
"""AuthorizationStatusEnumType in the words of OCPP 1.6; Unknown, and what nobody knows, is Invalid."""


def write_id_token_info(info: IdTagInfo | None) -> dict[str, Any] | None:
    if info is None:
        return None
    return present(
        status=info.status.value,
        cacheExpiryDateTime=write_optional_time(info.expiry_date),
        groupIdToken=write_optional_token(info.parent_id_tag),
    )


def read_id_token_info(info: Any) -> IdTagInfo | None:
    if given(info) is None:
        return None
    return IdTagInfo(
        status=_READ_STATUSES.get(info.status, IdTagStatus.INVALID),
        expiry_date=read_optional_time(info.cacheExpiryDateTime),
        parent_id_tag=read_optional_token(info.groupIdToken),
    )


# -- EVSEs -------------------------------------------------------------------------------------------------------------


def write_evse(connector_id: int | None, plug_id: int | None = None) -> dict[str, Any] | None:
    """An EVSE; none for the whole station."""
    return present(id=connector_id, connectorId=plug_id) if connector_id else None


def read_evse(evse: Any) -> int | None:
    return None if given(evse) is None else evse.id


def read_plug(evse: Any) -> int | None:
    return None if given(evse) is None else given(evse.connectorId)


# -- meter values ------------------------------------------------------------------------------------------------------

_ENERGY = "Energy."
_DEFAULTS: dict[str, str] = {word: word for word in MeterSample.__struct_defaults__ if isinstance(word, str)}
"""A word that is a default -> the default itself, which msgspec leaves out of the journal."""


def read_meter_values(meter_values: Any) -> tuple[MeterSample, ...]:
    """All sampled values in their order, with their defaults filled in; a value as text, in its unit itself."""
    samples: list[MeterSample] = []
    for element in given(meter_values) or ():
        timestamp = read_time(element.timestamp)
        samples += [_read_sample(sample, timestamp) for sample in element.sampledValue]
    return tuple(samples)


def _read_sample(sample: Any, timestamp: Any) -> MeterSample:
    said, value = sample.unitOfMeasure, sample.value
    unit, multiplier = (said.unit or "", said.multiplier) if said else ("", 0)
    measurand, unit, context, location = _words(sample.measurand, unit, sample.context, sample.location)
    return MeterSample(
        timestamp=timestamp,
        value=_scaled(value, multiplier) if multiplier else str(int(value)) if value.is_integer() else repr(value),
        measurand=measurand,
        unit=unit,
        context=context,
        phase=sample.phase or None,
        location=location,
    )


@lru_cache(maxsize=SAMPLE_WORDS_KEPT.limit)
def _words(measurand: Any, unit: str, context: Any, location: Any) -> tuple[str, str, str, str]:
    """The words of a sample with their defaults filled in: a station says the same ones in every message."""
    known, measurand = _DEFAULTS.get, measurand or "Energy.Active.Import.Register"
    unit = unit or ("Wh" if measurand.startswith(_ENERGY) else "")
    context, location = context or "Sample.Periodic", location or "Outlet"
    return known(measurand, measurand), known(unit, unit), known(context, context), known(location, location)


def _scaled(value: float, multiplier: int) -> str:
    """The value times a power of ten as text, through Decimal (OCPP 2.0.1, UnitOfMeasureType)."""
    if abs(multiplier) > _POWERS_SANE:
        return f"{value!r}E{multiplier}"
    return format(Decimal(repr(value)).scaleb(multiplier).normalize(), "f")


_POWERS_SANE = 30
"""Ten to a higher power is no quantity of a charging station; it stays as it was written."""


def write_meter_values(samples: Iterable[MeterSample]) -> list[Mapping[str, Any]]:
    """One MeterValue for each run of samples with the same time. Raises msgspec.ValidationError for no number."""
    return [
        {"timestamp": write_time(timestamp), "sampledValue": [_write_sample(sample) for sample in group]}
        for timestamp, group in groupby(samples, key=lambda sample: sample.timestamp)
    ]


def _write_sample(sample: MeterSample) -> dict[str, Any]:
    try:
        value = float(Decimal(sample.value))
    except InvalidOperation:
        raise msgspec.ValidationError(f"{sample.value!r:.60} is no number, which OCPP 2.x wants") from None
    return present(
        value=value,
        measurand=sample.measurand,
        unitOfMeasure={"unit": sample.unit} if sample.unit else None,
        context=sample.context,
        phase=sample.phase,
        location=sample.location,
    )
