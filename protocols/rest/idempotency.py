"""Idempotency-Key: the same request under the same key does nothing again and gets its first answer, byte for byte.

Crash safety is not here: an authorisation, start or stop binds its key in the journal together with its effect, and
one whose answer is not known any more is answered by its door, without doing anything, with the transaction as it is.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Any

import msgspec
from quart import request
from quart_trio.wrappers import TrioResponse as Response

from protocols.rest.auth import principal
from protocols.rest.problems import CORRELATION_HEADER, Problem, correlation_id, problem_response, report
from statecharts.doors import FirstAnswer, FirstAnswers
from statecharts.meters import Tally
from statecharts.vocabulary import Refused

KEY = re.compile(r"[\x21-\x7e]{1,200}")
REPLAYED = "Idempotency-Replayed"

KEPT_HEADERS = ("Content-Type", "Cache-Control", "Location")

NOT_FIRST_ANSWERS = ("idempotency-key-reused", "request-under-way")
"""Refusals that speak of the key, not of the request under it."""


class IdempotencyKeys:
    """The keys of all apps. A key belongs to one app and one kind of request."""

    def __init__(self, answers: FirstAnswers, duplicates: Tally) -> None:
        self._answers, self._duplicates = answers, duplicates
        self._under_way: set[tuple[str, str]] = set()

    async def answer(self, kind: str, read: tuple[Any, ...], produce: Callable[[], Awaitable[Response]]) -> Response:
        """The answer to this request of that kind: made by `produce`, or the first one if its key was used before.

        `read` is what was read of the request. Raises `Problem`: 400 for a key that is none, 422 for a key of another
        request, 409 while the first request under this key is under way.
        """
        key = idempotency_key()
        if key is None:
            return await produce()
        owner = principal().name, f"{kind}/{key}"
        if owner in self._under_way:
            message = "The first request under this Idempotency-Key is under way: ask again shortly."
            raise Problem(409, "request-under-way", message, headers={"Retry-After": "1"})
        self._under_way.add(owner)
        try:
            answer = await self._answer_once(*owner, _digest(read), produce)
        finally:
            self._under_way.discard(owner)
        if REPLAYED in answer.headers:
            self._duplicates.add("app", kind)
        return answer

    async def _answer_once(
        self, app: str, key: str, digest: bytes, produce: Callable[[], Awaitable[Response]]
    ) -> Response:
        first = await self._answers.find(app, key)
        if first is None:
            return await self._first_answer(app, key, digest, produce)
        if first.request != digest:
            message = "This Idempotency-Key was used for another request: take a fresh one."
            raise Problem(422, "idempotency-key-reused", message)
        return Response(first.body, first.status, {**first.headers, REPLAYED: "true"})

    async def _first_answer(
        self, app: str, key: str, digest: bytes, produce: Callable[[], Awaitable[Response]]
    ) -> Response:
        try:
            response = await produce()
        except (Problem, Refused) as no:
            problem = report(no)
            response = problem_response(problem)
            if not _is_definite(problem):
                return response
        headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
        headers[CORRELATION_HEADER] = correlation_id() or ""  # leads to the log of what was done
        body = await response.get_data(as_text=False)
        first = FirstAnswer(request=digest, status=response.status_code, headers=headers, body=body)
        self._answers.keep(app, key, first)
        return response


def idempotency_key() -> str | None:
    """The request's Idempotency-Key. Raises `Problem` 400 when it is not 1 to 200 visible ASCII characters."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not KEY.fullmatch(key):
        raise Problem(400, "invalid-idempotency-key", "An Idempotency-Key is 1 to 200 visible ASCII characters.")
    return key


def _is_definite(problem: Problem) -> bool:
    """Whether asking again could only get the same: not what was busy, slow or down, nor what speaks of the key."""
    transient = problem.status >= 500 or problem.status in (408, 425, 429)
    return not transient and problem.kind not in NOT_FIRST_ANSWERS


def _digest(read: tuple[Any, ...]) -> bytes:
    """What makes two requests the same: method, path and what was read of them; white space in a body does not."""
    return sha256(msgspec.msgpack.encode((request.method, request.path, read))).digest()
