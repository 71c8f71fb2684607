"""What of OCPP 1.6 a station need not have: its feature profiles (section 3.3), and the commands of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from statecharts.station_commands import (
    CancelReservation,
    ClearChargingProfile,
    GetCompositeSchedule,
    GetLocalListVersion,
    GetLog,
    ReserveNow,
    SendLocalList,
    SetChargingProfile,
    StationCommand,
    TriggerMessage,
    UpdateFirmware,
)

SUPPORTED_PROFILES = "SupportedFeatureProfiles"
"""The configuration key that lists a station's profiles (section 9.1.29)."""

CORE = "Core"
_PROFILES: Mapping[type[Any], str] = {
    UpdateFirmware: "FirmwareManagement",
    GetLog: "FirmwareManagement",
    SendLocalList: "LocalAuthListManagement",
    GetLocalListVersion: "LocalAuthListManagement",
    ReserveNow: "Reservation",
    CancelReservation: "Reservation",
    SetChargingProfile: "SmartCharging",
    ClearChargingProfile: "SmartCharging",
    GetCompositeSchedule: "SmartCharging",
    TriggerMessage: "RemoteTrigger",
}

PLAIN_TRIGGERS = frozenset(
    {
        "BootNotification",
        "DiagnosticsStatusNotification",
        "FirmwareStatusNotification",
        "Heartbeat",
        "MeterValues",
        "StatusNotification",
    }
)
"""What every station with the trigger profile may be asked for, with the whitepaper's extension or without."""


def profile_of(command: StationCommand) -> str:
    """The profile that a station of OCPP 1.6 needs for this; `CORE` for what no profile but that one has.

    What only the security whitepaper knows, signed firmware, security logs and further triggers, is in none of them.
    """
    match command:
        case UpdateFirmware(request_id=number) | GetLog(request_id=number) if number is not None:
            return CORE
        case TriggerMessage(what=what) if what not in PLAIN_TRIGGERS:
            return CORE
    return _PROFILES.get(type(command), CORE)


def profiles_in(answer: Mapping[str, Any]) -> frozenset[str] | None:
    """The profiles that an answer to GetConfiguration tells of; None where it does not.

    A list without `CORE`, which every station has, is not believed.
    """
    settings: Iterable[Mapping[str, Any]] = answer.get("configurationKey") or ()
    value = next((each.get("value") for each in settings if _is_called(each, SUPPORTED_PROFILES)), None)
    found = frozenset(word.strip() for word in (value or "").split(","))
    return found if CORE in found else None


def _is_called(setting: Mapping[str, Any], key: str) -> bool:
    return str(setting.get("key", "")).casefold() == key.casefold()
