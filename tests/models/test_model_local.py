"""The chart of a transaction without a partner, with its journal, against the plain model of DESIGN.md."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from actors.transaction_kinds import LOCAL
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
from statecharts.events import CommandStation, DeadlineReached, Event, NodeRestarted, StationAnswered
from statecharts.flow_events import OPENING
from statecharts.station_commands import CallOutcome, CallVerdict, RemoteStartTransaction
from statecharts.transaction_local import LocalStartRequested
from tests.models.efforts import effort
from tests.models.journalled import Life
from tests.models.plain_local import Out, PlainLocal

METERS = st.integers(0, 3000)


def words(effect: CommandStation) -> str:
    return "remote start" if isinstance(effect.command, RemoteStartTransaction) else "remote stop"


class LocalLife(Life):
    kind = LOCAL
    model: PlainLocal

    def begin(self) -> tuple[None, PlainLocal]:
        return None, PlainLocal()

    def outward(self, decision: Decision[Any]) -> Out:
        return [words(effect) for effect in decision.effects if isinstance(effect, CommandStation)]

    def expect(self, event: Event) -> Any:
        match event:
            case LocalStartRequested():
                return self.model.start(event.at)
            case StopAsked():
                return self.model.stop(event.at)
            case CloseAsked():
                return self.model.closed()
            case DeadlineReached():
                return self.model.timed_out(event.at)
            case NodeRestarted():
                return 409  # its deadlines stand in the journal: there is nothing to be told
        return self.expect_of_a_station(event)

    def expect_of_a_station(self, event: Event) -> Any:
        match event:
            case StationAnswered(purpose=purpose, outcome=outcome):
                return self.model.answered(purpose, str(outcome.verdict), event.at)
            case TransactionStarted(number=number, meter_start_wh=wh, id_tag_accepted=accepted):
                self.answer = self.model.started(number, wh, accepted, event.at)
            case MeterRead(number=number, meter_wh=wh):
                self.model.metered(number, wh, event.at)
            case TransactionStopped(number=number, meter_stop_wh=wh, timestamp=said_at):
                self.model.stopped(number, wh, said_at)
            case ConnectorTaken(number=number):
                self.model.taken(number)
            case StationDoubted():
                self.model.doubted(event.at)
            case StationDenied():
                self.model.denied()
            case StationConfirmed():
                self.model.confirmed(event.at)
            case _:
                raise AssertionError(f"the model knows no {event}")
        return None

    def take(self, event: Event) -> Decision[Any]:
        decision = super().take(event)
        if isinstance(event, TransactionStarted):
            assert decision.answer == self.answer
        return decision

    @initialize(how_far=st.sampled_from(("unheard of", "asked", "running", "running", "stopping", "not accepted")))
    def beginning(self, how_far: str) -> None:
        """Most lives begin under way, where there is most to go wrong."""
        if how_far == "asked":
            self.start_asked()
        if how_far in ("running", "stopping"):
            self.started(number=7, wh=1000, accepted=True)
        if how_far == "not accepted":
            self.started(number=7, wh=1000, accepted=False)
        if how_far == "stopping":
            self.stop_asked()

    @rule()
    def start_asked(self) -> None:
        self.hear(LocalStartRequested, opening=OPENING, connector_id=1)

    @rule()
    def stop_asked(self) -> None:
        self.hear(StopAsked)

    @rule(purpose=st.sampled_from(("start", "stop")), verdict=st.sampled_from(CallVerdict))
    def station_answered(self, purpose: str, verdict: CallVerdict) -> None:
        self.hear(StationAnswered, purpose=purpose, outcome=CallOutcome(verdict=verdict))

    @rule(number=st.sampled_from((7, 7, 8)), wh=METERS, accepted=st.booleans())
    def started(self, number: int, wh: int, accepted: bool) -> None:
        where = {"number": number, "connector_id": 1, "id_tag": OPENING.id_tag, "opening": OPENING}
        self.hear(TransactionStarted, **where, id_tag_accepted=accepted, timestamp=self.node.now, meter_start_wh=wh)

    @rule(number=st.sampled_from((None, 7)), wh=METERS)
    def metered(self, number: int | None, wh: int) -> None:
        self.hear(MeterRead, timestamp=self.node.now, number=number, meter_wh=wh)

    @rule(number=st.sampled_from((7, 7, 7, 8, -1)), wh=METERS)
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

    # -- what holds ----------------------------------------------------------------------------------------------------

    @invariant()
    def state_and_deadline_are_the_models(self) -> None:
        assert self.node.state == self.model.state
        assert self.node.chart.deadline(self.node.data) == self.model.deadline

    @invariant()
    def it_ends_at_most_once_and_its_energy_is_what_was_metered(self) -> None:
        data = self.node.data
        assert len(self.model.records) == (data.finished_at is not None)
        assert data.corrections == self.model.corrections
        if self.model.records and "late-start" not in data.flags:
            assert data.charge.energy_wh == self.model.records[0]

    def come_to_an_end(self) -> None:
        """Every charge ends, also where its station says nothing any more; of one never begun nothing is written."""
        for _ in range(6):
            if self.model.deadline is None:
                break
            self.the_deadline_passes(due=True)
        assert self.node.state in ("Expired", "Settled") or self.node.rows == []


TestLocalLife = LocalLife.TestCase
TestLocalLife.settings = effort(lives=200, steps=40)
