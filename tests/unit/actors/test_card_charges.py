"""As many charges at once as one card may have, at all stations together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import trio
from trio.testing import MockClock

from actors.context import NodeSettings
from statecharts.station_reports import StartTransaction
from statecharts.vocabulary import Refused
from tests.conformance.oca_scene import scene
from tests.support.books import CARD, locals_of, restarted
from tests.support.house import StationLine, open_house, place

ONE = NodeSettings(pms_identifier="IE-001", charges_per_card_max=1)
Two = tuple[StationLine, StationLine]


@pytest.fixture
async def two(autojump_clock: object, nursery: trio.Nursery) -> AsyncIterator[Two]:
    """Two stations of an operator who lets a card have one charge at a time."""
    async with open_house("IE-001", nursery, places=(place(), place("CS02")), settings=ONE) as house:
        first, second = StationLine(house, "CS01"), StationLine(house, "CS02")
        await first.come_online()
        await second.come_online()
        yield first, second


async def told(line: StationLine, id_tag: str = CARD, **more: int) -> str:
    return (await line.start(id_tag, **more)).id_tag_info.status


async def test_the_second_charge_of_a_card_is_told_so_and_written_down(autojump_clock: object, two: Two) -> None:
    first, second = two
    assert await told(first) == "Accepted"
    answer = await second.start(CARD)
    assert answer.id_tag_info.status == "ConcurrentTx"
    await second.stop(answer.transaction_id, 1_500)
    _, other = await locals_of(first.house)
    assert (other.state, other.energy_wh, other.local_service_identifier) == ("Settled", 500, "CS02")


async def test_case_means_nothing_and_the_other_connector_counts_too(autojump_clock: object, two: Two) -> None:
    first, _ = two
    assert await told(first) == "Accepted"
    assert await told(first, CARD.lower(), connector_id=2) == "ConcurrentTx"


async def test_a_repeated_start_is_no_second_charge(autojump_clock: object, two: Two) -> None:
    first, _ = two
    at = first.house.clock.now()
    begun = [await first.start(CARD, at=at) for _ in range(2)]
    assert begun[0] == begun[1] and begun[0].id_tag_info.status == "Accepted"


async def test_a_charge_that_is_over_counts_no_more(autojump_clock: object, two: Two) -> None:
    first, second = two
    number = (await first.start(CARD)).transaction_id
    await first.stop(number, 2_000)
    assert await told(second) == "Accepted"


async def test_a_start_that_was_queued_is_not_held_against_its_card(autojump_clock: object, two: Two) -> None:
    first, second = two
    assert await told(first) == "Accepted"
    queued = StartTransaction(
        connector_id=1,
        id_tag=CARD,
        meter_start_wh=0,
        timestamp=second.house.clock.now() - timedelta(hours=1),
    )
    assert (await second.say(queued)).id_tag_info.status == "Accepted"  # type: ignore[union-attr]


async def test_of_two_that_begin_at_once_one_is_too_many(
    autojump_clock: object, two: Two, nursery: trio.Nursery
) -> None:
    said: list[str] = []

    async def begin(line: StationLine) -> None:
        said.append(await told(line))

    async with trio.open_nursery() as both:
        for line in two:
            both.start_soon(begin, line)
    assert sorted(said) == ["Accepted", "ConcurrentTx"]


async def test_an_operators_start_is_refused(autojump_clock: object, two: Two) -> None:
    first, second = two
    await first.house.operator.start_local("CS01", 1, CARD)
    with pytest.raises(Refused) as caught:
        await second.house.operator.start_local("CS02", 1, CARD)
    assert caught.value.refusal.kind == "concurrent-charge"
    assert await told(first) == "Accepted", "it is the charge that was asked for"


async def test_a_restart_forgets_no_charge(autojump_clock: object, two: Two, nursery: trio.Nursery) -> None:
    first, second = two
    assert await told(first) == "Accepted"
    again = await restarted(second, nursery)
    assert await told(again) == "ConcurrentTx"


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
async def test_a_station_ends_what_it_is_told_is_one_too_many(
    version: str, autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    async with scene(nursery, version, settings=ONE) as at:
        for connector in (1, 2):
            await at.station.plug(connector)
            await at.station.swipe(connector, CARD)
            await trio.sleep(30)
        assert [view.state for view in await at.charges()] == ["TxRunning", "Settled"]
