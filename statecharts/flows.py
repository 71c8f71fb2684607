"""Hypothesis strategies of transaction flows, for your tests as for ours: what may happen to a transaction, in order or
out of it.

A flow is a tuple of events of one chart, from its first word on, each later than the one before. `source_flows`,
`destination_flows` and `local_flows` are valid: nothing in them is refused, and they end in a final state. `disordered`
makes of any of them what a bad network and a bad partner make of it: events lost, repeated, late, with others between
that `source_events`, `destination_events` or `local_events` invent. To test that nothing you build on the charts loses
a charge record, let it live through such flows:

    from hypothesis import given
    from statecharts.flows import destination_events, destination_flows, disordered

    @given(disordered(destination_flows(), destination_events()))
    def test_my_billing_sees_each_record_once(flow):
        data = DestinationTransaction()
        for event in flow:
            decision = CHART.step(data, event)
            data = decision.data
            my_billing.take(decision.effects)

The transaction is always the same one: user ada of PT-HOME at station CS01 of ES-LOCAL, authorised as 0A1B2C3D4E5F,
with OCPP transactionId 7. Flows with something in them that must be refused are in `invalid_flows`. Needs the package
`hypothesis`, which the running node never imports. docs/testing.md shows how to use them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
from hypothesis import strategies as st

from statecharts import destination_events as de
from statecharts import source_events as se
from statecharts import transaction_local as tl
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
from statecharts.events import DeadlineReached, Event, NodeRestarted, StationAnswered
from statecharts.flow_events import (
    AT_SOURCE,
    AT_STATION,
    BEGIN,
    FAILED_VERDICTS,
    ISSUED,
    NAME,
    NUMBER,
    OPENING,
    OTHER_NUMBER,
    REFUSAL,
    REQUESTED,
    charge_record,
    content,
    destination_events,
    local_events,
    source_events,
)
from statecharts.station_commands import CallOutcome, CallVerdict

__all__ = [
    "Flow",
    "destination_events",
    "destination_flows",
    "disordered",
    "local_events",
    "local_flows",
    "source_events",
    "source_flows",
    "stamped",
]

Flow = tuple[Event, ...]


class _Story:
    """A flow in the making: each event told comes some seconds after the one before."""

    def __init__(self, draw: st.DrawFn, *first: Event) -> None:
        self.draw, self.now, self.register_wh = draw, BEGIN, 1000
        self.events: list[Event] = [*first]

    def choose(self, *options: str) -> str:
        return self.draw(st.sampled_from(options))

    def often(self, at_most: int) -> range:
        return range(self.draw(st.integers(0, at_most)))

    def meter(self) -> int:
        """The register of the meter, which only rises."""
        self.register_wh += self.draw(st.integers(0, 5000))
        return self.register_wh

    def tell(self, event: type[Event], *, after_s: float | None = None, **content: Any) -> None:
        gap_s = self.draw(st.integers(1, 20)) if after_s is None else after_s
        self.now += timedelta(seconds=gap_s)
        self.events.append(event(at=self.now, **content))

    def answer(self, purpose: str, verdict: CallVerdict) -> None:
        self.tell(StationAnswered, purpose=purpose, outcome=CallOutcome(verdict=verdict, cause="as told"))

    def flow(self) -> Flow:
        return tuple(self.events)


# -- Source ------------------------------------------------------------------------------------------------------------


def _notify(story: _Story, request: str, success: bool) -> None:
    cause = None if success else "the station refused"
    story.tell(se.ResultNotified, request_identifier=request, success=success, cause=cause)


def _fail(story: _Story, request: str, deadline_s: float) -> None:
    """A request of the Source comes to nothing, in one of the ways there are."""
    way = story.choose("declined", "failed", "unanswered")
    if way == "declined":
        story.tell(se.RequestDeclined, request_identifier=request, refusal=REFUSAL)
        return
    if story.choose("accepted", "lost") == "accepted":
        story.tell(se.RequestAccepted, request_identifier=request)
    if way == "failed":
        _notify(story, request, False)
    else:
        story.tell(DeadlineReached, after_s=deadline_s)


def _progress(story: _Story) -> None:
    story.tell(se.ProgressReported, start_timestamp=BEGIN, content=content(story.meter()))


def _source_start(story: _Story) -> bool:
    """A start that succeeds; True if a stop was asked for meanwhile."""
    story.tell(se.StartRequested, request_identifier="start-ok")
    kept = story.choose("wait", "stop") == "stop"
    if kept:
        story.tell(se.StopRequested, request_identifier="stop-ok")
    if story.choose("notified", "notify lost") == "notified":
        _notify(story, "start-ok", True)
    else:
        _progress(story)
    return kept


def _source_charge(story: _Story) -> None:
    stopping = _source_start(story)
    for _ in story.often(3):
        _progress(story)
    if not stopping:
        for n in story.often(2):
            story.tell(se.StopRequested, request_identifier=f"stop-{n}")
            _fail(story, f"stop-{n}", AT_SOURCE.stop_s)
        if story.choose("talkative", "silent") == "silent":
            story.tell(DeadlineReached, after_s=AT_SOURCE.silence_s)
    if story.choose("asked", "at the station") == "asked":
        if not stopping:
            story.tell(se.StopRequested, request_identifier="stop-ok")
        _notify(story, "stop-ok", True)
        for _ in story.often(2):
            story.tell(DeadlineReached, after_s=AT_SOURCE.cdr_overdue_s)
    for _ in range(1 + len(story.often(2))):
        story.tell(se.TransactionEnded, message=charge_record(story.register_wh))


@st.composite
def source_flows(draw: st.DrawFn) -> Flow:
    """Valid lives of a transaction at the Source: refused, lapsed, or charged and settled."""
    story = _Story(draw, REQUESTED)
    how = story.choose("granted", "granted", "granted", "refused", "unanswered", "restarted")
    if how == "refused":
        story.tell(se.AuthorizationRefused, refusal=REFUSAL)
    elif how == "unanswered":
        story.tell(DeadlineReached, after_s=AT_SOURCE.authorize_answer_s)
    elif how == "restarted":
        story.tell(NodeRestarted)
    else:
        story.tell(se.AuthorizationGranted, authorization_identifier=NAME)
        for n in story.often(2):
            story.tell(se.StartRequested, request_identifier=f"start-{n}")
            _fail(story, f"start-{n}", AT_SOURCE.start_s)
        if story.choose("used", "used", "unused") == "unused":
            story.tell(DeadlineReached, after_s=AT_SOURCE.authorization_s)
        else:
            _source_charge(story)
    return story.flow()


# -- what stations do, whoever the charge is for -----------------------------------------------------------------------


def _fail_at_station(story: _Story, purpose: str, deadline_s: float) -> None:
    """A command to the station comes to nothing, in one of the ways there are."""
    way = story.choose("no", "silence", "late")
    if way == "no":
        story.answer(purpose, story.draw(st.sampled_from(FAILED_VERDICTS)))
        return
    if way == "late":
        story.answer(purpose, story.draw(st.sampled_from((CallVerdict.ACCEPTED, CallVerdict.UNKNOWN))))
    story.tell(DeadlineReached, after_s=deadline_s)


def _begin(story: _Story, id_tag: str, **other: Any) -> None:
    where: dict[str, Any] = {"number": NUMBER, "connector_id": 1, "id_tag": id_tag}
    story.tell(TransactionStarted, **where, timestamp=story.now, meter_start_wh=story.meter(), **other)


def _meter(story: _Story) -> None:
    story.tell(MeterRead, timestamp=story.now, meter_wh=story.meter())


def _end(story: _Story, reason: str = "Local") -> None:
    story.tell(TransactionStopped, number=NUMBER, timestamp=story.now, meter_stop_wh=story.meter(), reason=reason)


def _go_on(story: _Story) -> None:
    """Charging, with a doubt or two that come to nothing."""
    for _ in story.often(3):
        _meter(story)
        if story.choose("calm", "doubt") == "doubt":
            story.tell(StationDoubted, reason="booted")
            if story.choose("confirmed", "metered") == "confirmed":
                story.tell(StationConfirmed)
            else:
                _meter(story)


def _end_somehow(story: _Story) -> None:
    way = story.choose("stop", "taken", "lost", "silent", "denied", "closed")
    if way == "stop":
        _end(story)
    elif way == "taken":
        story.tell(ConnectorTaken, number=OTHER_NUMBER)
    elif way == "closed":
        story.tell(CloseAsked, reason="towed away", by="olga")
    else:
        if way == "silent":
            story.tell(DeadlineReached, after_s=AT_STATION.silence_s)
        else:
            story.tell(StationDoubted, reason="offline")
        if way == "denied":
            story.tell(StationDenied)
        else:
            story.tell(DeadlineReached, after_s=AT_STATION.reconcile_s)


# -- Destination -------------------------------------------------------------------------------------------------------


def _destination_start(story: _Story) -> None:
    story.tell(de.StartRequested, request_identifier="start-ok", connector_id=1)
    if story.choose("answered", "unknown") == "answered":
        story.answer("start", CallVerdict.ACCEPTED)
    if story.choose("in time", "late") == "late":
        story.tell(DeadlineReached, after_s=AT_STATION.start_s)


def _destination_charge(story: _Story) -> None:
    _destination_start(story)
    if story.choose("reported", "start lost") == "start lost":
        _end(story)
        return
    _begin(story, NAME)
    _go_on(story)
    for n in story.often(2):
        story.tell(de.StopRequested, request_identifier=f"stop-{n}")
        _fail_at_station(story, "stop", AT_STATION.stop_s)
    asked = story.choose("by the source", "by us", "by the driver")
    if asked == "by the driver":
        _end_somehow(story)
        return
    if asked == "by us":
        story.tell(StopAsked)
    else:
        story.tell(de.StopRequested, request_identifier="stop-ok")
    story.answer("stop", CallVerdict.ACCEPTED)
    _end(story, "Remote")


def _deliver(story: _Story) -> None:
    operations = {"start": "NotifyRequestResult", "stop": "NotifyRequestResult"}
    for kind, operation in operations.items():
        if story.choose("owed", "none") == "owed":
            story.tell(de.DeliveryEnded, message_id=f"notify/{kind}", operation=operation, status="done")
    for _ in story.often(1):
        story.tell(DeadlineReached, after_s=AT_STATION.cdr_overdue_s)
    for _ in story.often(1):
        story.tell(de.DeliveryEnded, message_id="end", operation="EndTransaction", status="parked", error="400")
    story.tell(de.DeliveryEnded, message_id="end", operation="EndTransaction", status="done")


@st.composite
def destination_flows(draw: st.DrawFn) -> Flow:
    """Valid lives of a transaction at the Destination: lapsed, or charged, told and delivered."""
    story = _Story(draw, ISSUED)
    for n in story.often(2):
        story.tell(de.StartRequested, request_identifier=f"start-{n}", connector_id=1)
        _fail_at_station(story, "start", AT_STATION.start_s)
    if story.choose("used", "used", "used", "unused") == "unused":
        story.tell(DeadlineReached, after_s=AT_STATION.authorization_s)
    else:
        _destination_charge(story)
        _deliver(story)
    return story.flow()


# -- local -------------------------------------------------------------------------------------------------------------


@st.composite
def local_flows(draw: st.DrawFn) -> Flow:
    """Valid lives of a transaction with no roaming partner: never started, or charged."""
    story = _Story(draw)
    if story.choose("card", "operator", "operator") == "operator":
        story.tell(tl.LocalStartRequested, opening=OPENING, connector_id=1)
        if story.choose("starts", "starts", "fails") == "fails":
            _fail_at_station(story, "start", AT_STATION.start_s)
            return story.flow()
    _begin(story, OPENING.id_tag, id_tag_accepted=draw(st.booleans()), opening=OPENING)
    _go_on(story)
    for _ in story.often(2):
        story.tell(StopAsked)
        _fail_at_station(story, "stop", AT_STATION.stop_s)
    _end_somehow(story)
    return story.flow()


# -- disorder ----------------------------------------------------------------------------------------------------------


def stamped(events: Sequence[Event]) -> Flow:
    """The events in this order, each learned of a second or more after the one before."""
    flow: list[Event] = []
    for event in events:
        at = max(event.at, flow[-1].at + timedelta(seconds=1)) if flow else event.at
        flow.append(msgspec.structs.replace(event, at=at))
    return tuple(flow)


@st.composite
def disordered(draw: st.DrawFn, flows: st.SearchStrategy[Flow], others: st.SearchStrategy[Event] | None = None) -> Flow:
    """Flows after their first event lost some, had some repeated and some delayed, and met `others` in between."""
    first, *rest = draw(flows)
    placed: list[tuple[int, Event]] = []
    for place, event in enumerate(rest):
        delays = draw(st.lists(st.sampled_from((0, 0, 0, 1, 2, 5, len(rest))), min_size=0, max_size=3))
        placed += [(place + delay, event) for delay in delays or draw(st.sampled_from(([0], [0], [0], [])))]
    if others is not None:
        noise = st.lists(st.tuples(st.integers(0, len(rest)), others), max_size=6)
        placed += draw(noise)
    return stamped([first, *(event for _, event in sorted(placed, key=lambda item: item[0]))])
