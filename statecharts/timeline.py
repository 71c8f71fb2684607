"""The timeline of one transaction: what happened to it through REST, SOAP and OCPP, and what that made of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from statecharts.ports import Moment
from statecharts.vocabulary import Value


class Channel(StrEnum):
    """Through what it came: an app or an operator, a partner, a station, or the node itself."""

    REST = "REST"
    SOAP = "SOAP"
    OCPP = "OCPP"
    NODE = "node"


class TimelineEntry(Value, frozen=True, kw_only=True):
    """One thing that happened. `what` is the event's name, or the operation of a message that is sent (`outgoing`).

    The state became `to_state` by it where that differs from `from_state`. `content` is all that is known of it, with
    its secrets masked; `correlation_id` finds it in the logs.
    """

    at: Moment
    channel: Channel
    what: str
    outgoing: bool = False
    from_state: str | None = None
    to_state: str | None = None
    correlation_id: str | None = None
    outcome: str | None = None
    content: dict[str, Any]


class Timeline(Value, frozen=True, kw_only=True):
    """All of them in their order; `left_out` counts the oldest ones where there are more than can be shown."""

    entries: tuple[TimelineEntry, ...]
    left_out: int = 0


_OF_STATIONS = {
    "ConnectorTaken", "MeterRead", "StationAnswered", "StationConfirmed", "StationDenied", "StationDoubted",
    "TransactionStarted", "TransactionStopped",
}  # fmt: skip
_OF_OPERATORS = {"CloseAsked", "LocalStartRequested", "StopAsked"}
_OF_APPS = {"AuthorizationRequested", "StartRequested", "StopRequested"}
_OF_NODES = {"DeadlineReached", "NodeRestarted"}


def channel_of(role: str, event: str) -> Channel:
    """Through what an event of this name reaches a transaction of this role."""
    if event in _OF_NODES:
        return Channel.NODE
    if event in _OF_OPERATORS or (role == "source" and event in _OF_APPS):
        return Channel.REST
    return Channel.OCPP if event in _OF_STATIONS else Channel.SOAP
