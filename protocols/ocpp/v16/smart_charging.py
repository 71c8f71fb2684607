"""OCPP 1.6 smart charging profile: sections 3.13, 5.5, 5.7, 5.16, 7.8 and 7.13."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from protocols.ocpp.dialect import Content
from protocols.ocpp.exchanges import command
from protocols.ocpp.fields import given, present, read_optional_time, translation, write_optional_time
from statecharts.station_commands import ClearChargingProfile, GetCompositeSchedule, SetChargingProfile
from statecharts.station_vocabulary import ChargingPeriod, ChargingProfile, ChargingSchedule

STATION_MAX, TX_DEFAULT, TX = "ChargingStationMaxProfile", "TxDefaultProfile", "TxProfile"
_TENTH = Decimal("0.1")

_purpose_said, _purpose_read = translation({STATION_MAX: "ChargePointMaxProfile"})


# -- profiles ----------------------------------------------------------------------------------------------------------


def write_charging_profile(profile: ChargingProfile) -> Content:
    """The profile as OCPP 1.6 has it, which knows one schedule. Raises msgspec.ValidationError for several."""
    if len(profile.schedules) != 1:
        raise msgspec.ValidationError(f"a profile of OCPP 1.6 has one schedule, not {len(profile.schedules)}")
    return present(
        chargingProfileId=profile.profile_id,
        transactionId=profile.transaction_id,
        stackLevel=profile.stack_level,
        chargingProfilePurpose=_purpose_said(profile.purpose),
        chargingProfileKind=profile.kind,
        recurrencyKind=profile.recurrency,
        validFrom=write_optional_time(profile.valid_from),
        validTo=write_optional_time(profile.valid_to),
        chargingSchedule=_write_schedule(profile.schedules[0]),
    )


def read_charging_profile(profile: Any) -> ChargingProfile:
    return ChargingProfile(
        profile_id=profile.chargingProfileId,
        transaction_id=given(profile.transactionId),
        stack_level=profile.stackLevel,
        purpose=_purpose_read(profile.chargingProfilePurpose),
        kind=profile.chargingProfileKind,
        recurrency=given(profile.recurrencyKind),
        valid_from=read_optional_time(profile.validFrom),
        valid_to=read_optional_time(profile.validTo),
        schedules=(_read_schedule(profile.chargingSchedule),),
    )


def _write_schedule(schedule: ChargingSchedule) -> Content:
    return present(
        duration=schedule.duration_s,
        startSchedule=write_optional_time(schedule.starts_at),
        chargingRateUnit=schedule.rate_unit,
        chargingSchedulePeriod=[_write_period(period) for period in schedule.periods],
        minChargingRate=None if schedule.rate_min is None else _write_rate(schedule.rate_min),
    )


def _write_period(period: ChargingPeriod) -> Content:
    return present(startPeriod=period.start_s, limit=_write_rate(period.limit), numberPhases=period.phases)


def _write_rate(rate: Decimal) -> float:
    """Asked of the Decimal: as floats, 21.4 is no multiple of 0.1."""
    if not rate.is_finite() or rate % _TENTH:
        raise msgspec.ValidationError(f"a charging rate is a multiple of 0.1 (OCPP 1.6, 7.13), not {rate}")
    return float(rate)


def _read_schedule(schedule: Any) -> ChargingSchedule:
    rate_min = given(schedule.minChargingRate)
    return ChargingSchedule(
        duration_s=given(schedule.duration),
        starts_at=read_optional_time(schedule.startSchedule),
        rate_unit=schedule.chargingRateUnit,
        periods=tuple(_read_period(period) for period in schedule.chargingSchedulePeriod),
        rate_min=None if rate_min is None else _read_rate(rate_min),
    )


def _read_period(period: Any) -> ChargingPeriod:
    return ChargingPeriod(start_s=period.startPeriod, limit=_read_rate(period.limit), phases=given(period.numberPhases))


def _read_rate(rate: float) -> Decimal:
    """As it was written: the shortest text of a float is that of its JSON."""
    return Decimal(str(rate))


# -- commands ----------------------------------------------------------------------------------------------------------


def _write_set(order: SetChargingProfile) -> Content:
    purpose, whole_station = order.charging_profile.purpose, order.connector_id == 0
    if (purpose == STATION_MAX and not whole_station) or (purpose == TX and whole_station):
        where = "connector 0" if purpose == STATION_MAX else "a connector"
        raise msgspec.ValidationError(f"a {purpose} is set for {where} (OCPP 1.6, 3.13)")
    return {"connectorId": order.connector_id, "csChargingProfiles": write_charging_profile(order.charging_profile)}


def _read_set(payload: Any) -> SetChargingProfile:
    profile = read_charging_profile(payload.csChargingProfiles)
    return SetChargingProfile(connector_id=payload.connectorId, charging_profile=profile)


def _write_clear(order: ClearChargingProfile) -> Content:
    return present(
        id=order.profile_id,
        connectorId=order.connector_id,
        chargingProfilePurpose=order.purpose and _purpose_said(order.purpose),
        stackLevel=order.stack_level,
    )


def _read_clear(payload: Any) -> ClearChargingProfile:
    purpose = given(payload.chargingProfilePurpose)
    return ClearChargingProfile(
        profile_id=given(payload.id),
        connector_id=given(payload.connectorId),
        purpose=purpose and _purpose_read(purpose),
        stack_level=given(payload.stackLevel),
    )


def _write_composite(order: GetCompositeSchedule) -> Content:
    return present(connectorId=order.connector_id, duration=order.duration_s, chargingRateUnit=order.rate_unit)


def _read_composite(payload: Any) -> GetCompositeSchedule:
    return GetCompositeSchedule(
        connector_id=payload.connectorId, duration_s=payload.duration, rate_unit=given(payload.chargingRateUnit)
    )


COMMANDS = (
    command("SetChargingProfile", SetChargingProfile, _write_set, _read_set),
    command("ClearChargingProfile", ClearChargingProfile, _write_clear, _read_clear),
    command("GetCompositeSchedule", GetCompositeSchedule, _write_composite, _read_composite),
)
