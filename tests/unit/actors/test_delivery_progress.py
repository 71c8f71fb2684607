"""Progress between operators: at most one per interval, the newest wins, none is queued up or sent again."""

from __future__ import annotations

from itertools import pairwise

import trio

from actors.context import DeliverySettings, Place
from statecharts.charging import ChargingDeadlines
from statecharts.vocabulary import PeerOutcome, RoamingRequest, TransactionProgressUpdate
from tests.support.house import LinkedClient, place
from tests.support.roaming import HOME, Charge, Roaming, two_operators


def quick_place() -> Place:
    """A station whose progress is told as often as every second."""
    usual = place()
    return Place(
        identity=usual.identity,
        location=usual.location,
        service_types=usual.service_types,
        connectors=2,
        deadlines=ChargingDeadlines(progress_interval_s=1),
    )


def told(roaming: Roaming) -> list[int | None]:
    """The energy of each progress update that was sent, in Wh."""
    return [request.transaction_data.energy_wh for request in roaming.back.of(TransactionProgressUpdate)]


async def meter(roaming: Roaming, charge: Charge, readings: range, every_s: float) -> None:
    for register_wh in readings:
        await roaming.station.meter(charge.number, register_wh)
        await trio.sleep(every_s)


async def test_at_most_one_per_interval_and_it_carries_the_newest(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with two_operators(nursery) as roaming:
        charge = await roaming.running()
        await meter(roaming, charge, range(1_010, 1_200, 10), every_s=10)
        times = roaming.back.times_of(TransactionProgressUpdate)
        assert len(times) == 4
        assert [round(later - earlier) for earlier, later in pairwise(times)] == [60, 60, 60]
        assert told(roaming) == [10, 70, 130, 190]
        assert (await roaming.view(charge)).energy_wh == 190


async def test_what_comes_while_the_peer_is_slow_supersedes_what_waited(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with two_operators(nursery, places=(quick_place(),)) as roaming:
        charge = await roaming.running()
        roaming.local.sources[HOME] = slow = Slow(roaming.back, seconds=5)
        await meter(roaming, charge, range(1_100, 2_100, 100), every_s=1)
        await trio.sleep(30)
        first, *between, last = told(roaming)
        assert (first, len(between), last) == (100, 1, 1_000)
        assert slow.most_at_once == 1


async def test_a_progress_update_that_was_lost_is_not_sent_again(autojump_clock: object, nursery: trio.Nursery) -> None:
    async with two_operators(nursery, places=(quick_place(),)) as roaming:
        charge = await roaming.running()
        roaming.back.down = True
        await roaming.station.meter(charge.number, 1_500)
        await trio.sleep(60)
        roaming.back.down = False
        await trio.sleep(3_600)
        assert told(roaming) == [500]
        assert (await roaming.local.operator.peers()).items[0].pending_deliveries == 0
        await roaming.station.meter(charge.number, 2_500)
        await trio.sleep(1)
        assert (await roaming.view(charge)).energy_wh == 1_500


async def test_no_progress_is_owed_across_a_restart(autojump_clock: object, nursery: trio.Nursery) -> None:
    async with two_operators(nursery) as roaming:
        charge = await roaming.running()
        roaming.back.down = True
        await roaming.station.meter(charge.number, 1_500)
        await roaming.down_time(roaming.local, 5)
        roaming.back.down = False
        await trio.sleep(600)
        assert told(roaming) == [500]


async def test_progress_of_many_charges_is_told_a_few_at_a_time(autojump_clock: object, nursery: trio.Nursery) -> None:
    gentle = DeliverySettings(in_flight_max=1)
    async with two_operators(nursery, places=(quick_place(),), delivery=gentle) as roaming:
        first = await roaming.running()
        second = await roaming.ready("2")
        await roaming.start_asked(second)
        answer = await roaming.station.start(second.name, connector_id=2)
        await roaming.home.until(second.source, "TxRunning")
        roaming.local.sources[HOME] = slow = Slow(roaming.back, seconds=5)
        await roaming.station.meter(first.number, 1_500)
        await roaming.station.meter(answer.transaction_id, 1_700, connector_id=2)
        await trio.sleep(12)
        assert slow.most_at_once == 1
        assert sorted(told(roaming), key=str) == [500, 700]


async def test_progress_after_the_end_changes_nothing(autojump_clock: object, nursery: trio.Nursery) -> None:
    async with two_operators(nursery, places=(quick_place(),)) as roaming:
        charge = await roaming.running()
        await roaming.station.meter(charge.number, 1_500)
        await trio.sleep(1)
        (late,) = roaming.back.of(TransactionProgressUpdate)
        await roaming.station.stop(charge.number, 5_000)
        await roaming.settled(charge)
        before = await roaming.view(charge)
        await roaming.home.source("IE-001", late)
        assert await roaming.view(charge) == before


class Slow:
    """A peer that takes its time; `most_at_once` is how many calls it had at the same moment."""

    def __init__(self, inner: LinkedClient, seconds: float) -> None:
        self.inner, self.seconds = inner, seconds
        self.now = self.most_at_once = 0

    async def call(self, request: RoamingRequest, timeout_s: float) -> PeerOutcome:
        self.now += 1
        self.most_at_once = max(self.most_at_once, self.now)
        await trio.sleep(self.seconds)
        self.now -= 1
        return await self.inner.call(request, timeout_s)

    async def aclose(self) -> None:
        await self.inner.aclose()
