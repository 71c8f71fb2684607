"""Two whole operators and a station through random lives: apps, reports, lost and repeated calls, clients that hang up,
strangers, killed nodes, snapshots taken soon or late, idle transactions that leave memory soon or late.

However it went, once everybody is fair again both hold the same charge record with the station's own energy, or none
where the station charged nothing; every reading that was acknowledged is known; no transaction is left waiting, and no
command was sent after its time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
import trio
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from actors import durable
from statecharts.bounds import FACTS_AFTER_SNAPSHOT
from statecharts.source_events import SourceDeadlines
from statecharts.station_vocabulary import (
    BootNotification,
    ConnectorStatus,
    RemoteStartTransaction,
    RemoteStopTransaction,
    StatusNotification,
    StopTransaction,
)
from statecharts.vocabulary import (
    Declined,
    DestinationRequest,
    NotifyRequestResult,
    Refusal,
    Refused,
    RequestStartTransaction,
    RequestStopTransaction,
    Unanswered,
)
from tests.support.house import EPOCH, LinkedClient, gone_after, resting_after
from tests.support.roaming import HOME, LOCAL, Charge, Roaming, two_operators

LOST = Unanswered(cause="HTTP 503")
NO = Declined(refusal=Refusal(code=400, kind="peer-refused", message="the partner has a bad day"))
STRANGER = "DE-XYZ"
LAPSED_S = 1_500
"""Longer than an authorisation, a start and a back-off to its cap take together."""
START_S, STOP_S = SourceDeadlines().start_s, SourceDeadlines().stop_s


@dataclass
class Meter:
    """The station as it really is: what it charged, and what it has still to tell because it was offline."""

    roaming: Roaming
    charge: Charge
    in_kwh: bool = False
    register_wh: int = 1_000
    acknowledged_wh: int | None = None
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

    async def meter(self, wh: int) -> None:
        if self.charging:
            self.register_wh += wh
            if self.online and self.number is not None:
                await self.roaming.station.meter(self.number, self.register_wh, in_kwh=self.in_kwh)
                self.acknowledged_wh = self.register_wh

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
    """What apps, operators and strangers do; a step of a life is one of these methods, or of the meter's."""

    roaming: Roaming
    charge: Charge
    meter: Meter

    async def wait(self, seconds: float) -> None:
        await trio.sleep(seconds)

    async def start(self) -> None:
        await self._ask(self.roaming.start)

    async def stop(self) -> None:
        await self._ask(self.roaming.stop)

    async def leave(self, steps: int) -> None:
        """The app asks for what comes next, and is gone before it hears of it."""
        ask = self.roaming.stop if self.meter.charging else self.roaming.start
        await gone_after(steps, ask, self.charge)

    async def _ask(self, what: Callable[[Charge], Awaitable[object]]) -> None:
        """What an app asks for may be refused: that is an answer."""
        try:
            await what(self.charge)
        except Refused as no:
            assert no.refusal.code < 500, no

    async def restart(self, who: str) -> None:
        house = self.roaming.home if who == "home" else self.roaming.local
        await house.restart(self.roaming.nursery)
        if house is self.roaming.local and self.meter.online:
            await self.roaming.station.come_online(boot=False)

    # -- between the operators -----------------------------------------------------------------------------------------

    def _client(self, side: str) -> LinkedClient:
        return self.roaming.there if side == "there" else self.roaming.back

    async def lose(self, side: str) -> None:
        self._client(side).reply_lost.append(True)

    async def fail(self, side: str) -> None:
        self._client(side).script.append(LOST)

    async def decline(self, side: str) -> None:
        self._client(side).script.append(NO)

    async def down(self, side: str) -> None:
        self._client(side).down ^= True

    async def hang_up(self, side_and_steps: tuple[str, int]) -> None:
        side, steps = side_and_steps
        self._client(side).hangs_up_after.append(steps)

    async def repeat(self, side_and_which: tuple[str, int]) -> None:
        """An old message comes once more, out of the blue."""
        side, which = side_and_which
        if sent := self._client(side).sent:
            message = sent[which % len(sent)]
            try:
                await self._door(side)(HOME if isinstance(message, DestinationRequest) else LOCAL, message)
            except Refused as no:
                assert no.refusal.code < 500, no

    async def pose(self, side_and_which: tuple[str, int]) -> None:
        """Another partner says what an old message said: nothing of it is theirs, and nothing comes of it."""
        side, which = side_and_which
        if sent := self._client(side).sent:
            try:
                await self._door(side)(STRANGER, sent[which % len(sent)])
            except Refused as no:
                assert no.refusal.code in (403, 404), no
            else:
                raise AssertionError(f"{STRANGER} may not say {sent[which % len(sent)]}")

    def _door(self, side: str) -> Callable[[str, Any], Awaitable[Any]]:
        return self.roaming.local.destination if side == "there" else self.roaming.home.source


