"""Hypothesis strategies of transaction flows in which one thing is asked or said that must be refused.

Each is a valid flow of `flows` with one event too many: a start of what runs already, a stop of what was never started,
a report of another user's charge. A `Trespass` says where it stands and with which code it must be refused; all
else is taken as if it had never come:

    @given(invalid_destination_flows())
    def test_my_billing_hears_of_no_refused_request(trespass):
        for place, event in enumerate(trespass.flow):
            ...

Needs the package `hypothesis`, which the running node never imports.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

import msgspec
from hypothesis import strategies as st

from statecharts import destination_events as de
from statecharts import source_events as se
from statecharts import transaction_destination, transaction_local, transaction_source
from statecharts import transaction_local as tl
from statecharts.charging import StopAsked
from statecharts.chart import Chart
from statecharts.events import Event
from statecharts.flow_events import BEGIN, LOCAL_START, charge_record, content
from statecharts.flows import Flow, destination_flows, local_flows, source_flows

__all__ = ["Trespass", "invalid_destination_flows", "invalid_local_flows", "invalid_source_flows"]

STRANGER = "eve"


class Trespass(NamedTuple):
    """A flow whose event at `place` must be refused with `code`, and changes nothing but what people are shown."""

    flow: Flow
    place: int
    code: int


Forbidden = Mapping[str, Sequence[tuple[Event, int]]]
"""What is refused in each state, and with which code."""

_START = se.StartRequested(at=BEGIN, request_identifier="uncalled-for")
_STOP = se.StopRequested(at=BEGIN, request_identifier="uncalled-for")
_FOREIGN: Sequence[tuple[Event, int]] = (
    (se.ProgressReported(at=BEGIN, start_timestamp=BEGIN, content=content(1, user=STRANGER)), 403),
    (se.TransactionEnded(at=BEGIN, message=charge_record(1, user=STRANGER)), 403),
)
_OTHER_END = se.TransactionEnded(at=BEGIN, message=charge_record(10**9))
AT_SOURCE: Forbidden = {
    se.S.AUTHORIZING: ((_START, 409), (_STOP, 409)),
    se.S.REFUSED: ((_START, 409), (_STOP, 409)),
    se.S.READY: ((_STOP, 409), *_FOREIGN),
    se.S.EXPIRED: ((_START, 410), (_STOP, 409), *_FOREIGN),
    se.S.START_TX_REQUESTED: _FOREIGN,
    se.S.TX_RUNNING: ((_START, 409), *_FOREIGN),
    se.S.STOP_TX_REQUESTED: ((_START, 409), *_FOREIGN),
    se.S.TX_FINISHED: ((_START, 410), (_STOP, 410), *_FOREIGN),
    se.S.SETTLED: ((_START, 410), (_STOP, 410), (_OTHER_END, 409), *_FOREIGN),
}

_PEERS_START = de.StartRequested(at=BEGIN, request_identifier="uncalled-for", connector_id=1)
_PEERS_STOP = de.StopRequested(at=BEGIN, request_identifier="uncalled-for")
_OVER = ((_PEERS_START, 410), (_PEERS_STOP, 410))
AT_DESTINATION: Forbidden = {
    de.S.READY: ((_PEERS_STOP, 409), (StopAsked(at=BEGIN), 409)),
    de.S.EXPIRED: ((_PEERS_START, 410), (_PEERS_STOP, 409), (StopAsked(at=BEGIN), 409)),
    de.S.START_TX_REQUESTED: ((_PEERS_STOP, 409), (StopAsked(at=BEGIN), 409)),
    de.S.TX_FINISHED: (*_OVER, (StopAsked(at=BEGIN), 409)),
    de.S.SETTLED: (*_OVER, (StopAsked(at=BEGIN), 409)),
}

LOCALLY: Forbidden = {
    tl.S.START_TX_REQUESTED: ((StopAsked(at=BEGIN), 409),),
    tl.S.EXPIRED: ((LOCAL_START, 409), (StopAsked(at=BEGIN), 409)),
    tl.S.TX_RUNNING: ((LOCAL_START, 409),),
    tl.S.STOP_TX_REQUESTED: ((LOCAL_START, 409),),
    tl.S.SETTLED: ((LOCAL_START, 409), (StopAsked(at=BEGIN), 410)),
}


def _trespassing(
    flows: Callable[[], st.SearchStrategy[Flow]], chart: Chart[Any], blank: Any, forbidden: Forbidden
) -> st.SearchStrategy[Trespass]:
    @st.composite
    def trespass(draw: st.DrawFn) -> Trespass:
        flow = draw(flows())
        places = [place for place, state in enumerate(_states(chart, blank, flow), 1) if state in forbidden]
        place = draw(st.sampled_from(places))
        event, code = draw(st.sampled_from(forbidden[_states(chart, blank, flow)[place - 1]]))
        at = flow[place - 1].at + timedelta(seconds=0.5)
        return Trespass((*flow[:place], msgspec.structs.replace(event, at=at), *flow[place:]), place, code)

    return trespass()


def _states(chart: Chart[Any], blank: Any, flow: Flow) -> list[str]:
    """The state after each event."""
    data, states = blank, []
    for event in flow:
        data = chart.step(data, event).data
        states.append(str(data.state))
    return states


def invalid_source_flows() -> st.SearchStrategy[Trespass]:
    """Lives of a transaction at the Source in which app or Destination once ask or say what they may not."""
    return _trespassing(source_flows, transaction_source.CHART, se.SourceTransaction(), AT_SOURCE)


def invalid_destination_flows() -> st.SearchStrategy[Trespass]:
    """Lives of a transaction at the Destination in which the Source, or our operator, once ask what they may not."""
    return _trespassing(destination_flows, transaction_destination.CHART, de.DestinationTransaction(), AT_DESTINATION)


def invalid_local_flows() -> st.SearchStrategy[Trespass]:
    """Lives of a transaction with no roaming partner in which our operator once asks what cannot be."""
    return _trespassing(local_flows, transaction_local.CHART, tl.LocalTransaction(), LOCALLY)
