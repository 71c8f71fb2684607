"""An operation: a command that an operator gave to a station, until what it was to bring about has happened or not.

A station's Accepted says that it will try. The true outcome is what it reports afterwards (`outcomes.py`): the charge
that begins, the boot after a reset, the firmware that is installed. Unknown is not failed: a command that was sent and
not answered, or whose outcome nothing shows by its deadline, ends as Unknown.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from statecharts.chart import Change, Chart, Contract, State, move, repeat, stay
from statecharts.events import Command, DeadlineReached, Effect, Event, Fact, NodeRestarted, StationAnswered
from statecharts.moments import after_s
from statecharts.outcomes import Awaits
from statecharts.station_commands import CallOutcome, CallVerdict
from statecharts.vocabulary import Value

ANSWER_WITHIN_S = 600.0
"""How long a station's answer is waited for: the call's own timeout comes sooner, unless many calls wait before it."""


class S(StrEnum):
    NEW = "New"
    ASKED = "Asked"
    WAITING = "Waiting"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    UNKNOWN = "Unknown"


class Operation(Value, frozen=True, kw_only=True):
    """A command and what has become of it. `shown` is the command for people's eyes, its secrets masked.

    `answer` is the station's, `progress` what it reported last, `transaction` the stream of the charge that began or
    ended; `cause` says why it failed, or why nobody knows. `shown_early` is an outcome that showed before the answer.
    """

    state: str = S.NEW
    id: str = ""
    station: str = ""
    by: str = ""
    command: str = ""
    shown: dict[str, Any] = msgspec.field(default_factory=dict)
    awaits: Awaits | None = None
    asked_at: datetime | None = None
    changed_at: datetime | None = None
    until: datetime | None = None
    answer: CallOutcome | None = None
    progress: str = ""
    shown_early: bool | None = None
    cause: str = ""
    transaction: str | None = None


# -- events ------------------------------------------------------------------------------------------------------------


class OperationAsked(Command, frozen=True, kw_only=True):
    """An operator, `by`, gives a command to a station; fields as in `Operation`."""

    id: str
    station: str
    by: str
    command: str
    shown: dict[str, Any]
    awaits: Awaits | None = None


class OutcomeShown(Fact, frozen=True, kw_only=True):
    """What the station reported shows how far it is: done, failed, or (`succeeded` None) under way."""

    told: str
    succeeded: bool | None = None
    transaction: str | None = None


class SendCommand(Effect, frozen=True, kw_only=True):
    """Live: send the command that this operation was asked for, once; its outcome comes back as `StationAnswered`."""


# -- guards and effects ------------------------------------------------------------------------------------------------


def _send(*_: object) -> Iterator[Effect]:
    yield SendCommand()


def _refused(_: Operation, event: StationAnswered) -> bool:
    return event.outcome.verdict in (CallVerdict.REJECTED, CallVerdict.ERROR, CallVerdict.NEVER_SENT)


def _accepted(_: Operation, event: StationAnswered) -> bool:
    return event.outcome.verdict is CallVerdict.ACCEPTED


def _awaits(data: Operation, _: Event) -> bool:
    return data.awaits is not None


def _first_answer(data: Operation, _: StationAnswered) -> bool:
    return data.answer is None


def _shown_done(data: Operation, _: Event) -> bool:
    return data.shown_early is True


def _shown_failed(data: Operation, _: Event) -> bool:
    return data.shown_early is False


def _says_more(data: Operation, event: OutcomeShown) -> bool:
    return event.told != data.progress or (event.succeeded is not None and data.shown_early is None)


def _done(_: Operation, event: OutcomeShown) -> bool:
    return event.succeeded is True


def _has_failed(_: Operation, event: OutcomeShown) -> bool:
    return event.succeeded is False


# -- what each event changes -------------------------------------------------------------------------------------------


def _asked(_: Operation, event: OperationAsked) -> dict[str, Any]:
    until = after_s(event.at, ANSWER_WITHIN_S)
    told = {name: getattr(event, name) for name in ("id", "station", "by", "command", "shown", "awaits")}
    return {**told, "asked_at": event.at, "changed_at": event.at, "until": until}


def _wait(data: Operation, event: Event) -> dict[str, Any]:
    """Entered anew, a state of waiting lasts as long as what is awaited may take."""
    waits = data.state == S.WAITING and data.awaits is not None
    return {"changed_at": event.at, "until": after_s(event.at, data.awaits.within_s) if waits and data.awaits else None}


def _answered(data: Operation, event: StationAnswered) -> dict[str, Any]:
    outcome = event.outcome
    if data.state == S.FAILED:
        refused = _refused(data, event)
        cause = outcome.cause or outcome.status or outcome.verdict.value if refused else data.progress
    else:
        cause = outcome.cause or "no answer" if outcome.verdict is CallVerdict.UNKNOWN else data.cause
    if data.answer is None and data.until is None:  # it was shown before it was answered
        return {"answer": outcome, "changed_at": event.at}
    return {**_wait(data, event), "answer": outcome, "cause": cause}


def _shown(data: Operation, event: OutcomeShown) -> dict[str, Any]:
    over = data.state in FINAL
    return {
        "progress": event.told,
        "shown_early": data.shown_early if over or event.succeeded is None else event.succeeded,
        "cause": "" if data.state == S.SUCCEEDED else event.told if data.state == S.FAILED else data.cause,
        "transaction": event.transaction or data.transaction,
        "until": None if over else data.until,
        "changed_at": event.at,
    }


def _lapsed(data: Operation, event: DeadlineReached) -> dict[str, Any]:
    if data.shown_early is not None:
        return {"cause": "" if data.shown_early else data.progress, "until": None, "changed_at": event.at}
    missing = data.awaits.what if data.awaits and data.answer else "the station's answer"
    return {"cause": f"in vain awaited: {missing}", "until": None, "changed_at": event.at}


def _restarted(data: Operation, event: NodeRestarted) -> dict[str, Any]:
    cause = "the node was restarted before the station's answer was known"
    return {**_wait(data, event), "cause": data.progress if data.shown_early is False else cause}


# -- the chart ---------------------------------------------------------------------------------------------------------

FINAL = (S.SUCCEEDED, S.FAILED, S.UNKNOWN)
OPEN = (S.ASKED, S.WAITING)

STATES = (
    State(S.NEW, "nothing yet", resting=True),
    State(S.ASKED, "asked of the station, whose answer is awaited", lambda d: d.until),
    State(S.WAITING, "what the station was asked for has not shown yet", lambda d: d.until),
    State(S.SUCCEEDED, "the station has done it", final=True),
    State(S.FAILED, "it has not happened, and will not", final=True),
    State(S.UNKNOWN, "nobody knows whether it has happened", final=True),
)

ROWS = (
    move(OperationAsked, S.NEW, S.ASKED, then=_send),
    move(StationAnswered, S.ASKED, S.FAILED, when=_refused, note="refused, or never sent"),
    move(StationAnswered, S.ASKED, S.SUCCEEDED, when=_shown_done, note="it had shown already"),
    move(StationAnswered, S.ASKED, S.FAILED, when=_shown_failed, note="it had shown already"),
    move(StationAnswered, S.ASKED, S.WAITING, when=_awaits, note="its outcome is still to show"),
    move(StationAnswered, S.ASKED, S.SUCCEEDED, when=_accepted, note="the answer is the outcome"),
    move(StationAnswered, S.ASKED, S.UNKNOWN, note="not answered"),
    stay(StationAnswered, (S.WAITING, *FINAL), when=_first_answer, note="answered after it has shown"),
    repeat(StationAnswered, tuple(S)),
    move(OutcomeShown, S.WAITING, S.SUCCEEDED, when=_done),
    move(OutcomeShown, S.WAITING, S.FAILED, when=_has_failed),
    stay(OutcomeShown, S.WAITING, note="progress"),
    stay(OutcomeShown, S.ASKED, when=_says_more, note="the answer may still be no"),
    repeat(OutcomeShown, (S.NEW, S.ASKED, *FINAL)),
    move(DeadlineReached, S.ASKED, S.SUCCEEDED, when=_shown_done, note="it had shown"),
    move(DeadlineReached, S.ASKED, S.FAILED, when=_shown_failed, note="it had shown"),
    move(DeadlineReached, OPEN, S.UNKNOWN),
    move(NodeRestarted, S.ASKED, S.SUCCEEDED, when=_shown_done, note="it had shown"),
    move(NodeRestarted, S.ASKED, S.FAILED, when=_shown_failed, note="it had shown"),
    move(NodeRestarted, S.ASKED, S.WAITING, when=_awaits, note="it may have been sent"),
    move(NodeRestarted, S.ASKED, S.UNKNOWN, note="it may have been sent"),
    repeat(NodeRestarted, tuple(S)),
)

CHANGES: dict[type[Event], Change] = {
    OperationAsked: _asked,
    StationAnswered: _answered,
    OutcomeShown: _shown,
    DeadlineReached: _lapsed,
    NodeRestarted: _restarted,
}

CONTRACTS = (
    Contract("times are aware", before=lambda _, event: event.at.tzinfo is not None),
    Contract("what is over waits for nothing", always=lambda d: (d.until is not None) == (d.state in OPEN)),
)

CHART: Chart[Operation] = Chart(
    name="operation", initial=S.NEW, states=STATES, rows=ROWS, evolve=CHANGES, contracts=CONTRACTS
)
