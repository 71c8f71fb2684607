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


class LinkView(Value, frozen=True, kw_only=True):
    """How we speak to a partner in one `role` (its), as configured, and what was seen of it since the node started.

    `certificates` are fingerprints of those that it must show when it comes to us. `certificate_until` is when the one
    ends that its server shows; `clock_ahead_s` how far its clock is ahead of ours, within a second or two.
    """

    role: str
    url: str
    username: str
    tls: bool
    certificates: tuple[str, ...] = ()
    certificate_until: Moment | None = None
    clock_ahead_s: int | None = None


class PeerSheet(Value, frozen=True, kw_only=True):
    """All of a partner. `failures` are attempts without an answer since the last one, `alarm` what a person must mend.

    `one_at_a_time`: it does not answer, and is tried with one message at a time, the next at `next_attempt_at`. It last
    answered or failed (with `last_failure`) since the node started, by what it is owed and by progress.
    """

    pms_identifier: str
    state: str
    failures: int
    one_at_a_time: bool
    under_way: int
    links: tuple[LinkView, ...]
    deliveries: DeliveryTotals
    since: Moment | None = None
    alarm: str | None = None
    next_attempt_at: Moment | None = None
    last_answered_at: Moment | None = None
    last_failed_at: Moment | None = None
    last_failure: str | None = None


class TriedCall(Value, frozen=True, kw_only=True):
    """What came of one call that has no effect. `works`: the partner's service answered, and knew us.

    `outcome` is answered, or what went wrong: name-unknown, connection-refused, tls, no-connection, broken, timeout,
    credentials, http, fault, error (a ResponseError 5xx), peer-refused (4xx), peer-fault, peer-http, unanswered.
    """

    role: str
    operation: str
    works: bool
    outcome: str
    took_s: float
    reason: str | None = None
    certificate_until: Moment | None = None
    clock_ahead_s: int | None = None


class PeerTest(Value, frozen=True, kw_only=True):
    """A test call to each service of a partner; it `works` where all do."""

    pms_identifier: str
    works: bool
    calls: tuple[TriedCall, ...]


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

    async def peer(self, pms_identifier: str) -> PeerSheet: ...

    async def test_peer(self, pms_identifier: str) -> PeerTest:
        """Calls each service of a partner once, with what has no effect there; takes no longer than one attempt.

        A Destination is asked for local services around a place in the ocean, a Source told of the failure of a request
        that it never made, which it refuses (MOBI.Europe has nothing at a Source that only asks). Its link state and
        what it is owed stay as they are.
        """

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
