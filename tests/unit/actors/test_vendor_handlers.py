"""Messages of a vendor's own: kept, answered by whoever is registered for them, and never a danger to the station."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Awaitable, Iterable

import pytest
import trio

from actors.records import Append
from actors.vendor_handlers import ANSWERED_WITHIN_S, BUILT_IN, VendorHandlers
from examples.vendor_handler import door_opened
from protocols.cli.vendor_handlers import entry_point
from statecharts.limits import VENDOR_THREADS
from statecharts.ports import VendorHandler
from statecharts.station_reports import DataTransferAnswer, Heartbeat, HeartbeatAnswer, StationDataTransfer
from statecharts.vocabulary import Refused
from tests.support.crashes import disk_full
from tests.support.house import StationLine, open_house

COST = "org.openchargealliance.costmsg"
UNPLUGGED = '{"transactionId": 7, "timestamp": "2026-03-01T12:00:00Z"}'
GREETED = DataTransferAnswer(status="Accepted", data="hello")


async def greet(station: str, message: StationDataTransfer) -> DataTransferAnswer:
    return DataTransferAnswer(status="Accepted", data=f"hello {station}")


async def hang(station: str, message: StationDataTransfer) -> DataTransferAnswer:
    await trio.sleep_forever()


def fail(station: str, message: StationDataTransfer) -> DataTransferAnswer:
    raise ZeroDivisionError


def mumble(station: str, message: StationDataTransfer) -> DataTransferAnswer:
    return "Accepted"  # type: ignore[return-value]


async def shrug(station: str, message: StationDataTransfer) -> DataTransferAnswer:
    return DataTransferAnswer(status="Perhaps")


def register(line: StationLine, *handlers: tuple[tuple[str, str | None], VendorHandler]) -> None:
    line.house.context.vendors = VendorHandlers(handlers)


@pytest.fixture
async def by_the_clock(nursery: trio.Nursery) -> AsyncIterator[StationLine]:
    """A station in real time, which threads take."""
    async with open_house("IE-001", nursery) as house:
        station = StationLine(house, "CS01")
        await station.come_online()
        yield station


async def asked(line: StationLine, vendor_id: str, message_id: str | None = None, data: str | None = None) -> tuple:
    answer = await line.say(StationDataTransfer(vendor_id=vendor_id, message_id=message_id, data=data))
    assert isinstance(answer, DataTransferAnswer)
    return answer.status, answer.data


async def kept(line: StationLine) -> list[str]:
    return [entry.kind for entry in (await line.house.operator.station_log("CS01")).items]


@pytest.mark.parametrize(
    ("vendor_id", "message_id", "answer"),
    [
        ("COM.Example", "Hello", ("Accepted", "hello CS01")),
        ("com.example", "hello", ("Accepted", "hello CS01")),
        ("com.example", "Other", ("UnknownMessageId", None)),
        ("com.example", None, ("UnknownMessageId", None)),
        ("com.other", "Hello", ("UnknownVendorId", None)),
        ("com.wide", "Whatever", ("Accepted", "hello CS01")),
        ("com.wide", None, ("Accepted", "hello CS01")),
    ],
)
async def test_a_message_is_answered_by_the_handler_of_its_vendor_and_its_message_id(
    autojump_clock: object, line: StationLine, vendor_id: str, message_id: str | None, answer: tuple
) -> None:
    register(line, (("com.example", "Hello"), greet), (("com.wide", None), greet))
    assert await asked(line, vendor_id, message_id) == answer
    assert await kept(line) == ["StationDataTransfer"]


@pytest.mark.parametrize("handler", [fail, mumble, shrug], ids=lambda handler: handler.__name__)
async def test_a_handler_that_does_wrong_is_a_rejection(by_the_clock: StationLine, handler: VendorHandler) -> None:
    register(by_the_clock, (("com.example", None), handler))
    assert await asked(by_the_clock, "com.example") == ("Rejected", None)
    assert isinstance(await by_the_clock.say(Heartbeat()), HeartbeatAnswer)


async def test_a_handler_that_hangs_holds_up_nothing_and_is_a_rejection_in_its_time(
    autojump_clock: object, line: StationLine
) -> None:
    register(line, (("com.example", None), hang))
    begun = trio.current_time()
    async with trio.open_nursery() as nursery:

        async def ask() -> None:
            assert await asked(line, "com.example") == ("Rejected", None)
            assert trio.current_time() - begun == pytest.approx(ANSWERED_WITHIN_S)

        nursery.start_soon(ask)
        await trio.sleep(1)
        assert (await line.start("CARD0001")).transaction_id > 0
        assert trio.current_time() - begun < 2


async def test_threads_that_never_come_back_cost_the_node_no_more_than_their_number(
    by_the_clock: StationLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.vendor_handlers.ANSWERED_WITHIN_S", 0.2)
    stuck = threading.Event()

    def wait(station: str, message: StationDataTransfer) -> DataTransferAnswer:
        stuck.wait(30)
        return GREETED

    register(by_the_clock, (("com.example", None), wait))
    before = threading.active_count()
    async with trio.open_nursery() as nursery:
        for _ in range(3 * VENDOR_THREADS.limit):
            nursery.start_soon(asked, by_the_clock, "com.example")
    assert threading.active_count() - before <= VENDOR_THREADS.limit
    stuck.set()
    with trio.fail_after(5):
        while await asked(by_the_clock, "com.example") != ("Accepted", "hello"):  # noqa: ASYNC110 - threads end by themselves
            await trio.sleep(0.05)


async def test_a_message_that_could_not_be_kept_is_not_handled(
    autojump_clock: object, line: StationLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = list[str]()

    async def see(station: str, message: StationDataTransfer) -> DataTransferAnswer:
        seen.append(station)
        return GREETED

    register(line, (("com.example", None), see))

    async def append(append: Append) -> None:
        disk_full()

    monkeypatch.setattr(line.house.journal, "append", append)
    with pytest.raises(Refused):
        await asked(line, "com.example")
    assert seen == []


# -- what we understand ourselves --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message_id", "data", "status"),
    [
        ("ConnectorUnplugged", UNPLUGGED, "Accepted"),
        ("ConnectorUnplugged", '{"transactionId": "x"}', "Rejected"),
        ("ConnectorUnplugged", "[" * 100_000, "Rejected"),
        ("ConnectorUnplugged", None, "Rejected"),
        ("FinalCost", "{}", "UnknownMessageId"),
    ],
)
async def test_a_cable_that_was_taken_out_is_acknowledged(
    autojump_clock: object, line: StationLine, message_id: str, data: str | None, status: str
) -> None:
    assert (await asked(line, COST, message_id, data))[0] == status
    assert (COST, "ConnectorUnplugged") in BUILT_IN


async def test_the_operators_own_handler_comes_before_ours(autojump_clock: object, line: StationLine) -> None:
    register(line, ((COST, "ConnectorUnplugged"), greet))
    assert await asked(line, COST, "ConnectorUnplugged", UNPLUGGED) == ("Accepted", "hello CS01")


# -- the example, and what the configuration names ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("station", "data", "answer"),
    [
        ("CS01", '{"door": 1}', ("Accepted", '{"alarm": true}')),
        ("CS02", '{"door": 1}', ("Accepted", '{"alarm": false}')),
        ("CS01", '{"door": "x"}', ("Rejected", None)),
    ],
)
def test_the_example_answers(station: str, data: str, answer: Iterable[str | None]) -> None:
    given: DataTransferAnswer | Awaitable[DataTransferAnswer] = door_opened(
        station, StationDataTransfer(vendor_id="com.example", message_id="DoorOpened", data=data)
    )
    assert isinstance(given, DataTransferAnswer)
    assert (given.status, given.data) == answer


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("examples.nothing:here", "cannot be imported: ModuleNotFoundError"),
        ("examples.vendor_handler:nothing", "no function nothing in examples.vendor_handler"),
        ("examples.vendor_handler:__doc__", "no function __doc__"),
    ],
)
def test_a_handler_that_there_is_not_is_named(name: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        entry_point(name)
    assert entry_point("examples.vendor_handler:door_opened") is door_opened
