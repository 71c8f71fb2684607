"""The actor of one webhook: reads in the journal what its operator wants to know, and tells it, one event at a time.

An event is written down with its id and body before it is sent for the first time, together with how far the hook has
come. So nothing is lost or told under another id when the node ends, and what is far behind takes no room.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import msgspec
import structlog

from actors.actor import Actor
from actors.context import Context
from actors.webhook_messages import AttemptOver, Changed, HookLook, MakeHook, RemoveHook, ReplayTo
from actors.webhook_rows import HookDelivery, HookRecord, HookStatus, NewHookDelivery, WebhookRows
from statecharts.delivery import backoff_s
from statecharts.events import DeadlineReached, Event, NodeRestarted
from statecharts.limits import CHANGES_READ
from statecharts.ports import TransactionView
from statecharts.vocabulary import Refused, refused
from statecharts.webhook import (
    CHART,
    AttemptBegun,
    AttemptFailed,
    EventDelivered,
    EventReplayed,
    PauseWebhook,
    ResumeWebhook,
    S,
    Webhook,
    gives_up,
    is_taken,
)
from statecharts.webhook_limits import WEBHOOK_CAUSE, WEBHOOK_EVENTS, WEBHOOK_LAG
from statecharts.webhooks_door import HookAnswer, HookEvent, HookMessage, Letter

log = structlog.get_logger(__name__)


class WebhookActor(Actor):
    """One hook. Turns take `Look`, `webhook_messages` and what an operator wants of its chart."""

    def __init__(self, key: str, context: Context) -> None:
        super().__init__(key, context.clock, context.watermarks)
        self.context = context
        self.id = key.partition("/")[2]
        self.data = Webhook()
        self._record: HookRecord | None = None
        self._rows = WebhookRows(context.journal.store)
        self._pending: dict[int, HookDelivery] = {}
        self._position = 0
        self._under_way: int | None = None
        self._look_at: datetime | None = None

    def __repr__(self) -> str:
        return f"<Webhook {self.id} {self.data.state}, {self.waiting} waiting, {len(self._pending)} pending>"

    async def load(self) -> None:
        self._record, self._under_way = await self._rows.one(self.id), None
        if self._record is None:
            return
        self.data, self._position = self._record.data, self._record.position
        self._pending = {each.id: each for each in await self._rows.pending(self.id)}
        self._step(NodeRestarted(at=self.clock.now()))
        self._look_at = self.clock.now()

    def may_rest(self) -> bool:
        """One that is forgotten, or never was."""
        return self._record is None

    def deadline(self) -> datetime | None:
        moments = (self._look_at, CHART.deadline(self.data))
        return min((at for at in moments if at is not None), default=None)

    async def due(self) -> None:
        until, now = CHART.deadline(self.data), self.clock.now()
        if until is not None and until <= now:
            self._under_way = None
            self._step(DeadlineReached(at=now))
            self._look_at = now
        if self._look_at is not None:
            await self._go_on()

    async def turn(self, message: Any) -> Any:
        match message:
            case MakeHook(record=record):
                await self._stands(record)
                self.context.webhooks.made(self.id)
                self._position, self._look_at = record.position, self.clock.now()
            case Changed():
                self._look_at = self._look_at or self.clock.now()
                return None
            case AttemptOver(delivery=number, answer=answer):
                return await self._conclude(number, answer)
            case RemoveHook():
                return await self._forget()
            case ReplayTo(delivery=number):
                return await self._replay(number)
            case PauseWebhook() | ResumeWebhook():
                await self._obey(message)
        return self._look()

    def look(self) -> HookLook | None:
        """The hook as it is now, None where there is none (any more)."""
        if self._record is None:
            return None
        record = msgspec.structs.replace(self._record, data=self.data)
        return HookLook(record=record, pending=tuple(self._pending.values()), position=self._position)

    def _look(self) -> HookLook:
        found = self.look()
        if found is None:
            raise refused(404, "unknown-webhook", f"there is no webhook {self.id[:40]!r}")
        return found

    # -- what an operator wants ----------------------------------------------------------------------------------------

    async def _stands(self, record: HookRecord) -> None:
        await self._rows.put(record)
        self._record, self.data = record, record.data
        self.context.notices.note("webhooks", self.id)

    async def _obey(self, event: Event) -> None:
        record = self._look().record
        decision = CHART.step(self.data, self.context.clock.stamped(event))
        await self._stands(msgspec.structs.replace(record, data=decision.data))
        log.info("webhook.obeyed", webhook=self.id, wish=type(event).__name__, to_state=self.data.state)
        if isinstance(event, ResumeWebhook):
            self._under_way = None  # what was on its way when it was paused may never be heard of
        self._look_at = self.clock.now()

    async def _forget(self) -> None:
        self._look()
        await self._rows.remove(self.id)
        self._record, self.data, self._look_at = None, Webhook(), None
        self._pending.clear()
        self.context.webhooks.forgotten(self.id)
        self.context.notices.note("webhooks", self.id)

    async def _replay(self, number: int) -> HookDelivery:
        record = self._look().record
        found = await self._rows.delivery(self.id, number)
        if found is None:
            raise refused(404, "unknown-delivery", f"webhook {self.id} has no delivery {number} in its list")
        if found.status is HookStatus.PENDING:
            return found
        if len(self._pending) >= WEBHOOK_EVENTS.limit:
            raise refused(429, "too-many-pending", f"{len(self._pending)} events are waiting for webhook {self.id}")
        wish = EventReplayed(at=self.clock.now(), given_up=found.status is HookStatus.GIVEN_UP)
        decision = CHART.step(self.data, self.context.clock.stamped(wish))
        again = msgspec.structs.replace(found, status=HookStatus.PENDING, attempts=0, error=None, answered=None)
        await self._write(msgspec.structs.replace(record, data=decision.data), again)
        return again

    async def _write(self, record: HookRecord, delivery: HookDelivery) -> None:
        """Makes durable, and then true, how the hook and one of its events stand."""
        await self._rows.tried(record, delivery)
        self._record, self.data = record, record.data
        self._pending.pop(delivery.id, None)
        if delivery.status is HookStatus.PENDING:
            self._hold([*self._pending.values(), delivery])
        self._look_at = self.clock.now()
        self.context.notices.note("webhooks", self.id)

    def _hold(self, pending: list[HookDelivery]) -> None:
        self._pending = {each.id: each for each in sorted(pending, key=lambda each: each.id)}
        self.context.watermarks.saw(WEBHOOK_EVENTS, len(self._pending))

    # -- what is owed --------------------------------------------------------------------------------------------------

    async def _go_on(self) -> None:
        """Until it is done it stays due: a store that is away has us look again, not forget."""
        more = False
        if self._record is not None and self.data.state == S.IDLE and not self._pending:
            more = await self._read(self._record)
        self._look_at = self.clock.now() if more else None
        if self._record is not None and self.data.state == S.IDLE and self._pending and self._under_way is None:
            self._begin(self._record, next(iter(self._pending.values())))

    async def _read(self, record: HookRecord) -> bool:
        """Reads on in the journal, and writes down what is to be told of it; whether there may be more to read now."""
        found = await self._rows.changes(self._position, CHANGES_READ.limit)
        if not found:
            return False
        events = [event for _, view in found if view is not None for event in self._events(record, view)]
        position, _ = found[-1]
        # Without events it is written down now and then, so that a restart does not look through all of it again.
        if events or position - record.position >= WEBHOOK_LAG.limit:
            moved = msgspec.structs.replace(record, position=position, data=self.data)
            self._hold(list(await self._rows.take(moved, events)))
            self._record = moved
        self._position = position
        return len(found) == CHANGES_READ.limit and not self._pending

    def _events(self, record: HookRecord, kept: TransactionView) -> Iterator[NewHookDelivery]:
        view = self.context.shown(kept)
        stream = f"{view.role}/{view.transaction_id}"
        if HookEvent.TRANSACTION in record.events and (not record.roles or view.role in record.roles):
            name = "msg_" + _digest(self.id, "transaction", stream, str(view.version))
            told = HookMessage(id=name, event=HookEvent.TRANSACTION, at=view.changed_at, transaction=view)
            yield self._written(told, stream)
        if HookEvent.CDR in record.events and view.cdr is not None:
            # Named by what it says: a transaction that changes in something else tells no charge record anew.
            news = "msg_" + _digest(self.id, "cdr", stream, msgspec.json.encode(view.cdr).decode())[:20]
            name = news + _digest(str(view.version))[:20]
            told = HookMessage(id=name, event=HookEvent.CDR, at=view.changed_at, cdr=view.cdr)
            yield self._written(told, view.cdr.cdr_id, news)

    def _written(self, told: HookMessage, subject: str, news: str = "") -> NewHookDelivery:
        body = self.context.webhook_client.written(told)
        return NewHookDelivery(message_id=told.id, event=told.event, subject=subject, at=told.at, body=body, news=news)

    # -- attempts ------------------------------------------------------------------------------------------------------

    def _begin(self, record: HookRecord, delivery: HookDelivery) -> None:
        timeout_s = self.context.settings.webhooks.attempt_timeout_s
        self._step(AttemptBegun(at=self.clock.now(), timeout_s=timeout_s))
        self._under_way = delivery.id
        self.context.system.spawn(self._attempt, record, delivery, timeout_s)

    async def _attempt(self, record: HookRecord, delivery: HookDelivery, timeout_s: float) -> None:
        letter = Letter(
            url=record.url,
            secret=record.secret,
            message_id=delivery.message_id,
            body=delivery.body,
            at=self.context.clock.wall(),
        )
        answer = await self.context.webhook_client.send(letter, timeout_s)
        await self.context.system.hand_over(self.key, AttemptOver(delivery.id, answer))

    async def _conclude(self, number: int, answer: HookAnswer) -> None:
        found = self._pending.get(number)
        if self._record is None or found is None:
            return  # it was forgotten, or an earlier attempt was slow and has arrived after all
        said = self.context.clock.stamped(self._said(found, answer))
        decision = CHART.step(self.data, said)
        tried = msgspec.structs.replace(
            found,
            status=_status_after(said),
            attempts=found.attempts + 1,
            tried_at=said.at,
            answered=answer.status,
            error=said.cause if isinstance(said, AttemptFailed) else None,
        )
        await self._write(msgspec.structs.replace(self._record, data=decision.data), tried)
        self._under_way = None if self._under_way == number else self._under_way
        log.info("webhook.attempt", webhook=self.id, message_id=tried.message_id, attempt=tried.attempts,
                 answered=answer.status, cause=tried.error, state=self.data.state)  # fmt: skip

    def _said(self, delivery: HookDelivery, answer: HookAnswer) -> EventDelivered | AttemptFailed:
        now, settings = self.clock.now(), self.context.settings.webhooks
        if is_taken(answer.status):
            return EventDelivered(at=now)
        jitter = self.context.ids.jitter()
        return AttemptFailed(
            at=now,
            cause=(answer.cause or f"HTTP {answer.status}")[: WEBHOOK_CAUSE.limit],
            attempts=delivery.attempts + 1,
            wait_s=backoff_s(self.data.failures, jitter, base_s=settings.retry_base_s, cap_s=settings.retry_cap_s),
            patience_s=timedelta(days=settings.paused_after_days).total_seconds(),
            status=answer.status,
        )

    def _step(self, event: Event) -> None:
        """A step that needs no writing down: it is taken again when the node comes back."""
        decision = CHART.step(self.data, self.context.clock.stamped(event))
        if decision.refusal is not None:
            raise Refused(decision.refusal)
        self.data = decision.data


def _status_after(said: EventDelivered | AttemptFailed) -> HookStatus:
    if isinstance(said, EventDelivered):
        return HookStatus.DELIVERED
    return HookStatus.GIVEN_UP if gives_up(said) else HookStatus.PENDING


def _digest(*parts: str) -> str:
    """What ids of events are made of: the same for the same event of a hook, whenever it is derived."""
    return sha256("\0".join(parts).encode()).hexdigest()[:40]
