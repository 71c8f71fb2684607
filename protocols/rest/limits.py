"""How much one token may ask: requests by a token bucket, event streams by their number."""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import trio

from protocols.rest.problems import Problem
from statecharts.bounds import EVENT_STREAMS, EVENT_STREAMS_PER_TOKEN, RATE_LIMITED_TOKENS, Watermarks


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of a bucket: whole requests now, seconds until it is full, seconds to wait if nothing is left."""

    remaining: int
    full_in_s: float
    wait_s: float


class RateLimiter:
    """A bucket of `burst` requests per token, refilled by `requests_per_s`.

    Remembers the `RATE_LIMITED_TOKENS` tokens used last; one that was forgotten begins with a full bucket.
    """

    def __init__(self, requests_per_s: float, burst: int, watermarks: Watermarks) -> None:
        self.requests_per_s, self.burst = requests_per_s, burst
        self._watermarks = watermarks
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> Allowance:
        """Takes one request out of this token's bucket if there is one."""
        now = trio.current_time()
        left, at = self._buckets.pop(name, (float(self.burst), now))
        left = min(float(self.burst), left + (now - at) * self.requests_per_s)
        wait_s = 0.0 if left >= 1 else (1 - left) / self.requests_per_s
        left -= wait_s == 0
        self._buckets[name] = left, now
        self._watermarks.saw(RATE_LIMITED_TOKENS, len(self._buckets))
        if len(self._buckets) > RATE_LIMITED_TOKENS.limit:
            self._buckets.popitem(last=False)
        return Allowance(int(left), (self.burst - left) / self.requests_per_s, wait_s)

    def headers(self, allowance: Allowance) -> dict[str, str]:
        """How an answer tells of it (draft-ietf-httpapi-ratelimit-headers): `q` in `w` s, `r` left, `t` s to full."""
        window_s = math.ceil(self.burst / self.requests_per_s)
        headers = {
            "RateLimit-Policy": f'"token";q={self.burst};w={window_s}',
            "RateLimit": f'"token";r={allowance.remaining};t={math.ceil(allowance.full_in_s)}',
        }
        return headers | ({"Retry-After": str(math.ceil(allowance.wait_s))} if allowance.wait_s else {})


class StreamLimiter:
    """Counts the event streams that each token has open, and all of them, of which there may be `streams_max`."""

    def __init__(self, streams_max: int, watermarks: Watermarks) -> None:
        self._streams_max, self._watermarks = streams_max, watermarks
        watermarks.limit(EVENT_STREAMS, streams_max)
        self._count = 0
        self._open: Counter[str] = Counter()

    @contextmanager
    def counted(self, name: str) -> Iterator[None]:
        """One stream of this token, for as long as the block lasts."""
        self._open[name] += 1
        self._count += 1
        self._watermarks.saw(EVENT_STREAMS_PER_TOKEN, self._open[name])
        self._watermarks.saw(EVENT_STREAMS, self._count)
        try:
            yield
        finally:
            self._count -= 1
            self._open[name] -= 1
            if not self._open[name]:
                del self._open[name]

    def check(self, name: str) -> None:
        """Raises `Problem`: 429 for a token that has as many streams as it may, 503 where there is no room left."""
        if self._open[name] >= EVENT_STREAMS_PER_TOKEN.limit:
            message = f"This token has {EVENT_STREAMS_PER_TOKEN.limit} event streams open: close one."
            raise Problem(429, "too-many-streams", message, headers={"Retry-After": "5"})
        if self._count >= self._streams_max:
            message = "As many event streams are open as this node has room for."
            raise Problem(503, "busy", message, headers={"Retry-After": "5"})
