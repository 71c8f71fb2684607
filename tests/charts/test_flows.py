"""The flows that we give to our users are what they say: valid ones are taken whole, disordered ones break nothing."""

from __future__ import annotations

import datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import statecharts
from statecharts import transaction_destination, transaction_local, transaction_source
from statecharts.chart import Outcome
from statecharts.destination_events import DestinationTransaction
from statecharts.flows import (
    destination_events,
    destination_flows,
    disordered,
    local_events,
    local_flows,
    source_events,
    source_flows,
)
from statecharts.invalid_flows import (
    AT_DESTINATION,
    AT_SOURCE,
    LOCALLY,
    invalid_destination_flows,
    invalid_local_flows,
    invalid_source_flows,
)
from statecharts.source_events import SourceTransaction
from statecharts.transaction_local import LocalTransaction
from tests.charts.scenes import Scene, replayed

LIVES: dict[str, tuple[Any, Any, Any, Any]] = {
    "source": (transaction_source.CHART, SourceTransaction(), source_flows(), source_events()),
    "destination": (transaction_destination.CHART, DestinationTransaction(), destination_flows(), destination_events()),
    "local": (transaction_local.CHART, LocalTransaction(), local_flows(), local_events()),
}
every_life = pytest.mark.parametrize("name", LIVES)
few = settings(max_examples=80, deadline=None)


@every_life
@few
@given(data=st.data())
def test_a_valid_flow_is_never_refused_and_ends_in_a_final_state(name, data):
    chart, blank, flows, _ = LIVES[name]
    scene = Scene(chart, blank)
    for event in data.draw(flows):
        decision = scene.step(event)
        assert decision.outcome is not Outcome.REFUSED, (scene, decision.refusal)
    assert scene.chart.is_final(scene.data), scene


@every_life
@few
@given(data=st.data())
def test_a_disordered_flow_breaks_no_contract_and_replays_to_the_same_data(name, data):
    chart, blank, flows, others = LIVES[name]
    scene = Scene(chart, blank)
    for event in data.draw(disordered(flows, others)):
        scene.step(event)
    assert replayed(scene) == scene.data


@every_life
@few
@given(data=st.data())
def test_events_in_a_flow_come_one_after_the_other(name, data):
    _, _, flows, others = LIVES[name]
    times = [event.at for event in data.draw(disordered(flows, others))]
    assert times == sorted(set(times))


@every_life
def test_flows_reach_every_state(name):
    chart, blank, flows, _ = LIVES[name]
    missing = {state.name for state in chart.states}

    @settings(max_examples=200, deadline=None, derandomize=True, database=None)
    @given(flows)
    def explore(flow):
        scene = Scene(chart, blank)
        missing.discard(scene.state)
        for event in flow:
            scene.step(event)
            missing.discard(scene.state)

    explore()
    assert not missing


COMMON = {
    **vars(statecharts.vocabulary),
    **vars(statecharts.station_vocabulary),
    **vars(statecharts.station_reports),
    **vars(statecharts.station_commands),
    **vars(statecharts.events),
}
NAMES: dict[str, dict[str, Any]] = {
    "source": {**COMMON, **vars(statecharts.ports), **vars(statecharts.source_events)},
    "destination": {**COMMON, **vars(statecharts.charging), **vars(statecharts.destination_events)},
    "local": {**COMMON, **vars(statecharts.charging), **vars(transaction_local)},
}
"""What the events of a flow are made of."""


@every_life
@few
@given(data=st.data())
def test_a_flow_is_printed_as_code_that_makes_it_again(name, data):
    _, _, flows, others = LIVES[name]
    flow = data.draw(disordered(flows, others))
    assert eval(repr(flow), {**NAMES[name], "datetime": datetime}) == flow


INVALID: dict[str, tuple[Any, Any]] = {
    "source": (invalid_source_flows(), AT_SOURCE),
    "destination": (invalid_destination_flows(), AT_DESTINATION),
    "local": (invalid_local_flows(), LOCALLY),
}


@every_life
@few
@given(data=st.data())
def test_in_an_invalid_flow_one_event_is_refused_and_all_else_goes_on_as_if_it_had_never_come(name, data):
    chart, blank, _, _ = LIVES[name]
    trespass = data.draw(INVALID[name][0])
    scene, undisturbed = Scene(chart, blank), Scene(chart, blank)
    for place, event in enumerate(trespass.flow):
        decision = scene.step(event)
        if place == trespass.place:
            assert decision.refusal is not None, f"{event} must be refused"
            assert (decision.refusal.code, decision.effects) == (trespass.code, ())
        else:
            assert decision.refusal is None
            undisturbed.step(event)
    assert without_flags(scene.data) == without_flags(undisturbed.data)
    assert chart.is_final(scene.data)


def without_flags(data: Any) -> Any:
    """What people are shown of it is all that a refused event may change."""
    return msgspec.structs.replace(data, flags=())


@every_life
def test_invalid_flows_know_what_every_state_refuses(name):
    chart = LIVES[name][0]
    asked = {type(event) for refused in INVALID[name][1].values() for event, _ in refused}
    for state in chart.states:
        if state.name == chart.initial:
            continue
        refusing = {type(event) for event, _ in INVALID[name][1].get(state.name, ())}
        for event in asked:
            rows = chart.table[state.name].get(event, ())
            always_refused = not rows or (rows[-1].refusal is not None and not any(row.target for row in rows))
            assert event in refusing or not always_refused, (state.name, event)
