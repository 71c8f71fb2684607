"""What every store does with the audit log: kept before the deed, completed after it, masked, found, and forgotten."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from actors.journal import Journal
from actors.records import StreamCorrupt
from actors.retention import Retention, RetentionSettings
from actors.trail import Trail
from statecharts.audit import AuditFilter, AuditView, Deed
from statecharts.vocabulary import Refused
from tests.contracts.samples import NOON, StoppedClock, execute

STATIONS = "/api/v1/operator/stations"
ALL = AuditFilter()


class Wall(StoppedClock):
    def wall(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> Wall:
    return Wall()


@pytest.fixture
def trail(journal: Journal, clock: Wall) -> Trail:
    return Trail(journal.store, clock)


def deed(path: str = f"{STATIONS}/CS01/commands", body: Any = None, **more: Any) -> Deed:
    told = {"by": "anna", "address": "127.0.0.1", "correlation_id": "c-1", "method": "POST"}
    return Deed(path=path, route=f"{STATIONS}/{{identity}}/commands", body=body, **(told | more))


async def paths(trail: Trail, wanted: AuditFilter = ALL) -> list[str]:
    return [each.path.removeprefix(STATIONS) for each in (await trail.page(wanted, limit=99)).items]


async def test_a_deed_stands_before_it_is_done_and_with_its_outcome_after(trail: Trail, clock: Wall) -> None:
    number = await trail.asked(deed(body=b'{"command": "Reset"}'))
    (asked,) = (await trail.page(ALL, limit=9)).items
    assert (asked.id, asked.at, asked.body, asked.status) == (number, NOON, {"command": "Reset"}, None)
    clock.time += timedelta(seconds=3)
    await trail.answered(number, 409, "wrong-state")
    (done,) = (await trail.page(ALL, limit=9)).items
    outcome = {"status": 409, "problem": "wrong-state", "answered_at": clock.time}
    assert done == msgspec.structs.replace(asked, **outcome)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"password": "x1", "id_tag": "A1"}, {"password": "***", "id_tag": "A1"}),
        ({"id_token": "A1", "token": "x1"}, {"id_token": "A1", "token": "***"}),
        ({"key": "AuthorizationKey", "value": "x1"}, {"key": "AuthorizationKey", "value": "***"}),
        ({"key": "HeartbeatInterval", "value": "60"}, {"key": "HeartbeatInterval", "value": "60"}),
        (
            {"variables": [{"variable": "BasicAuthPassword", "attribute_value": "x1"}]},
            {"variables": [{"variable": "BasicAuthPassword", "attribute_value": "***"}]},
        ),
        ({"location": "ftp://eve:x1@host/log"}, {"location": "ftp://***@host/log"}),
    ],
)
async def test_secrets_are_not_written_down(journal: Journal, trail: Trail, body: Any, told: Any) -> None:
    await trail.asked(deed(body=msgspec.json.encode(body)))
    assert (await trail.page(ALL, limit=9)).items[0].body == told


async def test_a_body_that_is_no_json_is_told_by_its_digest(trail: Trail) -> None:
    await trail.asked(deed(body=b'{"password": "x1"'))
    (shown,) = (await trail.page(ALL, limit=9)).items
    assert (shown.body["bytes"], len(shown.body["sha256"])) == (17, 64)


async def test_deeds_are_found_by_who_where_and_when_newest_first(trail: Trail, clock: Wall) -> None:
    for place, by in (("CS01/commands", "anna"), ("CS010/commands", "anna"), ("CS01", "eve"), ("CS02/commands", "eve")):
        await trail.asked(deed(f"{STATIONS}/{place}", by=by))
        clock.time += timedelta(hours=1)
    assert await paths(trail) == ["/CS02/commands", "/CS01", "/CS010/commands", "/CS01/commands"]
    assert await paths(trail, AuditFilter(by="anna")) == ["/CS010/commands", "/CS01/commands"]
    assert await paths(trail, AuditFilter(below=(f"{STATIONS}/CS01",))) == ["/CS01", "/CS01/commands"]
    within = AuditFilter(since=NOON + timedelta(hours=1), until=NOON + timedelta(hours=3))
    assert await paths(trail, within) == ["/CS01", "/CS010/commands"]


async def test_pages_neither_skip_nor_repeat_what_happened_at_the_same_time(trail: Trail) -> None:
    numbers = [await trail.asked(deed()) for _ in range(5)]
    seen: list[AuditView] = []
    cursor = None
    for _ in range(3):
        page = await trail.page(ALL, cursor=cursor, limit=2)
        seen, cursor = [*seen, *page.items], page.next_cursor
    assert ([each.id for each in seen], cursor) == (numbers[::-1], None)
    with pytest.raises(Refused, match="cursor-unknown"):
        await trail.page(ALL, cursor="b3JwaGFucw", limit=2)


async def test_an_altered_deed_is_never_shown_nor_made_whole_again(journal: Journal, trail: Trail) -> None:
    number = await trail.asked(deed())
    await journal.store.write(execute, "UPDATE audit SET \"by\" = 'eve'")
    await trail.answered(number, 200, None)
    with pytest.raises(StreamCorrupt, match=r"audit/.* does not match its checksum"):
        await trail.page(ALL, limit=9)
    assert [finding.stream.partition("/")[0] for finding in await journal.check()] == ["audit"]


async def test_what_was_done_long_ago_is_forgotten(journal: Journal, trail: Trail, clock: Wall) -> None:
    await trail.asked(deed(by="old"))
    clock.time += timedelta(days=10)
    await trail.asked(deed(by="new"))
    now = StoppedClock(NOON + timedelta(days=3_651))
    await Retention(journal.store, now, RetentionSettings()).tidy()
    assert [each.by for each in (await trail.page(ALL, limit=9)).items] == ["new"]
