"""A webhook: an operator's own server that is told of transactions and charge records, one event after the other.

What is owed is no queue: it is what changed after the place in the journal that the hook has reached. The events that
are taken from there next are written down first, so that each keeps its id and its body over retries and restarts.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from statecharts.chart import Change, Chart, Contract, State, move, repeat, stay
from statecharts.events import Command, DeadlineReached, Event, Fact, NodeRestarted
from statecharts.moments import after_s
from statecharts.vocabulary import Value
from statecharts.webhook_limits import WEBHOOK_GIVEN_UP, WEBHOOK_REFUSALS

GONE = 410
"""The answer of a receiver that wants to hear nothing any more (Standard Webhooks: the endpoint is to be disabled)."""

NOT_OF_THE_EVENT = (401, 403, 404, 407, 408, 410, 421, 425, 429)
"""Refusals that another event would meet as well: the address, our signature, or the moment is wrong."""

LAG_S = 5.0
"""How much longer than an attempt may take we wait to hear of it: by then whoever makes it has failed."""


class S(StrEnum):
    IDLE = "Idle"
    DELIVERING = "Delivering"
    WAITING_TO_RETRY = "WaitingToRetry"
    PAUSED = "Paused"


class Webhook(Value, frozen=True, kw_only=True):
    """How a hook fares. `failures` are those in a row, since `failing_since`; `given_up` events wait for an operator.

    `until` is when the attempt under way is over, or the next one begins. `cause` is why the last one failed, or why
    the hook is paused, and `paused_by` the operator who wanted that, "" where the node did.
    """

    state: str = S.IDLE
    failures: int = 0
    given_up: int = 0
    failing_since: datetime | None = None
    delivered_at: datetime | None = None
    until: datetime | None = None
    cause: str = ""
    paused_by: str = ""


# -- events ------------------------------------------------------------------------------------------------------------


class AttemptBegun(Command, frozen=True, kw_only=True):
    """Something is owed, and is sent now: that takes `timeout_s` at the most."""

    timeout_s: float


class EventDelivered(Fact, frozen=True, kw_only=True):
    """The receiver has taken an event (2xx)."""


class AttemptFailed(Fact, frozen=True, kw_only=True):
    """The receiver has not taken an event, for the `attempts`-th time. `status` is what it said, if anything.

    `wait_s` is how long to wait before the next attempt, `patience_s` how long a hook may go on failing.
    """

    cause: str
    attempts: int
    wait_s: float
    patience_s: float
    status: int | None = None


class EventReplayed(Command, frozen=True, kw_only=True):
    """An operator wants an event sent again; `given_up` says that it had been."""

    given_up: bool


class PauseWebhook(Command, frozen=True, kw_only=True):
    by: str


class ResumeWebhook(Command, frozen=True, kw_only=True):
    pass


# -- guards ------------------------------------------------------------------------------------------------------------


def is_taken(status: int | None) -> bool:
    """Whether this answer says that the event has arrived."""
    return status is not None and 200 <= status <= 299


def gives_up(event: AttemptFailed) -> bool:
    """Whether the receiver has refused this very event so often that the others must not wait for it any longer."""
    refuses = event.status is not None and 400 <= event.status <= 499 and event.status not in NOT_OF_THE_EVENT
    return refuses and event.attempts >= WEBHOOK_REFUSALS.limit


def _is_gone(_: Webhook, event: AttemptFailed) -> bool:
    return event.status == GONE


def _is_hopeless(data: Webhook, event: AttemptFailed) -> bool:
    return data.failing_since is not None and event.at >= after_s(data.failing_since, event.patience_s)


def _is_full(data: Webhook, event: AttemptFailed) -> bool:
    return gives_up(event) and data.given_up + 1 >= WEBHOOK_GIVEN_UP.limit


def _gives_up(_: Webhook, event: AttemptFailed) -> bool:
    return gives_up(event)


def _was_given_up(_: Webhook, event: EventReplayed) -> bool:
    return event.given_up


# -- what each event changes -------------------------------------------------------------------------------------------


def _begun(_: Webhook, event: AttemptBegun) -> dict[str, Any]:
    return {"until": after_s(event.at, event.timeout_s + LAG_S)}


def _delivered(data: Webhook, event: EventDelivered) -> dict[str, Any]:
    kept = {} if data.state == S.PAUSED else {"cause": ""}
    return {"failures": 0, "failing_since": None, "delivered_at": event.at, "until": None, **kept}


def _failed(data: Webhook, event: AttemptFailed) -> dict[str, Any]:
    waits = data.state == S.WAITING_TO_RETRY
    return {
        "failures": data.failures + 1,
        "given_up": data.given_up + gives_up(event),
        "failing_since": data.failing_since or event.at,
        "cause": event.cause,
        "until": after_s(event.at, event.wait_s) if waits else None,
    }


def _replayed(data: Webhook, event: EventReplayed) -> dict[str, Any]:
    return {"given_up": max(0, data.given_up - event.given_up)}


def _paused(_: Webhook, event: PauseWebhook) -> dict[str, Any]:
    return {"until": None, "paused_by": event.by, "cause": ""}


def _fresh(_: Webhook, __: Event) -> dict[str, Any]:
    return {"until": None, "failures": 0, "failing_since": None, "cause": "", "paused_by": ""}


def _over(_: Webhook, __: Event) -> dict[str, Any]:
    return {"until": None}


# -- the chart ---------------------------------------------------------------------------------------------------------

WORKING = (S.IDLE, S.DELIVERING, S.WAITING_TO_RETRY)
TIMED = (S.DELIVERING, S.WAITING_TO_RETRY)

STATES = (
    State(S.IDLE, "nothing is owed to it", resting=True),
    State(S.DELIVERING, "is being told of an event", lambda d: d.until),
    State(S.WAITING_TO_RETRY, "has not taken an event: it is sent again", lambda d: d.until),
    State(S.PAUSED, "is told nothing, and forgets nothing: until an operator resumes it", resting=True),
)

ROWS = (
    move(AttemptBegun, S.IDLE, S.DELIVERING),
    repeat(AttemptBegun, (S.DELIVERING, S.WAITING_TO_RETRY, S.PAUSED), note="in its turn"),
    move(EventDelivered, WORKING, S.IDLE),
    stay(EventDelivered, S.PAUSED, note="it was on its way"),
    move(AttemptFailed, WORKING, S.PAUSED, when=_is_gone, note="the receiver wants no more"),
    move(AttemptFailed, WORKING, S.PAUSED, when=_is_full, note="too many events were given up"),
    move(AttemptFailed, WORKING, S.PAUSED, when=_is_hopeless, note="for days"),
    move(AttemptFailed, WORKING, S.IDLE, when=_gives_up, note="the event is given up, the others go on"),
    move(AttemptFailed, WORKING, S.WAITING_TO_RETRY),
    stay(AttemptFailed, S.PAUSED, note="it was on its way"),
    stay(EventReplayed, tuple(S), when=_was_given_up, note="it is owed again"),
    repeat(EventReplayed, tuple(S)),
    move(PauseWebhook, WORKING, S.PAUSED),
    repeat(PauseWebhook, S.PAUSED),
    move(ResumeWebhook, S.PAUSED, S.IDLE),
    repeat(ResumeWebhook, WORKING),
    move(NodeRestarted, S.DELIVERING, S.IDLE, note="nobody knows whether it arrived: sent again"),
    repeat(NodeRestarted, (S.IDLE, S.WAITING_TO_RETRY, S.PAUSED)),
    move(DeadlineReached, TIMED, S.IDLE, note="it is sent again"),
)

CHANGES: dict[type[Event], Change] = {
    AttemptBegun: _begun,
    EventDelivered: _delivered,
    AttemptFailed: _failed,
    EventReplayed: _replayed,
    PauseWebhook: _paused,
    ResumeWebhook: _fresh,
    NodeRestarted: _over,
    DeadlineReached: _over,
}

CHART: Chart[Webhook] = Chart(
    name="webhook",
    initial=S.IDLE,
    states=STATES,
    rows=ROWS,
    evolve=CHANGES,
    contracts=(
        Contract("times are aware", before=lambda _, event: event.at.tzinfo is not None),
        Contract(
            "it waits for something or has no deadline", always=lambda d: (d.until is not None) == (d.state in TIMED)
        ),
        Contract("what fails, fails since some time", always=lambda d: (d.failures > 0) == bool(d.failing_since)),
    ),
)
