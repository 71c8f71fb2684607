"""One connector of a station, after the status table of OCPP 1.6 section 4.9.

What a station says its connector is, it is: every reported status is taken. The table only tells apart the changes that
the specification knows from those that it does not, which are flagged and counted. Of OCPP 2.x it is an EVSE, which
shows one status for all its plugs.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

import msgspec

from statecharts.chart import Chart, State, move, repeat
from statecharts.events import Event, Fact
from statecharts.station_reports import ConnectorStatus
from statecharts.vocabulary import Value

A, B, C, D, E, F, G, H, J = (
    ConnectorStatus.AVAILABLE,
    ConnectorStatus.PREPARING,
    ConnectorStatus.CHARGING,
    ConnectorStatus.SUSPENDED_EV,
    ConnectorStatus.SUSPENDED_EVSE,
    ConnectorStatus.FINISHING,
    ConnectorStatus.RESERVED,
    ConnectorStatus.UNAVAILABLE,
    ConnectorStatus.FAULTED,
)
"""The rows of the specification's table under its own letters, but for its I, which reads like a 1: here J."""

CHARGES_GO_ON = (C, D, E)
"""What a connector shows while a charge goes on there."""

KEPT_FOR_NOBODY = (A, H, J)
"""What a connector shows that is not reserved; a charge that begins uses its reservation up."""

UNKNOWN = "Unknown"

EXPECTED: dict[ConnectorStatus, tuple[ConnectorStatus, ...]] = {
    A: (B, C, D, E, G, H, J),
    B: (A, C, D, E, F, J),
    C: (A, D, E, F, H, J),
    D: (A, C, E, F, H, J),
    E: (A, C, D, F, H, J),
    F: (A, B, H, J),
    G: (A, B, H, J),
    H: (A, B, C, D, E, J),
    J: (A, B, C, D, E, F, G, H),
}
"""OCPP 1.6 section 4.9: which status may follow which."""


OF_SEVERAL = (B, G, A, J, H)
"""What an EVSE shows of what its plugs show: the first of these that one of them does.

It charges one car at a time: where a cable is in a car, or a plug is kept for somebody, the others are nobody's; and
one plug that works is enough.
"""


def of_plugs(statuses: Collection[ConnectorStatus]) -> ConnectorStatus:
    """The one status of an EVSE whose plugs show these, of which there is at least one."""
    return min(statuses, key=OF_SEVERAL.index)


class StatusReported(Fact, frozen=True, kw_only=True):
    """What a connector shows, by a StatusNotification or an event of a transaction; `timestamp` is the station's own.

    Of OCPP 2.x `plug_id` is the plug that was spoken of, if one was, and `plug_status` what that one shows.
    """

    connector_id: int
    status: ConnectorStatus
    error_code: str = "NoError"
    timestamp: datetime | None = None
    plug_id: int | None = None
    plug_status: ConnectorStatus | None = None


class Evse(Value, frozen=True, kw_only=True):
    """A connector; `surprises` counts changes that the specification does not know, `plugs` are those of OCPP 2.x."""

    state: str = UNKNOWN
    connector_id: int = 0
    error_code: str = "NoError"
    since: datetime | None = None
    surprises: int = 0
    plugs: dict[int, ConnectorStatus] = msgspec.field(default_factory=dict)


def _says(status: ConnectorStatus) -> Any:
    return lambda _, event: event.status is status


def _says_more(data: Evse, event: StatusReported) -> bool:
    return data.state == event.status and (data.error_code != event.error_code or _plugs(data, event) != data.plugs)


def _plugs(before: Evse, event: StatusReported) -> dict[int, ConnectorStatus]:
    if event.plug_id is None or event.plug_status is None:
        return before.plugs
    return {**before.plugs, event.plug_id: event.plug_status}


def _reported(before: Evse, event: StatusReported) -> dict[str, Any]:
    since = event.timestamp or event.wall_at
    shown = {"connector_id": event.connector_id, "error_code": event.error_code, "since": since}
    return {**shown, "plugs": _plugs(before, event)}


def _rows() -> Any:
    note = "other error, or another plug"
    yield from (move(StatusReported, s, s, when=_says_more, note=note) for s in ConnectorStatus)
    yield from (repeat(StatusReported, s, when=_says(s), note="the same") for s in ConnectorStatus)
    yield from (move(StatusReported, UNKNOWN, s, when=_says(s), note="first word") for s in ConnectorStatus)
    for source, targets in EXPECTED.items():
        for target in ConnectorStatus:
            if target is not source:
                note = "" if target in targets else "not in the table: counted"
                yield move(StatusReported, source, target, when=_says(target), note=note)
    yield repeat(StatusReported, (UNKNOWN, *ConnectorStatus), note="never: every status has its row")


def surprising(before: Evse, event: StatusReported) -> bool:
    """Whether the specification does not know this change."""
    known = before.state != UNKNOWN and before.state != event.status
    return known and event.status not in EXPECTED[ConnectorStatus(before.state)]


STATES = (
    State(UNKNOWN, "the station has not said yet", resting=True),
    *(State(status, f"as OCPP says: {status}", resting=True) for status in ConnectorStatus),
)

CHART: Chart[Evse] = Chart(
    name="EVSE", initial=UNKNOWN, states=STATES, rows=tuple(_rows()), evolve={StatusReported: _reported}
)


def step(data: Evse, event: Event) -> Evse:
    """The connector after this report."""
    after = CHART.step(data, event).data
    if isinstance(event, StatusReported) and surprising(data, event):
        return msgspec.structs.replace(after, surprises=data.surprises + 1)
    return after
