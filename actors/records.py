"""What is written down: the rows of the journal and of the tables that change in the same transaction with it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from statecharts.doors import StationOperation
from statecharts.ports import CdrView, TransactionView
from statecharts.vocabulary import Refusal, Refused, Value


class NewFact(Value, frozen=True, kw_only=True):
    """One fact to append: which event, from which state to which, when, and the event itself as JSON."""

    type: str
    from_state: str
    to_state: str
    at: datetime
    data: bytes


class Fact(Value, frozen=True, kw_only=True):
    """One fact as it stands in the journal. `position` orders all streams, `seq` counts from 1 within its own."""

    position: int
    stream: str
    seq: int
    type: str
    from_state: str
    to_state: str
    at: datetime
    data: bytes


class DeliveryStatus(StrEnum):
    PENDING = "pending"
    DONE = "done"
    PARKED = "parked"
    LAPSED = "lapsed"


class NewDelivery(Value, frozen=True, kw_only=True):
    """A message owed to a peer. `message_id` is unique: the same fact never owes it twice.

    `expires_at` is set for commands (never sent after it) and absent for facts (sent until acknowledged).
    """

    message_id: str
    peer: str
    operation: str
    transaction: str
    body: bytes
    created_at: datetime
    expires_at: datetime | None = None


class Delivery(Value, frozen=True, kw_only=True):
    """A row of the outbox."""

    id: int
    message_id: str
    peer: str
    operation: str
    transaction: str
    body: bytes
    created_at: datetime
    expires_at: datetime | None
    next_at: datetime
    attempts: int
    status: DeliveryStatus
    last_error: str | None = None


class Alias(Value, frozen=True, kw_only=True):
    """Another name of a stream, unique within its scope for ever: ("source-authorization/IE-001", "0A1B2C3D4E5F")."""

    scope: str
    name: str


class LedgerEntry(Value, frozen=True, kw_only=True):
    """The charge record of a transaction as it stands after this append; at most one per (role, cdr_id)."""

    role: str
    cdr: CdrView
    ended_at: datetime
    acknowledged_at: datetime | None = None
    corrections: int = 0


class DeliveryClosed(Value, frozen=True, kw_only=True):
    """A delivery that is over, closed together with the fact that records its end."""

    id: int
    status: DeliveryStatus
    error: str | None = None


class OrphanOutcome(StrEnum):
    """`JOINED`: its transaction was found without an operator; `ASSIGNED` and `DISMISSED`: by one."""

    JOINED = "joined"
    ASSIGNED = "assigned"
    DISMISSED = "dismissed"


class Decision(Value, frozen=True, kw_only=True):
    """What became of an orphan. `by` is the operator who said so, `transaction` the stream that it belongs to."""

    outcome: OrphanOutcome
    at: datetime
    by: str = ""
    reason: str = ""
    transaction: str = ""


class Orphan(Value, frozen=True, kw_only=True):
    """Something a station reported that belongs to no transaction we know; kept for the operator, never dropped.

    `why` says what was looked for and not found.
    """

    station: str
    kind: str
    at: datetime
    body: bytes
    why: str = ""
    id: int | None = None
    decision: Decision | None = None


class OrphanDecided(Value, frozen=True, kw_only=True):
    """A decision on one orphan, by its id; without an id on all open ones with its content."""

    orphan: Orphan
    decision: Decision


class IdleMeter(Value, frozen=True, kw_only=True):
    """Meter values of an idle connector or of a whole station: no charge's, and nothing is decided by them."""

    station: str
    at: datetime
    body: bytes
    id: int | None = None


class LogEntry(Value, frozen=True, kw_only=True):
    """Something a station reported beside charging: a security event, how far an update is, what is plain."""

    station: str
    kind: str
    at: datetime
    body: bytes
    id: int | None = None


class Snapshot(Value, frozen=True, kw_only=True):
    """What an actor was after fact `seq` of its stream. `form` names the shape of `data`: another shape is not read."""

    seq: int
    form: str
    data: bytes


class History(Value, frozen=True, kw_only=True):
    """A stream as its actor loads it: the newest snapshot of the wanted form, if any, and the facts after it."""

    facts: tuple[Fact, ...]
    snapshot: Snapshot | None = None


class Append(Value, frozen=True, kw_only=True):
    """Everything one turn makes durable, in one transaction; `after_seq` is the last seq its writer knows of it.

    `snapshot` is of the stream as these facts leave it, and takes the place of the one before.
    `decided` are orphans that leave the inbox, and why.
    `operation` is the row that lists of operations read, whose stream this is.
    `view` (with `final` and, for look-ups, the station) replaces the row that lists and pages of transactions read.
    """

    stream: str
    after_seq: int
    facts: tuple[NewFact, ...]
    deliveries: tuple[NewDelivery, ...] = ()
    closed: tuple[DeliveryClosed, ...] = ()
    aliases: tuple[Alias, ...] = ()
    ledger: tuple[LedgerEntry, ...] = ()
    orphans: tuple[Orphan, ...] = ()
    decided: tuple[OrphanDecided, ...] = ()
    meters: tuple[IdleMeter, ...] = ()
    log: tuple[LogEntry, ...] = ()
    snapshot: Snapshot | None = None
    view: TransactionView | None = None
    final: bool = False
    operation: StationOperation | None = None


class Appended(Value, frozen=True, kw_only=True):
    """What the store gave back: the position of the last fact, and the deliveries with their ids."""

    position: int
    deliveries: tuple[Delivery, ...] = ()


class StoreError(Exception):
    """Base of what can go wrong with the store."""


class StreamConflict(StoreError):
    """Another writer has appended to this stream: whoever sees this must reload or stop."""


class AliasTaken(StoreError):
    """An alias of this append already names another stream; nothing of the append was written."""

    def __init__(self, alias: Alias) -> None:
        super().__init__(f"{alias.scope}/{alias.name} is taken")
        self.alias = alias


class StoreUnavailable(StoreError, Refused):
    """Nothing was written: disk full, database gone. The same append may be tried again.

    Whoever asked is refused (503); `cause` is what the database said, for the log and for nobody outside.
    """

    def __init__(self, cause: str) -> None:
        message = "the node cannot reach its store now; nothing was changed, try again later"
        Refused.__init__(self, Refusal(code=503, kind="store-unavailable", message=message))
        self.cause = cause

    def __str__(self) -> str:
        return self.cause


class StoreTaken(StoreError):
    """Another node has the database: whoever sees this must stop at once, and has written nothing since."""


class StreamCorrupt(StoreError):
    """A row of this stream does not match its checksum: nothing of it may be used."""

    def __init__(self, stream: str, seq: int, reason: str) -> None:
        super().__init__(f"journal stream {stream}, seq {seq}: {reason}")
        self.stream, self.seq, self.reason = stream, seq, reason
