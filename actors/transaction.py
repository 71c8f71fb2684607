"""The actor of one transaction, whatever its role: steps its chart, journals what it decides, then acts.

What differs between a Source's, a Destination's and a local transaction is data: a `Kind` (`transaction_kinds.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from typing import Any, Generic

import msgspec
import structlog

from actors.actor import Actor, Envelope, Reply
from actors.context import Context
from actors.durable import Memory, fact_of, read_fact
from actors.looks import UNKNOWN, Look
from actors.peer import Closing, PeerActor, Progress
from actors.records import (
    Alias,
    AliasTaken,
    Append,
    Appended,
    Delivery,
    DeliveryClosed,
    Fact,
    LedgerEntry,
    NewDelivery,
    Snapshot,
)
from actors.station import StationActor
from actors.station_messages import CatchUp, LookAfter, Release
from actors.transaction_kinds import Kind, Remembered
from statecharts.charging import MeterRead
from statecharts.chart import D, Decision, Outcome
from statecharts.delivery import Parcel
from statecharts.destination_events import StartRequested, StopRequested
from statecharts.events import (
    AskPeer,
    BindAlias,
    CommandStation,
    DeadlineReached,
    Deliver,
    Effect,
    Event,
    LookAfterCharge,
    NodeRestarted,
    ReleaseConnector,
    SendProgress,
    StationAnswered,
)
from statecharts.limits import GRANT_NAME
from statecharts.ports import Change, TransactionView
from statecharts.promises import Promise
from statecharts.source_events import AuthorizationGranted, AuthorizationRefused, ResultNotified, TransactionEnded
from statecharts.vocabulary import Answered, AuthorizeAnswer, Declined, PeerOutcome, Refusal, Refused, refused

log = structlog.get_logger(__name__)

OF_PARTNERS: dict[type[Event], str] = {
    StartRequested: "requestStartTransaction",
    StopRequested: "requestStopTransaction",
    ResultNotified: "notifyRequestResult",
    TransactionEnded: "endTransaction",
}
"""What partners say again where they did not hear our answer, by what it says to a transaction."""


class Turned(msgspec.Struct, Generic[D], frozen=True):
    """What a turn tells its asker: the data and view after it, and the chart's own answer.

    The view is made for people's clocks when somebody looks at it: who only reports does not.
    """

    data: D
    view_kept: TransactionView
    show: Callable[[TransactionView], TransactionView]
    outcome: Outcome
    answer: Any = None

    @property
    def view(self) -> TransactionView:
        return self.show(self.view_kept)


class TransactionActor(Actor, Generic[D]):
    """One transaction. Turns take events, `Closing`s and `Look`s and answer with `Turned` (`Look`: the data)."""

    def __init__(self, key: str, kind: Kind[D], context: Context) -> None:
        super().__init__(key, context.clock, context.watermarks)
        self.kind = kind
        self.context = context
        self.data: D = kind.form.blank.data
        self.seq = 0
        self.correlation_id: str | None = None
        self._shown: tuple[D, TransactionView] | None = None
        self._memory = Memory(kind.form, context.watermarks)

    def __repr__(self) -> str:
        return f"<{self.kind.role} {self.key} {self.data.state}, {self.waiting} waiting>"

    # -- life ----------------------------------------------------------------------------------------------------------

    async def load(self) -> None:
        """Folds the journal; unless it only rested, what ran only in memory is gone, which the chart is told of."""
        remembered, self.seq = await self._memory.recall(self.context.journal, self.key, self._fold)
        self.data, self.correlation_id = remembered.data, remembered.correlation_id
        if self.seq and not self.rested:
            await self._restarted()

    async def _restarted(self) -> None:
        """Takes up again what is shared with others: the connector that is held, the end that came meanwhile."""
        held = self.kind.held(self.data)
        if held is not None:
            self.context.system.tell(f"station/{self._station}", held)
        if self.kind.goes_on(self.data):
            was_put_aside = await self.context.system.quarantine.holds(self.key)
            self.context.system.tell(f"station/{self._station}", CatchUp(self.key, was_put_aside))
        await self._step(NodeRestarted(at=self.clock.now()))

    def _fold(self, before: Remembered[D], fact: Fact) -> Remembered[D]:
        event = read_fact(fact, self.kind.chart.events)
        data = self.kind.chart.replay(before.data, event, fact.to_state)
        return Remembered(data=data, correlation_id=event.correlation_id or before.correlation_id)

    @property
    def _station(self) -> str:
        return str(getattr(self.data, "station", ""))

    def deadline(self) -> datetime | None:
        return self.kind.chart.deadline(self.data)

    def may_rest(self) -> bool:
        return self.data.state not in self.kind.awake or not self.seq

    async def due(self) -> None:
        await self._step(DeadlineReached(at=self.clock.now()))

    async def turn(self, message: Any) -> Any:
        if isinstance(message, Look):
            return self.data
        event, closed = (message.event, (message.closed,)) if isinstance(message, Closing) else (message, ())
        decision = await self._step(event, closed)
        if decision.refusal is not None:
            raise Refused(decision.refusal)
        if decision.outcome is Outcome.REPEATED and type(event) in OF_PARTNERS:
            self.context.meters.duplicates.add("partner", OF_PARTNERS[type(event)])
        return self._turned(decision)

    def _turned(self, decision: Decision[D]) -> Turned[D]:
        return Turned(self.data, self._kept(), self.context.shown, decision.outcome, decision.answer)

    def view(self) -> TransactionView:
        """The transaction as people see it. Raises `Refused` (404) for one that has not begun."""
        return self.context.shown(self._kept())

    def _kept(self) -> TransactionView:
        """The view as it stands in the store."""
        if not self.seq:
            raise refused(404, UNKNOWN, "there is no such transaction")
        return self._view_of(self.data, self.seq)

    def _view_of(self, data: D, seq: int) -> TransactionView:
        """Made once for the store, whoever watches, and whoever asked."""
        if self._shown is None or self._shown[0] is not data or self._shown[1].version != seq:
            self._shown = data, self.kind.view(data, seq)
        return self._shown[1]

    # -- one step ------------------------------------------------------------------------------------------------------

    async def _step(self, event: Event, closed: tuple[DeliveryClosed, ...] = ()) -> Decision[D]:
        decision = self._decide(event)
        if decision.fact is None and not closed:
            return decision
        append = self._append(decision, closed)
        try:
            appended = await self.context.journal.append(append)
        except AliasTaken as taken:
            return await self._without_alias(event, taken)
        self._appended(append, decision, appended)
        return decision

    def _decide(self, event: Event) -> Decision[D]:
        return self.kind.chart.step(self.data, self.context.clock.stamped(self._correlated(event)))

    def _appended(self, append: Append, decision: Decision[D], appended: Appended) -> None:
        """What was decided is on the disk: now it is true, and may be heard of."""
        for alias in append.aliases:
            self.context.names.remember(alias, self.key)
        self._hand_over(appended.deliveries)
        before, self.data = self.data, decision.data
        if decision.fact is not None:
            self.seq += 1
            self.correlation_id = decision.fact.correlation_id
        self._after_commit(before, decision, appended.position)

    # -- readings ------------------------------------------------------------------------------------------------------

    def promise(self, message: Any) -> Reply[Any]:
        """See `Actor.promise`. Readings come by the thousand: one that finds the actor idle does not wake its task."""
        return (isinstance(message, MeterRead) and self.is_idle and self._read(message)) or super().promise(message)

    def _read(self, event: MeterRead) -> Reply[Any] | None:
        """Takes a reading at once; None, having done nothing, where anything is out of the ordinary."""
        try:
            decision = self._decide(event)
            if decision.fact is None or decision.refusal is not None:
                return None
            append = self._append(decision, ())
            begun = self.context.journal.begin(append)
        except Exception:  # the turn that it is then will fail with the same, and be answered for it
            return None
        reply: Reply[Any] = Reply()
        self.take_up(Envelope(event, reply, event.correlation_id))
        begun.follow(partial(self._finish_reading, reply, append, decision))
        return reply

    def _finish_reading(
        self, reply: Reply[Any], append: Append, decision: Decision[D], done: Promise[Appended]
    ) -> None:
        failure: Exception | None = None
        try:
            self._appended(append, decision, done.result())
            reply.set(self._turned(decision))
        except Refused as no:
            reply.fail(no)
        except Exception as error:  # whoever settles a promise is not to fail with those who follow it
            failure = error
        self.finish(failure)

    # -- what is durable -----------------------------------------------------------------------------------------------

    def _correlated(self, event: Event) -> Event:
        """What a station or a deadline brings belongs to the last request that was made of this transaction."""
        if event.correlation_id or self.correlation_id is None:
            return event
        return msgspec.structs.replace(event, correlation_id=self.correlation_id)

    async def _without_alias(self, event: Event, taken: AliasTaken) -> Decision[D]:
        """A name that exists already: a repeated grant is refused, a key in use is the app's mistake."""
        if not isinstance(event, AuthorizationGranted):
            raise refused(409, "already-used", f"this key or identifier is in use already: {taken.alias.name}")
        message = "the other operator gave an authorisation that it had given before"
        refusal = Refusal(code=502, kind="repeated-grant", message=message)
        return await self._step(AuthorizationRefused(at=event.at, refusal=refusal))

    def _append(self, decision: Decision[D], closed: tuple[DeliveryClosed, ...]) -> Append:
        """Everything that this decision makes durable, in one."""
        facts = (fact_of(decision.fact, self.data.state, decision.data.state),) if decision.fact else ()
        seq = self.seq + len(facts)
        deliveries = [self._owed(effect, decision) for effect in decision.effects if isinstance(effect, Deliver)]
        aliases = [
            Alias(scope=effect.scope, name=effect.name) for effect in decision.effects if isinstance(effect, BindAlias)
        ]
        return Append(
            stream=self.key,
            after_seq=self.seq,
            facts=facts,
            closed=closed,
            deliveries=tuple(deliveries),
            aliases=tuple(aliases),
            ledger=self._ledger_entries(decision.data),
            snapshot=self._snapshot(decision, seq),
            view=self._view_of(decision.data, seq) if seq else None,
            final=self.kind.chart.is_final(decision.data),
        )

    def _snapshot(self, decision: Decision[D], seq: int) -> Snapshot | None:
        if decision.fact is None:
            return None
        remembered = Remembered(data=decision.data, correlation_id=decision.fact.correlation_id)
        return self._memory.snapshot(seq, remembered)

    def _owed(self, effect: Deliver, decision: Decision[D]) -> NewDelivery:
        assert decision.fact is not None
        parcel = Parcel(message=effect.message, correlation_id=decision.fact.correlation_id)
        return NewDelivery(
            message_id=effect.message_id,
            peer=effect.peer,
            operation=type(effect.message).__name__,
            transaction=self.key,
            body=msgspec.json.encode(parcel),
            created_at=decision.fact.at,
            expires_at=effect.expires_at,
        )

    def _ledger_entries(self, after: D) -> tuple[LedgerEntry, ...]:
        entry = self._ledger_entry(after)
        return () if entry is None or entry == self._ledger_entry(self.data) else (entry,)

    def _ledger_entry(self, data: D) -> LedgerEntry | None:
        cdr = self.kind.cdr(data)
        if cdr is None:
            return None
        return LedgerEntry(
            role=self.kind.role,
            cdr=cdr,
            ended_at=cdr.end_timestamp,
            acknowledged_at=self.kind.acknowledged_at(data),
            corrections=int(getattr(data, "corrections", 0)),
        )

    # -- effects, once all is on disk ----------------------------------------------------------------------------------

    def _after_commit(self, before: D, decision: Decision[D], position: int) -> None:
        if decision.fact is not None:
            # Readings come by the thousand, and say nothing that the transaction does not show.
            tell = log.debug if isinstance(decision.fact, MeterRead) else log.info
            tell(
                "transaction.event",
                transaction=self.key,
                correlation_id=self.correlation_id,
                event_type=type(decision.fact).__name__,
                from_state=before.state,
                to_state=self.data.state,
                outcome=decision.outcome.value,
            )
            if self.context.changes.is_watched(self.key):
                self.context.changes.publish(self.key, Change(position=position, transaction=self.view()))
        self._carry_out(decision.effects)

    def _hand_over(self, deliveries: Iterable[Delivery]) -> None:
        """Gives what is owed to the actors of those to whom it is owed."""
        for delivery in deliveries:
            try:
                peer = self.context.system.actor(f"peer/{delivery.peer}")
            except Refused as no:  # it reads the outbox when it works again
                log.warning("transaction.peer_away", transaction=self.key, peer=delivery.peer, refusal=str(no))
            else:
                assert isinstance(peer, PeerActor)
                peer.owe(delivery)

    def _carry_out(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case SendProgress(peer=peer, message=message):
                    self.context.system.tell(f"peer/{peer}", Progress(self.key, message))
                case AskPeer():
                    self.context.system.spawn(self._ask_peer, effect)
                case CommandStation():
                    self.context.system.spawn(self._command_station, effect)
                case ReleaseConnector(station=station):
                    self.context.system.tell(f"station/{station}", Release(self.key))
                case LookAfterCharge(station=station):
                    self.context.system.tell(f"station/{station}", LookAfter())

    async def _ask_peer(self, effect: AskPeer) -> None:
        client = self.context.destinations.get(effect.peer)
        assert client is not None, "the role checks that the peer is known"
        outcome = await client.call(effect.request, effect.timeout_s)
        await self.context.system.hand_over(self.key, _authorization_event(outcome, self.clock.now()))

    async def _command_station(self, effect: CommandStation) -> None:
        station = self.context.system.actor(f"station/{effect.station}")
        assert isinstance(station, StationActor)
        outcome = await station.command(effect.command, until=self.deadline())
        answered = StationAnswered(at=self.clock.now(), purpose=effect.purpose, outcome=outcome)
        await self.context.system.hand_over(self.key, answered)


async def view_of(context: Context, stream: str) -> TransactionView | None:
    """The transaction as it stands: from its actor, which shows only what is durable, else from the store."""
    if stream in context.system:
        actor = context.system.actor(stream)
        if isinstance(actor, TransactionActor) and actor.seq:
            return actor.view()
    return await context.ledger.transaction(stream)


def _authorization_event(outcome: PeerOutcome, at: datetime) -> Event:
    match outcome:
        case Answered(answer=AuthorizeAnswer(authorization_identifier=name)) if 0 < len(name) <= GRANT_NAME.limit:
            return AuthorizationGranted(at=at, authorization_identifier=name)
        case Answered():
            refusal = Refusal(
                code=502, kind="no-identifier", message="the other operator named no authorisation that can be used"
            )
        case Declined(refusal=refusal):
            pass
        case _:
            message = f"the other operator did not answer: {outcome.cause}"
            refusal = Refusal(code=504, kind="peer-unanswered", message=message)
    return AuthorizationRefused(at=at, refusal=refusal)
