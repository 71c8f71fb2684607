"""The central system's listener on loopback, with our own station's end and with hand-made WebSocket clients."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest
import trio
import trio.testing
from ocpp.charge_point import remove_nones, serialize_as_dict, snake_to_camel_case
from ocpp.v16 import call as foreign
from structlog.testing import capture_logs
from worlds import ANSWERS, NOW, PASSWORD, Directory, Door, World, central_system
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)

from protocols.ocpp.client import ConnectionRefused, ReportRefused
from protocols.ocpp.limits import Limits
from statecharts.station_vocabulary import (
    BootNotification,
    CallVerdict,
    ClearCache,
    GetConfiguration,
    Heartbeat,
    HeartbeatAnswer,
    RemoteStartTransaction,
    ReportAnswer,
    Reset,
    StartTransaction,
    StationReport,
    StopTransaction,
)

START = StartTransaction(connector_id=1, id_tag="0A1B2C3D4E5F", meter_start_wh=100, timestamp=NOW)
BASIC = b"Basic " + base64.b64encode(b"CS01:" + PASSWORD)


class RawStation:
    """A WebSocket client that says whatever a test wants, built on wsproto alone."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self._websocket = WSConnection(ConnectionType.CLIENT)
        self._events: list[Event] = []

    async def open(
        self,
        path: str = "/ocpp/CS01",
        subprotocols: tuple[str, ...] = ("ocpp1.6",),
        glued: bytes = b"",
        **headers: bytes,
    ) -> Event:
        headers.setdefault("authorization", BASIC)
        extra = [(name.encode(), value) for name, value in headers.items() if value]
        request = Request(host="cs", target=path, subprotocols=list(subprotocols), extra_headers=extra)
        await self.stream.send_all(self._websocket.send(request) + glued)
        return await self.event()

    async def event(self) -> Event:
        while not self._events:
            self._websocket.receive_data(await self.stream.receive_some() or None)
            self._events.extend(self._websocket.events())
        return self._events.pop(0)

    async def say(self, data: str | bytes) -> None:
        message = TextMessage(data=data) if isinstance(data, str) else BytesMessage(data=data)
        await self.stream.send_all(self._websocket.send(message))

    async def hear(self) -> Any:
        event = await self.event()
        assert isinstance(event, TextMessage), event
        return msgspec.json.decode(event.data)

    async def heartbeat(self, message_id: str = "h") -> None:
        await self.say(f'[2,"{message_id}","Heartbeat",{{}}]')
        assert (await self.hear())[:2] == [3, message_id]


async def raw_station(world: World) -> RawStation:
    return RawStation(await world.tcp())


def masked(text: bytes) -> bytes:
    """A client's text frame with the mask of zeros, to be glued behind an upgrade request."""
    assert len(text) < 126
    return bytes([0x81, 0x80 | len(text)]) + b"\0\0\0\0" + text


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


async def test_a_command_that_cannot_be_said_was_never_sent() -> None:
    async with central_system() as world, world.station():
        outcome = await (await world.online()).call(RemoteStartTransaction(id_tag="x" * 21))
        assert outcome.verdict is CallVerdict.NEVER_SENT
        assert "20" in outcome.cause


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
            ('[2,"1","SignCertificate",{"csr":"x"}]', [4, "1", "NotImplemented"]),
            ('[2,"2","Nonsense",{}]', [4, "2", "NotImplemented"]),
            ('[2,"3","StartTransaction",{}]', [4, "3", "OccurenceConstraintViolation"]),
            ('[2,"4","Authorize",{"idTag":5}]', [4, "4", "TypeConstraintViolation"]),
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
        with trio.move_on_after(5):
            for number in range(fragments):
                part = TextMessage(data="x" * (200_000 // fragments), message_finished=number == fragments - 1)
                await station.stream.send_all(station._websocket.send(part))
        event = await station.event()
        assert isinstance(event, CloseConnection)
        assert event.code == 1009
        await station.stream.aclose()
        await world.door.offline.wait()
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


# -- who may connect ---------------------------------------------------------------------------------------------------


async def refused(world: World, **request: Any) -> tuple[int, dict[bytes, bytes]]:
    station = await raw_station(world)
    event = await station.open(**request)
    assert isinstance(event, RejectConnection), event
    while not isinstance(event, RejectData) or not event.body_finished:
        if isinstance(event, RejectConnection):
            status, headers = event.status_code, dict(event.headers)
        event = await station.event()
    await station.stream.aclose()
    return status, headers


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/ocpp",
        "/ocpp/",
        "/ocpp/CS02",
        "/other/CS01",
        "/ocpp/%2e%2e",
        "/ocpp/..",
        "/ocpp/a%2Fb",
        "/ocpp/a/b",
        "/ocpp/%ff",
        "/ocpp/%00",
        "/ocpp/" + "x" * 49,
        "http://cs/ocpp/CS01",
    ],
)
async def test_an_unknown_station_gets_404_before_the_upgrade(path: str) -> None:
    async with central_system() as world:
        assert (await refused(world, path=path))[0] == 404
        assert world.door.events == []


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"Basic",
        b"Basic !!!",
        b"Bearer " + base64.b64encode(b"CS01:" + PASSWORD),
        b"Basic " + base64.b64encode(b"CS01:wrong"),
        b"Basic " + base64.b64encode(b"CS01:"),
        b"Basic " + base64.b64encode(b"CS02:" + PASSWORD),
        b"Basic " + base64.b64encode(b"cs01:" + PASSWORD),
        b"Basic \xff\xfe",
    ],
)
async def test_a_wrong_or_missing_password_gets_401_before_the_upgrade(header: bytes) -> None:
    async with central_system() as world:
        status, headers = await refused(world, authorization=header)
        assert status == 401
        assert headers[b"www-authenticate"].startswith(b"Basic ")
        assert world.door.events == []


