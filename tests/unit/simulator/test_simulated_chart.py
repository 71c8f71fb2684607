"""The chart of a simulated connector: every pair decided, and what must always hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statecharts.chart import Outcome
from statecharts.events import Command, DeadlineReached, Event, Fact
from statecharts.simulated_connector import AVAILABLE, RUNNING, Connector, Rules
from statecharts.simulated_events import (
    BeginTransaction,
    CablePlugged,
    CableUnplugged,
    CancelReservation,
    EndTransaction,
    IdTagJudged,
    IdTagPresented,
    MakeInoperative,
    Reserve,
    StartJudged,
    StartRemotely,
)
from statecharts.simulated_station import CHART
from statecharts.station_reports import ConnectorStatus

AT = datetime(2026, 3, 1, 8, tzinfo=UTC)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "id_tag": st.sampled_from(["CARD1", "card1", "CARD2"]),
    "accepted": st.booleans(),
    "transaction": st.integers(1, 4),
    "error_code": st.just("GroundFailure"),
    "reason": st.sampled_from(["HardReset", "SoftReset"]),
    "meter_wh": st.integers(0, 10_000),
    "at": st.just(AT),
}
ANSWERS: dict[type[Event], tuple[str, ...]] = {
    Reserve: ("Accepted", "Occupied", "Unavailable", "Faulted"),
    CancelReservation: ("Accepted", "Rejected"),
}
RULES = st.builds(Rules, authorize_remote=st.booleans(), stop_on_invalid_id=st.booleans())


def events() -> st.SearchStrategy[Event]:
    kinds = list(CHART.events.values())
    return st.sampled_from(kinds).flatmap(
        lambda kind: st.builds(kind, **{name: FIELDS[name] for name in kind.__struct_fields__ if name in FIELDS})
    )


def walked(*steps: Event) -> Connector:
    data = Connector(connector_id=1)
    for event in steps:
        data = CHART.step(data, event).data
    return data


@pytest.mark.parametrize("state", CHART.table)
@pytest.mark.parametrize("event", CHART.events.values(), ids=lambda event: event.__name__)
def test_every_fact_is_taken_and_every_command_is_answered_or_refused(state: str, event: type[Event]) -> None:
    rows = CHART.table[state].get(event, ())
    if issubclass(event, Fact):
        assert rows, "a fact is decided in every state"
        assert rows[-1].when is None
        assert all(row.refusal is None for row in rows)
    elif event is not DeadlineReached:
        assert issubclass(event, Command)
        assert all(row.answer in ANSWERS.get(event, ("Accepted", "Scheduled", "Unlocked")) for row in rows)


@given(RULES, st.lists(events(), max_size=40))
def test_whatever_happens_every_transaction_begins_once_and_ends_once(rules: Rules, happenings: list[Event]) -> None:
    data, running, begun = Connector(connector_id=1, rules=rules), False, 0
    for event in happenings:
        decision = CHART.step(data, event)
        for effect in decision.effects:
            assert not isinstance(effect, BeginTransaction) or not running
            assert not isinstance(effect, EndTransaction) or running
            running = isinstance(effect, BeginTransaction) or (running and not isinstance(effect, EndTransaction))
            begun += isinstance(effect, BeginTransaction)
        data = decision.data
        assert (running, begun) == (data.state in RUNNING, data.begun)


def test_every_state_has_an_ocpp_status() -> None:
    statuses = {state: Connector(connector_id=1, state=state).status for state in CHART.table}
    assert set(statuses.values()) == set(ConnectorStatus)
    assert statuses["Authorizing"] is statuses["AwaitingCable"] is statuses["Plugged"] is ConnectorStatus.PREPARING


def test_waiting_for_a_cable_ends_after_connection_time_out() -> None:
    data = Connector(connector_id=1, rules=Rules(connection_timeout_s=45))
    waiting = CHART.step(data, StartRemotely(at=AT, meter_wh=0, id_tag="CARD1")).data
    assert CHART.deadline(waiting) == AT + timedelta(seconds=45)
    assert CHART.step(waiting, DeadlineReached(at=AT)).data == data


def test_a_cable_plugged_while_authorizing_does_not_prolong_the_wait() -> None:
    asking = walked(IdTagPresented(at=AT, meter_wh=0, id_tag="CARD1"))
    plugged = CHART.step(asking, CablePlugged(at=AT + timedelta(seconds=20), meter_wh=0)).data
    assert CHART.deadline(plugged) == CHART.deadline(asking) == AT + timedelta(seconds=30)


def test_the_answer_for_another_card_decides_nothing() -> None:
    asking = walked(IdTagPresented(at=AT, meter_wh=0, id_tag="CARD1"))
    decision = CHART.step(asking, IdTagJudged(at=AT, meter_wh=0, id_tag="CARD2", accepted=True))
    assert (decision.outcome, decision.data) == (Outcome.REPEATED, asking)


def test_a_late_verdict_about_an_earlier_transaction_stops_nothing() -> None:
    first = [CablePlugged(at=AT, meter_wh=0), StartRemotely(at=AT, meter_wh=0, id_tag="CARD1")]
    charging = walked(*first, CableUnplugged(at=AT, meter_wh=9), *first)
    assert charging.transaction == 2
    assert CHART.step(charging, StartJudged(at=AT, meter_wh=9, transaction=1, accepted=False)).data == charging


def test_a_stop_carries_the_meter_and_the_card_that_ended_it() -> None:
    charging = walked(CablePlugged(at=AT, meter_wh=5), StartRemotely(at=AT, meter_wh=5, id_tag="CARD1"))
    decision = CHART.step(charging, IdTagPresented(at=AT, meter_wh=77, id_tag="card1"))
    assert decision.effects == (EndTransaction(reason="Local", meter_wh=77, at=AT, id_tag="CARD1"),)


def test_taken_out_of_service_at_rest_it_is_unavailable_at_once_and_refuses_starts() -> None:
    decision = CHART.step(walked(), MakeInoperative(at=AT, meter_wh=0))
    assert (decision.answer, decision.data.state) == ("Accepted", "Unavailable")
    refused = CHART.step(decision.data, StartRemotely(at=AT, meter_wh=0, id_tag="CARD1"))
    assert refused.refusal is not None
    assert CHART.initial == AVAILABLE
