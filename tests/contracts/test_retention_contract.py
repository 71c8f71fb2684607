"""What every store does with what is old: it leaves the journal, and everything reads as if it had not."""

from __future__ import annotations

from datetime import timedelta

import pytest
import trio
from sqlalchemy import Table, delete, func, select, update

from actors import tables
from actors.archive import unpacked_deliveries, unpacked_meter_values
from actors.journal import Journal
from actors.ledger import Ledger
from actors.records import (
    Alias,
    Append,
    DeliveryClosed,
    DeliveryStatus,
    IdleMeter,
    Snapshot,
    StreamConflict,
    StreamCorrupt,
)
from actors.retention import Retention, RetentionSettings
from statecharts.bounds import FACTS_AFTER_SNAPSHOT
from statecharts.limits import ARCHIVED_AT_ONCE, FACTS_PACKED
from tests.contracts.samples import NOON, StoppedClock, after, append, delivery, entry, view

DAYS = RetentionSettings(transactions_days=90, meter_values_days=30)
MANY = ["x"] * (FACTS_AFTER_SNAPSHOT.limit + 50)


async def tidy(journal: Journal, days: float = 91, settings: RetentionSettings = DAYS) -> None:
    """So many days after the samples were written, everything whose time has come is archived."""
    await Retention(journal.store, StoppedClock(NOON + timedelta(days=days)), settings).tidy()


async def put(journal: Journal, stream: str = "source/1", *texts: str, final: bool = True, **more: object) -> None:
    role, _, number = stream.partition("/")
    shown = view(int(number), role, changed_at=NOON)
    await journal.append(append(stream, 0, *(texts or ("a", "b", "c")), view=shown, final=final, **more))


async def newer(journal: Journal) -> None:
    """Something else goes on: the newest fact of all never leaves the journal."""
    await journal.append(append("station/CS01", len(await journal.load("station/CS01"))))


async def count(journal: Journal, table: Table, stream: str | None = None) -> int:
    query = select(func.count()).select_from(table)
    query = query if stream is None else query.where(table.c.stream == stream)
    return await journal.store.read(lambda connection: connection.scalar(query))


# -- transactions ------------------------------------------------------------------------------------------------------


async def test_an_old_finished_transaction_leaves_the_journal_and_reads_as_before(
    journal: Journal, ledger: Ledger
) -> None:
    await put(journal)
    await newer(journal)
    before, shown = await journal.load("source/1"), await ledger.transaction("source/1")
    await tidy(journal)
    assert await count(journal, tables.journal, "source/1") == 0
    assert await journal.load("source/1") == before
    assert (await journal.history("source/1", "any form")).facts == before
    assert await ledger.transaction("source/1") == shown
    assert (await ledger.transactions(limit=9)).items == (shown,)
    assert await journal.check() == ()


@pytest.mark.parametrize("days, final", [(89, True), (500, False)])
async def test_what_is_not_old_or_not_over_stays(journal: Journal, days: int, final: bool) -> None:
    await put(journal, final=final)
    await newer(journal)
    await tidy(journal, days)
    assert await count(journal, tables.journal, "source/1") == 3
    assert await count(journal, tables.archive) == 0


async def test_the_newest_fact_of_all_stays_where_the_head_is_compared_with_it(journal: Journal) -> None:
    await put(journal)
    await tidy(journal)
    assert await count(journal, tables.journal, "source/1") == 3


async def test_a_charge_record_stays_in_the_ledger_with_its_counts(journal: Journal, ledger: Ledger) -> None:
    owed = (delivery("end/1", "NL-MOT", transaction="destination/1"),)
    record = entry("IE-001/1", status="acknowledged", acknowledged_at=after(9))
    await put(journal, "destination/1", ledger=(record,), deliveries=owed)
    await journal.append(append("destination/1", 3, closed=(DeliveryClosed(id=1, status=DeliveryStatus.DONE),)))
    await newer(journal)
    before = await ledger.counts("NL-MOT")
    assert before["delivered"] == before["acknowledged"] == 1
    await tidy(journal)
    assert await count(journal, tables.deliveries) == 0
    assert await ledger.cdr("destination", "IE-001/1") == record.cdr
    assert await ledger.counts("NL-MOT") == before
    assert await journal.check() == ()
    body = await journal.store.read(lambda connection: connection.scalar(select(tables.archive.c.body)))
    (kept,) = unpacked_deliveries(body)
    assert (kept["message_id"], kept["status"], kept["body"]) == ("end/1", "done", b"<end/>")


