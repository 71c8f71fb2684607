"""What a station reports of one charge, whoever it is for: shared by roaming (destination) and local transactions."""

from __future__ import annotations

from datetime import datetime

from statecharts.events import (
    Command,
    Fact,
)
from statecharts.moments import after_s
from statecharts.station_reports import MeterSample
from statecharts.vocabulary import Value

UNLEARNED = -1
"""The number in a StopTransaction whose StartTransaction was never answered."""

DOUBTED = "doubted"
"""Flag of a charge that may be over without a word."""

ENERGY_ABSURD_WH = 1_000_000
"""More than this in one charge (1 MWh, a truck's battery) is flagged: a meter that reset or wrapped, not a car."""


METER_ROUNDING_WH = 100
"""A register told in tenths of a kWh may be this much below what it had shown in Wh."""


class ChargingDeadlines(Value, frozen=True, kw_only=True):
    """How long each state may last, in seconds; kept with the transaction: a new configuration changes no past.

    `start_s` is the station's ConnectionTimeOut and a margin; `reconcile_s` runs from the first doubt that a charge
    still goes on; `progress_interval_s` is the shortest time between two progress updates to the Source.
    """

    authorization_s: float = 900
    start_s: float = 150
    stop_s: float = 120
    silence_s: float = 86_400
    reconcile_s: float = 3_600
    cdr_overdue_s: float = 3_600
    progress_interval_s: float = 60


class Opening(Value, frozen=True, kw_only=True):
    """What a charge of our own is called, where it is and for which idTag: said with the word that begins it."""

    id: str
    station: str
    id_tag: str
    deadlines: ChargingDeadlines


class Charge(Value, frozen=True, kw_only=True):
    """A charge at one connector as its station reported it. Meter readings are the station's register, in Wh.

    `estimated` marks an end that no StopTransaction reported, or a charge that is `partial`: it took more before its
    first reading that is known. `number_used` says that the station has named `number` itself; `flags` name what is odd
    about the figures.
    """

    number: int | None = None
    connector_id: int | None = None
    id_tag: str | None = None
    start_timestamp: datetime | None = None
    meter_start_wh: int | None = None
    meter_last_wh: int | None = None
    meter_last_at: datetime | None = None
    stop_timestamp: datetime | None = None
    meter_stop_wh: int | None = None
    reason: str | None = None
    estimated: bool = False
    number_used: bool = False
    partial: bool = False

    @property
    def energy_wh(self) -> int | None:
        """Energy so far, or in all once stopped; None while a reading is missing or the register ran backwards."""
        end = self.meter_stop_wh if self.meter_stop_wh is not None else self.meter_last_wh
        if end is None or self.meter_start_wh is None or end < self.meter_start_wh:
            return None
        return end - self.meter_start_wh

    @property
    def _fell(self) -> bool:
        """Whether the register ended below what it had shown: the meter began anew in the middle of the charge."""
        last, stop = self.meter_last_wh, self.meter_stop_wh
        return last is not None and stop is not None and stop < last - METER_ROUNDING_WH

    @property
    def flags(self) -> tuple[str, ...]:
        backwards = self.meter_stop_wh is not None and self.meter_stop_wh < (self.meter_start_wh or 0)
        found = {
            "energy-backwards": backwards,
            "energy-fell": not backwards and self._fell,
            "energy-unknown": self.stop_timestamp is not None and self.energy_wh is None and not backwards,
            "energy-absurd": (self.energy_wh or 0) > ENERGY_ABSURD_WH,
            "ends-before-start": bool(
                self.start_timestamp and self.stop_timestamp and self.stop_timestamp < self.start_timestamp
            ),
            "estimated": self.estimated,
        }
        return tuple(name for name, there in found.items() if there)


# -- events ------------------------------------------------------------------------------------------------------------


class TransactionStarted(Fact, frozen=True, kw_only=True):
    """The station started a charge. `number` is the OCPP transactionId that we gave it.

    `meter_start_wh` is absent where the first reading is still to come; of one that is `partial` it is the first known,
    from after the beginning. `opening` is there for a charge of our own, which nobody may have asked for before.
    """

    number: int
    connector_id: int
    id_tag: str
    timestamp: datetime
    meter_start_wh: int | None
    id_tag_accepted: bool = True
    partial: bool = False
    opening: Opening | None = None


class MeterRead(Fact, frozen=True, kw_only=True):
    """Meter values; `meter_wh` is the energy import register among them, if any, `number` the charge that they name."""

    timestamp: datetime
    number: int | None = None
    meter_wh: int | None = None
    samples: tuple[MeterSample, ...] = ()


class TransactionStopped(Fact, frozen=True, kw_only=True):
    """The station ended a charge; without `meter_stop_wh` the last known reading stands for it."""

    number: int
    timestamp: datetime
    meter_stop_wh: int | None
    reason: str
    id_tag: str | None = None
    samples: tuple[MeterSample, ...] = ()


class StationDoubted(Fact, frozen=True, kw_only=True):
    """The station booted, or shows the connector as free: the charge may be over without a word."""

    reason: str


class StationConfirmed(Fact, frozen=True, kw_only=True):
    """The station shows that the charge goes on."""


class StationDenied(Fact, frozen=True, kw_only=True):
    """The station says that the charge is over, and that it has nothing more to say of it (OCPP 2.x)."""


class ConnectorTaken(Fact, frozen=True, kw_only=True):
    """Another charge began on this connector."""

    number: int


class StopAsked(Command, frozen=True, kw_only=True):
    """The operator of the station wants the charge to end."""


class CloseAsked(Command, frozen=True, kw_only=True):
    """The operator, `by`, knows that the charge is over, and why no end of it will be reported."""

    reason: str
    by: str


# -- what they change --------------------------------------------------------------------------------------------------


class Charging(Value, frozen=True, kw_only=True):
    """Data that both charts share; see `DestinationTransaction` and `LocalTransaction`.

    `stop_said` is what the newest StopTransaction said (timestamp, meter in Wh), to know it again when it is repeated.
    """

    state: str
    station: str = ""
    deadlines: ChargingDeadlines = ChargingDeadlines()
    created_at: datetime | None = None
    changed_at: datetime | None = None
    connector_id: int | None = None
    charge: Charge = Charge()
    start_until: datetime | None = None
    stop_until: datetime | None = None
    heard_at: datetime | None = None
    doubted_until: datetime | None = None
    stop_said: tuple[datetime, int | None] | None = None
    finished_at: datetime | None = None
    cause: str | None = None
    flags: tuple[str, ...] = ()

    @property
    def charge_deadline(self) -> datetime:
        """When a running charge is looked after: the end of a doubt, else of a long silence."""
        return self.doubted_until or after_s(self.heard_at, self.deadlines.silence_s)

    @property
    def only_silent(self) -> bool:
        """Whether the charge is in doubt for no other reason than that nothing was heard of it."""
        return self.doubted_until is not None and DOUBTED not in self.flags

    @property
    def stop_deadline(self) -> datetime:
        assert self.stop_until is not None
        return min(self.stop_until, self.doubted_until) if self.doubted_until else self.stop_until
