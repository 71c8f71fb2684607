"""/health: alive, ready, and why not."""

from __future__ import annotations

from statecharts.doors import Ailment
from tests.unit.rest.fakes import World

STORE = Ailment(check="store-writer", reason="the store cannot be written")


async def test_a_sound_node_is_alive_and_ready_for_anybody_who_asks() -> None:
    for path in ("/health", "/health/ready", "/health/live"):
        response = await World().ask("GET", path, token=None)
        assert (response.status_code, await response.get_json()) == (
            200,
            {"status": "ok", "version": "1.2.3", "reasons": []},
        )


async def test_a_node_that_ails_is_alive_but_not_ready_and_says_why() -> None:
    world = World()
    world.insight.others = (STORE,)
    for path in ("/health", "/health/ready"):
        response = await world.ask("GET", path, token=None)
        assert response.status_code == 503
        told = await response.get_json()
        assert told["status"] == "unready"
        assert told["reasons"] == [{"check": "store-writer", "reason": "the store cannot be written"}]
    assert (await world.ask("GET", "/health/live", token=None)).status_code == 200


async def test_a_node_that_drains_says_so_before_anything_else() -> None:
    world = World()
    world.insight.others = (STORE,)
    world.draining.set()
    told = await (await world.ask("GET", "/health/ready", token=None)).get_json()
    assert told["status"] == "draining"
    assert [reason["check"] for reason in told["reasons"]] == ["draining", "store-writer"]