@pytest.mark.parametrize("stored", [PASSWORD, PASSWORD.hex().encode(), PASSWORD.hex().upper().encode()])
@pytest.mark.parametrize("sent", [PASSWORD, PASSWORD.hex().encode()])
async def test_a_key_opens_as_raw_bytes_and_as_hex_text(stored: bytes, sent: bytes) -> None:
    async with central_system(directory=Directory(password=stored)) as world, world.station(password=sent) as station:
        await station.call(Heartbeat())


async def test_a_station_without_password_may_be_let_in_by_the_directory() -> None:
    async with central_system(directory=Directory(password=None)) as world, world.station(password=None) as station:
        await station.call(Heartbeat())
        assert world.directory.tried == [None]


@pytest.mark.parametrize("path", ["/ocpp/CS%2001", "/websockets/CS%2001", "/ocpp/CS%2001/", "//ocpp//CS%2001?a=b"])
async def test_the_identity_is_percent_decoded_and_slashes_are_overlooked(path: str) -> None:
    async with central_system(directory=Directory("CS 01")) as world:
        station = await raw_station(world)
        header = b"Basic " + base64.b64encode(b"CS 01:" + PASSWORD)
        assert isinstance(await station.open(path, authorization=header), AcceptConnection)
        await world.online()
        assert world.door.events == [("connected", "CS 01")]


async def test_our_stations_end_percent_encodes_its_identity() -> None:
    async with central_system(directory=Directory("Ü|1:2 ?#")) as world, world.station("Ü|1:2 ?#") as station:
        await station.call(Heartbeat())


async def test_an_address_with_too_many_failures_waits() -> None:
    async with central_system(limits=Limits(address_failures_max=3, address_window_s=60)) as world:
        assert [(await refused(world, path="/ocpp/no"))[0] for _ in range(3)] == [404] * 3
        status, headers = await refused(world)
        assert status == 429
        assert 0 < int(headers[b"retry-after"]) <= 61
        with pytest.raises(ConnectionRefused) as raised:
            async with world.station():
                pass
        assert raised.value.status == 429
        assert world.directory.tried == []


async def test_connections_beyond_the_cap_get_503() -> None:
    async with central_system(limits=Limits(connections_max=1)) as world, world.station() as station:
        assert (await refused(world))[0] == 503
        await station.call(Heartbeat())


async def test_requests_that_are_no_upgrade_get_an_http_error() -> None:
    async with central_system() as world:
        for request, status in (
            (b"GET /ocpp/CS01 HTTP/1.1\r\nHost: cs\r\nAuthorization: " + BASIC + b"\r\n\r\n", b"426"),
            (b"POST /ocpp/CS01 HTTP/1.1\r\nHost: cs\r\nAuthorization: " + BASIC + b"\r\n\r\n", b"405"),
            (b"nonsense\r\n\r\n", b"400"),
            (b"GET /ocpp/CS01 HTTP/1.1\r\nX: " + b"x" * 20_000, b"431"),
        ):
            stream = await world.tcp()
            await stream.send_all(request)
            answer = b""
            while more := await stream.receive_some():
                answer += more
            assert answer.split(b" ")[1] == status


async def test_a_client_that_never_finishes_its_request_is_dropped() -> None:
    async with central_system(limits=Limits(handshake_timeout_s=0.05, close_timeout_s=0.05)) as world:
        stream = await world.tcp()
        await stream.send_all(b"GET /ocpp/CS01 HTTP/1.1\r\n")
        assert await stream.receive_some() == b""


# -- subprotocols ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offered", "chosen"), [(("ocpp1.6",), "ocpp1.6"), (("ocpp2.1", "ocpp1.6"), "ocpp1.6"), ((), None)]
)
async def test_ocpp_1_6_is_chosen_and_assumed_where_nothing_is_offered(
    offered: tuple[str, ...], chosen: str | None
) -> None:
    async with central_system() as world:
        station = await raw_station(world)
        event = await station.open(subprotocols=offered)
        assert isinstance(event, AcceptConnection)
        assert event.subprotocol == chosen
        await station.heartbeat()


async def test_offers_without_a_known_one_complete_the_handshake_and_are_closed() -> None:
    async with central_system() as world:
        station = await raw_station(world)
        event = await station.open(subprotocols=("ocpp9.9",))
        assert isinstance(event, AcceptConnection)
        assert event.subprotocol is None
        event = await station.event()
        assert isinstance(event, CloseConnection)
        assert event.code == 1002
        assert world.door.events == []


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


async def test_a_door_that_fails_ends_its_connection_and_not_the_server() -> None:
    class BrokenDoor(Door):
        async def connected(self, identity: str, connection: Any) -> None:
            if not self.events:
                self.events.append(("failed", identity))
                raise RuntimeError("no actor")
            await super().connected(identity, connection)

    async with central_system(BrokenDoor()) as world:
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
