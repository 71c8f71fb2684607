"""A whole world with its troubles from a seed alone: who is there, who does what, and what goes wrong meanwhile.

Swarm testing: of all that can go wrong each seed gets a few things, some get one, some get none. What is always there
hides what would happen without it.
"""

from __future__ import annotations

import random
from typing import Any

import msgspec

from statecharts.simulated_equipment import BEHAVIOURS
from tests.world.plan import NAMES, Local, Plan, Roaming, StationPlan
from tests.world.troubles import Trouble, Troubles
from tests.world.troubles_aimed import AIMED
from tests.world.troubles_at_home import AT_HOME
from tests.world.troubles_by_forgers import FORGERS
from tests.world.troubles_by_people import PEOPLE
from tests.world.troubles_on_the_way import ON_THE_WAY
from tests.world.visits import HABITS

TROUBLES: dict[str, type[Trouble]] = {kind.name: kind for kind in (*ON_THE_WAY, *AT_HOME, *AIMED, *PEOPLE, *FORGERS)}
"""Everything that can go wrong, by its name."""

PEACE_SHARE = 0.1
VERSIONS = (*("1.6",) * 4, "2.0.1", "2.1")
HOW_MANY = (0, 0, 1, 1, 1, 2, 2, 3, 4, 7)
HOW_MANY_AIMED = (1, 2, 2, 2, 3, 4)
DAYS_S = 15_000.0
SELDOM = {
    "ocpp": {"heartbeat_interval_s": 21_600, "heartbeat_spread": 0, "ping_interval_s": 3_600},
    "delivery": {"retry_cap_s": 3_600},
}
MEDDLING_SHARE, FORGING_SHARE, PATIENT_SHARE, CROWDED_SHARE = 0.2, 0.4, 0.3, 0.3


def swarm(seed: int) -> Plan:
    """The plan of this seed, with the names of its troubles."""
    chance = random.Random(f"swarm/{seed}")
    operators = NAMES[: chance.choice((2, 2, 2, 3, 3, 4))]
    places = tuple(
        StationPlan(
            identity=f"{name}-CS{number:02}",
            operator=name,
            connectors=chance.choice((1, 1, 2)),
            behaviour=chance.choice((*("normal",) * 6, *BEHAVIOURS)),
            power_w=chance.choice((3_700, 11_000, 22_000, 150_000)),
            ocpp_version=random.Random(f"version/{seed}/{name}/{number}").choice(VERSIONS),
        )
        for name in operators
        for number in range(1, chance.choice((1, 1, 2)) + 1)
    )
    crowded = chance.random() < CROWDED_SHARE
    stations = (chance.choice(places),) if crowded else places  # where everybody wants to charge
    habits = chance.sample(list(HABITS), chance.randint(1, len(HABITS)))
    spread_s = chance.choice((300.0, 1_800.0, 3_600.0))
    lasts_s = chance.choice((120.0, 900.0, 3_000.0))
    roaming = (
        _roaming(chance, operators, stations, habits, (spread_s, lasts_s), number)
        for number in range(chance.randint(3, 8))
    )
    local = (_local(chance, stations, (spread_s, lasts_s), number) for number in range(chance.choice((0, 1, 3, 5))))
    troubles = _troubles(chance)
    troubles += _forgers(random.Random(f"forgers/{seed}")) if troubles else []
    cards = tuple(f"CARD-OF-roamer-{number}" for number in range(8))
    plan = Plan(
        seed=seed, operators=operators, stations=places, roaming=tuple(roaming), local=tuple(local), cards=cards
    )
    plan = msgspec.structs.replace(plan, troubles=tuple(troubles))
    return msgspec.structs.replace(plan, settings=settings_for(troubles_of(plan).lasts_s))


def troubles_of(plan: Plan) -> Troubles:
    """The troubles that a plan names. Raises KeyError for one that does not exist."""
    return Troubles(plan, [TROUBLES[name] for name in plan.troubles])


def _troubles(chance: random.Random) -> list[str]:
    if chance.random() < PEACE_SHARE:
        return []
    found = chance.sample([kind.name for kind in (*ON_THE_WAY, *AT_HOME)], chance.choice(HOW_MANY))
    found += chance.sample([kind.name for kind in AIMED], chance.choice(HOW_MANY_AIMED))
    return found + [kind.name for kind in PEOPLE if chance.random() < MEDDLING_SHARE]


def _forgers(chance: random.Random) -> list[str]:
    return [kind.name for kind in FORGERS if chance.random() < FORGING_SHARE]


def settings_for(lasts_s: float) -> dict[str, Any]:
    """In a world that goes on for days heartbeats and attempts are seldom: they would be all that happens in it."""
    return SELDOM if lasts_s > DAYS_S else {}


def _roaming(
    chance: random.Random,
    operators: tuple[str, ...],
    stations: tuple[StationPlan, ...],
    habits: list[str],
    times_s: tuple[float, float],
    number: int,
) -> Roaming:
    station = chance.choice(stations)
    home = chance.choice([name for name in operators if name != station.operator])
    connector = chance.choice((None, *(str(one) for one in range(1, station.connectors + 1))))
    return Roaming(
        user=f"roamer-{chance.choice((number, number, number // 2))}",
        home=home,
        station=station.identity,
        connector=connector,
        begins_s=round(chance.uniform(5, times_s[0]), 1),
        lasts_s=round(chance.uniform(0.1, 1) * times_s[1], 1),
        habit="patient" if chance.random() < PATIENT_SHARE else chance.choice(habits),
    )


def _local(
    chance: random.Random, stations: tuple[StationPlan, ...], times_s: tuple[float, float], number: int
) -> Local:
    station = chance.choice(stations)
    return Local(
        id_tag=f"CARD{number:04}",
        station=station.identity,
        connector=chance.randint(1, station.connectors),
        begins_s=round(chance.uniform(5, times_s[0]), 1),
        lasts_s=round(chance.uniform(0.1, 1) * times_s[1], 1),
    )
