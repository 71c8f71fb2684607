"""The link to one partner operator: is it there, and may it do business with us.

No synthetic call is ever made: the state follows from the deliveries and requests that are due anyway. A blocked peer
gets no new authorisation or start either way; what is under way goes on to its charge record.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from statecharts.chart import Chart, Contract, State, move, repeat, stay
from statecharts.events import Command, Event, Fact
from statecharts.vocabulary import Value

SUSPECT_AFTER_FAILURES = 3
DOWN_AFTER_FAILURES = 10


class S(StrEnum):
    UP = "Up"
    SUSPECT = "Suspect"
    DOWN = "Down"
    BLOCKED = "Blocked"


class Peer(Value, frozen=True, kw_only=True):
    """A partner; `failures` counts unanswered attempts since the last answer."""

    state: str = S.UP
    failures: int = 0
    since: datetime | None = None
    alarm: str | None = None


class CallAnswered(Fact, frozen=True, kw_only=True):
    """The peer answered, with yes or no."""


class CallFailed(Fact, frozen=True, kw_only=True):
    """The peer did not answer, or not in a way that counts."""

    cause: str
    alarm: bool = False


class BlockPeer(Command, frozen=True, kw_only=True):
    """Our operator wants no new business with this peer."""


class UnblockPeer(Command, frozen=True, kw_only=True):
    pass


def _reaches(failures: int) -> Any:
    return lambda data, _: data.failures + 1 >= failures


def _failed(data: Peer, event: CallFailed) -> dict[str, Any]:
    alarm = event.cause if event.alarm else data.alarm
    return {"failures": data.failures + 1, "alarm": alarm, "since": event.wall_at}


def _fresh(_: Peer, event: Event) -> dict[str, Any]:
    return {"failures": 0, "alarm": None, "since": event.wall_at}


def _had_failures(data: Peer, _: Event) -> bool:
    return data.failures > 0


STATES = (
    State(S.UP, "answers", resting=True),
    State(S.SUSPECT, f"{SUSPECT_AFTER_FAILURES} attempts in a row went unanswered", resting=True),
    State(S.DOWN, f"{DOWN_AFTER_FAILURES} attempts in a row went unanswered: tried one at a time", resting=True),
    State(S.BLOCKED, "no new business, what is under way goes on", resting=True),
)

ROWS = (
    move(CallFailed, S.UP, S.SUSPECT, when=_reaches(SUSPECT_AFTER_FAILURES), note="too many in a row"),
    move(CallFailed, S.SUSPECT, S.DOWN, when=_reaches(DOWN_AFTER_FAILURES), note="too many in a row"),
    stay(CallFailed, tuple(S), note="counted"),
    move(CallAnswered, (S.SUSPECT, S.DOWN), S.UP),
    stay(CallAnswered, (S.UP, S.BLOCKED), when=_had_failures, note="forgets its failures"),
    repeat(CallAnswered, (S.UP, S.BLOCKED)),
    move(BlockPeer, (S.UP, S.SUSPECT, S.DOWN), S.BLOCKED),
    repeat(BlockPeer, S.BLOCKED),
    move(UnblockPeer, S.BLOCKED, S.UP),
    repeat(UnblockPeer, (S.UP, S.SUSPECT, S.DOWN)),
)

CHART: Chart[Peer] = Chart(
    name="peer",
    initial=S.UP,
    states=STATES,
    rows=ROWS,
    evolve={CallFailed: _failed, CallAnswered: _fresh, BlockPeer: _fresh, UnblockPeer: _fresh},
    contracts=(Contract("an answer ends all suspicion", after=lambda _, a, e: not _answered_but_suspect(a, e)),),
)


def _answered_but_suspect(after: Peer, event: Event) -> bool:
    return isinstance(event, CallAnswered) and after.state in (S.SUSPECT, S.DOWN)
