"""Simulated stations that are odd as real ones are, over the wire: `node.py station --odd NAME`, `--behaviour NAME`."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import trio
from trio.testing import MockClock

from statecharts.ports import TransactionView
from statecharts.simulated_oddities import ODDITIES
from tests.conformance.oca_scene import CARD, Scene, scene

VERSIONS = ("1.6", "2.0.1", "2.1")
HOUR_S = 3_600


@dataclass(frozen=True)
class Comes:
    """What a charge of such a station comes to; `counted` says that its model is shown to have a quirk.

    `energy_wh` is what its meter has counted, unless it is given.
    """

    flags: tuple[str, ...] = ()
    energy_wh: int | None = None
    counted: bool = False


ODD: dict[str, Comes] = {
    "clock-of-1970": Comes(flags=("clock-wrong",)),
    "clock-ahead": Comes(flags=("clock-wrong",)),
    "no-zone": Comes(),
    "kwh": Comes(),
    "texts": Comes(counted=True),
    "vendor-fields": Comes(counted=True),
    "final-values-twice": Comes(),
    "meter-resets": Comes(flags=("energy-fell",), energy_wh=7),
    "no-number": Comes(),
    "loses-stops": Comes(flags=("doubted", "estimated")),
    "loses-answers": Comes(),
}


async def charged(at: Scene) -> TransactionView:
    """A driver's charge of ten minutes, once it is over."""
    await at.station.plug(1)
    await at.station.swipe(1, CARD)
    await trio.sleep(600)
    await at.station.swipe(1, CARD)
    await trio.sleep(60)
    await at.station.unplug(1)
    await trio.sleep(60)
    [view] = await at.charges()
    if view.state != "Settled":  # nobody has told its end: it is looked for, and given up
        await trio.sleep(2 * HOUR_S)
        [view] = await at.charges()
    return view


async def quirks_of(at: Scene) -> set[str]:
    """What the operator is shown as odd about the messages of this model."""
    page = await at.house.operator.quirks(station=None, vendor=None, model=None, cursor=None, limit=99)
    return {each.what for each in page.items}


def test_every_oddity_that_can_be_asked_for_is_tried() -> None:
    assert list(ODD) == list(ODDITIES)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ODDITIES)
async def test_an_odd_station_costs_no_charge_and_is_seen(
    name: str, version: str, autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    async with scene(nursery, version, odd=(name,)) as at:
        view, [charge] = await charged(at), at.station.charges
        metered = (charge.meter_stop_wh or 0) - charge.meter_start_wh
        comes = ODD[name]
        assert (view.state, view.flags) == ("Settled", comes.flags)
        if "estimated" in comes.flags:
            assert view.energy_wh is not None and 0 < view.energy_wh <= metered
        else:
            assert view.energy_wh == (metered if comes.energy_wh is None else comes.energy_wh)
        assert bool(await quirks_of(at)) is comes.counted


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_next_charge_of_a_station_that_tells_no_end_is_a_charge_of_its_own(
    version: str, autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    async with scene(nursery, version, odd=("loses-stops",)) as at:
        for _ in range(2):
            await at.station.plug(1)
            await at.station.swipe(1, CARD)
            await trio.sleep(300)
            await at.station.unplug(1)
            await trio.sleep(5)
        first, second = await at.charges()
        assert (first.state, "estimated" in first.flags, second.state) == ("Settled", True, "TxRunning")


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_power_loss_ends_the_charge_with_what_the_station_tells_afterwards(
    version: str, autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    async with scene(nursery, version, behaviour="loses_power") as at:
        await at.station.plug(1)
        await at.station.swipe(1, CARD)
        await trio.sleep(900)
        [view], [charge] = await at.charges(), at.station.charges
        assert view.state == "Settled" and charge.reason == "PowerLoss"
        assert view.energy_wh == (charge.meter_stop_wh or 0) - charge.meter_start_wh
