"""A Source and a Destination joined by a link that loses, repeats and reorders: both end with the same charge record.

The link does what the outbox and the HTTP client do: a command is tried again until its deadline, a fact until it is
acknowledged, and neither side knows whether a message that got no answer arrived. Hypothesis chooses what the link, the
app and the station do, and when a node dies with all that was not in its journal; afterwards the link is fair, and
what is owed must get through.
"""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.transaction_kinds import DESTINATION, SOURCE
from statecharts import destination_events as de
from statecharts import source_events as se
from statecharts.charging import ConnectorTaken, MeterRead, StationDoubted, TransactionStarted, TransactionStopped
from statecharts.events import (
    CommandStation,
    DeadlineReached,
    Deliver,
    Event,
    NodeRestarted,
    SendProgress,
    StationAnswered,
)
from statecharts.flow_events import ISSUED, NAME, REQUESTED
from statecharts.station_commands import CallOutcome, CallVerdict, RemoteStartTransaction
from statecharts.vocabulary import (
    EndTransaction,
    RequestStartTransaction,
    RequestStopTransaction,
    TransactionProgressUpdate,
)
from tests.charts.scenes import RARELY
from tests.models.efforts import effort
from tests.models.journalled import Journalled

SIDES = st.sampled_from(("source", "destination"))
WHICH = st.integers(0, 4)


