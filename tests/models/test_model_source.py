"""The Source's chart with its journal against the plain model of DESIGN.md, in whatever order things happen."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from actors.transaction_kinds import SOURCE
from statecharts.chart import Decision
from statecharts.events import BindAlias, DeadlineReached, Deliver, Event, NodeRestarted
from statecharts.flow_events import BEGIN, NAME, REFUSAL, REQUESTED, USER, charge_record, content
from statecharts.source_events import (
    AuthorizationGranted,
    AuthorizationRefused,
    ProgressReported,
    RequestAccepted,
    RequestDeclined,
    ResultNotified,
    StartRequested,
    StopRequested,
    TransactionEnded,
)
from statecharts.vocabulary import RequestStartTransaction, RequestStopTransaction
from tests.charts.scenes import RARELY
from tests.models.efforts import effort
from tests.models.journalled import WHICH, Life
from tests.models.plain_source import Out, PlainSource

ENERGY = st.sampled_from((0, 1, 2, 3, None))
OURS = st.sampled_from((True, True, True, False))
KEYED = st.sampled_from((False, False, True))


def words(effect: Any) -> tuple[str, str] | None:
    match effect:
        case Deliver(message=RequestStartTransaction(request_identifier=name)):
            return ("start", name)
        case Deliver(message=RequestStopTransaction(request_identifier=name)):
            return ("stop", name)
        case BindAlias(scope=scope, name=name) if scope.startswith("app-key/"):
            return ("key", name)
    return None


class SourceLife(Life):
    kind = SOURCE
    model: PlainSource

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def begin(self) -> tuple[Event, PlainSource]:
        return REQUESTED, PlainSource(REQUESTED.at)

    def outward(self, decision: Decision[Any]) -> Out:
        return [said for said in map(words, decision.effects) if said]

    def expect(self, event: Event) -> Any:
        match event:
            case StartRequested(request_identifier=name, idempotency_key=key):
                return self.model.start(name, key, event.at)
            case StopRequested(request_identifier=name, idempotency_key=key):
                return self.model.stop(name, key, event.at)
            case DeadlineReached():
                return self.model.timed_out(event.at)
            case NodeRestarted():
                return self.model.restarted()
        return self.expect_of_a_partner(event)

    def expect_of_a_partner(self, event: Event) -> Any:
        match event:
            case AuthorizationGranted():
                return self.model.granted(event.at)
            case AuthorizationRefused():
                return self.model.no_grant()
            case RequestDeclined(request_identifier=name):
                return self.model.declined(name, event.at)
            case ResultNotified(request_identifier=name, success=success):
                return self.model.notified(name, success, event.at)
            case ProgressReported(content=said):
                return self.model.progress(said.energy_wh, said.user_identifier == USER, event.at)
            case TransactionEnded(message=record):
                said = record.transaction_data
                return self.model.ended(record, said.energy_wh, said.user_identifier == USER)
        return None

    def heard(self) -> list[Event]:
        """What the Destination said: our own requests are never made twice."""
        return [event for event in super().heard() if not isinstance(event, StartRequested | StopRequested)]

    def fresh(self) -> str:
        """Our own requestIdentifiers are never used twice."""
        self.asked.append(f"r{len(self.asked)}")
        return self.asked[-1]

    def request(self, which: int) -> str:
        newest_first = self.asked[::-1][:3]
        return newest_first[which] if which < len(newest_first) else "unheard-of"

    # -- the answer to Authorize ---------------------------------------------------------------------------------------

    @initialize(
        how=st.sampled_from(("granted", "started", "started", "stopping", "stopping again", "refused", "waits"))
    )
    def authorization(self, how: str) -> None:
        """Most lives begin under way, where there is most to go wrong."""
        if how not in ("refused", "waits"):
            self.granted()
        if how not in ("refused", "waits", "granted"):
            self.start_requested(keyed=False)
        if how.startswith("stopping"):
            self.result_notified(which=0, success=True)
            self.stop_requested(keyed=False)
        if how == "stopping again":
            self.the_deadline_passes(due=True)
            self.stop_requested(keyed=False)
        if how == "refused":
            self.refused()

    @rule()
    def granted(self) -> None:
        self.hear(AuthorizationGranted, authorization_identifier=NAME)

    @rule()
    def refused(self) -> None:
        self.hear(AuthorizationRefused, refusal=REFUSAL)

    # -- asked by the app ----------------------------------------------------------------------------------------------

    @rule(keyed=KEYED)
    def start_requested(self, keyed: bool) -> None:
        name = self.fresh()
        self.hear(StartRequested, request_identifier=name, idempotency_key=f"key of {name}" if keyed else None)

    @rule(keyed=KEYED)
    def stop_requested(self, keyed: bool) -> None:
        name = self.fresh()
        self.hear(StopRequested, request_identifier=name, idempotency_key=f"key of {name}" if keyed else None)

    # -- told by the Destination ---------------------------------------------------------------------------------------

    @rule(which=WHICH)
    def request_accepted(self, which: int) -> None:
        self.hear(RequestAccepted, request_identifier=self.request(which))

    @rule(which=WHICH)
    def request_declined(self, which: int) -> None:
        self.hear(RequestDeclined, request_identifier=self.request(which), refusal=REFUSAL)

    @rule(which=WHICH, success=st.booleans())
    def result_notified(self, which: int, success: bool) -> None:
        self.hear(ResultNotified, request_identifier=self.request(which), success=success)

    @rule(energy=ENERGY, ours=OURS)
    def progress_reported(self, energy: int | None, ours: bool) -> None:
        said = content(energy, user=USER if ours else "eve")
        self.hear(ProgressReported, start_timestamp=BEGIN, content=said)

    @precondition(lambda self: len(self.node.history) > 8 or self.model.record)
    @rule(energy=ENERGY, ours=OURS, due=RARELY)
    def transaction_ended(self, energy: int | None, ours: bool, due: bool) -> None:
        if due or self.model.record:
            self.hear(TransactionEnded, message=charge_record(energy, user=USER if ours else "eve"))

    # -- what holds ----------------------------------------------------------------------------------------------------

    @invariant()
    def state_and_deadline_are_the_models(self) -> None:
        assert self.node.state == self.model.state
        assert self.node.chart.deadline(self.node.data) == self.model.deadline

    @invariant()
    def operations_are_the_models(self) -> None:
        assert {o.request_identifier: o.status for o in self.node.data.operations} == self.model.status

    @invariant()
    def there_is_one_record_and_the_energy_is_its(self) -> None:
        assert self.node.data.end == self.model.record
        assert self.node.data.energy_wh == self.model.energy

    @invariant()
    def what_is_shown_to_people_is_what_happened(self) -> None:
        assert set(self.node.data.flags) == self.model.flags

    @invariant()
    def each_request_is_owed_once_and_never_past_its_deadline(self) -> None:
        until = {o.request_identifier: o.until for o in self.node.data.operations}
        owed = [effect for effect in self.node.effects if isinstance(effect, Deliver)]
        assert len(owed) == len({effect.message_id for effect in owed})
        ours = [effect for effect in owed if effect.message.request_identifier in until]
        assert all(effect.expires_at == until[effect.message.request_identifier] for effect in ours)

    def come_to_an_end(self) -> None:
        """Every session ends: deadlines alone bring it to an end, or to where only the Destination's word can."""
        for _ in range(4):
            if self.model.deadline is None:
                break
            self.the_deadline_passes(due=True)
        data = self.node.data
        assert data.state in ("Refused", "Expired", "TxRunning", "TxFinished", "Settled")
        if data.state in ("TxRunning", "TxFinished"):
            assert {"silent", "cdr-overdue"} & set(data.flags), "waiting is shown"
        assert all(o.status != "pending" for o in data.operations)


TestSourceLife = SourceLife.TestCase
TestSourceLife.settings = effort(lives=250, steps=40)
