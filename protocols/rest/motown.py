"""The shapes that Motown's two MOBI.Europe REST APIs share: its session JSON, its error JSON, its state names.

Both APIs answer every error as `{"responseError": {"errorCode", "errorMsg"}}`. As in Motown a refusal of the business
is HTTP 400, whatever its errorCode says (an unknown authorizationIdentifier: HTTP 400 with errorCode 404); only what
concerns the request as HTTP keeps its own status: 401, 403 (not this app's user), 408, 413, 415, 429, 500.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import msgspec
from quart import Blueprint
from quart_trio.wrappers import TrioResponse as Response

from protocols.rest.problems import Problem, report
from statecharts.ports import TransactionView
from statecharts.vocabulary import Refused, Value, refused

HTTP_STATUSES = frozenset({401, 403, 408, 413, 415, 429, 500})
STATES_SHOWN_AS = {"Settled": "TxFinished"}


class MotownAnswer(Value, frozen=True, kw_only=True, rename="camel"):
    """Base of what Motown's APIs answer: camelCase, absent values left out."""


class SessionState(MotownAnswer, frozen=True, kw_only=True):
    """The state, and since when, in milliseconds since 1970."""

    state: str
    last_time_state_changed: int


class SessionInfo(MotownAnswer, frozen=True, kw_only=True):
    """Motown's SessionInfo: its field names in its order, its plain ints 0 when unknown."""

    id: int
    transaction_id: int
    user_identifier: str
    authorization_identifier: str | None = None
    request_identifier: str | None = None
    session_state_machine: SessionState
    pms_identifier: str | None = None
    service_pms: str | None = None
    local_service_identifier: str
    connector_identifier: str | None = None
    service_type_identifier: str
    start_timestamp: str | None = None
    end_timestamp: str | None = None
    meter_start: int
    meter_stop: int


class ResponseError(MotownAnswer, frozen=True, kw_only=True):
    """What was refused: a status number as text, and a sentence."""

    error_code: str
    error_msg: str


class ErrorAnswer(MotownAnswer, frozen=True, kw_only=True):
    response_error: ResponseError


def session_info(view: TransactionView, *, pms_identifier: str | None, service_pms: str | None) -> SessionInfo:
    """The transaction as Motown's pages know it."""
    changed_ms = int(view.changed_at.timestamp() * 1000)
    return SessionInfo(
        id=session_id(view.transaction_id),
        transaction_id=view.station_transaction_id or 0,
        user_identifier=view.user_identifier,
        authorization_identifier=view.authorization_identifier,
        request_identifier=view.request_identifier,
        session_state_machine=SessionState(
            state=STATES_SHOWN_AS.get(view.state, view.state), last_time_state_changed=changed_ms
        ),
        pms_identifier=pms_identifier,
        service_pms=service_pms,
        local_service_identifier=view.local_service_identifier,
        connector_identifier=view.connector_identifier,
        service_type_identifier=view.service_type,
        start_timestamp=_date(view.start_timestamp),
        end_timestamp=_date(view.end_timestamp),
        meter_start=view.meter_start_wh or 0,
        meter_stop=view.meter_stop_wh or 0,
    )


def session_id(transaction_id: str) -> int:
    """A number for the transaction that never changes: Motown's ids are numbers, ours are not. 1 to 2**53 - 1."""
    digest = hashlib.sha256(transaction_id.encode()).digest()
    return (int.from_bytes(digest[:8]) >> 11) or 1


def living(view: TransactionView) -> TransactionView:
    """The view, when Motown's machine has its state. Raises `Refused` for Refused (400) and Expired (410)."""
    if view.state == "Refused":
        raise refused(400, "refused", view.cause or "The authorisation was refused")
    if view.state == "Expired":
        raise refused(410, "expired", view.cause or "The authorisation has expired")
    return view


def _date(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None


def motown_answer(content: MotownAnswer, media_type: str, status: int = 200) -> Response:
    """`content` as JSON of Motown's media type."""
    return Response(msgspec.json.encode(content), status, {"Cache-Control": "no-store"}, content_type=media_type)


def answer_errors_as_motown(blueprint: Blueprint, media_type: str) -> None:
    """Makes every error of the blueprint a responseError."""

    @blueprint.errorhandler(Exception)
    async def answer_error(error: Exception) -> Response:
        problem = report(error)
        code = error.refusal.code if isinstance(error, Refused) else problem.status
        content = ErrorAnswer(response_error=ResponseError(error_code=str(code), error_msg=problem.detail))
        response = motown_answer(content, media_type, _http_status(error, problem))
        response.headers.update(problem.headers)
        return response


def _http_status(error: Exception, problem: Problem) -> int:
    if isinstance(error, Refused):
        return 403 if problem.status == 403 else 400
    return problem.status if problem.status in HTTP_STATUSES else 400
