"""The answers of a simulated station whose fields OCPP 1.6 and 2.x name differently, and what each calls a setting."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Protocol

from statecharts.station_commands import CertificateHash
from statecharts.station_vocabulary import ChargingPeriod, ChargingSchedule

Fields = dict[str, Any]


class Answers(Protocol):
    """How one version answers.

    `unknown_connector` and `unknown_setting` are its words for what the station does not have, `login_key` is what it
    calls the key that the station shows. With `idle_first` a
    soft reset waits for transactions to end, and a connector that charges stays locked.
    """

    unknown_connector: str
    unknown_setting: str
    login_key: str
    idle_first: bool

    def list_version(self, version: int) -> Fields: ...

    def composite(self, connector_id: int, starts_at: datetime, schedule: ChargingSchedule) -> Fields: ...

    def certificates(self, found: Iterable[tuple[str, CertificateHash]]) -> Fields: ...

    def setting(self, key: str) -> str | None:
        """The configuration key of OCPP 1.6 that is meant by this version's `key`; None where there is none."""

    def key_of(self, setting: str) -> str | None:
        """What this version calls a configuration key of OCPP 1.6; None where it has no such thing."""

    def password(self, value: str) -> bytes | None:
        """The bytes that this value of `login_key` stands for; None for one that is no key."""

    def set(self, key: str) -> Fields:
        """What an answer to a change of `key` says beside its status."""


def _hashes(certificate: CertificateHash) -> Fields:
    return {
        "hashAlgorithm": certificate.algorithm,
        "issuerNameHash": certificate.issuer_name_hash,
        "issuerKeyHash": certificate.issuer_key_hash,
        "serialNumber": certificate.serial_number,
    }


def _time(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _period(period: ChargingPeriod) -> Fields:
    phases = {} if period.phases is None else {"numberPhases": period.phases}
    return {"startPeriod": period.start_s, "limit": float(period.limit), **phases}


class Answers16:
    """OCPP 1.6 with the security whitepaper's extension."""

    unknown_connector = "NotSupported"
    unknown_setting = "NotSupported"
    login_key = "AuthorizationKey"
    idle_first = False

    def list_version(self, version: int) -> Fields:
        return {"listVersion": version}

    def composite(self, connector_id: int, starts_at: datetime, schedule: ChargingSchedule) -> Fields:
        periods = [_period(period) for period in schedule.periods]
        return {
            "connectorId": connector_id,
            "scheduleStart": _time(starts_at),
            "chargingSchedule": {
                "duration": schedule.duration_s,
                "startSchedule": _time(starts_at),
                "chargingRateUnit": schedule.rate_unit,
                "chargingSchedulePeriod": periods,
            },
        }

    def certificates(self, found: Iterable[tuple[str, CertificateHash]]) -> Fields:
        return {"certificateHashData": [_hashes(certificate) for _, certificate in found]}

    def setting(self, key: str) -> str | None:
        return key

    def key_of(self, setting: str) -> str | None:
        return setting

    def password(self, value: str) -> bytes | None:
        """16 to 20 bytes in hex (security whitepaper, AuthorizationKey)."""
        return bytes.fromhex(value) if re.fullmatch("([0-9A-Fa-f]{2}){16,20}", value) else None

    def set(self, key: str) -> Fields:
        return {}


VARIABLES: Mapping[str, str] = {
    "AllowOfflineTxForUnknownId": "AuthCtrlr.OfflineTxForUnknownIdEnabled",
    "AuthorizationCacheEnabled": "AuthCacheCtrlr.Enabled",
    "AuthorizeRemoteTxRequests": "AuthCtrlr.AuthorizeRemoteStart",
    "ChargeProfileMaxStackLevel": "SmartChargingCtrlr.ProfileStackLevel",
    "ChargingScheduleAllowedChargingRateUnit": "SmartChargingCtrlr.RateUnit",
    "ChargingScheduleMaxPeriods": "SmartChargingCtrlr.PeriodsPerSchedule",
    "ConnectionTimeOut": "TxCtrlr.EVConnectionTimeOut",
    "CpoName": "SecurityCtrlr.OrganizationName",
    "HeartbeatInterval": "OCPPCommCtrlr.HeartbeatInterval",
    "LocalAuthListEnabled": "LocalAuthListCtrlr.Enabled",
    "LocalAuthListMaxLength": "LocalAuthListCtrlr.Entries",
    "LocalAuthorizeOffline": "AuthCtrlr.LocalAuthorizeOffline",
    "LocalPreAuthorize": "AuthCtrlr.LocalPreAuthorize",
    "MaxChargingProfilesInstalled": "SmartChargingCtrlr.Entries.ChargingProfiles",
    "MeterValueSampleInterval": "SampledDataCtrlr.TxUpdatedInterval",
    "MeterValuesSampledData": "SampledDataCtrlr.TxUpdatedMeasurands",
    "ReserveConnectorZeroSupported": "ReservationCtrlr.NonEvseSpecific",
    "SendLocalListMaxLength": "LocalAuthListCtrlr.ItemsPerMessage",
    "StopTransactionOnEVSideDisconnect": "TxCtrlr.StopTxOnEVSideDisconnect",
    "StopTransactionOnInvalidId": "TxCtrlr.StopTxOnInvalidId",
    "TransactionMessageAttempts": "OCPPCommCtrlr.MessageAttempts.TransactionEvent",
    "TransactionMessageRetryInterval": "OCPPCommCtrlr.MessageAttemptInterval.TransactionEvent",
    "UnlockConnectorOnEVSideDisconnect": "OCPPCommCtrlr.UnlockOnEVSideDisconnect",
}
"""A configuration key of OCPP 1.6 -> the variable of 2.x that says the same, as `Component.Variable[.Instance]`."""

_SETTINGS = {variable.casefold(): setting for setting, variable in VARIABLES.items()}


class Answers2:
    """OCPP 2.0.1 and 2.1, whose passwords may be of different lengths."""

    def __init__(self, password_characters_max: int) -> None:
        self.password_characters_max = password_characters_max

    unknown_connector = "UnknownConnector"
    unknown_setting = "UnknownVariable"
    login_key = "SecurityCtrlr.BasicAuthPassword"
    idle_first = True

    def list_version(self, version: int) -> Fields:
        return {"versionNumber": version}

    def composite(self, connector_id: int, starts_at: datetime, schedule: ChargingSchedule) -> Fields:
        periods = [_period(period) for period in schedule.periods]
        return {
            "schedule": {
                "evseId": connector_id,
                "duration": schedule.duration_s,
                "scheduleStart": _time(starts_at),
                "chargingRateUnit": schedule.rate_unit,
                "chargingSchedulePeriod": periods,
            }
        }

    def certificates(self, found: Iterable[tuple[str, CertificateHash]]) -> Fields:
        chain = [{"certificateType": kind, "certificateHashData": _hashes(each)} for kind, each in found]
        return {"certificateHashDataChain": chain}

    def setting(self, key: str) -> str | None:
        return _SETTINGS.get(key.casefold())

    def key_of(self, setting: str) -> str | None:
        return VARIABLES.get(setting)

    def password(self, value: str) -> bytes | None:
        """At least 16 characters (OCPP 2.0.1, A01.FR.10)."""
        return value.encode() if 16 <= len(value) <= self.password_characters_max else None

    def set(self, key: str) -> Fields:
        return {"key": key}


ANSWERS: Mapping[str, Answers] = {"1.6": Answers16(), "2.0.1": Answers2(40), "2.1": Answers2(64)}
