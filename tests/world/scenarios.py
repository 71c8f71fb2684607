"""Short scenarios, each a fixed script, and what each may come to, wherever it is disturbed.

An ending leaves out all names, times and amounts: what it says of energy is whether it is what the station metered. A
scenario comes to its `ending` if nothing disturbs it. The others are legal too: as if the step that was cut had not
happened, and whoever wanted it had asked again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import trio

from statecharts.simulated_connector import AVAILABLE
from tests.world.patrons import LOOKS_EVERY_S, RECORDED, Driver, Patron, until
from tests.world.plan import Plan, StationPlan
from tests.world.scripted import ScriptedStation, Tale
from tests.world.world import World

HOME, LOCAL = "NL-MOT", "IE-ESB"
STATION = "IE-ESB-CS01"
USER, CARD, OTHER_CARD = "anna", "CARD0001", "CARD0002"
CHARGES_S, SETTLES_S = 120.0, 10.0

Act = Callable[[World], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Ending:
    """What a world came to. Each field names what there is of its kind, in the order of the alphabet.

    `source`, `destination`, `local`: the transactions' states, with the flags that matter. `records`: a word for each
    charge record at a Source. `asked`: the commands that reached the station. `left`: what is kept as an orphan or
    parked.
    """

    source: str = ""
    destination: str = ""
    local: str = ""
    records: str = ""
    asked: str = ""
    left: str = ""


def _after_another_try(ending: Ending) -> tuple[Ending, ...]:
    """The answer to an authorisation is lost with the Source that asked: it is refused there, and the user asks anew.

    The Destination has never heard of it, or what it granted lapses.
    """
    if not ending.source:
        return ()
    refused = replace(ending, source=_with("Refused", ending.source))
    return refused, replace(refused, destination=_with("Expired", ending.destination))


def _with(word: str, words: str) -> str:
    return " ".join(sorted([word, *words.split()]))


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A script for a world with one station, and what it may come to: `ending`, or one of the `others`.

    `whole`: harm is done from the world's beginning on, not from when the station has told all of itself.
    """

    act: Act
    ending: Ending
    others: tuple[Ending, ...] = ()
    operators: tuple[str, ...] = (HOME, LOCAL)
    behaviour: str = "normal"
    scripted: bool = False
    whole: bool = False
    blocked: tuple[str, ...] = ()
    refuses: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """By SOAP operation: how often it is refused, and with which HTTP status; 0 is no connection at all."""

    def endings(self, harms: int) -> frozenset[Ending]:
        """What it may come to, with so much harm done to it."""
        found = frozenset({self.ending, *self.others})
        for _ in range(harms):
            found |= {other for ending in found for other in _after_another_try(ending)}
        return found

    @property
    def plan(self) -> Plan:
        station = StationPlan(
            identity=STATION, operator=LOCAL, connectors=1, behaviour=self.behaviour, scripted=self.scripted
        )
        return Plan(
            seed=1,
            operators=self.operators,
            stations=(station,),
            users=(USER,),
            cards=(CARD, OTHER_CARD),
            blocked=self.blocked,
        )

    async def is_ready(self, world: World) -> None:
        """Returns once the station has told all of itself, unless a script speaks for it."""
        if not self.scripted:
            await world.stations[STATION].simulated.registered.wait()
            await trio.sleep(SETTLES_S)

    async def happen(self, world: World) -> None:
        """All of it, until nothing is under way any more."""
        await self.act(world)
        await until(world.is_quiet)


# -- roaming -----------------------------------------------------------------------------------------------------------


def _patron(world: World) -> Patron:
    return Patron(world, USER, HOME, STATION)


async def _roams(world: World) -> None:
    patron = _patron(world)
    if await patron.authorised():
        await patron.charges()
        await trio.sleep(CHARGES_S)
        await patron.stops()
        await patron.reaches(RECORDED)


async def _progresses(world: World) -> None:
    patron = _patron(world)
    if await patron.authorised():
        await patron.charges()
        await trio.sleep(700)  # two readings
        await patron.stops()


async def _unplugs(world: World) -> None:
    patron, station = _patron(world), world.stations[STATION].simulated
    if await patron.authorised():
        await patron.charges()
        await trio.sleep(CHARGES_S)
        await station.unplug(1)
        await patron.reaches(RECORDED)


async def _is_parked(world: World) -> None:
    """The partner would not take the charge record; the operator's people send it again until it does."""
    patron, station = _patron(world), world.stations[STATION].simulated
    if await patron.authorised():
        await patron.charges()
        await trio.sleep(CHARGES_S)
        await station.unplug(1)
        while await patron.state() not in RECORDED:
            await trio.sleep(LOOKS_EVERY_S)
            await world.rooms[LOCAL].replay_parked()


async def _is_rejected(world: World) -> None:
    patron = _patron(world)
    if await patron.authorised():
        await patron.asks_to_start()


async def _goes_offline(world: World, away_s: float) -> Patron | None:
    """The station agrees to start and loses its connection; then the car is plugged in."""
    patron, station = _patron(world), world.stations[STATION].simulated
    if not await patron.authorised():
        return None
    await patron.charges(is_asked=lambda: station.state(1) != AVAILABLE)
    await station.lose_connection(away_s)
    await station.plug(1)
    return patron


async def _starts_late(world: World) -> None:
    if patron := await _goes_offline(world, away_s=400):
        await patron.reaches(frozenset({"TxRunning"}))
        await trio.sleep(CHARGES_S)
        await patron.stops()


