"""The Destination's chart against the plain model of DESIGN.md, in whatever order things happen."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from statecharts.charging import (
    ConnectorTaken,
    MeterRead,
    StationConfirmed,
    StationDoubted,
    StopAsked,
    TransactionStarted,
    TransactionStopped,
)
from statecharts.chart import Decision
from statecharts.destination_events import DeliveryEnded, DestinationTransaction, StartRequested, StopRequested
from statecharts.events import CommandStation, Deliver, Event, StationAnswered
from statecharts.flow_events import ISSUED
from statecharts.station_vocabulary import CallOutcome, CallVerdict, RemoteStartTransaction
from statecharts.transaction_destination import CHART
from statecharts.vocabulary import EndTransaction, NotifyRequestResult
from tests.charts.plain_destination import Out, PlainDestination
from tests.charts.scenes import RARELY, Scene, replayed

NAMES = st.sampled_from(("a", "b", "c", "d"))
NUMBERS = st.sampled_from((7, 7, 7, 8, -1))
METERS = st.integers(0, 3000)


def outward(decision: Decision[Any]) -> Out:
    """What a decision sends out, in the model's words."""
    return [words for words in map(_words, decision.effects) if words]


def _words(effect: Any) -> tuple[object, ...]:
    match effect:
        case CommandStation(command=RemoteStartTransaction()):
            return ("remote start",)
        case CommandStation():
            return ("remote stop",)
        case Deliver(message=NotifyRequestResult(request_identifier=name, request_success=result)):
            return ("notify", name, result)
        case Deliver(message=EndTransaction(transaction_data=content)):
            return ("end", content.energy_wh)
    return ()


