"""How much a token may ask, how many streams it may have, and which pages may ask at all."""

from __future__ import annotations

import math

import msgspec
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from protocols.rest.limits import RateLimiter, StreamLimiter
from protocols.rest.problems import Problem
from statecharts import bounds
from statecharts.bounds import EVENT_STREAMS_PER_TOKEN, RATE_LIMITED_TOKENS, Watermarks
from tests.unit.rest.fakes import READY, World

LIST = "/api/v1/transactions"


async def test_a_token_that_asks_too_often_is_told_when_to_come_back_before_anything_is_done(
    autojump_clock: MockClock,
) -> None:
    world = World(READY, requests_per_s=2, burst=3)
    answers = [await world.ask("GET", LIST) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["RateLimit"] for answer in answers] == [f'"token";r={r};t={t}' for r, t in
                                                                   ((2, 1), (1, 1), (0, 2), (0, 2))]  # fmt: skip
    assert {answer.headers["RateLimit-Policy"] for answer in answers} == {'"token";q=3;w=2'}
    assert answers[-1].headers["Retry-After"] == "1"
    assert msgspec.json.decode(await answers[-1].get_data())["kind"] == "too-many-requests"
    assert len(world.apps.asked) == 3
    await trio.sleep(0.5)
    assert (await world.ask("GET", LIST)).status_code == 200
    assert (await world.ask("GET", LIST)).status_code == 429


async def test_one_token_uses_up_no_other_and_operators_are_not_limited(mock_clock: object) -> None:
    world = World(READY, requests_per_s=1, burst=1)
    assert [(await world.ask("GET", LIST)).status_code for _ in range(2)] == [200, 429]
    assert (await world.ask("GET", LIST, token="other-token")).status_code == 200
    operator = [await world.ask("GET", LIST, token="operator-token") for _ in range(5)]
    assert {answer.status_code for answer in operator} == {200}
    assert "RateLimit" not in operator[0].headers


async def test_sv1_is_limited_alike_in_its_own_shape(mock_clock: object) -> None:
    world = World(READY, requests_per_s=1, burst=1)
    path = "/rest/mobieurope/source/sv1/session"
    statuses = [await world.ask("POST", path, data="0A1B2C3D4E5F") for _ in range(2)]
    assert [answer.status_code for answer in statuses] == [200, 429]
    assert "responseError" in msgspec.json.decode(await statuses[1].get_data())
    assert statuses[1].headers["Retry-After"] == "1"


@given(waits=st.lists(st.floats(0, 10), max_size=50), rate=st.floats(0.1, 100), burst=st.integers(1, 20))
async def test_no_more_than_the_burst_and_the_rate_ever_pass(waits: list[float], rate: float, burst: int) -> None:
    clock = MockClock()
    passed = 0

    async def main() -> None:
        nonlocal passed
        limiter = RateLimiter(rate, burst, Watermarks())
        for wait_s in waits:
            clock.jump(wait_s)
            allowance = limiter.take("a")
            passed += allowance.wait_s == 0
            assert 0 <= allowance.remaining <= burst
            if allowance.wait_s:
                assert allowance.wait_s <= 1 / rate + 1e-6

    await trio.to_thread.run_sync(lambda: trio.run(main, clock=clock))
    assert passed <= burst + math.ceil(sum(waits) * rate)


