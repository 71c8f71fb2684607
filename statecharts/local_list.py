"""The local authorisation list of a station, kept equal to what the operator says of cards.

OCPP 1.6 sections 3.5.2, 5.10 and 5.15; OCPP 2.x part 2, use cases D01 and D02. What a station has is known by its
version, which it is asked for whenever it comes: the one that it took last from us, and nothing is sent; that one while
cards have changed since, and it is sent the difference; any other, and it is sent all anew. A piece that was sent and
not answered may have been taken, so then the station is asked again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from statecharts.chart import Change, Chart, Contract, State, move, refuse, repeat, stay
from statecharts.events import Command, DeadlineReached, Event, Fact
from statecharts.feature_profiles import SUPPORTED_PROFILES
from statecharts.moments import after_s
from statecharts.vocabulary import Value

SESSION_S = 600.0
"""How long a station may keep silent between two of its answers: its calls' own timeouts come sooner."""

RETRY_S = (60.0, 300.0, 1800.0)
"""How long after a failure it is tried again; after the last one it is left, for an operator to see."""


class S(StrEnum):
    AWAY = "Away"
    WAITING = "Waiting"
    ASKING = "Asking"
    SENDING_FULL = "SendingFull"
    SENDING_DIFFERENTIAL = "SendingDifferential"
    IN_STEP = "InStep"
    FAILED = "Failed"
    REFUSED = "Refused"
    UNSUPPORTED = "Unsupported"


class Gap(StrEnum):
    """What a station lacks: nothing, what has changed since its version, all; or it takes fewer cards."""

    NOTHING = "nothing"
    CHANGES = "changes"
    EVERYTHING = "everything"
    TOO_LONG = "too-long"


class LocalList(Value, frozen=True, kw_only=True):
    """What is known of a station's list, in times of the machine's clock.

    `version` is the last one that it took from us, and `content` the fingerprint of the list that it has with it, ""
    while pieces are missing; `told` is the version that it named last. `full` says that it gets all anew next time.
    """

    state: str = S.AWAY
    version: int | None = None
    content: str = ""
    told: int | None = None
    full: bool = False
    failures: int = 0
    until: datetime | None = None
    tried_at: datetime | None = None
    cause: str = ""


class ListSettings(Value, frozen=True):
    """What a station says of its list: how many cards it holds, and how many it takes in one message; None: unknown."""

    enabled: bool = True
    entries: int | None = None
    per_message: int | None = None


def settings_in(answer: Mapping[str, Any]) -> ListSettings:
    """What an answer to GetConfiguration, or GetVariables, tells of a list."""
    told = dict(_settings(answer))
    enabled = str(told.get("enabled") or "true").strip().casefold() != "false"
    return ListSettings(enabled, _count(told.get("entries")), _count(told.get("per_message")))


