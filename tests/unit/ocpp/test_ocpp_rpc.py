"""Calls in both directions: two real peers on an in-memory wire, or one of them and hand-made frames."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import msgspec
import pytest
import structlog
import trio
import trio.testing
from ocpp import exceptions as ocpp
from ocpp_wire import Wire, wires
from structlog.testing import capture_logs

from protocols.ocpp.frames import (
    FRAMING_16,
    FRAMING_21,
    FRAMING_201,
    CallError,
    CallResult,
    Framing,
    encode_call,
    encode_result,
)
from protocols.ocpp.limits import Limits
from protocols.ocpp.rpc import CallEnd, NoAnswer, NotSent, RpcPeer
from tests.support.promises import promised

Handling = Callable[[str, bytes], Awaitable[bytes]]


async def expire(peer: RpcPeer, scope: trio.CancelScope) -> None:
    """What a listener does for all its connections."""
    with scope:
        while True:
            await trio.sleep(10)
            peer.expire(trio.current_time())


async def echo(action: str, payload: bytes) -> bytes:
    return payload


@asynccontextmanager
async def one_peer(
    handler: Handling = echo, framing: Framing = FRAMING_16, **limits: Any
) -> AsyncIterator[tuple[RpcPeer, Wire, trio.Nursery]]:
    """A peer with epoch "e", and the other end of its wire in the test's hand."""
    ours, theirs = wires()
    handle, bounds = partial(promised, handler), Limits(**limits)
    peer = RpcPeer(ours, epoch="e", handler=handle, limits=bounds, framing=framing)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(peer.run)
        sweeper = trio.CancelScope()
        nursery.start_soon(expire, peer, sweeper)
        yield peer, theirs, nursery
        theirs.close()
        sweeper.cancel()


class Ends:
    """Collects how calls end, in the order in which they end."""

    def __init__(self) -> None:
        self.ends: list[tuple[str, CallEnd]] = []

    async def make(self, peer: RpcPeer, name: str) -> None:
        self.ends.append((name, await peer.call(name, b"{}")))


# -- calls -------------------------------------------------------------------------------------------------------------


async def test_calls_cross_and_a_handler_may_call_back() -> None:
    ours, theirs = wires()

    async def ask_back(action: str, payload: bytes) -> bytes:
        end = await central.call("Inner", payload)
        assert isinstance(end, CallResult)
        return b'{"inner":' + bytes(end.payload) + b"}"

    central = RpcPeer(ours, epoch="c", handler=partial(promised, ask_back), limits=Limits())
    station = RpcPeer(theirs, epoch="s", handler=partial(promised, echo), limits=Limits())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(central.run)
        nursery.start_soon(station.run)
        end = await station.call("Outer", b'{"a":1}')
        assert isinstance(end, CallResult)
        assert bytes(end.payload) == b'{"inner":{"a":1}}'
        ours.close()
        theirs.close()


async def test_one_call_is_outstanding_at_a_time_and_the_others_wait_in_order(autojump_clock: trio.abc.Clock) -> None:
    ends = Ends()
    async with one_peer() as (peer, station, nursery):
        for name in "ABC":
            nursery.start_soon(ends.make, peer, name)
            await trio.testing.wait_all_tasks_blocked()
        for number, name in enumerate("ABC", 1):
            assert await station.hear() == [2, f"e-{number}", name, {}]
            await trio.sleep(5)
            assert len(ours_sent(peer)) == number
            await station.say(3, f"e-{number}", {})
        await trio.testing.wait_all_tasks_blocked()
    assert [name for name, _ in ends.ends] == ["A", "B", "C"]


def ours_sent(peer: RpcPeer) -> list[bytes]:
    transport: Any = peer._transport
    return list(transport.sent)


async def test_a_late_answer_is_not_taken_for_the_next_calls(autojump_clock: trio.abc.Clock) -> None:
    async with one_peer(call_timeout_s=30) as (peer, station, nursery):
        ends = Ends()
        nursery.start_soon(ends.make, peer, "A")
        assert (await station.hear())[1] == "e-1"
        await trio.sleep(31)
        nursery.start_soon(ends.make, peer, "B")
        assert (await station.hear())[1] == "e-2"
        await station.say(3, "e-1", {"late": True})
        await station.say(3, "e-2", {"late": False})
        await trio.testing.wait_all_tasks_blocked()
    (_, first), (_, second) = ends.ends
    assert first == NoAnswer("no answer within 30 s", timed_out=True)
    assert isinstance(second, CallResult)
    assert bytes(second.payload) == b'{"late":false}'


