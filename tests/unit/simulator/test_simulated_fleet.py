"""Many simulated stations together, and what they tell of themselves."""

from __future__ import annotations

import random
from functools import partial

import msgspec
import pytest
import trio
from central_in_memory import Central, VirtualClock

from actors.simulated_fleet import ChargeSeen, run_fleet
from statecharts.simulated_equipment import StationPlan
from statecharts.station_reports import BootNotification, StartTransaction


async def told_by(plans, central, seconds, seed=1):
    """All that these stations tell in so many seconds."""
    told = []
    with trio.move_on_after(seconds):
        await run_fleet(
            plans,
            connect=lambda _: central.connect,
            clock=VirtualClock(),
            random=lambda plan: random.Random(f"{seed}/{plan.identity}").random,
            tell=told.append,
        )
    return told


def plan(identity, **what):
    return StationPlan(identity=identity, url="ws://in.memory/ocpp", **what)


async def test_a_driver_with_a_card_charges_and_the_station_tells_its_own_energy(autojump_clock):
    central = Central()
    plans = [plan("A", swipe="04A1", behaviour="unplugs", power_w=36_000, meter_interval_s=1)]
    charges = [each for each in await told_by(plans, central, 300) if isinstance(each, ChargeSeen)]
    begun, numbered, ended = charges
    assert (begun.id_tag, begun.connector_id, begun.transaction_id, begun.energy_wh) == ("04A1", 1, None, 0)
    assert numbered.transaction_id is not None and numbered.stopped_at is None
    assert ended.reason == "EVDisconnected" and ended.stopped_at is not None
    seconds = (ended.stopped_at - ended.started_at).total_seconds()
    assert ended.energy_wh == ended.meter_stop_wh - ended.meter_start_wh == pytest.approx(10 * seconds, abs=1)


async def test_everything_told_is_json_that_names_its_station_and_kind(autojump_clock):
    told = await told_by([plan("A", swipe="04A1"), plan("B")], Central(), 60)
    lines = [msgspec.json.decode(msgspec.json.encode(each)) for each in told]
    assert {line["station"] for line in lines} == {"A", "B"}
    assert {"connection", "sent", "answered", "connector", "charge"} <= {line["kind"] for line in lines}
    assert all(line["text"] and line["at"] for line in lines)


async def test_without_a_card_nobody_comes(autojump_clock):
    central = Central()
    await told_by([plan("A"), plan("B")], central, 600)
    reports = [type(report) for _, report in central.heard]
    assert reports.count(BootNotification) == 2 and StartTransaction not in reports


async def test_an_unknown_behaviour_is_refused_before_any_station_lives(autojump_clock):
    central = Central()
    told = partial(told_by, [plan("A"), plan("B", behaviour="angry")], central, 10)
    with pytest.raises(ValueError, match="no behaviour 'angry'"):
        await told()
    assert central.heard == []
