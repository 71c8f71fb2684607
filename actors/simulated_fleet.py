"""Many simulated stations together, and what each of them tells about itself as it happens."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import datetime

import trio

from actors.simulated_line import Dialler
from actors.simulated_outbox import Charge
from actors.simulated_station import SimulatedStation
from actors.simulated_turns import Step
from statecharts.ports import Clock
from statecharts.simulated_equipment import StationPlan
from statecharts.vocabulary import Value

SWIPED_CONNECTOR = 1


class ChargeSeen(Value, frozen=True, kw_only=True):
    """A transaction as the station itself sees it now, told at its start, when it gets its number and at its end."""

    at: datetime
    station: str
    kind: str
    text: str
    connector_id: int
    id_tag: str
    energy_wh: int
    started_at: datetime
    meter_start_wh: int
    transaction_id: int | None = None
    stopped_at: datetime | None = None
    meter_stop_wh: int | None = None
    reason: str | None = None
    reference: str = ""


Tell = Callable[[Step | ChargeSeen], None]


async def run_fleet(
    plans: Iterable[StationPlan],
    *,
    connect: Callable[[StationPlan], Dialler],
    clock: Clock,
    random: Callable[[StationPlan], Callable[[], float]],
    tell: Tell,
) -> None:
    """Lets all these stations live until cancelled. `connect` and `random` give each its line and its chance.

    `tell` hears of every step and every charge. Raises ValueError for a behaviour that does not exist.
    """
    stations = [(plan, _made(plan, connect(plan), clock, random(plan), tell)) for plan in plans]
    async with trio.open_nursery() as nursery:
        for plan, station in stations:
            nursery.start_soon(station.run)
            if plan.swipe is not None:
                nursery.start_soon(_swipe, station, plan.swipe)


async def _swipe(station: SimulatedStation, id_tag: str) -> None:
    await station.registered.wait()
    await station.swipe(SWIPED_CONNECTOR, id_tag)


def _made(
    plan: StationPlan, connect: Dialler, clock: Clock, random: Callable[[], float], tell: Tell
) -> SimulatedStation:
    def tell_charge(charge: Charge) -> None:
        tell(_seen(charge, plan.identity, clock.now(), station.meter_wh(charge.connector_id)))

    station = SimulatedStation(
        plan.identity,
        connect=connect,
        rekey=None if plan.password is None else connect.rekey,
        clock=clock,
        random=random,
        behaviour=plan.behaviour,
        connectors=plan.connectors,
        power_w=plan.power_w,
        meter_interval_s=plan.meter_interval_s,
        ocpp_version=plan.ocpp_version,
        on_event=tell,
        on_charge=tell_charge,
    )
    return station


def _seen(charge: Charge, station: str, at: datetime, meter_wh: int) -> ChargeSeen:
    energy_wh = charge.energy_wh(meter_wh)
    known = {name: value for name, value in asdict(charge).items() if name in ChargeSeen.__struct_fields__}
    return ChargeSeen(
        at=at,
        station=station,
        kind="charge",
        text=f"{energy_wh} Wh, " + (f"ended: {charge.reason}" if charge.stopped_at else "running"),
        energy_wh=energy_wh,
        **known,
    )
