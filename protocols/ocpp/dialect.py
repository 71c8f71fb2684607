"""One OCPP version as look-up tables: which action says what, and how it is written and read.

A dialect has two conversations: reports (told by the station, answered by the central system) and commands (the other
way round). Both ends of both are here, so that a station can be simulated with the same tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

import msgspec
from ocpp import exceptions as ocpp

from protocols.ocpp.schemas import Payload, Tolerated, payload
from statecharts.station_vocabulary import CallOutcome, ReportAnswer, StationCommand, StationReport

Content = Mapping[str, Any]
"""A payload on its way out: name of a field on the wire -> its value."""

Confirmation = tuple[str, Content]
"""What a station says to a command: its status word, and the other fields of the answer."""

Request = TypeVar("Request")
Given = TypeVar("Given")
Answer = TypeVar("Answer")


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """One action: request and answer, each from the vocabulary to the wire and back.

    What the reading functions get has been checked against the schema. `write_answer` takes a `ReportAnswer`, or a
    `Confirmation` where the request is a command; `read_answer` then gives a `CallOutcome`.
    """

    action: str
    request: type[Any]
    write_request: Callable[[Any], Content]
    read_request: Callable[[Any], Any]
    write_answer: Callable[[Any], Content]
    read_answer: Callable[[Any], Any]


class Conversation(Generic[Request, Given, Answer]):
    """All exchanges in one direction, in bytes.

    Reading raises the OCPPError that a CALLERROR should carry; writing raises msgspec.ValidationError for content that
    the specification does not allow.
    """

    def __init__(self, version: str, exchanges: Iterable[Exchange], open_words: frozenset[str]) -> None:
        self._version = version
        self._open_words = open_words
        self._by_action = {exchange.action: exchange for exchange in exchanges}
        self._by_request = {exchange.request: exchange for exchange in self._by_action.values()}

    @property
    def actions(self) -> tuple[str, ...]:
        return tuple(self._by_action)

    def action_of(self, request: Request) -> str:
        return self._by_request[type(request)].action

    def write_request(self, request: Request) -> bytes:
        exchange = self._by_request[type(request)]
        return self._payload(exchange.action).encode(exchange.write_request(request))

    def read_request(self, action: str, data: bytes, tolerated: Tolerated) -> Request:
        exchange = self._exchange(action)
        request: Request = exchange.read_request(self._payload(action).decode(data, tolerated))
        return request

    def write_answer(self, action: str, answer: Given) -> bytes:
        return self._payload(f"{action}Response").encode(self._exchange(action).write_answer(answer))

    def read_answer(self, action: str, data: bytes, tolerated: Tolerated) -> Answer:
        answer: Answer = self._exchange(action).read_answer(self._payload(f"{action}Response").decode(data, tolerated))
        return answer

    def _exchange(self, action: str) -> Exchange:
        try:
            return self._by_action[action]
        except KeyError:
            raise ocpp.NotImplementedError(f"the action {action!r:.80} is not implemented here") from None

    def _payload(self, schema_name: str) -> Payload:
        return payload(self._version, schema_name, self._open_words)


Reports = Conversation[StationReport, ReportAnswer, ReportAnswer]
Commands = Conversation[StationCommand, Confirmation, CallOutcome]


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """An OCPP version: the subprotocol that names it, and its two conversations."""

    subprotocol: str
    reports: Reports
    commands: Commands
