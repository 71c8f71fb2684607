"""A node killed between any two appends of a roaming transaction: one charge record, the same on both sides."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from statecharts.ports import CdrView
from statecharts.station_vocabulary import RemoteStartTransaction
from statecharts.vocabulary import EndTransaction
from tests.support.books import CARD, STRANGER, free, going_on, locals_of, orphans
from tests.support.crashes import Blade, Journey, until_done
from tests.support.house import EPOCH, StationLine, open_house
from tests.support.roaming import two_operators

SETTLES_WITHIN_S = 10_800
STEPS_MAX = 60
"""More appends than this in one charge would mean that something is written again and again."""


@dataclass(frozen=True)
class Run:
    """What one journey came to, and how many appends each operator wrote."""

    cdr: CdrView
    appends: dict[str, int]
    was_cut: bool


def journey(who: str = "local", cut_at: int | None = None, *, written: bool = False) -> Run:
    """One charge on virtual time, with one of the operators killed at its n-th append."""

    async def travel() -> Run:
        async with trio.open_nursery() as nursery, two_operators(nursery) as roaming:
            houses = {"home": roaming.home, "local": roaming.local}
            blades = {name: Blade(house) for name, house in houses.items()}
            blades[who].cut_at, blades[who].written = cut_at, written
            travelling = Journey(roaming)
            async with trio.open_nursery() as helpers:
                helpers.start_soon(travelling.revive, blades[who])
                with trio.fail_after(SETTLES_WITHIN_S):
                    charge = await travelling.travel()
                helpers.cancel_scope.cancel()
            cdr = await roaming.same_cdr(charge)
            station = travelling.line
            assert await going_on(station) == [] and await free(station) == (1, 2)
            assert await locals_of(roaming.local) == [] and await orphans(station) == ()
            assert len({str(sent) for sent in roaming.back.of(EndTransaction)}) == 1
            starts = [c for c in station.commands if isinstance(c, RemoteStartTransaction)]
            assert len(starts) == 1, "a start that was sent is never sent again"
            appends = {name: blade.appends for name, blade in blades.items()}
        return Run(cdr, appends, blades[who].cut.is_set())

    return trio.run(travel, clock=MockClock(autojump_threshold=0))


@pytest.mark.parametrize("written", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("who", ["home", "local"])
def test_whichever_append_a_node_dies_at_both_operators_end_with_the_same_charge_record(
    who: str, written: bool
) -> None:
    undisturbed = journey()
    assert undisturbed.cdr.energy_wh == 3_200
    for step in range(1, STEPS_MAX):
        run = journey(who, step, written=written)
        if not run.was_cut:
            break
        assert run.cdr.energy_wh == undisturbed.cdr.energy_wh, f"cut at append {step}"
    else:
        raise AssertionError("the journey never ends")
    assert step > undisturbed.appends[who]


# -- charges of our own ------------------------------------------------------------------------------------------------

Told = Callable[[StationLine], Awaitable[Any]]


def start(line: StationLine) -> Awaitable[Any]:
    return line.start(CARD, at=EPOCH)


def stop(line: StationLine) -> Awaitable[Any]:
    return line.stop(-1, 4_000, id_tag=CARD, at=EPOCH + timedelta(hours=1))


def other_start(line: StationLine) -> Awaitable[Any]:
    return line.start(STRANGER, at=EPOCH + timedelta(hours=2), meter_start_wh=4_000)


ORDERS: dict[str, tuple[tuple[Told, ...], list[tuple[str, int | None, bool]]]] = {
    "start-stop": ((start, stop), [("Settled", 3_000, False)]),
    "stop-start": ((stop, start), [("Settled", 3_000, False)]),
    "start-start": ((start, other_start), [("Settled", 0, True), ("TxRunning", None, False)]),
    "start-start-stop": ((start, other_start, stop), [("Settled", 0, True), ("TxRunning", None, False)]),
}


def told(reports: tuple[Told, ...], cut_at: int | None, *, written: bool) -> tuple[bool, list[Any], int, int]:
    """What a station's reports come to, with the node killed at its n-th append and each repeated until answered."""

    async def tell() -> tuple[bool, list[Any], int, int]:
        async with trio.open_nursery() as nursery, open_house("IE-001", nursery) as house:
            line = StationLine(house, "CS01")
            await line.come_online()
            await trio.sleep(3 * 3_600)
            blade = Blade(house, cut_at, written)

            async def revive() -> None:
                await blade.cut.wait()
                await trio.sleep(3)
                await house.restart(nursery)
                await until_done(lambda: line.come_online(boot=False))

            async with trio.open_nursery() as helpers:
                helpers.start_soon(revive)
                for report in reports:
                    await until_done(partial(report, line))
                await trio.sleep(10)
                helpers.cancel_scope.cancel()
            found = [
                (view.state, view.energy_wh, "estimated" in view.flags)
                for view in sorted(await locals_of(house), key=lambda view: str(view.start_timestamp))
            ]
            opened, kept = await going_on(line), await orphans(line)
        return blade.cut.is_set(), found, len(opened), len(kept)

    return trio.run(tell, clock=MockClock(autojump_threshold=0))


@pytest.mark.parametrize("written", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("order", ORDERS)
def test_whichever_append_a_node_dies_at_a_stations_own_charges_end_as_they_would_have(
    order: str, written: bool
) -> None:
    reports, expected = ORDERS[order]
    going = sum(state == "TxRunning" for state, _, _ in expected)
    for step in range(1, STEPS_MAX):
        was_cut, found, opened, kept = told(reports, step, written=written)
        assert (found, opened, kept) == (expected, going, 0), f"cut at append {step}"
        if not was_cut:
            return
    raise AssertionError("it never ends")