async def take(life: Life, step: tuple[str, Any]) -> None:
    """One step of a life."""
    what, value = step
    doer = life if hasattr(Life, what) else life.meter
    await getattr(doer, what)(*(() if value is None else (value,)))


SIDES = st.sampled_from(("there", "back"))
STEPS = st.one_of(
    st.tuples(st.just("wait"), st.sampled_from((0.5, 5, 40, 120, 300))),
    st.tuples(st.sampled_from(("start", "stop", "charge_now", "obey", "end", "boot")), st.none()),
    st.tuples(st.just("meter"), st.integers(1, 3_000)),
    st.tuples(st.just("go"), st.booleans()),
    st.tuples(st.just("restart"), st.sampled_from(("home", "local"))),
    st.tuples(st.sampled_from(("lose", "fail", "decline", "down")), SIDES),
    st.tuples(st.sampled_from(("repeat", "pose", "hang_up")), st.tuples(SIDES, st.integers(0, 9))),
    st.tuples(st.just("leave"), st.integers(0, 9)),
)
BEGINNINGS = st.sampled_from(
    (
        (),
        (("start", None), ("wait", 0.5)),
        (("down", "there"), ("start", None), ("wait", 300)),
        (("start", None), ("wait", 0.5), ("charge_now", None), ("wait", 0.5)),
        (("start", None), ("wait", 0.5), ("charge_now", None), ("wait", 0.5), ("meter", 137)),
        (("start", None), ("wait", 0.5), ("charge_now", None), ("down", "back"), ("end", None), ("wait", 40)),
        (("start", None), ("wait", 0.5), ("charge_now", None), ("wait", 0.5), ("stop", None), ("wait", 0.5)),
    )
)


async def be_fair(life: Life) -> None:
    """Everybody answers, the car leaves, and the operators send again what lies parked."""
    roaming, meter = life.roaming, life.meter
    for client in (roaming.there, roaming.back):
        client.down, client.script, client.reply_lost, client.hangs_up_after = False, [], [], []
    await meter.go(True)
    await meter.end()
    await meter.tell()
    await roaming.leave()
    await trio.sleep(LAPSED_S)
    if meter.stop is not None:
        assert (await roaming.view(life.charge)).state == "Settled", "the Source has the charge record before all else"
    roaming.back.deaf_to = ()
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
        assert data.charge.meter_last_wh == life.meter.acknowledged_wh
    assert all(operation.status != "pending" for operation in view.operations)
    for house in (roaming.home, roaming.local):
        (peer,) = (await house.operator.peers()).items
        assert (peer.pending_deliveries, peer.parked_deliveries) == (0, 0)
    page = await roaming.local.operator.transactions(role="local", state=None, cursor=None, limit=9)
    assert page.items == (), "nothing of a roaming charge is billed locally"
    asked_at = {operation.request_identifier: operation for operation in view.operations}
    for at, request in zip(roaming.there.sent_at, roaming.there.sent, strict=True):
        if isinstance(request, RequestStartTransaction | RequestStopTransaction):
            lasts_s = (
                EPOCH + timedelta(seconds=at) - asked_at[request.request_identifier].requested_at
            ).total_seconds()
            assert lasts_s <= (START_S if isinstance(request, RequestStartTransaction) else STOP_S)


async def live(steps: list[tuple[str, Any]], habits: Habits) -> None:
    limit = msgspec.structs.replace(FACTS_AFTER_SNAPSHOT, limit=habits.facts_after_snapshot)
    async with trio.open_nursery() as nursery:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(durable, "FACTS_AFTER_SNAPSHOT", limit)
            async with two_operators(nursery, policies=resting_after(habits.rest_after_s)) as roaming:
                roaming.back.deaf_to = (NotifyRequestResult,) if habits.deaf_to_results else ()
                charge = await roaming.ready()
                life = Life(roaming, charge, Meter(roaming, charge, habits.in_kwh))
                for step in steps:
                    await take(life, step)
                await be_fair(life)
                await check(life)
        nursery.cancel_scope.cancel()


@dataclass(frozen=True)
class Habits:
    """What holds for all of a life."""

    rest_after_s: float
    facts_after_snapshot: int
    in_kwh: bool
    deaf_to_results: bool


HABITS = st.builds(
    Habits,
    rest_after_s=st.sampled_from((0.1, 20, 300)),
    facts_after_snapshot=st.sampled_from((1, 3, 200)),
    in_kwh=st.booleans(),
    deaf_to_results=st.sampled_from((False, False, True)),
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(beginning=BEGINNINGS, steps=st.lists(STEPS, max_size=20), habits=HABITS)
def test_however_it_went_both_end_with_the_stations_own_energy_or_with_nothing(
    beginning: tuple[tuple[str, Any], ...], steps: list[tuple[str, Any]], habits: Habits
) -> None:
    trio.run(live, [*beginning, *steps], habits, clock=MockClock(autojump_threshold=0))
