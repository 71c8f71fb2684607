"""What listens in a world: a node's places for HTTP and for stations, each as long as a life of that node."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import trio
import trio.testing

from protocols.cli.config_sections import Listener
from protocols.http import HttpLimits
from protocols.http.gate import Gate, Requests
from statecharts.meters import Meters
from tests.world.conversation import Conversation
from tests.world.ground import Dead, Life
from tests.world.history import AnswerSent, RequestArrived

if TYPE_CHECKING:
    from tests.world.network import Network


class Place(trio.abc.Listener[Any]):
    """A place at which HTTP is served: a listener that is never asked to accept."""

    def __init__(self, authority: str) -> None:
        self.authority = authority

    async def accept(self) -> Any:
        raise NotImplementedError("requests come by `Network.ask`")

    async def aclose(self) -> None:
        """`serve_http` takes it down."""


class StationListener(trio.abc.Listener[trio.abc.Stream]):
    """Where stations come in, as long as this life lasts."""

    def __init__(self, network: Network, life: Life, authority: str) -> None:
        self._network, self._life, self._authority = network, life, authority
        self._arrived, self._waiting = trio.open_memory_channel[trio.abc.Stream](1_000)
        life.cuts.append(self._take_down)
        network.put_up(authority, self)

    def connected(self) -> trio.abc.HalfCloseableStream:
        """The client's end of a new stream; it breaks when this life ends."""
        ours, theirs = trio.testing.memory_stream_pair()
        self._arrived.send_nowait(NodeEnd(theirs, self._life))
        return ours

    async def accept(self) -> trio.abc.Stream:
        return await self._waiting.receive()

    async def aclose(self) -> None:
        self._take_down()
        await trio.lowlevel.checkpoint()

    def _take_down(self) -> None:
        self._network.take_down(self._authority, self)


class NodeEnd(trio.abc.HalfCloseableStream):
    """The node's end of a station's stream: nothing passes it any more once this life is over."""

    def __init__(self, stream: Any, life: Life) -> None:
        self._stream, self._life = stream, life
        life.cuts.append(self.cut)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.lowlevel.checkpoint()
        self._pass("speaking")
        await self._stream.send_all(data)
        self._pass("spoken")

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        data: bytes | bytearray = await self._stream.receive_some(max_bytes)
        return data if self._life.alive else b""

    async def aclose(self) -> None:
        await self._stream.aclose()
        if self.cut in self._life.cuts:
            self._life.cuts.remove(self.cut)

    def _pass(self, kind: str) -> None:
        try:
            self._life.passes(kind)
        except Dead as error:
            raise trio.BrokenResourceError from error

    def cut(self) -> None:
        """Breaks it, for both ends."""
        self._stream.send_stream.close()
        self._stream.receive_stream.close()


class Doorway:
    """What one life of a node listens with."""

    def __init__(self, network: Network, life: Life) -> None:
        self._network, self._life = network, life

    async def listen(self, key: str, listener: Listener, port: int) -> Sequence[trio.abc.Listener[Any]]:
        await trio.lowlevel.checkpoint()
        authority = f"{listener.host}:{port}"
        return [StationListener(self._network, self._life, authority) if key == "ocpp" else Place(authority)]

    async def serve_http(
        self,
        app: Any,
        listeners: Sequence[Place],
        *,
        draining: trio.Event,
        limits: HttpLimits,
        tls: object,
        meters: Meters,
        task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        gate = Gate(app, Requests(limits.requests_max, meters))
        async with _lifespan(app), trio.open_nursery() as requests:
            service = Service(self._life, gate, requests)
            for place in listeners:
                self._network.put_up(place.authority, service)
                self._life.cuts.append(partial(self._network.take_down, place.authority, service))
            task_status.started([f"http://{place.authority}" for place in listeners])
            await draining.wait()
            for place in listeners:
                self._network.take_down(place.authority, service)
            requests.cancel_scope.deadline = trio.current_time() + limits.drain_timeout_s


class Service:
    """An ASGI app that is served: each request in a task of its own."""

    def __init__(self, life: Life, gate: Gate, nursery: trio.Nursery) -> None:
        self._life, self._gate, self._nursery = life, gate, nursery

    def take(self, number: int, talk: Conversation) -> None:
        """Lets the app answer this request."""
        self._life.ground.saw(RequestArrived, self._life.node, exchange=number)
        talk.leaving = partial(self._life.passes, "answering", _named(talk))
        talk.left = partial(self._answered, number, talk)
        self._nursery.start_soon(self._serve, talk)

    async def _serve(self, talk: Conversation) -> None:
        life = self._life
        try:
            await self._gate(talk.scope, talk.receive, talk.send, None, None)
        except Exception as error:
            if life.alive:
                life.ground.failures.append(f"{life.node} failed in {talk.scope['path']}: {error!r}")
        finally:
            talk.finish()

    def _answered(self, number: int, talk: Conversation) -> None:
        if self._life.alive and talk.status is not None:
            body = talk.said.decode(errors="replace")
            self._life.ground.saw(AnswerSent, self._life.node, exchange=number, status=talk.status, body=body)
        if talk.whole:
            self._life.passes("answered", _named(talk))


def _named(talk: Conversation) -> str:
    return f"{talk.asked.method} {talk.scope['path']}"


@asynccontextmanager
async def _lifespan(app: Callable[..., Awaitable[None]]) -> AsyncIterator[None]:
    """An app between its startup and its shutdown, as ASGI's lifespan has it."""
    started, stopping, stopped = trio.Event(), trio.Event(), trio.Event()
    to_come = [stopping.wait, trio.lowlevel.checkpoint]
    words = ["lifespan.shutdown", "lifespan.startup"]

    async def receive() -> dict[str, str]:
        await to_come.pop()()
        return {"type": words.pop()}

    async def send(event: Mapping[str, Any]) -> None:
        {"lifespan.startup.complete": started, "lifespan.shutdown.complete": stopped}[event["type"]].set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(app, {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)
        await started.wait()
        yield
        stopping.set()
        await stopped.wait()
        nursery.cancel_scope.cancel()
