"""The actor of one operation: gives its command to the station once, and waits for what becomes of it.

The command itself is kept in memory alone, as it may carry a secret: after a restart it is never sent again, so only
what is shown of it need be durable.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import structlog
import trio

from actors.actor import Actor
from actors.context import Context
from actors.durable import fact_of, read_fact
from actors.looks import Look
from actors.masking import masked
from actors.records import Append
from actors.station import StationActor
from actors.station_messages import StationLook
from statecharts.bounds import OPERATIONS_AT_STATION
from statecharts.chart import Decision
from statecharts.doors import StationOperation
from statecharts.events import DeadlineReached, Event, NodeRestarted, StationAnswered
from statecharts.operation import CHART, OPEN, Operation, OperationAsked, OutcomeShown, S, SendCommand
from statecharts.outcomes import Awaits, Shown, Sign, shown_already
from statecharts.station_commands import CallOutcome, CallVerdict, StationCommand
from statecharts.vocabulary import Refused

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Begin:
    """An operator gives this command; one that the station has said it cannot do is sent only if `forced`."""

    asked: OperationAsked
    command: StationCommand
    forced: bool = False


class OperationActor(Actor):
    """One operation. Turns take `Begin`, `Look` and the events of its chart; all answer with its data.

    `ended` is set once it is over.
    """

    def __init__(self, key: str, context: Context) -> None:
        super().__init__(key, context.clock, context.watermarks)
        self.context = context
        self.data = Operation()
        self.seq = 0
        self.ended = trio.Event()
        self._begin: Begin | None = None

    def __repr__(self) -> str:
        return f"<Operation {self.key} {self.data.command} {self.data.state}>"

    # -- life ----------------------------------------------------------------------------------------------------------

    async def load(self) -> None:
        """Folds the journal; a command that may have been sent when the node stopped is waited for, never sent."""
        self.data, self.seq = Operation(), 0
        for fact in await self.context.journal.load(self.key):
            self.data = CHART.replay(self.data, read_fact(fact, CHART.events), fact.to_state)
            self.seq = fact.seq
        if self.seq:
            await self._step(NodeRestarted(at=self.clock.now()))
            self._entered()

    def deadline(self) -> datetime | None:
        return CHART.deadline(self.data)

    def may_rest(self) -> bool:
        return self.data.state not in OPEN

    async def due(self) -> None:
        """At the end of its time it looks once more, as what has shown may not have reached it."""
        await self._step(await self._last_look() or DeadlineReached(at=self.clock.now()))

    async def _last_look(self) -> OutcomeShown | None:
        awaits = self.data.awaits
        if self.data.state != S.WAITING or awaits is None:
            return None
        try:
            look: StationLook = await self.context.system.ask(f"station/{self.data.station}", Look())
        except Refused as no:
            log.warning("operation.not_looked", operation=self.data.id, refusal=str(no))
            return None
        found = [shown for shown in shown_already(awaits, look.data, look.connectors) if shown.succeeded is not None]
        if not found and self._would_have_begun(awaits, look):
            found = [Shown(told=f"in vain awaited: {awaits.what}", succeeded=False)]
        return self._event(found[0]) if found else None

    def _would_have_begun(self, awaits: Awaits, look: StationLook) -> bool:
        """Whether nothing can have begun: the station, which was there all the time, gives up where no cable comes."""
        answer, since = self.data.answer, look.data.connection.since
        accepted = answer is not None and answer.verdict is CallVerdict.ACCEPTED
        was_there = look.online and since is not None and self.data.asked_at is not None and since <= self.data.asked_at
        return awaits.sign is Sign.CHARGE_BEGINS and accepted and was_there

    def _event(self, shown: Shown) -> OutcomeShown:
        return OutcomeShown(at=self.clock.now(), **msgspec.structs.asdict(shown))

    async def turn(self, message: Any) -> Operation:
        match message:
            case Begin(asked=asked):
                self._begin = message
                await self._step(asked)
            case Event():
                await self._step(message)
            case Look():
                pass
        return self.data

    # -- one step ------------------------------------------------------------------------------------------------------

    async def _step(self, event: Event) -> None:
        decision = CHART.step(self.data, self.context.clock.stamped(event))
        if decision.refusal is not None:
            raise Refused(decision.refusal)
        if decision.fact is None:
            return
        before = self.data.state
        await self.context.journal.append(self._append(decision))
        self.data, self.seq = decision.data, self.seq + 1
        told = {"operation": self.data.id, "station": self.data.station, "command": self.data.command}
        states = {"from_state": before, "to_state": self.data.state}
        log.info("operation.event", event_type=type(event).__name__, **states, **told)
        if any(isinstance(effect, SendCommand) for effect in decision.effects):
            self.context.system.spawn(self._send)
        if self.data.state != before:
            self._entered()

    def _append(self, decision: Decision[Operation]) -> Append:
        assert decision.fact is not None
        return Append(
            stream=self.key,
            after_seq=self.seq,
            facts=(fact_of(decision.fact, self.data.state, decision.data.state),),
            operation=view_of(decision.data),
            final=CHART.is_final(decision.data),
        )

    def _entered(self) -> None:
        """Watches out for what it waits for, and for what may have shown already; once it is over no more."""
        data, watches = self.data, self.context.watches
        if data.state not in OPEN:
            watches.remove(data.station, data.id)
            self.ended.set()
        elif data.awaits is not None:
            watches.add(data.station, data.id, data.awaits)
            self.context.watermarks.saw(OPERATIONS_AT_STATION, len(watches.at(data.station)))
            if data.state == S.WAITING:
                self.context.system.spawn(self._look, data.awaits)

    # -- the station, not within a turn --------------------------------------------------------------------------------

    async def _send(self) -> None:
        begin, self._begin = self._begin, None
        assert begin is not None, "the chart asks for it once, on Begin"
        outcome = await self._answer(begin)
        outcome = msgspec.structs.replace(outcome, data=masked(outcome.data))
        answered = StationAnswered(at=self.clock.now(), purpose=begin.asked.command, outcome=outcome)
        await self.context.system.hand_over(self.key, answered)

    async def _answer(self, begin: Begin) -> CallOutcome:
        try:
            station = self.context.system.actor(f"station/{begin.asked.station}")
        except Refused as no:
            return CallOutcome(verdict=CallVerdict.NEVER_SENT, cause=str(no))
        assert isinstance(station, StationActor)
        return await station.command(begin.command, forced=begin.forced)

    async def _look(self, awaits: Awaits) -> None:
        look: StationLook = await self.context.system.hand_over(f"station/{self.data.station}", Look())
        for shown in shown_already(awaits, look.data, look.connectors):
            await self.context.system.hand_over(self.key, self._event(shown))


def view_of(data: Operation) -> StationOperation:
    """An operation as people see it, in node time."""
    assert data.asked_at is not None
    assert data.changed_at is not None
    answer = data.answer
    return StationOperation(
        id=data.id,
        station=data.station,
        command=data.command,
        request=data.shown,
        by=data.by,
        state=data.state,
        asked_at=data.asked_at,
        changed_at=data.changed_at,
        waits_for=_waits_for(data),
        until=data.until,
        verdict=answer.verdict.value if answer else None,
        status=(answer.status or None) if answer else None,
        progress=data.progress or None,
        cause=data.cause or None,
        transaction=data.transaction,
        data=answer.data if answer else {},
    )


def _waits_for(data: Operation) -> str | None:
    if data.state == S.ASKED:
        return "the station's answer"
    return data.awaits.what if data.state == S.WAITING and data.awaits else None
