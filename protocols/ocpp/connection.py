"""One connection of a station: what comes is led to the door behind which its actor works, what is asked is sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import structlog
from ocpp import exceptions as ocpp
from websockets.frames import CloseCode

from protocols.ocpp.dialect import Dialect
from protocols.ocpp.frames import CallError, CallResult
from protocols.ocpp.limits import Limits
from protocols.ocpp.mending import LeftOut
from protocols.ocpp.rpc import REPEATED, CallEnd, NoAnswer, NotSent, RpcPeer
from protocols.ocpp.websocket import ServerWebSocket
from statecharts.limits import OCPP_ACTION_KEPT, OCPP_MESSAGE_KEPT
from statecharts.meters import Meters
from statecharts.oddities import Handling, OddMessage
from statecharts.ports import StationDoor
from statecharts.promises import Promise
from statecharts.station_commands import CallOutcome, CallVerdict, StationCommand
from statecharts.station_credentials import Login, StationCertificate
from statecharts.station_reports import BootNotification, StationReport
from statecharts.vocabulary import Refused

NOT_IMPLEMENTED = ocpp.NotImplementedError.code


class LiveConnection:
    """One connection of a station: the `StationConnection` that actors see."""

    def __init__(
        self,
        identity: str,
        dialect: Dialect,
        socket: ServerWebSocket,
        *,
        login: Login,
        door: StationDoor,
        epoch: str,
        limits: Limits,
        tolerated: Counter[str],
        meters: Meters,
    ) -> None:
        self.identity, self.socket, self.login = identity, socket, login
        self._dialect, self._door, self._limits, self._tolerated = dialect, door, limits, tolerated
        self._meters = meters
        self._log = structlog.get_logger(station=identity, epoch=epoch)
        handle, count = self._handle, self._count
        self._rpc = RpcPeer(
            socket,
            epoch=epoch,
            handler=handle,
            limits=limits,
            framing=dialect.framing,
            log=self._log,
            handled=count,
        )

    def __repr__(self) -> str:
        return f"<LiveConnection {self.identity} {self.protocol} {self._rpc!r}>"

    @property
    def protocol(self) -> str:
        return self._dialect.subprotocol

    @property
    def certificate(self) -> StationCertificate | None:
        return self.socket.certificate

    async def call(self, command: StationCommand) -> CallOutcome:
        try:
            action = self._dialect.commands.action_of(command)
            payload = self._dialect.commands.write_request(command)
        except msgspec.ValidationError as error:
            return CallOutcome(verdict=CallVerdict.NEVER_SENT, cause=f"{self.protocol} cannot say this: {error}")
        end = await self._rpc.call(action, payload, lambda took_s: self._meters.ocpp_sent_seconds.saw(took_s, action))
        outcome = _OUTCOMES[type(end)](self, action, end)
        self._meters.ocpp_sent.add(action, outcome.verdict)
        return outcome

    def close(self, code: int, reason: str) -> None:
        self._rpc.close(code, reason)

    async def run(self, is_in: Callable[[], None]) -> None:
        """Serves the connection from `connected` to `disconnected`; raises what made its handling impossible.

        `is_in` hears once its actor has taken the station in, or will not.

        A station that is refused behind the door, as one in quarantine, is told to come again later.
        """
        try:
            opening = self._door.connected(self.identity, self)
            opening.follow(lambda _: is_in())
            await self._rpc.run(opening)
        except Refused as no:
            log = structlog.get_logger()
            log.warning("ocpp.not_let_in", station=self.identity, refusal=str(no))
            self.socket.close(CloseCode.TRY_AGAIN_LATER, no.refusal.kind)
        finally:
            self._door.disconnected(self.identity, self)

    def expire(self, now: float) -> None:
        """Ends what is handled for too long."""
        self._rpc.expire(now)

    def _handle(self, action: str, payload: bytes) -> bytes | Promise[bytes]:
        reports = self._dialect.reports
        notes: list[str] = []
        try:
            report = reports.read_request(action, payload, notes.append)
        except ocpp.OCPPError as refusal:
            return self._refused(action, payload, refusal)
        if notes:
            self._tolerate(action, payload, notes, report)
        answer = self._door.reported(self.identity, self, report)
        if isinstance(answer, Promise):
            return answer.then(partial(reports.write_answer, action))
        return reports.write_answer(action, answer)

    def _refused(self, action: str, payload: bytes, refusal: Any) -> Promise[bytes]:
        """Fails with the refusal once it is certain that nothing is lost by it."""
        is_lost = self._dialect.reports.must_be_kept(action)
        handling = Handling.UNREADABLE if is_lost else Handling.REFUSED
        noted = self._door.odd(self.identity, _odd(action, payload, [refusal.description], handling))

        def refuse(_: None) -> bytes:
            raise refusal

        return noted.then(refuse)

    def _tolerate(self, action: str, payload: bytes, notes: list[str], report: StationReport) -> None:
        for note in notes:
            self._note_tolerated(action, note)
        is_whole = not any(isinstance(note, LeftOut) for note in notes)
        handling = Handling.TAKEN if is_whole else Handling.TAKEN_IN_PART
        model = (report.vendor, report.model) if isinstance(report, BootNotification) else None
        self._door.odd(self.identity, _odd(action, payload, notes, handling, model))

    def _count(self, action: str, outcome: str, took_s: float) -> None:
        if outcome == REPEATED:
            self._meters.duplicates.add("station", action)
            return
        # What is no action of ours is a station's own word, of which there may be any number.
        name = "other" if outcome == NOT_IMPLEMENTED else action
        self._meters.ocpp_received.add(name, outcome)
        self._meters.ocpp_received_seconds.saw(took_s, name)

    def _note_tolerated(self, action: str, what: str) -> None:
        self._tolerated[action] += 1
        self._log.warning("ocpp.tolerated", action=action, what=what)

    def _answered(self, action: str, end: CallResult) -> CallOutcome:
        try:
            return self._dialect.commands.read_answer(action, bytes(end.payload), partial(self._note_tolerated, action))
        except ocpp.OCPPError as error:
            # It did answer, but what it meant nobody can tell: only a fact or a deadline decides.
            self._rpc.refuse_result(end, error)
            return CallOutcome(verdict=CallVerdict.UNKNOWN, cause=f"unreadable answer: {error.description}")

    def _call_error(self, action: str, end: CallError) -> CallOutcome:
        cause = f"{end.code}: {end.description}" if end.description else end.code
        return CallOutcome(verdict=CallVerdict.ERROR, status=end.code, cause=cause)

    def _never_sent(self, action: str, end: NotSent) -> CallOutcome:
        return CallOutcome(verdict=CallVerdict.NEVER_SENT, cause=end.cause)

    def _unanswered(self, action: str, end: NoAnswer) -> CallOutcome:
        return CallOutcome(verdict=CallVerdict.UNKNOWN, cause=end.cause)


_OUTCOMES: dict[type[CallEnd], Callable[[LiveConnection, str, Any], CallOutcome]] = {
    CallResult: LiveConnection._answered,
    CallError: LiveConnection._call_error,
    NotSent: LiveConnection._never_sent,
    NoAnswer: LiveConnection._unanswered,
}


def _odd(
    action: str, payload: bytes, notes: list[str], handling: Handling, model: tuple[str, str] | None = None
) -> OddMessage:
    text, texts = payload.decode(errors="replace")[: OCPP_MESSAGE_KEPT.limit], tuple(map(str, notes))
    name = action[: OCPP_ACTION_KEPT.limit]
    return OddMessage(action=name, payload=text, notes=texts, handling=handling, model=model)
