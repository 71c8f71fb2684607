"""What every store does with orphans: kept with their reason, shown by page and filter, decided on once."""

from __future__ import annotations

from typing import Any

import pytest

from actors.journal import Journal
from actors.orphans import Orphans
from actors.records import Decision, Orphan, OrphanDecided, OrphanOutcome
from tests.contracts.samples import NOON, append

DISMISSED = Decision(outcome=OrphanOutcome.DISMISSED, at=NOON, by="olga", reason="a test")


@pytest.fixture
def orphans(journal: Journal) -> Orphans:
    return Orphans(journal.store)


def lost(number: int, **more: Any) -> Orphan:
    said = {"station": "CS01", "kind": "StopTransaction", "why": "no such charge", **more}
    return Orphan(at=NOON, body=f"{number}".encode(), **said)


async def bodies(orphans: Orphans, **wanted: Any) -> list[bytes]:
    return [each.body for each in (await orphans.page(limit=9, **wanted)).items]


async def decide(journal: Journal, orphan: Orphan, decision: Decision = DISMISSED, after_seq: int = 1) -> None:
    decided = (OrphanDecided(orphan=orphan, decision=decision),)
    await journal.append(append("station/CS01", after_seq, decided=decided))


async def test_orphans_are_kept_and_shown_newest_first(journal: Journal, orphans: Orphans) -> None:
    await journal.append(append("station/CS01", orphans=tuple(lost(n) for n in range(3))))
    first = await orphans.page(limit=2)
    assert [(each.body, each.why, each.decision) for each in first.items] == [
        (b"2", "no such charge", None),
        (b"1", "no such charge", None),
    ]
    await journal.append(append("station/CS01", after_seq=1, orphans=(lost(0),)))
    second = await orphans.page(cursor=first.next_cursor, limit=2)
    assert [each.body for each in second.items] == [b"0"] and second.next_cursor is None
    assert await orphans.one(first.items[0].id or 0) == first.items[0]
    assert await orphans.one(99) is None


async def test_orphans_are_found_by_station_and_kind(journal: Journal, orphans: Orphans) -> None:
    others = lost(1, station="CS02"), lost(2, kind="MeterValues")
    await journal.append(append("station/CS01", orphans=(lost(0), *others)))
    assert await bodies(orphans, station="CS01") == [b"2", b"0"]
    assert await bodies(orphans, kind="StopTransaction") == [b"1", b"0"]
    assert await bodies(orphans, station="CS02", kind="MeterValues") == []
    assert [each.body for each in await orphans.after("CS01", "StopTransaction", 0, 9)] == [b"0"]
    assert await orphans.holds(lost(1, station="CS02")) and not await orphans.holds(lost(1))


async def test_an_orphan_is_decided_on_once(journal: Journal, orphans: Orphans) -> None:
    await journal.append(append("station/CS01", orphans=(lost(0), lost(1))))
    (_, first) = (await orphans.page(limit=9)).items
    await decide(journal, first)
    other = Decision(outcome=OrphanOutcome.ASSIGNED, at=NOON, by="otto", transaction="local/7")
    await decide(journal, first, other, after_seq=2)
    assert await bodies(orphans) == [b"1"]
    assert await bodies(orphans, outcome=OrphanOutcome.ASSIGNED) == []
    (dismissed,) = (await orphans.page(outcome=OrphanOutcome.DISMISSED, limit=9)).items
    assert dismissed.decision == DISMISSED
    assert await orphans.holds(lost(0))
    assert await orphans.after("CS01", "StopTransaction", 0, 9) == await orphans.after("CS01", "StopTransaction", 1, 9)
    assert await journal.check() == ()


async def test_what_has_found_its_transaction_is_decided_by_its_content(journal: Journal, orphans: Orphans) -> None:
    await journal.append(append("station/CS01", orphans=(lost(0), lost(0), lost(0, station="CS02"))))
    joined = Decision(outcome=OrphanOutcome.JOINED, at=NOON, transaction="local/7")
    await decide(journal, lost(0), joined)
    assert [each.station for each in (await orphans.page(limit=9)).items] == ["CS02"]
    assert await bodies(orphans, outcome=OrphanOutcome.JOINED) == [b"0", b"0"]
