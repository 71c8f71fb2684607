"""A station is asked what has become of a charge in doubt; what it then reports decides, and a mute one is left be."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio

from statecharts.station_commands import CallOutcome, CallVerdict, StationCommand, TriggerMessage
from statecharts.station_reports import BootNotification, ConnectorStatus
from tests.support.books import CARD, going_on, local
from tests.support.house import StationLine, open_house

RECONCILE_S, SILENCE_S = 3_600, 86_400
STATUS = TriggerMessage(what="StatusNotification", connector_id=1)
METER = TriggerMessage(what="MeterValues", connector_id=1)


class Answering(StationLine):
    """A station that shows connector 1 as `shown` when it is asked to, or says `unable` to what it is asked."""

    shown: ConnectorStatus | None = None
    unable: CallOutcome | None = None

    async def call(self, command: StationCommand) -> CallOutcome:
        outcome = await super().call(command)
        if self.unable is not None:
            return self.unable
        if command == STATUS and self.shown is not None:
            await self.status(1, self.shown)
        return outcome

    async def boot(self) -> None:
        await self.say(BootNotification(vendor="V", model="M"))
        await trio.sleep(0.1)


@pytest.fixture
async def station(autojump_clock: object, nursery: trio.Nursery) -> AsyncIterator[Answering]:
    async with open_house("IE-001", nursery) as house:
        station = Answering(house, "CS01")
        await station.come_online()
        yield station


async def test_a_charge_over_which_the_station_booted_is_asked_about_and_goes_on(
    autojump_clock: object, station: Answering
) -> None:
    station.shown = ConnectorStatus.CHARGING
    number = (await station.start(CARD)).transaction_id
    await station.boot()
    assert station.commands == [STATUS, METER]
    await trio.sleep(RECONCILE_S + 1)
    data = await local(station, number)
    assert (data.state, data.doubted_until) == ("TxRunning", None)


async def test_a_charge_that_is_over_is_known_to_be_no_sooner_for_being_asked_about(
    autojump_clock: object, station: Answering
) -> None:
    station.shown = ConnectorStatus.AVAILABLE
    number = (await station.start(CARD)).transaction_id
    await station.boot()
    assert await going_on(station) == [number]
    await trio.sleep(RECONCILE_S + 1)
    assert (await local(station, number)).charge.estimated
    assert station.commands == [STATUS, METER]


async def test_a_station_that_was_silent_for_long_is_asked(autojump_clock: object, station: Answering) -> None:
    await station.start(CARD)
    await trio.sleep(SILENCE_S + 1)
    assert station.commands == [STATUS, METER]


async def test_a_station_that_comes_back_is_asked_about_what_is_in_doubt(
    autojump_clock: object, station: Answering
) -> None:
    await station.start(CARD)
    await station.go_offline()
    await trio.sleep(SILENCE_S + 1)
    assert station.commands == []
    await station.come_online(boot=False)
    await trio.sleep(0.1)
    assert station.commands == [STATUS, METER]


async def test_a_station_is_not_asked_about_what_nobody_doubts(autojump_clock: object, station: Answering) -> None:
    number = (await station.start(CARD)).transaction_id
    await station.go_offline()
    await station.come_online(boot=False)
    await station.stop(number, 2_500)
    await station.boot()
    assert station.commands == []


@pytest.mark.parametrize(
    "unable",
    [
        CallOutcome(verdict=CallVerdict.REJECTED, status="NotImplemented"),
        CallOutcome(verdict=CallVerdict.ERROR, status="NotSupported"),
        CallOutcome(verdict=CallVerdict.ERROR, status="NotImplemented"),
    ],
    ids=lambda outcome: f"{outcome.verdict} {outcome.status}",
)
async def test_a_station_that_cannot_be_asked_is_asked_once_until_it_boots(
    autojump_clock: object, station: Answering, unable: CallOutcome
) -> None:
    station.unable = unable
    await station.start(CARD)
    await station.boot()
    assert station.commands == [STATUS, METER]
    await station.go_offline()
    await station.come_online(boot=False)
    await trio.sleep(0.1)
    assert station.commands == [STATUS, METER]
    await station.boot()
    assert station.commands == [STATUS, METER] * 2


async def test_a_rejection_for_now_is_no_reason_never_to_ask_again(autojump_clock: object, station: Answering) -> None:
    station.unable = CallOutcome(verdict=CallVerdict.REJECTED, status="Rejected")
    await station.start(CARD)
    await station.boot()
    await station.go_offline()
    await station.come_online(boot=False)
    await trio.sleep(0.1)
    assert station.commands == [STATUS, METER] * 2
