"""A webhook is told of a whole roaming charge, over real HTTPS, whatever its server and our node do meanwhile."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import trio
import trustme

from actors.context import WebhookSettings
from protocols.rest.bodies import ENCODER, plain
from protocols.webhooks.client import WebhookSender
from statecharts.bounds import Watermarks
from statecharts.webhooks_door import HookEvent, NewWebhook, WebhookMade
from tests.support.house import House
from tests.support.roaming import Roaming, two_operators
from tests.unit.webhooks.receiver import Receiver, receiving, status, trusting

AUTHORITY = trustme.CA()
LOOPBACK = [ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1")]
QUICK = WebhookSettings(retry_base_s=0.05, retry_cap_s=0.2, attempt_timeout_s=5)
CDR, TRANSACTION = HookEvent.CDR, HookEvent.TRANSACTION


@asynccontextmanager
async def operators(nursery: trio.Nursery, settings: WebhookSettings = QUICK) -> AsyncIterator[Roaming]:
    """Two operators by the machine's own clock, whose webhooks may be on loopback."""
    async with two_operators(nursery, webhooks=settings) as roaming:
        for house in (roaming.home, roaming.local):
            sender = WebhookSender(Watermarks(), LOOPBACK, trusting(AUTHORITY))
            house.webhook_client = house.context.webhook_client = sender
            await house.context.webhooks.start()
        yield roaming


async def hooked(house: House, receiver: Receiver, *events: HookEvent, **more: Any) -> WebhookMade:
    new = NewWebhook(url=receiver.url, events=events, **more)
    return await house.operator.make_webhook(new, "olga")


async def charged(roaming: Roaming) -> str:
    """A charge from its beginning to its record; the authorisation."""
    charge = await roaming.running()
    await roaming.station.stop(charge.number, 5_000)
    await roaming.settled(charge, within_s=10)
    await roaming.leave()
    return charge.name


async def until_idle(house: House, hook: str) -> Any:
    """The hook once it owes nothing."""
    with trio.fail_after(20):
        while True:
            view = await house.operator.webhook(hook)
            if (view.state, view.pending, view.changes_behind) == ("Idle", 0, 0):
                return view
            await trio.sleep(0.05)


def ones(receiver: Receiver, event: HookEvent = CDR) -> list[Any]:
    return [each.said for each in receiver.got if each.said["event"] == event]


def distinct(receiver: Receiver) -> dict[str, bytes]:
    """Each event with its body; fails if one has two."""
    bodies: dict[str, bytes] = {}
    for each in receiver.got:
        assert bodies.setdefault(each.id, each.body) == each.body
    return bodies


async def test_a_charge_record_is_told_signed_to_a_real_server_over_https(nursery: trio.Nursery) -> None:
    async with receiving(authority=AUTHORITY) as receiver, operators(nursery) as roaming:
        made = await hooked(roaming.local, receiver, CDR)
        await charged(roaming)
        await until_idle(roaming.local, made.id)
        (record,) = (await roaming.local.operator.cdrs()).items
        assert [each.headers["content-type"] for each in receiver.got] == ["application/json"] * len(receiver.got)
        assert all(each.is_signed_with(made.secret) and each.target == "/hook?v=1" for each in receiver.got)
        assert set(receiver.names) == {"localhost"}
        newest = receiver.got[-1].said
        assert newest == {"id": receiver.got[-1].id, "event": "cdr", "at": newest["at"], "cdr": as_shown(record)}
        assert [told["cdr"]["status"] for told in ones(receiver)] in (["pending", "acknowledged"], ["acknowledged"])


def as_shown(value: Any) -> Any:
    """What the API would answer."""
    return msgspec.json.decode(ENCODER.encode(plain(value)))


async def test_what_a_server_does_not_take_is_sent_again_under_the_same_id_until_it_does(nursery: trio.Nursery) -> None:
    failing = [status(503), b"", status(302, "Location: http://127.0.0.1:1/"), b"nonsense\r\n\r\n"]
    async with (
        receiving(lambda n: failing[n] if n < len(failing) else status(200), authority=AUTHORITY) as receiver,
        operators(nursery) as roaming,
    ):
        made = await hooked(roaming.local, receiver, CDR)
        await charged(roaming)
        await until_idle(roaming.local, made.id)
        assert len(set(receiver.ids[:5])) == 1 and len(distinct(receiver)) == len(receiver.got) - 4
        first = (await roaming.local.operator.hook_deliveries(made.id)).items[-1]
        assert (first.status, first.attempts, first.answered, first.message_id) == (
            "delivered", 5, 200, receiver.ids[0],
        )  # fmt: skip


async def test_a_restart_in_the_middle_loses_nothing_and_keeps_ids(nursery: trio.Nursery) -> None:
    async with receiving(lambda _: status(503), authority=AUTHORITY) as receiver, operators(nursery) as roaming:
        made = await hooked(roaming.local, receiver, CDR, TRANSACTION)
        names = [await charged(roaming), await charged(roaming)]
        await receiver.until(2)
        await roaming.local.restart(nursery)
        names.append(await charged_again(roaming))
        refused = len(await receiver.until(len(receiver.got) + 2))
        receiver.answer = lambda _: status(200)
        await roaming.local.restart(nursery)
        await until_idle(roaming.local, made.id)
        assert len(set(receiver.ids[:refused])) == 1 and receiver.ids[refused] == receiver.ids[0]
        told = [msgspec.json.decode(body) for body in distinct(receiver).values()]
        acknowledged = [each["cdr"] for each in told if each.get("cdr", {}).get("status") == "acknowledged"]
        settled = [each["transaction"] for each in told if each.get("transaction", {}).get("state") == "Settled"]
        assert sorted(each["authorization_identifier"] for each in acknowledged) == sorted(names)
        assert sorted(each["transaction_id"] for each in settled) == sorted(names)


async def charged_again(roaming: Roaming) -> str:
    """A charge after the Destination came back, its station with it."""
    await roaming.station.come_online()
    return await charged(roaming)


async def test_what_may_have_arrived_when_the_node_was_killed_comes_again_under_the_same_id(
    nursery: trio.Nursery,
) -> None:
    async with receiving(authority=AUTHORITY) as receiver, operators(nursery) as roaming:
        made = await hooked(roaming.local, receiver, CDR)

        def killed(_: int) -> bytes:
            roaming.local.kill()
            receiver.answer = lambda _: status(200)
            return status(200)

        receiver.answer = killed
        charge = await roaming.running()
        await roaming.station.stop(charge.number, 5_000)
        await receiver.until(1)
        await roaming.local.restart(nursery)
        await until_idle(roaming.local, made.id)
        assert receiver.ids[0] == receiver.ids[1]
        assert ones(receiver)[-1]["cdr"]["status"] == "acknowledged"
        assert len(distinct(receiver)) <= 2
