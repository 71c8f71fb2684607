"""What a simulated station is made of beside its chart: a meter, a configuration, and a driver with habits."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from statecharts.limits import SIMULATED_PERIODS, SIMULATED_PROFILES, SIMULATED_STACK_LEVELS, SIMULATED_TAGS
from statecharts.simulated_connector import Rules
from statecharts.vocabulary import Value

_WATT_MS_PER_WH = 3_600_000


class Meter(Value, frozen=True, kw_only=True):
    """An energy register that never falls, kept in whole watt-milliseconds: no pause ever rounds energy away."""

    power_w: int
    watt_ms: int = 0
    flowing_since_ms: int | None = None

    def _watt_ms_at(self, now_ms: int) -> int:
        flowing_ms = 0 if self.flowing_since_ms is None else max(0, now_ms - self.flowing_since_ms)
        return self.watt_ms + self.power_w * flowing_ms

    def read_wh(self, now_ms: int) -> int:
        """The register in whole Wh. `now_ms` is a monotonic time in milliseconds."""
        return self._watt_ms_at(now_ms) // _WATT_MS_PER_WH

    def limited(self, power_w: int, now_ms: int) -> Meter:
        """The meter with another power from now on."""
        since = None if self.flowing_since_ms is None else now_ms
        return Meter(power_w=power_w, watt_ms=self._watt_ms_at(now_ms), flowing_since_ms=since)

    def switched(self, flowing: bool, now_ms: int) -> Meter:
        """The meter after energy began, or ceased, to flow."""
        return Meter(
            power_w=self.power_w, watt_ms=self._watt_ms_at(now_ms), flowing_since_ms=now_ms if flowing else None
        )


# -- configuration -----------------------------------------------------------------------------------------------------


def _any_text(_: str) -> bool:
    return True


def _whole_number(value: str) -> bool:
    return value.isascii() and value.isdigit() and len(value) <= 9


def _boolean(value: str) -> bool:
    return value.lower() in ("true", "false")


class Key(Value, frozen=True, kw_only=True):
    """One configuration key. Every one here has an effect, or is read-only and true of the simulation."""

    value: str
    valid: Callable[[str], bool] = _any_text
    readonly: bool = False


def _read_only(value: str) -> Key:
    return Key(value=value, readonly=True)


class Configuration(Value, frozen=True, kw_only=True):
    """The keys of OCPP 1.6 section 9 that this station has; names compare without regard to case (CiString50).

    `TransactionMessageAttempts` 0 means: until answered.
    """

    keys: Mapping[str, Key]

    def _name(self, key: str) -> str | None:
        return next((name for name in self.keys if name.casefold() == key.casefold()), None)

    def find(self, key: str) -> tuple[str, Key] | None:
        """The name of a key and what it says; None where the station has none of that name."""
        name = self._name(key)
        return None if name is None else (name, self.keys[name])

    def number(self, key: str) -> int:
        return int(self.keys[key].value)

    def flag(self, key: str) -> bool:
        return self.keys[key].value.lower() == "true"

    def rules(self) -> Rules:
        """The keys that a connector's chart follows."""
        return Rules(
            authorize_remote=self.flag("AuthorizeRemoteTxRequests"),
            connection_timeout_s=self.number("ConnectionTimeOut"),
            stop_on_invalid_id=self.flag("StopTransactionOnInvalidId"),
        )

    def changed(self, key: str, value: str) -> tuple[Configuration, str]:
        """The configuration after ChangeConfiguration, and the status word to answer with."""
        name = self._name(key)
        if name is None:
            return self, "NotSupported"
        old = self.keys[name]
        if old.readonly or not old.valid(value):
            return self, "Rejected"
        return Configuration(keys={**self.keys, name: msgspec.structs.replace(old, value=value)}), "Accepted"


FEATURES = "Core,FirmwareManagement,LocalAuthListManagement,RemoteTrigger,Reservation,SmartCharging"


