"""The flows that we give to our users are what they say: valid ones are taken whole, disordered ones break nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