@pytest.mark.parametrize("status", [DeliveryStatus.PENDING, DeliveryStatus.PARKED])
async def test_what_is_still_owed_to_a_peer_stays_in_the_outbox(journal: Journal, status: DeliveryStatus) -> None:
    await put(journal, "destination/1", deliveries=(delivery("notify/1", transaction="destination/1"),))
    await journal.store.write(lambda connection: connection.execute(update(tables.deliveries).values(status=status)))
    await newer(journal)
    await tidy(journal)
    assert await count(journal, tables.journal, "destination/1") == 0
    assert await count(journal, tables.deliveries) == 1


async def test_a_late_fact_goes_on_after_the_archived_ones_and_is_archived_in_its_turn(journal: Journal) -> None:
    await put(journal)
    await newer(journal)
    await tidy(journal)
    with pytest.raises(StreamConflict):
        await journal.append(append("source/1", 0, "again from the beginning"))
    late = append("source/1", 3, "late", view=view(1, changed_at=after(3600)), final=True)
    await journal.append(late)
    await newer(journal)
    facts = await journal.load("source/1")
    assert [fact.seq for fact in facts] == [1, 2, 3, 4]
    assert await journal.check() == ()
    await tidy(journal)
    assert await count(journal, tables.archive, "source/1") == 2
    assert await journal.load("source/1") == facts
    assert await journal.check() == ()


async def test_a_delivery_that_ends_after_its_transaction_was_archived_waits_for_its_next_fact(
    journal: Journal,
) -> None:
    await put(journal, "destination/1", deliveries=(delivery("notify/1", transaction="destination/1"),))
    await newer(journal)
    await tidy(journal)
    shown = view(1, "destination", changed_at=NOON)
    closed = (DeliveryClosed(id=1, status=DeliveryStatus.DONE),)
    await journal.append(Append(stream="destination/1", after_seq=3, facts=(), closed=closed, view=shown, final=True))
    await tidy(journal)
    assert await count(journal, tables.deliveries) == 1
    await journal.append(append("destination/1", 3, "late", view=shown, final=True))
    await newer(journal)
    await tidy(journal)
    assert await count(journal, tables.deliveries) == 0
    assert await journal.check() == ()


async def test_aliases_still_name_an_archived_stream(journal: Journal) -> None:
    await put(journal, aliases=(Alias(scope="source-authorization/IE-001", name="0A"),))
    await newer(journal)
    await tidy(journal)
    assert await journal.find("source-authorization/IE-001", "0A") == "source/1"


async def test_many_transactions_and_long_ones_are_archived_in_pieces(journal: Journal) -> None:
    number = 2 * ARCHIVED_AT_ONCE.limit + 1
    async with trio.open_nursery() as nursery:
        for each in range(number):
            nursery.start_soon(put, journal, f"source/{each}")
    long = ["x"] * (FACTS_PACKED.limit + 5)
    await put(journal, "source/1000", *long)
    await newer(journal)
    await tidy(journal)
    assert await count(journal, tables.journal) == 1
    assert await count(journal, tables.archive, "source/1000") == 2
    assert len(await journal.load("source/1000")) == len(long)
    assert await count(journal, tables.archive) == number + 2
    assert await journal.check() == ()


# -- streams that go on ------------------------------------------------------------------------------------------------


async def test_the_beginning_of_a_stream_that_goes_on_is_archived_as_far_as_its_snapshot_goes(
    journal: Journal,
) -> None:
    snapshot = Snapshot(seq=len(MANY), form="tally 1", data=b"{}")
    await journal.append(append("station/CS02", 0, *MANY, snapshot=snapshot))
    await journal.append(append("station/CS02", len(MANY), "after"))
    await newer(journal)
    facts = await journal.load("station/CS02")
    await tidy(journal)
    assert await count(journal, tables.journal, "station/CS02") == 1
    assert await journal.load("station/CS02") == facts
    history = await journal.history("station/CS02", "tally 1")
    assert (history.snapshot, history.facts) == (snapshot, facts[-1:])
    assert (await journal.history("station/CS02", "tally 2")).facts == facts
    await journal.append(append("station/CS02", len(MANY) + 1, "goes on"))
    assert await journal.check() == ()


