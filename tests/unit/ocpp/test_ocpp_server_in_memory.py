"""The whole listener over memory streams on virtual time: what depends on deadlines, with no network and no waiting."""

from __future__ import annotations

import contextlib
import itertools
import ssl
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio
import trio.testing
import trustme
from ocpp_raw_station import masked
from ocpp_worlds import Directory, Door, MemoryListener
from structlog.testing import capture_logs

from protocols.ocpp.client import ConnectionRefused, ReportRefused, StationEnd, open_central_system
from protocols.ocpp.limits import Limits
from protocols.ocpp.server import StationServer, serve_stations
from statecharts.ports import StationConnection
from statecharts.promises import Promise
from statecharts.station_commands import CallOutcome, CallVerdict, ClearCache
from statecharts.station_reports import Heartbeat, ReportAnswer, StationReport
from statecharts.vocabulary import refused

LIMITS = Limits(ping_interval_s=60, pong_timeout_s=30, call_timeout_s=30)
UPGRADE = (
    b"GET /ocpp/CS01 HTTP/1.1\r\nHost: cs\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    b"Sec-WebSocket-Protocol: ocpp1.6\r\n\r\n"
)


@asynccontextmanager
async def central_in_memory(
    listener: trio.abc.Listener[Any],
    door: Door,
    limits: Limits = LIMITS,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[StationServer]:
    async with trio.open_nursery() as nursery:
        epochs = itertools.count(1)
        serve = partial(
            serve_stations,
            [listener],
            directory=Directory(password=None),
            door=door,
            epochs=lambda: f"epoch{next(epochs)}",
            limits=limits,
            tls=tls,
        )
        server = await nursery.start(serve)
        yield server
        await server.close_all()


def station_over(stream: trio.abc.Stream, limits: Limits | None = None) -> AbstractAsyncContextManager[StationEnd]:
    return open_central_system("ws://cs/ocpp", "CS01", None, epoch="s", stream=stream, limits=limits)


async def test_an_idle_station_that_answers_pings_stays(autojump_clock: trio.testing.MockClock) -> None:
    listener, door = MemoryListener(), Door()
    async with central_in_memory(listener, door), station_over(await listener.connect()) as station:
        await trio.sleep(24 * 3600)
        await station.call(Heartbeat())
    assert door.events == [("connected", "CS01"), ("disconnected", "CS01")]


async def test_a_station_that_answers_no_ping_is_dropped_by_its_deadline(
    autojump_clock: trio.testing.MockClock,
) -> None:
    listener, door = MemoryListener(), Door()
    async with central_in_memory(listener, door):
        stream = await listener.connect()
        await stream.send_all(UPGRADE)
        await door.online.wait()
        await door.offline.wait()
        assert LIMITS.ping_interval_s <= trio.current_time() <= 2 * (LIMITS.ping_interval_s + LIMITS.pong_timeout_s)


async def dripping(stream: trio.abc.SendStream, some: bytes, every_s: float) -> None:
    with contextlib.suppress(trio.BrokenResourceError):
        while True:
            await stream.send_all(some)
            await trio.sleep(every_s)


LONG_MESSAGE = b"\x81\xfe\xff\xff\0\0\0\0"
BEGINNING, MORE = b"\x01\x80\0\0\0\0", b"\x00\x81\0\0\0\0x"


@pytest.mark.parametrize(
    ("begins", "drips"), [(LONG_MESSAGE, b" "), (BEGINNING, MORE)], ids=["in one frame", "in ever more frames"]
)
async def test_a_message_that_never_ends_costs_the_connection(
    autojump_clock: trio.testing.MockClock, begins: bytes, drips: bytes
) -> None:
    listener, door = MemoryListener(), Door()
    async with central_in_memory(listener, door), trio.open_nursery() as nursery:
        stream = await listener.connect()
        await stream.send_all(UPGRADE + begins)
        nursery.start_soon(dripping, stream, drips, 10)
        await door.offline.wait()
        assert LIMITS.message_timeout_s <= trio.current_time() <= 1.5 * LIMITS.message_timeout_s
        nursery.cancel_scope.cancel()


async def test_a_slow_station_whose_messages_do_end_stays(autojump_clock: trio.testing.MockClock) -> None:
    listener, door = MemoryListener(), Door()
    async with central_in_memory(listener, door):
        stream = await listener.connect()
        await stream.send_all(UPGRADE)
        heartbeat = masked(b'[2,"1","Heartbeat",{}]')
        first, second = heartbeat[:9], heartbeat[9:]
        await stream.send_all(first)
        for _ in range(100):
            await trio.sleep(45)
            await stream.send_all(second + first)  # there is always something begun
        assert ("disconnected", "CS01") not in door.events


async def test_any_bytes_of_a_station_are_a_sign_of_life(autojump_clock: trio.testing.MockClock) -> None:
    listener, door = MemoryListener(), Door()
    async with central_in_memory(listener, door):
        stream = await listener.connect()
        await stream.send_all(UPGRADE)
        for _ in range(100):
            await trio.sleep(50)
            await stream.send_all(b"\x81\x82\0\0\0\0[]")
        assert not door.offline.is_set()


async def test_a_request_that_never_ends_is_dropped_by_its_deadline(autojump_clock: trio.testing.MockClock) -> None:
    listener, door = MemoryListener(), Door()
    async with central_in_memory(listener, door) as server:
        stream = await listener.connect()
        await stream.send_all(UPGRADE[:-2])
        assert await stream.receive_some() == b""
        assert trio.current_time() == pytest.approx(LIMITS.handshake_timeout_s)
        assert server.connections == ()


async def test_a_station_that_does_not_read_costs_its_connection_and_the_outcome_is_unknown(
    autojump_clock: trio.testing.MockClock,
) -> None:
    door = Door()
    ours, theirs = trio.testing.lockstep_stream_pair()

    class OneStream(MemoryListener):
        async def connect(self) -> trio.StapledStream[object, object]:
            await self._arrived.send(theirs)
            return ours

    listener = OneStream()
    async with central_in_memory(listener, door, Limits(call_timeout_s=30, ping_interval_s=3600)):
        await listener.connect()
        await ours.send_all(UPGRADE)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += await ours.receive_some()
        await door.online.wait()
        assert door.current is not None
        outcome = await door.current.call(ClearCache())
        assert outcome.verdict is CallVerdict.UNKNOWN
        assert trio.current_time() == pytest.approx(30)
        await door.offline.wait()


async def test_a_drain_ends_in_bounded_time_even_with_an_answer_that_never_comes(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def never(report: StationReport) -> ReportAnswer:
        await trio.sleep_forever()
        raise AssertionError

    listener, door = MemoryListener(), Door(never)
    async with central_in_memory(listener, door):
        stream = await listener.connect()
        await stream.send_all(UPGRADE + masked(b'[2,"1","Heartbeat",{}]'))
        await door.online.wait()
        await trio.testing.wait_all_tasks_blocked()
        assert door.reports == [Heartbeat()]
        start = trio.current_time()
    assert trio.current_time() - start < 10


async def test_commands_to_one_station_run_one_at_a_time(autojump_clock: trio.testing.MockClock) -> None:
    listener, door, outcomes = MemoryListener(), Door(), list[CallOutcome]()

    async def command() -> None:
        assert door.current is not None
        outcomes.append(await door.current.call(ClearCache()))

    async with central_in_memory(listener, door), station_over(await listener.connect()) as station:
        await door.online.wait()
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(command)
            for number in range(3):
                incoming = await station.next_command()
                await trio.sleep(10)
                assert len(outcomes) == number
                await incoming.answer("Accepted")
        assert [outcome.verdict for outcome in outcomes] == [CallVerdict.ACCEPTED] * 3
        assert trio.current_time() == pytest.approx(30)


async def test_an_answer_after_the_deadline_is_not_taken_for_the_next_commands(
    autojump_clock: trio.testing.MockClock,
) -> None:
    listener, door, outcomes = MemoryListener(), Door(), list[CallOutcome]()

    async def command() -> None:
        assert door.current is not None
        outcomes.append(await door.current.call(ClearCache()))

    patient = Limits(handler_timeout_s=100)
    async with (
        central_in_memory(listener, door),
        station_over(await listener.connect(), patient) as station,
        trio.open_nursery() as nursery,
    ):
        await door.online.wait()
        nursery.start_soon(command)
        late = await station.next_command()
        await trio.sleep(31)
        nursery.start_soon(command)
        await late.answer("Rejected")
        await (await station.next_command()).answer("Accepted")
    assert [outcome.verdict for outcome in outcomes] == [CallVerdict.UNKNOWN, CallVerdict.ACCEPTED]
    assert outcomes[0].cause == "no answer within 30 s"


async def test_whoever_waits_for_a_slow_handler_hears_within_30_seconds(autojump_clock: trio.testing.MockClock) -> None:
    async def never(report: StationReport) -> ReportAnswer:
        await trio.sleep_forever()
        raise AssertionError

    listener, door = MemoryListener(), Door(never)
    patient = Limits(call_timeout_s=60)
    async with central_in_memory(listener, door), station_over(await listener.connect(), patient) as station:
        for pause_s in (0, 3, 9.9):
            await trio.sleep(pause_s)
            asked_at = trio.current_time()
            with pytest.raises(ReportRefused):
                await station.call(Heartbeat())
            assert trio.current_time() - asked_at <= 30


async def test_a_station_learns_at_once_that_the_connection_is_gone(autojump_clock: trio.testing.MockClock) -> None:
    listener, door = MemoryListener(), Door()
    async with central_in_memory(listener, door), station_over(await listener.connect()) as station:
        await door.online.wait()
        assert door.current is not None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(door.current.call, ClearCache())
            await station.next_command()
            door.current.close(1012, "restart")
            with pytest.raises(ConnectionError):
                await station.next_command()
            with pytest.raises(ConnectionError):
                await station.call(Heartbeat())
        assert trio.current_time() == 0


async def test_a_server_that_never_answers_the_upgrade_is_a_connection_refused(
    autojump_clock: trio.testing.MockClock,
) -> None:
    ours, _ = trio.testing.memory_stream_pair()
    with pytest.raises(ConnectionRefused, match="10 s"):
        async with station_over(ours):
            pass


async def test_stations_come_over_tls() -> None:
    authority = trustme.CA()
    server_side, client_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(server_side)
    authority.configure_trust(client_side)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    door = Door()
    async with central_in_memory(listeners[0], door, tls=server_side) as server:
        url = f"wss://localhost:{server.ports[0]}/ocpp"
        async with open_central_system(url, "CS01", None, epoch="s", ssl_context=client_side) as station:
            await station.call(Heartbeat())
        await door.offline.wait()
    assert door.reports == [Heartbeat()]


async def test_tls_that_does_not_fit_is_named_at_once_by_the_station_and_is_no_error_of_the_listener() -> None:
    authority = trustme.CA()
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(server_side)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    with capture_logs() as lines:
        async with central_in_memory(listeners[0], Door(), tls=server_side) as server:
            url = f"wss://localhost:{server.ports[0]}/ocpp"
            with pytest.raises(ConnectionRefused, match="certificate verify failed"):
                async with open_central_system(url, "CS01", None, epoch="s"):
                    pass
            scan = await trio.open_tcp_stream("127.0.0.1", server.ports[0])
            async with scan:
                await scan.send_all(b"GET / HTTP/1.1\r\n\r\n")
                with contextlib.suppress(trio.BrokenResourceError):
                    await scan.receive_some()
    said = [(line["event"], line["log_level"]) for line in lines]
    assert said == [("ocpp.connection_broken", "info")] * 2


class ClosedDoor(Door):
    """Lets nobody in, as where a station is in quarantine."""

    def connected(self, identity: str, connection: StationConnection) -> Promise[None]:
        raise refused(503, "quarantined", f"station/{identity} is in quarantine")


async def test_a_station_that_is_refused_behind_the_door_is_told_to_come_again_later(autojump_clock):
    listener = MemoryListener()
    with capture_logs() as logs:
        async with central_in_memory(listener, ClosedDoor()):
            stream = await listener.connect()
            await stream.send_all(UPGRADE)
            told = b""
            while data := await stream.receive_some():
                told += data
    assert told.endswith((1013).to_bytes(2, "big") + b"quarantined")
    assert [entry["event"] for entry in logs if entry["log_level"] in ("warning", "error")] == ["ocpp.not_let_in"]