async def test_a_call_error_ends_a_call_with_its_code_as_specified() -> None:
    async with one_peer() as (peer, station, nursery):
        ends = Ends()
        nursery.start_soon(ends.make, peer, "A")
        await station.hear()
        await station.say(4, "e-1", "OccurrenceConstraintViolation", "no", {})
        await trio.testing.wait_all_tasks_blocked()
    assert ends.ends == [("A", CallError("e-1", "OccurenceConstraintViolation", "no", {}))]


async def test_an_end_of_the_connection_tells_what_was_sent_from_what_was_not() -> None:
    ends = Ends()
    async with one_peer() as (peer, station, nursery):
        for name in "ABC":
            nursery.start_soon(ends.make, peer, name)
            await trio.testing.wait_all_tasks_blocked()
        await station.hear()
    assert [(name, type(end)) for name, end in ends.ends] == [("A", NoAnswer), ("B", NotSent), ("C", NotSent)]
    assert isinstance(await peer.call("D", b"{}"), NotSent)


async def test_closing_ends_calls_at_once() -> None:
    ends = Ends()
    async with one_peer() as (peer, station, nursery):
        nursery.start_soon(ends.make, peer, "A")
        nursery.start_soon(ends.make, peer, "B")
        await station.hear()
        peer.close(1012, "restart")
        await trio.testing.wait_all_tasks_blocked()
        assert {type(end) for _, end in ends.ends} == {NoAnswer, NotSent}
        assert "1012" in repr(peer)


async def test_more_waiting_calls_than_the_limit_are_not_sent() -> None:
    ends = Ends()
    async with one_peer(waiting_calls_max=2) as (peer, _, nursery):
        for name in "ABCD":
            nursery.start_soon(ends.make, peer, name)
            await trio.testing.wait_all_tasks_blocked()
        assert ends.ends == [("D", NotSent("2 calls are waiting already"))]
        assert repr(peer) == "<RpcPeer e open, 2 waiting, e-1 out>"


async def test_a_call_that_finds_the_transport_closed_was_certainly_not_sent() -> None:
    ours, _ = wires()
    peer = RpcPeer(ours, epoch="e", handler=partial(promised, echo), limits=Limits())
    ours.close()
    assert isinstance(await peer.call("A", b"{}"), NotSent)


async def test_the_log_of_a_call_names_its_correlation_but_not_its_payload() -> None:
    async with one_peer() as (peer, station, nursery):
        with capture_logs() as logs, structlog.contextvars.bound_contextvars(correlation_id="c-1"):
            nursery.start_soon(peer.call, "ChangeConfiguration", b'{"key":"AuthorizationKey","value":"secret"}')
            await station.hear()
    (line,) = [line for line in logs if line["event"] == "ocpp.call"]
    assert (line["action"], line["message_id"], line["correlation_id"]) == ("ChangeConfiguration", "e-1", "c-1")
    assert "secret" not in str(logs)


# -- calls of the other side -------------------------------------------------------------------------------------------


async def test_calls_are_handled_one_after_another_in_order() -> None:
    gate, handled = trio.Event(), []

    async def slow(action: str, payload: bytes) -> bytes:
        handled.append(action)
        await gate.wait()
        return b"{}"

    async with one_peer(slow) as (_, station, _):
        for number in range(3):
            await station.say(2, str(number), f"Action{number}", {})
        await trio.testing.wait_all_tasks_blocked()
        assert handled == ["Action0"]
        gate.set()
        assert [await station.hear() for _ in range(3)] == [[3, str(number), {}] for number in range(3)]
    assert handled == ["Action0", "Action1", "Action2"]


async def test_more_calls_than_the_queue_holds_are_refused_and_may_come_again() -> None:
    gate = trio.Event()

    async def slow(action: str, payload: bytes) -> bytes:
        await gate.wait()
        return b"{}"

    async with one_peer(slow, incoming_calls_max=1) as (_, station, _):
        await station.say(2, "1", "A", {})
        await trio.testing.wait_all_tasks_blocked()
        await station.say(2, "2", "A", {})
        await station.say(2, "3", "A", {})
        refusal = await station.hear()
        assert refusal[:3] == [4, "3", "GenericError"]
        gate.set()
        assert [(await station.hear())[:2] for _ in range(2)] == [[3, "1"], [3, "2"]]
        await station.say(2, "3", "A", {})
        assert await station.hear() == [3, "3", {}]


class Counter:
    def __init__(self) -> None:
        self.count = 0

    async def __call__(self, action: str, payload: bytes) -> bytes:
        self.count += 1
        return b'{"count":%d}' % self.count


async def test_the_same_message_again_gets_the_stored_answer() -> None:
    counter = Counter()
    async with one_peer(counter) as (_, station, _):
        for _ in range(2):
            await station.say(2, "1", "A", {})
            assert await station.hear() == [3, "1", {"count": 1}]
    assert counter.count == 1


