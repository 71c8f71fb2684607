"""An actor: one task, one bounded mailbox, one turn after the other.

A turn takes one message, decides, makes the decision durable and only then lets anybody hear of it. Whoever asks waits
on a reply of its own, so an asker that goes away (a client that hangs up) cancels its waiting and never the turn.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Any, TypeVar

import msgspec
import structlog
import trio

from statecharts.bounds import MAILBOX, Watermarks
from statecharts.ports import Clock
from statecharts.promises import Promise
from statecharts.vocabulary import Refused, refused

RETRY_S = 1.0
"""How long an actor waits before it tries again what it could not do because the store or a neighbour was away."""

ASK_TIMEOUT_S = 20.0
"""How long an asker waits for a turn; the turn itself goes on."""

T = TypeVar("T")
log = structlog.get_logger(__name__)


class Reply(Promise[T]):
    """What an asker waits on: settled once, by whoever was asked or whoever ends that."""

    __slots__ = ()

    async def wait(self) -> T:
        """The answer, once it is there; raises what it failed with."""
        answered = trio.Event()
        self.follow(lambda _: answered.set())
        await answered.wait()
        return self.result()


def current_correlation_id() -> str | None:
    """The correlation id of whatever this task is handling."""
    found = structlog.contextvars.get_contextvars().get("correlation_id")
    return str(found) if found else None


def correlated(correlation_id: str | None) -> AbstractContextManager[None]:
    """Names what is logged and sent on within the block after a request; without one it stays nameless."""
    if correlation_id is None:
        return nullcontext()
    return structlog.contextvars.bound_contextvars(correlation_id=correlation_id)


class Envelope(msgspec.Struct, frozen=True):
    """A message on its way, with the reply its sender waits for, if it does."""

    message: Any
    reply: Reply[Any] | None = None
    correlation_id: str | None = msgspec.field(default_factory=current_correlation_id)


class Actor:
    """Base of every actor. Subclasses give `load` and `turn`, and `deadline` with `due` where time matters to them.

    `rested` is set for the first load of one that slept: nothing was under way that could have been lost. `needed` says
    that more than messages waits for it: a deadline, or what it has begun. `ready` is set once it has loaded and done
    what was due, or has left.
    """

    # Instances of one class share the keys of their dictionaries up to 30 of them: these are left to the subclasses.
    __slots__ = (
        "_due_not_before",
        "_failure",
        "_finished",
        "_finished_at",
        "_idle",
        "_left",
        "_mailbox",
        "_waits_for",
        "_watermarks",
        "clock",
        "in_hand",
        "key",
        "needed",
        "ready",
        "rested",
    )

    def __init__(self, key: str, clock: Clock, watermarks: Watermarks) -> None:
        self.key = key
        self.clock = clock
        self.in_hand: Envelope | None = None
        self.rested = False
        self.needed = False
        self.ready = Reply[None]()
        self._watermarks = watermarks
        self._due_not_before = -math.inf
        self._mailbox: list[Envelope] = []  # short, and most are empty: a deque takes 700 bytes for that
        self._idle: trio.lowlevel.Task | None = None
        self._waits_for: datetime | None = None
        self._finished_at = -math.inf
        self._finished: trio.Event | None = None
        self._failure: Exception | None = None
        self._left = False

    # -- for everybody -------------------------------------------------------------------------------------------------

    async def ask(self, message: Any, timeout_s: float = ASK_TIMEOUT_S) -> Any:
        """The turn's answer. Raises `Refused`: the turn's own, or 503 when the mailbox is full or no answer comes."""
        reply = self.promise(message)
        with trio.move_on_after(timeout_s):
            return await reply.wait()
        raise refused(503, "no-answer", f"{self.key} did not answer within {timeout_s:g} s; the outcome is unknown")

    def promise(self, message: Any) -> Reply[Any]:
        """The turn's answer, later: it fails with `Refused`. Raises `Refused` (503) when the mailbox is full."""
        reply: Reply[Any] = Reply()
        self._put(Envelope(message, reply))
        return reply

    def tell(self, message: Any) -> None:
        """Leaves a message. Raises `Refused` (503) when the mailbox is full."""
        self._put(Envelope(message))

    @property
    def waiting(self) -> int:
        """How many messages wait."""
        return len(self._mailbox)

    def _put(self, envelope: Envelope) -> None:
        if self._left:
            raise RuntimeError(f"{self.key} has left memory: ask the system for it again")
        if len(self._mailbox) >= MAILBOX.limit:
            raise refused(503, "busy", f"{self.key} has {MAILBOX.limit} messages waiting; try again later")
        self._mailbox.append(envelope)
        self._watermarks.saw(MAILBOX, len(self._mailbox))
        if self.in_hand is None:
            self._rouse()

    def _rouse(self) -> None:
        if self._idle is not None:
            trio.lowlevel.reschedule(self._idle)
            self._idle = None

    # -- for subclasses ------------------------------------------------------------------------------------------------

    async def load(self) -> None:
        """Rebuilds the state from the journal, at the start of each life."""

    async def turn(self, message: Any) -> Any:
        """Handles one message and returns the answer for its asker. Raises `Refused` to say no."""
        raise TypeError(f"{type(self).__name__} understands no {type(message).__name__}")

    async def due(self) -> None:
        """Handles the deadline having passed."""

    def deadline(self) -> datetime | None:
        """When `due` is to be called, if nothing arrives before."""
        return None

    def may_rest(self) -> bool:
        """Whether the actor may leave memory: it is rebuilt from its journal on its next message or deadline."""
        return False

    # -- turns without the task ----------------------------------------------------------------------------------------

    @property
    def is_idle(self) -> bool:
        """Whether its task waits, for nothing in particular: a turn may be taken without waking it."""
        return self._idle is not None and self.in_hand is None

    def take_up(self, envelope: Envelope) -> None:
        """Begins a turn of an idle actor without its task. Until `finish`, what else comes waits."""
        assert self.is_idle
        self.in_hand = envelope

    def finish(self, failure: Exception | None = None) -> None:
        """Ends such a turn; a failure of it is one of the actor, as in any turn."""
        self._finished_at = trio.current_time()
        if failure is None:
            self.in_hand = None
        self._failure = failure
        if self._finished is not None:
            self._finished.set()
        elif failure is not None or self._mailbox or self._is_due_sooner():
            self._rouse()

    def _is_due_sooner(self) -> bool:
        """Whether its task sleeps towards a deadline that has become an earlier one; only two moments are compared."""
        until = self.deadline()
        return until is not None and (self._waits_for is None or until < self._waits_for)

    # -- one life ------------------------------------------------------------------------------------------------------

    async def run(self, rest_after_s: float) -> None:
        """Loads, then takes turns; returns once the actor may rest and nothing has come for so many seconds.

        Returns as well if it cannot load now and nobody needs it any more.
        """
        if not await self._load():
            return
        self.rested = False
        if self._seconds_to_deadline() <= 0:
            await self._be_due()
        self.ready.set(None)
        while True:
            if self.in_hand is not None:
                await self._until_finished()
            due_s = self._seconds_to_deadline()
            if due_s <= 0:
                await trio.lowlevel.checkpoint()
                await self._be_due()
            elif self._mailbox:
                await trio.lowlevel.checkpoint()
                await self._take()
            else:
                # Trio's clock may tick a little faster than ours: it is due when ours says so, not before.
                rest_s = rest_after_s if self.may_rest() else math.inf
                waits_since = trio.current_time()
                if await self._arrival(min(due_s, rest_s)):
                    await self._take()
                elif rest_s < due_s and self.in_hand is None and self._finished_at < waits_since:
                    return

    async def _until_finished(self) -> None:
        """Until the turn that is taken without this task is over; raises what it failed with."""
        if self._failure is None:
            self._finished = trio.Event()
            await self._finished.wait()
            self._finished = None
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    async def _arrival(self, within_s: float) -> bool:
        """Waits for a message; whether one came, and can be taken."""
        self._waits_for = self.deadline()
        if within_s == math.inf:
            await self._idle_until_put()
        else:
            with trio.move_on_after(within_s):
                await self._idle_until_put()
        return bool(self._mailbox) and self.in_hand is None

    async def _idle_until_put(self) -> None:
        self._idle = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._leave_off)

    def _leave_off(self, _: object) -> trio.lowlevel.Abort:
        self._idle = None
        return trio.lowlevel.Abort.SUCCEEDED

    async def _load(self) -> bool:
        """Loads as soon as it can be done. A store that is away is no failure of this actor: what it is told waits.

        Whoever asks is told so at once, as by an actor that is loaded: nothing may happen long after its asker gave up.
        Then one that was made for that question alone need not wait for the store: False.
        """
        while True:
            try:
                await self.load()
            except Refused as no:
                log.warning("actor.load_refused", actor=self.key, refusal=str(no))
                self._refuse_askers(no)
                if not self._mailbox and not self.needed:
                    return False
                await trio.sleep(RETRY_S)
            else:
                self.needed = True
                return True

    def _refuse_askers(self, error: Refused) -> None:
        told = [envelope for envelope in self._mailbox if envelope.reply is None]
        asked = [envelope.reply for envelope in self._mailbox if envelope.reply is not None]
        self._mailbox = told
        for reply in asked:
            reply.fail(error)

    def _seconds_to_deadline(self) -> float:
        until = self.deadline()
        if until is None:
            return math.inf
        return max(0.0, (until - self.clock.now()).total_seconds(), self._due_not_before - trio.current_time())

    async def _take(self) -> None:
        envelope = self.in_hand = self._mailbox.pop(0)
        with correlated(envelope.correlation_id):
            try:
                answer = await self.turn(envelope.message)
            except Refused as no:
                self._answer_no(envelope, no)
            else:
                if envelope.reply is not None:
                    envelope.reply.set(answer)
        self.in_hand = None

    def _answer_no(self, envelope: Envelope, no: Refused) -> None:
        if envelope.reply is not None:
            envelope.reply.fail(no)
        else:
            log.info("actor.refused", actor=self.key, message=type(envelope.message).__name__, refusal=str(no))

    async def _be_due(self) -> None:
        try:
            await self.due()
        except Refused as no:
            # The deadline stands in the data: it is due again after a while, in which messages are taken as ever.
            log.warning("actor.due_refused", actor=self.key, refusal=str(no))
            self._due_not_before = trio.current_time() + RETRY_S

    # -- for the supervisor --------------------------------------------------------------------------------------------

    def drop_in_hand(self, error: Refused) -> Envelope | None:
        """Tells whoever waits for the message that broke the actor, and gives that message up."""
        envelope, self.in_hand = self.in_hand, None
        if envelope is not None and envelope.reply is not None:
            envelope.reply.fail(error)
        return envelope

    def leave(self) -> None:
        """Takes no more messages. Whoever still holds on to this actor fails loudly: no message is lost in silence."""
        assert not self._mailbox
        self._left = True
        self.ready.set(None)

    def refuse_waiting(self, error: Refused) -> None:
        """Tells everybody who waits that no answer will come."""
        while self._mailbox:
            envelope = self._mailbox.pop(0)
            if envelope.reply is not None:
                envelope.reply.fail(error)
