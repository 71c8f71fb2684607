"""What operators see of partners and of what is owed to them, and what they may do about it."""

from __future__ import annotations

from typing import Any, Protocol, Unpack

from statecharts.ports import CdrView, Moment, Page
from statecharts.searches import DeliverySearch
from statecharts.vocabulary import Value


class PeerView(Value, frozen=True, kw_only=True):
    """A partner and the ledger of charge records with it."""

    pms_identifier: str
    state: str
    pending_deliveries: int
    parked_deliveries: int
    ledger: dict[str, int]


class RecordView(Value, frozen=True, kw_only=True):
    """A charge record of ours: when the charge ended, when the partner acknowledged it, how often it was corrected."""

    cdr: CdrView
    ended_at: Moment
    acknowledged_at: Moment | None = None
    corrections: int = 0


class DeliveryView(Value, frozen=True, kw_only=True):
    """A message that a partner is or was owed: `message` is what it says, `error` why it was not taken the last time.

    `status` is pending (tried again at `next_at`), done, parked (a dead letter, until an operator has it sent again) or
    lapsed (a command whose time was over at `expires_at`). `overdue` is a fact that should have been acknowledged by
    now. Of one that tells a charge record, and is looked at by itself, there is the `record`.
    """

    id: int
    peer: str
    operation: str
    transaction: str
    status: str
    created_at: Moment
    attempts: int
    overdue: bool
    message: dict[str, Any]
    next_at: Moment | None = None
    expires_at: Moment | None = None
    error: str | None = None
    record: RecordView | None = None


class DeliveryTotals(Value, frozen=True, kw_only=True):
    """How many messages to a partner there are of each status; `overdue` ones are pending or parked.

    The oldest of these is owed since `oldest_overdue_at`. `ledger` counts the charge records with this partner. What
    was done or has lapsed is counted until it is archived with its transaction.
    """

    pms_identifier: str
    pending: int
    done: int
    parked: int
    lapsed: int
    overdue: int
    ledger: dict[str, int]
    oldest_overdue_at: Moment | None = None


class Replayed(Value, frozen=True, kw_only=True):
    """How many dead letters will be sent again, and how many of the same kind are left for another time."""

    replayed: int
    left: int


class PeersDoor(Protocol):
    """Every method raises `Refused`; callers have checked that it is an operator."""

    async def peers(self, *, cursor: str | None, limit: int) -> Page[PeerView]: ...

    async def block_peer(self, pms_identifier: str, blocked: bool) -> PeerView: ...

    async def deliveries(
        self, *, cursor: str | None, limit: int, **search: Unpack[DeliverySearch]
    ) -> Page[DeliveryView]:
        """Those that are searched for, newest first; times of the search are the machine's."""

    async def delivery(self, delivery_id: int) -> DeliveryView: ...

    async def delivery_totals(self, *, cursor: str | None, limit: int) -> Page[DeliveryTotals]:
        """Of each partner, by its name."""

    async def replay(self, delivery_id: int) -> DeliveryView:
        """Sends a parked delivery again; one that is pending already stays so."""

    async def replay_parked(self, pms_identifier: str, operation: str | None, limit: int) -> Replayed:
        """Sends up to `limit` parked deliveries of a partner again, the oldest first, of one operation or all."""
