"""Webhooks, for operators: servers of theirs that are told of transactions and charge records."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from quart_trio.wrappers import TrioResponse as Response

from protocols.rest.auth import principal
from protocols.rest.bodies import Cursor, Limit, answer, page_answer
from protocols.rest.routes import Routes
from protocols.rest.v1.stations import contradiction
from protocols.rest.v1.transactions import Role
from statecharts.ports import Page
from statecharts.webhook_limits import WEBHOOK_URL
from statecharts.webhooks_door import (
    HookDeliveryView,
    HookEvent,
    NewWebhook,
    WebhookMade,
    WebhooksDoor,
    WebhookView,
)

HOOK = "/webhooks/<identifier:webhook>"
DELIVERY = f"{HOOK}/deliveries/<number:delivery>"
Url = Annotated[str, Meta(min_length=1, max_length=WEBHOOK_URL.limit, extra_json_schema={"format": "uri"})]
Description = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"\A[^\x00-\x1f\x7f]+\Z")]


class WebhooksQuery(msgspec.Struct, forbid_unknown_fields=True):
    cursor: Cursor | None = None
    limit: Limit = 50


class HookDeliveriesQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Of one status: not tried yet, failing, taken, or refused too often."""

    cursor: Cursor | None = None
    limit: Limit = 50
    status: Literal["pending", "failing", "delivered", "given-up"] | None = None


class WebhookTold(msgspec.Struct, forbid_unknown_fields=True):
    """Where to tell what: changes of transactions (of these roles, or all), charge records."""

    url: Url
    events: Annotated[tuple[HookEvent, ...], Meta(min_length=1, max_length=2)]
    roles: Annotated[tuple[Role, ...], Meta(max_length=3)] = ()
    description: Description | None = None


def add_webhooks(routes: Routes, operators: WebhooksDoor) -> None:
    """The routes of webhooks, among those of operators."""
    _add_looks(routes, operators)
    _add_changes(routes, operators)
    _add_deliveries(routes, operators)


def _add_looks(routes: Routes, operators: WebhooksDoor) -> None:
    @routes.get(
        "/webhooks", Page[WebhookView], query=WebhooksQuery, answer_headers=("Link",), refuses=("cursor-unknown",)
    )
    async def webhooks(asked: WebhooksQuery) -> Response:
        """Lists webhooks, the oldest first."""
        return page_answer(await operators.webhooks(cursor=asked.cursor, limit=asked.limit))

    @routes.get(HOOK, WebhookView, refuses=("unknown-webhook", "unreadable"))
    async def webhook(webhook: str) -> Response:
        """Shows a webhook: its state, and what it is owed."""
        return answer(await operators.webhook(webhook))


def _add_changes(routes: Routes, operators: WebhooksDoor) -> None:
    @routes.post(
        "/webhooks",
        {201: WebhookMade},
        reads=WebhookTold,
        refuses=("unfit-url", "contradictory-details", "too-many-webhooks"),
        example={"url": "https://erp.example/roaming", "events": ["cdr"]},
    )
    async def make_webhook(asked: WebhookTold) -> Response:
        """Registers a webhook, and shows the secret that its events are signed with, this once."""
        made = await operators.make_webhook(_wanted(asked), principal().name)
        return answer(made, 201, location=f"{routes.prefix}/webhooks/{made.id}")

    @routes.post(f"{HOOK}/pause", WebhookView, refuses=("unknown-webhook",))
    async def pause_webhook(webhook: str) -> Response:
        """Tells a webhook nothing until it is resumed; it misses nothing."""
        return answer(await operators.pause_webhook(webhook, principal().name))

    @routes.post(f"{HOOK}/resume", WebhookView, refuses=("unknown-webhook",))
    async def resume_webhook(webhook: str) -> Response:
        """Tells a webhook that is paused all that it has missed."""
        return answer(await operators.resume_webhook(webhook))

    @routes.delete(HOOK, {204: None}, refuses=("unknown-webhook",))
    async def remove_webhook(webhook: str) -> Response:
        """Forgets a webhook, and all that it is owed."""
        await operators.remove_webhook(webhook)
        return Response(b"", 204)


def _add_deliveries(routes: Routes, operators: WebhooksDoor) -> None:
    @routes.get(
        f"{HOOK}/deliveries",
        Page[HookDeliveryView],
        query=HookDeliveriesQuery,
        answer_headers=("Link",),
        refuses=("unknown-webhook", "cursor-unknown"),
    )
    async def hook_deliveries(asked: HookDeliveriesQuery, webhook: str) -> Response:
        """Lists what a webhook is told next and was told last, newest first."""
        found = operators.hook_deliveries(webhook, status=asked.status, cursor=asked.cursor, limit=asked.limit)
        return page_answer(await found)

    @routes.get(DELIVERY, HookDeliveryView, refuses=("unknown-webhook", "unknown-delivery", "unreadable"))
    async def hook_delivery(webhook: str, delivery: int) -> Response:
        """Shows an event of that list with its body."""
        return answer(await operators.hook_delivery(webhook, delivery))

    @routes.post(
        f"{DELIVERY}/replay",
        HookDeliveryView,
        refuses=("unknown-webhook", "unknown-delivery", "unreadable", "too-many-pending"),
    )
    async def replay_to_hook(webhook: str, delivery: int) -> Response:
        """Sends an event again under the same id; what is not over stays so."""
        return answer(await operators.replay_to_hook(webhook, delivery))


def _wanted(asked: WebhookTold) -> NewWebhook:
    """Raises `Problem` (400) for roles where no transaction is told."""
    if asked.roles and HookEvent.TRANSACTION not in asked.events:
        raise contradiction("roles", "are those of transactions, which are not among the events")
    return NewWebhook(
        url=asked.url,
        events=tuple(dict.fromkeys(asked.events)),
        roles=tuple(dict.fromkeys(asked.roles)),
        description=asked.description,
    )
