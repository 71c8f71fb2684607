"""What charging profiles come to: the most that a station may give at a connector, now and later; pure functions.

OCPP 1.6 section 3.13: of each purpose the profile of the highest stack level counts that says something of a moment; a
profile of the transaction takes the place of the default one, and nothing may exceed what the whole station may give.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from statecharts.station_vocabulary import ChargingPeriod, ChargingProfile, ChargingSchedule
from statecharts.vocabulary import Value

STATION_MAX, TX_DEFAULT, TX = "ChargingStationMaxProfile", "TxDefaultProfile", "TxProfile"
VOLTS = 230
PHASES = 3
_EVERY = {"Daily": timedelta(days=1), "Weekly": timedelta(weeks=1)}
_TENTH = Decimal("0.1")


class Installed(Value, frozen=True, kw_only=True):
    """A profile and where it is: connector 0 is the whole station, or each of its connectors."""

    connector_id: int
    profile: ChargingProfile


class Charging(Value, frozen=True, kw_only=True):
    """What a profile is applied to: a connector of `power_w` watts, its transaction running since then, if one does."""

    connector_id: int
    power_w: int
    since: datetime | None = None


def composite(
    installed: Sequence[Installed], charging: Charging, begins_at: datetime, duration_s: int
) -> tuple[ChargingPeriod, ...]:
    """What may be given in watts from `begins_at` on for so many seconds (OCPP 1.6 section 5.7), a period a limit."""
    ends_at = begins_at + timedelta(seconds=duration_s)
    profiles = [each.profile for each in installed if each.connector_id in (0, charging.connector_id)]
    changes = {at for profile in profiles for at in _changes(profile, charging, begins_at, ends_at)}
    periods: list[ChargingPeriod] = []
    for at in sorted({begins_at, *changes}):
        limit = limit_w(installed, charging, at)
        if not periods or periods[-1].limit != limit:
            periods.append(ChargingPeriod(start_s=int((at - begins_at).total_seconds()), limit=limit))
    return tuple(periods)


def limit_w(installed: Iterable[Installed], charging: Charging, at: datetime) -> Decimal:
    """The most that may be given at this moment, in watts."""
    here = [each for each in installed if each.connector_id in (0, charging.connector_id)]
    of_transaction = _leading(here, TX, charging, at) if charging.since is not None else None
    if of_transaction is None:
        of_transaction = _leading(here, TX_DEFAULT, charging, at)
    limits = (Decimal(charging.power_w), of_transaction, _leading(here, STATION_MAX, charging, at))
    return min(limit for limit in limits if limit is not None)


def _leading(installed: Iterable[Installed], purpose: str, charging: Charging, at: datetime) -> Decimal | None:
    """What the profiles of one purpose say: the connector's own before the station's, the highest stack level first."""
    ranked = sorted(
        (each for each in installed if each.profile.purpose == purpose),
        key=lambda each: (each.connector_id != 0, each.profile.stack_level),
        reverse=True,
    )
    said = (_limit_of(each.profile, charging, at) for each in ranked)
    return next((limit for limit in said if limit is not None), None)


def _limit_of(profile: ChargingProfile, charging: Charging, at: datetime) -> Decimal | None:
    too_early = profile.valid_from is not None and at < profile.valid_from
    if too_early or (profile.valid_to is not None and at >= profile.valid_to):
        return None
    schedule = profile.schedules[0]
    begun = [start for start in _starts(profile, charging, at, at) if start <= at]
    if not begun:
        return None
    elapsed_s = int((at - begun[-1]).total_seconds())
    if schedule.duration_s is not None and elapsed_s >= schedule.duration_s:
        return None
    running = [period for period in schedule.periods if period.start_s <= elapsed_s]
    return _watts(schedule, running[-1]) if running else None


def _watts(schedule: ChargingSchedule, period: ChargingPeriod) -> Decimal:
    """Amperes are of each phase; of three phases where none are named (OCPP 1.6 section 7.14)."""
    amperes = schedule.rate_unit == "A"
    limit = period.limit * VOLTS * (PHASES if period.phases is None else period.phases) if amperes else period.limit
    return limit.quantize(_TENTH)


def _starts(profile: ChargingProfile, charging: Charging, first: datetime, last: datetime) -> Iterator[datetime]:
    """When its schedule begins: the last time before `first`, and each until `last`."""
    schedule = profile.schedules[0]
    if profile.kind == "Relative":
        yield charging.since or first
        return
    start = schedule.starts_at or profile.valid_from or charging.since or first
    if profile.kind != "Recurring" or profile.recurrency not in _EVERY:
        yield start
        return
    every = _EVERY[profile.recurrency]
    start += every * ((first - start) // every)
    while start <= last:
        yield start
        start += every


def _changes(profile: ChargingProfile, charging: Charging, first: datetime, last: datetime) -> Iterator[datetime]:
    """The moments within this time at which the profile may begin to say something else."""
    schedule = profile.schedules[0]
    offsets = [*(period.start_s for period in schedule.periods), schedule.duration_s]
    moments = [
        start + timedelta(seconds=offset)
        for start in _starts(profile, charging, first, last)
        for offset in offsets
        if offset is not None
    ]
    edges = (profile.valid_from, profile.valid_to)
    yield from (at for at in (*moments, *edges) if at is not None and first < at < last)
