"""Twin worlds, of one seed and one plan: in one of them an operator is beset, and whoever has no part in it may not
notice.

The others' nodes have the beset one for a partner, and serve its users at stations of their own: what it does to them
must not reach those who charge beside it.
"""

from __future__ import annotations

import random
import time
import traceback
from collections.abc import Iterator

import msgspec

from tests.world.checker import check, i12_blast
from tests.world.checker.evidence import Evidence
from tests.world.faults import Exchange, ExchangeFate, Frame, FrameFate, Point, WriteFate
from tests.world.plan import NAMES, Local, Plan, Roaming, StationPlan
from tests.world.swarm import TROUBLES, settings_for
from tests.world.trial import BREAKS, Trial, last_of, limited, objections_to, told_of
from tests.world.troubles import Troubles
from tests.world.troubles_aimed import AIMED
from tests.world.troubles_at_home import AT_HOME
from tests.world.troubles_on_the_way import ON_THE_WAY, Partition
from tests.world.world import Outcome, play

EVERY = 20
"""Among the seeds of a run one in so many is played with its twin as well."""

OF_A_SIEGE = tuple(kind.name for kind in (*ON_THE_WAY, *AT_HOME, *AIMED) if kind is not Partition)
"""Troubles that one operator alone can have; a partition is between two."""

SPREAD_S, LASTS_S = 1_800.0, 900.0


class Twins(msgspec.Struct, frozen=True, kw_only=True):
    """A plan whose troubles befall `beset` alone, in one of both worlds; `spared` are who has no part in it."""

    plan: Plan
    beset: str
    spared: frozenset[str]

    def siege(self) -> Siege:
        """The troubles of the one world that has some."""
        return Siege(self.plan, self.beset)


class Siege(Troubles):
    """Troubles of one operator alone: of its node, disk and stations, and of what is said by them and to them."""

    def __init__(self, plan: Plan, beset: str) -> None:
        stations = tuple(station for station in plan.stations if station.operator == beset)
        own = msgspec.structs.replace(plan, operators=(beset,), stations=stations)
        super().__init__(own, [TROUBLES[name] for name in plan.troubles])
        self._beset = beset
        self._hosts = {beset, f"app-of-{beset}", *(station.identity for station in stations)}

    def of_exchange(self, exchange: Exchange) -> ExchangeFate:
        return super().of_exchange(exchange) if self._hits(exchange.sender, exchange.to) else ExchangeFate()

    def of_dial(self, station: str, node: str) -> bool:
        return super().of_dial(station, node) if self._hits(station) else True

    def of_frame(self, frame: Frame) -> FrameFate:
        return super().of_frame(frame) if self._hits(frame.sender, frame.to) else FrameFate()

    def of_write(self, node: str) -> WriteFate:
        return super().of_write(node) if self._hits(node) else WriteFate()

    def at(self, point: Point) -> bool:
        return self._hits(point.node) and super().at(point)

    def dies_at_step(self, node: str, life: int) -> int | None:
        return super().dies_at_step(node, life) if self._hits(node) else None

    def _hits(self, *hosts: str) -> bool:
        return not self._hosts.isdisjoint(hosts)


# -- what is drawn -----------------------------------------------------------------------------------------------------


def twins(seed: int) -> Twins:
    """The plan of this seed, who is beset in one of its worlds, and with what."""
    chance = random.Random(f"twins/{seed}")
    operators = NAMES[:3]
    beset = chance.choice(operators)
    others = tuple(name for name in operators if name != beset)
    stations = tuple(
        StationPlan(identity=f"{name}-CS{number:02}", operator=name) for name in operators for number in (1, 2)
    )
    apart = tuple(station for station in stations if station.operator != beset and station.identity.endswith("CS01"))
    touched = tuple(station for station in stations if station not in apart)
    free = [_roaming(chance, others, apart, f"spared-{number}") for number in range(chance.randint(2, 4))]
    drawn_in = [_roaming(chance, operators, touched, f"touched-{number}", beset) for number in range(4)]
    plan = Plan(
        seed=seed,
        operators=operators,
        stations=stations,
        roaming=(*free, *drawn_in),
        local=(_local(chance, apart, "CARD-SPARED"), _local(chance, touched, "CARD-TOUCHED")),
        troubles=tuple(chance.sample(OF_A_SIEGE, chance.choice((1, 2, 3)))),
    )
    plan = msgspec.structs.replace(plan, settings=settings_for(Siege(plan, beset).lasts_s))
    spared = frozenset((*(each.user for each in free), *(station.identity for station in apart)))
    return Twins(plan=plan, beset=beset, spared=spared)


def _roaming(
    chance: random.Random, homes: tuple[str, ...], stations: tuple[StationPlan, ...], user: str, beset: str = ""
) -> Roaming:
    """A charge at one of these stations; where somebody is beset, it is a charge of his or at his."""
    station = chance.choice(stations)
    abroad = [name for name in homes if name != station.operator]
    home = beset if beset and station.operator != beset else chance.choice(abroad)
    return Roaming(
        user=user,
        home=home,
        station=station.identity,
        connector=chance.choice((None, "1", "2")),
        begins_s=round(chance.uniform(5, SPREAD_S), 1),
        lasts_s=round(chance.uniform(60, LASTS_S), 1),
    )


def _local(chance: random.Random, stations: tuple[StationPlan, ...], id_tag: str) -> Local:
    return Local(
        id_tag=id_tag,
        station=chance.choice(stations).identity,
        connector=chance.choice((1, 2)),
        begins_s=round(chance.uniform(5, SPREAD_S), 1),
        lasts_s=round(chance.uniform(60, LASTS_S), 1),
    )


# -- how it goes -------------------------------------------------------------------------------------------------------


def tried_twice(seed: int) -> Trial:
    """Plays the twins of this seed: judges the one with troubles as any world, and compares them."""
    began, pair = time.process_time(), twins(seed)
    try:
        with limited():
            calm, beset = play(pair.plan), play(pair.plan, pair.siege())
    except BREAKS as error:
        return _told(Trial(seed=seed, worlds=2, troubles=pair.plan.troubles), pair, [repr(error)], _frames(error))
    found = i12_blast.check(Evidence(calm.history, calm.finals), Evidence(beset.history, beset.finals), pair.spared)
    objections = [*_objections(pair, beset), *map(str, found.violations)]
    trial = Trial(
        seed=seed,
        worlds=2,
        troubles=pair.plan.troubles,
        digest=beset.history.digest(),
        figures=found.figures,
        charges=2 * pair.plan.charges,
        virtual_s=calm.virtual_s + beset.virtual_s,
        cpu_s=time.process_time() - began,
    )
    return _told(trial, pair, objections, last_of(beset)) if objections else trial


def _objections(pair: Twins, beset: Outcome) -> Iterator[str]:
    return objections_to(pair.plan, beset, check(beset.history, beset.finals))


def _frames(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def _told(trial: Trial, pair: Twins, objections: list[str], shown: str) -> Trial:
    again = f"python -m tests.world --twins --seeds {trial.seed}"
    told = told_of(pair.plan, pair.siege(), objections, shown, again)
    return msgspec.structs.replace(trial, objections=tuple(objections), told=told)
