"""Two whole operators and a station through random lives: apps, reports, lost and repeated calls, killed nodes,
idle transactions that leave memory soon or late.

However it went, once everybody is fair again both hold the same charge record with the station's own energy, or none
where the station charged nothing, and no transaction is left waiting.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

import trio
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from statecharts.station_vocabulary import (
    BootNotification,
    ConnectorStatus,
    RemoteStartTransaction,
    RemoteStopTransaction,
    StatusNotification,
    StopTransaction,
)
from statecharts.vocabulary import Declined, DestinationRequest, Refusal, Refused, Unanswered
from tests.support.house import House, LinkedClient, resting_after
from tests.support.roaming import HOME, LOCAL, Charge, Roaming, two_operators

LOST = Unanswered(cause="HTTP 503")
NO = Declined(refusal=Refusal(code=400, kind="peer-refused", message="the partner has a bad day"))
LAPSED_S = 1_500
"""Longer than an authorisation, a start and a back-off to its cap take together."""


@dataclass
class Meter:
    """The station as it really is: what it charged, and what it has still to tell because it was offline."""

    roaming: Roaming
    charge: Charge
    register_wh: int = 1_000
    online: bool = True
    commands_done: int = 0
    started_at: datetime | None = None
    meter_start_wh: int = 0
    number: int | None = None
    stop: StopTransaction | None = None

    @property
    def charging(self) -> bool:
        return self.started_at is not None and self.stop is None

    @property
    def energy_wh(self) -> int | None:
        return self.stop.meter_stop_wh - self.meter_start_wh if self.stop else None

    async def charge_now(self) -> None:
        """Starts, once, if it was asked to and has not charged yet."""
        asked = any(isinstance(command, RemoteStartTransaction) for command in self.roaming.station.commands)
        if asked and self.started_at is None:
            self.started_at, self.meter_start_wh = self.roaming.local.clock.now(), self.register_wh
            await self.tell()

    async def meter(self) -> None:
        if self.charging:
            self.register_wh += 137
            if self.online and self.number is not None:
                await self.roaming.station.meter(self.number, self.register_wh)

    async def end(self, reason: str = "EVDisconnected") -> None:
        if self.charging:
            self.register_wh += 59
            self.stop = StopTransaction(
                transaction_id=-1,
                meter_stop_wh=self.register_wh,
                timestamp=self.roaming.local.clock.now(),
                reason=reason,
                id_tag=self.charge.name,
            )
            await self.tell()

    async def obey(self) -> None:
        """Does what a RemoteStop asked for."""
        commands = self.roaming.station.commands
        fresh, self.commands_done = commands[self.commands_done :], len(commands)
        if any(isinstance(command, RemoteStopTransaction) for command in fresh):
            await self.end("Remote")

    async def tell(self) -> None:
        """Tells what happened and was not told; a start is told again with every stop, as after a lost answer."""
        if not self.online or self.started_at is None:
            return
        answer = await self.roaming.station.start(
            self.charge.name, meter_start_wh=self.meter_start_wh, at=self.started_at
        )
        assert self.number in (None, answer.transaction_id), "a repeated start gets the same number"
        self.number = answer.transaction_id
        if self.stop is not None:
            await self.roaming.station.stop(
                self.number, self.stop.meter_stop_wh, reason=self.stop.reason, at=self.stop.timestamp
            )

    async def go(self, online: bool) -> None:
        if online and not self.online:
            await self.roaming.station.come_online(boot=False)
        if not online and self.online:
            await self.roaming.station.go_offline()
        self.online = online
        await self.tell()

    async def boot(self) -> None:
        if self.online:
            status = ConnectorStatus.CHARGING if self.charging else ConnectorStatus.PREPARING
            await self.roaming.station.say(BootNotification(vendor="V", model="M"))
            await self.roaming.station.say(StatusNotification(connector_id=1, status=status, error_code="NoError"))


@dataclass
class Life:
    roaming: Roaming
    charge: Charge
    meter: Meter

    async def ask(self, what: Callable[[Charge], Awaitable[object]]) -> None:
        """What an app asks for may be refused: that is an answer."""
        try:
            await what(self.charge)
        except Refused as no:
            assert no.refusal.code < 500, no

    async def restart(self, house: House) -> None:
        await house.restart(self.roaming.nursery)
        if house is self.roaming.local and self.meter.online:
            await self.roaming.station.come_online(boot=False)

    async def repeat(self, client: LinkedClient, which: int) -> None:
        """An old message comes once more, out of the blue."""
        if client.sent:
            message = client.sent[which % len(client.sent)]
            door = self.roaming.local.destination if client is self.roaming.there else self.roaming.home.source
            try:
                await door(HOME if isinstance(message, DestinationRequest) else LOCAL, message)
            except Refused as no:
                assert no.refusal.code < 500, no


def client_of(life: Life, name: str) -> LinkedClient:
    return life.roaming.there if name == "there" else life.roaming.back


async def take(life: Life, step: tuple[str, object]) -> None:
    """One step of a life."""
    what, value = step
    roaming, meter = life.roaming, life.meter
    match what:
        case "wait":
            await trio.sleep(float(str(value)))
        case "start":
            await life.ask(roaming.start)
        case "stop":
            await life.ask(roaming.stop)
        case "restart":
            await life.restart(roaming.home if value == "home" else roaming.local)
        case "lose":
            client_of(life, str(value)).reply_lost.append(True)
        case "fail":
            client_of(life, str(value)).script.append(LOST)
        case "decline":
            client_of(life, str(value)).script.append(NO)
        case "down":
            client_of(life, str(value)).down ^= True
        case "repeat":
            name, which = str(value).split()
            await life.repeat(client_of(life, name), int(which))
        case _:
            await getattr(meter, what)(*([value] if what == "go" else []))


SIDES = st.sampled_from(("there", "back"))
STEPS = st.one_of(
    st.tuples(st.just("wait"), st.sampled_from((0.5, 5, 40, 120))),
    st.tuples(st.sampled_from(("start", "stop", "charge_now", "obey", "meter", "end", "boot")), st.none()),
    st.tuples(st.just("go"), st.booleans()),
    st.tuples(st.just("restart"), st.sampled_from(("home", "local"))),
    st.tuples(st.sampled_from(("lose", "fail", "decline", "down")), SIDES),
    st.tuples(st.just("repeat"), st.builds("{} {}".format, SIDES, st.integers(0, 9))),
)
BEGINNINGS = st.sampled_from(
    (
        (),
        (("start", None), ("wait", 0.5)),
        (("start", None), ("wait", 0.5), ("charge_now", None), ("wait", 0.5)),
        (("start", None), ("wait", 0.5), ("charge_now", None), ("wait", 0.5), ("stop", None), ("wait", 0.5)),
    )
)


async def be_fair(life: Life) -> None:
    """Everybody answers, the car leaves, and the operators send again what lies parked."""
    roaming, meter = life.roaming, life.meter
    for client in (roaming.there, roaming.back):
        client.down, client.script, client.reply_lost = False, [], []
    await meter.go(True)
    await meter.end()
    await meter.tell()
    await roaming.leave()
    await trio.sleep(LAPSED_S)
    for letter in (await roaming.local.operator.parked(HOME)).items:
        await roaming.local.operator.replay(HOME, letter.id)
    await trio.sleep(LAPSED_S)


async def check(life: Life) -> None:
    roaming, energy_wh = life.roaming, life.meter.energy_wh
    view, data = await roaming.view(life.charge), await roaming.local.data(life.charge.destination)
    note(f"{view.state} {view.flags} / {data.state} {data.flags} / {energy_wh} Wh")
    if energy_wh is None:
        assert (view.state, data.state) == ("Expired", "Expired")
        assert await roaming.cdrs() == ((), ())
    else:
        assert (view.state, data.state) == ("Settled", "Settled")
        assert (await roaming.same_cdr(life.charge)).energy_wh == energy_wh
    assert all(operation.status != "pending" for operation in view.operations)
    for house in (roaming.home, roaming.local):
        (peer,) = (await house.operator.peers()).items
        assert (peer.pending_deliveries, peer.parked_deliveries) == (0, 0)
    page = await roaming.local.operator.transactions(role="local", state=None, cursor=None, limit=9)
    assert page.items == (), "nothing of a roaming charge is billed locally"


async def live(steps: list[tuple[str, object]], rest_after_s: float) -> None:
    async with trio.open_nursery() as nursery:
        async with two_operators(nursery, policies=resting_after(rest_after_s)) as roaming:
            charge = await roaming.ready()
            life = Life(roaming, charge, Meter(roaming, charge))
            for step in steps:
                await take(life, step)
            await be_fair(life)
            await check(life)
        nursery.cancel_scope.cancel()


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(beginning=BEGINNINGS, steps=st.lists(STEPS, max_size=20), rest_after_s=st.sampled_from((0.1, 20, 300)))
def test_however_it_went_both_end_with_the_stations_own_energy_or_with_nothing(
    beginning: tuple[tuple[str, object], ...], steps: list[tuple[str, object]], rest_after_s: float
) -> None:
    trio.run(live, [*beginning, *steps], rest_after_s, clock=MockClock(autojump_threshold=0))
