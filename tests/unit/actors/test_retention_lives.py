"""Two operators whose finished charges were archived: nobody outside can tell."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import trio
from msgspec.structs import replace
from sqlalchemy import func, select

from actors import tables
from actors.records import StoreUnavailable
from actors.retention import Retention, RetentionSettings
from statecharts.ports import Clock
from statecharts.vocabulary import EndTransaction, Refused
from tests.contracts.samples import StoppedClock
from tests.support.house import House
from tests.support.roaming import LOCAL, Charge, Roaming


class Later(StoppedClock):
    """The clock of a house, a hundred days on."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock.now() + timedelta(days=100))


async def archive(house: House) -> None:
    await Retention(house.journal.store, Later(house.clock), RetentionSettings()).tidy()


async def in_journal(house: House, stream: str) -> int:
    facts = tables.journal.c.stream
    return await house.journal.store.read(lambda c: c.scalar(select(func.count()).where(facts == stream)))


async def archived(roaming: Roaming) -> Charge:
    """A charge of 3 kWh that is over and has left both journals."""
    charge = await roaming.running()
    await roaming.station.stop(charge.number, 4_000)
    await roaming.settled(charge)
    await roaming.leave()
    await roaming.ready()  # something newer goes on at both
    for house in (roaming.home, roaming.local):
        await archive(house)
    assert await in_journal(roaming.home, charge.source) == await in_journal(roaming.local, charge.destination) == 0
    return charge


async def told_again(roaming: Roaming, **other: Any) -> None:
    """The Destination's endTransaction once more, as it was sent, or with something else in it."""
    (sent,) = roaming.back.of(EndTransaction)
    changed = replace(sent, transaction_data=replace(sent.transaction_data, **other))
    await roaming.home.source(LOCAL, changed)


async def sound(roaming: Roaming) -> None:
    assert await roaming.home.journal.check() == await roaming.local.journal.check() == ()


async def test_lists_records_and_counts_stay_what_they_were(autojump_clock: object, roaming: Roaming) -> None:
    charge = await roaming.running()
    await roaming.station.stop(charge.number, 4_000)
    await roaming.settled(charge)
    await roaming.leave()
    await roaming.ready()

    async def shown() -> tuple[Any, ...]:
        return (
            await roaming.cdrs(),
            await roaming.view(charge),
            await roaming.local.context.ledger.counts("NL-MOT"),
            (await roaming.home.operator.peers()).items[0].ledger,
            await roaming.home.context.ledger.transactions(limit=9),
            await roaming.local.context.ledger.transactions(limit=9),
        )

    before = await shown()
    for house in (roaming.home, roaming.local):
        await archive(house)
    assert await in_journal(roaming.home, charge.source) == await in_journal(roaming.local, charge.destination) == 0
    assert await shown() == before
    await sound(roaming)


async def test_an_end_that_comes_again_is_acknowledged_and_another_is_refused(
    autojump_clock: object, roaming: Roaming
) -> None:
    charge = await archived(roaming)
    await roaming.down_time(roaming.home, 5)
    await told_again(roaming)
    with pytest.raises(Refused) as refusal:
        await told_again(roaming, energy_wh=9_999)
    assert refusal.value.refusal.code == 409
    assert (await roaming.same_cdr(charge)).energy_wh == 3_000
    await sound(roaming)


async def test_a_correction_that_comes_late_is_kept_and_archived_in_its_turn(
    autojump_clock: object, roaming: Roaming
) -> None:
    charge = await archived(roaming)
    await roaming.down_time(roaming.local, 5)
    await roaming.station.come_online()
    await roaming.station.meter(charge.number, 9_000)
    assert await in_journal(roaming.local, charge.destination) == 1
    assert (await roaming.local.data(charge.destination)).corrections == 1
    await roaming.ready("2")
    await archive(roaming.local)
    assert await in_journal(roaming.local, charge.destination) == 0
    assert (await roaming.local.data(charge.destination)).corrections == 1
    assert (await roaming.same_cdr(charge)).energy_wh == 3_000
    await sound(roaming)


async def test_a_charge_that_nobody_has_acknowledged_is_never_archived(
    autojump_clock: object, roaming: Roaming
) -> None:
    charge = await roaming.running()
    roaming.back.down = True
    await roaming.station.stop(charge.number, 4_000)
    await trio.sleep(60)
    facts = await in_journal(roaming.local, charge.destination)
    await archive(roaming.local)
    await archive(roaming.home)
    assert await in_journal(roaming.local, charge.destination) == facts > 0
    roaming.back.down, roaming.back.script = False, []
    await roaming.settled(charge, within_s=2_000)
    assert (await roaming.same_cdr(charge)).energy_wh == 3_000


async def test_it_looks_every_hour_and_outlives_a_store_that_is_away(
    autojump_clock: object, roaming: Roaming, monkeypatch: pytest.MonkeyPatch
) -> None:
    charge = await roaming.running()
    await roaming.station.stop(charge.number, 4_000)
    await roaming.settled(charge)
    settings = RetentionSettings(transactions_days=1)
    retention = Retention(roaming.local.journal.store, roaming.local.clock, settings)
    troubles: list[Exception] = [StoreUnavailable("disk full"), RuntimeError("a defect of ours")]
    tidy = retention.tidy

    async def tidy_if_it_can() -> None:
        if troubles:
            raise troubles.pop()
        await tidy()

    monkeypatch.setattr(retention, "tidy", tidy_if_it_can)
    roaming.nursery.start_soon(retention.run)
    await trio.sleep(23 * 3_600)
    assert (troubles, await in_journal(roaming.local, charge.destination) > 0) == ([], True)
    await roaming.ready()
    await trio.sleep(2 * 3_600)
    assert await in_journal(roaming.local, charge.destination) == 0
