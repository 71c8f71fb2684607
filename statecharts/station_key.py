"""How a station's key is changed over OCPP without locking the station out, whatever is lost on the way.

OCPP 1.6 has it as the configuration key AuthorizationKey, OCPP 2.x as the variable BasicAuthPassword (A01). Both keys
open from before the command leaves until the station has answered, or has shown by its next login which of them it has.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from statecharts.chart import Chart, Contract, State, move, refuse, repeat
from statecharts.events import Command, Event, Fact, NodeRestarted
from statecharts.vocabulary import Value


class S(StrEnum):
    SETTLED = "Settled"
    CHANGING = "Changing"
    DOUBTFUL = "Doubtful"


class StationKey(Value, frozen=True, kw_only=True):
    """The hash of a station's key, None for the one that its entry has; of the one that it may have by now."""

    state: str = S.SETTLED
    password_hash: str | None = None
    next_password_hash: str | None = None
    since: datetime | None = None
    cause: str = ""


class SetKey(Command, frozen=True, kw_only=True):
    """The operator has another way to tell the station; None: back to the key of its entry."""

    password_hash: str | None


class ChangeKey(Command, frozen=True, kw_only=True):
    """The station is about to be told."""

    next_password_hash: str


class KeyTaken(Fact, frozen=True, kw_only=True):
    """The station has said that it took this key."""

    password_hash: str


class KeyRefused(Fact, frozen=True, kw_only=True):
    """The station has said that it did not, or was never told."""

    password_hash: str
    cause: str


class KeyUnanswered(Fact, frozen=True, kw_only=True):
    """Nobody knows whether it took it."""

    password_hash: str
    cause: str


class LoggedIn(Fact, frozen=True, kw_only=True):
    """The station came in by the key of this hash; None: it was not asked for one."""

    password_hash: str | None


def _of_this_change(data: StationKey, event: KeyTaken | KeyRefused | KeyUnanswered) -> bool:
    return event.password_hash == data.next_password_hash


def _by_a_key(_: StationKey, event: LoggedIn) -> bool:
    return event.password_hash is not None


def _taken(data: StationKey, event: Event) -> dict[str, Any]:
    return {"password_hash": data.next_password_hash, "next_password_hash": None, "since": event.wall_at, "cause": ""}


def _kept(_: StationKey, event: KeyRefused) -> dict[str, Any]:
    return {"next_password_hash": None, "since": event.wall_at, "cause": event.cause}


def _shown(data: StationKey, event: LoggedIn) -> dict[str, Any]:
    if event.password_hash == data.next_password_hash:
        return _taken(data, event)
    return {"next_password_hash": None, "since": event.wall_at, "cause": "the station has come in by its old key"}


def _set(_: StationKey, event: SetKey) -> dict[str, Any]:
    return {"password_hash": event.password_hash, "next_password_hash": None, "since": event.wall_at, "cause": ""}


def _changing(_: StationKey, event: ChangeKey) -> dict[str, Any]:
    return {"next_password_hash": event.next_password_hash, "since": event.wall_at, "cause": ""}


UNDER_WAY = (S.CHANGING, S.DOUBTFUL)

CHART: Chart[StationKey] = Chart(
    name="key of a station",
    initial=S.SETTLED,
    states=(
        State(S.SETTLED, "one key opens", resting=True),
        State(S.CHANGING, "the command is under way: both keys open", resting=True),
        State(S.DOUBTFUL, "its answer was lost: both keys open until the station has come in by one", resting=True),
    ),
    rows=(
        move(SetKey, tuple(S), S.SETTLED),
        move(ChangeKey, S.SETTLED, S.CHANGING),
        refuse(ChangeKey, UNDER_WAY, 409, "key-change-under-way", "a change of this key is not decided yet"),
        move(KeyTaken, UNDER_WAY, S.SETTLED, when=_of_this_change, note="the old one opens no more"),
        repeat(KeyTaken, tuple(S), note="of a change that is decided"),
        move(KeyRefused, UNDER_WAY, S.SETTLED, when=_of_this_change, note="the old one stays"),
        repeat(KeyRefused, tuple(S), note="of a change that is decided"),
        move(KeyUnanswered, S.CHANGING, S.DOUBTFUL, when=_of_this_change),
        repeat(KeyUnanswered, tuple(S), note="of a change that is decided"),
        move(NodeRestarted, S.CHANGING, S.DOUBTFUL, note="nobody waits for the answer any more"),
        repeat(NodeRestarted, (S.SETTLED, S.DOUBTFUL)),
        move(LoggedIn, UNDER_WAY, S.SETTLED, when=_by_a_key, note="the key that was shown stays"),
        repeat(LoggedIn, tuple(S), note="decides nothing"),
    ),
    evolve={
        SetKey: _set,
        ChangeKey: _changing,
        KeyTaken: _taken,
        KeyRefused: _kept,
        KeyUnanswered: lambda _, event: {"since": event.wall_at, "cause": event.cause},
        NodeRestarted: lambda _, event: {"since": event.wall_at, "cause": "the node was restarted"},
        LoggedIn: _shown,
    },
    contracts=(
        Contract(
            "two keys open while a change is under way, and only then",
            always=lambda data: (data.next_password_hash is not None) is (data.state in UNDER_WAY),
        ),
    ),
)
