"""What every store does with a station's log: kept with its turn, shown by page and kind, and bounded."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from actors import tables
from actors.journal import Journal
from actors.ledger import Ledger
from actors.records import LogEntry, StreamConflict
from actors.retention import Retention, RetentionSettings
from statecharts.limits import STATION_LOG_KEPT, Limit
from statecharts.vocabulary import Refused
from tests.contracts.samples import NOON, StoppedClock, after, append

KINDS = ("SecurityEvent", "LogStatus")


def logged(number: int, *, station: str = "CS01", days: float = 0) -> LogEntry:
    at = after(days * 86_400)
    return LogEntry(station=station, kind=KINDS[number % 2], at=at, body=f"{number}".encode())


async def tidy(journal: Journal, days: float) -> None:
    clock = StoppedClock(NOON + timedelta(days=days))
    await Retention(journal.store, clock, RetentionSettings(station_log_days=365)).tidy()


async def bodies(ledger: Ledger, station: str = "CS01", kind: str | None = None) -> list[bytes]:
    return [each.body for each in (await ledger.station_log(station, kind=kind, limit=99)).items]


async def test_a_log_is_shown_newest_first_by_page_and_by_kind(journal: Journal, ledger: Ledger) -> None:
    entries = tuple(logged(number) for number in range(5))
    await journal.append(append("station/CS01", log=(*entries, logged(9, station="CS02"))))
    first = await ledger.station_log("CS01", limit=3)
    assert [(each.body, each.kind, each.at) for each in first.items] == [
        (b"4", "SecurityEvent", NOON),
        (b"3", "LogStatus", NOON),
        (b"2", "SecurityEvent", NOON),
    ]
    second = await ledger.station_log("CS01", cursor=first.next_cursor, limit=3)
    assert ([each.body for each in second.items], second.next_cursor) == ([b"1", b"0"], None)
    assert await bodies(ledger, kind="LogStatus") == [b"3", b"1"]
    page = await ledger.station_log("CS01", kind="LogStatus", limit=1)
    rest = await ledger.station_log("CS01", kind="LogStatus", cursor=page.next_cursor, limit=9)
    assert [each.body for each in rest.items] == [b"1"]
    assert await bodies(ledger, "CS03") == []


async def test_a_cursor_of_another_list_is_refused(ledger: Ledger) -> None:
    with pytest.raises(Refused, match="cursor-unknown"):
        await ledger.station_log("CS01", cursor="b3JwaGFucw", limit=9)


async def test_an_entry_is_written_with_its_turn_or_not_at_all(journal: Journal, ledger: Ledger) -> None:
    with pytest.raises(StreamConflict):
        await journal.append(append("station/CS01", 7, "fact", log=(logged(1),)))
    assert await bodies(ledger) == []
    await journal.append(append("station/CS01", 0, "fact", log=(logged(2),)))
    assert await bodies(ledger) == [b"2"]


async def test_what_was_logged_long_ago_is_forgotten(journal: Journal, ledger: Ledger) -> None:
    await journal.append(append("station/CS01", log=(logged(1), logged(2, days=10))))
    await tidy(journal, days=364)
    assert await bodies(ledger) == [b"2", b"1"]
    await tidy(journal, days=366)
    assert await bodies(ledger) == [b"2"]
    assert await journal.check() == ()


async def test_a_station_that_logs_without_end_loses_its_oldest_entries_and_no_other_any(
    journal: Journal, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = Limit(name=STATION_LOG_KEPT.name, limit=3, unit=STATION_LOG_KEPT.unit, reason=STATION_LOG_KEPT.reason)
    monkeypatch.setattr("actors.retention.STATION_LOG_KEPT", few)
    talkative = tuple(logged(number) for number in range(8))
    await journal.append(append("station/CS01", log=(*talkative, logged(9, station="CS02"))))
    await tidy(journal, days=1)
    assert await bodies(ledger) == [b"7", b"6", b"5"]
    assert await bodies(ledger, "CS02") == [b"9"]
    query = select(func.count()).select_from(tables.station_log)
    assert await journal.store.read(lambda connection: connection.scalar(query)) == 4
