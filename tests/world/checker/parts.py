"""What belongs together in a history: a request and its answers, a call and its replies, a charge and its messages."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import cached_property
from typing import Any

import msgspec

from tests.world.checker.wire import Frame, Soap, is_done, soap
from tests.world.history import AnswerArrived, ChargeSeen, FrameSent, RequestSent


class Placed(msgspec.Struct, frozen=True):
    """A sight and its place in the history: what comes before what is decided by that, not by the clock."""

    index: int
    sight: Any


class Exchange:
    """One HTTP request and all that came of it; `heard_at` is the place of its outcome in the history."""

    def __init__(self, index: int, request: RequestSent) -> None:
        self.index, self.request = index, request
        self.arrivals: list[Placed] = []
        self.answers: list[Placed] = []
        self.outcome: AnswerArrived | None = None
        self.heard_at = index

    @property
    def is_honest(self) -> bool:
        """Whether its sender is who it says, has its business there, and sends it for the first time or again."""
        return not self.request.forged and self.request.repeats is None

    @cached_property
    def said(self) -> Soap | None:
        """The request as SOAP."""
        return soap(self.request.body) if self.request.protocol == "soap" else None

    def is_about(self, operation: str) -> bool:
        return self.said is not None and self.said.operation == operation

    def taken(self) -> Iterator[Placed]:
        """The answers that left its node and say that it was done."""
        return (each for each in self.answers if is_done(each.sight.status, each.sight.body))


class Call:
    """One OCPP CALL on one connection, by `caller`, with every copy that arrived and every reply that left.

    It is `said` in the words of OCPP 1.6; `reference` is what a station of 2.x calls the transaction that it is of.
    """

    def __init__(self, index: int, sight: FrameSent, said: Frame, reference: str = "") -> None:
        self.index, self.sight, self.said, self.reference = index, sight, said, reference
        self.arrivals: list[Placed] = []
        self.replies: list[tuple[Placed, Frame]] = []
        self.heard: list[Placed] = []

    @property
    def caller(self) -> str:
        return self.sight.who

    @property
    def results(self) -> Iterator[tuple[Placed, Any]]:
        """The CALLRESULTs that left whoever was called."""
        return ((placed, reply.payload) for placed, reply in self.replies if reply.kind == 3)


class Charge:
    """One charge at a station, as its own messages tell it; `truth` is what the station itself metered, if seen.

    `numbers` are the transactionIds that its starts were answered with, each with the idTag's status.
    """

    def __init__(self, station: str, node: str, connector: int, id_tag: str, began: datetime, meter_start: int) -> None:
        self.station, self.node, self.connector = station, node, connector
        self.id_tag, self.began, self.meter_start = id_tag, began, meter_start
        self.starts: list[Call] = []
        self.stops: list[Call] = []
        self.truth: ChargeSeen | None = None

    def __repr__(self) -> str:
        return f"the charge at {self.station}/{self.connector} from {self.began:%d %H:%M:%S} by {self.id_tag}"

    @property
    def verdicts(self) -> list[tuple[int, str]]:
        """The transactionId and the idTag's status in each answer that its start got."""
        answers = [payload for call in self.starts for _, payload in call.results]
        return [(each["transactionId"], each["idTagInfo"]["status"]) for each in answers]

    @property
    def number(self) -> int | None:
        return self.verdicts[0][0] if self.verdicts else None

    @property
    def goes_on(self) -> bool:
        """Whether its station still charges when all is over."""
        return self.truth is not None and self.truth.stopped_at is None

    @property
    def stop(self) -> Call | None:
        """The stop that was acknowledged; None while the station still owes it."""
        return next((call for call in self.stops if any(True for _ in call.results)), None)
