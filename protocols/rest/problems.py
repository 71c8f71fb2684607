"""Errors of the REST APIs as RFC 9457 problem+json: what was wrong, where, and under which correlation id it is logged.

Handlers raise: `Refused` for what a door refused, `Problem` for what is wrong with the request itself; everything
that werkzeug and Quart raise (404, 405, 413, ...) becomes the same shape. An unexpected error says nothing about
itself to the client. Each error is logged once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import msgspec
import structlog
from quart import request
from quart_trio import QuartTrio
from quart_trio.wrappers import TrioResponse as Response
from structlog.contextvars import bind_contextvars, get_contextvars
from werkzeug.exceptions import HTTPException
from werkzeug.http import HTTP_STATUS_CODES

from protocols.http import body_bytes_max
from statecharts.vocabulary import Refusal, Refused, Value

PROBLEM_TYPE = "application/problem+json"
CORRELATION_HEADER = "X-Correlation-ID"
CORRELATION_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

log = structlog.get_logger(__name__)


class FieldError(Value, frozen=True, kw_only=True):
    """One thing wrong with a request: which field (a dotted path, "" for the whole), and why; where in a CSV."""

    field: str
    reason: str
    line: int | None = None


class ProblemDocument(Value, frozen=True, kw_only=True):
    """An error (RFC 9457): `kind` is for programs, `detail` for people, `correlation_id` finds it in our log."""

    type: str
    title: str
    status: int
    kind: str
    detail: str
    instance: str
    correlation_id: str | None = None
    errors: tuple[FieldError, ...] | None = None


class Problem(Exception):
    """A request that cannot be served. `kind` is a stable slug for programs, `detail` a sentence for people."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        errors: tuple[FieldError, ...] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {kind}: {detail}")
        self.status, self.kind, self.detail, self.errors = status, kind, detail, errors
        self.headers = dict(headers or {})


def as_problem(error: BaseException) -> Problem:
    """The same error as a `Problem`; one that nobody foresaw becomes a 500 without details."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, Refused):
        return _of_refusal(error.refusal)
    if isinstance(error, HTTPException):
        return _of_http(error)
    return Problem(500, "internal-error", "Something went wrong on our side; the log has it under the correlation id.")


def _of_refusal(refusal: Refusal) -> Problem:
    return Problem(http_status(refusal), refusal.kind, refusal.message)


def http_status(refusal: Refusal) -> int:
    """The HTTP status of a refusal. A peer's 401 or 407 speaks of another's credentials: here it is a 403."""
    if refusal.code in (401, 407):
        return 403
    return refusal.code if 400 <= refusal.code <= 599 else 502


def _of_http(error: HTTPException) -> Problem:
    status = error.code or 500
    headers = {name: value for name, value in error.get_headers() if name.lower() != "content-type"}
    detail = _DETAILS.get(status) or error.description or phrase(status)
    if status == 413:
        detail = f"The body is longer than {body_bytes_max(request.path)} bytes."
    return Problem(status, _slug(status), detail, headers=headers)


_DETAILS = {
    404: "There is nothing at this address.",
    405: "This address does not take this method; Allow names those it takes.",
}
"""What a client can do about it, where werkzeug's words speak to someone at a browser."""


def _slug(status: int) -> str:
    return phrase(status).lower().replace(" ", "-")


def phrase(status: int) -> str:
    """The phrase of an HTTP status: 404 -> "Not Found"."""
    # Not http.HTTPStatus: Python 3.13 has new words for 413 and others, and our kinds are made of them
    return HTTP_STATUS_CODES.get(status, "Error")


def report(error: BaseException) -> Problem:
    """`as_problem`, logged: refusals in a line, what nobody foresaw with its traceback."""
    problem = as_problem(error)
    place = {"method": request.method, "path": request.path, "status": problem.status}
    if problem.kind == "internal-error" and not isinstance(error, Refused):  # whoever refused has logged the error
        log.error("rest.request_failed", **place, exc_info=error)
    else:
        log.info("rest.request_refused", **place, kind=problem.kind, detail=problem.detail)
    return problem


def problem_response(problem: Problem) -> Response:
    """The problem as an RFC 9457 document."""
    document = ProblemDocument(
        type="about:blank",
        title=phrase(problem.status),
        status=problem.status,
        kind=problem.kind,
        detail=problem.detail,
        instance=request.path,
        correlation_id=correlation_id(),
        errors=problem.errors or None,
    )
    return Response(msgspec.json.encode(document), problem.status, problem.headers, content_type=PROBLEM_TYPE)


def correlation_id() -> str | None:
    """The id under which this request is logged and answered."""
    return get_contextvars().get("correlation_id")


def register_problems(app: QuartTrio, new_correlation_id: Callable[[], str]) -> None:
    """Gives every request of `app` a correlation id, the client's own where it is fit, and every error its document."""

    @app.before_request
    async def _bind_correlation_id() -> None:
        given = request.headers.get(CORRELATION_HEADER, "")
        bind_contextvars(correlation_id=given if CORRELATION_ID.fullmatch(given) else new_correlation_id())

    @app.after_request
    async def _tell_correlation_id(response: Response) -> Response:
        response.headers.setdefault(CORRELATION_HEADER, correlation_id() or "")  # a service may have its own
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        return response

    @app.errorhandler(Exception)
    async def _answer_problem(error: Exception) -> Response:
        return problem_response(report(error))