class DestinationLife(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.scene = Scene(CHART, DestinationTransaction())
        self.scene.step(ISSUED)
        self.scene.now = ISSUED.at
        self.model = PlainDestination(ISSUED.at)
        self.remote_starts: list[str] = []

    @property
    def now(self):
        return self.scene.now

    def happens(self, event: type[Event], **content: Any) -> Decision[Any]:
        """The chart is told a second later; the model's clock is the same."""
        was_over = self.model.over
        decision = self.scene.tell(event, **content)
        self.was_over = was_over
        return decision

    def agree(self, decision: Decision[Any], expected: Out | int) -> None:
        if isinstance(expected, int):
            assert decision.refusal is not None
            assert (decision.refusal.code, decision.effects) == (expected, ())
            return
        assert decision.refusal is None
        assert outward(decision) == expected
        if self.model.over and not self.was_over:
            self.model.finished_at(self.now)

    @initialize(how_far=st.sampled_from(("issued", "asked", "unsent", "running", "running", "stopping")))
    def beginning(self, how_far: str) -> None:
        """Most lives begin under way, where there is most to go wrong."""
        if how_far != "issued":
            self.start_requested("a")
        if how_far == "unsent":
            self.station_answered("start", CallVerdict.NEVER_SENT)
        if how_far in ("running", "stopping"):
            self.started(7, 1, 1000)
        if how_far == "stopping":
            self.stop_requested("x")

    @rule(name=NAMES)
    def start_requested(self, name: str) -> None:
        decision = self.happens(StartRequested, request_identifier=name, connector_id=1)
        self.remote_starts += [name] if ("remote start",) in outward(decision) else []
        self.agree(decision, self.model.start(name, self.now))

    @rule(name=st.sampled_from(("x", "y", "a")))
    def stop_requested(self, name: str) -> None:
        decision = self.happens(StopRequested, request_identifier=name)
        self.agree(decision, self.model.stop(name, self.now))

    @rule()
    def stop_asked_by_our_operator(self) -> None:
        decision = self.happens(StopAsked)
        expected = self.model.our_stop(self.now)
        self.agree(decision, expected)

    @rule(purpose=st.sampled_from(("start", "stop")), verdict=st.sampled_from(CallVerdict))
    def station_answered(self, purpose: str, verdict: CallVerdict) -> None:
        decision = self.happens(StationAnswered, purpose=purpose, outcome=CallOutcome(verdict=verdict))
        self.agree(decision, self.model.answered(purpose, str(verdict), self.now))

    @rule(number=st.sampled_from((7, 7, 8)), connector=st.sampled_from((1, 1, 1, 2)), wh=METERS)
    def started(self, number: int, connector: int, wh: int) -> None:
        decision = self.happens(
            TransactionStarted,
            number=number, connector_id=connector, id_tag=ISSUED.id, timestamp=self.now, meter_start_wh=wh,
        )  # fmt: skip
        answer, expected = self.model.started(number, connector, wh, self.now)
        assert decision.answer == answer
        self.agree(decision, expected)

    @rule(wh=METERS)
    def metered(self, wh: int) -> None:
        decision = self.happens(MeterRead, timestamp=self.now, meter_wh=wh)
        self.agree(decision, self.model.metered(wh, self.now))

    @rule(number=NUMBERS, wh=METERS, again=st.booleans())
    def stopped(self, number: int, wh: int, again: bool) -> None:
        said_at, wh = self.model.stop_said if again and self.model.stop_said else (self.now, wh)
        decision = self.happens(TransactionStopped, number=number, timestamp=said_at, meter_stop_wh=wh, reason="Local")
        self.agree(decision, self.model.stopped(number, wh, said_at))

    @rule(number=st.sampled_from((7, 8, 99)))
    def connector_taken(self, number: int) -> None:
        decision = self.happens(ConnectorTaken, number=number)
        self.agree(decision, self.model.taken(number))

    @rule()
    def doubted(self) -> None:
        decision = self.happens(StationDoubted, reason="booted")
        self.model.doubted(self.now)
        self.agree(decision, [])

    @rule()
    def confirmed(self) -> None:
        decision = self.happens(StationConfirmed)
        self.model.confirmed(self.now)
        self.agree(decision, [])

    @precondition(lambda self: self.model.records)
    @rule(status=st.sampled_from(("done", "parked", "lapsed")))
    def end_delivered(self, status: str) -> None:
        decision = self.happens(DeliveryEnded, message_id="m", operation="EndTransaction", status=status)
        self.model.delivered(status)
        self.agree(decision, [])

    @precondition(lambda self: self.model.deadline is not None)
    @rule(due=RARELY)
    def deadline_reached(self, due: bool) -> None:
        if due:
            self.was_over = self.model.over
            decision = self.scene.time_out()
            self.agree(decision, self.model.timed_out(self.now))

    @rule(seconds=st.sampled_from((10, 100, 2000)))
    def time_passes(self, seconds: int) -> None:
        """Never past a deadline: those that are due come first."""
        due = self.model.deadline
        if due is None or self.now + timedelta(seconds=seconds) < due:
            self.scene.pass_time(seconds)

    @rule()
    def node_restarts(self) -> None:
        assert replayed(self.scene) == self.scene.data
        self.scene.data = replayed(self.scene)

    @invariant()
    def state_and_deadline_are_the_models(self) -> None:
        assert self.scene.state == self.model.state
        assert CHART.deadline(self.scene.data) == self.model.deadline

    @invariant()
    def every_request_was_told_what_the_model_says(self) -> None:
        requests = self.scene.data.requests
        assert {r.request_identifier: r.notified for r in requests} == {
            n: self.model.told.get(n) for n in self.model.asked
        }

    @invariant()
    def at_most_one_record_and_its_energy_is_what_was_metered(self) -> None:
        records = [
            e.message for e in self.scene.effects if isinstance(e, Deliver) and isinstance(e.message, EndTransaction)
        ]
        assert [r.transaction_data.energy_wh for r in records] == self.model.records
        assert len(records) <= 1
        assert self.scene.data.end == (records[0] if records else None)
        assert self.scene.data.corrections == self.model.corrections

    @invariant()
    def at_most_one_remote_start_per_request(self) -> None:
        assert len(self.remote_starts) == len(set(self.remote_starts))

    def teardown(self) -> None:
        """Every session ends: from wherever it is, deadlines alone bring it to an end or to a record that is owed."""
        for _ in range(6):
            if self.scene.state in ("Expired", "TxFinished", "Settled"):
                break
            self.scene.time_out()
        data = self.scene.data
        assert data.state in ("Expired", "TxFinished", "Settled")
        assert all(r.notified is not None for r in data.requests)
        assert replayed(self.scene) == data


TestDestinationLife = DestinationLife.TestCase
TestDestinationLife.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
