"""One OCPP version as look-up tables: which action says what, and how it is written and read.

A dialect has two conversations: reports (told by the station, answered by the central system) and commands (the other
way round). Both ends of both are here, so that a station can be simulated with the same tables.

Exchanges come in two tiers. Typed ones translate an action into words that every version shares. Plain ones carry its
JSON as it is, checked by the schema: a version declares them by name, the reports among them with their answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Generic, TypeVar

import msgspec
from ocpp import exceptions as ocpp

from protocols.ocpp.frames import Framing
from protocols.ocpp.mending import Leniency, Unmendable
from protocols.ocpp.schemas import Payload, Tolerated, payload
from statecharts.station_commands import CallOutcome, CallVerdict, PlainCommand, StationCommand
from statecharts.station_reports import PlainAnswer, PlainReport, ReportAnswer, StationReport

Content = Mapping[str, Any]
"""A payload on its way out: name of a field on the wire -> its value."""

Confirmation = tuple[str, Content]
"""What a station says to a command: its status word, and the other fields of the answer."""

Request = TypeVar("Request")
Given = TypeVar("Given")
Answer = TypeVar("Answer")


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """One action: request and answer, each from the vocabulary to the wire and back.

    What the reading functions get has been checked against the schema: its struct, or for a `plain` exchange the JSON
    with all that came. `write_answer` takes a `ReportAnswer`, or a `Confirmation` where the request is a command;
    `read_answer` then gives a `CallOutcome`. Where several actions have the same `request`, the first whose `says` is
    true of one is its action. Of the fields `open_words`, words that the schema does not know are taken as they are.
    One that is not `answered` is a SEND of OCPP 2.1. A request that breaks its schema is `mended` as far as that says,
    and refused where it is absent.
    """

    action: str
    request: type[Any]
    write_request: Callable[[Any], Content]
    read_request: Callable[[Any], Any]
    write_answer: Callable[[Any], Content]
    read_answer: Callable[[Any], Any]
    says: Callable[[Any], bool] = lambda request: True
    open_words: frozenset[str] = frozenset()
    plain: bool = False
    answered: bool = True
    mended: Leniency | None = None


# -- the plain tier ----------------------------------------------------------------------------------------------------


def plain_reports(answers: Mapping[str, Content]) -> tuple[Exchange, ...]:
    """Exchanges for reports that are taken as they are: action -> what it is answered when it is acknowledged."""
    return tuple(
        _plain(action, PlainReport, partial(_plain_answer, answer), lambda json: PlainAnswer(payload=json))
        for action, answer in answers.items()
    )


def plain_refusals(*actions: str) -> tuple[Exchange, ...]:
    """Exchanges for reports whose answer would have to be made for each: taken as they are, and then not supported."""
    return tuple(_plain(action, PlainReport, partial(_refuse, action), _never) for action in actions)


def plain_sends(*actions: str) -> tuple[Exchange, ...]:
    """Exchanges for reports that are taken as they are and never answered."""
    unanswered = (_plain(action, PlainReport, lambda answer: {}, _never) for action in actions)
    return tuple(msgspec.structs.replace(exchange, answered=False) for exchange in unanswered)


def plain_commands(*actions: str) -> tuple[Exchange, ...]:
    """Exchanges for commands that are sent as they are, and answered with a status word or with fields only."""
    return tuple(_plain(action, PlainCommand, write_confirmation, outcome_of) for action in actions)


def _plain(action: str, request: type[Any], write: Callable[[Any], Content], read: Callable[[Any], Any]) -> Exchange:
    return Exchange(
        action=action,
        request=request,
        write_request=lambda said: said.payload,
        read_request=lambda json: request(action=action, payload=json),
        write_answer=write,
        read_answer=read,
        says=lambda said: bool(said.action == action),
        plain=True,
    )


def _plain_answer(declared: Content, answer: ReportAnswer) -> Content:
    return answer.payload if isinstance(answer, PlainAnswer) else declared


def _refuse(action: str, answer: ReportAnswer) -> Content:
    raise ocpp.NotSupportedError(f"{action} is recorded, and not supported")


def _never(payload: Any) -> Any:
    raise ocpp.ProtocolError("this is never answered")


# -- what a station says to a command ----------------------------------------------------------------------------------

ACCEPTING_WORDS = frozenset({"Accepted", "AcceptedCanceled", "Scheduled", "Unlocked", "RebootRequired"})
"""Status words of a station that does what it was asked, or will."""


def write_confirmation(confirmation: Confirmation) -> Content:
    """The fields of an answer; its status is one of them where there is one."""
    status, fields = confirmation
    return {**fields, "status": status} if status else fields


def outcome_of(payload: Any) -> CallOutcome:
    """What an answer means: what its status word says; one that has none is accepted by having come."""
    answer: dict[str, Any] = msgspec.to_builtins(payload)
    status = answer.get("status", "")
    accepted = not status or status in ACCEPTING_WORDS
    return CallOutcome(
        verdict=CallVerdict.ACCEPTED if accepted else CallVerdict.REJECTED,
        status=status,
        cause="" if accepted else f"the station answered {status}",
        data=answer,
    )


# -- conversations -----------------------------------------------------------------------------------------------------


class Conversation(Generic[Request, Given, Answer]):
    """All exchanges in one direction, in bytes.

    Reading raises the OCPPError that a CALLERROR should carry; writing raises msgspec.ValidationError for content that
    the specification does not allow.
    """

    def __init__(self, version: str, exchanges: Iterable[Exchange], open_words: frozenset[str]) -> None:
        self._version = version
        self._by_action = {exchange.action: exchange for exchange in exchanges}
        self._open_words = {action: open_words | exchange.open_words for action, exchange in self._by_action.items()}
        self._by_request: dict[type[Any], list[Exchange]] = {}
        for exchange in self._by_action.values():
            self._by_request.setdefault(exchange.request, []).append(exchange)

    @property
    def actions(self) -> tuple[str, ...]:
        return tuple(self._by_action)

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        return tuple(self._by_action.values())

    @property
    def plain_actions(self) -> frozenset[str]:
        return frozenset(action for action, exchange in self._by_action.items() if exchange.plain)

    def is_answered(self, action: str) -> bool:
        """Whether this action gets an answer; if not, OCPP 2.1 carries it in a SEND."""
        return self._exchange(action).answered

    def action_of(self, request: Request) -> str:
        """The action that says this. Raises msgspec.ValidationError where this version has none."""
        return self._saying(request).action

    def write_request(self, request: Request) -> bytes:
        exchange = self._saying(request)
        return self._payload(exchange, self._request_schema(exchange)).encode(exchange.write_request(request))

    def read_request(self, action: str, data: bytes, tolerated: Tolerated) -> Request:
        exchange = self._exchange(action)
        schema_name = self._request_schema(exchange)
        notes: list[str] = []
        try:
            request: Request = exchange.read_request(self._decode(exchange, schema_name, data, notes.append))
        except ocpp.OCPPError as refusal:
            notes.clear()
            request = exchange.read_request(self._mended(exchange, schema_name, data, notes.append, refusal))
        for note in notes:
            tolerated(note)
        return request

    def must_be_kept(self, action: str) -> bool:
        """Whether a message of this action is kept for the operator even where nobody can read it."""
        exchange = self._by_action.get(action)
        return exchange is not None and exchange.mended is not None

    def write_answer(self, action: str, answer: Given) -> bytes:
        exchange = self._exchange(action)
        content = exchange.write_answer(answer)
        return self._payload(exchange, f"{action}Response").encode(content) if exchange.answered else b"{}"

    def read_answer(self, action: str, data: bytes, tolerated: Tolerated) -> Answer:
        exchange = self._exchange(action)
        answer: Answer = exchange.read_answer(self._decode(exchange, f"{action}Response", data, tolerated))
        return answer

    def _decode(self, exchange: Exchange, schema_name: str, data: bytes, tolerated: Tolerated) -> Any:
        schema = self._payload(exchange, schema_name)
        return schema.decode_json(data, tolerated) if exchange.plain else schema.decode(data, tolerated)

    def _mended(
        self, exchange: Exchange, schema_name: str, data: bytes, tolerated: Tolerated, refusal: Exception
    ) -> Any:
        """What a request means that breaks its schema; raises the refusal where nobody can tell."""
        if exchange.mended is not None:
            with suppress(Unmendable):
                return self._payload(exchange, schema_name).mend(data, exchange.mended, tolerated)
        raise refusal

    def _saying(self, request: Request) -> Exchange:
        for exchange in self._by_request.get(type(request), ()):
            if exchange.says(request):
                return exchange
        said = request.action if isinstance(request, PlainReport | PlainCommand) else type(request).__name__
        raise msgspec.ValidationError(f"there is no {said}")

    def _exchange(self, action: str) -> Exchange:
        try:
            return self._by_action[action]
        except KeyError:
            raise ocpp.NotImplementedError(f"the action {action!r:.80} is not implemented here") from None

    def _request_schema(self, exchange: Exchange) -> str:
        """The name of the file with the request's schema, which OCPP 1.6 and SENDs leave without a suffix."""
        return exchange.action if self._version == "v16" or not exchange.answered else f"{exchange.action}Request"

    def _payload(self, exchange: Exchange, schema_name: str) -> Payload:
        return payload(self._version, schema_name, self._open_words[exchange.action])


Reports = Conversation[StationReport, ReportAnswer, ReportAnswer]
Commands = Conversation[StationCommand, Confirmation, CallOutcome]


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """An OCPP version: the subprotocol that names it, its frames, and its two conversations."""

    subprotocol: str
    framing: Framing
    reports: Reports
    commands: Commands
