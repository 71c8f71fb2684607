"""Webhooks and what they are told, in every store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection

from actors.journal import Journal
from actors.ledger import Ledger
from actors.webhook_rows import (
    HookDelivery,
    HookRecord,
    HookStatus,
    NewHookDelivery,
    WebhookRows,
    with_status,
)
from statecharts.vocabulary import Refused
from statecharts.webhook import Webhook
from statecharts.webhook_limits import WEBHOOK_DELIVERIES, WEBHOOK_LAG
from statecharts.webhooks_door import HookEvent
from tests.contracts.conftest import Backend
from tests.contracts.samples import NOON, after, append, execute, view


def record(hook: str = "hook-1", **more: Any) -> HookRecord:
    told: dict[str, Any] = {
        "url": "https://erp.example/",
        "events": (HookEvent.CDR, HookEvent.TRANSACTION),
        "roles": ("source",),
        "secret": "whsec_AAAA",
        "created_at": NOON,
        "created_by": "olga",
        "position": 0,
    }
    return HookRecord(id=hook, **(told | more))


def event(name: str, body: bytes = b'{"id":"x"}') -> NewHookDelivery:
    return NewHookDelivery(message_id=name, event=HookEvent.CDR, subject="IE-001/0A", at=after(1), body=body)


def events(*names: str) -> list[NewHookDelivery]:
    return [event(name) for name in names]


def done(delivery: HookDelivery, status: HookStatus = HookStatus.DELIVERED, **more: Any) -> HookDelivery:
    told = {"attempts": delivery.attempts + 1, "tried_at": after(9), "answered": 204} | more
    return msgspec.structs.replace(delivery, status=status, **told)


@pytest.fixture
def rows(journal: Journal) -> WebhookRows:
    return WebhookRows(journal.store)


async def test_a_hook_is_as_it_was_put_last(rows: WebhookRows) -> None:
    first, second = record("b"), record("a", created_at=after(1), description="Bücher", roles=())
    await rows.put(second)
    await rows.put(first)
    assert await rows.ids() == ("b", "a")
    assert (await rows.one("b"), await rows.one("a"), await rows.one("c")) == (first, second, None)
    paused = record("b", position=7, data=Webhook(state="Paused", cause="HTTP 410", given_up=2))
    await rows.put(paused)
    assert await rows.one("b") == paused and await rows.ids() == ("b", "a")


async def test_a_place_and_what_was_found_before_it_are_written_together(rows: WebhookRows) -> None:
    taken = await rows.take(record(position=5), events("m1", "m2"))
    assert [each.message_id for each in taken] == ["m1", "m2"]
    assert taken[0] == HookDelivery(id=taken[0].id, **msgspec.structs.asdict(event("m1")))
    assert (await rows.one("hook-1")) == record(position=5)
    assert await rows.pending("hook-1") == taken and await rows.pending("hook-2") == ()


async def test_an_event_that_is_in_the_list_is_not_owed_again_and_that_of_another_hook_is(rows: WebhookRows) -> None:
    first, second = await rows.take(record(), events("m1", "m2"))
    await rows.tried(record(), done(first))
    again = await rows.take(record(position=1), events("m1", "m2", "m3"))
    assert [each.message_id for each in again] == ["m2", "m3"] and again[0] == second
    assert [each.message_id for each in await rows.take(record("hook-2"), events("m1"))] == ["m1"]


async def test_what_says_the_same_as_the_last_one_of_its_subject_is_not_owed_and_what_was_so_before_that_is(
    rows: WebhookRows,
) -> None:
    def said(*names: str) -> list[NewHookDelivery]:
        return [msgspec.structs.replace(event(name), news=name[0]) for name in names]

    async def taken(*names: str) -> list[str]:
        return [each.message_id for each in await rows.take(record(), said(*names))]

    assert await taken("a1") == ["a1"]
    assert await taken("a2") == ["a1"]
    assert await taken("b3") == ["a1", "b3"]
    assert await taken("a4") == ["a1", "b3", "a4"]
    other = msgspec.structs.replace(said("a5")[0], subject="IE-001/0B")
    assert len(await rows.take(record(), [other])) == 4


async def test_what_came_of_an_attempt_and_how_the_hook_stands_are_written_together(rows: WebhookRows) -> None:
    (taken,) = await rows.take(record(), events("m1"))
    failing = done(taken, HookStatus.PENDING, answered=None, error="no connection could be made")
    stands = record(data=Webhook(state="WaitingToRetry", failures=1, failing_since=NOON, until=after(9)))
    await rows.tried(stands, failing)
    assert await rows.pending("hook-1") == (failing,) == (await rows.delivery("hook-1", taken.id),)
    assert await rows.one("hook-1") == stands
    await rows.tried(record(), done(failing))
    assert await rows.pending("hook-1") == ()
    assert (await rows.delivery("hook-1", taken.id)) == done(failing)
    assert await rows.delivery("hook-2", taken.id) is None and await rows.delivery("hook-1", taken.id + 1) is None


async def test_deliveries_are_listed_newest_first_by_what_became_of_them(rows: WebhookRows) -> None:
    first, second, third, fourth = await rows.take(record(), events("m1", "m2", "m3", "m4"))
    await rows.tried(record(), done(first))
    await rows.tried(record(), done(second, HookStatus.GIVEN_UP, answered=400))
    await rows.tried(record(), done(third, HookStatus.PENDING, answered=503))
    for status, found in (("delivered", first), ("given-up", second), ("failing", third), ("pending", fourth)):
        page = await rows.page("hook-1", with_status(status), cursor=None, limit=5)
        assert [each.id for each in page.items] == [found.id] and page.next_cursor is None
    newest = await rows.page("hook-1", (), cursor=None, limit=3)
    rest = await rows.page("hook-1", (), cursor=newest.next_cursor, limit=3)
    assert [each.id for each in (*newest.items, *rest.items)] == [fourth.id, third.id, second.id, first.id]
    with pytest.raises(Refused, match="cursor-unknown"):
        await rows.page("hook-1", (), cursor="nonsense", limit=3)


async def test_of_what_was_delivered_the_newest_stay_and_of_all_else_everything(rows: WebhookRows) -> None:
    taken = await rows.take(record(), events(*(f"m{n}" for n in range(WEBHOOK_DELIVERIES.limit + 5))))
    await rows.tried(record(), done(taken[0], HookStatus.GIVEN_UP))
    for each in taken[1:-1]:
        await rows.tried(record(), done(each))
    assert await rows.take(record(), []) == (taken[-1],)
    kept = [each.id for each in (await rows.page("hook-1", (), cursor=None, limit=999)).items]
    assert kept == [each.id for each in (*taken[:1], *taken[4:])][::-1]


async def test_a_hook_that_is_removed_leaves_nothing(rows: WebhookRows, journal: Journal) -> None:
    await rows.take(record(), events("m1"))
    (other,) = await rows.take(record("hook-2"), events("m1"))
    await rows.remove("hook-1")
    assert await rows.ids() == ("hook-2",) and await rows.pending("hook-2") == (other,)
    assert await rows.one("hook-1") is None and await rows.pending("hook-1") == ()
    assert await journal.check() == ()


async def test_how_far_a_hook_is_behind_is_counted_in_changed_transactions(rows: WebhookRows, journal: Journal) -> None:
    assert await rows.behind(0) == (0, None)
    first = await journal.append(append("source/1", view=view(1)))
    await journal.append(append("source/2", view=view(2)))
    await journal.append(append("station/CS01"))
    assert await rows.behind(0) == (2, after(1))
    assert await rows.behind(first.position) == (1, after(2))
    await journal.append(append("source/1", 1, view=view(1, changed_at=after(60))))
    assert await rows.behind(first.position) == (2, after(2))
    assert WEBHOOK_LAG.limit > 2


async def test_changes_are_read_on_by_position_and_an_altered_one_hides_no_other(
    rows: WebhookRows, journal: Journal, ledger: Ledger
) -> None:
    for number in range(1, 5):
        await journal.append(append(f"source/{number}", view=view(number)))
    await journal.append(append("source/1", 1, view=view(1, changed_at=after(60))))
    found = await rows.changes(0, 9)
    assert found == tuple((each.position, each.transaction) for each in await ledger.changes_since(0, limit=9))
    assert await rows.changes(found[0][0], 2) == found[1:3]
    await journal.store.write(_alter, "UPDATE transactions SET changed_at = changed_at + 1 WHERE stream = 'source/3'")
    names = [each and each.transaction_id for _, each in await rows.changes(0, 9)]
    assert names == ["2", None, "4", "1"]


async def test_what_was_altered_is_not_sent_and_is_found(rows: WebhookRows, journal: Journal) -> None:
    altered, sound = await rows.take(record(), events("m1", "m2"))
    await journal.store.write(_alter, f"UPDATE webhook_deliveries SET subject = 'other' WHERE id = {altered.id}")
    assert await rows.pending("hook-1") == (sound,)
    assert [each.id for each in (await rows.page("hook-1", (), cursor=None, limit=9)).items] == [sound.id]
    with pytest.raises(Refused, match="unreadable"):
        await rows.delivery("hook-1", altered.id)
    assert [finding.stream for finding in await journal.check()] == [f"webhook_deliveries/{altered.id}"]
    await journal.store.write(_alter, "UPDATE webhooks SET created_at = 1")
    assert len(await journal.check()) == 2


def _alter(connection: Connection, statement: str) -> None:
    execute(connection, statement)


async def test_all_of_it_survives_a_store_that_is_opened_again(backend: Backend, tmp_path: Path) -> None:
    if not backend.durable:
        return
    async with backend.open(tmp_path) as journal:
        taken = await WebhookRows(journal.store).take(record(position=3), events("m1", "m2"))
    async with backend.open(tmp_path) as journal:
        rows = WebhookRows(journal.store)
        assert (await rows.ids(), await rows.one("hook-1")) == (("hook-1",), record(position=3))
        assert await rows.pending("hook-1") == taken
