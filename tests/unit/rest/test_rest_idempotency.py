"""Idempotency-Key: the first answer again, byte for byte; another request refused; nothing done twice."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import trio

from statecharts.ports import AuthorizationRequest, Principal, TransactionView
from statecharts.vocabulary import refused
from tests.unit.rest.fakes import READY, FakeApps, World

AUTHORIZATIONS = "/api/v1/authorizations"
ASKED = {"user_identifier": "alice", "destination": "IE-001", "local_service_identifier": "DEMO_001"}
KEY = {"Idempotency-Key": "key-1"}
KEPT = ("Content-Type", "Location", "X-Correlation-ID", "Cache-Control")


async def shown(response: Any) -> tuple[Any, ...]:
    return response.status_code, await response.get_data(), *(response.headers.get(name) for name in KEPT)


async def test_the_first_answer_is_given_again_byte_for_byte_and_nothing_is_done_again() -> None:
    world = World()
    first = await world.ask("POST", AUTHORIZATIONS, json=ASKED, headers=KEY)
    world.apps.change("tx-1", state="TxRunning")
    again = await world.ask("POST", AUTHORIZATIONS, json=ASKED, headers=KEY)
    assert await shown(again) == await shown(first)
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(world.apps.asked) == 1


async def test_the_same_fields_written_otherwise_are_the_same_request() -> None:
    world = World()
    await world.ask("POST", AUTHORIZATIONS, json=ASKED, headers=KEY)
    spelled = msgspec.json.format(msgspec.json.encode({**dict(reversed(ASKED.items())), "connector_identifier": None}))
    headers = KEY | {"Content-Type": "application/json"}
    again = await world.ask("POST", AUTHORIZATIONS, data=spelled, headers=headers)
    assert again.headers["Idempotency-Replayed"] == "true"


async def test_another_request_under_the_key_is_a_422_and_the_first_answer_stays() -> None:
    world = World()
    await world.ask("POST", AUTHORIZATIONS, json=ASKED, headers=KEY)
    other = await world.ask("POST", AUTHORIZATIONS, json=ASKED | {"user_identifier": "bob"}, headers=KEY)
    assert other.status_code == 422
    assert msgspec.json.decode(await other.get_data())["kind"] == "idempotency-key-reused"
    assert (await world.ask("POST", AUTHORIZATIONS, json=ASKED, headers=KEY)).status_code == 201
    assert len(world.apps.asked) == 1


async def test_a_key_belongs_to_one_app_and_one_kind_of_request() -> None:
    world = World(READY)
    for path in ("start", "stop"):
        response = await world.ask("POST", f"/api/v1/transactions/tx-1/{path}", headers=KEY)
        assert "Idempotency-Replayed" not in response.headers
    for token in ("app-token", "operator-token"):
        response = await world.ask("POST", AUTHORIZATIONS, json=ASKED, headers=KEY, token=token)
        assert "Idempotency-Replayed" not in response.headers
    assert {app for app, _ in world.answers.kept} == {"app", "operator"}


async def test_a_refusal_for_good_is_a_first_answer_too() -> None:
    world = World()
    busy = ASKED | {"local_service_identifier": "BUSY"}
    first = await world.ask("POST", AUTHORIZATIONS, json=busy, headers=KEY)
    again = await world.ask("POST", AUTHORIZATIONS, json=busy, headers=KEY)
    assert first.status_code == 409
    assert await shown(again) == await shown(first)
    assert len(world.apps.asked) == 1


@pytest.mark.parametrize(
    ("code", "kind"),
    [(503, "busy"), (503, "store-unavailable"), (504, "peer-unanswered"), (429, "peer-refused"),
     (408, "peer-refused"), (500, "internal-error"), (422, "idempotency-key-reused")],
)  # fmt: skip
async def test_what_may_be_answered_otherwise_next_time_is_asked_again(code: int, kind: str) -> None:
    world = World()
    world.apps.fails_with = refused(code, kind, "not now")
    assert (await world.ask("POST", AUTHORIZATIONS, json=ASKED, headers=KEY)).status_code == code
    world.apps.fails_with = None
    response = await world.ask("POST", AUTHORIZATIONS, json=ASKED, headers=KEY)
    assert response.status_code == 201
    assert "Idempotency-Replayed" not in response.headers


async def test_a_request_that_does_not_fit_uses_up_no_key() -> None:
    world = World()
    assert (await world.ask("POST", AUTHORIZATIONS, json={}, headers=KEY)).status_code == 400
    assert (await world.ask("POST", AUTHORIZATIONS, json=ASKED, headers=KEY)).status_code == 201


class SlowApps(FakeApps):
    """Answers an authorisation only once `go` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.go, self.entered = trio.Event(), trio.Event()

    async def authorize(self, principal: Principal, request: AuthorizationRequest) -> TransactionView:
        self.entered.set()
        await self.go.wait()
        return await super().authorize(principal, request)


async def test_while_the_first_is_under_way_the_next_is_told_to_come_back() -> None:
    world, apps = World(), SlowApps()
    world.apps.authorize = apps.authorize  # type: ignore[method-assign]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: world.ask("POST", AUTHORIZATIONS, json=ASKED, headers=KEY))
        await apps.entered.wait()
        second = await world.ask("POST", AUTHORIZATIONS, json=ASKED, headers=KEY)
        assert (second.status_code, second.headers["Retry-After"]) == (409, "1")
        assert msgspec.json.decode(await second.get_data())["kind"] == "request-under-way"
        apps.go.set()
    third = await world.ask("POST", AUTHORIZATIONS, json=ASKED, headers=KEY)
    assert (third.status_code, third.headers["Idempotency-Replayed"]) == (201, "true")
    assert len(apps.asked) == 1


async def test_a_client_that_hangs_up_frees_its_key() -> None:
    world, apps = World(), SlowApps()
    world.apps.authorize = apps.authorize  # type: ignore[method-assign]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: world.ask("POST", AUTHORIZATIONS, json=ASKED, headers=KEY))
        await apps.entered.wait()
        nursery.cancel_scope.cancel()
    apps.go.set()
    assert (await world.ask("POST", AUTHORIZATIONS, json=ASKED, headers=KEY)).status_code == 201


COMMANDS = "/api/v1/operator/stations/CS01/commands"


async def test_a_command_to_a_station_is_given_once_under_its_key() -> None:
    world = World()
    reset = {"command": "Reset", "kind": "Soft"}
    first = await world.ask("POST", COMMANDS, json=reset, headers=KEY, token="operator-token")
    again = await world.ask("POST", COMMANDS, json=reset, headers=KEY, token="operator-token")
    other = await world.ask("POST", COMMANDS, json={"command": "ClearCache"}, headers=KEY, token="operator-token")
    assert (first.status_code, other.status_code) == (202, 422)
    assert await shown(again) == await shown(first)
    assert again.headers["Idempotency-Replayed"] == "true"
