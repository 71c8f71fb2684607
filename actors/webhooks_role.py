"""What operators see of webhooks and do with them; `statecharts.webhooks_door.WebhooksDoor`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from actors.context import Context
from actors.cursors import SHOWN_AT_ONCE, cursor_of, page_of, place_of
from actors.fleet_views import BROKEN
from actors.looks import Look
from actors.records import StreamCorrupt
from actors.system import is_broken
from actors.webhook_messages import HookLook, RemoveHook, ReplayTo
from actors.webhook_rows import HookDelivery, HookStatus, WebhookRows, with_status
from statecharts.ports import Page
from statecharts.vocabulary import Refused, refused
from statecharts.webhook import PauseWebhook, ResumeWebhook, S
from statecharts.webhooks_door import HookDeliveryView, NewWebhook, WebhookMade, WebhookView


class WebhooksRole:
    """The part of the operator's door that webhooks are behind."""

    _context: Context

    async def webhooks(self, *, cursor: str | None = None, limit: int = SHOWN_AT_ONCE) -> Page[WebhookView]:
        keys = list(self._context.webhooks.keys())
        if cursor is not None:
            after = place_of(cursor, "webhooks", str)[0]
            keys = keys[keys.index(str(after)) + 1 :] if after in keys else []
        page = page_of(keys, limit, lambda last: cursor_of("webhooks", last), lambda key: key)
        looks = [await self._hook_seen(key) for key in page.items]
        shown = tuple([await self._hook_view(look) for look in looks if look is not None])
        return Page(items=shown, next_cursor=page.next_cursor)

    async def webhook(self, hook: str) -> WebhookView:
        look = await self._hook_seen(hook)
        if look is None:
            raise refused(409, "unreadable", f"the row of webhook {hook} was altered on the disk: make a new one")
        return await self._hook_view(look)

    async def make_webhook(self, new: NewWebhook, by: str) -> WebhookMade:
        look = await self._context.webhooks.make(new, by)
        shown = msgspec.structs.asdict(await self._hook_view(look))
        return WebhookMade(**shown, secret=look.record.secret)

    async def pause_webhook(self, hook: str, by: str) -> WebhookView:
        return await self._hook_view(await self._hook_asked(hook, PauseWebhook(at=self._context.clock.now(), by=by)))

    async def resume_webhook(self, hook: str) -> WebhookView:
        return await self._hook_view(await self._hook_asked(hook, ResumeWebhook(at=self._context.clock.now())))

    async def remove_webhook(self, hook: str) -> None:
        try:
            await self._context.webhooks.ask(hook, RemoveHook())
        except Refused as no:
            if not is_broken(no):
                raise
            await self._hooks_told.remove(hook)
            self._context.webhooks.forgotten(hook)

    async def hook_deliveries(
        self, hook: str, *, status: str | None = None, cursor: str | None = None, limit: int = SHOWN_AT_ONCE
    ) -> Page[HookDeliveryView]:
        look = await self._hook_asked(hook, Look())
        which = [] if status is None else with_status(status)
        page = await self._hooks_told.page(hook, which, cursor=cursor, limit=limit)
        return Page(items=tuple(self._hook_delivery(each, look) for each in page.items), next_cursor=page.next_cursor)

    async def hook_delivery(self, hook: str, delivery: int) -> HookDeliveryView:
        look = await self._hook_asked(hook, Look())
        found = await self._hooks_told.delivery(hook, delivery)
        if found is None:
            raise refused(404, "unknown-delivery", f"webhook {hook} has no delivery {delivery} in its list")
        return msgspec.structs.replace(self._hook_delivery(found, look), body=found.body.decode())

    async def replay_to_hook(self, hook: str, delivery: int) -> HookDeliveryView:
        found: HookDelivery = await self._context.webhooks.ask(hook, ReplayTo(delivery))
        return self._hook_delivery(found, await self._hook_asked(hook, Look()))

    # -- views ---------------------------------------------------------------------------------------------------------

    @property
    def _hooks_told(self) -> WebhookRows:
        return WebhookRows(self._context.journal.store)

    async def _hook_seen(self, hook: str) -> HookLook | None:
        """The hook, also one whose actor was put aside; None where its row cannot be believed."""
        try:
            return await self._hook_asked(hook, Look())
        except Refused as no:
            if not is_broken(no):
                raise
        try:
            record = await self._hooks_told.one(hook)
        except StreamCorrupt:
            return None
        if record is None:
            return None
        record = msgspec.structs.replace(record, data=msgspec.structs.replace(record.data, state=BROKEN))
        return HookLook(record=record, pending=await self._hooks_told.pending(hook), position=record.position)

    async def _hook_asked(self, hook: str, message: Any) -> HookLook:
        look: HookLook = await self._context.webhooks.ask(hook, message)
        return look

    async def _hook_view(self, look: HookLook) -> WebhookView:
        record, data, shown = look.record, look.record.data, self._hook_shown
        behind, since = await self._hooks_told.behind(look.position)
        oldest = look.pending[0].at if look.pending else shown(since)
        return WebhookView(
            id=record.id,
            url=record.url,
            events=record.events,
            roles=record.roles,
            description=record.description,
            created_at=self._context.clock.shown(record.created_at),
            created_by=record.created_by,
            state=data.state,
            failures=data.failures,
            pending=len(look.pending),
            given_up=data.given_up,
            changes_behind=behind,
            oldest_owed_at=oldest,
            failing_since=shown(data.failing_since),
            delivered_at=shown(data.delivered_at),
            next_at=shown(data.until) if data.state == S.WAITING_TO_RETRY else None,
            cause=data.cause or None,
            paused_by=data.paused_by or None,
        )

    @property
    def _hook_shown(self) -> Callable[[datetime | None], datetime | None]:
        shown = self._context.clock.shown
        return lambda at: None if at is None else shown(at)

    def _hook_delivery(self, found: HookDelivery, look: HookLook) -> HookDeliveryView:
        data, fails = look.record.data, found.status is HookStatus.PENDING and found.attempts > 0
        is_next = bool(look.pending) and look.pending[0].id == found.id and data.state == S.WAITING_TO_RETRY
        return HookDeliveryView(
            id=found.id,
            message_id=found.message_id,
            event=found.event,
            subject=found.subject,
            at=found.at,
            status="failing" if fails else found.status.value,
            attempts=found.attempts,
            tried_at=self._hook_shown(found.tried_at),
            next_at=self._hook_shown(data.until) if is_next else None,
            answered=found.answered,
            error=found.error,
        )
