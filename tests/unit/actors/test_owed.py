"""What a partner is owed, as its actor keeps it in memory: always what the outbox would say, however much there is."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.journal import Journal, open_journal
from actors.outbox import Outbox
from actors.owed import Owed
from actors.records import Delivery, StoreUnavailable
from actors.store import run_inline
from statecharts.bounds import OWED, Watermarks
from statecharts.delivery import backoff_s
from tests.contracts.samples import NOON, StoppedClock, after, append, delivery

IE = "IE-001"
PAUSE_MAX_S = 900


@pytest.fixture
async def journal() -> AsyncIterator[Journal]:
    async with open_journal("sqlite://", clock=StoppedClock(), run_sync=run_inline) as journal:
        yield journal


@pytest.fixture
def outbox(journal: Journal) -> Outbox:
    return Outbox(journal.store)


async def owe(journal: Journal, stream: str, *message_ids: str, **more: Any) -> tuple[Delivery, ...]:
    """Deliveries in the table, each of a transaction of its own."""
    owed = tuple(delivery(name, transaction=f"source/{name}", **more) for name in message_ids)
    return (await journal.append(append(stream, deliveries=owed))).deliveries


def names(rows: Iterable[Delivery]) -> list[str]:
    return [row.message_id for row in rows]


async def test_what_is_handed_over_is_sent_once_the_longest_due_first(journal: Journal, outbox: Outbox) -> None:
    owed = Owed(outbox, IE, Watermarks(), PAUSE_MAX_S)
    for row in await owe(journal, "s/1", "a", "b", "c"):
        owed.add(row)
    assert names(owed.take(NOON, 2)) == ["a", "b"]
    assert (owed.under_way, len(owed)) == (2, 3)
    assert names(owed.take(NOON, 9)) == ["c"]
    assert owed.take(NOON, 9) == []


async def test_what_failed_waits_and_what_is_over_is_gone(journal: Journal, outbox: Outbox) -> None:
    owed = Owed(outbox, IE, Watermarks(), PAUSE_MAX_S)
    a, b = await owe(journal, "s/1", "a", "b")
    owed.add(a)
    owed.add(b)
    owed.take(NOON, 9)
    owed.tried(a, after(60))
    owed.over(b)
    for row in (a, b):
        owed.put_back(row)
    assert (owed.take(after(59), 9), owed.next_at(after(59))) == ([], after(60))
    (again,) = owed.take(after(60), 9)
    assert (again.message_id, again.attempts) == ("a", 1)
    owed.over(again)
    assert (len(owed), owed.next_at(after(60))) == (0, None)


async def test_a_command_whose_time_is_over_is_named_at_that_time(journal: Journal, outbox: Outbox) -> None:
    owed = Owed(outbox, IE, Watermarks(), PAUSE_MAX_S)
    (command,) = await owe(journal, "s/1", "start", expires_at=after(30))
    owed.add(command)
    owed.take(NOON, 1)
    assert owed.next_at(NOON) == after(30)
    assert (owed.lapsed(after(29)), owed.lapsed(after(30))) == ([], [command])


async def test_a_page_is_kept_and_the_rest_is_read_when_the_page_runs_out(journal: Journal, outbox: Outbox) -> None:
    watermarks = Watermarks()
    owed = Owed(outbox, IE, watermarks, PAUSE_MAX_S)
    every = await owe(journal, "s/1", *(f"m{number}" for number in range(OWED.limit + 50)))
    await owed.read(NOON)
    assert len(owed) == OWED.limit
    (late,) = await owe(journal, "s/2", "late")
    owed.add(late)
    assert len(owed) == OWED.limit
    assert {bound: highest for bound, highest, _ in watermarks}[OWED] == OWED.limit
    sent = []
    while True:
        await owed.read_more(NOON)
        taken = owed.take(NOON, 200)
        if not taken:
            break
        for row in taken:
            await outbox.park(row.id, "told to")
            owed.over(row)
            owed.put_back(row)
        sent += names(taken)
    assert sent == [*names(every), "late"]


async def test_new_messages_do_not_wait_behind_a_page_of_old_ones_that_failed(journal: Journal, outbox: Outbox) -> None:
    owed = Owed(outbox, IE, Watermarks(), PAUSE_MAX_S)
    await owe(journal, "s/1", *(f"m{number}" for number in range(OWED.limit)))
    await owed.read(NOON)
    for row in owed.take(NOON, OWED.limit):
        await outbox.record_attempt(row.id, 1, after(600), "no answer")
        owed.tried(row, after(600))
        owed.put_back(row)
    owed.add(*(await owe(journal, "s/2", "new")))
    await owed.read_more(NOON)
    assert names(owed.take(NOON, 8)) == ["new"]


async def test_what_happens_while_the_table_is_read_is_not_forgotten(journal: Journal) -> None:
    """A row that was delivered, one that was tried and one that was owed between the reading and its end."""
    read, go_on = trio.Event(), trio.Event()

    class Slow(Outbox):
        async def pending(self, peer: str, limit: int, now: datetime) -> tuple[Delivery, ...]:
            found = await super().pending(peer, limit, now)
            read.set()
            await go_on.wait()
            return found

    owed = Owed(Slow(journal.store), IE, Watermarks(), PAUSE_MAX_S)
    delivered, tried = await owe(journal, "s/1", "delivered", "tried")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(owed.read, NOON)
        await read.wait()
        owed.over(delivered)
        owed.tried(tried, after(60))
        owed.add(*(await owe(journal, "s/2", "new")))
        go_on.set()
    assert names(owed.take(NOON, 9)) == ["new"]
    assert owed.next_at(NOON) == after(60)


async def test_what_an_operator_has_opened_again_is_found_however_often_the_store_is_away(journal: Journal) -> None:
    class Away(Outbox):
        times = 2

        async def pending(self, peer: str, limit: int, now: datetime) -> tuple[Delivery, ...]:
            if self.times:
                self.times -= 1
                raise StoreUnavailable("the server is restarting")
            return await super().pending(peer, limit, now)

    outbox = Away(journal.store)
    owed = Owed(outbox, IE, Watermarks(), PAUSE_MAX_S)
    (parked,) = await owe(journal, "s/1", "parked")
    await outbox.park(parked.id, "told to")
    for number in range(OWED.limit // 2 + 1):
        owed.add(*(await owe(journal, f"s/new-{number}", f"new-{number}")))
    await outbox.replay(parked.id)
    owed.reopened()
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await owed.read_more(NOON)
    await owed.read_more(NOON)
    assert "parked" in names(owed.take(NOON, OWED.limit))


# -- what is not sealed ------------------------------------------------------------------------------------------------


async def change(journal: Journal, what: str) -> None:
    await journal.store.write(lambda connection: connection.exec_driver_sql(f"UPDATE deliveries SET {what}"))


@pytest.mark.parametrize(
    "altered",
    ["next_at = 9223372036854775807", "next_at = next_at + 9000000000000000", "next_at = 'soon'", "next_at = -1 << 62",
     "next_at = 1.5e300", "next_at = x'00'", "attempts = 'many'", "attempts = 9223372036854775807", "attempts = 1.5",
     "attempts = x'ff'"],
)  # fmt: skip
async def test_a_wait_that_was_altered_on_the_disk_holds_nothing_back(
    journal: Journal, outbox: Outbox, altered: str
) -> None:
    await owe(journal, "s/1", "a")
    await change(journal, altered)
    owed = Owed(outbox, IE, Watermarks(), PAUSE_MAX_S)
    await owed.read(NOON)
    (row,) = owed.take(NOON, 9)
    assert backoff_s(row.attempts, 0.0, base_s=1, cap_s=PAUSE_MAX_S) >= 0
    assert await outbox.record_attempt(row.id, row.attempts + 1, NOON, "no answer")


async def test_nothing_waits_for_a_clock_that_was_wrong(journal: Journal, outbox: Outbox) -> None:
    owed = Owed(outbox, IE, Watermarks(), PAUSE_MAX_S)
    (row,) = await owe(journal, "s/1", "a")
    owed.add(row)
    owed.tried(row, after(PAUSE_MAX_S))
    assert (owed.take(NOON, 9), owed.next_at(NOON)) == ([], after(PAUSE_MAX_S))
    owed.tried(row, after(10 * 365 * 86_400))
    assert names(owed.take(NOON, 9)) == ["a"]


async def test_a_status_that_was_altered_in_the_index_alone_holds_nothing_back(tmp_path: Path) -> None:
    file = tmp_path / "journal.db"
    async with open_journal(f"sqlite:///{file}", clock=StoppedClock()) as journal:
        await owe(journal, "s/1", "a", "b", "c")
    content = bytearray(file.read_bytes())
    entries = [found.start() for found in re.finditer(b"IE-001pending", content)]
    assert len(entries) == 3
    content[entries[0] : entries[0] + 13] = b"IE-001pelding"  # the last of them: a page is filled from its end
    file.write_bytes(content)
    async with open_journal(f"sqlite:///{file}", clock=StoppedClock()) as journal:
        owed = Owed(Outbox(journal.store), IE, Watermarks(), PAUSE_MAX_S)
        await owed.read(NOON)
        assert names(owed.take(NOON, 9)) == ["a", "b", "c"]