def _settings(answer: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for each in answer.get("configurationKey") or ():
        yield KEYS["ocpp1"].get(each.get("key"), ""), each.get("value")
    for each in answer.get("getVariableResult") or ():
        key = f"{each['component']['name']}.{each['variable']['name']}"
        yield KEYS["ocpp2"].get(key, ""), each.get("attributeValue")


def _count(value: Any) -> int | None:
    text = str(value or "").strip()
    return int(text) if text.isdecimal() and len(text) < 10 else None


KEYS: Mapping[str, Mapping[str, str]] = {
    "ocpp1": {
        "LocalAuthListEnabled": "enabled",
        "LocalAuthListMaxLength": "entries",
        "SendLocalListMaxLength": "per_message",
        SUPPORTED_PROFILES: "profiles",
    },
    # LocalAuthListCtrlr.Entries is how many there are (2.0.1, part 2, 2.5.3); how many there may be is not its value.
    "ocpp2": {"LocalAuthListCtrlr.Enabled": "enabled", "LocalAuthListCtrlr.ItemsPerMessage": "per_message"},
}
"""Settings that say how much a station takes, by the family of its protocol."""


# -- events ------------------------------------------------------------------------------------------------------------


class StationCame(Fact, frozen=True, kw_only=True):
    """It has connected, or booted: another firmware may be able to do what the one before was not."""


class StationWent(Fact, frozen=True, kw_only=True):
    """It is connected no more."""


class CardsChanged(Command, frozen=True, kw_only=True):
    """What the list should be is not what this station has."""


class PushList(Command, frozen=True, kw_only=True):
    """An operator wants all of it sent anew."""


class TurnCame(Command, frozen=True, kw_only=True):
    """Of the few stations that are served at a time it is one now."""


class VersionTold(Fact, frozen=True, kw_only=True):
    """The station has named its version. `gap` is what it lacks; `content` what it has, where that is nothing."""

    version: int
    gap: Gap
    content: str = ""
    cause: str = ""


class PieceTaken(Fact, frozen=True, kw_only=True):
    """The station has taken a piece, and has this version; the last one makes it have all of `content`."""

    version: int
    content: str = ""


class VersionRefused(Fact, frozen=True, kw_only=True):
    """VersionMismatch: it does not have what the difference was made for."""


class NotSupported(Fact, frozen=True, kw_only=True):
    """The station keeps no list: it says so, or has switched it off (version -1)."""

    cause: str


class AttemptFailed(Fact, frozen=True, kw_only=True):
    """The station refused a piece, or did not answer."""

    cause: str


# -- guards ------------------------------------------------------------------------------------------------------------


def _lacks(gap: Gap) -> Any:
    return lambda _, event: event.gap is gap


def _is_last(_: LocalList, event: PieceTaken) -> bool:
    return bool(event.content)


def _wants_all(data: LocalList, event: VersionTold) -> bool:
    return data.full and event.gap is not Gap.TOO_LONG


def _is_enough(data: LocalList, _: Event) -> bool:
    return data.failures >= len(RETRY_S)


# -- what each event changes -------------------------------------------------------------------------------------------


def _entered(data: LocalList, event: Event) -> dict[str, Any]:
    return {"until": after_s(event.at, SESSION_S) if data.state in BUSY else None}


def _came(data: LocalList, event: Event) -> dict[str, Any]:
    return {**_entered(data, event), "failures": 0}


def _turn(data: LocalList, event: Event) -> dict[str, Any]:
    return {**_entered(data, event), "tried_at": event.wall_at}


def _pushed(data: LocalList, event: Event) -> dict[str, Any]:
    return {**_came(data, event), "full": True}


def _told(data: LocalList, event: VersionTold) -> dict[str, Any]:
    cause = event.cause if data.state == S.REFUSED else ""
    has = {"version": event.version, "content": event.content} if data.state == S.IN_STEP else {}
    return {
        **_entered(data, event),
        **has,
        "told": event.version,
        "cause": cause,
        "failures": 0 if has else data.failures,
    }


def _taken(data: LocalList, event: PieceTaken) -> dict[str, Any]:
    done = {"full": False, "failures": 0, "cause": ""} if event.content else {}
    return {
        **_entered(data, event),
        **done,
        "version": event.version,
        "told": event.version,
        "content": event.content,
    }


def _mismatched(data: LocalList, event: Event) -> dict[str, Any]:
    return {**_entered(data, event), "content": "", "cause": "VersionMismatch"}


def _unsupported(data: LocalList, event: NotSupported) -> dict[str, Any]:
    return {"until": None, "cause": event.cause}


def _failed(data: LocalList, event: AttemptFailed) -> dict[str, Any]:
    """`failures` counts those before this one, so that it says how long to wait."""
    if data.state != S.FAILED:
        return {"until": None, "cause": event.cause}
    return {
        "cause": event.cause,
        "until": after_s(event.at, RETRY_S[data.failures]),
        "failures": data.failures + 1,
    }


def _lapsed(data: LocalList, event: DeadlineReached) -> dict[str, Any]:
    if data.state == S.WAITING:
        return {"until": None}
    return {"cause": "the station kept silent", "until": after_s(event.at, RETRY_S[-1])}


# -- the chart ---------------------------------------------------------------------------------------------------------

SENDING = (S.SENDING_FULL, S.SENDING_DIFFERENTIAL)
BUSY = (S.ASKING, *SENDING)
AT_REST = (S.IN_STEP, S.REFUSED)
TIMED = (*BUSY, S.FAILED)
HERE = tuple(state for state in S if state != S.AWAY)
IDLE = tuple(state for state in S if state not in BUSY)

STATES = (
    State(S.AWAY, "not connected: it is asked when it comes", resting=True),
    State(S.WAITING, "waits its turn to be asked: few stations are at a time", resting=True),
    State(S.ASKING, "asked which version it has, and how much it takes", lambda d: d.until),
    State(
        S.SENDING_FULL, "is sent all of the list: all at first, then what did not fit as differences", lambda d: d.until
    ),
    State(S.SENDING_DIFFERENTIAL, "is sent what has changed since its version", lambda d: d.until),
    State(S.IN_STEP, "has what it should have", resting=True),
    State(S.FAILED, "refused a piece or did not answer: tried again", lambda d: d.until),
    State(
        S.REFUSED, "will not take it: tried again when cards change, when it comes, or when it is pushed", resting=True
    ),
    State(S.UNSUPPORTED, "keeps no list: asked again when it comes", resting=True),
)

ROWS = (
    move(StationCame, tuple(S), S.WAITING),
    move(StationWent, HERE, S.AWAY),
    repeat(StationWent, S.AWAY),
    move(CardsChanged, AT_REST, S.WAITING),
    repeat(
        CardsChanged, tuple(state for state in S if state not in AT_REST), note="it is looked at when it is its turn"
    ),
    refuse(PushList, S.AWAY, 409, "not-connected", "the station is not connected: it is asked when it comes"),
    move(PushList, HERE, S.WAITING, note="what is under way is left"),
    move(TurnCame, S.WAITING, S.ASKING),
    repeat(TurnCame, tuple(state for state in S if state != S.WAITING)),
    move(VersionTold, S.ASKING, S.SENDING_FULL, when=_wants_all, note="an operator wants it so"),
    move(VersionTold, S.ASKING, S.IN_STEP, when=_lacks(Gap.NOTHING), note="it is ours, and up to date"),
    move(VersionTold, S.ASKING, S.SENDING_DIFFERENTIAL, when=_lacks(Gap.CHANGES), note="it is ours, and older"),
    move(VersionTold, S.ASKING, S.REFUSED, when=_lacks(Gap.TOO_LONG), note="it takes fewer cards than there are"),
    move(VersionTold, S.ASKING, S.SENDING_FULL, note="it is none of ours"),
    repeat(VersionTold, tuple(state for state in S if state != S.ASKING)),
    move(PieceTaken, SENDING, S.IN_STEP, when=_is_last, note="the last one"),
    stay(PieceTaken, SENDING),
    repeat(PieceTaken, tuple(state for state in S if state not in SENDING)),
    move(VersionRefused, S.SENDING_DIFFERENTIAL, S.SENDING_FULL),
    repeat(VersionRefused, tuple(state for state in S if state != S.SENDING_DIFFERENTIAL)),
    move(NotSupported, BUSY, S.UNSUPPORTED),
    repeat(NotSupported, IDLE),
    move(AttemptFailed, BUSY, S.REFUSED, when=_is_enough, note="too often"),
    move(AttemptFailed, BUSY, S.FAILED),
    repeat(AttemptFailed, IDLE),
    move(DeadlineReached, S.FAILED, S.WAITING),
    move(DeadlineReached, BUSY, S.FAILED),
)

CHANGES: dict[type[Event], Change] = {
    StationCame: _came,
    StationWent: _entered,
    CardsChanged: _came,
    PushList: _pushed,
    TurnCame: _turn,
    VersionTold: _told,
    PieceTaken: _taken,
    VersionRefused: _mismatched,
    NotSupported: _unsupported,
    AttemptFailed: _failed,
    DeadlineReached: _lapsed,
}

CHART: Chart[LocalList] = Chart(
    name="local list",
    initial=S.AWAY,
    states=STATES,
    rows=ROWS,
    evolve=CHANGES,
    contracts=(
        Contract("times are aware", before=lambda _, event: event.at.tzinfo is not None),
        Contract(
            "it waits for something or has no deadline", always=lambda d: (d.until is not None) == (d.state in TIMED)
        ),
        Contract("what is in step is known", always=lambda d: d.state != S.IN_STEP or bool(d.content)),
    ),
)