async def test_a_few_old_facts_are_not_worth_a_row_of_the_archive(journal: Journal) -> None:
    few = MANY[: FACTS_AFTER_SNAPSHOT.limit - 1]
    snapshot = Snapshot(seq=len(few), form="tally 1", data=b"{}")
    await journal.append(append("station/CS02", 0, *few, snapshot=snapshot))
    await newer(journal)
    await tidy(journal)
    assert await count(journal, tables.archive) == 0


# -- meter values ------------------------------------------------------------------------------------------------------


async def test_old_meter_values_of_idle_connectors_are_packed_by_station(journal: Journal, ledger: Ledger) -> None:
    meters = tuple(
        IdleMeter(station=station, at=after(day * 86_400), body=f"{station} {day}".encode())
        for day in (0, 1, 40)
        for station in ("CS01", "CS02")
    )
    await journal.append(append("station/CS01", 0, meters=meters))
    await tidy(journal, 45)
    assert [meter.body for meter in await ledger.idle_meters("CS01", limit=9)] == [b"CS01 40"]
    query = select(tables.archive.c.body).where(tables.archive.c.stream == "meter-values/CS01")
    body = await journal.store.read(lambda connection: connection.scalar(query))
    assert [row["body"] for row in unpacked_meter_values(body)] == [b"CS01 0", b"CS01 1"]
    assert await journal.check() == ()


async def test_damaged_meter_values_hold_no_other_station_up(journal: Journal, ledger: Ledger) -> None:
    meters = tuple(IdleMeter(station=station, at=NOON, body=b"true") for station in ("CS01", "CS02"))
    await journal.append(append("station/CS01", 0, meters=meters))
    values = tables.meter_values
    altered = update(values).where(values.c.station == "CS01").values(body=b"false")
    await journal.store.write(lambda connection: connection.execute(altered))
    await tidy(journal)
    assert await count(journal, values) == 1
    assert await ledger.idle_meters("CS02", limit=9) == ()
    assert [finding.stream for finding in await journal.check()] == ["meter_values/1"]


# -- damage ------------------------------------------------------------------------------------------------------------


async def test_a_damaged_stream_is_not_archived_and_holds_no_other_up(journal: Journal) -> None:
    for number in (1, 2, 3):
        await put(journal, f"source/{number}")
    await newer(journal)
    facts = tables.journal.c
    altered = update(tables.journal).where(facts.stream == "source/2", facts.seq == 2).values(data=b'"x"')
    await journal.store.write(lambda connection: connection.execute(altered))
    await tidy(journal)
    left = await journal.store.read(
        lambda connection: [*connection.scalars(select(facts.stream).distinct().order_by(facts.stream))]
    )
    assert left == ["source/2", "station/CS01"]
    assert {finding.stream for finding in await journal.check()} == {"source/2"}


@pytest.mark.parametrize("changed", [{"body": b"x"}, {"tip": b"x"}, {"last_seq": 4}, {"position": 77}])
async def test_an_altered_archive_is_never_read_and_is_found(journal: Journal, changed: dict[str, object]) -> None:
    await put(journal)
    await newer(journal)
    await tidy(journal)
    await journal.store.write(lambda connection: connection.execute(update(tables.archive).values(**changed)))
    with pytest.raises(StreamCorrupt):
        await journal.load("source/1")
    assert (await journal.check())[0].stream.startswith("archive/source/1")


async def test_a_piece_that_is_gone_from_the_archive_is_found(journal: Journal) -> None:
    await put(journal)
    await newer(journal)
    await tidy(journal)
    await journal.append(append("source/1", 3, "late", view=view(1, changed_at=NOON), final=True))
    await newer(journal)
    await journal.store.write(lambda connection: connection.execute(delete(tables.archive)))
    with pytest.raises(StreamCorrupt, match="seq 1 is missing"):
        await journal.load("source/1")
    assert {finding.stream for finding in await journal.check()} == {"source/1"}
