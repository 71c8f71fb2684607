"""What every store finds when messages to partners are searched for: what a look at each finds, each once."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from random import Random
from typing import Any

import msgspec
import pytest
import trio

from actors.journal import Journal
from actors.outbox import Outbox
from actors.records import Delivery, DeliveryClosed, DeliveryStatus
from statecharts.searches import DeliverySearch
from statecharts.vocabulary import Refused
from tests.contracts.samples import after, append, delivery

DUE = after(50)
"""What was first owed before then is overdue, unless it is over."""

VALUES: dict[str, tuple[Any, ...]] = {
    "peer": ("IE-001", "FR-002", "NL-MOT"),
    "status": tuple(status.value for status in DeliveryStatus),
    "operation": ("EndTransaction", "NotifyRequestResult"),
    "transaction": ("local/1", "local/2"),
    "since": (after(30), after(70)),
    "until": (after(30), after(70)),
    "overdue": (True, False),
}
OF_DELIVERY: dict[str, Callable[[Delivery, Any], bool]] = {
    "peer": lambda row, peer: row.peer == peer,
    "status": lambda row, status: row.status.value == status,
    "operation": lambda row, operation: row.operation == operation,
    "transaction": lambda row, transaction: row.transaction == transaction,
    "since": lambda row, since: row.created_at >= since,
    "until": lambda row, until: row.created_at < until,
    "overdue": lambda row, overdue: is_overdue(row) == overdue,
}


def is_overdue(row: Delivery) -> bool:
    owed = row.status in (DeliveryStatus.PENDING, DeliveryStatus.PARKED)
    return owed and row.expires_at is None and row.created_at < DUE


def wanted(rows: list[Delivery], search: DeliverySearch) -> list[Delivery]:
    """The same search as one reads it, with a look at every row."""
    found = [each for each in rows if all(OF_DELIVERY[name](each, value) for name, value in search.items())]
    return sorted(found, key=lambda each: (each.created_at, each.id), reverse=True)


async def owe(journal: Journal, name: str) -> Delivery:
    chance = Random(name)
    owed = delivery(
        name,
        chance.choice(["IE-001", "FR-002"]),
        operation=chance.choice(["EndTransaction", "NotifyRequestResult", "RequestStartTransaction"]),
        transaction=f"local/{chance.randrange(4)}",
        created_at=after(chance.randrange(100)),
        expires_at=after(200) if chance.random() < 0.3 else None,
    )
    appended = await journal.append(append(f"made/{name}", deliveries=(owed,)))
    (row,) = appended.deliveries
    status = chance.choice([None, *DeliveryStatus])
    if status is None or status is DeliveryStatus.PENDING:
        return row
    closed = DeliveryClosed(id=row.id, status=status, error="so it was")
    await journal.append(append(f"made/{name}", 1, closed=(closed,)))
    return msgspec.structs.replace(row, status=status, last_error="so it was", attempts=1)


async def found(outbox: Outbox, search: DeliverySearch, limit: int = 99) -> list[Delivery]:
    seen: list[Delivery] = []
    cursor = None
    while True:
        page = await outbox.page(DUE, cursor=cursor, limit=limit, **search)
        seen += page.items
        cursor = page.next_cursor
        if cursor is None:
            return seen


async def test_any_two_parts_of_a_search_find_what_a_look_at_all_finds(journal: Journal, outbox: Outbox) -> None:
    rows = [await owe(journal, f"{number}") for number in range(60)]
    single = [(name, value) for name, values in VALUES.items() for value in values]
    pairs = [dict(pair) for pair in combinations(single, 2) if pair[0][0] != pair[1][0]]
    searches: list[Any] = [{}, *({name: value} for name, value in single), *Random(0).sample(pairs, 80)]
    expected = [wanted(rows, search) for search in searches]
    assert [await found(outbox, search) for search in searches] == expected
    assert sum(map(bool, expected)) > 50


async def test_pages_show_each_once_while_others_come(journal: Journal, outbox: Outbox) -> None:
    rows = [await owe(journal, f"{number}") for number in range(30)]

    async def owe_more() -> None:
        for number in range(30):
            await owe(journal, f"more/{number}")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(owe_more)
        seen = await found(outbox, {}, limit=2)
    assert len({row.id for row in seen}) == len(seen)
    assert [row.id for row in seen if not row.message_id.startswith("more/")] == [row.id for row in wanted(rows, {})]


async def test_one_is_found_by_its_id_whatever_has_become_of_it(journal: Journal, outbox: Outbox) -> None:
    rows = [await owe(journal, f"{number}") for number in range(12)]
    assert len({row.status for row in rows}) > 2
    assert [await outbox.one(row.id) for row in rows] == rows
    assert await outbox.one(99) is None


async def test_dead_letters_of_a_partner_are_opened_the_oldest_first_and_no_others(
    journal: Journal, outbox: Outbox
) -> None:
    rows = [await owe(journal, f"b{number}") for number in range(60)]
    ours = [row for row in rows if row.peer == "IE-001" and row.status is DeliveryStatus.PARKED]
    ends = [row for row in ours if row.operation == "EndTransaction"]
    assert 3 < len(ends) < len(ours)
    assert await outbox.replay_parked("IE-001", "EndTransaction", 2) == 2
    opened = [row for row in await found(outbox, {"status": "pending"}) if row.last_error == "so it was"]
    assert sorted(row.id for row in opened) == [row.id for row in ends[:2]]
    assert {(row.attempts, row.next_at) for row in opened} == {(0, journal.store.clock.now())}
    assert await outbox.count_parked("IE-001", "EndTransaction") == len(ends) - 2
    assert await outbox.replay_parked("IE-001", None, 99) == len(ours) - 2
    assert await outbox.replay_parked("IE-001", None, 99) == 0
    others = {row.id for row in rows if row.peer != "IE-001" and row.status is DeliveryStatus.PARKED}
    assert {row.id for row in await found(outbox, {"status": "parked"})} == others


async def test_what_is_overdue_is_counted_with_the_oldest(journal: Journal, outbox: Outbox) -> None:
    rows = [await owe(journal, f"{number}") for number in range(40)]
    late = [row for row in rows if row.peer == "IE-001" and is_overdue(row)]
    assert await outbox.overdue("IE-001", DUE) == (len(late), min(row.created_at for row in late))
    assert await outbox.overdue("XX-000", DUE) == (0, None)


async def test_a_cursor_of_another_list_is_refused(outbox: Outbox) -> None:
    with pytest.raises(Refused):
        await outbox.page(DUE, cursor="AAAA", limit=2)
