"""Charge records: one name on both sides, one record per name for ever, whole watt-hours, and a ledger to show it."""

from __future__ import annotations

import pytest
import trio

from statecharts.vocabulary import EndTransaction, Refused, Unanswered
from tests.support.house import link, open_house
from tests.support.roaming import HOME, LOCAL, Charge, Roaming, end, two_operators


async def charged(roaming: Roaming, stop_wh: int = 5_000) -> Charge:
    charge = await roaming.running()
    await roaming.station.stop(charge.number, stop_wh)
    await roaming.settled(charge)
    return charge


async def ledger(roaming: Roaming) -> dict[str, int]:
    """What the Destination shows of its charge records for the Source, zeroes left out."""
    (peer,) = (await roaming.local.operator.peers()).items
    return {name: count for name, count in peer.ledger.items() if count}


async def test_both_sides_derive_the_same_name(autojump_clock: object, nursery: trio.Nursery) -> None:
    async with two_operators(nursery) as roaming:
        charge = await charged(roaming)
        cdr = await roaming.same_cdr(charge)
        assert cdr.cdr_id == f"{LOCAL}/{charge.name}"


@pytest.mark.parametrize("stop_wh", [1_000, 1_001, 1_000 + 2**31, 999])
async def test_energy_is_whole_watt_hours_on_both_sides(
    stop_wh: int, autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with two_operators(nursery) as roaming:
        cdr = await roaming.same_cdr(await charged(roaming, stop_wh))
        expected = stop_wh - 1_000
        assert cdr.energy_wh == (expected if expected >= 0 else None), "a register that ran backwards bills nothing"


async def test_the_same_end_again_is_acknowledged_and_makes_no_second_record(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with two_operators(nursery) as roaming:
        charge = await roaming.running()
        await trio.sleep(1)  # the result of the start has its answer: the lost ones are the charge record's
        roaming.back.reply_lost = [True, True, True]
        await roaming.station.stop(charge.number, 5_000)
        await roaming.settled(charge)
        assert len(roaming.back.of(EndTransaction)) == 4
        await roaming.same_cdr(charge)


async def test_another_end_of_the_same_charge_is_refused_and_the_first_record_stands(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with two_operators(nursery) as roaming:
        charge = await charged(roaming)
        with pytest.raises(Refused) as caught:
            await roaming.home.source(LOCAL, end(charge, energy_wh=9_999))
        assert caught.value.refusal.code == 409
        assert (await roaming.same_cdr(charge)).energy_wh == 4_000
        assert "conflicting-end" in (await roaming.view(charge)).flags


async def test_a_later_truth_is_a_correction_and_never_a_second_end(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with two_operators(nursery) as roaming:
        charge = await charged(roaming)
        assert await ledger(roaming) == {"ended": 1, "delivered": 1, "acknowledged": 1}
        acknowledged = await roaming.local.context.ledger.entry("destination", f"{LOCAL}/{charge.name}")
        await trio.sleep(100)
        await roaming.station.meter(charge.number, 6_000)
        assert await ledger(roaming) == {"ended": 1, "delivered": 1, "acknowledged": 1, "corrected": 1}
        await roaming.station.stop(charge.number, 7_000)
        await roaming.station.stop(charge.number, 7_000)
        await trio.sleep(600)
        entry = await roaming.local.context.ledger.entry("destination", f"{LOCAL}/{charge.name}")
        assert entry is not None and acknowledged is not None
        assert entry.corrections == 2
        assert entry.acknowledged_at == acknowledged.acknowledged_at
        assert len(roaming.back.of(EndTransaction)) == 1
        assert (await roaming.same_cdr(charge)).energy_wh == 4_000


async def test_the_ledger_shows_what_became_of_each_record(autojump_clock: object, nursery: trio.Nursery) -> None:
    async with two_operators(nursery) as roaming:
        await charged(roaming)
        await roaming.leave()
        charge = await roaming.running()
        roaming.back.down = True
        await roaming.station.stop(charge.number, 5_000)
        assert await ledger(roaming) == {"ended": 2, "delivered": 1, "acknowledged": 1, "pending": 1}
        await trio.sleep(3_700)
        assert await ledger(roaming) == {"ended": 2, "delivered": 2, "acknowledged": 1, "overdue": 1}
        roaming.back.down, roaming.back.script = False, []
        await roaming.settled(charge, within_s=1_000)
        assert await ledger(roaming) == {"ended": 2, "delivered": 2, "acknowledged": 2}


async def test_the_ledger_is_kept_per_peer(autojump_clock: object, nursery: trio.Nursery) -> None:
    async with two_operators(nursery) as roaming, open_house("FR-002", nursery) as other:
        link(other, roaming.local)
        await charged(roaming)
        views = {peer.pms_identifier: peer.ledger["ended"] for peer in (await roaming.local.operator.peers()).items}
        assert views == {HOME: 1, "FR-002": 0}


async def test_an_overdue_record_is_flagged_at_the_source_and_never_closed_silently(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with two_operators(nursery) as roaming:
        charge = await roaming.stop_asked()
        roaming.back.script = [None, *[Unanswered(cause="HTTP 503")] * 3]
        await roaming.station.stop(charge.number, 5_000, reason="Remote")
        await roaming.home.until(charge.source, "TxFinished")
        roaming.back.down = True
        await trio.sleep(2 * 3_600)
        view = await roaming.view(charge)
        assert (view.state, view.flags, view.cdr) == ("TxFinished", ("cdr-overdue",), None)
        roaming.back.down, roaming.back.script = False, []
        await roaming.settled(charge, within_s=1_000)


async def test_a_record_that_stays_overdue_costs_few_lines_of_the_journal(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with two_operators(nursery) as roaming:
        charge = await roaming.running()
        roaming.back.down = True
        await roaming.station.stop(charge.number, 5_000)
        before = len(await roaming.local.journal.load(charge.destination))
        await trio.sleep(86_400)
        assert await ledger(roaming) == {"ended": 1, "delivered": 1, "overdue": 1}
        assert len(await roaming.local.journal.load(charge.destination)) - before == 5