async def _replays(world: World) -> None:
    if patron := await _goes_offline(world, away_s=300):
        await trio.sleep(CHARGES_S)
        await world.stations[STATION].simulated.unplug(1)
        await patron.reaches(RECORDED)


async def _is_blocked(world: World) -> None:
    patron = _patron(world)
    await patron.asks_once()


async def _is_redeployed(world: World, operator: str) -> None:
    patron = _patron(world)
    if await patron.authorised():
        await patron.charges()
        await trio.sleep(CHARGES_S)
        await world.operators[operator].shut_down()
        await trio.sleep(30)
        world.operators[operator].start()
        await patron.stops()
        await patron.reaches(RECORDED)


# -- without a partner -------------------------------------------------------------------------------------------------


async def _swipes(world: World) -> None:
    driver = Driver(world.stations[STATION].simulated, CARD)
    await driver.charges()
    await trio.sleep(CHARGES_S)
    await driver.stops()


def _told(tell: Callable[[World, ScriptedStation], Awaitable[None]]) -> Act:
    """What a scripted station tells, once it has booted."""

    async def act(world: World) -> None:
        station = world.stations[STATION]
        told = ScriptedStation(world.ground, STATION, station.line.connect, station.clock)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(told.run)
            await told.boot()
            await tell(world, told)
            await until(world.is_quiet)
            nursery.cancel_scope.cancel()

    return act


async def _stops_first(_: World, station: ScriptedStation) -> None:
    tale = Tale(id_tag=CARD, began=station.ago(900), ended=station.ago(300))
    await station.end(tale)
    await station.begin(tale)


async def _is_taken(_: World, station: ScriptedStation) -> None:
    """The station never tells how its first charge ended: the second takes the connector."""
    first = Tale(id_tag=CARD, began=station.ago(900), ended=station.ago(500), meter_stop_wh=3_000)
    number = (await station.begin(first)).transaction_id
    await station.meter(number, station.ago(600), 2_500)
    second = Tale(id_tag=OTHER_CARD, began=station.ago(400), ended=station.ago(0), meter_start_wh=3_000)
    await station.end(second, (await station.begin(second)).transaction_id)


async def _stops_late(_: World, station: ScriptedStation) -> None:
    """The end of the first charge is told only when the second has taken its connector."""
    first = Tale(id_tag=CARD, began=station.ago(900), ended=station.ago(500))
    second = Tale(
        id_tag=OTHER_CARD, began=station.ago(400), ended=station.ago(0), meter_start_wh=4_000, meter_stop_wh=6_000
    )
    await station.begin(first)
    number = (await station.begin(second)).transaction_id
    await station.end(first)
    await station.end(second, number)


async def _is_misused(world: World, station: ScriptedStation) -> None:
    """Somebody has learned an authorizationIdentifier, and charges with it before its user ever asked to."""
    patron = _patron(world)
    if await patron.authorised() and patron.name is not None:
        tale = Tale(id_tag=patron.name, began=station.ago(60), ended=station.ago(30), meter_stop_wh=1_002)
        await station.end(tale, (await station.begin(tale)).transaction_id)


# -- all of them -------------------------------------------------------------------------------------------------------

SETTLED = Ending(source="Settled", destination="Settled", records="metered", asked="Start Stop")
BY_THE_DRIVER = replace(SETTLED, asked="Start")
NOTHING = Ending()

SCENARIOS: Mapping[str, Scenario] = {
    "roaming": Scenario(act=_roams, ending=SETTLED),
    "progress": Scenario(act=_progresses, ending=SETTLED),
    "unplugged": Scenario(act=_unplugs, ending=BY_THE_DRIVER),
    "start-rejected": Scenario(
        act=_is_rejected,
        behaviour="rejects",
        ending=Ending(source="Expired", destination="Expired", asked="Start"),
        others=(Ending(source="Expired", destination="Expired"),),  # died with the start written down, never sent then
    ),
    "late-start": Scenario(act=_starts_late, behaviour="never_starts", ending=SETTLED),
    "offline-charge": Scenario(act=_replays, behaviour="never_starts", ending=BY_THE_DRIVER),
    "partner-down": Scenario(act=_unplugs, refuses={"endTransactionRequest": (4, 0)}, ending=BY_THE_DRIVER),
    "parked": Scenario(act=_is_parked, refuses={"endTransactionRequest": (1, 400)}, ending=BY_THE_DRIVER),
    "blocked-user": Scenario(act=_is_blocked, blocked=(USER,), ending=NOTHING),
    "source-redeployed": Scenario(act=partial(_is_redeployed, operator=HOME), ending=SETTLED),
    "destination-redeployed": Scenario(act=partial(_is_redeployed, operator=LOCAL), ending=SETTLED),
    "card": Scenario(act=_swipes, operators=(LOCAL,), whole=True, ending=Ending(local="Settled")),
    "stop-before-start": Scenario(
        act=_told(_stops_first), operators=(LOCAL,), scripted=True, ending=Ending(local="Settled")
    ),
    "connector-taken": Scenario(
        act=_told(_is_taken), operators=(LOCAL,), scripted=True, ending=Ending(local="Settled Settled/estimated")
    ),
    "late-stop": Scenario(
        act=_told(_stops_late),
        operators=(LOCAL,),
        scripted=True,
        ending=Ending(local="Settled Settled/estimated/late-stop"),
    ),
    "misuse": Scenario(
        act=_told(_is_misused),
        scripted=True,
        ending=Ending(source="Expired", destination="Expired/misuse", local="Settled"),
    ),
}
