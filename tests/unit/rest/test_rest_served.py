"""Over real loopback connections, served by our own loop: Server-Sent Events, and bodies too long or too slow."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from functools import partial

import httpx
import msgspec
import pytest
import trio

from protocols.http import HttpLimits, serve_http
from statecharts.bounds import EVENT_STREAMS_PER_TOKEN
from statecharts.vocabulary import refused
from tests.unit.rest.fakes import CDR, READY, World

EVENTS = "/api/v1/transactions/tx-1/events"


@asynccontextmanager
async def served(world: World) -> AsyncIterator[httpx.AsyncClient]:
    """A client of `world`'s app on a port of its own."""
    headers = {"Authorization": "Bearer app-token"}
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
            limits = HttpLimits(drain_timeout_s=2)
            serve = partial(serve_http, world.app, listeners, draining=world.draining, limits=limits)
            [url] = await nursery.start(serve)
            async with httpx.AsyncClient(base_url=url, headers=headers) as client:
                yield client
            world.draining.set()
            world.apps.wake()


class Event(msgspec.Struct):
    name: str
    id: str
    data: str


@asynccontextmanager
async def stream(
    client: httpx.AsyncClient, last_event_id: str | None = "0", path: str = EVENTS, token: str = "app-token"
) -> AsyncIterator[AsyncGenerator[Event, None]]:
    """The events of a stream; every generator below is closed with it, read to its end or not."""
    headers = {"Authorization": f"Bearer {token}"} | ({"Last-Event-ID": last_event_id} if last_event_id else {})
    async with client.stream("GET", path, headers=headers) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        async with aclosing(response.aiter_raw()) as chunks, aclosing(events_of(chunks)) as events:
            yield events


