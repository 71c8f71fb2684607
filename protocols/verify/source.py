"""One flow with a Source: we are the Destination, and the app of one of its users where we are allowed to be.

Beside the partner runs its own chart, fed with the same events: which reports it takes, which it refuses, and what its
user is shown.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import trio

from protocols.verify import steps
from protocols.verify.app import AppReply, UserApp
from protocols.verify.attacks import Strangers, break_contract
from protocols.verify.conversation import Conversation
from protocols.verify.options import CannotVerify, Options
from protocols.verify.partner import Partner
from protocols.verify.reception import Reception
from protocols.verify.source_reports import made
from protocols.verify.steps import Flow, Step
from statecharts.chart import Decision
from statecharts.events import Event
from statecharts.ports import AuthorizationRequest, Clock
from statecharts.source_events import (
    AuthorizationGranted,
    AuthorizationRefused,
    AuthorizationRequested,
    RequestAccepted,
    RequestDeclined,
    S,
    SourceDeadlines,
    SourceTransaction,
    StartRequested,
    StopRequested,
)
from statecharts.transaction_source import CHART, NAMED
from statecharts.vocabulary import (
    Acknowledgement,
    Authorize,
    AuthorizeAnswer,
    NotifyRequestResult,
    Refusal,
    RequestStartTransaction,
    RequestStopTransaction,
    RoamingAnswer,
    RoamingRequest,
    ServiceType,
)

UNAVAILABLE = 503
REFUSED = Refusal(code=409, kind="refused", message="the Destination refuses this on purpose")
SHOWN_AS = {S.SETTLED: S.TX_FINISHED}
LOOK_AGAIN_S = 0.05
GRANTED_BY_US = "VE"
"""What all authorizationIdentifiers begin with that a verification grants."""

Request = RequestStartTransaction | RequestStopTransaction


@dataclass(slots=True)
class SourceScene:
    """What all flows of one verification share. `names` are all authorizationIdentifiers that we granted; once `asked`,
    the partner has asked us to authorize its user.
    """

    partner: Partner
    reception: Reception
    app: UserApp | None
    clock: Clock
    new_id: Callable[[], str]
    strangers: Strangers = field(init=False)
    names: set[str] = field(default_factory=set)
    asked: bool = False
    life: SourceLife | None = None

    def __post_init__(self) -> None:
        self.strangers = Strangers(self.options.username)
        self.reception.is_of_before = self.is_of_before

    def is_of_before(self, request: RoamingRequest) -> bool:
        """Whether this is about an authorisation that an earlier verification has granted."""
        name = getattr(request, "authorization_identifier", "")
        return name.startswith(GRANTED_BY_US) and name not in self.names

    @property
    def options(self) -> Options:
        return self.partner.options

    async def play(self, flow: Flow, talk: Conversation) -> None:
        life = self.life = SourceLife(self, talk)
        self.reception.begin(talk, life.respond)
        try:
            for step in flow.steps:
                await _TAKE[type(step)](life, step)
        finally:
            life.over.set()
        await life.close()

    async def leave(self) -> None:
        if self.life is not None:
            await self.life.leave()


class SourceLife:
    """One transaction as we live it with the partner; `data` is what the partner must know of it.

    `asked` are the starts and stops that it sent, `energy_wh` and `started_at` what we report of the charge.
    """

    def __init__(self, scene: SourceScene, talk: Conversation) -> None:
        self.scene, self.talk = scene, talk
        self.data = SourceTransaction()
        self.over = trio.Event()
        self.asked: list[Request] = []
        self.energy_wh = 0
        self.started_at: datetime = scene.clock.now()
        self._how = {"authorize": "do", "start": "do", "stop": "do"}
        self._asked = False

    def learn(self, event: Event) -> Decision[SourceTransaction]:
        """Something happened that the partner knows too."""
        decision = CHART.step(self.data, event)
        self.data = decision.data
        return decision

    # -- what the partner asks of us -----------------------------------------------------------------------------------

    async def respond(self, request: RoamingRequest) -> RoamingAnswer | Refusal | int:
        match request:
            case Authorize():
                return await self._authorize(request)
            case RequestStartTransaction() | RequestStopTransaction():
                return await self._requested(request)
            case _:
                return REFUSED

    async def _authorize(self, request: Authorize) -> RoamingAnswer | Refusal | int:
        options = self.scene.options
        asked = (request.pms_identifier, request.user_identifier, request.local_service_identifier)
        wanted = (options.partner_pms, options.app.user if options.app else options.user, options.service)
        own = asked == wanted and request.service_type is ServiceType.EV_CHARGING
        self.talk.expect("asks-in-own-name", own, f"authorize names {asked} and {request.service_type}, not {wanted}")
        self.scene.asked = self._asked = True
        now, how = self.scene.clock.now(), self._how["authorize"]
        if how == "hang":
            await self.over.wait()
            return UNAVAILABLE
        if how == "refuse":
            self.learn(AuthorizationRefused(at=now, refusal=REFUSED))
            return REFUSED
        name = GRANTED_BY_US + self.scene.new_id().replace("-", "")[:10].upper()
        self.scene.names.add(name)
        self.learn(AuthorizationGranted(at=now, authorization_identifier=name))
        return AuthorizeAnswer(authorization_identifier=name)

    async def _requested(self, request: Request) -> RoamingAnswer | Refusal | int:
        if request.authorization_identifier != self.data.authorization_identifier:
            granted = request.authorization_identifier in self.scene.names
            self.talk.expect("asks-in-own-name", granted, f"{request.authorization_identifier} was never granted")
            return REFUSED
        kind = "start" if isinstance(request, RequestStartTransaction) else "stop"
        identifier, now = request.request_identifier, self.scene.clock.now()
        again = request in self.asked
        if not again:
            self.asked.append(request)
            asked = StartRequested if kind == "start" else StopRequested
            self.learn(asked(at=now, request_identifier=identifier))
        how = self._how[kind]
        if how == "refuse":
            self.learn(RequestDeclined(at=now, request_identifier=identifier, refusal=REFUSED))
            return REFUSED
        if how == "lose" and not again:
            return UNAVAILABLE
        if how == "early" and not again:
            await self.report(steps.Report(what="notify"), look=False)
        self.learn(RequestAccepted(at=now, request_identifier=identifier))
        return Acknowledgement()

    # -- what the app asks of the partner ------------------------------------------------------------------------------

    async def ask(self, step: steps.App) -> None:
        app = self.scene.app
        if app is None:
            return
        if step.what == "authorize":
            if self.data.state == S.NEW:
                await self._ask_authorization(app)
        elif self.data.authorization_identifier is not None:
            await self._ask(app, step.what, self.data.authorization_identifier)

    async def _ask_authorization(self, app: UserApp) -> None:
        options = self.scene.options
        request = AuthorizationRequest(
            user_identifier=options.app.user if options.app else options.user,
            destination=options.own_pms,
            local_service_identifier=options.service,
            connector_identifier=str(options.connector),
        )
        self.learn(
            AuthorizationRequested(
                at=self.scene.clock.now(),
                id="verify",
                app="verify",
                own_pms_identifier=options.partner_pms,
                request=request,
                deadlines=SourceDeadlines(),
            )
        )
        reply = await app.authorize(self.talk)
        await self._check_asked(reply)
        self._check_answered(reply, "authorize")
        granted, told = self.data.authorization_identifier, reply.authorization_identifier
        if granted is None:
            seen = f"nothing was granted, and the app was answered {reply}"
            self.talk.expect("refusal-reaches-app", not reply.ok and not told, seen)
        else:
            seen = f"{granted} was granted, and the app was answered {reply}"
            self.talk.expect("grant-reaches-app", reply.ok and told == granted, seen)

    async def _check_asked(self, reply: AppReply) -> None:
        """Whether the partner asked us. Raises `CannotVerify` if it never did: then our options may be to blame."""
        options = self.scene.options
        await self.scene.reception.until(lambda: self._asked, self._patience_s)
        if not self.scene.asked:
            raise CannotVerify(
                f"the app was answered {reply}, and the Source did not ask us: has it a user "
                f"{options.app.user if options.app else options.user}, and {options.own_pms} at {options.own_url}?"
            )
        seen = f"the app asked to authorize, and was answered {reply} without our being asked"
        self.talk.expect("asks-to-authorize", self._asked, seen)

    async def _ask(self, app: UserApp, what: str, name: str) -> None:
        state, before = self.data.state, len(self.asked)
        reply = await (app.start if what == "start" else app.stop)(self.talk, name)
        self._check_answered(reply, what)
        if state != (S.READY if what == "start" else S.TX_RUNNING):
            return
        came = await self.scene.reception.until(lambda: len(self.asked) > before, self._patience_s)
        seen = f"the app asked in {state}, and no {what} reached us; answered {reply}"
        self.talk.expect("asks-once-granted", came, seen)
        if not came:
            return
        await self._await_again(self.asked[before], what)
        await self.check_state()

    async def _await_again(self, request: Request, what: str) -> None:
        """Waits until it is answered; what we did not answer must come again."""
        answered = self.scene.reception.answered
        came = await self.scene.reception.until(lambda: request in answered, self._patience_s)
        if self._how[what] == "lose":
            seen = f"the {what} was answered HTTP {UNAVAILABLE}, and did not come again as it was"
            self.talk.expect("asks-again", came, seen)

    def _check_answered(self, reply: AppReply, what: str) -> None:
        self.talk.expect("app-answered", reply.readable, f"the app asked to {what}, and was answered {reply}")

    async def we_answer(self, step: steps.WeAnswer) -> None:
        self._how[step.what] = step.how

    # -- what we report to the partner ---------------------------------------------------------------------------------

    async def report(self, step: steps.Report, *, look: bool = True) -> None:
        """Reports, and holds the answer against that of the chart; then has a look as the app does."""
        report = made(self, step)
        if report is None:
            return
        before = self.data
        refusal = self.learn(report.event).refusal if report.event is not None else REFUSED
        reply = await self.scene.partner.ask(self.talk, report.message, f"{step.what} ({step.how})")
        if refusal is not None:
            rule = _RULES.get(step.how, "same-parties")
            self.talk.expect(rule, reply.refused, f"it should be refused, and was answered {reply}")
            return
        rule = "repeat-is-harmless" if before is self.data else "takes-report"
        seen = f"in {before.state} {step.what} should be taken, and was answered {reply}"
        self.talk.expect(rule, reply.done, seen)
        if reply.done and look:
            await self.check_state()

    async def check_state(self) -> None:
        """The app must be shown the state that the partner knows of by now."""
        app, name = self.scene.app, self.data.authorization_identifier
        if app is None or name is None:
            return
        shown, looked = "", Conversation()
        with trio.move_on_after(self._patience_s):
            while shown != self._expected:
                looked = Conversation()  # of all looks, the last one is worth telling
                shown = (await app.session(looked, name)).state
                await trio.sleep(0 if shown == self._expected else LOOK_AGAIN_S)
        self.talk.exchanges += looked.exchanges
        seen = f"the app is shown {shown or 'no state'}, and it is {self._expected}"
        self.talk.expect("shows-state", shown == self._expected, seen)

    @property
    def _expected(self) -> str:
        state = S(self.data.state)
        return SHOWN_AS.get(state, state)

    # -- broken and hostile --------------------------------------------------------------------------------------------

    def _nothing(self) -> NotifyRequestResult:
        return NotifyRequestResult(request_identifier=self.scene.new_id(), request_success=True)

    async def malformed(self, step: steps.Malformed) -> None:
        await break_contract(step, self.scene.partner, self.talk, self._nothing())

    async def stranger(self, step: steps.Stranger) -> None:
        await self.scene.strangers.knock(step, self.scene.partner, self.talk, self._nothing())

    # -- the end -------------------------------------------------------------------------------------------------------

    @property
    def _patience_s(self) -> float:
        return self.scene.options.patience_s

    async def close(self) -> None:
        """Leaves no transaction open at the partner, where its answer can still be judged."""
        if not self.talk.findings:
            await self.leave()
        await trio.sleep(self.scene.options.quiet_s)

    async def leave(self) -> None:
        if self.data.state in NAMED and self.data.state != S.SETTLED:
            await self.report(steps.Report(what="end"))


_RULES = {"unknown": "own-transactions-only", "changed": "first-record-stands"}
_TAKE: dict[type[Step], Callable[[SourceLife, Any], Awaitable[None]]] = {
    steps.App: SourceLife.ask,
    steps.WeAnswer: SourceLife.we_answer,
    steps.Report: SourceLife.report,
    steps.Malformed: SourceLife.malformed,
    steps.Stranger: SourceLife.stranger,
}
