"""Bearer tokens (RFC 6750): who speaks, and how often an address may be wrong about it."""

from __future__ import annotations

import re
from collections import OrderedDict
from functools import partial

import trio
from quart import Blueprint, g, request
from quart_trio.wrappers import TrioResponse as Response

from protocols.rest.limits import RateLimiter
from protocols.rest.problems import Problem
from protocols.rest.recorded import CHANGES_NOTHING, Recorder
from statecharts.bounds import FAILING_ADDRESSES, Watermarks
from statecharts.limits import WRONG_TOKENS
from statecharts.ports import Principal, Rank, Tokens

FAILURE_WINDOW_S = 60.0
TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{1,512}=*")
"""RFC 6750 section 2.1, b64token; what is none is not worth looking up."""

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="roamnode"'}
WRONG_TOKEN = {"WWW-Authenticate": 'Bearer realm="roamnode", error="invalid_token"'}


class FailureLimiter:
    """Counts failures per address in windows of `FAILURE_WINDOW_S`; remembers the latest addresses only."""

    def __init__(self, watermarks: Watermarks, limit: int = WRONG_TOKENS.limit) -> None:
        self._watermarks, self._limit = watermarks, limit
        self._windows: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def left_s(self, address: str) -> float:
        """Seconds until the window of this address ends, where it has failed as often as it may; else 0."""
        now = trio.current_time()
        began, failures = self._windows.get(address, (now, 0))
        return max(0.0, began + FAILURE_WINDOW_S - now) if failures >= self._limit else 0.0

    def wait_s(self, address: str) -> float:
        """Counts one failure; 0 while the address is within its limit, else the seconds until its window ends."""
        now = trio.current_time()
        began, failures = self._windows.pop(address, (now, 0))
        if now - began >= FAILURE_WINDOW_S:
            began, failures = now, 0
        self._windows[address] = (began, failures + 1)
        self._watermarks.saw(FAILING_ADDRESSES, len(self._windows))
        if len(self._windows) > FAILING_ADDRESSES.limit:
            self._windows.popitem(last=False)
        return began + FAILURE_WINDOW_S - now if failures >= self._limit else 0.0


class BearerAuth:
    """Checks the tokens of the blueprints that it guards; the principal is then at `principal()`.

    Failures count against an address, and never keep a known token out: tokens are random and long, so that limit is
    there against floods, and a stranger behind the same proxy must not lock an app out. What a known token asks counts
    against itself; an operator is not limited, least of all when an app goes wild.
    """

    def __init__(self, tokens: Tokens, limiter: RateLimiter, watermarks: Watermarks) -> None:
        self._tokens = tokens
        self._limiter = limiter
        self._failures = FailureLimiter(watermarks)

    def guard(self, blueprint: Blueprint, *, operators_only: bool, recorder: Recorder | None = None) -> None:
        """Lets in only who has a token (an operator's), before anything else is done: 401, 403 or 429.

        Whoever has a token is told to the recorder, also who is not let in with it.
        """
        blueprint.before_request(partial(self._operator, recorder) if operators_only else self._anybody)
        blueprint.after_request(_tell_rate)
        if recorder is not None:
            blueprint.after_request(recorder.answered)

    async def _anybody(self) -> None:
        g.principal = self._authenticated()
        if not g.principal.operator:
            self._spend(g.principal.name)

    async def _operator(self, recorder: Recorder | None) -> None:
        g.principal = self._authenticated()
        if not g.principal.operator:
            self._spend(g.principal.name)  # an app that knocks without end must not fill the audit log
        if recorder is not None:
            await recorder.entered(g.principal, address_of_client())
        if not g.principal.operator:
            raise Problem(403, "operators-only", "This needs an operator's token.")
        if g.principal.rank is Rank.VIEWER and request.method not in CHANGES_NOTHING:
            raise Problem(403, "viewers-only-look", "This token may look, and not change anything.")

    def _spend(self, name: str) -> None:
        allowance = self._limiter.take(name)
        g.rate_headers = self._limiter.headers(allowance)
        if allowance.wait_s:
            raise Problem(429, "too-many-requests", "This token asks too often: wait as long as Retry-After says.")

    def _authenticated(self) -> Principal:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if not token or scheme.lower() != "bearer":
            raise Problem(401, "token-missing", "Send `Authorization: Bearer <token>`.", headers=CHALLENGE)
        found = self._tokens.principal(token) if TOKEN.fullmatch(token) else None
        if found is None:
            raise self._wrong_token()
        return found

    def _wrong_token(self) -> Problem:
        wait_s = self._failures.wait_s(address_of_client())
        if wait_s:
            headers = {"Retry-After": str(int(wait_s) + 1)}
            return Problem(429, "too-many-failures", "Too many wrong tokens from this address.", headers=headers)
        return Problem(401, "token-unknown", "This token is not known here.", headers=WRONG_TOKEN)


async def _tell_rate(response: Response) -> Response:
    response.headers.update(g.get("rate_headers", {}))
    return response


def principal() -> Principal:
    """Who sent this request; set by the blueprint's check."""
    found: Principal = g.principal
    return found


def address_of_client() -> str:
    """The other end of the connection; forwarding headers are not believed."""
    client = request.scope.get("client")
    return client[0] if client else ""
