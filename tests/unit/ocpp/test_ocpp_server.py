"""The central system's listener on loopback, with our own station's end and with hand-made WebSocket clients."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import trio
import trio.testing
from ocpp.charge_point import remove_nones, serialize_as_dict, snake_to_camel_case
from ocpp.v16 import call as foreign
from ocpp_raw_station import masked, raw_station
from ocpp_worlds import ANSWERS, NOW, Directory, Door, central_system
from structlog.testing import capture_logs
from wsproto.events import (
    CloseConnection,
    TextMessage,
)

from protocols.ocpp.client import ConnectionRefused, ReportRefused
from protocols.ocpp.limits import Limits
from statecharts.promises import Promise
from statecharts.station_commands import (
    CallVerdict,
    ClearCache,
    GetConfiguration,
    GetLocalListVersion,
    PlainCommand,
    RemoteStartTransaction,
    Reset,
    StationCommand,
)
from statecharts.station_reports import (
    BootNotification,
    Heartbeat,
    HeartbeatAnswer,
    ReportAnswer,
    StartTransaction,
    StationReport,
    StopTransaction,
)
from statecharts.vocabulary import refused

START = StartTransaction(connector_id=1, id_tag="0A1B2C3D4E5F", meter_start_wh=100, timestamp=NOW)


# -- both ends ---------------------------------------------------------------------------------------------------------


async def test_reports_reach_the_door_and_answers_come_back() -> None:
    async with central_system() as world, world.station() as station:
        reports = [BootNotification(vendor="Acme", model="One"), Heartbeat(), START]
        reports.append(StopTransaction(transaction_id=-1, meter_stop_wh=300, timestamp=NOW, reason="Remote"))
        answers = [await station.call(report) for report in reports]
        assert answers == [ANSWERS[type(report)] for report in reports]
        assert world.door.reports == reports
        assert world.door.events[0] == ("connected", "CS01")


async def test_commands_reach_the_station_and_outcomes_come_back() -> None:
    async with central_system() as world, world.station() as station:
        connection = await world.online()
        outcomes: dict[str, Any] = {}

        async def command(name: str, request: Any) -> None:
            outcomes[name] = await connection.call(request)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(command, "start", RemoteStartTransaction(id_tag="0A1B", connector_id=1))
            incoming = await station.next_command()
            assert incoming.command == RemoteStartTransaction(id_tag="0A1B", connector_id=1)
            await incoming.answer("Accepted")
            nursery.start_soon(command, "keys", GetConfiguration())
            await (await station.next_command()).answer("", {"unknownKey": ["x"]})
            nursery.start_soon(command, "reset", Reset(kind="Hard"))
            await (await station.next_command()).answer("Rejected")
        assert connection.protocol == "ocpp1.6"
        assert outcomes["start"].verdict is CallVerdict.ACCEPTED
        assert (outcomes["keys"].verdict, outcomes["keys"].data) == (CallVerdict.ACCEPTED, {"unknownKey": ["x"]})
        assert (outcomes["reset"].verdict, outcomes["reset"].status) == (CallVerdict.REJECTED, "Rejected")


async def test_a_command_that_a_station_does_not_do_is_refused_by_name() -> None:
    async with central_system() as world, world.station() as station, trio.open_nursery() as nursery:
        outcomes: list[Any] = []

        async def command() -> None:
            outcomes.append(await (await world.online()).call(GetLocalListVersion()))

        nursery.start_soon(command)
        await (await station.next_command()).refuse()
    assert [(outcome.verdict, outcome.status) for outcome in outcomes] == [(CallVerdict.ERROR, "NotSupported")]
    assert "GetLocalListVersion" in outcomes[0].cause


@pytest.mark.parametrize(
    ("command", "cause"),
    [
        (RemoteStartTransaction(id_tag="x" * 21), "20"),
        (Reset(kind="Hard", connector_id=1), "whole station"),
        (PlainCommand(action="CostUpdated"), "no CostUpdated"),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_a_command_that_cannot_be_said_was_never_sent(command: StationCommand, cause: str) -> None:
    async with central_system() as world, world.station():
        outcome = await (await world.online()).call(command)
        assert outcome.verdict is CallVerdict.NEVER_SENT
        assert cause in outcome.cause


async def test_outcomes_of_commands_a_station_does_not_answer_well() -> None:
    async with central_system(limits=Limits(call_timeout_s=0.2)) as world:
        station = await raw_station(world)
        await station.open()
        connection = await world.online()
        outcomes: list[Any] = []

        async def command() -> None:
            outcomes.append(await connection.call(ClearCache()))

        for answer in ('[4,"{}","NotSupported","no cache",{{}}]', '[3,"{}",{{"mood":"good"}}]', "[3]"):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(command)
                message_id = (await station.hear())[1]
                await station.say(answer.format(message_id))
        assert [outcome.verdict for outcome in outcomes] == [
            CallVerdict.ERROR,
            CallVerdict.UNKNOWN,
            CallVerdict.UNKNOWN,
        ]
        assert (outcomes[0].status, outcomes[0].cause) == ("NotSupported", "NotSupported: no cache")
        assert "unreadable" in outcomes[1].cause
        await station.stream.aclose()
        await world.door.offline.wait()
        assert (await connection.call(ClearCache())).verdict is CallVerdict.NEVER_SENT


async def test_calls_of_both_sides_are_timed_and_one_that_is_repeated_is_counted_apart() -> None:
    async with central_system() as world:
        station = await raw_station(world)
        await station.open()
        for action in ("Heartbeat", "Heartbeat", "NoneOfOurs"):
            await station.say(f'[2,"{action}","{action}",{{}}]')
            await station.hear()
        connection = await world.online()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.call, ClearCache())
            await station.say(f'[3,"{(await station.hear())[1]}",{{"status":"Accepted"}}]')
        answered = {labels: sum(counts) for labels, counts, _ in world.meters.ocpp_received_seconds}
        assert answered == {("Heartbeat",): 1, ("other",): 1}
        assert dict(world.meters.ocpp_received) == {("Heartbeat", "answered"): 1, ("other", "NotImplemented"): 1}
        assert dict(world.meters.duplicates) == {("station", "Heartbeat"): 1}
        ((action, counts, took_s),) = world.meters.ocpp_sent_seconds
        assert (action, sum(counts)) == (("ClearCache",), 1) and 0 < took_s < 10


async def test_message_ids_differ_between_connections() -> None:
    async with central_system() as world:
        seen = []
        for _ in range(2):
            station = await raw_station(world)
            await station.open()
            await station.heartbeat()
            connection = await world.online()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(connection.call, ClearCache())
                seen.append((await station.hear())[1])
                await station.say(f'[3,"{seen[-1]}",{{"status":"Accepted"}}]')
        assert seen == ["epoch1-1", "epoch2-1"]


async def test_payloads_of_the_ocpp_package_are_understood() -> None:
    start = foreign.StartTransaction(connector_id=1, id_tag="0A1B", meter_start=5, timestamp="2026-05-04T03:02:01.25Z")
    payload = remove_nones(snake_to_camel_case(serialize_as_dict(start)))
    async with central_system() as world:
        station = await raw_station(world)
        await station.open()
        await station.say(msgspec.json.encode([2, "x", "StartTransaction", payload]).decode())
        assert await station.hear() == [3, "x", {"transactionId": 7, "idTagInfo": {"status": "Accepted"}}]
        assert world.door.reports == [StartTransaction(connector_id=1, id_tag="0A1B", meter_start_wh=5, timestamp=NOW)]


# -- bad input ---------------------------------------------------------------------------------------------------------


async def test_bad_calls_get_the_right_error_and_the_connection_lives() -> None:
    async def fail(report: StationReport) -> ReportAnswer:
        if isinstance(report, StartTransaction):
            raise RuntimeError("secret of the house")
        return HeartbeatAnswer(current_time=NOW)

    async with central_system(Door(fail)) as world:
        station = await raw_station(world)
        await station.open()
        for call, expected in (
            ('[2,"1","GetLocalListVersion",{}]', [4, "1", "NotImplemented"]),
            ('[2,"2","Nonsense",{}]', [4, "2", "NotImplemented"]),
            ('[2,"3","StartTransaction",{}]', [4, "3", "OccurenceConstraintViolation"]),
            ('[2,"4","Authorize",{"idTag":{}}]', [4, "4", "TypeConstraintViolation"]),
            ('[2,"5","Authorize",[]]', [4, "5", "FormationViolation"]),
            ("garbage", [4, "-1", "FormationViolation"]),
        ):
            await station.say(call)
            answer = await station.hear()
            assert (answer[:3], answer[4]) == (expected, {})
        start = {"connectorId": 1, "idTag": "A", "meterStart": 0, "timestamp": "2026-05-04T03:02:01Z"}
        await station.say(msgspec.json.encode([2, "6", "StartTransaction", start]).decode())
        answer = await station.hear()
        assert answer[:3] == [4, "6", "InternalError"]
        assert "secret" not in str(answer)
        await station.heartbeat()
        counted = dict(world.meters.ocpp_received)
        # What a station makes up is no label: it could be anything.
        assert counted["other", "NotImplemented"] == 2
        assert counted["StartTransaction", "InternalError"] == counted["Heartbeat", "answered"] == 1
        assert sum(counted.values()) == 7


async def test_what_is_tolerated_is_logged_and_counted() -> None:
    async with central_system() as world:
        station = await raw_station(world)
        await station.open()
        with capture_logs() as logs:
            await station.say('[2,"1","Heartbeat",{"mood":"good"}]')
            assert (await station.hear())[0] == 3
        assert world.server.tolerated == {"Heartbeat": 1}
        (line,) = [line for line in logs if line["event"] == "ocpp.tolerated"]
        assert (line["station"], line["action"]) == ("CS01", "Heartbeat")
        assert "mood" in line["what"]


@pytest.mark.parametrize("fragments", [1, 4])
async def test_a_frame_too_long_ends_the_connection_with_1009_and_the_server_lives(fragments: int) -> None:
    async with central_system() as world:
        station = await raw_station(world)
        await station.open()
        with capture_logs() as logs:
            with trio.move_on_after(5):
                for number in range(fragments):
                    part = TextMessage(data="x" * (200_000 // fragments), message_finished=number == fragments - 1)
                    await station.stream.send_all(station._websocket.send(part))
            event = await station.event()
            assert isinstance(event, CloseConnection)
            assert event.code == 1009
            await station.stream.aclose()
            await world.door.offline.wait()
            await trio.testing.wait_all_tasks_blocked()
        (line,) = [line for line in logs if line["event"] == "ocpp.closed"]
        assert line["station"] == "CS01"
        assert line["reason"].startswith("1009 ")
        async with world.station() as good:
            await good.call(Heartbeat())


async def test_a_frame_of_exactly_the_limit_is_read() -> None:
    async with central_system() as world:
        station = await raw_station(world)
        await station.open()
        frame = '[2,"1","Heartbeat",{"pad":"%s"}]'
        await station.say(frame % ("x" * (65_536 - len(frame) + 2)))
        assert (await station.hear())[:2] == [3, "1"]


async def test_a_frame_glued_to_the_upgrade_request_is_read() -> None:
    async with central_system() as world:
        station = await raw_station(world)
        await station.open(glued=masked(b'[2,"1","Heartbeat",{}]'))
        assert (await station.hear())[:2] == [3, "1"]


async def test_an_unmasked_frame_ends_only_its_own_connection() -> None:
    async with central_system() as world, world.station() as neighbour:
        station = await raw_station(world)
        await station.open()
        await station.stream.send_all(b"\x81\x02{}")
        event = await station.event()
        assert isinstance(event, CloseConnection)
        assert event.code == 1002
        with pytest.raises(OSError):
            await neighbour.call(Heartbeat())  # the same identity: the raw station had taken its place


# -- lives and ends ----------------------------------------------------------------------------------------------------


async def test_the_newest_connection_of_a_station_wins() -> None:
    async with central_system() as world, world.station() as older:
        await older.call(Heartbeat())
        async with world.station() as newer:
            await newer.call(Heartbeat())
            with pytest.raises(OSError):
                await older.next_command()
            await newer.call(Heartbeat())
        await world.door.offline.wait()
    assert world.door.events.count(("connected", "CS01")) == 2
    assert world.door.events.count(("disconnected", "CS01")) == 2


async def test_a_drain_closes_every_connection_with_1012_and_accepts_no_more() -> None:
    async with central_system(directory=Directory()) as world:
        station = await raw_station(world)
        await station.open()
        connection = await world.online()
        await world.server.close_all()
        event = await station.event()
        assert isinstance(event, CloseConnection)
        assert event.code == 1012
        assert (await connection.call(ClearCache())).verdict is CallVerdict.NEVER_SENT
        await station.stream.aclose()
        await world.door.offline.wait()
        with pytest.raises(OSError):
            await trio.open_tcp_stream("127.0.0.1", world.port)


@pytest.mark.parametrize(
    "failure, said",
    [(RuntimeError("no actor"), "ocpp.connection_failed"), (refused(503, "away", "later"), "ocpp.not_let_in")],
)
async def test_a_door_that_fails_ends_its_connection_and_not_the_server(failure: Exception, said: str) -> None:
    class BrokenDoor(Door):
        def connected(self, identity: str, connection: Any) -> Promise[None]:
            if self.events:
                return super().connected(identity, connection)
            self.events.append(("failed", identity))
            failed: Promise[None] = Promise()
            failed.fail(failure)
            return failed

    with capture_logs() as logs:
        await _is_turned_away(BrokenDoor())
    assert [entry["event"] for entry in logs if entry["log_level"] in ("warning", "error")] == [said]


async def _is_turned_away(door: Door) -> None:
    """The first station that comes to this door is sent off, the next one served."""
    async with central_system(door) as world:
        station = await raw_station(world)
        await station.open()
        event = await station.event()
        assert isinstance(event, CloseConnection)
        assert event.code == 1011
        await station.stream.aclose()
        async with world.station() as good:
            await good.call(Heartbeat())


async def test_a_report_refused_is_as_good_as_unanswered_to_the_station() -> None:
    async def fail(report: StationReport) -> ReportAnswer:
        raise RuntimeError("disk full")

    async with central_system(Door(fail)) as world, world.station() as station:
        with pytest.raises(ReportRefused) as raised:
            await station.call(START)
        assert raised.value.code == "InternalError"
        assert isinstance(raised.value, TimeoutError)


async def test_the_stations_end_raises_what_the_caller_raised_and_oserror_when_it_is_gone() -> None:
    async with central_system() as world:
        with pytest.raises(ZeroDivisionError):
            async with world.station():
                raise ZeroDivisionError
        async with world.station() as station:
            await station.aclose()
            with pytest.raises(ConnectionError):
                await station.call(Heartbeat())
            with pytest.raises(ConnectionError):
                await station.next_command()
        with pytest.raises(ConnectionRefused) as raised:
            async with world.station(password=b"wrong"):
                pass
        assert raised.value.status == 401


async def test_a_station_without_answer_gets_a_timeout_error() -> None:
    async def never(report: StationReport) -> ReportAnswer:
        await trio.sleep_forever()
        return HeartbeatAnswer(current_time=NOW)

    limits = Limits(call_timeout_s=0.05, handler_timeout_s=0.5)
    async with central_system(Door(never), limits=limits) as world, world.station(limits=limits) as station:
        with pytest.raises(TimeoutError):
            await station.call(Heartbeat())
