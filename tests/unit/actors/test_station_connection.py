"""A station's connection: the newest wins, coming back is no boot, and commands go only where they may."""

from __future__ import annotations

import msgspec
import pytest
import trio

from actors.station_role import StationRole
from statecharts.station import Booted
from statecharts.station_commands import CallVerdict, RemoteStartTransaction, Reset
from statecharts.station_reports import (
    BootAnswer,
    BootNotification,
    ConnectorStatus,
    DataTransferAnswer,
    Heartbeat,
    HeartbeatAnswer,
    RegistrationStatus,
    StationDataTransfer,
    StatusNotification,
)
from statecharts.vocabulary import Acknowledgement, Refused
from tests.support.books import CARD, actor, book, free, going_on, local, restarted
from tests.support.house import StationLine

START = RemoteStartTransaction(id_tag=CARD, connector_id=1)


async def look(line: StationLine) -> object:
    return await line.house.data("station/CS01")


async def test_a_boot_is_answered_with_the_time_and_the_heartbeat_interval(
    autojump_clock: object, line: StationLine
) -> None:
    answer = await line.say(BootNotification(vendor="V", model="M"))
    assert answer == BootAnswer(status=RegistrationStatus.ACCEPTED, current_time=line.house.clock.now(), interval_s=300)


async def test_some_stations_speak_a_little_oftener_than_others(
    autojump_clock: object, line: StationLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = line.house.context
    context.settings = msgspec.structs.replace(context.settings, heartbeat_spread=0.1)
    monkeypatch.setattr(context.ids, "jitter", iter((0.0, 0.5, 0.999)).__next__)
    answers = [await line.say(BootNotification(vendor="V", model="M")) for _ in range(3)]
    assert [answer.interval_s for answer in answers if isinstance(answer, BootAnswer)] == [300, 285, 270]


async def test_it_is_known_who_charges_also_before_its_actor_is_back(
    autojump_clock: object, line: StationLine, nursery: trio.Nursery
) -> None:
    def charging() -> bool:
        return StationRole(line.house.context).is_charging(line.identity)

    assert not charging()
    started = await line.start(CARD)
    assert charging()
    await line.house.restart(nursery)
    assert line.house.context.charging == {line.identity}
    line.house.context.system.release(f"station/{line.identity}")
    assert charging()
    await line.come_online(boot=False)
    await line.stop(started.transaction_id, 2_000)
    assert not charging()
    assert not StationRole(line.house.context).is_charging("CS02")
    assert await line.house.context.ledger.charging() == frozenset()


async def test_what_a_station_has_is_kept_in_a_shared_dictionary(autojump_clock: object, line: StationLine) -> None:
    """CPython shares the keys of up to 30 attributes among the instances of a class; beyond, each pays 1 KiB."""
    assert len(vars(actor(line))) < 30


async def test_a_heartbeat_is_answered_and_leaves_no_trace(autojump_clock: object, line: StationLine) -> None:
    before = actor(line).seq
    assert await line.say(Heartbeat()) == HeartbeatAnswer(current_time=line.house.clock.now())
    assert actor(line).seq == before


async def test_a_heartbeat_waits_for_no_turn(autojump_clock: object, line: StationLine) -> None:
    await trio.sleep(60)
    answer = line.house.stations.reported(line.identity, line, Heartbeat())
    assert answer == HeartbeatAnswer(current_time=line.house.clock.now())
    assert actor(line).last_seen_at == line.house.clock.now()


async def test_a_data_transfer_of_a_vendor_that_nobody_knows_is_answered_so(
    autojump_clock: object, line: StationLine
) -> None:
    assert await line.say(StationDataTransfer(vendor_id="com.example")) == DataTransferAnswer(status="UnknownVendorId")


async def test_the_newest_connection_wins_and_the_old_one_is_closed(autojump_clock: object, line: StationLine) -> None:
    newer = StationLine(line.house, "CS01")
    await newer.come_online(boot=False)
    await trio.sleep(0.1)
    assert line.closed is not None and newer.closed is None
    await line.house.command("CS01", Reset(kind="Soft"))
    assert (line.commands, newer.commands) == ([], [Reset(kind="Soft")])


async def test_the_old_connection_cannot_touch_the_new_session(autojump_clock: object, line: StationLine) -> None:
    newer = StationLine(line.house, "CS01")
    await newer.come_online(boot=False)
    for report in (Heartbeat(), BootNotification(vendor="X", model="X")):
        with pytest.raises(Refused):
            await line.say(report)
    with pytest.raises(Refused):
        await line.start(CARD)
    await line.go_offline()
    assert await book(newer) == {}
    assert await newer.say(Heartbeat())
    (view,) = (await line.house.operator.stations()).items
    assert (view.online, view.vendor) == (True, "V")


async def test_a_reconnect_is_no_boot(autojump_clock: object, line: StationLine) -> None:
    number = (await line.start(CARD)).transaction_id
    await line.status(1, ConnectorStatus.CHARGING)
    await line.go_offline()
    back = StationLine(line.house, "CS01")
    await back.come_online(boot=False)
    data = await local(back, number)
    assert (data.state, data.flags, data.doubted_until) == ("TxRunning", (), None)
    (view,) = (await line.house.operator.stations()).items
    assert (view.registration, view.connectors["1"]) == ("Accepted", "Charging")
    outcome = await line.house.command("CS01", START)
    assert outcome.verdict is CallVerdict.ACCEPTED


async def test_a_node_restart_takes_every_station_for_offline_until_it_is_back(
    autojump_clock: object, line: StationLine, nursery: trio.Nursery
) -> None:
    await line.house.restart(nursery)
    (view,) = (await line.house.operator.stations()).items
    assert (view.online, view.registration) == (False, "Accepted")
    await StationLine(line.house, "CS01").come_online(boot=False)
    (view,) = (await line.house.operator.stations()).items
    assert view.online


async def test_a_command_to_a_station_that_is_away_was_never_sent(autojump_clock: object, line: StationLine) -> None:
    await line.go_offline()
    await trio.sleep(0.1)
    outcome = await line.house.command("CS01", START)
    assert (outcome.verdict, line.commands) == (CallVerdict.NEVER_SENT, [])


@pytest.mark.parametrize("status", [RegistrationStatus.PENDING, RegistrationStatus.REJECTED])
async def test_no_remote_start_is_sent_before_the_boot_was_accepted(
    autojump_clock: object, line: StationLine, status: RegistrationStatus
) -> None:
    boot = BootNotification(vendor="V", model="M")
    await actor(line).record(Booted(at=line.house.clock.now(), boot=boot, status=status))
    outcome = await line.house.command("CS01", START)
    assert (outcome.verdict, line.commands) == (CallVerdict.NEVER_SENT, [])
    assert status in outcome.cause


async def test_nothing_is_sent_to_a_station_whose_boot_was_rejected(autojump_clock: object, line: StationLine) -> None:
    boot = BootNotification(vendor="V", model="M")
    await actor(line).record(Booted(at=line.house.clock.now(), boot=boot, status=RegistrationStatus.REJECTED))
    outcome = await line.house.command("CS01", Reset(kind="Soft"))
    assert (outcome.verdict, line.commands) == (CallVerdict.NEVER_SENT, [])


async def test_connector_0_is_the_whole_station_and_no_connector(autojump_clock: object, line: StationLine) -> None:
    await line.status(0, ConnectorStatus.AVAILABLE)
    (view,) = (await line.house.operator.stations()).items
    assert set(view.connectors) == {"1", "2"}
    assert await free(line) == (1, 2)


async def test_what_a_station_says_of_connector_0_raises_no_doubt(autojump_clock: object, line: StationLine) -> None:
    number = (await line.start(CARD)).transaction_id
    await line.status(0, ConnectorStatus.AVAILABLE)
    assert (await local(line, number)).flags == ()


async def test_a_suspended_car_does_not_end_its_charge(autojump_clock: object, line: StationLine) -> None:
    number = (await line.start(CARD)).transaction_id
    for status in (ConnectorStatus.SUSPENDED_EV, ConnectorStatus.SUSPENDED_EVSE, ConnectorStatus.FINISHING):
        await line.status(1, status)
    assert await going_on(line) == [number]


async def test_a_repeated_status_leaves_no_trace(autojump_clock: object, line: StationLine) -> None:
    before = actor(line).seq
    said = StatusNotification(connector_id=1, status=ConnectorStatus.AVAILABLE, error_code="NoError")
    assert await line.say(said) == Acknowledgement()
    assert actor(line).seq == before


async def test_a_status_that_the_specification_does_not_know_is_taken_and_counted(
    autojump_clock: object, line: StationLine, nursery: trio.Nursery
) -> None:
    await line.status(1, ConnectorStatus.FINISHING)
    again = await restarted(line, nursery)
    evse = (await line.house.data("station/CS01")).data.evse(1)
    assert (evse.state, evse.surprises) == ("Finishing", 1)
    assert await free(again) == (2,)
