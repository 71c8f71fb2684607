"""What a world does to a request befalls exactly those whom it should, and is seen as it was."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import trio
import trio.testing
from quart_trio import QuartTrio

from protocols.http.gate import Gate, Requests
from statecharts.meters import Meters
from tests.world.apps import AppTransport
from tests.world.conversation import Asked
from tests.world.faults import Answer, Exchange, ExchangeFate, Faults, Point
from tests.world.ground import Ground, Life
from tests.world.history import AnswerArrived, AnswerSent, RequestArrived, RequestSent
from tests.world.listening import Service
from tests.world.network import Network

SLOW_S = 10.0

Clock = trio.testing.MockClock


class Fated(Faults):
    """Every request has this fate; the node dies where it should answer for the n-th time."""

    def __init__(self) -> None:
        super().__init__()
        self.fate = ExchangeFate()
        self.dies_at_answer = 0

    def of_exchange(self, exchange: Exchange) -> ExchangeFate:
        return self.fate

    def at(self, point: Point) -> bool:
        self.dies_at_answer -= point.kind == "answering"
        return point.kind == "answering" and self.dies_at_answer == 0


class Scene:
    """An app with a quick and a slow route and one that streams, a node that serves it, and a client."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.faults, self.did = Fated(), list[str]()
        self.ground = Ground(0, nursery, self.faults)
        self.network = Network(self.ground, ("NL-MOT",))
        self.life = Life(self.ground, "NL-MOT", 1)
        self.service = Service(self.life, Gate(self._app(), Requests(100, Meters())), nursery)
        self.network.put_up("NL-MOT:80", self.service)
        self.client = httpx.AsyncClient(transport=AppTransport(self.network, "app"), base_url="http://nl-mot")

    def _app(self) -> QuartTrio:
        app = QuartTrio("app")

        @app.post("/quick")
        async def quick() -> str:
            self.did.append("quick")
            return "done"

        @app.post("/slow")
        async def slow() -> str:
            self.did.append("begun")
            try:
                await trio.sleep(SLOW_S)
                self.did.append("done")
            except trio.Cancelled:
                self.did.append("cancelled")
                raise
            return "done"

        @app.get("/stream")
        async def stream() -> Any:
            async def pieces() -> Any:
                for number in range(100):
                    yield f"{number}\n".encode()
                    await trio.sleep(1)

            return pieces(), 200

        return app

    async def asked(self, path: str = "/quick", patience_s: float = 60.0) -> str:
        """What a client gets: the body, or how it failed."""
        with trio.move_on_after(patience_s):
            try:
                return (await self.client.post(path, timeout=None)).text
            except httpx.TransportError as error:
                return type(error).__name__
        return "nothing"

    def seen(self, *kinds: type) -> list[str]:
        return [type(sight).__name__ for sight in self.ground.history.of(*kinds)]


@pytest.fixture
def scene(nursery: trio.Nursery) -> Scene:
    return Scene(nursery)


async def test_an_exchange_without_harm_is_seen_at_its_four_moments(scene: Scene, autojump_clock: Clock) -> None:
    assert await scene.asked() == "done"
    seen = [type(sight) for sight in scene.ground.history]
    assert seen == [RequestSent, RequestArrived, AnswerSent, AnswerArrived]


FATES: list[tuple[ExchangeFate, str, list[str]]] = [
    (ExchangeFate(refused=True), "ConnectError", []),
    (ExchangeFate(lost=True), "nothing", []),
    (ExchangeFate(answer_lost=True), "nothing", ["quick"]),
    (ExchangeFate(answer_broken=True), "ReadError", ["quick"]),
    (ExchangeFate(copies=3), "done", ["quick"] * 3),
    (ExchangeFate(delay_s=30), "done", ["quick"]),
    (ExchangeFate(delay_s=90), "nothing", ["quick"]),
    (ExchangeFate(answer_delay_s=90), "nothing", ["quick"]),
    (ExchangeFate(answer=Answer(200, b"garbage")), "garbage", ["quick"]),
]


@pytest.mark.parametrize(("fate", "told", "did"), FATES)
async def test_every_fate_tells_the_client_and_lets_the_app_do_what_it_says(
    scene: Scene, autojump_clock: Clock, fate: ExchangeFate, told: str, did: list[str]
) -> None:
    scene.faults.fate = fate
    assert await scene.asked() == told
    await trio.sleep(120)
    assert scene.did == did
    assert scene.seen(AnswerArrived) == ["AnswerArrived"]


async def test_a_client_that_goes_away_cancels_its_handler_wherever_it_is(scene: Scene, autojump_clock: Clock) -> None:
    assert await scene.asked("/slow", patience_s=1) == "nothing"
    await trio.testing.wait_all_tasks_blocked()
    assert scene.did == ["begun", "cancelled"]


async def test_a_client_can_hang_up_at_whatever_the_app_receives(scene: Scene, autojump_clock: Clock) -> None:
    scene.faults.fate = ExchangeFate(hang_up_at=2)
    assert await scene.asked("/slow") == "ReadError"
    await trio.testing.wait_all_tasks_blocked()
    assert scene.did in ([], ["begun", "cancelled"])


async def test_a_client_whose_end_nobody_notices_leaves_its_handler_alone(scene: Scene, autojump_clock: Clock) -> None:
    scene.faults.fate = ExchangeFate(unnoticed=True)
    assert await scene.asked("/slow", patience_s=1) == "nothing"
    await trio.sleep(SLOW_S)
    assert scene.did == ["begun", "done"]


@pytest.mark.parametrize("after_s", [0.5, SLOW_S + 1])
async def test_a_client_can_hang_up_at_a_time_of_its_own(scene: Scene, autojump_clock: Clock, after_s: float) -> None:
    scene.faults.fate = ExchangeFate(hang_up_after_s=after_s)
    assert await scene.asked("/slow") == ("ReadError" if after_s < SLOW_S else "done")


async def test_an_answer_that_streams_arrives_as_it_comes_and_ends_with_its_reader(
    scene: Scene, autojump_clock: Clock
) -> None:
    told = await scene.network.ask("rest", "app", "http://nl-mot/stream", Asked("GET", "", {}, b""))
    assert [await told.piece() for _ in range(3)] == [b"0\n", b"1\n", b"2\n"]
    assert trio.current_time() == pytest.approx(2)
    told.close()
    await trio.sleep(5)
    (arrived,) = scene.ground.history.of(AnswerArrived)
    assert arrived.cause == "it broke off"


async def test_a_node_that_dies_where_it_should_answer_says_nothing(scene: Scene, autojump_clock: Clock) -> None:
    scene.faults.dies_at_answer = 1
    assert await scene.asked() == "ReadError"
    assert scene.did == ["quick"]
    assert scene.seen(AnswerSent) == []
    assert not scene.life.alive


async def test_nobody_is_reached_where_nobody_listens(scene: Scene, autojump_clock: Clock) -> None:
    scene.network.take_down("NL-MOT:80", scene.service)
    assert await scene.asked() == "ConnectError"
    assert scene.ground.failures == []


async def test_what_an_app_does_not_catch_is_a_failure_of_the_run(
    scene: Scene, autojump_clock: Clock, nursery: trio.Nursery
) -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("a defect")

    service = Service(scene.life, Gate(broken, Requests(1, Meters())), nursery)
    scene.network.put_up("NL-MOT:80", service)
    assert await scene.asked() == "ReadError"
    assert "a defect" in scene.ground.failures[0]
