"""The actor of one partner operator: sends what is owed to it, in order and until it is acknowledged.

What is owed stands in the outbox, written in the same transaction as the fact it tells, and is handed over by its
transaction. This actor decides when a row is sent; what the answer means is decided by the transaction it belongs to,
which closes the row with its own fact.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
import structlog
import trio

from actors.actor import Actor, correlated
from actors.context import Context
from actors.durable import fact_of, read_fact
from actors.looks import Look
from actors.owed import Owed
from actors.records import Append, Delivery, DeliveryClosed, DeliveryStatus
from statecharts.bounds import IN_FLIGHT
from statecharts.chart import Decision
from statecharts.delivery import Parcel, backoff_s
from statecharts.destination_events import DeliveryEnded
from statecharts.events import Event
from statecharts.peer import CHART, CallAnswered, CallFailed, Peer, S
from statecharts.ports import PeerClient
from statecharts.source_events import RequestAccepted, RequestDeclined
from statecharts.vocabulary import (
    Declined,
    PeerOutcome,
    Refused,
    RequestStartTransaction,
    RequestStopTransaction,
    SourceRequest,
    Unanswered,
)

COMMANDS = (RequestStartTransaction, RequestStopTransaction)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Closing:
    """An event that ends a delivery: the outbox row is closed in the same transaction as the transaction's fact."""

    event: Event
    closed: DeliveryClosed


@dataclass(frozen=True, slots=True)
class Wake:
    """Something is owed, or an attempt is over: look at the outbox."""


