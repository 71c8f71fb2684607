"""Everything that may go wrong in a world: one table of troubles, each drawn with a strength of its own from the seed.

A plan names its troubles; `Troubles` lets them befall a world of that plan. A trouble has a chance of its own, so that
taking another one away leaves it as it was: a world that fails can be played again with fewer of them.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

import trio

from tests.world.faults import Exchange, ExchangeFate, Faults, Frame, FrameFate, Point, WriteFate
from tests.world.ground import Ground
from tests.world.history import FaultInjected

if TYPE_CHECKING:
    from tests.world.plan import Plan
    from tests.world.stations import Station
    from tests.world.world import World


LINGERS_S = 3_600.0
"""How long troubles that last for the whole plan go on after it: worlds that last for days are quiet then."""


class Trouble:
    """One thing that goes wrong, from `since_s` until `until_s`; by itself it does nothing.

    Each kind says its `name`, the fault that it is (`row`, F1 to F35) and what it does (`meaning`),
    draws its strength in `draw`, and overrides what it has a word in. `lasts_s`: a world with it goes on at least so
    long. `settings` go into the nodes' configuration.
    """

    name: ClassVar[str]
    row: ClassVar[str]
    meaning: ClassVar[str]
    images_kept: ClassVar[int] = 0
    lasts_s = 0.0

    def __init__(self, plan: Plan) -> None:
        self.plan, self.chance = plan, random.Random(f"{plan.seed}/{self.name}")
        self.since_s, self.until_s = self._drawn_span()
        self.ground: Ground | None = None
        self.draw()

    def __repr__(self) -> str:
        drawn = {k: v for k, v in vars(self).items() if k not in ("plan", "chance", "ground", "since_s", "until_s")}
        told = "".join(f" {key}={value}" for key, value in drawn.items() if not key.startswith("_"))
        return f"<{self.name} {self.since_s:.0f}-{self.until_s:.0f} s{told}>"

    def _drawn_span(self) -> tuple[float, float]:
        if self.chance.random() < 0.5:
            return 0.0, self.plan.ends_s + LINGERS_S
        since_s, until_s = sorted(self.chance.uniform(0, self.plan.ends_s) for _ in range(2))
        return since_s, until_s + 60

    def draw(self) -> None:
        """Takes its strength from `self.chance`."""

    def hits(self, probability: float) -> bool:
        """Whether it strikes now, which it does with this probability while it lasts."""
        return self.since_s <= trio.current_time() < self.until_s and self.chance.random() < probability

    async def again(self, every_s: float) -> bool:
        """Waits about so many seconds; whether it still lasts then."""
        await trio.sleep(self.chance.expovariate(1 / every_s))
        return trio.current_time() < self.until_s

    def stations_in(self, world: World) -> list[Station]:
        """The stations of its plan, which may be a part of the world's."""
        return [world.stations[each.identity] for each in self.plan.stations]

    def struck(self, whom: str, detail: str = "") -> None:
        """Writes down that it did."""
        assert self.ground is not None
        self.ground.saw(FaultInjected, whom, kind=self.name, detail=detail)

    # -- what it may have a word in: None and False leave it to others -------------------------------------------------

    def of_exchange(self, exchange: Exchange) -> ExchangeFate | None:
        return None

    def of_dial(self, station: str, node: str) -> bool:
        return True

    def of_frame(self, frame: Frame) -> FrameFate | None:
        return None

    def of_write(self, node: str) -> WriteFate | None:
        return None

    def at(self, point: Point) -> bool:
        return False

    def dies_at_step(self, node: str, life: int) -> int | None:
        return None

    async def happen(self, world: World) -> None:
        """What it does by itself."""


class Troubles(Faults):
    """Lets these troubles befall a world: the first that has a word about something decides it."""

    def __init__(self, plan: Plan, kinds: Iterable[type[Trouble]]) -> None:
        super().__init__(plan.seed)
        self.all = tuple(kind(plan) for kind in kinds)
        self.images_kept = max((trouble.images_kept for trouble in self.all), default=0)
        self._heavy = random.Random(f"{plan.seed}/comes-back")

    def __repr__(self) -> str:
        return f"<Troubles {', '.join(map(repr, self.all)) or 'none'}>"

    @property
    def lasts_s(self) -> float:
        return max((trouble.lasts_s for trouble in self.all), default=0.0)

    def begin(self, ground: Ground) -> None:
        for trouble in self.all:
            trouble.ground = ground

    def of_exchange(self, exchange: Exchange) -> ExchangeFate:
        fates = (trouble.of_exchange(exchange) for trouble in self.all)
        return next((fate for fate in fates if fate is not None), None) or super().of_exchange(exchange)

    def of_dial(self, station: str, node: str) -> bool:
        return all(trouble.of_dial(station, node) for trouble in self.all)

    def of_frame(self, frame: Frame) -> FrameFate:
        fates = (trouble.of_frame(frame) for trouble in self.all)
        return next((fate for fate in fates if fate is not None), None) or super().of_frame(frame)

    def of_write(self, node: str) -> WriteFate:
        fates = (trouble.of_write(node) for trouble in self.all)
        return next((fate for fate in fates if fate is not None), None) or super().of_write(node)

    def at(self, point: Point) -> bool:
        return any(trouble.at(point) for trouble in self.all)

    def dies_at_step(self, node: str, life: int) -> int | None:
        steps = (trouble.dies_at_step(node, life) for trouble in self.all)
        return next((step for step in steps if step is not None), None)

    def comes_back_after_s(self, node: str) -> float:
        return heavy_tail(self._heavy, 1, 1_800)

    async def happen(self, world: World) -> None:
        async with trio.open_nursery() as nursery:
            for trouble in self.all:
                nursery.start_soon(trouble.happen, world)


def heavy_tail(chance: random.Random, least: float, most: float) -> float:
    """A number of this range, small ones by far the most likely."""
    return round(min(most, least * chance.paretovariate(0.6)), 3)
