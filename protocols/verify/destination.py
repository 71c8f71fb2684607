"""One flow with a Destination: we are the Source, and the station where we are allowed to be.

Beside the partner runs its own chart, fed with the same events: what it refuses the partner must refuse, what it takes
the partner must take, and what it owes at the end is what the partner owes us.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import trio

from protocols.verify import steps
from protocols.verify.attacks import Strangers, break_contract
from protocols.verify.authorizations import AUTHORIZATIONS, authorization_request
from protocols.verify.conversation import Conversation
from protocols.verify.destination_record import judge_commands, judge_reports
from protocols.verify.destination_services import ask_for_services, await_free, why_not_granted
from protocols.verify.names import Names
from protocols.verify.options import Options
from protocols.verify.partner import Partner, Reply
from protocols.verify.reception import Reception
from protocols.verify.station import Station
from protocols.verify.steps import Flow, Step
from statecharts.charging import ChargingDeadlines, TransactionStarted, TransactionStopped
from statecharts.chart import Decision
from statecharts.destination_events import (
    AuthorizationIssued,
    DestinationTransaction,
    S,
    StartRequested,
    StopRequested,
)
from statecharts.events import CommandStation, Event, StationAnswered
from statecharts.ports import Clock
from statecharts.station_commands import CallOutcome, CallVerdict, RemoteStartTransaction, RemoteStopTransaction
from statecharts.transaction_destination import CHART, OVER, UNDER_WAY
from statecharts.vocabulary import (
    Acknowledgement,
    Authorize,
    EndTransaction,
    NotifyRequestResult,
    Refusal,
    RequestStartTransaction,
    RequestStopTransaction,
    RoamingAnswer,
    RoamingRequest,
    ServiceType,
    TransactionProgressUpdate,
)

NO_NAME = "FFFFFFFFFFFF"


@dataclass(slots=True)
class DestinationScene:
    """What all flows of one verification share. `names` are all authorizationIdentifiers that were granted, `granted`
    how they were asked for, `ended` the records of charges, `asked_before` the requestIdentifiers of earlier flows,
    `own` what this run calls its own.
    """

    partner: Partner
    reception: Reception
    station: Station | None
    clock: Clock
    new_id: Callable[[], str]
    strangers: Strangers = field(init=False)
    own: Names = field(init=False)
    names: set[str] = field(default_factory=set)
    granted: set[str] = field(default_factory=set)
    ended: dict[str, EndTransaction] = field(default_factory=dict)
    asked_before: set[str] = field(default_factory=set)
    life: Life | None = None

    def __post_init__(self) -> None:
        self.strangers = Strangers(self.options.username)
        self.own = Names(self.options.user, self.new_id)
        self.reception.is_of_before = self.own.is_of_before

    @property
    def options(self) -> Options:
        return self.partner.options

    async def play(self, flow: Flow, talk: Conversation) -> None:
        life = self.life = Life(self, talk, self.own.next_user())
        self.reception.begin(talk, life.respond)
        if self.station is not None:
            self.station.begin(talk, life.learn)
        for step in flow.steps:
            await life.take(step)
        await life.close()
        if self.station is None and life.commanded["start"]:
            await await_free(self)
        self.asked_before.update(life.requests.values())

    async def leave(self) -> None:
        if self.life is not None:
            await self.life.leave()


class Life:
    """One transaction as we live it with the partner; `data` is what the partner must know of it."""

    def __init__(self, scene: DestinationScene, talk: Conversation, user: str) -> None:
        self.scene, self.talk, self.user = scene, talk, user
        self.data = DestinationTransaction()
        self.commanded: Counter[str] = Counter()
        self.requests: dict[int, str] = {}
        self.deaf: list[int] = []
        self.unacknowledged: list[RoamingRequest] = []
        self.astray = False
        self.metered = False

    # -- what the partner hears and says -------------------------------------------------------------------------------

    def learn(self, event: Event) -> Decision[DestinationTransaction]:
        """Something happened that the partner knows too."""
        decision = CHART.step(self.data, event)
        self.data = decision.data
        self.commanded.update(e.purpose for e in decision.effects if isinstance(e, CommandStation))
        return decision

    async def respond(self, request: RoamingRequest) -> RoamingAnswer | Refusal | int:
        if self.deaf:
            self.unacknowledged.append(request)
            return self.deaf.pop(0)
        return Acknowledgement()

    async def take(self, step: Step) -> None:
        await _TAKE[type(step)](self, step)

    # -- authorise -----------------------------------------------------------------------------------------------------

    def request_of(self, how: str) -> Authorize:
        return authorization_request(self.scene.options, self.user, how)

    async def authorize(self, step: steps.Authorize) -> None:
        rule = AUTHORIZATIONS[step.how][0]
        station = self.scene.station
        busy = station is not None and (station.charge is not None or station.held is not None)
        if rule is None and busy:
            rule = "free-connector"
        elif rule is None and self.data.state != S.NEW:
            return  # one authorisation is enough for a flow
        reply = await self.scene.partner.ask(self.talk, self.request_of(step.how), f"authorize ({step.how})")
        if rule is not None:
            self.expect_refusal(rule, reply)
            return
        rule = "grants" if step.how == "good" else "connector-optional"
        self.talk.expect(rule, reply.done, f"authorize ({step.how}) of a free station was answered {reply}")
        if reply.done:
            self.scene.granted.add(step.how)
            self._granted(reply)
            return
        if step.how not in self.scene.granted:
            await why_not_granted(self, step.how)
        self.astray = True

    def _granted(self, reply: Reply) -> None:
        name = reply.text("authorizationIdentifier").strip()
        self.talk.expect("whole-answer", bool(name), "authorize: neither authorizationIdentifier nor ResponseError")
        if not name:
            self.astray = True
            return
        self.talk.expect("fresh-name", name not in self.scene.names, f"{name} was given before")
        self.scene.names.add(name)
        options = self.scene.options
        self.learn(
            AuthorizationIssued(
                at=self.scene.clock.now(),
                id=name,
                peer=options.own_pms,
                own_pms_identifier=options.partner_pms,
                user_identifier=self.user,
                service_type=ServiceType.EV_CHARGING,
                station=options.service,
                connector_asked=options.connector,
                deadlines=ChargingDeadlines(),
            )
        )

    def expect_refusal(self, rule: str, reply: Reply) -> None:
        refused = reply.error is not None and reply.refused
        self.talk.expect(rule, refused, f"it should be refused with a ResponseError 4xx, and was answered {reply}")

    # -- start and stop ------------------------------------------------------------------------------------------------

    def _named(self, name: str) -> str | None:
        """An authorizationIdentifier to ask with; None while we have none."""
        if name == "unknown":
            return NO_NAME
        if not self.data.id:
            return None
        return self.data.id if name == "own" else self.data.id[:-1] + ("0" if self.data.id[-1] != "0" else "1")

    async def start(self, step: steps.Start) -> None:
        identifier = self.requests.setdefault(step.request, self.scene.own.next_request())
        if (name := self._named(step.name)) is not None:
            event = StartRequested(
                at=self.scene.clock.now(),
                request_identifier=identifier,
                connector_id=self.scene.options.connector,
            )
            request = RequestStartTransaction(request_identifier=identifier, authorization_identifier=name)
            await self._ask(event, request, own=step.name == "own")

    async def stop(self, step: steps.Stop) -> None:
        identifier = self.requests.setdefault(step.request, self.scene.own.next_request())
        if (name := self._named(step.name)) is not None:
            event = StopRequested(at=self.scene.clock.now(), request_identifier=identifier)
            request = RequestStopTransaction(request_identifier=identifier, authorization_identifier=name)
            await self._ask(event, request, own=step.name == "own")

    async def _ask(
        self,
        event: StartRequested | StopRequested,
        request: RequestStartTransaction | RequestStopTransaction,
        *,
        own: bool,
    ) -> None:
        """Asks, and holds the answer against that of the chart, which must know before the station acts on it."""
        before, state = self.data, self.data.state
        expected = self.learn(event).refusal if own else Refusal(code=404, kind="unknown", message="")
        reply = await self.scene.partner.ask(self.talk, request)
        if expected is not None:
            rule, seen = _REFUSED_AS[expected.kind], f"in {state} it should be refused, and was answered {reply}"
            self.talk.expect(rule, reply.refused, seen)
            self.astray = self.astray or (own and not reply.refused)
            return
        kind = _kind(event)
        self.talk.expect(f"takes-{kind}", reply.done, f"in {state} it should be taken, and was answered {reply}")
        if not reply.done:
            self.astray = True
        elif before is not self.data:
            await self._await_station(kind)

    async def _await_station(self, kind: str) -> None:
        """Waits until the station was told, where it must be, and has done it."""
        station, options = self.scene.station, self.scene.options
        if station is None:
            await self._await_result(kind)
            return
        command = RemoteStartTransaction if kind == "start" else RemoteStopTransaction

        def reached() -> bool:
            told = sum(isinstance(each, command) for each in station.commands[: station.obeyed])
            return told >= self.commanded[kind]

        came = await self.scene.reception.until(reached, options.patience_s)
        seen = f"the {kind} was taken, and {options.service} was not asked to {kind}"
        self.talk.expect("reaches-station", came, seen)
        self.astray = self.astray or not came
        # A driver is slower than a partner: who unplugs before the refusal is noted has stopped the charge after all
        await self.scene.reception.until(self._failures_told, options.patience_s)

    def _failures_told(self) -> bool:
        told = {each.request_identifier for each in self.scene.reception.heard if isinstance(each, NotifyRequestResult)}
        return all(each.request_identifier in told for each in self.data.requests if each.notified is False)

    async def _await_result(self, kind: str) -> None:
        """Without a station, what we are told is all that we know of the charge."""
        pending = [r.request_identifier for r in self.data.waiting(kind)]

        def results() -> list[NotifyRequestResult]:
            told = (each for each in self.scene.reception.heard if isinstance(each, NotifyRequestResult))
            return [each for each in told if each.request_identifier in pending]

        await self.scene.reception.until(lambda: bool(results()), self.scene.options.patience_s)
        for result in results()[-1:]:
            self.learn(self._fact_of(kind, result.request_success))

    def _fact_of(self, kind: str, success: bool) -> Event:
        now = self.scene.clock.now()
        if kind == "start" and success:
            connector = self.scene.options.connector
            return TransactionStarted(
                at=now, number=1, connector_id=connector, id_tag=self.data.id, timestamp=now, meter_start_wh=0
            )
        if success:
            return TransactionStopped(at=now, number=1, timestamp=now, meter_stop_wh=0, reason="Remote")
        verdict = CallVerdict.REJECTED
        return StationAnswered(at=now, purpose=kind, outcome=CallOutcome(verdict=verdict))

    # -- the station ---------------------------------------------------------------------------------------------------

    async def station_answers(self, step: steps.StationAnswers) -> None:
        if self.scene.station is not None:
            self.scene.station.on_start, self.scene.station.on_stop = step.start, step.stop

    async def station_does(self, step: steps.StationDoes) -> None:
        if self.scene.station is not None:
            await _AT_STATION[step.what](self, self.scene.station)

    async def plug(self, station: Station) -> None:
        if station.held is not None:
            await station.plug_in(station.held)

    async def meter(self, station: Station) -> None:
        await station.meter(100)
        if not self.metered and self.data.state in UNDER_WAY:
            self.metered = True
            # Once it is over, the record takes the place of progress that was not sent yet
            await self.scene.reception.until(lambda: self._heard(TransactionProgressUpdate), self._patience_s)

    async def unplug(self, station: Station) -> None:
        await station.unplug()

    async def stray(self, station: Station) -> None:
        await station.stray_stop()

    async def card(self, station: Station) -> None:
        if self.data.state in (S.NEW, S.READY, *OVER):
            await station.local_charge()

    # -- broken and hostile --------------------------------------------------------------------------------------------

    async def malformed(self, step: steps.Malformed) -> None:
        await break_contract(step, self.scene.partner, self.talk, self.request_of("good"))

    async def stranger(self, step: steps.Stranger) -> None:
        await self.scene.strangers.knock(step, self.scene.partner, self.talk, self.request_of("good"))

    async def be_deaf(self, step: steps.Deaf) -> None:
        self.deaf.append(step.status)

    # -- the end -------------------------------------------------------------------------------------------------------

    @property
    def _patience_s(self) -> float:
        return self.scene.options.patience_s

    def _heard(self, kind: type[RoamingRequest]) -> bool:
        return any(isinstance(each, kind) for each in self.scene.reception.heard)

    async def close(self) -> None:
        """Brings the transaction to its end, waits for what the partner owes, and judges what it told us."""
        await self.leave()
        if not self.astray:
            await self.scene.reception.until(lambda: not list(self._owed()), self._patience_s)
        await trio.sleep(self.scene.options.quiet_s)
        judge_commands(self)
        if not self.astray:
            judge_reports(self)

    async def leave(self) -> None:
        """Brings the transaction to its end."""
        station = self.scene.station
        if station is not None:
            await self.plug(station)
            await station.unplug()
        elif self.data.state in UNDER_WAY:
            await self.stop(steps.Stop(request=-1))

    def _owed(self) -> Iterator[str]:
        """What the partner still has to tell us, in words."""
        acknowledged = self.scene.reception.answered
        told = {(r.request_identifier, r.request_success) for r in acknowledged if isinstance(r, NotifyRequestResult)}
        for request in self.data.requests:
            if request.notified is not None and (request.request_identifier, request.notified) not in told:
                yield f"the result of {request.kind} {request.request_identifier}"
        if self.data.end is not None and not any(isinstance(r, EndTransaction) for r in acknowledged):
            yield f"endTransaction of {self.data.id}"


def _kind(event: StartRequested | StopRequested) -> str:
    return "start" if isinstance(event, StartRequested) else "stop"


_REFUSED_AS = {
    "unknown": "own-authorization",
    "name-taken": "names-differ",
    "authorization-used": "used-once",
    "not-running": "stop-needs-charge",
    "already-finished": "over-is-over",
}
"""The rule by which the chart's refusals, by their kind, are refusals of ours."""

_TAKE: dict[type[Step], Callable[[Life, Any], Awaitable[None]]] = {
    steps.Authorize: Life.authorize,
    steps.Start: Life.start,
    steps.Stop: Life.stop,
    steps.Ask: ask_for_services,
    steps.StationAnswers: Life.station_answers,
    steps.StationDoes: Life.station_does,
    steps.Malformed: Life.malformed,
    steps.Stranger: Life.stranger,
    steps.Deaf: Life.be_deaf,
}
_AT_STATION: dict[str, Callable[[Life, Station], Awaitable[None]]] = {
    "plug": Life.plug,
    "meter": Life.meter,
    "unplug": Life.unplug,
    "stray": Life.stray,
    "card": Life.card,
}