class TwoSides(RuleBasedStateMachine):
    """One user, two operators, one station with one connector."""

    def __init__(self) -> None:
        super().__init__()
        self.source, self.destination = Journalled(SOURCE), Journalled(DESTINATION)
        self.now = REQUESTED.at
        self.asked = 0
        self.ever_owed: set[str] = set()
        self.to_destination: dict[str, Deliver] = {}
        self.to_source: dict[str, Deliver] = {}
        self.progress: list[TransactionProgressUpdate] = []
        self.commands: list[CommandStation] = []
        self.meter_wh = 1000
        self.number: int | None = None
        self.charges = 0
        self._at_source(REQUESTED)
        self._at_destination(ISSUED)
        self._at_source(se.AuthorizationGranted(at=self._tick(), authorization_identifier=NAME))

    # -- the two nodes -------------------------------------------------------------------------------------------------

    def _tick(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now

    def _at_source(self, event: Event) -> Any:
        decision = self.source.step(event)
        owed = {e.message_id: e for e in decision.effects if isinstance(e, Deliver)}
        assert not owed.keys() & self.ever_owed
        self.ever_owed |= owed.keys()
        self.to_destination |= owed
        return decision

    def _at_destination(self, event: Event) -> Any:
        decision = self.destination.step(event)
        owed = {e.message_id: e for e in decision.effects if isinstance(e, Deliver)}
        assert not owed.keys() & self.ever_owed
        self.ever_owed |= owed.keys()
        self.to_source |= owed
        self.progress += [e.message for e in decision.effects if isinstance(e, SendProgress)]
        self.commands += [e for e in decision.effects if isinstance(e, CommandStation)]
        return decision

    # -- the link ------------------------------------------------------------------------------------------------------

    def _carry_to_destination(self, owed: Deliver, *, answer_lost: bool) -> None:
        message: Any = owed.message
        kind = {RequestStartTransaction: de.StartRequested, RequestStopTransaction: de.StopRequested}[type(message)]
        place = {"connector_id": 1} if kind is de.StartRequested else {}
        name = message.request_identifier
        decision = self._at_destination(kind(at=self._tick(), request_identifier=name, **place))
        if answer_lost:
            return
        self.to_destination.pop(owed.message_id, None)
        if decision.refusal is None:
            self._at_source(se.RequestAccepted(at=self._tick(), request_identifier=name))
        else:
            self._at_source(se.RequestDeclined(at=self._tick(), request_identifier=name, refusal=decision.refusal))

    def _carry_to_source(self, owed: Deliver, *, answer_lost: bool) -> None:
        message: Any = owed.message
        if isinstance(message, EndTransaction):
            event: Event = se.TransactionEnded(at=self._tick(), message=message)
        else:
            event = se.ResultNotified(
                at=self._tick(),
                request_identifier=message.request_identifier,
                success=message.request_success,
                cause=message.cause,
            )
        decision = self._at_source(event)
        assert decision.refusal is None, "what an honest Destination reports is never refused"
        if not answer_lost:
            self.to_source.pop(owed.message_id, None)
            self._delivered(owed)

    def _delivered(self, owed: Deliver) -> None:
        operation = type(owed.message).__name__
        ended = de.DeliveryEnded(at=self._tick(), message_id=owed.message_id, operation=operation, status="done")
        self._at_destination(ended)

    def _drop_lapsed(self) -> None:
        """A command is never sent after its deadline."""
        self.to_destination = {k: e for k, e in self.to_destination.items() if e.expires_at and e.expires_at > self.now}

    @precondition(lambda self: self.to_destination)
    @rule(which=WHICH, answer_lost=st.booleans())
    def a_command_arrives(self, which: int, answer_lost: bool) -> None:
        self._drop_lapsed()
        owed = list(self.to_destination.values())
        if owed:
            self._carry_to_destination(owed[which % len(owed)], answer_lost=answer_lost)

    @precondition(lambda self: self.to_source)
    @rule(which=WHICH, answer_lost=st.booleans())
    def a_fact_arrives(self, which: int, answer_lost: bool) -> None:
        owed = list(self.to_source.values())
        self._carry_to_source(owed[which % len(owed)], answer_lost=answer_lost)

    @precondition(lambda self: self.progress)
    @rule(which=WHICH)
    def progress_arrives(self, which: int) -> None:
        """Old or new, and perhaps twice."""
        message = self.progress[which % len(self.progress)]
        start, content = message.start_transaction_timestamp, message.transaction_data
        self._at_source(se.ProgressReported(at=self._tick(), start_timestamp=start, content=content))

    @rule()
    def the_link_is_good_for_a_while(self) -> None:
        self._drop_lapsed()
        for owed in list(self.to_destination.values()):
            self._carry_to_destination(owed, answer_lost=False)
        for owed in list(self.to_source.values()):
            self._carry_to_source(owed, answer_lost=False)

    # -- the app -------------------------------------------------------------------------------------------------------

    @rule(what=st.sampled_from(("start", "stop")))
    def the_app_asks(self, what: str) -> None:
        self.asked += 1
        kind = se.StartRequested if what == "start" else se.StopRequested
        self._at_source(kind(at=self._tick(), request_identifier=f"r{self.asked}"))

    @initialize(how_far=st.sampled_from(("granted", "asked", "running", "running", "running")))
    def beginning(self, how_far: str) -> None:
        """Most worlds begin with a charge under way that the Source may not have heard of."""
        if how_far != "granted":
            self.the_app_asks("start")
        if how_far == "running":
            self._carry_to_destination(next(iter(self.to_destination.values())), answer_lost=False)
            self.the_station_is_commanded(CallVerdict.ACCEPTED, obeys=True)

    # -- the station ---------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.commands)
    @rule(verdict=st.sampled_from(CallVerdict), obeys=st.booleans())
    def the_station_is_commanded(self, verdict: CallVerdict, obeys: bool) -> None:
        """It may obey without its answer getting through, and accept without ever obeying."""
        command = self.commands.pop(0)
        self._at_destination(
            StationAnswered(at=self._tick(), purpose=command.purpose, outcome=CallOutcome(verdict=verdict))
        )
        if obeys and verdict in (CallVerdict.ACCEPTED, CallVerdict.UNKNOWN):
            if isinstance(command.command, RemoteStartTransaction):
                self._begin()
            elif self.number == command.command.transaction_id:
                self._end()

    def _begin(self) -> None:
        if self.number is not None or self.destination.data.charge.number is not None:
            return
        self.charges += 1
        self.number = 6 + self.charges
        self._at_destination(
            TransactionStarted(
                at=self._tick(),
                number=self.number,
                connector_id=1,
                id_tag=NAME,
                timestamp=self.now,
                meter_start_wh=self.meter_wh,
            )
        )

    def _end(self) -> None:
        assert self.number is not None
        stopped = TransactionStopped(
            at=self._tick(), number=self.number, timestamp=self.now, meter_stop_wh=self.meter_wh, reason="Local"
        )
        self._at_destination(stopped)
        self.number = None

    @precondition(lambda self: self.number is not None)
    @rule(wh=st.integers(0, 500), seconds=st.sampled_from((1, 100)))
    def the_car_charges(self, wh: int, seconds: int) -> None:
        self.meter_wh += wh
        self.now += timedelta(seconds=seconds)
        self._at_destination(MeterRead(at=self._tick(), timestamp=self.now, meter_wh=self.meter_wh))

    @precondition(lambda self: self.number is not None)
    @rule()
    def the_driver_stops(self) -> None:
        self._end()

    @precondition(lambda self: self.number is not None)
    @rule(taken=st.booleans(), lost=RARELY)
    def the_stop_is_lost(self, taken: bool, lost: bool) -> None:
        if not lost:
            return
        self.number = None
        event = ConnectorTaken(at=self._tick(), number=99) if taken else StationDoubted(at=self._tick(), reason="boot")
        self._at_destination(event)

    # -- time ----------------------------------------------------------------------------------------------------------

    @rule(side=SIDES, due=RARELY)
    def a_deadline_passes(self, side: str, due: bool) -> None:
        if due:
            self._next_deadline(side)

    def _next_deadline(self, side: str) -> None:
        """The nearer one fires first; of two at once, that of the side named."""
        nodes = (self.source, self.destination) if side == "source" else (self.destination, self.source)
        dues = [(due, node) for node in nodes if (due := node.chart.deadline(node.data))]
        if dues:
            self._time_out(min(dues, key=lambda item: item[0])[1])

    def _time_out(self, node: Journalled) -> None:
        due = node.chart.deadline(node.data)
        assert due is not None
        self.now = node.now = max(due, self.now)
        told = DeadlineReached(at=self.now)
        self._at_source(told) if node is self.source else self._at_destination(told)

    @rule(side=SIDES, by_snapshot=st.booleans())
    def a_node_restarts(self, side: str, by_snapshot: bool) -> None:
        """What is owed stands in its outbox; commands that its station has not had yet are gone for ever."""
        node = self.source if side == "source" else self.destination
        assert node.read_back(by_snapshot=by_snapshot) == node.data
        node.data = node.read_back(by_snapshot=by_snapshot)
        node.take_snapshot()
        if node is self.destination:
            self.commands.clear()
        node.step(NodeRestarted(at=self._tick()))

    # -- what holds ----------------------------------------------------------------------------------------------------

    @invariant()
    def the_source_bills_only_what_the_destination_recorded(self) -> None:
        assert self.source.data.end in (None, self.destination.data.end)

    @invariant()
    def the_destination_asked_for_no_more_starts_than_the_app(self) -> None:
        starts = [e for e in self.destination.effects if isinstance(e, CommandStation) and e.purpose == "start"]
        assert len(starts) <= sum(o.kind == "start" for o in self.source.data.operations)

    def teardown(self) -> None:
        """From here on the link is fair and the station is silent: everything owed gets through."""
        if sys.exception() is not None:
            return
        for _ in range(12):
            while self.to_source:
                self._carry_to_source(next(iter(self.to_source.values())), answer_lost=False)
            self._drop_lapsed()
            while self.to_destination:
                self._carry_to_destination(next(iter(self.to_destination.values())), answer_lost=False)
            if self._over():
                break
            self._next_deadline("source")
        assert self._over()
        source, destination = self.source.data, self.destination.data
        assert source.end == destination.end
        assert (source.state == "Settled") == (destination.state == "Settled")
        if destination.end is not None and not destination.charge.estimated:
            energy = destination.end.transaction_data.energy_wh
            assert energy == destination.charge.meter_stop_wh - destination.charge.meter_start_wh

    def _over(self) -> bool:
        nodes = (self.source, self.destination)
        return not self.to_source and all(node.chart.is_final(node.data) for node in nodes)


TestTwoSides = TwoSides.TestCase
TestTwoSides.settings = effort(lives=200, steps=40)
