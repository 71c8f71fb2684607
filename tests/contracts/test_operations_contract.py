"""What every store does with operations: shown as they stand, listed, found under way, archived once they are old."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from actors.journal import Journal
from actors.operations import Operations
from actors.records import Append, StreamCorrupt
from actors.retention import Retention, RetentionSettings
from statecharts.doors import StationOperation
from statecharts.vocabulary import Refused
from tests.contracts.samples import NOON, StoppedClock, execute, fact

ANY: dict[str, Any] = {"station": None, "command": None, "state": None, "by": None}


def operation(number: int, **told: Any) -> StationOperation:
    at = NOON + timedelta(minutes=number)
    first = StationOperation(
        id=f"op-{number}",
        station="CS01",
        command="Reset",
        request={"kind": "Soft"},
        by="desk",
        state="Asked",
        asked_at=at,
        changed_at=at,
    )
    return msgspec.structs.replace(first, **told)


async def write(journal: Journal, seq: int, shown: StationOperation) -> None:
    final = shown.state in ("Succeeded", "Failed", "Unknown")
    stream = f"operation/{shown.id}"
    await journal.append(
        Append(stream=stream, after_seq=seq, facts=(fact("", shown.state),), operation=shown, final=final)
    )


@pytest.fixture
def operations(journal: Journal) -> Operations:
    return Operations(journal.store)


async def ids(operations: Operations, **wanted: Any) -> list[str]:
    page = await operations.page(**{**ANY, **wanted}, limit=99)
    return [each.id for each in page.items]


async def test_one_is_shown_as_it_stands(journal: Journal, operations: Operations) -> None:
    asked = operation(1)
    await write(journal, 0, asked)
    assert (await operations.one("op-1"), await operations.under_way()) == (asked, ("operation/op-1",))
    done = msgspec.structs.replace(asked, state="Succeeded", verdict="Accepted", data={"status": "Accepted"})
    await write(journal, 1, done)
    assert (await operations.one("op-1"), await operations.under_way()) == (done, ())
    assert await operations.one("op-2") is None


async def test_they_are_found_by_what_they_are(journal: Journal, operations: Operations) -> None:
    await write(journal, 0, operation(1))
    await write(journal, 0, operation(2, station="CS02", by="night"))
    await write(journal, 0, operation(3, command="ClearCache", state="Failed"))
    assert await ids(operations) == ["op-3", "op-2", "op-1"]
    assert await ids(operations, station="CS01") == ["op-3", "op-1"]
    assert await ids(operations, command="Reset", by="night") == ["op-2"]
    assert await ids(operations, state="Failed") == ["op-3"]


async def test_a_page_goes_on_where_the_last_one_ended(journal: Journal, operations: Operations) -> None:
    for number in range(5):
        await write(journal, 0, operation(number, asked_at=NOON))
    found, cursor = list[str](), None
    while not found or cursor:
        page = await operations.page(**ANY, cursor=cursor, limit=2)
        found, cursor = [*found, *(each.id for each in page.items)], page.next_cursor
    assert found == ["op-4", "op-3", "op-2", "op-1", "op-0"]
    with pytest.raises(Refused):
        await operations.page(**ANY, cursor="nonsense", limit=2)


async def test_one_that_was_altered_is_never_shown(journal: Journal, operations: Operations) -> None:
    await write(journal, 0, operation(1))
    await journal.store.write(execute, "UPDATE operations SET state = 'Succeeded'")
    with pytest.raises(StreamCorrupt):
        await operations.one("op-1")


async def test_old_ones_that_are_over_are_archived_and_nothing_of_them_is_lost(
    journal: Journal, operations: Operations
) -> None:
    await write(journal, 0, operation(1))
    await write(journal, 1, operation(1, state="Succeeded"))
    await write(journal, 0, operation(2))
    await write(journal, 0, operation(3, state="Failed", asked_at=NOON + timedelta(days=300)))
    later = StoppedClock(NOON + timedelta(days=366))
    await Retention(journal.store, later, RetentionSettings()).tidy()
    assert await ids(operations) == ["op-3", "op-2"]
    assert [each.type for each in await journal.load("operation/op-1")] == ["Asked", "Succeeded"]
    assert await journal.check() == ()
