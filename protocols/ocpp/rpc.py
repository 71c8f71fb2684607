"""Remote procedure calls in both directions over one connection (OCPP-J 1.6, section 4).

An `RpcPeer` is either end. Calls may cross: each direction has its own single outstanding CALL. Incoming CALLs are
handled one after another, in order, by a handler that answers at once or promises to; the reader goes on reading
meanwhile, so that whoever has to answer may itself call the other side.

How a call ends is a value, never an exception: `CallResult` and `CallError` are the other side's words, `NotSent` says
that no byte of it left, and `NoAnswer` that nobody knows whether it was carried out. A SEND is handled in its turn like
a CALL, and never answered.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import structlog
import trio
from ocpp import exceptions as ocpp

from protocols.ocpp.frames import (
    FRAMING_16,
    Call,
    CallError,
    CallResult,
    CallResultError,
    Framing,
    Ignored,
    Malformed,
    Send,
    encode_call,
    encode_error,
    encode_result,
    encode_result_error,
    encode_send,
)
from protocols.ocpp.limits import Limits
from protocols.ocpp.repetition import Seen, Work
from protocols.ocpp.transport import NothingSent, Transport
from statecharts.bounds import OCPP_INCOMING_CALLS, OCPP_REMEMBERED_ANSWERS, OCPP_WAITING_CALLS
from statecharts.promises import Promise
from statecharts.vocabulary import Refused


class NotSent(msgspec.Struct, frozen=True):
    """No byte of the call left: it has certainly not been carried out."""

    cause: str


class NoAnswer(msgspec.Struct, frozen=True):
    """The call was sent and not answered, by the deadline (`timed_out`) or before the connection ended."""

    cause: str
    timed_out: bool = False


_INTERNAL_ERROR = 1011
GENERIC_ERROR = ocpp.GenericError.code
REPEATED = "repeated"

CallEnd = CallResult | CallError | NotSent | NoAnswer
Handler = Callable[[str, bytes], bytes | Promise[bytes]]
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


class RpcPeer:
    """One end of a connection.

    `epoch` makes our message ids unique beyond this connection: `<epoch>-<n>`. `framing` is that of the version spoken.
    `log` is a structlog logger that knows whose connection it is. `ended` is called when no more calls can be made, at
    once; `handled` after each of their calls, with its action, "answered", REPEATED (as it was before) or the code of
    its CALLERROR, and how many seconds that took.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        epoch: str,
        handler: Handler,
        limits: Limits,
        framing: Framing = FRAMING_16,
        log: Any = None,
        ended: Callable[[], None] = lambda: None,
        handled: Callable[[str, str, float], None] = lambda action, outcome, took_s: None,
    ) -> None:
        self._transport, self._epoch, self._handler, self._limits = transport, epoch, handler, limits
        self._framing, self._log = framing, log or structlog.get_logger()
        self._ended, self._handled = ended, handled
        self._turn: trio.StrictFIFOLock | None = None
        self._outstanding: _Outstanding | None = None
        self._calls_made = 0
        self._closed_because = ""
        self._seen: dict[str, Seen] = {}
        self._work: Work | None = None
        self._queue: list[tuple[Call, Seen, float]] = []  # short, and most are empty: a deque takes 700 bytes for that
        self._done: trio.Event | None = None
        self._opening: Promise[None] | None = None

    def __repr__(self) -> str:
        out = f"{self._outstanding.message_id} out" if self._outstanding else "no call out"
        return f"<RpcPeer {self._epoch} {self._closed_because or 'open'}, {self.waiting_calls} waiting, {out}>"

    @property
    def waiting_calls(self) -> int:
        return self._turn.statistics().tasks_waiting if self._turn else 0

    # -- our calls -----------------------------------------------------------------------------------------------------

    async def call(self, action: str, payload: bytes, took: Callable[[float], None] = lambda seconds: None) -> CallEnd:
        """Sends a CALL when its turn has come, and waits `call_timeout_s` for what the other side says to it.

        `took` hears how many seconds an answer took, the wait for the turn apart.
        """
        if self._closed_because:
            return NotSent(self._closed_because)
        if self.waiting_calls >= self._limits.waiting_calls_max:
            return NotSent(f"{self._limits.waiting_calls_max} calls are waiting already")
        self._turn = self._turn or trio.StrictFIFOLock()
        if self._turn.locked():
            self._limits.watermarks.saw(OCPP_WAITING_CALLS, self.waiting_calls + 1)
        async with self._turn:
            if self._closed_because:
                return NotSent(self._closed_because)
            self._calls_made += 1
            outstanding = self._outstanding = _Outstanding(f"{self._epoch}-{self._calls_made}")
            try:
                sent_at = trio.current_time()
                end = await self._exchange(outstanding, action, payload)
                if isinstance(end, CallResult | CallError):
                    took(trio.current_time() - sent_at)
                return end
            finally:
                # From here on an answer to this id finds nobody: a late one is never taken for the next call's.
                self._outstanding = None

    async def _exchange(self, outstanding: _Outstanding, action: str, payload: bytes) -> CallEnd:
        correlation_id = structlog.contextvars.get_contextvars().get("correlation_id")
        frame = encode_call(outstanding.message_id, action, payload)
        # Never the payload: ChangeConfiguration may carry a station's new password.
        self._log.info("ocpp.call", action=action, message_id=outstanding.message_id, correlation_id=correlation_id)
        with trio.move_on_after(self._limits.call_timeout_s):
            return self._attempt(frame) or await outstanding.wait()
        return NoAnswer(f"no answer within {self._limits.call_timeout_s:g} s", timed_out=True)

    def send(self, action: str, payload: bytes) -> NotSent | NoAnswer | None:
        """Sends a SEND of OCPP 2.1, at once, as nobody answers it; None once it is on its way."""
        if self._closed_because:
            return NotSent(self._closed_because)
        self._calls_made += 1
        return self._attempt(encode_send(f"{self._epoch}-{self._calls_made}", action, payload))

    def _attempt(self, frame: bytes) -> NotSent | NoAnswer | None:
        """Sends a message of ours; what became of it if it is not on its way."""
        try:
            self._transport.post(frame)
        except NothingSent as error:
            return NotSent(str(error))
        except OSError:
            return NoAnswer("the connection broke while the message was being sent")
        return None

    def refuse_result(self, result: CallResult, error: Any) -> None:
        """Says, where the version has words for it, that an answer could not be taken, and why: an OCPPError."""
        if self._framing.refuses_results:
            code = self._framing.error_code(error.code)
            self._post(encode_result_error(result.message_id, code, error.description))

    def close(self, code: int, reason: str) -> None:
        """Closes the connection; calls under way and waiting end at once."""
        self._end_calls(f"closed with {code}: {reason}")
        self._transport.close(code, reason)

    def _end_calls(self, because: str) -> None:
        if not self._closed_because:
            self._closed_because = because
            self._ended()
        if self._outstanding:
            self._outstanding.finish(NoAnswer(self._closed_because))

    # -- their calls ---------------------------------------------------------------------------------------------------

    async def run(self, opening: Promise[None] | None = None) -> None:
        """Serves the connection until it ends, and then what was received before, for `handler_timeout_s` at most.

        No CALL is handled before `opening` is settled; what it failed with ends the connection, and is raised.
        """
        self._opening = opening
        if opening is not None:
            opening.follow(self._opened)
        try:
            await self._read()
        finally:
            self._end_calls("the connection ended")
        await self._handle_rest()
        if opening is not None and opening.settled:
            opening.result()

    async def _read(self) -> None:
        decode = self._framing.decode
        while (data := await self._transport.recv()) is not None:
            frame = decode(data)
            _ON_FRAME[type(frame)](self, frame, data)

    async def _handle_rest(self) -> None:
        self._done = trio.Event()
        with trio.move_on_after(self._limits.handler_timeout_s):
            if self._work is not None or self._queue:
                await self._done.wait()
        self._queue.clear()

    def expire(self, now: float) -> None:
        """Gives up on what is handled for too long; whoever runs this peer calls it from time to time."""
        work = self._work
        if work is not None and now - work.began_at >= self._limits.handler_timeout_s:
            self._fail(work, TimeoutError("the handler took too long"))

    def _opened(self, opening: Promise[None]) -> None:
        try:
            opening.result()
        except Exception:  # `run` raises it, once it has come to its end
            self._queue.clear()
            self._transport.close(_INTERNAL_ERROR, "")
            if self._done is not None:
                self._done.set()
        else:
            self._opening = None
            self._next()

    def _on_call(self, call: Call, data: bytes) -> None:
        digest = hashlib.blake2b(data, digest_size=16).digest()
        seen = self._seen.get(call.message_id)
        if seen is None:
            self._accept(call, Seen(digest))
        elif seen.digest != digest:
            self._refuse(call.message_id, GENERIC_ERROR, "this message id was used for another message")
        elif seen.answer is not None:
            self._post(seen.answer)
            self._handled(call.action, REPEATED, 0.0)
        elif not seen.under_way:
            self._accept(call, Seen(digest))

    def _on_send(self, send: Send, data: bytes) -> None:
        if send.message_id not in self._seen:
            self._accept(Call(send.message_id, send.action, send.payload), Seen(b"", wanted=False))

    def _accept(self, call: Call, seen: Seen) -> None:
        now = trio.current_time()
        if self._work is None and self._opening is None:
            self._remember(call.message_id, seen)
            self._handle(call, seen, now)
        elif len(self._queue) < self._limits.incoming_calls_max:
            self._remember(call.message_id, seen)
            self._queue.append((call, seen, now))
            self._limits.watermarks.saw(OCPP_INCOMING_CALLS, len(self._queue))
        else:
            why = f"{self._limits.incoming_calls_max} calls are waiting already"
            self._refuse(call.message_id, GENERIC_ERROR, why, wanted=seen.wanted)

    def _remember(self, message_id: str, seen: Seen) -> None:
        self._seen.pop(message_id, None)  # so that the oldest come first
        self._seen[message_id] = seen
        if len(self._seen) > self._limits.remembered_answers_max:
            oldest = next(iter(self._seen))
            if not self._seen[oldest].under_way:  # what still waits is told apart from its repetition
                del self._seen[oldest]
        else:
            self._limits.watermarks.saw(OCPP_REMEMBERED_ANSWERS, len(self._seen))

    def _on_answer(self, answer: CallResult | CallError, data: bytes) -> None:
        if self._outstanding is None or self._outstanding.message_id != answer.message_id:
            self._log.warning("ocpp.late_answer", message_id=answer.message_id)
        elif isinstance(answer, CallError):
            self._outstanding.finish(msgspec.structs.replace(answer, code=self._framing.error_code(answer.code)))
        else:
            self._outstanding.finish(answer)

    def _on_result_error(self, error: CallResultError, data: bytes) -> None:
        code, description = self._framing.error_code(error.code), error.description
        self._log.warning("ocpp.result_refused", message_id=error.message_id, code=code, description=description)

    def _on_malformed(self, frame: Malformed, data: bytes) -> None:
        self._refuse(frame.message_id, frame.code, frame.description)

    def _on_ignored(self, frame: Ignored, data: bytes) -> None:
        self._log.warning("ocpp.ignored", description=frame.description)

    # -- one of them after the other -----------------------------------------------------------------------------------

    def _handle(self, call: Call, seen: Seen, came_at: float) -> None:
        work = self._work = Work(call, seen, came_at, trio.current_time())
        try:
            answer = self._handler(call.action, bytes(call.payload))
        except Exception as error:
            self._fail(work, error)
        else:
            if isinstance(answer, Promise):
                answer.follow(partial(self._kept, work))
            else:
                self._answer(work, answer)

    def _kept(self, work: Work, promise: Promise[bytes]) -> None:
        if self._work is not work:
            return  # it came too late
        try:
            payload = promise.result()
        except Exception as error:
            self._fail(work, error)
        else:
            self._answer(work, payload)

    def _answer(self, work: Work, payload: bytes) -> None:
        work.seen.under_way, work.seen.answer = False, encode_result(work.call.message_id, payload)
        if work.seen.wanted:
            self._post(work.seen.answer)
        self._handled(work.call.action, "answered", trio.current_time() - work.came_at)
        self._next()

    def _fail(self, work: Work, error: Exception) -> None:
        work.seen.under_way = False
        refusal = self._as_ocpp_error(work.call, error)
        code = self._framing.error_code(refusal.code)
        self._refuse(work.call.message_id, code, refusal.description, wanted=work.seen.wanted)
        self._handled(work.call.action, code, trio.current_time() - work.came_at)
        self._next()

    def _next(self) -> None:
        self._work = None
        if self._queue:
            self._handle(*self._queue.pop(0))
        elif self._done is not None:
            self._done.set()

    def _as_ocpp_error(self, call: Call, error: Exception) -> Any:
        """What the other side may know of a failure: its own mistakes in full, ours not at all."""
        if isinstance(error, ocpp.OCPPError):
            return error
        if isinstance(error, Refused | TimeoutError):  # as with a store that is away: known, and told where it happened
            self._log.warning("ocpp.handler_refused", action=call.action, message_id=call.message_id, cause=str(error))
        else:
            self._log.error("ocpp.handler_failed", action=call.action, message_id=call.message_id, exc_info=error)
        return ocpp.InternalError("the request could not be handled; it may be sent again")

    def _refuse(self, message_id: str, code: str, description: str, *, wanted: bool = True) -> None:
        self._log.warning("ocpp.refused", message_id=message_id, code=code, description=description)
        if wanted:
            self._post(encode_error(message_id, code, description))

    def _post(self, frame: bytes) -> None:
        """Sends an answer. If the connection is gone, the reader will see it, and the other side will ask again."""
        try:
            self._transport.post(frame)
        except OSError:
            self._log.info("ocpp.answer_not_sent")


_ON_FRAME: dict[type[Any], Callable[[RpcPeer, Any, bytes], None]] = {
    Call: RpcPeer._on_call,
    CallResult: RpcPeer._on_answer,
    CallError: RpcPeer._on_answer,
    CallResultError: RpcPeer._on_result_error,
    Send: RpcPeer._on_send,
    Malformed: RpcPeer._on_malformed,
    Ignored: RpcPeer._on_ignored,
}
