"""Client and services over real sockets: QuartTrio on Hypercorn, zeep on our own HTTP client, one trio loop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import hypercorn.trio
import pytest
import trio
from hypercorn.config import Config
from mobieurope_samples import (
    AUTHORIZE,
    DESTINATION,
    PASSWORD,
    PEER,
    REQUESTS,
    START,
    USERNAME,
    Door,
    Node,
    answer_to,
)

from protocols.mobieurope.client import MobiEuropeClient
from protocols.mobieurope.wire import HttpConnections
from statecharts.bounds import Watermarks
from statecharts.vocabulary import Answered, EnergyUnit, RoamingAnswer, RoamingRequest, Unanswered


@asynccontextmanager
async def served(node: Node) -> AsyncIterator[str]:
    """The URL of the node on a free port of the loopback interface."""
    config = Config()
    config.bind = ["127.0.0.1:0"]
    done = trio.Event()
    async with trio.open_nursery() as nursery:
        [url] = await nursery.start(partial(hypercorn.trio.serve, node.app, config, shutdown_trigger=done.wait))
        yield url
        done.set()


@asynccontextmanager
async def calling(node: Node, password: bytes = PASSWORD) -> AsyncIterator[MobiEuropeClient]:
    async with served(node) as url:
        client = MobiEuropeClient(url, USERNAME, password, EnergyUnit.KWH, HttpConnections(Watermarks()))
        yield client
        await client.aclose()


async def test_all_eight_operations_work_over_sockets() -> None:
    node = Node()
    async with calling(node) as client:
        for request in REQUESTS:
            assert await client.call(request, 10) == Answered(answer=answer_to(request))
    assert node.door.passed == [(PEER, request) for request in REQUESTS]


async def test_many_calls_share_one_client() -> None:
    node = Node()
    outcomes = []
    async with calling(node) as client, trio.open_nursery() as nursery:
        for _ in range(30):
            nursery.start_soon(lambda: collect(client, outcomes))
    assert outcomes == [Answered(answer=answer_to(AUTHORIZE))] * 30


async def collect(client: MobiEuropeClient, outcomes: list[object]) -> None:
    outcomes.append(await client.call(AUTHORIZE, 20))


async def test_wrong_credentials_raise_an_alarm_over_sockets() -> None:
    node = Node()
    async with calling(node, b"guess") as client:
        outcome = await client.call(START, 10)
    assert isinstance(outcome, Unanswered)
    assert outcome.alarm
    assert node.door.passed == []


async def test_a_caller_that_gives_up_cancels_its_handler_and_nobody_else() -> None:
    entered, left = trio.Event(), trio.Event()

    async def wait(_: RoamingRequest) -> RoamingAnswer:
        entered.set()
        try:
            return await trio.sleep_forever()
        finally:
            left.set()

    node = Node(destination=Door(wait))
    async with calling(node) as client:
        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.call, START, 60)
                await entered.wait()
                nursery.cancel_scope.cancel()
            await left.wait()
        assert isinstance(await client.call(REQUESTS[5], 10), Answered)


@pytest.mark.parametrize("framing", [b"content-length: 300000", b"transfer-encoding: chunked"])
async def test_a_stranger_is_answered_before_sending_a_body(framing: bytes) -> None:
    async with served(Node()) as url:
        stream = await trio.open_tcp_stream("127.0.0.1", int(url.rpartition(":")[2]))
        with trio.fail_after(10):
            head = b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-type: text/xml\r\n%s\r\n\r\n"
            await stream.send_all(head % (DESTINATION.encode(), framing))
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 401")
        await stream.aclose()
