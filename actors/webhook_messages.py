"""What the actor of a webhook is told and asked."""

from __future__ import annotations

from dataclasses import dataclass

from actors.webhook_rows import HookDelivery, HookRecord
from statecharts.webhooks_door import HookAnswer


@dataclass(frozen=True, slots=True)
class Changed:
    """Transactions have changed: there may be something to tell."""


@dataclass(frozen=True, slots=True)
class MakeHook:
    """A new hook, as an operator wants it."""

    record: HookRecord


@dataclass(frozen=True, slots=True)
class RemoveHook:
    """The operator wants no more of it."""


@dataclass(frozen=True, slots=True)
class ReplayTo:
    """The operator wants an event sent again. Answered with it as it stands then."""

    delivery: int


@dataclass(frozen=True, slots=True)
class AttemptOver:
    """What came of an attempt."""

    delivery: int
    answer: HookAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class HookLook:
    """A hook as it is now, in node time; all changes up to `position` are looked through."""

    record: HookRecord
    pending: tuple[HookDelivery, ...]
    position: int
