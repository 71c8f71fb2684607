"""The Source's chart against the plain model of DESIGN.md, in whatever order things happen."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from statecharts.chart import Decision
from statecharts.events import Deliver, NodeRestarted
from statecharts.flow_events import BEGIN, NAME, REFUSAL, REQUESTED, charge_record, content
from statecharts.source_events import (
    AuthorizationGranted,
    AuthorizationRefused,
    ProgressReported,
    RequestAccepted,
    RequestDeclined,
    ResultNotified,
    SourceTransaction,
    StartRequested,
    StopRequested,
    TransactionEnded,
)
from statecharts.transaction_source import CHART
from statecharts.vocabulary import RequestStartTransaction, RequestStopTransaction
from tests.charts.plain_source import Out, PlainSource
from tests.charts.scenes import RARELY, Scene, replayed

WORDS = {RequestStartTransaction: "start", RequestStopTransaction: "stop"}
ENERGY = st.integers(0, 3)
OURS = st.sampled_from((True, True, True, False))


def sent(decision: Decision[Any]) -> Out:
    """The requests that a decision owes to the Destination, in the model's words."""
    owed = [effect.message for effect in decision.effects if isinstance(effect, Deliver)]
    return [(WORDS[type(message)], message.request_identifier) for message in owed]


class SourceLife(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.scene = Scene(CHART, SourceTransaction())
        self.scene.step(REQUESTED)
        self.scene.now = REQUESTED.at
        self.model = PlainSource(REQUESTED.at)
        self.asked: list[str] = []

    @property
    def now(self):
        return self.scene.now

    def agree(self, decision: Decision[Any], expected: Out | int) -> None:
        if isinstance(expected, int):
            assert decision.refusal is not None
            assert (decision.refusal.code, decision.effects) == (expected, ())
            return
        assert decision.refusal is None
        assert sent(decision) == expected

    def fresh(self) -> str:
        """Our own requestIdentifiers are never used twice."""
        self.asked.append(f"r{len(self.asked)}")
        return self.asked[-1]

    def one_of_ours(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from([*self.asked[-3:], "unheard-of"]))

    # -- the answer to Authorize ---------------------------------------------------------------------------------------

    @initialize(
        how=st.sampled_from(("granted", "started", "started", "stopping", "stopping again", "refused", "waits"))
    )
    def authorization(self, how: str) -> None:
        if how not in ("refused", "waits"):
            self.granted()
        if how not in ("refused", "waits", "granted"):
            self.start_requested()
        if how.startswith("stopping"):
            self.notify(self.asked[0], True)
            self.stop_requested()
        if how == "stopping again":
            self.deadline_reached(due=True)
            self.stop_requested()
        if how == "refused":
            self.refused()

    @rule()
    def granted(self) -> None:
        decision = self.scene.tell(AuthorizationGranted, authorization_identifier=NAME)
        self.model.granted(self.now)
        self.agree(decision, [])

    @rule()
    def refused(self) -> None:
        decision = self.scene.tell(AuthorizationRefused, refusal=REFUSAL)
        self.model.no_grant()
        self.agree(decision, [])

    @rule()
    def node_restarts(self) -> None:
        self.scene.data = replayed(self.scene)
        self.scene.tell(NodeRestarted)
        self.model.no_grant()

    # -- asked by the app ----------------------------------------------------------------------------------------------

    @rule()
    def start_requested(self) -> None:
        name = self.fresh()
        decision = self.scene.tell(StartRequested, request_identifier=name)
        self.agree(decision, self.model.start(name, self.now))

    @rule()
    def stop_requested(self) -> None:
        name = self.fresh()
        decision = self.scene.tell(StopRequested, request_identifier=name)
        self.agree(decision, self.model.stop(name, self.now))

    # -- told by the Destination ---------------------------------------------------------------------------------------

    @rule(data=st.data())
    def request_accepted(self, data: st.DataObject) -> None:
        self.agree(self.scene.tell(RequestAccepted, request_identifier=self.one_of_ours(data)), [])

    @rule(data=st.data())
    def request_declined(self, data: st.DataObject) -> None:
        name = self.one_of_ours(data)
        decision = self.scene.tell(RequestDeclined, request_identifier=name, refusal=REFUSAL)
        self.agree(decision, self.model.declined(name, self.now))

    @rule(data=st.data(), success=st.booleans())
    def result_notified(self, data: st.DataObject, success: bool) -> None:
        self.notify(self.one_of_ours(data), success)

    def notify(self, name: str, success: bool) -> None:
        decision = self.scene.tell(ResultNotified, request_identifier=name, success=success)
        self.agree(decision, self.model.notified(name, success, self.now))

    @rule(energy=ENERGY, ours=OURS)
    def progress_reported(self, energy: int, ours: bool) -> None:
        said = content(energy, user="ada" if ours else "eve")
        decision = self.scene.tell(ProgressReported, start_timestamp=BEGIN, content=said)
        self.agree(decision, self.model.progress(energy, ours, self.now))

    @precondition(lambda self: len(self.scene.history) > 8)
    @rule(energy=ENERGY, ours=OURS, due=RARELY)
    def ended(self, energy: int, ours: bool, due: bool) -> None:
        if not due and self.model.record is None:
            return
        record = charge_record(energy, user="ada" if ours else "eve")
        decision = self.scene.tell(TransactionEnded, message=record)
        self.agree(decision, self.model.ended(record, energy, ours))

    # -- time ----------------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.model.deadline is not None)
    @rule(due=RARELY)
    def deadline_reached(self, due: bool) -> None:
        if due:
            decision = self.scene.time_out()
            self.agree(decision, self.model.timed_out(self.now))

    @rule(seconds=st.sampled_from((10, 100, 400)))
    def time_passes(self, seconds: int) -> None:
        """Never past a deadline: those that are due come first."""
        due = self.model.deadline
        if due is None or self.now + timedelta(seconds=seconds) < due:
            self.scene.pass_time(seconds)

    # -- what holds ----------------------------------------------------------------------------------------------------

    @invariant()
    def state_and_deadline_are_the_models(self) -> None:
        assert self.scene.state == self.model.state
        assert CHART.deadline(self.scene.data) == self.model.deadline

    @invariant()
    def operations_are_the_models(self) -> None:
        assert {o.request_identifier: o.status for o in self.scene.data.operations} == self.model.status

    @invariant()
    def there_is_one_record_and_the_energy_is_its(self) -> None:
        assert self.scene.data.end == self.model.record
        assert self.scene.data.energy_wh == self.model.energy

    @invariant()
    def each_request_is_owed_once_and_never_past_its_deadline(self) -> None:
        owed = [effect for effect in self.scene.effects if isinstance(effect, Deliver)]
        assert len(owed) == len({effect.message_id for effect in owed})
        until = {o.request_identifier: o.until for o in self.scene.data.operations}
        assert all(effect.expires_at == until[effect.message.request_identifier] for effect in owed)

    def teardown(self) -> None:
        """Every session ends: deadlines alone bring it to an end, or to where only the Destination's word can."""
        for _ in range(4):
            if CHART.deadline(self.scene.data) is None:
                break
            self.scene.time_out()
        data = self.scene.data
        assert data.state in ("Refused", "Expired", "TxRunning", "TxFinished", "Settled")
        if data.state in ("TxRunning", "TxFinished"):
            assert {"silent", "cdr-overdue"} & set(data.flags), "waiting is shown"
        assert all(o.status != "pending" for o in data.operations)
        assert replayed(self.scene) == data


TestSourceLife = SourceLife.TestCase
TestSourceLife.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
