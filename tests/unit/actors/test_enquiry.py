"""A station is asked what has become of a charge in doubt; what it then reports decides, and a mute one is left be."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio

from statecharts.station_commands import (
    CallOutcome,
    CallVerdict,
    GetTransactionStatus,
    StationCommand,
    TriggerMessage,
)
from statecharts.station_reports import (
    BootNotification,
    ConnectorStatus,
    MeterSample,
    StatusNotification,
    TransactionEvent,
    TransactionEventKind,
)
from tests.support.books import CARD, going_on, local
from tests.support.house import StationLine, open_house

RECONCILE_S, SILENCE_S = 3_600, 86_400
STATUS = TriggerMessage(what="StatusNotification", connector_id=1)
PLUG_STATUS = TriggerMessage(what="StatusNotification", connector_id=1, plug_id=1)
METER = TriggerMessage(what="MeterValues", connector_id=1)


class Answering(StationLine):
    """A station that shows connector 1 as `shown` when it is asked to, or says `unable` to what it is asked."""

    shown: ConnectorStatus | None = None
    unable: CallOutcome | None = None

    async def call(self, command: StationCommand) -> CallOutcome:
        outcome = await super().call(command)
        if self.unable is not None:
            return self.unable
        if command in (STATUS, PLUG_STATUS) and self.shown is not None:
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


# -- OCPP 2.x ----------------------------------------------------------------------------------------------------------

EVENT = TriggerMessage(what="TransactionEvent", connector_id=1)


class OfVersion2(Answering):
    """A station of OCPP 2.x, which says of its transaction what is `known` when it is asked."""

    protocol = "ocpp2.0.1"
    known: CallOutcome | None = None
    last_wh: int | None = None
    ends_at_wh: int | None = None
    seq_no = 0

    async def call(self, command: StationCommand) -> CallOutcome:
        outcome = await super().call(command)
        if isinstance(command, GetTransactionStatus) and self.ends_at_wh is not None:
            await self.tell(TransactionEventKind.ENDED, self.ends_at_wh)
        if command == EVENT and self.last_wh is not None:
            await self.tell(TransactionEventKind.UPDATED, self.last_wh)
        return self.known if isinstance(command, GetTransactionStatus) and self.known else outcome

    async def tell(self, kind: TransactionEventKind, wh: int, **more: Any) -> None:
        """The next event of the transaction "tx"."""
        now = self.house.clock.now()
        samples = (MeterSample(timestamp=now, value=str(wh)),)
        told = {"timestamp": now, "seq_no": self.seq_no, "trigger": "Trigger", "connector_id": 1, "samples": samples}
        self.seq_no += 1
        await self.say(TransactionEvent(kind=kind, reference="tx", **told, **more))

    async def charge(self) -> int:
        """Begins a charge; its number."""
        await self.tell(TransactionEventKind.STARTED, 1_000, id_tag=CARD, charging_state="Charging")
        await trio.sleep(60)
        await self.tell(TransactionEventKind.UPDATED, 4_000)
        (number,) = await going_on(self)
        return number

    def asked(self, number: int) -> list[StationCommand]:
        """What it is asked about the charge of this number in doubt."""
        return [GetTransactionStatus(transaction_id=number, reference="tx"), PLUG_STATUS, EVENT]


def status(*, ongoing: bool | None, queued: bool, verdict: CallVerdict = CallVerdict.ACCEPTED) -> CallOutcome:
    data = {"messagesInQueue": queued} | ({} if ongoing is None else {"ongoingIndicator": ongoing})
    return CallOutcome(verdict=verdict, data=data)


@pytest.fixture
async def newer(autojump_clock: object, nursery: trio.Nursery) -> AsyncIterator[OfVersion2]:
    async with open_house("IE-001", nursery) as house:
        station = OfVersion2(house, "CS01")
        await station.come_online()
        yield station


async def test_a_charge_that_its_station_knows_as_over_ends_at_once_with_the_last_known_meter(
    autojump_clock: object, newer: OfVersion2
) -> None:
    newer.known = status(ongoing=False, queued=False)
    number = await newer.charge()
    await newer.boot()
    assert newer.commands == newer.asked(number)
    data = await local(newer, number)
    assert (data.state, data.charge.energy_wh, data.charge.reason) == ("Settled", 3_000, "Reconciled")
    assert "estimated" in data.flags
    assert await going_on(newer) == []


async def test_a_charge_that_its_station_knows_as_over_and_tells_of_later_waits_for_that(
    autojump_clock: object, newer: OfVersion2
) -> None:
    newer.known = status(ongoing=False, queued=True)
    number = await newer.charge()
    await newer.boot()
    assert await going_on(newer) == [number]
    await newer.tell(TransactionEventKind.ENDED, 5_500, offline=True)
    data = await local(newer, number)
    assert (data.state, data.charge.energy_wh, data.charge.estimated) == ("Settled", 4_500, False)


async def test_a_queue_that_never_comes_holds_a_charge_open_no_longer_than_any_doubt(
    autojump_clock: object, newer: OfVersion2
) -> None:
    newer.known = status(ongoing=False, queued=True)
    number = await newer.charge()
    await newer.boot()
    await trio.sleep(RECONCILE_S + 1)
    assert (await local(newer, number)).charge.estimated


async def test_a_charge_that_goes_on_by_what_its_station_says_is_in_no_doubt(
    autojump_clock: object, newer: OfVersion2
) -> None:
    newer.known, newer.last_wh = status(ongoing=True, queued=False), 4_200
    number = await newer.charge()
    await newer.boot()
    await trio.sleep(RECONCILE_S + 1)
    data = await local(newer, number)
    assert (data.state, data.doubted_until, data.charge.meter_last_wh) == ("TxRunning", None, 4_200)


@pytest.mark.parametrize(
    "said",
    [
        status(ongoing=None, queued=False),
        status(ongoing=False, queued=False, verdict=CallVerdict.UNKNOWN),
        CallOutcome(verdict=CallVerdict.ACCEPTED, data={"ongoingIndicator": 0, "messagesInQueue": 0}),
        CallOutcome(verdict=CallVerdict.ACCEPTED),
    ],
    ids=["no word of it", "no answer", "no answer to the question", "an empty answer"],
)
async def test_an_answer_that_says_nothing_of_the_transaction_decides_nothing(
    autojump_clock: object, newer: OfVersion2, said: CallOutcome
) -> None:
    newer.known = said
    number = await newer.charge()
    await newer.boot()
    data = await local(newer, number)
    assert (data.state, data.doubted_until is not None) == ("TxRunning", True)


async def test_a_station_that_does_not_know_getting_a_status_is_asked_for_the_rest(
    autojump_clock: object, newer: OfVersion2
) -> None:
    newer.known = CallOutcome(verdict=CallVerdict.ERROR, status="NotImplemented")
    number = await newer.charge()
    await newer.boot()
    await newer.go_offline()
    await newer.come_online(boot=False)
    await trio.sleep(0.1)
    assert newer.commands == [*newer.asked(number), PLUG_STATUS, EVENT]


async def test_a_long_silence_of_a_charge_is_asked_about_though_the_evse_shows_it(
    autojump_clock: object, newer: OfVersion2
) -> None:
    newer.known = status(ongoing=False, queued=False)
    number = await newer.charge()
    await trio.sleep(SILENCE_S + 1)
    assert newer.commands == newer.asked(number)
    assert (await local(newer, number)).charge.estimated


async def test_an_end_that_came_while_the_station_was_asked_stands(autojump_clock: object, newer: OfVersion2) -> None:
    newer.known, newer.ends_at_wh = status(ongoing=False, queued=False), 5_500
    number = await newer.charge()
    await newer.boot()
    data = await local(newer, number)
    assert (data.charge.energy_wh, data.charge.estimated, data.corrections) == (4_500, False, 0)


# -- what the plugs show -----------------------------------------------------------------------------------------------


async def shows(station: StationLine, evse: int, plug_id: int) -> None:
    said = StatusNotification(
        connector_id=evse, status=ConnectorStatus.AVAILABLE, error_code="NoError", plug_id=plug_id
    )
    await station.say(said)


@pytest.mark.parametrize(
    ("evse", "asked"), [(1, [(1, 1), (1, 2)]), (2, [(2, 1)]), (7, [(7, 1)]), (None, [(1, 1), (1, 2), (2, 1)])]
)
async def test_a_status_of_2_x_is_asked_of_every_plug(
    autojump_clock: object, newer: OfVersion2, evse: int | None, asked: list[tuple[int, int]]
) -> None:
    await shows(newer, 1, 2)
    await shows(newer, 1, 1)
    command = TriggerMessage(what="StatusNotification", connector_id=evse)
    assert (await newer.house.command("CS01", command)).verdict is CallVerdict.ACCEPTED
    assert [(each.connector_id, each.plug_id) for each in newer.commands] == asked


async def test_a_plug_that_is_named_is_the_only_one_asked_for(autojump_clock: object, newer: OfVersion2) -> None:
    await shows(newer, 1, 2)
    command = TriggerMessage(what="StatusNotification", connector_id=1, plug_id=2)
    await newer.house.command("CS01", command)
    assert newer.commands == [command]


async def test_a_station_that_will_not_say_what_a_plug_shows_is_not_asked_for_the_next(
    autojump_clock: object, newer: OfVersion2
) -> None:
    await shows(newer, 1, 1)
    await shows(newer, 1, 2)
    newer.unable = CallOutcome(verdict=CallVerdict.REJECTED, status="NotImplemented")
    command = TriggerMessage(what="StatusNotification", connector_id=1)
    assert await newer.house.command("CS01", command) == newer.unable
    assert len(newer.commands) == 1