@dataclass(frozen=True, slots=True)
class LookAtLink:
    """How is the link? Answered with a `Link`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """The link to a partner as it is now, and what came of the calls since the node started."""

    data: Peer
    one_at_a_time: bool
    under_way: int
    next_at: datetime | None
    answered_at: datetime | None
    failed_at: datetime | None
    failure: str | None


@dataclass(frozen=True, slots=True)
class Progress:
    """The newest progress of a transaction, to be told if the peer can be reached; supersedes the one before."""

    transaction: str
    message: SourceRequest


@dataclass(frozen=True, slots=True)
class Replay:
    """The operator wants a parked delivery sent again. Answered with how many will be: none that was parked no more."""

    delivery_id: int


@dataclass(frozen=True, slots=True)
class ReplayParked:
    """The operator wants up to `limit` parked deliveries sent again, of one operation or all. Answered as `Replay`."""

    operation: str | None
    limit: int


class PeerActor(Actor):
    """One partner. Turns take `Wake`, `Progress`, `Look`, `LookAtLink`, both replays and the events of its chart."""

    def __init__(self, key: str, context: Context) -> None:
        super().__init__(key, context.clock, context.watermarks)
        self.context = context
        self.peer = key.partition("/")[2]
        self.data = Peer()
        self.seq = 0
        self._owed = Owed(context.outbox, self.peer, context.watermarks, context.settings.delivery.retry_cap_s)
        self._progress: dict[str, SourceRequest] = {}
        self._telling: set[str] = set()
        self._wake_at: datetime | None = None
        self._woken = False
        self._answered_at: datetime | None = None
        self._failed: tuple[datetime, str] | None = None

    def __repr__(self) -> str:
        return f"<Peer {self.peer} {self.data.state}, {self.waiting} waiting, {len(self._owed)} owed>"

    async def load(self) -> None:
        self.data, self.seq = Peer(), 0
        for fact in await self.context.journal.load(self.key):
            self.data = CHART.replay(self.data, read_fact(fact, CHART.events), fact.to_state)
            self.seq = fact.seq
        now = self.clock.now()
        await self.context.outbox.lapse(now)
        await self._owed.read(now)
        self._wake_at, self._woken = now, False

    def deadline(self) -> datetime | None:
        return self._wake_at

    async def due(self) -> None:
        await self._send_what_is_due()

    async def turn(self, message: Any) -> Any:
        match message:
            case Look():
                return self.data
            case LookAtLink():
                return self._link()
            case Wake():
                await self._send_what_is_due()
            case Progress(transaction=transaction, message=progress):
                self._progress[transaction] = progress
                self._tell_progress()
            case Replay(delivery_id=delivery_id):
                return self._reopened(await self.context.outbox.replay(delivery_id, self.peer))
            case ReplayParked(operation=operation, limit=limit):
                return self._reopened(await self.context.outbox.replay_parked(self.peer, operation, limit))
            case Event():
                return await self._step(message)
        return None

    async def _step(self, event: Event) -> Peer:
        decision = CHART.step(self.data, self.context.clock.stamped(event))
        if decision.refusal is not None:
            raise Refused(decision.refusal)
        if decision.fact is not None and self._is_worth_keeping(decision):
            fact = fact_of(decision.fact, self.data.state, decision.data.state)
            await self.context.journal.append(Append(stream=self.key, after_seq=self.seq, facts=(fact,)))
            self.seq += 1
            log.info("peer.state", peer=self.peer, from_state=self.data.state, to_state=decision.data.state)
        self.data = decision.data
        return self.data

    def _is_worth_keeping(self, decision: Decision[Peer]) -> bool:
        """Only changes of state are journalled: a count of failed calls may start anew with the node."""
        return decision.data.state != self.data.state

    # -- deliveries ----------------------------------------------------------------------------------------------------

    def _link(self) -> Link:
        failed_at, failure = self._failed or (None, None)
        return Link(
            data=self.data,
            one_at_a_time=self._is_troubled,
            under_way=self._owed.under_way,
            next_at=self._owed.next_at(self.clock.now()),
            answered_at=self._answered_at,
            failed_at=failed_at,
            failure=failure,
        )

    @property
    def _is_troubled(self) -> bool:
        return self.data.state in (S.SUSPECT, S.DOWN)

    @property
    def _in_flight_max(self) -> int:
        """A peer that does not answer is tried one message at a time."""
        return 1 if self._is_troubled else self.context.settings.delivery.in_flight_max

    def owe(self, delivery: Delivery) -> None:
        """A fact owes this to the partner; it is durable already. No message, which a full mailbox could refuse."""
        self._owed.add(delivery)
        self._wake()

    def _wake(self) -> None:
        """Looks at what is owed once the turn under way is over; asked for twice, it is still one look."""
        self._wake_at = self.clock.now()
        if not self._woken:
            self._woken = True
            self.context.system.tell(self.key, Wake())

    async def _send_what_is_due(self) -> None:
        """Until all of it is done the moment stays due: a store that is away has us look again, not forget."""
        self._woken, now = False, self.clock.now()
        self._wake_at = now
        await self._let_lapse(now)
        await self._owed.read_more(now)
        for row in self._owed.take(now, self._in_flight_max - self._owed.under_way):
            self.context.system.spawn(self._deliver, row)
        self.context.watermarks.saw(IN_FLIGHT, self._owed.under_way)
        self._wake_at = self._owed.next_at(now)

    async def _let_lapse(self, now: datetime) -> None:
        """Ends the commands whose time is over, so that nobody counts them as owed."""
        lapsed = self._owed.lapsed(now)
        if lapsed:
            await self.context.outbox.lapse(now)
        for row in lapsed:
            self._owed.over(row)

    async def _deliver(self, row: Delivery) -> None:
        try:
            await self._attempt(row)
        except Exception as error:
            # Trouble of our own, as with a full disk: the row still stands as due, and the peer must not feel it.
            if isinstance(error, Refused):
                log.warning("peer.attempt_refused", peer=self.peer, delivery=row.id, refusal=str(error))
            else:
                log.exception("peer.attempt_failed", peer=self.peer, delivery=row.id, error=type(error).__name__)
            await trio.sleep(self._backoff_s(row))
        finally:
            self._owed.put_back(row)
            self._wake()

    async def _attempt(self, row: Delivery) -> None:
        parcel = msgspec.json.decode(row.body, type=Parcel)
        with correlated(parcel.correlation_id):
            outcome = await self._call(parcel)
            await self._conclude(row, parcel, outcome)

    async def _call(self, parcel: Parcel) -> PeerOutcome:
        client = self._client(parcel)
        if client is None:
            return Unanswered(cause=f"{self.peer} is no partner of ours any more", alarm=True)
        outcome = await client.call(parcel.message, self.context.settings.delivery.attempt_timeout_s)
        said = self._said(outcome)
        if isinstance(said, CallFailed):
            self._failed = (said.at, said.cause)
        else:
            self._answered_at = said.at
        if CHART.step(self.data, said).data != self.data:
            self.context.system.tell(self.key, said)
        return outcome

    def _client(self, parcel: Parcel) -> PeerClient | None:
        clients = self.context.destinations if isinstance(parcel.message, COMMANDS) else self.context.sources
        return clients.get(self.peer)

    def _said(self, outcome: PeerOutcome) -> Event:
        now = self.clock.now()
        if isinstance(outcome, Unanswered):
            return CallFailed(at=now, cause=outcome.cause, alarm=outcome.alarm)
        return CallAnswered(at=now)

    async def _conclude(self, row: Delivery, parcel: Parcel, outcome: PeerOutcome) -> None:
        log.info("peer.attempt", peer=self.peer, operation=row.operation, transaction=row.transaction,
                 attempt=row.attempts + 1, outcome=type(outcome).__name__)  # fmt: skip
        if isinstance(outcome, Unanswered) and not self._is_too_old(row):
            await self._try_later(row, outcome.cause)
            return
        try:
            await self.context.system.ask(row.transaction, self._closing(row, parcel, outcome))
            self._owed.over(row)
        except Refused as no:
            await self._try_later(row, str(no))

    async def _try_later(self, row: Delivery, cause: str) -> None:
        wait_s = self._backoff_s(row)
        next_at = self.clock.now() + timedelta(seconds=wait_s)
        log.warning("peer.retry", peer=self.peer, operation=row.operation, cause=cause, wait_s=round(wait_s, 1))
        if await self.context.outbox.record_attempt(row.id, row.attempts + 1, next_at, cause):
            self._owed.tried(row, next_at)
        else:
            self._owed.over(row)

    def _backoff_s(self, row: Delivery) -> float:
        settings, jitter = self.context.settings.delivery, self.context.ids.jitter()
        return backoff_s(row.attempts, jitter, base_s=settings.retry_base_s, cap_s=settings.retry_cap_s)

    def _is_too_old(self, row: Delivery) -> bool:
        age = self.clock.now() - row.created_at
        return row.expires_at is None and age > timedelta(days=self.context.settings.delivery.parked_after_days)

    def _closing(self, row: Delivery, parcel: Parcel, outcome: PeerOutcome) -> Closing:
        """What this outcome is to the transaction, and how the row ends with it."""
        now, message = self.clock.now(), parcel.message
        error = _error(outcome)
        if isinstance(message, COMMANDS):
            event = _request_outcome(now, message, outcome)
            return Closing(event, DeliveryClosed(id=row.id, status=DeliveryStatus.DONE, error=error))
        status = DeliveryStatus.PARKED if error else DeliveryStatus.DONE
        ended = DeliveryEnded(
            at=now, message_id=row.message_id, operation=row.operation, status=status.value, error=error
        )
        return Closing(ended, DeliveryClosed(id=row.id, status=status, error=error))

    def _reopened(self, count: int) -> int:
        if count:
            self._owed.reopened()
            self._wake()
        return count

    # -- progress ------------------------------------------------------------------------------------------------------

    def _tell_progress(self) -> None:
        """Begins to tell what waits, no more transactions at once than deliveries."""
        for transaction in [name for name in self._progress if name not in self._telling]:
            if len(self._telling) >= self._in_flight_max:
                return
            self._telling.add(transaction)
            self.context.system.spawn(self._progress_until_told, transaction)

    async def _progress_until_told(self, transaction: str) -> None:
        """Tells the newest; one that came meanwhile follows, one that failed is not repeated: others will come."""
        try:
            while (message := self._progress.pop(transaction, None)) is not None:
                await self._call(Parcel(message=message))
        finally:
            self._telling.discard(transaction)
            self._tell_progress()


def _error(outcome: PeerOutcome) -> str | None:
    if isinstance(outcome, Declined):
        return f"{outcome.refusal.code}: {outcome.refusal.message}"
    return f"undelivered for too long: {outcome.cause}" if isinstance(outcome, Unanswered) else None


def _request_outcome(
    at: datetime, message: RequestStartTransaction | RequestStopTransaction, outcome: PeerOutcome
) -> Event:
    identifier = message.request_identifier
    if isinstance(outcome, Declined):
        return RequestDeclined(at=at, request_identifier=identifier, refusal=outcome.refusal)
    return RequestAccepted(at=at, request_identifier=identifier)
