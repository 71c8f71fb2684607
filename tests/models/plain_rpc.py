"""One end of OCPP-J's calls in plain words: what it must send, how its own calls must end, what its handler is given.

Written from the specification (OCPP-J 1.6, section 4) and FAULTS' rule for a message id that is used twice: the same
bytes get the stored answer, other bytes a CALLERROR.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

CALL_S, HANDLER_S = 30, 30
WAITING, INCOMING = 2, 2
Frame = list[Any]


@dataclass
class Seen:
    body: str
    under_way: bool = True
    answer: Frame | None = None


@dataclass
class PlainRpc:
    now: float = 0
    open: bool = True
    made: int = 0
    out: tuple[str, str, float] | None = None
    waiting: list[str] = field(default_factory=list)
    ends: dict[str, str] = field(default_factory=dict)
    sent: list[Frame] = field(default_factory=list)
    seen: dict[str, Seen] = field(default_factory=dict)
    work: tuple[str, float] | None = None
    queue: list[str] = field(default_factory=list)
    handled: list[str] = field(default_factory=list)
    rest_until: float | None = None

    def post(self, *frame: Any) -> None:
        if self.open:
            self.sent.append(list(frame))

    # -- our calls -----------------------------------------------------------------------------------------------------

    def call(self, name: str) -> None:
        if not self.open or (self.out and len(self.waiting) >= WAITING):
            self.ends[name] = "not sent"
        else:
            self.waiting.append(name)
            self._next_call()

    def _next_call(self) -> None:
        if self.out is None and self.waiting:
            self.made += 1
            name = self.waiting.pop(0)
            self.out = (f"e-{self.made}", name, self.now + CALL_S)
            self.post(2, f"e-{self.made}", name, {})

    def _end_call(self, how: str) -> None:
        if self.out is not None:
            self.ends[self.out[1]], self.out = how, None
            self._next_call()

    def answered(self, message_id: str, how: str) -> None:
        if self.open and self.out and self.out[0] == message_id:
            self._end_call(how)

    # -- theirs --------------------------------------------------------------------------------------------------------

    def called(self, message_id: str, body: str) -> None:
        if not self.open:
            return
        seen = self.seen.get(message_id)
        if seen and seen.body != body:
            self.post(4, message_id, "GenericError")
        elif seen and seen.answer:
            self.post(*seen.answer)
        elif seen is None or not seen.under_way:
            self._accept(message_id, body)

    def _accept(self, message_id: str, body: str) -> None:
        if self.work and len(self.queue) >= INCOMING:
            self.post(4, message_id, "GenericError")
            return
        self.seen[message_id] = Seen(body)
        self.queue.append(message_id)
        self._next_work()

    def _next_work(self) -> None:
        while self.work is None and self.queue:
            message_id = self.queue.pop(0)
            self.work = message_id, self.now
            body = self.seen[message_id].body
            self.handled.append(body)
            if body != "Later":
                self._end_work(body)

    def _end_work(self, how: str) -> None:
        """The work under way is over: its answer, or the error that leaves a repetition its chance."""
        assert self.work is not None
        message_id, self.work = self.work[0], None
        seen = self.seen[message_id]
        seen.under_way = False
        if how in ("Now", "kept"):
            seen.answer = [3, message_id, {"n": len(self.handled)}]
            self.post(*seen.answer)
        else:
            self.post(4, message_id, "SecurityError" if how == "No" else "InternalError")

    def settled(self, how: str) -> None:
        """The handler has come to an end with what is under way."""
        self._end_work(how)
        self._next_work()

    def swept(self) -> bool:
        """Whether what is under way was given up."""
        late = self.work is not None and self.now - self.work[1] >= HANDLER_S
        if late:
            self.settled("gave up")
        return late

    def garbage(self) -> None:
        self.post(4, "-1", "FormationViolation")

    # -- time, and the end ---------------------------------------------------------------------------------------------

    def pass_time(self, seconds: float) -> None:
        until = self.now + seconds
        while self.out and self.out[2] <= until:
            self.now = self.out[2]
            self._end_call("no answer")
        self.now = until
        if self.rest_until is not None and until >= self.rest_until:
            self.queue.clear()

    def end(self) -> None:
        """The connection is gone: what was sent is unknown, what was not certainly never happened."""
        if not self.open:
            return
        self.open, self.rest_until = False, self.now + HANDLER_S
        self.ends |= dict.fromkeys(self.waiting, "not sent")
        self.waiting.clear()
        self._end_call("no answer")
