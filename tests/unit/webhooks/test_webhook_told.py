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
from tests.unit.webhooks.receiver import Receiver, receiving, trusting

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
