"""What a world may do to those who live in it: asked at every edge, once for each thing that passes, in order.

`Faults` is a world in which nothing goes wrong, and the base of those in which something does: what it answers is what
happens. Whoever overrides a method draws from `self.random` alone, so that a seed gives the same faults again.
"""

from __future__ import annotations

import random
import sqlite3
from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from tests.world.ground import Ground
    from tests.world.world import World


class Exchange(NamedTuple):
    """A request on its way. `operation` is the SOAP operation, or method and path; `sender` a node or an app."""

    number: int
    protocol: str
    sender: str
    to: str
    operation: str


class Answer(NamedTuple):
    """What may come back in the place of an answer."""

    status: int
    body: bytes = b""
    content_type: str = "application/soap+xml"


class ExchangeFate(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a request and its answer.

    `refused`: no connection is had. `delay_s`: so long until it arrives. `lost`: it never does; its sender waits until
    it gives up. `copies`: it arrives so many times, the further ones `copy_after_s` later each; the sender hears of the
    first alone. `hang_up_at`: the client is gone when the app receives or sends for the n-th time, from 1 on.
    `hang_up_after_s`: the same, so long after it arrived. `unnoticed`: the app is not told that its client has gone.
    `answer_delay_s`, `answer_lost` as for the request; `answer_broken`: the connection breaks in the place of the
    answer; `answer`: this comes in its place, from something in between: with `lost` the request never got any further.
    """

    refused: bool = False
    delay_s: float = 0.0
    lost: bool = False
    copies: int = 1
    copy_after_s: float = 1.0
    hang_up_at: int | None = None
    hang_up_after_s: float | None = None
    unnoticed: bool = False
    answer_delay_s: float = 0.0
    answer_lost: bool = False
    answer_broken: bool = False
    answer: Answer | None = None


class Frame(NamedTuple):
    """An OCPP message between the WebSocket and the calls of a station's end: the raw JSON in `text`."""

    connection: int
    sender: str
    to: str
    text: str


class FrameFate(msgspec.Struct, frozen=True, kw_only=True):
    """When each copy of a message arrives, in seconds from now: none is lost, (0,) unharmed, (0, 5) comes twice.

    One that is late is overtaken by those behind it. `breaks`: the connection breaks instead.
    """

    arrives_after_s: tuple[float, ...] = (0.0,)
    breaks: bool = False


class WriteFate(msgspec.Struct, frozen=True, kw_only=True):
    """How long a write takes before and after it is durable; `error`: what the driver of SQLite says instead."""

    before_s: float = 0.001
    after_s: float = 0.001
    error: sqlite3.Error | None = None


class Point(NamedTuple):
    """A point at which a node may die.

    Before a write ("writing"), in it and before it is durable ("syncing"), after it and before anybody hears of it
    ("written"); before an answer by HTTP leaves ("answering") and after ("answered"); before a request to a partner
    ("sending") or bytes to a station ("speaking") leave, and after these did ("spoken").

    `number` counts the points of this node from 1, over all its lives.
    """

    node: str
    kind: str
    number: int
    detail: str = ""


class Faults:
    """A world in which nothing goes wrong.

    `images_kept` is how many older states of a disk are kept for cutting.
    """

    images_kept = 0

    def __init__(self, seed: int = 0) -> None:
        self.random = random.Random(f"faults/{seed}")

    @property
    def lasts_s(self) -> float:
        """A world goes on until then at least; asked when everything planned has happened."""
        return 0.0

    def begin(self, ground: Ground) -> None:
        """This is the ground of the world that they befall."""

    def of_exchange(self, exchange: Exchange) -> ExchangeFate:
        """What becomes of this request and its answer."""
        return _UNHARMED

    def of_dial(self, station: str, node: str) -> bool:
        """Whether this station gets a connection now."""
        return True

    def of_frame(self, frame: Frame) -> FrameFate:
        """What becomes of this message."""
        return _CARRIED

    def of_write(self, node: str) -> WriteFate:
        """How this write goes."""
        return _WRITTEN

    def at(self, point: Point) -> bool:
        """Whether the node dies at this point."""
        return False

    def dies_at_step(self, node: str, life: int) -> int | None:
        """At which step of its tasks this life of a node ends, from 1, at whatever await it is; None: at none.

        Steps are counted where this is a number, and costs a little; `Operator.steps` has the count.
        """
        return None

    def comes_back_after_s(self, node: str) -> float:
        """How long a node that died stays away."""
        return 5.0

    async def happen(self, world: World) -> None:
        """What befalls the world by itself: crashes, clocks that jump, users that are blocked. Cancelled in the end."""


_UNHARMED, _CARRIED, _WRITTEN = ExchangeFate(), FrameFate(), WriteFate()
