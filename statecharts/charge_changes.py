"""When what a station reports of a charge counts, and what it changes: guards, changes and effects of both charts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from statecharts.charging import (
    DOUBTED,
    UNLEARNED,
    Charge,
    Charging,
    CloseAsked,
    ConnectorTaken,
    MeterRead,
    StationConfirmed,
    StationDoubted,
    TransactionStarted,
    TransactionStopped,
)
from statecharts.events import (
    CommandStation,
    Effect,
    Event,
    LookAfterCharge,
    ReleaseConnector,
    StationAnswered,
)
from statecharts.metering import newest_register, oldest_register
from statecharts.moments import after_s, is_credible
from statecharts.station_commands import CallVerdict, RemoteStopTransaction
from statecharts.station_reports import MeterSample


def flagged(data: Charging, *flags: str) -> tuple[str, ...]:
    """The flags with these added, each once."""
    return data.flags + tuple(flag for flag in flags if flag not in data.flags)


def doubt_is_over(data: Charging, event: Event) -> bool:
    """The reconcile deadline has passed without a word that the charge goes on."""
    return data.doubted_until is not None and event.at >= data.doubted_until


def in_doubt(data: Charging, _: Event) -> bool:
    """Whether the charge may be over without a word."""
    return data.doubted_until is not None


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


def may_end_nameless(data: Charging, event: TransactionStopped) -> bool:
    """Whether a stop that names neither a number nor an idTag can be the end of this charge.

    Not once its station has used its number, which it would name; nor below what the register has shown. One whose stop
    was reported is ended by the same words only.
    """
    if data.stop_said is not None:
        return same_stop(data, event)
    charge, meter_wh = data.charge, event.meter_stop_wh
    shown = charge.meter_last_wh if charge.meter_last_wh is not None else charge.meter_start_wh
    return not charge.number_used and (shown is None or meter_wh is None or meter_wh >= shown)


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
        partial=event.partial,
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
    """The newest reading; the register never falls, and an older reading that comes late changes nothing.

    It shows that the charge goes on if it names it, or if energy has flowed: an idle connector has readings as well.
    """
    charge = named(data.charge, event)
    known = max((m for m in (charge.meter_last_wh, charge.meter_start_wh) if m is not None), default=None)
    grown = event.meter_wh is not None and (known is None or event.meter_wh > known)
    goes_on = confirmed(data, event) if grown or event.number is not None else {}
    if event.meter_wh is not None and (known is None or event.meter_wh >= known):
        newest = msgspec.structs.replace(charge, meter_last_wh=event.meter_wh, meter_last_at=event.timestamp)
        charge = metered_first(newest, event.samples)
    return {**goes_on, "charge": charge, "changed_at": event.at}


def read_at_start(charge: Charge, event: MeterRead) -> bool:
    """Whether this is the reading that the charge began with: it says nothing that its start has not said."""
    began, wh = charge.start_timestamp, event.meter_wh
    return began is not None and event.timestamp <= began and wh is not None and wh == charge.meter_start_wh


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
        estimated=event.meter_stop_wh is None or data.charge.partial,
    )
    flags = (*undoubted(data), *charge.flags, *clock_flags(charge, event))
    said = event.timestamp, event.meter_stop_wh
    return {"charge": charge, "stop_said": said, "finished_at": event.at, "flags": flags, "changed_at": event.at}


def clock_flags(charge: Charge, event: Event) -> tuple[str, ...]:
    """What is odd about the times of a charge that is over: its station's clock was never set, or runs ahead."""
    said = (at for at in (charge.start_timestamp, charge.stop_timestamp) if at is not None)
    return () if all(is_credible(at, event.wall_at) for at in said) else ("clock-wrong",)


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
    flags = flagged(data, *charge.flags, *clock_flags(charge, event))
    return {"charge": charge, "finished_at": event.at, "flags": flags, "cause": reason, "changed_at": event.at}


def doubted(data: Charging, event: Event) -> dict[str, Any]:
    until = data.doubted_until or after_s(event.at, data.deadlines.reconcile_s)
    return {"doubted_until": until, "flags": flagged(data, DOUBTED), "changed_at": event.at}


def silent(data: Charging, event: Event) -> dict[str, Any]:
    """A long silence is a doubt like others."""
    return {**doubted(data, event), "flags": flagged(data, "silent")}


def confirmed(data: Charging, event: Event) -> dict[str, Any]:
    return {"doubted_until": None, "flags": undoubted(data), "heard_at": event.at, "changed_at": event.at}


# -- guards and effects of both charts ---------------------------------------------------------------------------------

DENIED = "the station knows the charge as over, and had reported no end"
"""Why a charge ended that its station denied."""


def closed_by_operator(event: CloseAsked) -> str:
    """Why a charge ended that an operator closed."""
    return f"closed by {event.by}: {event.reason}"


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
