"""OCPP 2.x block K: smart charging."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from protocols.ocpp.dialect import Content
from protocols.ocpp.exchanges import command
from protocols.ocpp.fields import given, present, read_optional_time, write_optional_time
from statecharts.station_commands import ClearChargingProfile, GetCompositeSchedule, SetChargingProfile
from statecharts.station_vocabulary import ChargingPeriod, ChargingProfile, ChargingSchedule

# -- profiles ----------------------------------------------------------------------------------------------------------


def write_optional_profile(profile: ChargingProfile | None) -> Content | None:
    return None if profile is None else _write_profile(profile)


def read_optional_profile(profile: Any) -> ChargingProfile | None:
    return None if given(profile) is None else _read_profile(profile)


def _write_profile(profile: ChargingProfile) -> Content:
    return present(
        id=profile.profile_id,
        stackLevel=profile.stack_level,
        chargingProfilePurpose=profile.purpose,
        chargingProfileKind=profile.kind,
        recurrencyKind=profile.recurrency,
        validFrom=write_optional_time(profile.valid_from),
        validTo=write_optional_time(profile.valid_to),
        transactionId=profile.reference or None,
        chargingSchedule=[_write_schedule(number, each) for number, each in enumerate(profile.schedules, 1)],
    )


def _read_profile(profile: Any) -> ChargingProfile:
    return ChargingProfile(
        profile_id=profile.id,
        stack_level=profile.stackLevel,
        purpose=profile.chargingProfilePurpose,
        kind=profile.chargingProfileKind,
        recurrency=given(profile.recurrencyKind),
        valid_from=read_optional_time(profile.validFrom),
        valid_to=read_optional_time(profile.validTo),
        reference=given(profile.transactionId) or "",
        schedules=tuple(_read_schedule(schedule) for schedule in profile.chargingSchedule),
    )


def _write_schedule(number: int, schedule: ChargingSchedule) -> Content:
    """A schedule without an id gets its place among those of its profile, which tells them apart as well."""
    return present(
        id=number if schedule.schedule_id is None else schedule.schedule_id,
        duration=schedule.duration_s,
        startSchedule=write_optional_time(schedule.starts_at),
        chargingRateUnit=schedule.rate_unit,
        chargingSchedulePeriod=[
            present(startPeriod=period.start_s, limit=float(period.limit), numberPhases=period.phases)
            for period in schedule.periods
        ],
        minChargingRate=None if schedule.rate_min is None else float(schedule.rate_min),
    )


def _read_schedule(schedule: Any) -> ChargingSchedule:
    return ChargingSchedule(
        schedule_id=schedule.id,
        duration_s=given(schedule.duration),
        starts_at=read_optional_time(schedule.startSchedule),
        rate_unit=schedule.chargingRateUnit,
        periods=tuple(_read_period(period) for period in schedule.chargingSchedulePeriod),
        rate_min=_read_rate(schedule.minChargingRate),
    )


def _read_period(period: Any) -> ChargingPeriod:
    # OCPP 2.1 allows for a setpoint in the place of a limit, which our words do not have: then nothing is allowed.
    limit = _read_rate(period.limit)
    return ChargingPeriod(start_s=period.startPeriod, limit=limit or Decimal(0), phases=given(period.numberPhases))


def _read_rate(rate: Any) -> Decimal | None:
    """As it was written: the shortest text of a float is that of its JSON."""
    return None if given(rate) is None else Decimal(str(rate))


# -- commands ----------------------------------------------------------------------------------------------------------


def _write_set(order: SetChargingProfile) -> Content:
    return {"evseId": order.connector_id, "chargingProfile": _write_profile(order.charging_profile)}


def _read_set(payload: Any) -> SetChargingProfile:
    profile = _read_profile(payload.chargingProfile)
    return SetChargingProfile(connector_id=payload.evseId, charging_profile=profile)


def _write_clear(order: ClearChargingProfile) -> Content:
    criteria = present(evseId=order.connector_id, chargingProfilePurpose=order.purpose, stackLevel=order.stack_level)
    return present(chargingProfileId=order.profile_id, chargingProfileCriteria=criteria or None)


def _read_clear(payload: Any) -> ClearChargingProfile:
    criteria = given(payload.chargingProfileCriteria)
    profile_id = given(payload.chargingProfileId)
    if criteria is None:
        return ClearChargingProfile(profile_id=profile_id)
    return ClearChargingProfile(
        profile_id=profile_id,
        connector_id=given(criteria.evseId),
        purpose=given(criteria.chargingProfilePurpose),
        stack_level=given(criteria.stackLevel),
    )


def _write_composite(order: GetCompositeSchedule) -> Content:
    return present(evseId=order.connector_id, duration=order.duration_s, chargingRateUnit=order.rate_unit)


def _read_composite(payload: Any) -> GetCompositeSchedule:
    return GetCompositeSchedule(
        connector_id=payload.evseId, duration_s=payload.duration, rate_unit=given(payload.chargingRateUnit)
    )


COMMANDS = (
    command("SetChargingProfile", SetChargingProfile, _write_set, _read_set),
    command("ClearChargingProfile", ClearChargingProfile, _write_clear, _read_clear),
    command("GetCompositeSchedule", GetCompositeSchedule, _write_composite, _read_composite),
)
