"""The charging profiles of a simulated station (OCPP 1.6 section 3.13): kept, cleared, and what they come to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from statecharts.charging_limits import STATION_MAX, TX, Charging, Installed, composite
from statecharts.limits import SIMULATED_PERIODS, SIMULATED_PROFILES, SIMULATED_STACK_LEVELS
from statecharts.station_commands import ClearChargingProfile
from statecharts.station_vocabulary import ChargingPeriod, ChargingProfile

_DAY_S = 86_400


class Profiles:
    """All profiles of a station; `on_change` is called when there are others than before."""

    def __init__(self) -> None:
        self.on_change: Callable[[], object] = lambda: None
        self._installed: tuple[Installed, ...] = ()

    def __bool__(self) -> bool:
        return bool(self._installed)

    @property
    def installed(self) -> tuple[Installed, ...]:
        return self._installed

    def install(self, connector_id: int, profile: ChargingProfile) -> bool:
        """Keeps a profile, in the place of the one with its id or its purpose and stack level there; False if not."""
        others = tuple(each for each in self._installed if not _replaces(connector_id, profile, each))
        if not _acceptable(connector_id, profile) or len(others) >= SIMULATED_PROFILES.limit:
            return False
        self._keep((*others, Installed(connector_id=connector_id, profile=profile)))
        return True

    def clear(self, command: ClearChargingProfile) -> bool:
        """Forgets what the command describes; whether there was any (OCPP 1.6 section 5.5)."""
        left = tuple(each for each in self._installed if not _is_meant(command, each))
        cleared = len(left) < len(self._installed)
        if cleared:
            self._keep(left)
        return cleared

    def transaction_over(self, connector_id: int) -> None:
        """OCPP 1.6 section 3.13.1: a TxProfile ends with its transaction."""
        left = tuple(
            each for each in self._installed if (each.connector_id, each.profile.purpose) != (connector_id, TX)
        )
        if len(left) < len(self._installed):
            self._keep(left)

    def _keep(self, installed: tuple[Installed, ...]) -> None:
        self._installed = installed
        self.on_change()

    def limits(self, charging: Charging, at: datetime, duration_s: int = _DAY_S) -> tuple[ChargingPeriod, ...]:
        """What may be given from now on, in watts; the first period begins at once."""
        return composite(self._installed, charging, at, duration_s)


def _acceptable(connector_id: int, profile: ChargingProfile) -> bool:
    periods = profile.schedules[0].periods
    placed = (profile.purpose != STATION_MAX or connector_id == 0) and (profile.purpose != TX or connector_id > 0)
    in_order = [period.start_s for period in periods] == sorted({0, *(period.start_s for period in periods)})
    ranked = 0 <= profile.stack_level <= SIMULATED_STACK_LEVELS.limit
    return placed and in_order and ranked and len(periods) <= SIMULATED_PERIODS.limit


def _replaces(connector_id: int, profile: ChargingProfile, old: Installed) -> bool:
    same_place = (old.connector_id, old.profile.purpose, old.profile.stack_level) == (
        connector_id,
        profile.purpose,
        profile.stack_level,
    )
    return same_place or old.profile.profile_id == profile.profile_id


def _is_meant(command: ClearChargingProfile, each: Installed) -> bool:
    if command.profile_id is not None:
        return each.profile.profile_id == command.profile_id
    wanted = (command.connector_id, command.purpose, command.stack_level)
    has = (each.connector_id, each.profile.purpose, each.profile.stack_level)
    return all(want is None or want == have for want, have in zip(wanted, has, strict=True))