async def test_the_same_id_for_another_message_is_refused() -> None:
    counter = Counter()
    async with one_peer(counter) as (_, station, _):
        await station.say(2, "1", "A", {})
        await station.hear()
        await station.say(2, "1", "B", {})
        assert (await station.hear())[:3] == [4, "1", "GenericError"]
    assert counter.count == 1


async def test_a_repetition_of_a_message_under_way_is_answered_once() -> None:
    gate, counter = trio.Event(), Counter()

    async def slow(action: str, payload: bytes) -> bytes:
        await gate.wait()
        return await counter(action, payload)

    async with one_peer(slow) as (_, station, _):
        await station.say(2, "1", "A", {})
        await station.say(2, "1", "A", {})
        await station.say(2, "2", "A", {})
        gate.set()
        assert await station.hear() == [3, "1", {"count": 1}]
        assert await station.hear() == [3, "2", {"count": 2}]


async def test_a_failed_message_has_another_chance_under_its_id() -> None:
    failures = [ValueError("disk full at /var/lib/secret")]

    async def flaky(action: str, payload: bytes) -> bytes:
        if failures:
            raise failures.pop()
        return b"{}"

    async with one_peer(flaky) as (_, station, _):
        await station.say(2, "1", "A", {})
        refusal = await station.hear()
        await station.say(2, "1", "A", {})
        assert await station.hear() == [3, "1", {}]
    assert refusal[:3] == [4, "1", "InternalError"]
    assert "secret" not in str(refusal)
    assert refusal[4] == {}


async def test_only_the_newest_answers_are_remembered() -> None:
    counter = Counter()
    async with one_peer(counter, remembered_answers_max=2, incoming_calls_max=1) as (peer, station, _):
        for number in range(6):
            await station.say(2, str(number), "A", {})
            await station.hear()
        await station.say(2, "0", "A", {})
        assert await station.hear() == [3, "0", {"count": 7}]
        assert len(peer._seen) == 2


async def test_a_handler_that_takes_too_long_is_an_internal_error(autojump_clock: trio.abc.Clock) -> None:
    async def stuck(action: str, payload: bytes) -> bytes:
        await trio.sleep_forever()
        return b""

    async with one_peer(stuck, handler_timeout_s=30) as (_, station, _):
        await station.say(2, "1", "A", {})
        assert (await station.hear())[:3] == [4, "1", "InternalError"]
        assert trio.current_time() >= 30


async def test_an_ocpp_error_of_the_handler_goes_back_as_itself_without_details() -> None:
    async def refuse(action: str, payload: bytes) -> bytes:
        raise ocpp.TypeConstraintViolationError("idTag is a number", details={"inside": "out"})

    async with one_peer(refuse) as (_, station, _):
        await station.say(2, "1", "A", {})
        assert await station.hear() == [4, "1", "TypeConstraintViolation", "idTag is a number", {}]


async def test_garbage_is_refused_and_the_connection_lives() -> None:
    async with one_peer() as (_, station, _):
        for garbage in (b"\xff", b"[" * 60_000, b'[2,7,"A",{}]', b'[2,"1","A",{"a":NaN}]'):
            await station.send(garbage)
            assert (await station.hear())[:3] == [4, "-1", "FormationViolation"]
        await station.say(2, "9", "A")
        assert (await station.hear())[:3] == [4, "9", "FormationViolation"]
        await station.say(5, "9", "whatever")
        await station.say(4, "-1", "GenericError", "", {})
        await station.say(2, "10", "A", {})
        assert await station.hear() == [3, "10", {}]


async def test_what_came_before_the_end_is_still_handled() -> None:
    gate, counter = trio.Event(), Counter()

    async def slow(action: str, payload: bytes) -> bytes:
        await gate.wait()
        return await counter(action, payload)

    async with one_peer(slow) as (_, station, _):
        await station.say(2, "1", "A", {})
        await station.say(2, "2", "A", {})
        station.close()
        await trio.testing.wait_all_tasks_blocked()
        gate.set()
    assert counter.count == 2


async def test_what_came_before_the_end_is_handled_for_a_bounded_time(autojump_clock: trio.abc.Clock) -> None:
    async def stuck(action: str, payload: bytes) -> bytes:
        await trio.sleep_forever()
        return b""

    async with one_peer(stuck, handler_timeout_s=30) as (_, station, _):
        for number in range(10):
            await station.say(2, str(number), "A", {})
    assert trio.current_time() == pytest.approx(30)


async def test_nothing_is_handled_before_the_door_is_open_and_answers_are_read_meanwhile() -> None:
    ours, theirs = wires()
    counter, steps = Counter(), []

    async def opened() -> None:
        steps.append(await peer.call("Hello", b"{}"))
        assert counter.count == 0

    peer = RpcPeer(ours, epoch="e", handler=partial(promised, counter), limits=Limits())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(peer.run, promised(opened))
        await theirs.hear()
        await theirs.send(encode_call("1", "A", b"{}"))
        await trio.testing.wait_all_tasks_blocked()
        await theirs.send(encode_result("e-1", b"{}"))
        assert await theirs.hear() == [3, "1", {"count": 1}]
        theirs.close()
    assert isinstance(steps[0], CallResult)


