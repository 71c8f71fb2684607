"""What is to happen in a world: who is there, who charges where and when. Faults are another matter (`faults.py`)."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import msgspec

from statecharts.vocabulary import Value

NAMES = ("NL-MOT", "IE-ESB", "DE-XYZ", "PT-EDP")


class StationPlan(Value, frozen=True, kw_only=True):
    """A charging station. `behaviour` is one of `statecharts.simulated_equipment.BEHAVIOURS`.

    One that is `scripted` does nothing by itself: a script speaks for it on its line.
    """

    identity: str
    operator: str
    connectors: int = 2
    behaviour: str = "normal"
    power_w: int = 11_000
    ocpp_version: str = "1.6"
    scripted: bool = False


class Roaming(Value, frozen=True, kw_only=True):
    """An app of the operator `home` lets its user charge at another's station, for so long after it has begun.

    `habit` is one of `tests.world.visits.HABITS`.
    """

    user: str
    home: str
    station: str
    connector: str | None
    begins_s: float
    lasts_s: float
    habit: str = "patient"


class Local(Value, frozen=True, kw_only=True):
    """A driver holds a card to a station of the operator that knows it, and again to end the charge."""

    id_tag: str
    station: str
    connector: int
    begins_s: float
    lasts_s: float


class Plan(Value, frozen=True, kw_only=True):
    """A world without its faults. `settings` go into every node's configuration, over those of `operators.py`.

    Users and cards are known where they are needed; `users` and `cards` are some more, those of every operator, and
    `blocked` those among them that may do nothing.

    `troubles` are names of `tests.world.swarm.TROUBLES`, for whoever lets them befall the plan.
    """

    seed: int
    operators: tuple[str, ...]
    stations: tuple[StationPlan, ...]
    roaming: tuple[Roaming, ...] = ()
    local: tuple[Local, ...] = ()
    users: tuple[str, ...] = ()
    cards: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    settings: Mapping[str, Any] = msgspec.field(default_factory=dict)
    troubles: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Plan {self.seed}: {len(self.roaming)} roaming, {len(self.local)} local at {len(self.stations)}>"

    def partners_of(self, operator: str) -> tuple[str, ...]:
        """All other operators."""
        return tuple(name for name in self.operators if name != operator)

    @property
    def charges(self) -> int:
        return len(self.roaming) + len(self.local)

    @property
    def ends_s(self) -> float:
        """When the last charge should be over, if nothing goes wrong."""
        return max((each.begins_s + each.lasts_s for each in (*self.roaming, *self.local)), default=0.0)


def drawn(
    seed: int, *, operators: int = 2, stations: int = 2, roaming: int = 6, local: int = 4, spread_s: float = 3_600.0
) -> Plan:
    """The plan of this seed: so many of each, `stations` at every operator, begun within `spread_s` seconds."""
    chance = random.Random(f"plan/{seed}")
    names = NAMES[:operators]
    equipped = [
        StationPlan(identity=f"{name}-CS{number:02}", operator=name, connectors=chance.choice((1, 2, 2)))
        for name in names
        for number in range(1, stations + 1)
    ]
    return Plan(
        seed=seed,
        operators=names,
        stations=tuple(equipped),
        roaming=tuple(_roaming(chance, names, equipped, spread_s, number) for number in range(roaming)),
        local=tuple(_local(chance, equipped, spread_s, number) for number in range(local)),
    )


def _roaming(
    chance: random.Random, names: tuple[str, ...], stations: list[StationPlan], spread_s: float, number: int
) -> Roaming:
    station = chance.choice(stations)
    home = chance.choice([name for name in names if name != station.operator])
    connector = chance.choice((None, *(str(one) for one in range(1, station.connectors + 1))))
    return Roaming(
        user=f"roamer-{number}",
        home=home,
        station=station.identity,
        connector=connector,
        begins_s=round(chance.uniform(30, spread_s), 1),
        lasts_s=round(chance.uniform(60, 1_800), 1),
    )


def _local(chance: random.Random, stations: list[StationPlan], spread_s: float, number: int) -> Local:
    station = chance.choice(stations)
    return Local(
        id_tag=f"CARD{number:04}",
        station=station.identity,
        connector=chance.randint(1, station.connectors),
        begins_s=round(chance.uniform(30, spread_s), 1),
        lasts_s=round(chance.uniform(60, 1_800), 1),
    )