async def test_the_table_of_tokens_is_bounded_and_forgets_the_one_unused_longest(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    monkeypatch.setattr(
        "protocols.rest.limits.RATE_LIMITED_TOKENS", msgspec.structs.replace(RATE_LIMITED_TOKENS, limit=2)
    )
    watermarks = Watermarks()
    limiter = RateLimiter(1, 1, watermarks)
    for name in "abc":
        limiter.take(name)
    assert limiter.take("a").wait_s == 0, "it was forgotten"
    assert limiter.take("c").wait_s > 0
    assert {bound.name: highest for bound, highest, _ in watermarks}["rest_rate_limited_tokens"] == 3


def test_a_token_has_so_many_streams_and_no_more() -> None:
    limiter = StreamLimiter(1_000, Watermarks())
    streams = [limiter.counted("app") for _ in range(EVENT_STREAMS_PER_TOKEN.limit)]
    for stream in streams:
        stream.__enter__()
    limiter.check("other")
    with pytest.raises(Problem) as caught:
        limiter.check("app")
    assert (caught.value.status, caught.value.kind) == (429, "too-many-streams")
    streams[0].__exit__(None, None, None)
    limiter.check("app")


# -- pages of other origins --------------------------------------------------------------------------------------------

ORIGIN = "https://app.example"
PREFLIGHT = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}


async def test_a_page_of_an_allowed_origin_may_ask_and_read_the_headers() -> None:
    world = World(READY, allowed_origins=(ORIGIN,))
    answer = await world.ask("GET", LIST, headers={"Origin": ORIGIN})
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "Link" in answer.headers["Access-Control-Expose-Headers"]
    assert answer.headers["Vary"] == "Origin"
    refused = await world.ask("GET", LIST, headers={"Origin": ORIGIN}, token=None)
    assert (refused.status_code, refused.headers["Access-Control-Allow-Origin"]) == (401, ORIGIN)


async def test_a_preflight_is_answered_without_a_token() -> None:
    world = World(READY, allowed_origins=(ORIGIN,))
    answer = await world.ask("OPTIONS", LIST, headers=PREFLIGHT, token=None)
    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "Idempotency-Key" in answer.headers["Access-Control-Allow-Headers"]
    assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]


@pytest.mark.parametrize("allowed", [(), (ORIGIN,)])
@pytest.mark.parametrize("origin", ["https://other.example", "null", "https://app.example.evil"])
async def test_no_other_page_may(allowed: tuple[str, ...], origin: str) -> None:
    world = World(READY, allowed_origins=allowed)
    for method, headers in (("GET", {"Origin": origin}), ("OPTIONS", PREFLIGHT | {"Origin": origin})):
        answer = await world.ask(method, LIST, headers=headers)
        assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]


async def test_pages_reach_nothing_outside_the_api() -> None:
    world = World(allowed_origins=(ORIGIN,))
    answer = await world.ask("GET", "/health", headers={"Origin": ORIGIN})
    assert "Access-Control-Allow-Origin" not in answer.headers


# -- lists -------------------------------------------------------------------------------------------------------------


async def test_a_page_links_to_the_next_with_what_was_asked() -> None:
    world = World()
    answer = await world.ask("GET", "/api/v1/operator/stations?limit=1&cursor=before", token="operator-token")
    assert answer.headers["Link"] == '</api/v1/operator/stations?limit=1&cursor=more>; rel="next"'
    assert "Link" not in (await world.ask("GET", "/api/v1/operator/cdrs", token="operator-token")).headers


@pytest.mark.parametrize("query", ["state=null", "state=Ready&state=Ready", "limit=null", "limit=1&limit=1"])
async def test_null_is_no_value_and_nothing_is_given_twice(query: str) -> None:
    world = World(READY)
    answer = await world.ask("GET", f"{LIST}?{query}")
    (error,) = msgspec.json.decode(await answer.get_data())["errors"]
    assert (answer.status_code, error["field"]) == (400, query.partition("=")[0])
    assert world.apps.asked == []


async def test_a_user_may_be_called_null() -> None:
    world = World(READY)
    await world.ask("GET", f"{LIST}?user=null")
    assert world.apps.asked == [(None, "null", None, 50)]


def test_the_bounds_of_this_room_stand_on_the_page() -> None:
    named = {bound.name for bound in bounds.BOUNDS}
    assert {"rest_rate_limited_tokens", "rest_event_streams_per_token", "rest_failing_addresses"} <= named
