"""The turns of a simulated station, one at a time, and the history of what it did in them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum

import trio

from statecharts.limits import SIMULATED_HISTORY, SIMULATED_TURNS
from statecharts.ports import Clock
from statecharts.vocabulary import Message, Value

Turn = Callable[[], object]


class Turns:
    """A bounded mailbox and named timers. `next` gives the turn to take; due timers go first, in the order of time."""

    def __init__(self) -> None:
        self._inlet, self._outlet = trio.open_memory_channel[Turn](SIMULATED_TURNS.limit)
        self._timers: dict[str, tuple[float, Turn]] = {}

    async def tell(self, turn: Turn) -> None:
        """Hands in a turn; waits while the mailbox is full."""
        await self._inlet.send(turn)

    def arm(self, name: str, delay_s: float, turn: Turn) -> None:
        """Takes this turn in `delay_s` seconds, instead of what this timer was armed for before."""
        self._timers[name] = (trio.current_time() + delay_s, turn)

    def disarm(self, *names: str) -> None:
        for name in names:
            self._timers.pop(name, None)

    async def next(self) -> Turn:
        """The next turn, as soon as there is one."""
        while True:
            due, name = min(((due, name) for name, (due, _) in self._timers.items()), default=(float("inf"), ""))
            if due <= trio.current_time():
                return self._timers.pop(name)[1]
            with trio.move_on_at(due):
                return await self._outlet.receive()


class StepKind(StrEnum):
    SENT = "sent"
    ANSWERED = "answered"
    UNANSWERED = "unanswered"
    COMMANDED = "commanded"
    REPLIED = "replied"
    CONNECTOR = "connector"
    CONNECTION = "connection"


class Step(Value, frozen=True, kw_only=True):
    """Something that happened, seen from the station: `text` is for people, `message` the report, answer or command."""

    at: datetime
    station: str
    kind: StepKind
    text: str
    connector_id: int | None = None
    message: Message | None = None


class History:
    """What happened, oldest first; of very many steps the oldest are forgotten. `on_event` hears of each at once."""

    def __init__(self, station: str, clock: Clock, on_event: Callable[[Step], None] | None) -> None:
        self._station, self._clock, self._on_event = station, clock, on_event
        self._steps: deque[Step] = deque(maxlen=SIMULATED_HISTORY.limit)

    @property
    def steps(self) -> tuple[Step, ...]:
        return tuple(self._steps)

    def note(
        self, kind: StepKind, text: str, *, connector_id: int | None = None, message: Message | None = None
    ) -> None:
        """Adds a step that happens now."""
        connector_id = getattr(message, "connector_id", connector_id)
        step = Step(
            at=self._clock.now(),
            station=self._station,
            kind=kind,
            text=text,
            connector_id=connector_id,
            message=message,
        )
        self._steps.append(step)
        if self._on_event is not None:
            self._on_event(step)
