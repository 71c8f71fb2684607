"""What operators ask for is written down before it is done, and what came of it before they are told."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from statecharts.audit import AuditFilter
from tests.unit.rest.fakes import NOON, World

OPERATOR = "/api/v1/operator"
RESET = {"command": "Reset", "kind": "Soft"}
COMMANDS = f"{OPERATOR}/stations/CS01/commands"


async def asks(
    world: World, method: str = "POST", path: str = COMMANDS, token: str = "operator-token", **more: Any
) -> Any:
    return await world.ask(method, path, token=token, **more)


async def test_a_deed_is_logged_with_who_asked_what_and_how_it_ended() -> None:
    world = World()
    response = await asks(world, json=RESET, headers={"X-Correlation-ID": "mine-1"})
    (deed,) = world.operators.trail.deeds
    assert (deed.by, deed.method, deed.path, deed.correlation_id) == ("operator", "POST", COMMANDS, "mine-1")
    assert deed.route == f"{OPERATOR}/stations/{{identity}}/commands"
    assert (response.status_code, deed.status, deed.problem, deed.answered_at) == (202, 202, None, NOON)
    assert world.operators.trail.bodies == [msgspec.json.encode(RESET)]


@pytest.mark.parametrize(
    ("path", "token", "sent", "status", "problem"),
    [
        (f"{OPERATOR}/stations/CS99/commands", "operator-token", {"json": RESET}, 404, "unknown-station"),
        (COMMANDS, "operator-token", {"json": {"command": "Nonsense"}}, 400, "invalid-request"),
        (COMMANDS, "operator-token", {"data": "x" * 300_000}, 413, "request-entity-too-large"),
        (COMMANDS, "app-token", {"json": RESET}, 403, "operators-only"),
    ],
)
async def test_what_was_refused_is_logged_with_its_kind(
    path: str, token: str, sent: dict[str, Any], status: int, problem: str
) -> None:
    world = World()
    headers = {"Content-Type": "application/json"}
    assert (await asks(world, path=path, token=token, headers=headers, **sent)).status_code == status
    (deed,) = world.operators.trail.deeds
    assert (deed.status, deed.problem) == (status, problem)
    assert world.operators.asked == []


async def test_what_changes_nothing_and_what_nobody_known_asks_is_not_logged() -> None:
    world = World()
    assert (await asks(world, "GET", f"{OPERATOR}/stations")).status_code == 200
    assert (await asks(world, "HEAD", f"{OPERATOR}/stations")).status_code == 200
    assert (await asks(world, token="nobodys-token", json=RESET)).status_code == 401
    assert world.operators.trail.deeds == []


async def test_every_route_of_operators_that_changes_something_is_logged() -> None:
    world = World()
    rules = [rule for rule in world.app.url_map.iter_rules() if rule.rule.startswith(OPERATOR)]
    changing = [rule for rule in rules if not (rule.methods or set()) & {"GET"}]
    values = {"role": "local", "kind": "local", "delivery": 7, "orphan": 1}
    for rule in changing:
        path = rule.build({name: values.get(name, "one") for name in rule.arguments})[1]
        (method,) = (rule.methods or set()) - {"OPTIONS"}
        await asks(world, method, path)
    assert len(changing) > 9
    assert len(world.operators.trail.deeds) == len(changing)
    assert all(deed.status for deed in world.operators.trail.deeds)


async def test_what_cannot_be_logged_is_not_done() -> None:
    world = World()
    world.operators.trail.away = True
    response = await asks(world, json=RESET)
    assert (response.status_code, world.operators.asked) == (503, [])
    assert msgspec.json.decode(await response.get_data())["kind"] == "store-unavailable"


async def test_a_deed_whose_outcome_cannot_be_logged_is_told_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    command = world.operators.operate

    async def then_away(*args: Any, **more: Any) -> Any:
        world.operators.trail.away = True
        return await command(*args, **more)

    monkeypatch.setattr(world.operators, "operate", then_away)
    assert (await asks(world, json=RESET)).status_code == 202
    assert [deed.status for deed in world.operators.trail.deeds] == [None]


async def test_an_app_that_knocks_without_end_does_not_fill_the_log() -> None:
    world = World(requests_per_s=1, burst=3)
    statuses = [(await asks(world, token="app-token", json=RESET)).status_code for _ in range(5)]
    assert statuses == [403, 403, 403, 429, 429]
    assert len(world.operators.trail.deeds) == 3


async def test_the_log_is_asked_by_who_where_and_when() -> None:
    world = World()
    query = f"by=operator&station=CS01&path={OPERATOR}/stations&since=2026-05-17T12:00:00Z"
    response = await asks(world, "GET", f"{OPERATOR}/audit?{query}")
    assert response.status_code == 200
    below = (f"{OPERATOR}/stations/CS01", f"{OPERATOR}/stations")
    assert world.operators.trail.wanted == [AuditFilter(by="operator", below=below, since=NOON)]
    for wrong in ("2026-05-17T12:00:00", "2026-02-31T12:00:00Z", "0.5", "yesterday"):
        assert (await asks(world, "GET", f"{OPERATOR}/audit?since={wrong}")).status_code == 400
