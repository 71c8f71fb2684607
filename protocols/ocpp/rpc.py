"""Remote procedure calls in both directions over one connection (OCPP-J 1.6, section 4).

An `RpcPeer` is either end. Calls may cross: each direction has its own single outstanding CALL. The reader never waits
for a handler, so that a handler may itself call the other side; incoming CALLs are handled one after another, in order.

How a call ends is a value, never an exception: `CallResult` and `CallError` are the other side's words, `NotSent` says
that no byte of it left, and `NoAnswer` that nobody knows whether it was carried out.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import msgspec
import structlog
import trio
from ocpp import exceptions as ocpp

from protocols.ocpp.frames import (
    Call,
    CallError,
    CallResult,
    Ignored,
    Malformed,
    decode_frame,
    encode_call,
    encode_error,
    encode_result,
    error_code,
)
from protocols.ocpp.limits import Limits

GONE = (OSError, trio.BrokenResourceError, trio.ClosedResourceError)
"""All that trio raises when a connection is no more."""


class NothingSent(OSError):
    """Raised by a transport that refuses a message before any byte of it left."""


class Transport(Protocol):
    """What carries whole messages."""

    async def recv(self) -> bytes | None:
        """The next message; None when there will be no more. Never raises for what the network does."""

    async def send(self, data: bytes) -> None:
        """Sends one message. Raises `NothingSent`, or another OSError when part of it may have left."""

    async def close(self, code: int, reason: str) -> None:
        """Says good-bye within a bounded time; a waiting `recv` returns None."""


class NotSent(msgspec.Struct, frozen=True):
    """No byte of the call left: it has certainly not been carried out."""

    cause: str


class NoAnswer(msgspec.Struct, frozen=True):
    """The call was sent and not answered, by the deadline (`timed_out`) or before the connection ended."""

    cause: str
    timed_out: bool = False


CallEnd = CallResult | CallError | NotSent | NoAnswer
Handler = Callable[[str, bytes], Awaitable[bytes]]
"""Turns an action and its payload into the payload of the answer; an OCPPError becomes the CALLERROR it names."""


class _Outstanding:
    """Our one call that is under way."""

    def __init__(self, message_id: str) -> None:
        self.message_id = message_id
        self.end: CallEnd | None = None
        self._ended = trio.Event()

    def finish(self, end: CallEnd) -> None:
        self.end = self.end or end
        self._ended.set()

    async def wait(self) -> CallEnd:
        await self._ended.wait()
        assert self.end is not None, "finish() sets the end first"
        return self.end


class _Seen(msgspec.Struct):
    """A CALL of the other side: what it said, and the CALLRESULT it got. An error leaves a retry its chance."""

    digest: bytes
    under_way: bool = True
    answer: bytes | None = None


class RpcPeer:
    """One end of a connection.

    `epoch` makes our message ids unique beyond this connection: `<epoch>-<n>`. `log` is a structlog logger that knows
    whose connection it is.
    """

    def __init__(self, transport: Transport, *, epoch: str, handler: Handler, limits: Limits, log: Any = None) -> None:
        self._transport, self._epoch, self._handler, self._limits = transport, epoch, handler, limits
        self._log = log or structlog.get_logger()
        self._turn = trio.StrictFIFOLock()
        self._outstanding: _Outstanding | None = None
        self._calls_made = 0
        self._closed_because = ""
        self.ended = trio.Event()
        self._seen: OrderedDict[str, _Seen] = OrderedDict()
        self._to_handle, self._handling = trio.open_memory_channel[tuple[Call, _Seen]](limits.incoming_calls_max)
        self._on_frame: dict[type[Any], Callable[[Any, bytes], Awaitable[None]]] = {
            Call: self._on_call,
            CallResult: self._on_answer,
            CallError: self._on_answer,
            Malformed: self._on_malformed,
            Ignored: self._on_ignored,
        }

    def __repr__(self) -> str:
        out = f"{self._outstanding.message_id} out" if self._outstanding else "no call out"
        return f"<RpcPeer {self._epoch} {self._closed_because or 'open'}, {self.waiting_calls} waiting, {out}>"

    @property
    def waiting_calls(self) -> int:
        return self._turn.statistics().tasks_waiting

    # -- our calls -----------------------------------------------------------------------------------------------------

    async def call(self, action: str, payload: bytes) -> CallEnd:
        """Sends a CALL when its turn has come, and waits `call_timeout_s` for what the other side says to it."""
        if self._closed_because:
            return NotSent(self._closed_because)
        if self.waiting_calls >= self._limits.waiting_calls_max:
            return NotSent(f"{self._limits.waiting_calls_max} calls are waiting already")
        async with self._turn:
            if self._closed_because:
                return NotSent(self._closed_because)
            self._calls_made += 1
            outstanding = self._outstanding = _Outstanding(f"{self._epoch}-{self._calls_made}")
            try:
                return await self._exchange(outstanding, action, payload)
            finally:
                # From here on an answer to this id finds nobody: a late one is never taken for the next call's.
                self._outstanding = None

    async def _exchange(self, outstanding: _Outstanding, action: str, payload: bytes) -> CallEnd:
        correlation_id = structlog.contextvars.get_contextvars().get("correlation_id")
        frame = encode_call(outstanding.message_id, action, payload)
        # Never the payload: ChangeConfiguration may carry a station's new password.
        self._log.info("ocpp.call", action=action, message_id=outstanding.message_id, correlation_id=correlation_id)
        with trio.move_on_after(self._limits.call_timeout_s):
            try:
                await self._transport.send(frame)
            except NothingSent as error:
                return NotSent(str(error))
            except GONE:
                return NoAnswer("the connection broke while the call was being sent")
            return await outstanding.wait()
        return NoAnswer(f"no answer within {self._limits.call_timeout_s:g} s", timed_out=True)

    async def close(self, code: int, reason: str) -> None:
        """Closes the connection; calls under way and waiting end at once."""
        self._end_calls(f"closed with {code}: {reason}")
        await self._transport.close(code, reason)

    def _end_calls(self, because: str) -> None:
        self._closed_because = self._closed_because or because
        self.ended.set()
        if self._outstanding:
            self._outstanding.finish(NoAnswer(self._closed_because))

    # -- their calls ---------------------------------------------------------------------------------------------------

    async def run(self, opened: Callable[[], Awaitable[None]] | None = None) -> None:
        """Serves the connection until it ends, and then what was received before, for `handler_timeout_s` at most.

        `opened` is awaited before the first CALL is handled; what it raises ends the connection.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._handle_calls, opened)
            try:
                await self._read()
            finally:
                self._end_calls("the connection ended")
                self._to_handle.close()
                nursery.cancel_scope.deadline = trio.current_time() + self._limits.handler_timeout_s

    async def _read(self) -> None:
        while (data := await self._transport.recv()) is not None:
            frame = decode_frame(data)
            await self._on_frame[type(frame)](frame, data)

    async def _on_call(self, call: Call, data: bytes) -> None:
        digest = hashlib.blake2b(data, digest_size=16).digest()
        seen = self._seen.get(call.message_id)
        if seen and seen.digest != digest:
            await self._refuse(call.message_id, ocpp.GenericError("this message id was used for another message"))
        elif seen and seen.answer is not None:
            await self._send(seen.answer)
        elif not (seen and seen.under_way):
            await self._accept(call, digest)

    async def _accept(self, call: Call, digest: bytes) -> None:
        seen = _Seen(digest)
        try:
            self._to_handle.send_nowait((call, seen))
        except trio.WouldBlock:
            limit = self._limits.incoming_calls_max
            await self._refuse(call.message_id, ocpp.GenericError(f"{limit} calls are waiting already"))
        else:
            self._remember(call.message_id, seen)

    def _remember(self, message_id: str, seen: _Seen) -> None:
        self._seen[message_id] = seen
        self._seen.move_to_end(message_id)
        if len(self._seen) > self._limits.remembered_answers_max + self._limits.incoming_calls_max:
            self._seen.popitem(last=False)

    async def _on_answer(self, answer: CallResult | CallError, data: bytes) -> None:
        if self._outstanding is None or self._outstanding.message_id != answer.message_id:
            self._log.warning("ocpp.late_answer", message_id=answer.message_id)
        elif isinstance(answer, CallError):
            self._outstanding.finish(msgspec.structs.replace(answer, code=error_code(answer.code)))
        else:
            self._outstanding.finish(answer)

    async def _on_malformed(self, frame: Malformed, data: bytes) -> None:
        await self._refuse(frame.message_id, ocpp.FormationViolationError(frame.description))

    async def _on_ignored(self, frame: Ignored, data: bytes) -> None:
        self._log.warning("ocpp.ignored", description=frame.description)

    async def _handle_calls(self, opened: Callable[[], Awaitable[None]] | None) -> None:
        if opened:
            await opened()
        async for call, seen in self._handling:
            await self._handle(call, seen)

    async def _handle(self, call: Call, seen: _Seen) -> None:
        try:
            with trio.fail_after(self._limits.handler_timeout_s):
                payload = await self._handler(call.action, bytes(call.payload))
        except Exception as error:
            seen.under_way = False
            await self._refuse(call.message_id, self._as_ocpp_error(call, error))
        else:
            seen.under_way, seen.answer = False, encode_result(call.message_id, payload)
            await self._send(seen.answer)

    def _as_ocpp_error(self, call: Call, error: Exception) -> Any:
        """What the other side may know of a failure: its own mistakes in full, ours not at all."""
        if isinstance(error, ocpp.OCPPError):
            return error
        self._log.error("ocpp.handler_failed", action=call.action, message_id=call.message_id, exc_info=error)
        return ocpp.InternalError("the request could not be handled; it may be sent again")

    async def _refuse(self, message_id: str, error: Any) -> None:
        self._log.warning("ocpp.refused", message_id=message_id, code=error.code, description=error.description)
        await self._send(encode_error(message_id, error.code, error.description))

    async def _send(self, frame: bytes) -> None:
        """Sends an answer. If the connection is gone, the reader will see it, and the other side will ask again."""
        try:
            await self._transport.send(frame)
        except GONE:
            self._log.info("ocpp.answer_not_sent")
