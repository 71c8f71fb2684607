"""A simulated station's end of its connection: comes back when it is lost, says one thing at a time, owes the rest."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import trio

from actors.simulated_outbox import Charge, Outbox, Saying
from actors.simulated_turns import History, StepKind, Turns
from statecharts.ports import CentralSystem, IncomingCommand
from statecharts.station_commands import StationCommand
from statecharts.station_reports import ReportAnswer, StationReport

CONNECT_TIMEOUT_S = 30
ANSWER_TIMEOUT_S = 30
BACK_OFF_MIN_S = 1.0
BACK_OFF_MAX_S = 60.0

Connect = Callable[[], AbstractAsyncContextManager[CentralSystem]]


class Dialler(Protocol):
    """How one station connects."""

    def __call__(self) -> AbstractAsyncContextManager[CentralSystem]: ...

    def rekey(self, password: bytes) -> None:
        """From the next connection on it shows this password."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a command: its status word, and its other fields where it has any; or that it is not supported."""

    status: str
    data: dict[str, Any] | None = None
    supported: bool = True


class Subscriber(Protocol):
    """The station behind the line. Both are called within a turn."""

    def connected(self) -> None: ...

    def commanded(self, command: StationCommand) -> Reply: ...


class Line:
    """Keeps a connection up, and carries reports out and commands in.

    `registered` is the central system's Accepted: it outlives connections and ends with a reboot (OCPP 1.6 sect. 4.2).
    `attempts_max` 0 tries until answered; the wait before a further attempt grows by `retry_interval_s` each time.
    """

    def __init__(
        self, connect: Connect, subscriber: Subscriber, turns: Turns, history: History, random: Callable[[], float]
    ) -> None:
        self.registered = False
        self.attempts_max = 0
        self.retry_interval_s = 0
        self._connect, self._subscriber, self._random = connect, subscriber, random
        self._turns, self._history = turns, history
        self._outbox = Outbox()
        self._nursery: trio.Nursery | None = None
        self._scope = trio.CancelScope()
        self._central: CentralSystem | None = None
        self._sending: Saying | None = None
        self._replies: list[tuple[IncomingCommand, Reply]] = []
        self._failures = 0
        self._away_s: float | None = None

    @property
    def online(self) -> bool:
        return self._central is not None

    @property
    def owed(self) -> int:
        """How many reports of transactions wait for their answer."""
        return self._outbox.owed

    def owes(self, charge: Charge) -> bool:
        """Whether any report of this transaction waits for its answer."""
        return self._outbox.owes(charge)

    def open(self, nursery: trio.Nursery) -> None:
        """Begins to connect; tasks of the connection live in this nursery."""
        self._nursery = nursery
        self._turns.arm("connect", 0, partial(self._dial, nursery))

    def say(self, saying: Saying) -> None:
        """Sends this in its turn. What belongs to no transaction is lost with the connection."""
        if self.online or saying.charge is not None:
            self._outbox.add(saying)

    def say_first(self, *sayings: Saying) -> None:
        """Sends these before anything else that waits."""
        if self.online:
            self._outbox.add_first(sayings)

    def drop(self, away_s: float) -> None:
        """Cuts the connection, if there is one, without a farewell, and stays away for so many seconds."""
        if self.online:
            self._away_s, self._central = away_s, None
            self._scope.cancel()

    async def settle(self) -> None:
        """After each turn: answers the commands decided in it, then sends the next report if none is under way."""
        while self._replies:
            incoming, reply = self._replies.pop(0)
            with trio.move_on_after(ANSWER_TIMEOUT_S):
                await self._answer(incoming, reply)
        self._send_next()

    # -- the connection ------------------------------------------------------------------------------------------------

    def _dial(self, nursery: trio.Nursery) -> None:
        self._scope = trio.CancelScope()
        nursery.start_soon(self._stay_connected, self._scope)

    async def _stay_connected(self, scope: trio.CancelScope) -> None:
        cause = f"no connection within {CONNECT_TIMEOUT_S} s"
        scope.deadline = trio.current_time() + CONNECT_TIMEOUT_S
        try:
            with scope:
                async with self._connect() as central:
                    scope.deadline, cause = float("inf"), "cut by the station"
                    await self._turns.tell(partial(self._connected, central))
                    await self._listen(central)
        except* OSError as errors:
            cause = _first_cause(errors)
        await self._turns.tell(partial(self._disconnected, cause))

    async def _listen(self, central: CentralSystem) -> None:
        while True:
            incoming = await central.next_command()
            await self._turns.tell(partial(self._commanded, central, incoming))

    def _connected(self, central: CentralSystem) -> None:
        self._central = central
        self._history.note(StepKind.CONNECTION, "connected")
        self._subscriber.connected()

    def _disconnected(self, cause: str) -> None:
        self._history.note(StepKind.CONNECTION, f"not connected: {cause}")
        self._central = self._sending = None
        self._replies.clear()
        self._outbox.connection_lost()
        if self._nursery is not None:
            self._turns.arm("connect", self._pause_s(), partial(self._dial, self._nursery))

    def _pause_s(self) -> float:
        """How long to stay away: as long as was wished, else doubling from failure to failure, half of it by chance.

        A connection on which nothing was answered is a failure too.
        """
        wished, self._away_s = self._away_s, None
        if wished is not None:
            return wished
        longest = min(BACK_OFF_MAX_S, BACK_OFF_MIN_S * 2.0 ** min(self._failures, 10))
        self._failures += 1
        return longest * (1 + self._random()) / 2

    # -- commands in ---------------------------------------------------------------------------------------------------

    def _commanded(self, central: CentralSystem, incoming: IncomingCommand) -> None:
        if central is not self._central:
            return
        command = incoming.command
        self._history.note(StepKind.COMMANDED, type(command).__name__, message=command)
        reply = self._subscriber.commanded(command)
        self._history.note(StepKind.REPLIED, f"{type(command).__name__}: {reply.status or 'answered'}")
        self._replies.append((incoming, reply))

    async def _answer(self, incoming: IncomingCommand, reply: Reply) -> None:
        try:
            await (incoming.answer(reply.status, reply.data) if reply.supported else incoming.refuse())
        except OSError as lost:
            self._history.note(StepKind.CONNECTION, f"an answer was lost: {lost}")

    # -- reports out ---------------------------------------------------------------------------------------------------

    def _send_next(self) -> None:
        if self._central is None or self._nursery is None or self._sending is not None:
            return
        saying = self._outbox.next(trio.current_time(), self.registered)
        if saying is None:
            return
        self._sending = saying
        message = saying.message()
        self._history.note(StepKind.SENT, type(message).__name__, message=message)
        self._nursery.start_soon(self._call, self._central, saying, message)

    async def _call(self, central: CentralSystem, saying: Saying, message: StationReport) -> None:
        try:
            answer = await central.call(message)
        except TimeoutError as late:  # an OSError too, but the connection lives
            await self._turns.tell(partial(self._unanswered, central, saying, str(late) or "no answer in time"))
        except OSError:
            await self._turns.tell(partial(self._lost, central))
        except Exception as error:  # an answer that nobody can read is as good as none
            await self._turns.tell(partial(self._unanswered, central, saying, str(error) or type(error).__name__))
        else:
            await self._turns.tell(partial(self._answered, central, saying, answer))

    def _answered(self, central: CentralSystem, saying: Saying, answer: ReportAnswer) -> None:
        if central is not self._central:
            return
        self._sending, self._failures = None, 0
        self._outbox.remove(saying)
        self._history.note(StepKind.ANSWERED, type(saying.report).__name__, message=answer)
        if saying.answered is not None:
            saying.answered(answer)

    def _unanswered(self, central: CentralSystem, saying: Saying, cause: str) -> None:
        if central is not self._central:
            return
        self._sending = None
        self._history.note(StepKind.UNANSWERED, f"{type(saying.report).__name__}: {cause}")
        saying.attempts += 1
        given_up = saying.charge is None or saying.attempts == self.attempts_max
        if given_up:
            self._outbox.remove(saying)
        else:
            # OCPP 1.6 section 3.7.1: the interval times the number of attempts before.
            self._retry(saying, self.retry_interval_s * saying.attempts)
        if given_up and saying.unanswered is not None:
            saying.unanswered()

    def _retry(self, saying: Saying, wait_s: float) -> None:
        saying.not_before = trio.current_time() + wait_s
        self._turns.arm("retry", wait_s, lambda: None)

    def _lost(self, central: CentralSystem) -> None:
        if central is self._central:
            self._scope.cancel()


def _first_cause(errors: BaseExceptionGroup[OSError]) -> str:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) or type(error).__name__
