"""Bearer tokens (RFC 6750): who speaks, and how often an address may be wrong about it."""

from __future__ import annotations

import re
from collections import OrderedDict

import trio
from quart import g, request

from protocols.rest.problems import Problem
from statecharts.ports import Principal, Tokens

FAILURES_MAX = 20
"""Wrong tokens an address may send within `FAILURE_WINDOW_S`; then it is answered 429 instead of 401."""

FAILURE_WINDOW_S = 60.0
ADDRESSES_MAX = 10_000
TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{1,512}=*")
"""RFC 6750 section 2.1, b64token; what is none is not worth looking up."""

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="roamnode"'}
WRONG_TOKEN = {"WWW-Authenticate": 'Bearer realm="roamnode", error="invalid_token"'}


class FailureLimiter:
    """Counts failures per address in windows of `FAILURE_WINDOW_S`; remembers the latest `ADDRESSES_MAX` addresses."""

    def __init__(self) -> None:
        self._windows: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def wait_s(self, address: str) -> float:
        """Counts one failure; 0 while the address is within its limit, else the seconds until its window ends."""
        now = trio.current_time()
        began, failures = self._windows.pop(address, (now, 0))
        if now - began >= FAILURE_WINDOW_S:
            began, failures = now, 0
        self._windows[address] = (began, failures + 1)
        if len(self._windows) > ADDRESSES_MAX:
            self._windows.popitem(last=False)
        return began + FAILURE_WINDOW_S - now if failures >= FAILURES_MAX else 0.0


class BearerAuth:
    """Checks the tokens of blueprints: `before_request(auth.app)` or `before_request(auth.operator)`.

    The principal is then at `principal()`. A known token is never limited: tokens are random and long, so the limit
    is there against floods, and a stranger behind the same proxy must not lock an app out.
    """

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._failures = FailureLimiter()

    async def app(self) -> None:
        """Lets in whoever has a token. Raises `Problem` 401 or 429."""
        g.principal = self._authenticated()

    async def operator(self) -> None:
        """Lets in operators. Raises `Problem` 401, 429, or 403 for an app."""
        g.principal = self._authenticated()
        if not g.principal.operator:
            raise Problem(403, "operators-only", "This needs an operator's token.")

    def _authenticated(self) -> Principal:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if not token or scheme.lower() != "bearer":
            raise Problem(401, "token-missing", "Send `Authorization: Bearer <token>`.", headers=CHALLENGE)
        found = self._tokens.principal(token) if TOKEN.fullmatch(token) else None
        if found is None:
            raise self._wrong_token()
        return found

    def _wrong_token(self) -> Problem:
        wait_s = self._failures.wait_s(_address())
        if wait_s:
            headers = {"Retry-After": str(int(wait_s) + 1)}
            return Problem(429, "too-many-failures", "Too many wrong tokens from this address.", headers=headers)
        return Problem(401, "token-unknown", "This token is not known here.", headers=WRONG_TOKEN)


def principal() -> Principal:
    """Who sent this request; set by the blueprint's check."""
    found: Principal = g.principal
    return found


def _address() -> str:
    """The other end of the connection; forwarding headers are not believed."""
    client = request.scope.get("client")
    return client[0] if client else ""