async def test_a_door_that_does_not_open_ends_the_connection() -> None:
    ours, _ = wires()

    async def broken() -> None:
        raise RuntimeError("no actor")

    peer = RpcPeer(ours, epoch="e", handler=partial(promised, echo), limits=Limits())
    with pytest.raises(RuntimeError, match="no actor"):
        await peer.run(promised(broken))


# -- what OCPP 2.x frames differently ----------------------------------------------------------------------------------


async def test_2_x_names_errors_in_its_own_words_and_answers_unknown_message_types() -> None:
    async def refuse(action: str, payload: bytes) -> bytes:
        raise ocpp.OccurenceConstraintViolationError("idToken is missing")

    async with one_peer(refuse, FRAMING_201) as (_, station, _):
        await station.say(2, "1", "A", {})
        assert (await station.hear())[:3] == [4, "1", "OccurrenceConstraintViolation"]
        await station.send(b"garbage")
        assert (await station.hear())[:3] == [4, "-1", "RpcFrameworkError"]
        await station.say(6, "2", "Notify", {})
        assert (await station.hear())[:3] == [4, "2", "MessageTypeNotSupported"]


async def test_a_send_is_handled_in_its_turn_once_and_never_answered() -> None:
    gate, handled = trio.Event(), []

    async def slow(action: str, payload: bytes) -> bytes:
        handled.append(action)
        await gate.wait()
        if action == "Broken":
            raise ocpp.NotImplementedError("no such action")
        return payload

    async with one_peer(slow, FRAMING_21) as (_, station, _):
        for message_id, action in (("1", "Stream"), ("1", "Stream"), ("2", "Broken")):
            await station.say(6, message_id, action, {})
        await station.say(2, "3", "Heartbeat", {})
        await trio.testing.wait_all_tasks_blocked()
        assert handled == ["Stream"]
        gate.set()
        assert await station.hear() == [3, "3", {}]
    assert handled == ["Stream", "Broken", "Heartbeat"]


async def test_sends_that_find_no_room_are_dropped_without_a_word() -> None:
    gate = trio.Event()

    async def slow(action: str, payload: bytes) -> bytes:
        await gate.wait()
        return b"{}"

    async with one_peer(slow, FRAMING_21, incoming_calls_max=1) as (_, station, _):
        await station.say(2, "1", "A", {})
        await trio.testing.wait_all_tasks_blocked()
        for message_id in "23":
            await station.say(6, message_id, "Stream", {})
        await trio.testing.wait_all_tasks_blocked()
        gate.set()
        assert (await station.hear())[:2] == [3, "1"]
        await station.say(2, "4", "A", {})
        assert (await station.hear())[:2] == [3, "4"]


async def test_a_send_of_ours_waits_for_no_call_and_no_answer() -> None:
    async with one_peer(framing=FRAMING_21) as (peer, station, nursery):
        nursery.start_soon(peer.call, "A", b"{}")
        assert await station.hear() == [2, "e-1", "A", {}]
        assert peer.send("Stream", b'{"id":1}') is None
        assert await station.hear() == [6, "e-2", "Stream", {"id": 1}]
        await station.say(3, "e-1", {})
        peer.close(1000, "")
        assert isinstance(peer.send("Stream", b"{}"), NotSent)


@pytest.mark.parametrize(("framing", "told"), [(FRAMING_16, False), (FRAMING_201, False), (FRAMING_21, True)])
async def test_only_2_1_says_that_an_answer_could_not_be_taken(framing: Framing, told: bool) -> None:
    async with one_peer(framing=framing) as (peer, station, _):
        result = CallResult("e-1", msgspec.Raw(b"{}"))
        peer.refuse_result(result, ocpp.FormationViolationError("status is missing"))
        await station.say(2, "1", "A", {})
        first = await station.hear()
    assert first == ([5, "e-1", "FormatViolation", "status is missing", {}] if told else [3, "1", {}])


async def test_a_refused_answer_is_logged_and_answered_by_nothing() -> None:
    with capture_logs() as logs:
        async with one_peer(framing=FRAMING_21) as (_, station, _):
            await station.say(2, "1", "A", {})
            assert await station.hear() == [3, "1", {}]
            await station.say(5, "1", "formationviolation", "interval is missing", {})
            await station.say(2, "2", "A", {})
            assert await station.hear() == [3, "2", {}]
    (line,) = [line for line in logs if line["event"] == "ocpp.result_refused"]
    assert (line["message_id"], line["code"]) == ("1", "FormatViolation")
