"""The Destination's chart with its journal against the plain model of DESIGN.md, in whatever order things happen."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from actors.transaction_kinds import DESTINATION
from statecharts.charging import (
    CloseAsked,
    ConnectorTaken,
    MeterRead,
    StationConfirmed,
    StationDenied,
    StationDoubted,
    StopAsked,
    TransactionStarted,
    TransactionStopped,
)
from statecharts.chart import Decision
from statecharts.destination_events import DeliveryEnded, StartRequested, StopRequested
from statecharts.events import CommandStation, DeadlineReached, Deliver, Event, NodeRestarted, StationAnswered
from statecharts.flow_events import ISSUED
from statecharts.station_commands import CallOutcome, CallVerdict, RemoteStartTransaction
from statecharts.vocabulary import EndTransaction, NotifyRequestResult
from tests.models.efforts import effort
from tests.models.journalled import Life
from tests.models.plain_destination import Out, PlainDestination

NAMES = st.sampled_from(("a", "b", "c", "d"))
NUMBERS = st.sampled_from((7, 7, 7, 8, -1))
METERS = st.integers(0, 3000)


def words(effect: Any) -> tuple[object, ...]:
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


class DestinationLife(Life):
    kind = DESTINATION
    model: PlainDestination

    def begin(self) -> tuple[Event, PlainDestination]:
        return ISSUED, PlainDestination(ISSUED.at)

    def outward(self, decision: Decision[Any]) -> Out:
        return [said for said in map(words, decision.effects) if said]

    def expect(self, event: Event) -> Any:
        match event:
            case StartRequested(request_identifier=name):
                return self.model.start(name, event.at)
            case StopRequested(request_identifier=name):
                return self.model.stop(name, event.at)
            case StopAsked():
                return self.model.our_stop(event.at)
            case CloseAsked():
                return self.model.closed(event.at)
            case DeliveryEnded(status=status):
                return self.model.delivered(status)
            case DeadlineReached():
                return self.model.timed_out(event.at)
            case NodeRestarted():
                return 409  # nothing of a transaction here is in memory alone
        return self.expect_of_a_station(event)

    def expect_of_a_station(self, event: Event) -> Any:
        match event:
            case StationAnswered(purpose=purpose, outcome=outcome):
                return self.model.answered(purpose, str(outcome.verdict), event.at)
            case TransactionStarted(number=number, connector_id=connector, meter_start_wh=wh, timestamp=said_at):
                self.answer, out = self.model.started(number, connector, wh, said_at, event.at)
                return out
            case MeterRead(number=number, meter_wh=wh):
                return self.model.metered(number, wh, event.at)
            case TransactionStopped(number=number, meter_stop_wh=wh, timestamp=said_at):
                return self.model.stopped(number, wh, said_at, event.at)
            case ConnectorTaken(number=number):
                return self.model.taken(number, event.at)
            case StationDoubted():
                return self.model.doubted(event.at)
            case StationDenied():
                return self.model.denied(event.at)
            case StationConfirmed():
                return self.model.confirmed(event.at)
        raise AssertionError(f"the model knows no {event}")

    def take(self, event: Event) -> Decision[Any]:
        decision = super().take(event)
        if isinstance(event, TransactionStarted):
            assert decision.answer == self.answer
        return decision

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

    # -- asked ---------------------------------------------------------------------------------------------------------

    @rule(name=NAMES)
    def start_requested(self, name: str) -> None:
        self.hear(StartRequested, request_identifier=name, connector_id=1)

    @rule(name=st.sampled_from(("x", "y", "a")))
    def stop_requested(self, name: str) -> None:
        self.hear(StopRequested, request_identifier=name)

    @rule()
    def stop_asked_by_our_operator(self) -> None:
        self.hear(StopAsked)

    # -- reported ------------------------------------------------------------------------------------------------------

    @rule(purpose=st.sampled_from(("start", "stop")), verdict=st.sampled_from(CallVerdict))
    def station_answered(self, purpose: str, verdict: CallVerdict) -> None:
        self.hear(StationAnswered, purpose=purpose, outcome=CallOutcome(verdict=verdict))

    @rule(number=st.sampled_from((7, 7, 8)), connector=st.sampled_from((1, 1, 1, 2)), wh=METERS)
    def started(self, number: int, connector: int, wh: int) -> None:
        where = {"number": number, "connector_id": connector, "id_tag": ISSUED.id}
        self.hear(TransactionStarted, **where, timestamp=self.node.now, meter_start_wh=wh)

    @rule(number=st.sampled_from((None, 7)), wh=METERS)
    def metered(self, number: int | None, wh: int) -> None:
        self.hear(MeterRead, timestamp=self.node.now, number=number, meter_wh=wh)

    @rule(number=NUMBERS, wh=METERS)
    def stopped(self, number: int, wh: int) -> None:
        self.hear(TransactionStopped, number=number, timestamp=self.node.now, meter_stop_wh=wh, reason="Local")

    @rule(number=st.sampled_from((7, 8, 99)))
    def connector_taken(self, number: int) -> None:
        self.hear(ConnectorTaken, number=number)

    @rule()
    def doubted(self) -> None:
        self.hear(StationDoubted, reason="booted")

    @rule()
    def closed(self) -> None:
        self.hear(CloseAsked, reason="towed away", by="olga")

    @rule()
    def denied(self) -> None:
        self.hear(StationDenied)

    @rule()
    def confirmed(self) -> None:
        self.hear(StationConfirmed)

    @precondition(lambda self: self.model.records)
    @rule(status=st.sampled_from(("done", "parked", "lapsed")))
    def end_delivered(self, status: str) -> None:
        self.hear(DeliveryEnded, message_id="m", operation="EndTransaction", status=status)

    # -- what holds ----------------------------------------------------------------------------------------------------

    @invariant()
    def state_and_deadline_are_the_models(self) -> None:
        assert self.node.state == self.model.state
        assert self.node.chart.deadline(self.node.data) == self.model.deadline

    @invariant()
    def every_request_was_told_what_the_model_says(self) -> None:
        told = {request.request_identifier: request.notified for request in self.node.data.requests}
        assert told == {name: self.model.told.get(name) for name in self.model.asked}

    @invariant()
    def there_is_at_most_one_record_and_its_energy_is_what_was_metered(self) -> None:
        end = self.node.data.end
        assert len(self.model.records) <= 1
        assert [end.transaction_data.energy_wh] == self.model.records if end else not self.model.records
        assert self.node.data.corrections == self.model.corrections

    @invariant()
    def charges_that_are_not_the_sources_are_known(self) -> None:
        assert set(self.node.data.misused_numbers) == self.model.misused

    def come_to_an_end(self) -> None:
        """Every session ends: from wherever it is, deadlines alone bring it to an end or to a record that is owed."""
        for _ in range(6):
            if self.node.state in ("Expired", "TxFinished", "Settled"):
                break
            self.the_deadline_passes(due=True)
        data = self.node.data
        assert data.state in ("Expired", "TxFinished", "Settled")
        assert all(request.notified is not None for request in data.requests)


TestDestinationLife = DestinationLife.TestCase
TestDestinationLife.settings = effort(lives=250, steps=40)
