"""Calls in both directions over one connection of a station, against a plain model: each answered once, none wrongly.

The peer is the real one; its handler and the other end of its wire are in the machine's hand.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
import trio
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from ocpp import exceptions as ocpp

from protocols.ocpp.frames import CallError, CallResult
from protocols.ocpp.limits import Limits
from protocols.ocpp.rpc import CallEnd, NoAnswer, NotSent, RpcPeer
from statecharts.promises import Promise
from tests.models.efforts import effort
from tests.models.plain_rpc import CALL_S, HANDLER_S, INCOMING, WAITING, PlainRpc
from tests.models.stage import Stage
from tests.unit.ocpp.ocpp_wire import Wire, wires

LIMITS = Limits(
    waiting_calls_max=WAITING, incoming_calls_max=INCOMING, call_timeout_s=CALL_S, handler_timeout_s=HANDLER_S
)
IDS = st.sampled_from(("1", "2", "3", "4", "5"))
BODIES = st.sampled_from(("Now", "Now", "Later", "Later", "No", "Fails"))
GARBAGE = (b"\xff", b"[" * 60_000, b'[2,7,"A",{}]', b'{"a":NaN}', b"[]")
SECONDS = st.sampled_from((1, 10, 31, 70))


@dataclass
class Peer:
    """The real end, what its handler was given and has promised, and how its own calls ended."""

    wire: Wire
    nursery: trio.Nursery
    rpc: RpcPeer = field(init=False)
    handled: list[str] = field(default_factory=list)
    promised: list[tuple[Promise[bytes], int]] = field(default_factory=list)
    ends: dict[str, CallEnd] = field(default_factory=dict)

    def handle(self, action: str, payload: bytes) -> bytes | Promise[bytes]:
        self.handled.append(action)
        match action:
            case "Later":
                promise: Promise[bytes] = Promise()
                self.promised.append((promise, len(self.handled)))
                return promise
            case "No":
                raise ocpp.SecurityError("not you")
            case "Fails":
                raise ValueError("our own fault")
        return numbered(len(self.handled))

    async def call(self, name: str) -> None:
        self.ends[name] = await self.rpc.call(name, b"{}")


def numbered(number: int) -> bytes:
    return b'{"n":%d}' % number


@asynccontextmanager
async def opened(nursery: trio.Nursery) -> AsyncIterator[tuple[Peer, Wire]]:
    ours, theirs = wires()
    peer = Peer(ours, nursery)
    peer.rpc = RpcPeer(ours, epoch="e", handler=peer.handle, limits=LIMITS)
    nursery.start_soon(peer.rpc.run)
    yield peer, theirs


def kind_of(end: CallEnd) -> str:
    match end:
        case CallResult(payload=payload):
            return f"result {bytes(payload).decode()}"
        case CallError(code=code):
            return f"error {code}"
        case NotSent():
            return "not sent"
        case NoAnswer():
            return "no answer"
    raise AssertionError(end)


class RpcLife(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.stage = Stage(opened)
        self.peer, self.other = self.stage.world
        self.model = PlainRpc()
        self.calls = 0

    def say(self, *parts: Any) -> None:
        if self.model.open:
            self.stage.step(self.other.send, msgspec.json.encode(parts))

    # -- our calls -----------------------------------------------------------------------------------------------------

    @rule()
    def we_call(self) -> None:
        self.calls += 1
        self.stage.step(self._call, f"Call{self.calls}")
        self.model.call(f"Call{self.calls}")

    async def _call(self, name: str) -> None:
        self.peer.nursery.start_soon(self.peer.call, name)
        await trio.testing.wait_all_tasks_blocked()

    @rule(back=st.sampled_from((0, 0, 0, 1, 2, -1)), result=st.booleans())
    def they_answer(self, back: int, result: bool) -> None:
        """The newest of our calls, one before it (late or once more), or one that we have not made yet."""
        message_id = f"e-{self.model.made - back}"
        if result:
            self.say(3, message_id, {"to": message_id})
            self.model.answered(message_id, f'result {{"to":"{message_id}"}}')
        else:
            self.say(4, message_id, "genericerror", "", {})
            self.model.answered(message_id, "error GenericError")

    # -- theirs --------------------------------------------------------------------------------------------------------

    @rule(message_id=IDS, body=BODIES)
    def they_call(self, message_id: str, body: str) -> None:
        self.say(2, message_id, body, {})
        self.model.called(message_id, body)

    @rule(message_id=IDS)
    def they_repeat_themselves(self, message_id: str) -> None:
        seen = self.model.seen.get(message_id)
        if seen is not None:
            self.they_call(message_id, seen.body)

    @precondition(lambda self: self.peer.promised)
    @rule(kept=st.booleans())
    def the_handler_ends(self, kept: bool) -> None:
        """With the oldest that it has promised, which may have been given up meanwhile."""
        promise, number = self.peer.promised.pop(0)
        awaited = self.model.work is not None and not self.peer.promised
        self.stage.step(self._settle, promise, number, kept)
        if awaited:
            self.model.settled("kept" if kept else "Fails")

    async def _settle(self, promise: Promise[bytes], number: int, kept: bool) -> None:
        promise.set(numbered(number)) if kept else promise.fail(ValueError("our own fault"))

    @rule(which=st.integers(0, len(GARBAGE) - 1))
    def they_send_garbage(self, which: int) -> None:
        if self.model.open:
            self.stage.step(self.other.send, GARBAGE[which])
            self.model.garbage()

    @rule()
    def they_send_what_is_no_question(self) -> None:
        self.say(5, "1", "whatever")

    # -- time, and the end ---------------------------------------------------------------------------------------------

    @rule(seconds=SECONDS)
    def time_passes(self, seconds: int) -> None:
        self.stage.wait(seconds)
        self.model.pass_time(seconds)

    @rule()
    def the_listener_sweeps(self) -> None:
        self.stage.step(self._sweep)
        self.model.swept()

    async def _sweep(self) -> None:
        self.peer.rpc.expire(trio.current_time())

    @precondition(lambda self: self.calls > 2)
    @rule(by_us=st.booleans(), rarely=st.sampled_from((False, False, True)))
    def the_connection_ends(self, by_us: bool, rarely: bool) -> None:
        if rarely:
            self.stage.step(self._end, by_us)
            self.model.end()

    async def _end(self, by_us: bool) -> None:
        self.peer.rpc.close(1000, "good-bye") if by_us else self.other.close()

    # -- what holds ----------------------------------------------------------------------------------------------------

    @invariant()
    def what_was_sent_is_what_the_model_sends(self) -> None:
        sent = [msgspec.json.decode(frame) for frame in self.peer.wire.sent]
        said = [frame[:3] if frame[0] == 4 else frame for frame in sent]
        assert said[: len(self.model.sent)] == self.model.sent
        assert len(said) == len(self.model.sent) or not self.model.open

    @invariant()
    def our_calls_ended_as_the_models(self) -> None:
        assert {name: kind_of(end) for name, end in self.peer.ends.items()} == self.model.ends

    @invariant()
    def the_handler_was_given_each_call_once(self) -> None:
        assert self.peer.handled == self.model.handled

    def teardown(self) -> None:
        try:
            if sys.exception() is None:
                self.come_to_an_end()
        finally:
            self.stage.close()

    def come_to_an_end(self) -> None:
        """Every call of ours has ended a while after its connection."""
        self.stage.step(self._end, True)
        self.model.end()
        self.time_passes(100)
        self.our_calls_ended_as_the_models()
        assert len(self.model.ends) == self.calls


TestRpcLife = RpcLife.TestCase
TestRpcLife.settings = effort(lives=40, steps=40)
