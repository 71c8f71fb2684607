"""What goes wrong just where it matters: at one kind of request or of OCPP message, a few times or for a while.

What strikes anywhere seldom strikes the one message on which a rare branch hangs. These do nothing to all the others.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, ClassVar

import trio

from tests.world.checker.newer import action_in
from tests.world.faults import Answer, Exchange, ExchangeFate, Frame, FrameFate, WriteFate
from tests.world.troubles import Trouble

if TYPE_CHECKING:
    from tests.world.operators import Operator
    from tests.world.world import World

AUTHORIZE, START, STOP = "authorize", "requestStartTransaction", "requestStopTransaction"
RESULT, PROGRESS, END = "notifyRequestResult", "transactionProgressUpdate", "endTransaction"
OPERATIONS = (AUTHORIZE, START, STOP, STOP, RESULT, RESULT, RESULT, PROGRESS, END, END, END)
ACTIONS = (
    *("StartTransaction", "StopTransaction", "RemoteStartTransaction", "RemoteStopTransaction") * 3,
    "StartTransaction", "StopTransaction", "MeterValues", "StatusNotification", "Authorize", "BootNotification",
)  # fmt: skip


class DeafTo(Trouble):
    name: ClassVar[str] = "deaf-to"
    row: ClassVar[str] = "F8"
    meaning: ClassVar[str] = (
        "from the first time on one operation never gets through, is refused by something in between, or is never "
        "heard of again, for a while"
    )

    def draw(self) -> None:
        self.operation = self.chance.choice(OPERATIONS)
        self.fate = self.chance.choice(
            (
                ExchangeFate(lost=True),
                ExchangeFate(lost=True),
                ExchangeFate(answer_lost=True),
                ExchangeFate(answer=Answer(503)),
                ExchangeFate(answer=Answer(503), lost=True),
                ExchangeFate(answer=Answer(404), lost=True),
                ExchangeFate(answer=Answer(404), lost=True),
            )
        )
        self.since_s = self.chance.uniform(0, self.plan.ends_s / 2)
        self.for_s = self.chance.choice((120, 600, 1_200, 1_200, 4_500))
        self.until_s = float("inf")

    def of_exchange(self, exchange: Exchange) -> ExchangeFate | None:
        if not exchange.operation.startswith(self.operation) or not self.hits(1.0):
            return None
        if not self.lasts_s:
            self.until_s = self.lasts_s = trio.current_time() + self.for_s
        self.struck(exchange.to, f"({exchange.number}) {exchange.operation}")
        return self.fate


class Spells(Trouble):
    """Strikes at a few messages of one OCPP action, at the call or at its result.

    Actions have the names of OCPP 1.6; of 2.x it is what says the same.
    """

    def draw(self) -> None:
        self.action = self.chance.choice(ACTIONS)
        self.times = self.chance.choice((1, 2, 5))
        self.share = self.chance.choice((0.3, 1.0))
        self.results = self.chance.random() < 0.3
        self._left = self.times
        self._called: set[tuple[int, str]] = set()

    def of_frame(self, frame: Frame) -> FrameFate | None:
        if not self._is_meant(frame) or not self._left or not self.hits(self.share):
            return None
        self._left -= 1
        self.struck(frame.sender, f"({frame.connection}) {frame.text[:60]}")
        return self.strike(frame)

    def _is_meant(self, frame: Frame) -> bool:
        kind, message_id, *more = json.loads(frame.text)
        if kind != 2:
            return self.results and (frame.connection, message_id) in self._called
        meant = action_in(*more) == self.action
        if meant:
            self._called.add((frame.connection, message_id))
        return meant and not self.results

    def strike(self, frame: Frame) -> FrameFate | None:
        raise NotImplementedError


class CutOff(Spells):
    name: ClassVar[str] = "cut-off"
    row: ClassVar[str] = "F18"
    meaning: ClassVar[str] = "a line breaks at one kind of OCPP message, and its station gets none for a while"

    def draw(self) -> None:
        super().draw()
        self.away_s = self.chance.choice((30, 200, 400, 400, 1_500, 4_000))
        self._away_until: dict[str, float] = {}

    def strike(self, frame: Frame) -> FrameFate | None:
        station = frame.to if frame.sender in self.plan.operators else frame.sender
        self.lasts_s = self._away_until[station] = trio.current_time() + self.away_s
        return FrameFate(breaks=True)

    def of_dial(self, station: str, node: str) -> bool:
        return self._away_until.get(station, 0) <= trio.current_time()


class OneAction(Spells):
    name: ClassVar[str] = "one-action"
    row: ClassVar[str] = "F32"
    meaning: ClassVar[str] = "messages of one OCPP action are lost or very late, and some stations give them up"

    def draw(self) -> None:
        super().draw()
        self.action = self.chance.choice((self.action, "StartTransaction", "StopTransaction"))
        self.results = self.chance.random() < 0.1
        self.times, self._left = 1_000, 1_000
        self.share = self.chance.choice((0.3, 0.7, 1.0))
        self.late_s = self.chance.choice((0, 0, 60, 300, 1_000))
        self.attempts = self.chance.choice((0, 1, 1, 2))

    def strike(self, frame: Frame) -> FrameFate | None:
        return FrameFate(arrives_after_s=(self.late_s,) if self.late_s else ())

    async def happen(self, world: World) -> None:
        for station in self.stations_in(world):
            await station.simulated.configure("TransactionMessageAttempts", str(self.attempts))


class Deaths(Trouble):
    """Lets nodes die a moment after something has happened."""

    def draw(self) -> None:
        self._dying, self._deaths = trio.open_memory_channel[tuple[str, float]](100)

    def dies(self, node: str, within_s: float) -> None:
        """It dies at some moment of so many seconds, if it is a node of this plan."""
        if node in self.plan.operators:
            self._dying.send_nowait((node, round(self.chance.uniform(0, within_s), 4)))

    async def happen(self, world: World) -> None:
        async with trio.open_nursery() as nursery, self._deaths:
            async for node, after_s in self._deaths:
                nursery.start_soon(self._death, world.operators[node], after_s)

    async def _death(self, operator: Operator, after_s: float) -> None:
        await trio.sleep(after_s)
        self.kill(operator)

    def kill(self, operator: Operator) -> None:
        operator.crash(self.name)


class DiesAsking(Deaths, Spells):
    name: ClassVar[str] = "dies-asking"
    row: ClassVar[str] = "F9"
    meaning: ClassVar[str] = (
        "a node dies with one kind of request or OCPP message in its hands, as who asks or is asked"
    )

    def draw(self) -> None:
        Spells.draw(self)
        Deaths.draw(self)
        self.action = self.chance.choice((self.action, self.chance.choice((AUTHORIZE, *OPERATIONS))))
        self.asks = self.chance.random() < 0.5
        self.within_s = self.chance.choice((0.002, 0.01, 0.05, 3.0))

    def of_exchange(self, exchange: Exchange) -> ExchangeFate | None:
        if not exchange.operation.startswith(self.action) or not self._left or not self.hits(self.share):
            return None
        self._left -= 1
        self.dies(exchange.sender if self.asks else exchange.to, self.within_s)
        return ExchangeFate(answer_delay_s=self.within_s) if self.asks else None

    def strike(self, frame: Frame) -> FrameFate | None:
        self.dies(frame.sender if frame.sender in self.plan.operators else frame.to, self.within_s)
        return None


class HostsPower(Deaths):
    name: ClassVar[str] = "host-power"
    row: ClassVar[str] = "F13"
    meaning: ClassVar[str] = (
        "a node's host loses its power in the middle of a commit, and what was not synced, of the head record too"
    )

    def draw(self) -> None:
        super().draw()
        self.share, self.times = self.chance.choice((0.003, 0.03)), self.chance.choice((1, 3, 6))
        self.syncs_in_s = self.chance.choice((0.01, 0.5, 5.0))
        self._left = self.times

    def of_write(self, node: str) -> WriteFate | None:
        if node not in self.plan.operators or not self._left or not self.hits(self.share):
            return None
        self._left -= 1
        self.dies(node, 2 * self.syncs_in_s)
        return WriteFate(before_s=self.syncs_in_s, after_s=self.syncs_in_s)

    def kill(self, operator: Operator) -> None:
        operator.crash(self.name)
        writes = self.chance.randint(0, 5)
        operator.disk.lose_head(writes)
        self.struck(operator.name, f"the head record is {writes} writes behind")


AIMED: tuple[type[Trouble], ...] = (DeafTo, OneAction, CutOff, DiesAsking, HostsPower)
