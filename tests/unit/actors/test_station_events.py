"""Transactions of OCPP 2.x: events become charges, whoever pays and whenever that is said; nothing is told twice."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
import trio

from actors.station_events import STARTS_REMEMBERED
from statecharts.bounds import SESSIONS_KEPT
from statecharts.station import Station
from statecharts.station_commands import RemoteStopTransaction
from statecharts.station_reports import (
    ConnectorStatus,
    IdTagAnswer,
    MeterSample,
    StatusNotification,
    TransactionEvent,
    TransactionEventKind,
)
from statecharts.station_session import remote_start_id
from statecharts.vocabulary import EndTransaction, NotifyRequestResult, Refused, TransactionProgressUpdate
from tests.support.books import CARD, STRANGER, book, free, going_on, local, locals_of, orphans, restarted
from tests.support.crashes import Blade, Writing, disk_full, write_by
from tests.support.house import StationLine
from tests.support.roaming import Roaming

STARTED, UPDATED, ENDED = TransactionEventKind
TOKENS = {"Accepted": CARD, "Invalid": STRANGER}


class Told:
    """The events of one transaction, in their order; `said` keeps them to be said again."""

    def __init__(self, line: StationLine, reference: str = "tx-1", connector_id: int = 1) -> None:
        self.line, self.reference, self.connector_id = line, reference, connector_id
        self.said: list[TransactionEvent] = []

    def event(self, kind: TransactionEventKind, wh: int | None = None, **more: Any) -> TransactionEvent:
        """The next event, not said yet."""
        at: datetime = more.pop("at", self.line.house.clock.now())
        samples = () if wh is None else (MeterSample(timestamp=at, value=str(wh)),)
        said = {"trigger": "Trigger", "connector_id": self.connector_id, "seq_no": len(self.said), **more}
        event = TransactionEvent(kind=kind, reference=self.reference, timestamp=at, samples=samples, **said)
        self.said.append(event)
        return event

    async def say(self, kind: TransactionEventKind, wh: int | None = None, **more: Any) -> str | None:
        """Says the next event; what is answered of its idTag."""
        return await self.repeat(self.event(kind, wh, **more))

    async def repeat(self, event: TransactionEvent) -> str | None:
        answer = await self.line.say(event)
        if not isinstance(answer, IdTagAnswer):
            return None  # readings are taken without a word
        return answer.id_tag_info and str(answer.id_tag_info.status)


async def data(line: StationLine) -> Station:
    found: Station = (await line.house.data(f"station/{line.identity}")).data
    return found


async def only(line: StationLine) -> Any:
    """The only charge in the book, and its transaction."""
    (charge,) = (await book(line)).values()
    return charge, await line.house.data(charge.transaction)


# -- progress ----------------------------------------------------------------------------------------------------------


async def test_the_reading_that_a_roaming_charge_begins_with_is_no_progress(
    autojump_clock: object, roaming: Roaming
) -> None:
    charge = await roaming.start_asked()
    told = Told(roaming.station)
    await told.say(STARTED, 1_000, id_tag=charge.name, remote_start_id=remote_start_id(charge.name))
    await roaming.home.until(charge.source, "TxRunning")
    await trio.sleep(1)
    assert roaming.back.of(TransactionProgressUpdate) == []
    data = await roaming.local.data(charge.destination)
    assert (data.charge.meter_last_wh, data.progress_at) == (1_000, None)
    await told.say(UPDATED, 1_400)
    await trio.sleep(1)
    (progress,) = roaming.back.of(TransactionProgressUpdate)
    assert progress.transaction_data.energy_wh == 400


# -- a charge with a card ----------------------------------------------------------------------------------------------


async def test_a_card_charge_from_its_start_to_its_end(autojump_clock: object, line: StationLine) -> None:
    told, began = Told(line), line.house.clock.now()
    assert await told.say(STARTED, 1_000, id_tag=CARD) == "Accepted"
    await trio.sleep(60)
    assert await told.say(UPDATED, 1_500) is None
    await trio.sleep(60)
    assert await told.say(ENDED, 2_200, stopped_reason="EVDisconnected") is None
    charge, transaction = await only(line)
    assert (charge.reference, charge.open, transaction.state) == ("tx-1", False, "Settled")
    assert transaction.charge.energy_wh == 1_200
    assert (transaction.charge.start_timestamp, transaction.charge.reason) == (began, "EVDisconnected")
    assert transaction.flags == ()
    assert not await orphans(line)


@pytest.mark.parametrize(("verdict", "tag"), TOKENS.items())
async def test_every_repeated_event_gets_the_same_answer_and_does_nothing(
    verdict: str, tag: str, autojump_clock: object, line: StationLine
) -> None:
    told = Told(line)
    for kind, more in ((STARTED, {"id_tag": tag}), (UPDATED, {}), (ENDED, {"id_tag": tag})):
        first = await told.say(kind, 1_000 + 100 * len(told.said), **more)
        assert first == (verdict if more else None)
        before = await data(line)
        for event in told.said:
            assert await told.repeat(event) == (verdict if event.id_tag else None)
        assert await data(line) == before
    assert len(await locals_of(line.house)) == 1
    _, transaction = await only(line)
    assert transaction.charge.energy_wh == 200


async def test_a_car_that_nobody_pays_for_charges_nothing_yet(autojump_clock: object, line: StationLine) -> None:
    told = Told(line)
    assert await told.say(STARTED, 1_000, trigger="CablePluggedIn", charging_state="EVConnected") is None
    assert await book(line) == {}
    assert await locals_of(line.house) == []
    (session,) = (await data(line)).sessions.values()
    assert (session.reference, session.begun_at) == ("tx-1", told.said[0].timestamp)


async def test_every_reading_of_a_transaction_that_nobody_pays_for_is_written_down(
    autojump_clock: object, line: StationLine
) -> None:
    told = Told(line)
    for wh in (1_000, 1_200, 1_400):
        told.event(STARTED if wh == 1_000 else UPDATED, wh)
        await trio.sleep(60)
    for number in (0, 2, 1, 2):
        await told.repeat(told.said[number])
    facts = await line.house.journal.load(f"station/{line.identity}")
    heard = [msgspec.json.decode(fact.data)["event"]["seq_no"] for fact in facts if fact.type == "TransactionHeard"]
    assert heard == [0, 2, 1]


async def test_a_card_that_comes_late_pays_from_the_beginning(
    autojump_clock: object, line: StationLine, nursery: trio.Nursery
) -> None:
    told = Told(line)
    await told.say(STARTED, 1_000)
    await trio.sleep(300)
    told.line = again = await restarted(line, nursery)
    assert await told.say(UPDATED, None, id_tag=CARD, trigger="Authorized") == "Accepted"
    charge, _ = await only(again)
    assert (charge.start.timestamp, charge.start.meter_start_wh) == (told.said[0].timestamp, 1_000)
    assert (await data(again)).sessions == {}
    await told.say(ENDED, 1_700)
    assert (await only(again))[1].charge.energy_wh == 700


async def test_a_start_without_a_reading_begins_with_the_first_that_comes(
    autojump_clock: object, line: StationLine
) -> None:
    told = Told(line)
    assert await told.say(STARTED, id_tag=CARD) == "Accepted"
    await trio.sleep(60)
    await told.say(UPDATED, 5_000)
    await trio.sleep(60)
    await told.say(ENDED, 6_000)
    _, transaction = await only(line)
    assert (transaction.charge.meter_start_wh, transaction.charge.energy_wh) == (5_000, 1_000)
    assert transaction.flags == ()


async def test_an_end_without_a_reading_is_estimated_from_the_last_known(
    autojump_clock: object, line: StationLine
) -> None:
    told = Told(line)
    await told.say(STARTED, 1_000, id_tag=CARD)
    await told.say(UPDATED, 1_800)
    await told.say(ENDED)
    _, transaction = await only(line)
    assert (transaction.charge.energy_wh, transaction.charge.estimated) == (800, True)
    assert "estimated" in transaction.flags


async def test_a_charge_that_was_never_metered_ends_all_the_same(autojump_clock: object, line: StationLine) -> None:
    told = Told(line)
    await told.say(STARTED, id_tag=CARD)
    await told.say(ENDED)
    charge, transaction = await only(line)
    assert (charge.open, transaction.state, transaction.charge.energy_wh) == (False, "Settled", None)
    assert "energy-unknown" in transaction.flags


# -- order, gaps, what is missing --------------------------------------------------------------------------------------


async def test_an_end_that_comes_first_waits_for_whoever_pays(autojump_clock: object, line: StationLine) -> None:
    told = Told(line)
    start = told.event(STARTED, 1_000, id_tag=CARD)
    await trio.sleep(600)
    await told.say(ENDED, 3_000)
    assert await book(line) == {}
    assert await told.repeat(start) == "Accepted"
    charge, transaction = await only(line)
    assert (charge.open, transaction.state, transaction.charge.energy_wh) == (False, "Settled", 2_000)
    assert await going_on(line) == []
    assert await told.repeat(told.said[1]) is None
    assert (await only(line))[1] == transaction


async def test_an_end_alone_that_names_a_card_is_a_whole_charge(autojump_clock: object, line: StationLine) -> None:
    told, now = Told(line), line.house.clock.now()
    began = now - timedelta(hours=1)
    ended = told.event(ENDED, 4_000, id_tag=CARD, seq_no=9)
    first = MeterSample(timestamp=began, value="1000", context="Transaction.Begin")
    assert await told.repeat(TransactionEvent(**{**_fields(ended), "samples": (first, *ended.samples)})) == "Accepted"
    charge, transaction = await only(line)
    assert (charge.open, charge.start.timestamp, transaction.charge.energy_wh) == (False, began, 3_000)


def _fields(event: TransactionEvent) -> dict[str, Any]:
    return {name: getattr(event, name) for name in event.__struct_fields__}


async def test_an_end_without_anybody_and_without_energy_is_nothing(autojump_clock: object, line: StationLine) -> None:
    told = Told(line)
    await told.say(STARTED, 1_000)
    await told.say(ENDED, 1_000, stopped_reason="EVDisconnected")
    assert await book(line) == {}
    assert await locals_of(line.house) == []
    assert await free(line) == (1, 2)


async def test_energy_that_nobody_pays_for_is_a_local_charge_that_is_flagged(
    autojump_clock: object, line: StationLine
) -> None:
    told = Told(line)
    await told.say(STARTED, 1_000)
    await trio.sleep(60)
    await told.say(ENDED, 1_900)
    (view,) = await locals_of(line.house)
    assert (view.energy_wh, view.state) == (900, "Settled")
    assert "not-authorised" in view.flags


async def test_late_readings_and_ends_of_a_charge_that_is_over_change_no_figure(
    autojump_clock: object, line: StationLine
) -> None:
    told = Told(line)
    await told.say(STARTED, 1_000, id_tag=CARD)
    late = told.event(UPDATED, 1_500, offline=True)
    await trio.sleep(60)
    await told.say(ENDED, 2_000)
    await told.repeat(late)
    await told.say(ENDED, 2_100)
    charge, transaction = await only(line)
    assert (transaction.charge.energy_wh, charge.open) == (1_000, False)
    assert transaction.corrections == 2


async def test_an_event_that_names_no_transaction_is_kept_for_the_operator(
    autojump_clock: object, line: StationLine
) -> None:
    await line.start(CARD, connector_id=2)
    assert await Told(line, "").say(STARTED, 1_000, id_tag=CARD) == "Accepted"
    assert [orphan.kind for orphan in await orphans(line)] == ["TransactionEvent"]
    assert len(await book(line)) == 1


async def test_two_evses_charge_side_by_side(autojump_clock: object, line: StationLine) -> None:
    left, right = Told(line, "left", 1), Told(line, "right", 2)
    for told in (left, right):
        await told.say(STARTED, 1_000, id_tag=CARD)
    await left.say(ENDED, 1_300)
    await right.say(ENDED, 1_700)
    energies = {charge.reference: await local(line, number) for number, charge in (await book(line)).items()}
    assert {name: data.charge.energy_wh for name, data in energies.items()} == {"left": 300, "right": 700}


async def test_a_second_transaction_on_an_evse_closes_the_first(autojump_clock: object, line: StationLine) -> None:
    await Told(line, "first").say(STARTED, 1_000, id_tag=CARD)
    await trio.sleep(3_600)
    await Told(line, "second").say(STARTED, 4_000, id_tag=CARD)
    first, second = (await book(line)).values()
    assert (first.open, second.open) == (False, True)
    assert (await local(line, first.number)).charge.reason == "Reconciled"


async def test_another_card_at_the_end_is_judged_by_itself(autojump_clock: object, line: StationLine) -> None:
    told = Told(line)
    await told.say(STARTED, 1_000, id_tag=CARD)
    assert await told.say(UPDATED, 1_100, id_tag=STRANGER, trigger="StopAuthorized") == "Invalid"
    assert await going_on(line) != []


@pytest.mark.parametrize("restart", [False, True], ids=["same life", "after a restart"])
async def test_an_end_whose_beginning_is_missing_waits_for_it_as_an_orphan(
    restart: bool, autojump_clock: object, line: StationLine, nursery: trio.Nursery
) -> None:
    told = Told(line)
    began = told.event(STARTED, 1_000, id_tag=CARD)
    for kind, wh in ((UPDATED, 1_500), (ENDED, 2_200)):
        await trio.sleep(60)
        await told.say(kind, wh)
    assert await book(line) == {}
    (orphan,) = await orphans(line)
    assert (orphan.kind, msgspec.json.decode(orphan.body)["seq_no"]) == ("TransactionEvent", 2)
    await told.repeat(told.said[-1])
    assert len(await orphans(line)) == 1
    told.line = again = await restarted(line, nursery) if restart else line
    assert await told.repeat(began) == "Accepted"
    charge, transaction = await only(again)
    assert (charge.open, transaction.state, transaction.charge.energy_wh) == (False, "Settled", 1_200)
    assert not await orphans(again)


async def test_a_beginning_that_comes_after_its_charge_was_made_of_later_events_is_kept_for_the_operator(
    autojump_clock: object, line: StationLine
) -> None:
    told = Told(line)
    began = told.event(STARTED, 1_000, id_tag=CARD)
    await trio.sleep(60)
    await told.say(UPDATED, 1_500)
    await trio.sleep(60)
    await told.say(ENDED, 2_200, id_tag=CARD)
    _, transaction = await only(line)
    assert (transaction.charge.energy_wh, transaction.flags) == (700, ("estimated",))
    assert await told.repeat(began) == "Accepted"
    (orphan,) = await orphans(line)
    assert msgspec.json.decode(orphan.body)["kind"] == "Started"


async def test_transactions_that_nobody_pays_for_are_kept_in_bounded_number(
    autojump_clock: object, line: StationLine
) -> None:
    for number in range(SESSIONS_KEPT.limit + 3):
        await Told(line, f"tx-{number}").say(STARTED, 1_000)
    kept = (await data(line)).sessions
    assert len(kept) == SESSIONS_KEPT.limit
    assert "tx-0" not in kept and f"tx-{SESSIONS_KEPT.limit + 2}" in kept


@pytest.mark.parametrize("written", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("nth", range(1, 8))
async def test_a_node_that_died_at_any_write_ends_with_one_charge_when_the_events_come_again(
    nth: int, written: bool, autojump_clock: object, line: StationLine, nursery: trio.Nursery
) -> None:
    told = Told(line)
    events = [told.event(STARTED, 1_000), told.event(UPDATED, 1_000, id_tag=CARD), told.event(UPDATED, 1_600)]
    events.append(told.event(ENDED, 2_000))
    blade = Blade(line.house, cut_at=nth, written=written)
    heard = 0
    with trio.move_on_after(5):
        for event in events:
            await told.repeat(event)
            heard += 1
    assert blade.cut.is_set()
    told.line = again = await restarted(line, nursery)
    for event in events[heard:]:
        await told.repeat(event)
    charge, transaction = await only(again)
    assert (charge.open, transaction.state, transaction.charge.energy_wh) == (False, "Settled", 1_000)
    assert len(await locals_of(again.house)) == 1


@pytest.mark.parametrize("nth", [1, 2])
async def test_an_event_that_found_the_disk_full_comes_again(
    nth: int, autojump_clock: object, line: StationLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, writing = Told(line), Writing(line.house.journal.append)
    write_by(writing.append, line.house.journal, monkeypatch)
    writing.at(nth, disk_full)
    start = told.event(STARTED, 1_000, id_tag=CARD)
    with suppress(Refused):
        await told.repeat(start)
    assert await told.repeat(start) == "Accepted"
    assert len(await book(line)) == 1


# -- what the EVSE shows -----------------------------------------------------------------------------------------------


async def shown(line: StationLine) -> str:
    return (await data(line)).evse(1).state


async def plug(line: StationLine, status: ConnectorStatus, plug_id: int = 1) -> None:
    await line.say(StatusNotification(connector_id=1, status=status, error_code="NoError", plug_id=plug_id))


async def occupied(line: StationLine) -> None:
    await plug(line, ConnectorStatus.PREPARING)


async def test_an_evse_shows_what_its_transaction_tells(autojump_clock: object, line: StationLine) -> None:
    told = Told(line)
    await occupied(line)
    assert await shown(line) == "Preparing"
    await told.say(STARTED, 1_000, id_tag=CARD, charging_state="EVConnected")
    assert await shown(line) == "Preparing"
    await told.say(UPDATED, 1_000, charging_state="Charging")
    assert await shown(line) == "Charging"
    await occupied(line)
    assert await shown(line) == "Charging"
    await told.say(UPDATED, 1_000, charging_state="SuspendedEV", offline=True)
    assert await shown(line) == "Charging"
    await told.say(ENDED, 1_500)
    await occupied(line)
    assert await shown(line) == "Finishing"
    await line.status(1, ConnectorStatus.AVAILABLE)
    assert await free(line) == (1, 2)


async def test_a_charge_at_one_plug_is_in_no_doubt_for_what_is_said_of_the_other(
    autojump_clock: object, line: StationLine, nursery: trio.Nursery
) -> None:
    for number in (1, 2):
        await plug(line, ConnectorStatus.AVAILABLE, number)
    told = Told(line)
    await told.say(STARTED, 1_000, id_tag=CARD, charging_state="Charging", plug_id=2)
    await plug(line, ConnectorStatus.UNAVAILABLE, 1)
    assert (await shown(line), (await only(line))[1].doubted_until) == ("Charging", None)
    told.line = again = await restarted(line, nursery)
    await told.say(ENDED, 1_500)
    await plug(again, ConnectorStatus.AVAILABLE, 2)
    assert (await shown(again), (await data(again)).evse(1).plugs) == ("Available", {1: "Unavailable", 2: "Available"})


async def test_a_car_that_leaves_its_plug_while_its_charge_goes_on_puts_the_charge_in_doubt(
    autojump_clock: object, line: StationLine
) -> None:
    told = Told(line)
    await plug(line, ConnectorStatus.AVAILABLE, 2)
    await told.say(STARTED, 1_000, id_tag=CARD, charging_state="Charging", plug_id=1)
    await occupied(line)
    assert (await only(line))[1].doubted_until is None
    await plug(line, ConnectorStatus.AVAILABLE, 1)
    assert (await only(line))[1].doubted_until is not None


async def test_an_evse_is_named_in_the_first_event_only(autojump_clock: object, line: StationLine) -> None:
    told = Told(line)
    await told.say(STARTED, 1_000, charging_state="EVConnected")
    await told.say(UPDATED, 1_000, id_tag=CARD, connector_id=None, charging_state="Charging")
    assert await shown(line) == "Charging"
    await told.say(ENDED, 1_500, connector_id=None, offline=True)
    assert await shown(line) == "Finishing"


async def test_an_end_that_is_repeated_once_the_car_has_left_leaves_the_evse_free(
    autojump_clock: object, line: StationLine
) -> None:
    told = Told(line)
    await told.say(STARTED, 1_000, id_tag=CARD, charging_state="Charging")
    await told.say(ENDED, 1_500)
    await line.status(1, ConnectorStatus.AVAILABLE)
    await told.repeat(told.said[-1])
    assert await shown(line) == "Available"


async def test_a_late_end_takes_nothing_from_the_charge_that_goes_on(autojump_clock: object, line: StationLine) -> None:
    first, second = Told(line, "first"), Told(line, "second")
    await first.say(STARTED, 1_000, id_tag=CARD)
    ended = first.event(ENDED, 1_500)
    await trio.sleep(60)
    await second.say(STARTED, 1_500, id_tag=CARD, charging_state="Charging")
    await first.repeat(ended)
    assert await shown(line) == "Charging"
    assert len(await going_on(line)) == 1


# -- roaming -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_token", [True, False], ids=["by its idToken", "by its remoteStartId"])
async def test_a_roaming_charge_is_known_by_what_it_was_asked_for_with(
    by_token: bool, autojump_clock: object, roaming: Roaming
) -> None:
    charge = await roaming.start_asked()
    told = Told(roaming.station)
    named = {"id_tag": charge.name} if by_token else {"remote_start_id": remote_start_id(charge.name)}
    assert await told.say(STARTED, 1_000, trigger="RemoteStart", **named) == ("Accepted" if by_token else None)
    await trio.sleep(1)
    assert [result.request_success for result in roaming.back.of(NotifyRequestResult)] == [True]
    await told.say(ENDED, 9_000)
    await trio.sleep(1)
    (end,) = roaming.back.of(EndTransaction)
    assert end.transaction_data.energy_wh == 8_000


@pytest.mark.parametrize("restart", [False, True], ids=["same life", "after a restart"])
async def test_a_start_that_was_given_up_and_comes_after_all_is_known_by_its_remote_start_id(
    restart: bool, autojump_clock: object, roaming: Roaming, nursery: trio.Nursery
) -> None:
    charge = await roaming.start_asked()
    await roaming.local.until(charge.destination, "Expired", within_s=3_600)
    told = Told(await restarted(roaming.station, nursery) if restart else roaming.station)
    assert await told.say(STARTED, 1_000, trigger="RemoteStart", remote_start_id=remote_start_id(charge.name)) is None
    assert (await roaming.local.data(charge.destination)).state == "TxRunning"
    await told.say(ENDED, 9_000)
    await trio.sleep(1)
    (end,) = roaming.back.of(EndTransaction)
    assert end.transaction_data.energy_wh == 8_000


async def test_a_start_of_our_own_that_was_given_up_is_known_by_its_remote_start_id(
    autojump_clock: object, line: StationLine
) -> None:
    started = await line.house.operator.start_local("CS01", 1, CARD)
    await line.house.until(f"local/{started.transaction_id}", "Expired")
    told = Told(line)
    await told.say(STARTED, 1_000, remote_start_id=remote_start_id(CARD))
    assert (await only(line))[0].start.id_tag == CARD


async def test_a_remote_start_id_of_long_ago_or_of_another_station_is_nobodys(
    autojump_clock: object, line: StationLine
) -> None:
    started = await line.house.operator.start_local("CS01", 1, CARD)
    await line.house.until(f"local/{started.transaction_id}", "Expired")
    await trio.sleep(STARTS_REMEMBERED.total_seconds())
    await Told(line).say(STARTED, 1_000, remote_start_id=remote_start_id(CARD))
    await Told(line, "other").say(STARTED, 1_000, remote_start_id=7)
    assert await book(line) == {}


async def test_a_roaming_charge_whose_cable_came_first_starts_with_the_car(
    autojump_clock: object, roaming: Roaming
) -> None:
    told = Told(roaming.station)
    await told.say(STARTED, 1_000, trigger="CablePluggedIn", charging_state="EVConnected")
    charge = await roaming.start_asked()
    assert await told.say(UPDATED, 1_000, trigger="RemoteStart", id_tag=charge.name) == "Accepted"
    assert (await roaming.local.data(charge.destination)).state == "TxRunning"


async def test_a_remote_stop_names_the_transaction_as_its_station_does(
    autojump_clock: object, roaming: Roaming
) -> None:
    charge = await roaming.start_asked()
    told = Told(roaming.station, "5c1f-uuid")
    await told.say(STARTED, 1_000, id_tag=charge.name)
    await roaming.stop_asked(charge)
    (command,) = [each for each in roaming.station.commands if isinstance(each, RemoteStopTransaction)]
    assert command.reference == "5c1f-uuid"