def configuration(*, connectors: int, meter_interval_s: int) -> Configuration:
    """The configuration that a station leaves the factory with."""
    return Configuration(
        keys={
            "AllowOfflineTxForUnknownId": Key(value="false", valid=_boolean),
            "AuthorizationCacheEnabled": Key(value="false", valid=_boolean),
            "AuthorizeRemoteTxRequests": Key(value="false", valid=_boolean),
            "ChargeProfileMaxStackLevel": _read_only(str(SIMULATED_STACK_LEVELS.limit)),
            "ChargingScheduleAllowedChargingRateUnit": _read_only("Current,Power"),
            "ChargingScheduleMaxPeriods": _read_only(str(SIMULATED_PERIODS.limit)),
            "ConnectionTimeOut": Key(value="60", valid=_whole_number),
            "CpoName": Key(value="roamnode"),
            "HeartbeatInterval": Key(value="300", valid=_whole_number),
            "LocalAuthListEnabled": Key(value="true", valid=_boolean),
            "LocalAuthListMaxLength": _read_only(str(SIMULATED_TAGS.limit)),
            "LocalAuthorizeOffline": Key(value="true", valid=_boolean),
            "LocalPreAuthorize": Key(value="false", valid=_boolean),
            "MaxChargingProfilesInstalled": _read_only(str(SIMULATED_PROFILES.limit)),
            "MeterValueSampleInterval": Key(value=str(meter_interval_s), valid=_whole_number),
            "MeterValuesSampledData": _read_only("Energy.Active.Import.Register"),
            "NumberOfConnectors": _read_only(str(connectors)),
            "ReserveConnectorZeroSupported": _read_only("false"),
            "SendLocalListMaxLength": _read_only(str(SIMULATED_TAGS.limit)),
            "StopTransactionOnEVSideDisconnect": _read_only("true"),
            "StopTransactionOnInvalidId": Key(value="true", valid=_boolean),
            "SupportedFeatureProfiles": _read_only(FEATURES),
            "TransactionMessageAttempts": Key(value="0", valid=_whole_number),
            "TransactionMessageRetryInterval": Key(value="10", valid=_whole_number),
            "UnlockConnectorOnEVSideDisconnect": _read_only("true"),
        }
    )


# -- habits ------------------------------------------------------------------------------------------------------------

Span = tuple[float, float]


class Habits(Value, frozen=True, kw_only=True):
    """What a station and its driver do of themselves. A span is (least, most) seconds; None is never."""

    description: str
    accepts_remote_start: bool = True
    plugs_after_s: Span | None = (2, 6)
    leaves_after_s: Span | None = (3, 10)
    unplugs_after_s: Span | None = None
    drops_after_s: Span | None = None
    loses_power_after_s: Span | None = None
    stays_away_s: Span = (60, 120)


HABITS: Mapping[str, Habits] = {
    "normal": Habits(description="starts when asked, charges until stopped, then the driver leaves"),
    "rejects": Habits(description="answers every remote start with Rejected", accepts_remote_start=False),
    "never_starts": Habits(description="accepts a remote start, but nobody ever plugs in a cable", plugs_after_s=None),
    "unplugs": Habits(description="the driver unplugs in the middle of charging", unplugs_after_s=(40, 90)),
    "loses_power": Habits(
        description="its power fails while charging; back again, it tells that the charge has ended",
        loses_power_after_s=(40, 90),
    ),
    "loses_connection": Habits(
        description="drops its connection while charging, charges on offline, comes back and replays",
        drops_after_s=(20, 50),
    ),
}
BEHAVIOURS: Mapping[str, str] = {name: habits.description for name, habits in HABITS.items()}


def habits(behaviour: str) -> Habits:
    """The habits of this name. Raises ValueError that lists the names there are."""
    if behaviour not in HABITS:
        raise ValueError(f"no behaviour {behaviour!r}; there are {', '.join(HABITS)}")
    return HABITS[behaviour]


def moment(span: Span, random: float) -> float:
    """Seconds within the span for a random number in [0, 1), in whole milliseconds."""
    least, most = span
    return round(least + (most - least) * random, 3)


# -- a station to simulate ---------------------------------------------------------------------------------------------


class StationPlan(Value, frozen=True, kw_only=True):
    """One station to simulate: where it connects (`url`, without its identity), with what, and how it behaves.

    `ocpp_version` is 1.6, 2.0.1 or 2.1; `odd` names what is odd about its messages (`simulated_oddities`). `seed` makes
    its chance repeatable; `swipe` is the card of a driver who comes
    to its first connector once it is registered.
    """

    identity: str
    url: str
    password: str | None = None
    connectors: int = 1
    behaviour: str = "normal"
    power_w: int = 11_000
    meter_interval_s: int = 60
    seed: int | None = None
    swipe: str | None = None
    ocpp_version: str = "1.6"
    odd: tuple[str, ...] = ()
