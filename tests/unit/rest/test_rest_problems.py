"""Every error has its RFC 9457 document, its correlation id and one line in the log; no body gives a 500."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from protocols.http import BODY_BYTES_MAX
from protocols.rest.app import make_bare_app
from protocols.rest.auth import FAILURE_WINDOW_S, FailureLimiter
from statecharts import bounds
from statecharts.bounds import Watermarks
from statecharts.limits import WRONG_TOKENS
from statecharts.meters import Meters
from statecharts.vocabulary import refused
from tests.unit.rest.fakes import READY, World

AUTHORIZATIONS = "/api/v1/authorizations"
ASKED = {"user_identifier": "alice", "destination": "IE-001", "local_service_identifier": "DEMO_001"}
JSON = {"Content-Type": "application/json"}


async def problem_of(response: Any) -> Any:
    assert response.content_type == "application/problem+json"
    problem = msgspec.json.decode(await response.get_data())
    assert problem["status"] == response.status_code
    assert problem["correlation_id"] == response.headers["X-Correlation-ID"]
    return problem


async def test_a_refusal_becomes_a_problem_with_its_kind() -> None:
    response = await World().ask("POST", AUTHORIZATIONS, json=ASKED | {"local_service_identifier": "BUSY"})
    assert await problem_of(response) == {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "kind": "peer-refused",
        "detail": "the connector is in use",
        "instance": AUTHORIZATIONS,
        "correlation_id": "made-1",
    }


@pytest.mark.parametrize(("code", "status"), [(401, 403), (407, 403), (404, 404), (503, 503), (0, 502), (200, 502)])
async def test_a_peer_s_refusal_never_asks_the_app_for_its_own_credentials(code: int, status: int) -> None:
    world = World()
    world.apps.fails_with = refused(code, "peer-refused", "no")
    assert (await world.ask("POST", AUTHORIZATIONS, json=ASKED)).status_code == status


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "malformed-json"),
        (b"{", "malformed-json"),
        (b'{"user_identifier": "\xff"}', "not-utf-8"),
        (b"[" * 200_000, "invalid-request"),
        (b'{"user_identifier": ' + b"[" * 200_000, "invalid-request"),
        (b'{"x": ' + b"[" * 200_000, "invalid-request"),
        (b'{"user_identifier": ' + b"9" * 100_000 + b"}", "invalid-request"),
        (b'{"user_identifier": "\\ud800"}', "malformed-json"),
        (b"null", "invalid-request"),
        (b"{}", "invalid-request"),
    ],
)
async def test_a_body_that_cannot_be_read_is_a_400(data: bytes, kind: str) -> None:
    response = await World().ask("POST", AUTHORIZATIONS, data=data, headers=JSON)
    assert response.status_code == 400
    assert (await problem_of(response))["kind"] in (kind, "malformed-json")


@pytest.mark.parametrize(
    ("changed", "field", "reason"),
    [
        ({"user_identifier": 1}, "user_identifier", "Expected `str`, got `int`"),
        ({"user_identifier": ""}, "user_identifier", "length >= 1"),
        ({"user_identifier": "a\x00b"}, "user_identifier", "matching regex"),
        ({"user_identifier": "alice\n"}, "user_identifier", "matching regex"),
        ({"user_identifier": "x" * 65}, "user_identifier", "length <= 64"),
        ({"service_type": "SWIMMING"}, "service_type", "'SWIMMING' is none of EV_CHARGING, PARKING"),
        ({"unknown": 1}, "unknown", "is not known here"),
    ],
)
async def test_a_field_that_does_not_fit_is_named_with_the_reason(
    changed: dict[str, Any], field: str, reason: str
) -> None:
    world = World()
    [error] = (await problem_of(await world.ask("POST", AUTHORIZATIONS, json=ASKED | changed)))["errors"]
    assert error["field"] == field
    assert reason in error["reason"]
    assert world.apps.asked == []


async def test_a_missing_field_is_named() -> None:
    response = await World().ask("POST", AUTHORIZATIONS, json={"user_identifier": "alice"})
    assert (await problem_of(response))["errors"] == [{"field": "destination", "reason": "is missing"}]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("latitude=91&longitude=0&radius_m=1", "latitude"),
        ("latitude=NaN&longitude=0&radius_m=1", "latitude"),
        ("latitude=0&longitude=Infinity&radius_m=1", "longitude"),
        ("latitude=0&longitude=x&radius_m=1", "longitude"),
        ("latitude=0&longitude=0&radius_m=0", "radius_m"),
        ("latitude=0&longitude=0&radius_m=1.5", "radius_m"),
        ("latitude=0&longitude=0", "radius_m"),
        ("latitude=0&longitude=0&radius_m=1&service_type=EV_CHARGING&service_type=x", "service_type[1]"),
        ("latitude=0&longitude=0&radius_m=1&destination=%00", "destination[0]"),
    ],
)
async def test_a_query_that_does_not_fit_names_the_field(query: str, field: str) -> None:
    response = await World().ask("GET", f"/api/v1/local-services?{query}")
    assert response.status_code == 400
    [error] = (await problem_of(response))["errors"]
    assert error["field"].replace("...", field[-2:-1]) == field


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "state=Flying", "cursor=", "typo=1"])
async def test_a_list_query_that_does_not_fit_is_a_400(query: str) -> None:
    assert (await World().ask("GET", f"/api/v1/transactions?{query}")).status_code == 400


async def test_an_oversized_body_is_a_413_and_one_at_the_limit_is_read() -> None:
    world = World()
    fits = msgspec.json.encode(ASKED).ljust(BODY_BYTES_MAX)
    assert (await world.ask("POST", AUTHORIZATIONS, data=fits, headers=JSON)).status_code == 201
    response = await world.ask("POST", AUTHORIZATIONS, data=fits + b" ", headers=JSON)
    assert response.status_code == 413
    assert (await problem_of(response))["detail"] == f"The body is longer than {BODY_BYTES_MAX} bytes."


async def test_another_media_type_is_a_415() -> None:
    for headers in ({}, {"Content-Type": "text/xml"}):
        response = await World().ask("POST", AUTHORIZATIONS, data="{}", headers=headers)
        assert (await problem_of(response))["kind"] == "unsupported-media-type"


async def test_a_wrong_method_says_which_are_allowed() -> None:
    response = await World().ask("DELETE", AUTHORIZATIONS)
    assert response.status_code == 405
    assert "POST" in response.headers["Allow"]
    await problem_of(response)


@pytest.mark.parametrize("path", ["/nowhere", "/api/v1/transactions/a%00b", "/api/v1/transactions/" + "x" * 65])
async def test_an_unknown_path_is_a_404_problem(path: str) -> None:
    world = World()
    assert (await problem_of(await world.ask("GET", path)))["status"] == 404
    assert world.apps.asked == []


async def test_an_unforeseen_error_says_nothing_and_is_logged_once_with_its_correlation_id() -> None:
    world = World()
    world.apps.fails_with = RuntimeError("secret")
    with capture_logs() as lines:
        response = await world.ask("POST", AUTHORIZATIONS, json=ASKED, headers={"X-Correlation-ID": "app-7"})
    assert response.status_code == 500
    assert b"secret" not in await response.get_data()
    assert (await problem_of(response))["correlation_id"] == "app-7"
    assert [(line["event"], line["log_level"]) for line in lines] == [("rest.request_failed", "error")]


async def test_an_error_of_an_actor_has_the_same_kind_and_no_second_traceback_in_the_log() -> None:
    world = World()
    world.apps.fails_with = refused(500, "internal-error", "an internal error")
    with capture_logs() as lines:
        response = await world.ask("POST", AUTHORIZATIONS, json=ASKED)
    assert (response.status_code, (await problem_of(response))["kind"]) == (500, "internal-error")
    assert [(line["event"], line["log_level"]) for line in lines] == [("rest.request_refused", "info")]


async def test_an_error_out_of_a_handler_s_nursery_is_a_problem_too() -> None:
    world = World()
    world.apps.fails_with = ExceptionGroup("", [refused(409, "connector-busy", "busy")])
    assert (await world.ask("POST", AUTHORIZATIONS, json=ASKED)).status_code == 409


async def test_a_refusal_is_logged_once() -> None:
    with capture_logs() as lines:
        await World().ask("POST", AUTHORIZATIONS, json=ASKED | {"local_service_identifier": "BUSY"})
    assert [(line["event"], line["kind"]) for line in lines] == [("rest.request_refused", "peer-refused")]


@pytest.mark.parametrize("unfit", ["", "a b", "x" * 65, "é"])
async def test_a_correlation_id_that_is_unfit_is_replaced(unfit: str) -> None:
    response = await World().ask("GET", "/health", headers={"X-Correlation-ID": unfit})
    assert response.headers["X-Correlation-ID"] == "made-1"


async def test_a_service_on_the_same_app_keeps_its_own_correlation_id() -> None:
    world = World()

    @world.app.get("/services/other")
    async def other() -> tuple[str, dict[str, str]]:
        return "", {"X-Correlation-ID": "its-own"}

    assert (await world.ask("GET", "/services/other")).headers["X-Correlation-ID"] == "its-own"


async def test_doubled_slashes_are_redirected() -> None:
    response = await World().ask("GET", "/api//v1/transactions")
    assert response.status_code == 308
    assert response.headers["Location"].endswith("/api/v1/transactions")


async def test_an_idempotency_key_that_is_unfit_is_a_400() -> None:
    for unfit in ("", "a b", "x" * 201):
        response = await World().ask("POST", AUTHORIZATIONS, json=ASKED, headers={"Idempotency-Key": unfit})
        assert (await problem_of(response))["kind"] == "invalid-idempotency-key"


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        (None, "token-missing"),
        ("", "token-missing"),
        ("Basic YTpi", "token-missing"),
        ("Bearer", "token-missing"),
        ("Bearer wrong", "token-unknown"),
        ("Bearer app-tokén", "token-unknown"),
        ("Bearer app-token app-token", "token-unknown"),
        ("Bearer " + "x" * 5000, "token-unknown"),
    ],
)
async def test_without_a_known_token_the_answer_is_a_401_with_a_challenge(header: str | None, kind: str) -> None:
    headers = {} if header is None else {"Authorization": header}
    response = await World(READY).ask("GET", "/api/v1/transactions/tx-1", token=None, headers=headers)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer ")
    assert (await problem_of(response))["kind"] == kind


async def test_an_unauthenticated_body_is_not_read() -> None:
    assert (await World().ask("POST", AUTHORIZATIONS, token=None, data=b"{", headers=JSON)).status_code == 401


async def test_wrong_tokens_are_limited_per_address_and_a_known_one_still_passes() -> None:
    world = World(READY)
    statuses = [
        (await world.ask("GET", "/api/v1/transactions", token="wrong")).status_code
        for _ in range(WRONG_TOKENS.limit + 1)
    ]
    assert statuses == [401] * WRONG_TOKENS.limit + [429]
    limited = await world.ask("GET", "/api/v1/transactions", token="wrong")
    assert 1 <= int(limited.headers["Retry-After"]) <= FAILURE_WINDOW_S + 1
    assert (await world.ask("GET", "/api/v1/transactions")).status_code == 200


async def test_the_limit_ends_with_its_window(autojump_clock: trio.testing.MockClock) -> None:
    limiter = FailureLimiter(Watermarks())
    assert [limiter.wait_s("a") > 0 for _ in range(WRONG_TOKENS.limit + 1)] == [False] * WRONG_TOKENS.limit + [True]
    assert limiter.wait_s("b") == 0
    autojump_clock.jump(FAILURE_WINDOW_S)
    assert limiter.wait_s("a") == 0


async def test_the_table_of_addresses_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    small = msgspec.structs.replace(bounds.FAILING_ADDRESSES, limit=2)
    monkeypatch.setattr("protocols.rest.auth.FAILING_ADDRESSES", small)
    limiter = FailureLimiter(Watermarks())
    for address in "abc":
        limiter.wait_s(address)
    assert len(limiter._windows) == 2


async def test_health_says_when_the_node_drains() -> None:
    world = World()
    response = await world.ask("GET", "/health", token=None)
    assert msgspec.json.decode(await response.get_data()) == {"status": "ok", "version": "1.2.3", "reasons": []}
    world.draining.set()
    assert (await world.ask("GET", "/health", token=None)).status_code == 503


PATHS = [
    AUTHORIZATIONS,
    "/rest/mobieurope/source/sv1/authorize",
    "/rest/mobieurope/source/sv1/requestStartTransaction",
    "/rest/mobieurope/source/sv1/session",
    "/rest/mobieurope/source/sv1/getLocalServicesList",
    "/api/v1/operator/stations/CS01/commands",
    "/api/v1/operator/stations/CS01/transactions",
]
V1_FIELDS = ["user_identifier", "destination", "local_service_identifier", "service_type", "connector_id", "id_tag"]
SV1_FIELDS = ["userIdentifier", "localServiceIdentifier", "authorizationIdentifier", "location", "searchRadius"]
FIELDS = st.sampled_from([*V1_FIELDS, *SV1_FIELDS, "latitude", "longitude", "command", "kind", "keys"])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["Reset", "GetConfiguration", "EV_CHARGING", "0A1B2C3D4E5F", "1e999999", "-0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=5),
    max_leaves=8,
)
BODIES = st.binary(max_size=60) | st.dictionaries(FIELDS, VALUES, max_size=8).map(msgspec.json.encode)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(path=st.sampled_from(PATHS), data=BODIES)
async def test_no_body_gives_a_500(path: str, data: bytes) -> None:
    response = await World(READY).ask("POST", path, token="operator-token", data=data, headers=JSON)
    assert response.status_code < 500


@settings(max_examples=100, deadline=None)
@given(
    path=st.sampled_from(["/api/v1/transactions", "/api/v1/local-services", "/api/v1/operator/cdrs"]),
    query=st.dictionaries(
        st.sampled_from(["limit", "state", "cursor", "latitude", "longitude", "radius_m"]), st.text()
    ),
)
async def test_no_query_gives_a_500(path: str, query: dict[str, str]) -> None:
    client = World(READY).app.test_client()
    response = await client.get(path, query_string=query, headers={"Authorization": "Bearer operator-token"})
    assert response.status_code < 500


async def test_a_listener_of_its_own_for_partners_has_problem_documents_too():
    response = await make_bare_app("peers", lambda: "c-1", Meters()).test_client().get("/nothing")
    assert (response.status_code, response.content_type) == (404, "application/problem+json")
    assert response.headers["X-Correlation-ID"] == "c-1"