async def events_of(chunks: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
    """Events by the rules of WHATWG HTML section 9.2.6, keep-alive comments as events named ":"."""
    buffer = b""
    async for chunk in chunks:
        *whole, buffer = (buffer + chunk).split(b"\n\n")
        for block in whole:
            fields = dict(line.split(": ", 1) for line in block.decode().splitlines())
            yield Event(fields.get("event", ":"), fields.get("id", ""), fields.get("data", ""))


async def test_a_stream_shows_the_transaction_now_and_after_each_change_until_its_end() -> None:
    world = World(READY)
    async with served(world) as client, stream(client) as events:
        first = await anext(events)
        assert (first.name, first.id) == ("state", "20")
        assert msgspec.json.decode(first.data)["state"] == "Ready"
        assert (await anext(events)).name == ":"
        world.apps.change("tx-1", state="TxRunning", energy_wh=10)
        second = await anext(events)
        assert (second.id, msgspec.json.decode(second.data)["energy_wh"]) == ("30", 10)
        world.apps.change("tx-1", state="Settled")
        rest = [event.name async for event in events]
        assert rest[-2:] == ["state", "end"]


async def test_a_stream_resumes_after_the_last_event_id() -> None:
    world = World(READY)
    async with served(world) as client, stream(client, "20") as events:
        assert (await anext(events)).name == ":"
        world.apps.change("tx-1", state="Settled")
        assert [event.id async for event in events][-2:] == ["30", ""]


@pytest.mark.parametrize("state", ["Settled", "Refused", "Expired"])
async def test_a_client_that_has_seen_the_end_is_told_not_to_come_back(state: str) -> None:
    over = World(msgspec.structs.replace(READY, state=state))
    async with served(over) as client:
        assert (await client.get(EVENTS, headers={"Last-Event-ID": "20"})).status_code == 204
        assert "event: end" in (await client.get(EVENTS, headers={"Last-Event-ID": "10"})).text


async def test_a_last_event_id_that_is_none_of_ours_is_a_400() -> None:
    async with served(World(READY)) as client:
        for unfit in ("x", "-1", "1" * 16, ""):
            assert (await client.get(EVENTS, headers={"Last-Event-ID": unfit})).status_code == 400


async def test_head_of_a_stream_ends_at_once() -> None:
    async with served(World(READY)) as client:
        assert (await client.head(EVENTS)).status_code == 200


async def test_a_draining_node_ends_its_streams_with_an_event_and_finishes() -> None:
    world = World(READY)
    async with served(world) as client, stream(client) as events:
        await anext(events)
        world.draining.set()
        world.apps.wake()
        assert [event.name async for event in events][-1] == "drain"


async def test_a_client_that_hangs_up_ends_its_stream_and_nothing_else() -> None:
    world = World(READY)
    async with served(world) as client:
        async with await trio.open_tcp_stream("127.0.0.1", client.base_url.port or 0) as raw:
            request = f"GET {EVENTS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer app-token\r\n\r\n"
            await raw.send_all(request.encode())
            while b"event: state" not in await raw.receive_some():
                pass
            assert world.apps.streams == 1
        while world.apps.streams:
            await trio.lowlevel.checkpoint()
        assert (await client.get("/health")).status_code == 200


async def test_event_streams_of_all_tokens_together_leave_room_for_requests() -> None:
    world = World(READY, event_streams_max=1)
    async with served(world) as client, stream(client) as events:
        await anext(events)
        refused = await client.get("/api/v1/operator/events", headers={"Authorization": "Bearer operator-token"})
        assert (refused.status_code, refused.json()["kind"]) == (503, "busy")
        assert refused.headers["Retry-After"] == "5"
        assert (await client.get("/health")).status_code == 200
        world.apps.change("tx-1", state="Settled")
        assert [event.name async for event in events][-1] == "end"


async def test_the_killer_request_leaves_the_apis_up_and_streams_open() -> None:
    world = World(READY)
    async with served(world) as client, stream(client) as events:
        await anext(events)
        host, port = client.base_url.host, client.base_url.port or 0
        async with await trio.open_tcp_stream(host, port) as killer:
            await killer.send_all(
                b"GET /health HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x81\x05hello"
            )
            await killer.send_eof()
            async for _ in killer:
                pass
        world.apps.change("tx-1", state="Settled")
        assert [event.name async for event in events][-1] == "end"
        assert (await client.get("/health")).status_code == 200


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("path", ["/api/v1/authorizations", "/rest/mobieurope/source/sv1/authorize"])
async def test_a_body_that_is_too_long_is_answered_413_whether_its_length_is_told_or_not(path: str) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield bytes(50_000)

    async with served(World()) as client:
        assert (await client.post(path, content=bytes(2_000_000), headers=JSON)).status_code == 413
        assert (await client.post(path, content=chunks(), headers=JSON)).status_code == 413


async def test_a_body_that_does_not_come_is_answered_408() -> None:
    world = World()
    world.app.config["BODY_TIMEOUT"] = 0.1
    async with served(world) as client, await trio.open_tcp_stream("127.0.0.1", client.base_url.port or 0) as raw:
        await raw.send_all(
            b"POST /api/v1/authorizations HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer app-token\r\n"
            b"Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{"
        )
        assert (await raw.receive_some()).startswith(b"HTTP/1.1 408 ")
    assert world.apps.asked == []


async def test_a_whole_charge_goes_through_over_real_connections() -> None:
    world = World()
    asked = {"user_identifier": "alice", "destination": "IE-001", "local_service_identifier": "DEMO_001"}
    async with served(world) as client:
        created = await client.post("/api/v1/authorizations", json=asked)
        place = created.headers["location"]
        started = await client.post(f"{place}/start")
        assert (started.status_code, started.json()["operation"]["status"]) == (202, "pending")
        world.apps.change("tx-1", state="TxRunning")
        assert (await client.post(f"{place}/stop")).status_code == 202
        world.apps.change("tx-1", state="Settled", cdr=CDR)
        assert (await client.get(f"{place}/receipt")).json()["energy_wh"] == 12345


# -- streams of all transactions ---------------------------------------------------------------------------------------

ALL = "/api/v1/events"


async def ended(world: World, events: AsyncIterator[Event]) -> list[str]:
    """Ends the node and reads the stream to its end, which is told by name."""
    world.draining.set()
    world.apps.wake()
    return [event.name async for event in events]


async def test_the_stream_of_all_begins_with_the_id_to_resume_from_and_tells_what_is_new() -> None:
    world = World(READY)
    async with served(world) as client, stream(client, None, ALL) as events:
        first = await anext(events)
        assert (first.name, first.id) == (":", "20"), "an id and no event"
        assert (await anext(events)).name == ":"
        world.apps.change("tx-1", state="TxRunning")
        told = await anext(events)
        assert (told.name, told.id) == ("state", "30")
        assert (await ended(world, events))[-1] == "drain"


async def test_the_stream_of_all_resumes_after_the_last_event_id() -> None:
    world = World(READY, msgspec.structs.replace(READY, transaction_id="tx-2", version=5))
    async with served(world) as client, stream(client, "20", ALL) as events:
        assert [(await anext(events)).id for _ in range(2)] == ["20", "50"]
        await ended(world, events)


async def test_an_id_of_another_journal_is_said_so() -> None:
    world = World(READY)
    async with served(world) as client, stream(client, "999", ALL) as events:
        assert [(event.name, event.id) for event in (await anext(events), await anext(events))] == [
            (":", "20"),
            ("reset", ""),
        ]
        await ended(world, events)


async def test_an_app_hears_of_its_own_users_only() -> None:
    world = World(READY)
    async with served(world) as client, stream(client, "5", ALL, "other-token") as events:
        assert [(await anext(events)).name for _ in range(2)] == [":", ":"]
        await ended(world, events)


async def test_operators_have_a_stream_of_every_role_or_one() -> None:
    world, path = World(), "/api/v1/operator/events?role=local"
    async with served(world) as client, stream(client, "7", path, "operator-token") as events:
        assert [event.id async for event in events][:2] == ["7", "20"]
    assert world.operators.asked == [("feed", "local", 7)]


async def test_a_stream_whose_store_goes_away_ends_and_says_when_to_come_back() -> None:
    world = World(READY)

    async def failing(*_: object) -> AsyncIterator[None]:
        yield None
        raise refused(503, "store-unavailable", "gone")

    world.apps.feed = failing  # type: ignore[assignment]
    async with served(world) as client:
        answer = await client.get(ALL)
    assert answer.text.endswith(": keep-alive\n\nretry: 5000\n\n")


async def test_a_token_has_so_many_streams_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    few = msgspec.structs.replace(EVENT_STREAMS_PER_TOKEN, limit=1)
    monkeypatch.setattr("protocols.rest.limits.EVENT_STREAMS_PER_TOKEN", few)
    async with served(World(READY)) as client:
        async with await trio.open_tcp_stream("127.0.0.1", client.base_url.port or 0) as raw:
            await raw.send_all(f"GET {ALL} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer app-token\r\n\r\n".encode())
            while b"id: 20" not in await raw.receive_some():
                pass
            refusal = await client.get(ALL)
            assert (refusal.status_code, refusal.json()["kind"]) == (429, "too-many-streams")
            other = {"Authorization": "Bearer operator-token"}
            assert (await client.get("/api/v1/operator/events", headers=other)).status_code == 200
        while (answer := await client.head(ALL)).status_code != 200:
            await trio.lowlevel.checkpoint()
        assert answer.headers["content-type"].startswith("text/event-stream")
