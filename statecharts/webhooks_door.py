"""Webhooks as operators see them, and what is sent to one; `statecharts/webhook.py` says what may follow what."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from statecharts.ports import CdrView, Moment, Page, TransactionView
from statecharts.vocabulary import Value, Word


class HookEvent(Word):
    """What a hook may be told of."""

    TRANSACTION = "transaction"
    CDR = "cdr"


class NewWebhook(Value, frozen=True, kw_only=True):
    """What an operator wants to be told, and where. `roles` are those of the transactions; without one it is all."""

    url: str
    events: tuple[HookEvent, ...]
    roles: tuple[str, ...] = ()
    description: str | None = None


class WebhookView(NewWebhook, frozen=True, kw_only=True):
    """A webhook as it is. `state` is Idle, Delivering, WaitingToRetry (until `next_at`) or Paused.

    `pending` events are written down to be sent next, `changes_behind` changes of transactions come after them, counted
    up to 1,000, and `oldest_owed_at` is when the first of all these was. `given_up` events the receiver would not take.
    `cause` is why it fails or is paused; `paused_by` is who paused it, absent where the node did.
    """

    id: str
    created_at: Moment
    created_by: str
    state: str
    failures: int
    pending: int
    given_up: int
    changes_behind: int
    oldest_owed_at: Moment | None = None
    failing_since: Moment | None = None
    delivered_at: Moment | None = None
    next_at: Moment | None = None
    cause: str | None = None
    paused_by: str | None = None


class WebhookMade(WebhookView, frozen=True, kw_only=True):
    """A new webhook, and the secret that its events are signed with: it is shown this once."""

    secret: str


class HookDeliveryView(Value, frozen=True, kw_only=True):
    """An event that a hook is or was told. `status` is pending, failing (again at `next_at`), delivered or given-up.

    `message_id` is the event's own, the same in all attempts; `answered` the HTTP status of the last one.
    """

    id: int
    message_id: str
    event: HookEvent
    subject: str
    at: Moment
    status: str
    attempts: int
    tried_at: Moment | None = None
    next_at: Moment | None = None
    answered: int | None = None
    error: str | None = None
    body: str | None = None


class HookMessage(Value, frozen=True, kw_only=True):
    """What happened, as a hook is told of it: one of the two views, `at` the time of that change."""

    id: str
    event: HookEvent
    at: datetime
    transaction: TransactionView | None = None
    cdr: CdrView | None = None


class Letter(Value, frozen=True, kw_only=True):
    """One attempt to tell a hook of an event: signed with `secret` as of `at`, the machine's time."""

    url: str
    secret: str
    message_id: str
    body: bytes
    at: datetime


class HookAnswer(Value, frozen=True, kw_only=True):
    """What came of an attempt: the HTTP status, or why there was none."""

    status: int | None = None
    cause: str = ""


class WebhookClient(Protocol):
    """Tells webhooks. Never raises for what receivers or the network do."""

    def refusal(self, url: str) -> str | None:
        """Why this can be no webhook's address, as far as that shows without asking anybody; None where it can."""

    def written(self, message: HookMessage) -> bytes:
        """The body of every attempt to tell this."""

    async def send(self, letter: Letter, timeout_s: float) -> HookAnswer: ...


class WebhooksDoor(Protocol):
    """What an operator may do with webhooks. Every method raises `Refused`; who asks is `by`."""

    async def webhooks(self, *, cursor: str | None, limit: int) -> Page[WebhookView]:
        """All of them, the oldest first."""

    async def webhook(self, hook: str) -> WebhookView: ...

    async def make_webhook(self, new: NewWebhook, by: str) -> WebhookMade:
        """It is told what happens from now on. Refused: 400 for an address that may not be, 429 for one too many."""

    async def pause_webhook(self, hook: str, by: str) -> WebhookView:
        """It is told nothing until it is resumed, and then all that it has missed."""

    async def resume_webhook(self, hook: str) -> WebhookView: ...

    async def remove_webhook(self, hook: str) -> None:
        """Forgets it, and all that it is owed."""

    async def hook_deliveries(
        self, hook: str, *, status: str | None, cursor: str | None, limit: int
    ) -> Page[HookDeliveryView]:
        """What it is told next and was told last, newest first, without the bodies; None stands for any status."""

    async def hook_delivery(self, hook: str, delivery: int) -> HookDeliveryView:
        """One of them with its body."""

    async def replay_to_hook(self, hook: str, delivery: int) -> HookDeliveryView:
        """Sends one again under the same id; one that is not over stays as it is."""
