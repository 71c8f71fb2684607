"""What the actor of a webhook does over days of failures, at an operator's word, and where the store is damaged."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import msgspec
import pytest
import trio
from sqlalchemy import Connection, text

from actors.insight import Insight
from actors.policies import POLICIES
from actors.webhook import WebhookActor
from statecharts.vocabulary import Declined, Refusal, Refused
from statecharts.webhook_limits import WEBHOOK_DELIVERIES, WEBHOOK_GIVEN_UP, WEBHOOK_REFUSALS, WEBHOOKS
from statecharts.webhooks_door import HookAnswer, HookEvent, Letter, NewWebhook, WebhookMade, WebhookView
from tests.support.house import House, StationLine, open_house
from tests.support.receivers import TAKEN, Receivers
from tests.support.roaming import Roaming
from tests.unit.actors.conftest import roaming as roaming

CDR, TRANSACTION = HookEvent.CDR, HookEvent.TRANSACTION
DAY_S = 86_400


@asynccontextmanager
async def hooked_house(nursery: trio.Nursery) -> AsyncIterator[tuple[House, StationLine, Receivers]]:
    async with open_house("IE-001", nursery) as house:
        receivers = house.webhook_client = house.context.webhook_client = Receivers()
        await house.context.webhooks.start()
        line = StationLine(house, "CS01")
        await line.come_online()
        yield house, line, receivers


async def make(house: House, *events: HookEvent, url: str = "https://erp/", **more: Any) -> WebhookMade:
    return await house.operator.make_webhook(NewWebhook(url=url, events=events or (TRANSACTION,), **more), "olga")


async def charge(line: StationLine) -> None:
    """A charge of a card, without a partner."""
    answer = await line.start("CARD0001")
    await trio.sleep(1)
    assert answer.transaction_id is not None
    await line.stop(answer.transaction_id, 5_000)


async def until(house: House, hook: str, state: str, within_s: float = 10 * DAY_S) -> WebhookView:
    begun_at = trio.current_time()
    with trio.fail_after(within_s):
        while True:
            view = await house.operator.webhook(hook)
            if view.state == state and not (state == "Idle" and view.changes_behind):
                return view
            await trio.sleep(1 if trio.current_time() < begun_at + 600 else 600)


async def test_each_hook_is_told_what_it_wants_to_know(autojump_clock: object, nursery: trio.Nursery) -> None:
    async with hooked_house(nursery) as (house, line, receivers):
        everything = await make(house)
        await make(house, url="https://home/", roles=("source", "destination"))
        await make(house, CDR, url="https://books/")
        await charge(line)
        await until(house, everything.id, "Idle")
        states = [each["transaction"]["state"] for each in receivers.told()]
        assert states[-1] == "Settled" and "TxRunning" in states
        assert all(each["transaction"]["role"] == "local" for each in receivers.told())
        assert receivers.told("https://home/") == receivers.told("https://books/") == []


async def test_what_happened_before_it_was_registered_is_not_told(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with hooked_house(nursery) as (house, line, receivers):
        await charge(line)
        made = await make(house)
        await trio.sleep(5)
        assert receivers.letters == []
        await charge(line)
        await until(house, made.id, "Idle")
        assert len({each["transaction"]["transaction_id"] for each in receivers.told()}) == 1


async def test_pauses_between_attempts_double_up_to_an_hour(autojump_clock: object, nursery: trio.Nursery) -> None:
    async with hooked_house(nursery) as (house, line, receivers):
        receivers.answer = lambda _: HookAnswer(status=503)
        made = await make(house)
        await charge(line)
        await trio.sleep(6 * 3_600)
        pauses = [round(b - a) for a, b in zip(receivers.sent_at, receivers.sent_at[1:], strict=False)]
        assert pauses[:4] == [5, 10, 20, 40]
        assert set(pauses[10:]) == {3_600} and len(pauses) > 12
        assert len({letter.message_id for letter in receivers.letters}) == 1
        view = await house.operator.webhook(made.id)
        assert (view.state, view.cause, view.failures) == ("WaitingToRetry", "HTTP 503", len(receivers.letters))
        newest = (await house.operator.hook_deliveries(made.id, status="failing")).items
        assert [(each.status, each.next_at, each.answered) for each in newest] == [("failing", view.next_at, 503)]
        assert view.oldest_owed_at == newest[0].at


async def test_a_hook_that_fails_for_days_is_paused_and_told_all_once_it_is_resumed(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with hooked_house(nursery) as (house, line, receivers):
        receivers.answer = lambda _: HookAnswer(cause="no connection could be made")
        made = await make(house)
        await charge(line)
        view = await until(house, made.id, "Paused")
        assert 3 * DAY_S <= trio.current_time() <= 3.2 * DAY_S
        assert (view.cause, view.paused_by, view.pending > 0) == ("no connection could be made", None, True)
        await charge(line)
        attempts = len(receivers.letters)
        await trio.sleep(DAY_S)
        assert len(receivers.letters) == attempts
        lag = next(each for each in await Insight(house.context, trio.Event()).readings() if "lag" in each.name)
        assert 4 * DAY_S <= dict(lag.samples)[(made.id,)] <= 4.3 * DAY_S
        receivers.answer = lambda _: TAKEN
        await house.restart(nursery)
        assert (await house.operator.webhook(made.id)).state == "Paused"
        await house.operator.resume_webhook(made.id)
        view = await until(house, made.id, "Idle")
        assert (view.failures, view.failing_since, view.cause) == (0, None, None)
        settled = [each for each in receivers.told() if each["transaction"]["state"] == "Settled"]
        assert len(settled) == 2


async def test_a_receiver_that_says_gone_is_told_nothing_more(autojump_clock: object, nursery: trio.Nursery) -> None:
    async with hooked_house(nursery) as (house, line, receivers):
        receivers.answer = lambda _: HookAnswer(status=410)
        made = await make(house)
        await charge(line)
        assert (await until(house, made.id, "Paused")).cause == "HTTP 410"
        await trio.sleep(DAY_S)
        assert len(receivers.letters) == 1


async def test_an_event_that_is_refused_again_and_again_is_given_up_and_can_be_replayed(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with hooked_house(nursery) as (house, line, receivers):
        made = await make(house)
        first: list[str] = []

        def poisoned(letter: Letter) -> HookAnswer:
            first.append(letter.message_id)
            return HookAnswer(status=422) if letter.message_id == first[0] else TAKEN

        receivers.answer = poisoned
        await charge(line)
        view = await until(house, made.id, "Idle")
        assert first.count(first[0]) == WEBHOOK_REFUSALS.limit and len(receivers.told()) > 1
        assert (view.given_up, view.failures, view.pending) == (1, 0, 0)
        (given_up,) = (await house.operator.hook_deliveries(made.id, status="given-up")).items
        assert (given_up.message_id, given_up.answered, given_up.error) == (first[0], 422, "HTTP 422")
        receivers.answer = lambda _: TAKEN
        again = await house.operator.replay_to_hook(made.id, given_up.id)
        assert (again.status, again.attempts, again.message_id) == ("pending", 0, first[0])
        await until(house, made.id, "Idle")
        shown = await house.operator.hook_delivery(made.id, given_up.id)
        assert (shown.status, shown.attempts, (await house.operator.webhook(made.id)).given_up) == ("delivered", 1, 0)
        assert shown.body is not None and receivers.letters[-1].body == shown.body.encode()


async def test_what_was_delivered_can_be_replayed_and_what_is_pending_stays_so(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with hooked_house(nursery) as (house, line, receivers):
        made = await make(house)
        await charge(line)
        await until(house, made.id, "Idle")
        await house.operator.pause_webhook(made.id, "olga")
        newest, *_ = (await house.operator.hook_deliveries(made.id, status="delivered")).items
        for _ in range(2):
            assert (await house.operator.replay_to_hook(made.id, newest.id)).status == "pending"
        sent = len(receivers.letters)
        await house.operator.resume_webhook(made.id)
        await until(house, made.id, "Idle")
        assert [letter.message_id for letter in receivers.letters[sent:]] == [newest.message_id]
        with pytest.raises(Refused, match="unknown-delivery"):
            await house.operator.replay_to_hook(made.id, 99_999)


async def test_with_too_many_events_given_up_the_hook_is_paused_and_none_is_dropped(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with hooked_house(nursery) as (house, line, receivers):
        receivers.answer = lambda _: HookAnswer(status=400)
        made = await make(house)
        house.context.settings = msgspec.structs.replace(
            house.context.settings,
            webhooks=msgspec.structs.replace(
                house.context.settings.webhooks, retry_base_s=0.01, retry_cap_s=0.01, paused_after_days=300
            ),
        )
        for _ in range(WEBHOOK_GIVEN_UP.limit):
            await charge(line)
            await trio.sleep(1)
        view = await until(house, made.id, "Paused")
        assert view.given_up == WEBHOOK_GIVEN_UP.limit
        assert len((await house.operator.hook_deliveries(made.id, status="given-up", limit=200)).items) == view.given_up


async def test_one_that_was_paused_by_an_operator_says_so_and_misses_nothing(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with hooked_house(nursery) as (house, line, receivers):
        made = await make(house)
        view = await house.operator.pause_webhook(made.id, "bram")
        assert (view.state, view.paused_by) == ("Paused", "bram")
        await charge(line)
        await trio.sleep(60)
        assert receivers.letters == [] and (await house.operator.webhook(made.id)).changes_behind == 1
        await house.operator.resume_webhook(made.id)
        await until(house, made.id, "Idle")
        assert [each["transaction"]["state"] for each in receivers.told()] == ["Settled"]


async def test_one_that_is_paused_and_resumed_while_an_attempt_is_under_way_goes_on(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with hooked_house(nursery) as (house, line, receivers):
        receivers.takes_s = 5
        made = await make(house)
        await charge(line)
        await until(house, made.id, "Delivering")
        await house.operator.pause_webhook(made.id, "olga")
        await house.operator.resume_webhook(made.id)
        await until(house, made.id, "Idle")
        assert [each["transaction"]["state"] for each in receivers.told()][-1] == "Settled"


async def test_an_attempt_that_nobody_hears_of_is_made_again(autojump_clock: object, nursery: trio.Nursery) -> None:
    async with hooked_house(nursery) as (house, line, receivers):

        def broken(_: Letter) -> HookAnswer:
            receivers.answer = lambda _: TAKEN
            raise RuntimeError("a defect of ours")

        receivers.answer = broken
        made = await make(house)
        await charge(line)
        await until(house, made.id, "Idle", 60)
        assert receivers.letters[0].message_id == receivers.letters[1].message_id


async def test_one_that_is_removed_is_told_nothing_and_is_unknown(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with hooked_house(nursery) as (house, line, receivers):
        receivers.takes_s = 3
        made, other = await make(house), await make(house, url="https://other/")
        await charge(line)
        await until(house, made.id, "Delivering")
        await house.operator.remove_webhook(made.id)
        await until(house, other.id, "Idle")
        assert len([letter for letter in receivers.letters if letter.url == "https://erp/"]) == 1
        assert [each.id for each in (await house.operator.webhooks()).items] == [other.id]
        for asked in (house.operator.webhook, house.operator.remove_webhook, house.operator.resume_webhook):
            with pytest.raises(Refused, match="unknown-webhook"):
                await asked(made.id)
        await house.restart(nursery)
        assert [each.id for each in (await house.operator.webhooks()).items] == [other.id]
        await trio.sleep(2 * POLICIES["webhook"].rest_after_s)
        assert f"webhook/{made.id}" not in house.context.system


async def test_there_are_only_so_many_and_their_addresses_are_looked_at(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with hooked_house(nursery) as (house, _, _receivers):
        with pytest.raises(Refused, match="unfit-url"):
            await make(house, url="http://erp/")
        made = [await make(house) for _ in range(WEBHOOKS.limit)]
        with pytest.raises(Refused, match="too-many-webhooks"):
            await make(house)
        assert len({each.id for each in made}) == WEBHOOKS.limit
        first = await house.operator.webhooks(limit=3)
        second = await house.operator.webhooks(cursor=first.next_cursor, limit=100)
        assert [each.id for each in (*first.items, *second.items)] == [each.id for each in made]
        assert not any("secret" in msgspec.to_builtins(each) for each in first.items)


async def test_of_what_was_delivered_the_newest_are_kept(autojump_clock: object, nursery: trio.Nursery) -> None:
    async with hooked_house(nursery) as (house, line, receivers):
        made = await make(house)
        for _ in range(WEBHOOK_DELIVERIES.limit):
            await charge(line)
        await until(house, made.id, "Idle")
        told = len(receivers.told())
        page = await house.operator.hook_deliveries(made.id, limit=10_000)
        assert told > WEBHOOK_DELIVERIES.limit
        assert WEBHOOK_DELIVERIES.limit <= len(page.items) <= WEBHOOK_DELIVERIES.limit + 5


async def test_a_hook_whose_row_was_altered_is_put_aside_alone_and_can_be_removed(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with hooked_house(nursery) as (house, line, receivers):
        made, other = await make(house), await make(house, url="https://other/")
        house.kill()
        await house.journal.store.write(_altered, made.id)
        await house.restart(nursery)
        await line.come_online()
        await charge(line)
        await until(house, other.id, "Idle")
        assert receivers.told("https://other/") and not receivers.told()
        assert [each.id for each in (await house.operator.webhooks()).items] == [other.id]
        with pytest.raises(Refused, match="unreadable"):
            await house.operator.webhook(made.id)
        assert [case.actor for case in (await house.operator.quarantine()).items] == [f"webhook/{made.id}"]
        await house.operator.remove_webhook(made.id)
        with pytest.raises(Refused, match="unknown-webhook"):
            await house.operator.webhook(made.id)


def _altered(connection: Connection, hook: str) -> None:
    connection.execute(text("UPDATE webhooks SET created_at = created_at + 1 WHERE id = :hook"), {"hook": hook})


async def test_a_transaction_that_was_altered_on_the_disk_is_not_told_and_keeps_no_other_back(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with hooked_house(nursery) as (house, line, receivers):
        made = await make(house)
        await house.operator.pause_webhook(made.id, "olga")
        await charge(line)
        await house.journal.store.write(lambda found: found.execute(text("UPDATE transactions SET user = 'eve'")))
        await charge(line)
        await house.operator.resume_webhook(made.id)
        await until(house, made.id, "Idle")
        assert [each["transaction"]["user_identifier"] for each in receivers.told()] == ["CARD0001"]


async def test_one_that_was_put_aside_for_a_defect_is_shown_so(
    autojump_clock: object, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hooked_house(nursery) as (house, line, receivers):
        made = await make(house)

        async def broken(*_: Any) -> None:
            raise RuntimeError("a defect of ours")

        with monkeypatch.context() as defect:
            defect.setattr(WebhookActor, "_go_on", broken)
            await charge(line)
            await trio.sleep(60)
            view = await house.operator.webhook(made.id)
            assert (view.state, view.changes_behind) == ("Quarantined", 1)
        await house.operator.release(f"webhook/{made.id}", hand_over=False)
        await until(house, made.id, "Idle")
        assert receivers.told()[-1]["transaction"]["state"] == "Settled"


async def test_a_charge_record_is_told_whenever_what_it_says_has_changed_and_else_not(
    autojump_clock: object, roaming: Roaming
) -> None:
    house = roaming.local
    receivers = house.webhook_client = house.context.webhook_client = Receivers()
    await house.context.webhooks.start()
    made = await make(house, CDR)
    later = Declined(refusal=Refusal(code=404, kind="peer-refused", message="not now"))
    roaming.back.script = [None, later, later]
    charge = await roaming.running()
    await roaming.station.stop(charge.number, 5_000)
    for _ in range(2):
        await trio.sleep(5)
        parked = await house.operator.deliveries(status="parked")
        assert await house.operator.replay(parked.items[0].id)
    await roaming.settled(charge)
    await until(house, made.id, "Idle")
    told = [each["cdr"]["status"] for each in receivers.told()]
    assert [status for status in told if status != "pending"] == ["parked", "acknowledged"]
    assert all(one != other for one, other in pairwise(each["cdr"] for each in receivers.told()))
    before = len(receivers.letters)
    await roaming.station.stop(charge.number, 6_000)
    await trio.sleep(5)
    assert (await house.operator.webhook(made.id)).changes_behind == 0
    assert len(receivers.letters) - before <= 1


async def test_one_that_was_paused_during_an_attempt_that_nobody_hears_of_goes_on_when_it_is_resumed(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with hooked_house(nursery) as (house, line, receivers):

        def broken(_: Letter) -> HookAnswer:
            receivers.answer = lambda _: TAKEN
            raise RuntimeError("a defect of ours")

        receivers.answer, receivers.takes_s = broken, 5
        made = await make(house)
        await charge(line)
        await until(house, made.id, "Delivering")
        await house.operator.pause_webhook(made.id, "olga")
        await trio.sleep(60)
        await house.operator.resume_webhook(made.id)
        await until(house, made.id, "Idle", 120)
        assert receivers.letters[0].message_id == receivers.letters[1].message_id
