"""What a station reports of one charge, whoever it is for: shared by roaming (destination) and local transactions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec

from statecharts.events import (
    Command,
    CommandStation,
    Effect,
    Event,
    Fact,
    LookAfterCharge,
    ReleaseConnector,
    StationAnswered,
)
from statecharts.metering import newest_register, oldest_register
from statecharts.moments import after_s
from statecharts.station_commands import CallVerdict, RemoteStopTransaction
from statecharts.station_reports import MeterSample
from statecharts.vocabulary import Value

UNLEARNED = -1
"""The number in a StopTransaction whose StartTransaction was never answered."""

DOUBTED = "doubted"
"""Flag of a charge that may be over without a word."""

ENERGY_ABSURD_WH = 1_000_000
"""More than this in one charge (1 MWh, a truck's battery) is flagged: a meter that reset or wrapped, not a car."""


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

    `estimated` marks an end that no StopTransaction reported, `number_used` that the station has named `number` itself;
    `flags` name what is odd about the figures.
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

    @property
    def energy_wh(self) -> int | None:
        """Energy so far, or in all once stopped; None while a reading is missing or the register ran backwards."""
        end = self.meter_stop_wh if self.meter_stop_wh is not None else self.meter_last_wh
        if end is None or self.meter_start_wh is None or end < self.meter_start_wh:
            return None
        return end - self.meter_start_wh

    @property
    def flags(self) -> tuple[str, ...]:
        backwards = self.meter_stop_wh is not None and self.meter_stop_wh < (self.meter_start_wh or 0)
        found = {
            "energy-backwards": backwards,
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

    `meter_start_wh` is absent where the first reading is still to come; `opening` is there for a charge of our own,
    which nobody may have asked for before.
    """

    number: int
    connector_id: int
    id_tag: str
    timestamp: datetime
    meter_start_wh: int | None
    id_tag_accepted: bool = True
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


class ConnectorTaken(Fact, frozen=True, kw_only=True):
    """Another charge began on this connector."""

    number: int


class StopAsked(Command, frozen=True, kw_only=True):
    """The operator of the station wants the charge to end."""


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


def flagged(data: Charging, *flags: str) -> tuple[str, ...]:
    """The flags with these added, each once."""
    return data.flags + tuple(flag for flag in flags if flag not in data.flags)


def doubt_is_over(data: Charging, event: Event) -> bool:
    """The reconcile deadline has passed without a word that the charge goes on."""
    return data.doubted_until is not None and event.at >= data.doubted_until


def same_charge(data: Charging, event: TransactionStarted) -> bool:
    """Whether this start is known already."""
    return data.charge.number == event.number and data.charge.start_timestamp is not None


def start_missing(data: Charging, event: TransactionStarted) -> bool:
    """Whether this is the start of a charge whose stop came first."""
    end = data.charge.stop_timestamp
    return data.charge.start_timestamp is None and end is not None and event.timestamp <= end


def own_stop(data: Charging, event: TransactionStopped) -> bool:
    """Whether this ends the charge: a number that we gave to another one never does.

    OCPP 1.6 errata 3.18: a station that never learned its number says -1.
    """
    return data.charge.number in (None, event.number) or event.number == UNLEARNED


def may_end_nameless(charge: Charge, meter_stop_wh: int | None) -> bool:
    """Whether a stop that names neither a number nor an idTag can be the end of this charge.

    Not once its station has used its number, which it would name; nor below what the register has shown.
    """
    shown = charge.meter_last_wh if charge.meter_last_wh is not None else charge.meter_start_wh
    return not charge.number_used and (shown is None or meter_stop_wh is None or meter_stop_wh >= shown)


def same_stop(data: Charging, event: TransactionStopped) -> bool:
    """Whether this stop is known already."""
    return data.stop_said == (event.timestamp, event.meter_stop_wh)


def begun(charge: Charge, event: TransactionStarted) -> Charge:
    """The charge with its start filled in; a reading from before it says nothing of it."""
    known = [wh for wh in (charge.meter_last_wh, event.meter_start_wh) if wh is not None]
    return msgspec.structs.replace(
        charge,
        number=event.number,
        connector_id=event.connector_id,
        id_tag=event.id_tag,
        start_timestamp=event.timestamp,
        meter_start_wh=event.meter_start_wh,
        meter_last_wh=None if charge.meter_last_wh is None else max(known),
    )


def started(data: Charging, event: TransactionStarted) -> dict[str, Any]:
    place = {"connector_id": event.connector_id, "heard_at": event.at, "changed_at": event.at}
    return {**place, "charge": begun(data.charge, event)}


def started_late(data: Charging, event: TransactionStarted) -> dict[str, Any]:
    """The start of a charge that has ended already: what was missing is filled in, for the operator to see."""
    return {"charge": begun(data.charge, event), "flags": flagged(data, "late-start"), "changed_at": event.at}


def meter_never_falls(before: Charging, after: Charging, _: Event) -> bool:
    was, now = before.charge.meter_last_wh, after.charge.meter_last_wh
    return was is None or (now is not None and now >= was)


def undoubted(data: Charging) -> tuple[str, ...]:
    """The flags without the doubt that the station has just dispelled; that it was once silent stays."""
    return tuple(flag for flag in data.flags if flag != DOUBTED)


def named(charge: Charge, event: MeterRead) -> Charge:
    """The charge, and whether its station has shown by now that it knows its number."""
    if charge.number_used or event.number is None or event.number != charge.number:
        return charge
    return msgspec.structs.replace(charge, number_used=True)


def metered(data: Charging, event: MeterRead) -> dict[str, Any]:
    """The newest reading; the register never falls, and an older reading that comes late changes nothing."""
    charge = named(data.charge, event)
    alive = {"heard_at": event.at, "doubted_until": None, "flags": undoubted(data), "changed_at": event.at}
    known = max((m for m in (charge.meter_last_wh, charge.meter_start_wh) if m is not None), default=None)
    if event.meter_wh is None or (known is not None and event.meter_wh < known):
        return {**alive, "charge": charge}
    newest = msgspec.structs.replace(charge, meter_last_wh=event.meter_wh, meter_last_at=event.timestamp)
    return {**alive, "charge": metered_first(newest, event.samples)}


def metered_first(charge: Charge, samples: Iterable[MeterSample]) -> Charge:
    """The charge with its first reading filled in, if its start came without one and this is it."""
    if charge.meter_start_wh is not None or charge.start_timestamp is None:
        return charge
    oldest = oldest_register(samples)
    return msgspec.structs.replace(charge, meter_start_wh=oldest[1]) if oldest else charge


def stopped(data: Charging, event: TransactionStopped) -> dict[str, Any]:
    newest = newest_register(event.samples)
    known = (event.meter_stop_wh, newest and newest[1], data.charge.meter_last_wh, data.charge.meter_start_wh)
    charge = msgspec.structs.replace(
        metered_first(data.charge, event.samples),
        number=event.number if data.charge.number is None and event.number > 0 else data.charge.number,
        stop_timestamp=event.timestamp,
        meter_stop_wh=next((wh for wh in known if wh is not None), None),
        reason=event.reason,
        estimated=event.meter_stop_wh is None,
    )
    said, flags = (event.timestamp, event.meter_stop_wh), (*undoubted(data), *charge.flags)
    return {"charge": charge, "stop_said": said, "finished_at": event.at, "flags": flags, "changed_at": event.at}


def stopped_late(data: Charging, event: TransactionStopped) -> dict[str, Any]:
    """The stop of a charge that has ended already: noted, and the figures stay as they were told."""
    said = (event.timestamp, event.meter_stop_wh)
    return {"stop_said": said, "flags": flagged(data, "late-stop"), "changed_at": event.at}


def reconciled(data: Charging, event: Event, reason: str) -> dict[str, Any]:
    """The end of a charge that no StopTransaction reported: the last known meter, marked as estimated."""
    last = data.charge.meter_last_wh if data.charge.meter_last_wh is not None else data.charge.meter_start_wh
    charge = msgspec.structs.replace(
        data.charge,
        stop_timestamp=data.charge.meter_last_at or data.charge.start_timestamp or event.wall_at,
        meter_stop_wh=last,
        reason="Reconciled",
        estimated=True,
    )
    flags = flagged(data, *charge.flags)
    return {"charge": charge, "finished_at": event.at, "flags": flags, "cause": reason, "changed_at": event.at}


def doubted(data: Charging, event: StationDoubted) -> dict[str, Any]:
    until = data.doubted_until or after_s(event.at, data.deadlines.reconcile_s)
    return {"doubted_until": until, "flags": flagged(data, DOUBTED), "changed_at": event.at}


def silent(data: Charging, event: Event) -> dict[str, Any]:
    """A long silence is a doubt like others."""
    until = data.doubted_until or after_s(event.at, data.deadlines.reconcile_s)
    return {"doubted_until": until, "flags": flagged(data, "silent"), "changed_at": event.at}


def confirmed(data: Charging, event: StationConfirmed) -> dict[str, Any]:
    return {"doubted_until": None, "flags": undoubted(data), "heard_at": event.at, "changed_at": event.at}


# -- guards and effects of both charts ---------------------------------------------------------------------------------

CALL_FAILED = (CallVerdict.REJECTED, CallVerdict.ERROR, CallVerdict.NEVER_SENT)
"""Outcomes of a command that certainly did nothing; UNKNOWN is not among them."""


def call_failed(purpose: str) -> Callable[[Charging, StationAnswered], bool]:
    """Whether the command of this purpose certainly did nothing."""
    return lambda _, event: event.purpose == purpose and event.outcome.verdict in CALL_FAILED


def will_start(_: Charging, event: StationAnswered) -> bool:
    """Whether the station has agreed to start."""
    return event.purpose == "start" and event.outcome.verdict is CallVerdict.ACCEPTED


def taken_by_other(data: Charging, event: ConnectorTaken) -> bool:
    return event.number != data.charge.number


def remote_stop(_: Charging, data: Charging, __: Event) -> Iterator[Effect]:
    assert data.charge.number is not None
    command = RemoteStopTransaction(transaction_id=data.charge.number)
    yield CommandStation(station=data.station, command=command, purpose="stop")


def release(_: Charging, data: Charging, __: Event) -> Iterator[Effect]:
    yield ReleaseConnector(station=data.station)


def look_after(_: Charging, data: Charging, __: Event) -> Iterator[Effect]:
    yield LookAfterCharge(station=data.station)


CHARGE_CHANGES: Mapping[type[Event], Callable[[Any, Any], Mapping[str, Any]]] = {
    MeterRead: metered,
    StationDoubted: doubted,
    StationConfirmed: confirmed,
}
"""Changes that are the same for every kind of transaction at a station."""
