"""What makes the transactions of a role what they are: chart, form, views, and what each shares with a station."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic

from actors.durable import Form
from actors.station_messages import Hold
from statecharts import transaction_destination, transaction_local, transaction_source, views
from statecharts.chart import Chart, D
from statecharts.destination_events import DestinationTransaction
from statecharts.destination_events import S as DestinationState
from statecharts.ports import CdrView, TransactionView
from statecharts.source_events import S as SourceState
from statecharts.source_events import SourceTransaction
from statecharts.transaction_local import LocalTransaction
from statecharts.transaction_local import S as LocalState
from statecharts.vocabulary import Value


class Remembered(Value, Generic[D], frozen=True, kw_only=True):
    """What the actor of a transaction knows of its stream."""

    data: D
    correlation_id: str | None = None


@dataclass(frozen=True, slots=True)
class Kind(Generic[D]):
    """What makes a role's transactions what they are. `held` is the connector that a start under way still holds.

    `goes_on` says that a station charges for it.
    In its `awake` states something may be under way that stands in no journal: such a transaction never rests.
    """

    role: str
    chart: Chart[D]
    form: Form[Remembered[D]]
    view: Callable[[D, int], TransactionView]
    awake: tuple[str, ...]
    cdr: Callable[[D], CdrView | None] = lambda _: None
    acknowledged_at: Callable[[D], datetime | None] = lambda _: None
    held: Callable[[D], Hold | None] = lambda _: None
    goes_on: Callable[[D], bool] = lambda _: False


def _held_by_destination(data: DestinationTransaction) -> Hold | None:
    if data.state != DestinationState.START_TX_REQUESTED or data.changed_at is None:
        return None
    stream = f"destination/{data.id}"
    return Hold(transaction=stream, connector_id=data.connector_id, id_tag=data.id, at=data.changed_at)


def _held_by_local(data: LocalTransaction) -> Hold | None:
    if data.state != LocalState.START_TX_REQUESTED or data.changed_at is None:
        return None
    stream = f"local/{data.id}"
    return Hold(transaction=stream, connector_id=data.connector_id, id_tag=data.id_tag, at=data.changed_at)


SOURCE: Kind[SourceTransaction] = Kind(
    "source",
    transaction_source.CHART,
    Form("source 1", Remembered[SourceTransaction], Remembered(data=SourceTransaction())),
    views.source_view,
    (SourceState.AUTHORIZING, SourceState.START_TX_REQUESTED, SourceState.STOP_TX_REQUESTED),
    views.source_cdr,
    lambda data: data.finished_at,
)
DESTINATION: Kind[DestinationTransaction] = Kind(
    "destination",
    transaction_destination.CHART,
    Form("destination 5", Remembered[DestinationTransaction], Remembered(data=DestinationTransaction())),
    views.destination_view,
    (DestinationState.START_TX_REQUESTED, DestinationState.STOP_TX_REQUESTED),
    views.destination_cdr,
    lambda data: data.acknowledged_at,
    _held_by_destination,
    lambda data: data.state in (DestinationState.TX_RUNNING, DestinationState.STOP_TX_REQUESTED),
)
LOCAL: Kind[LocalTransaction] = Kind(
    "local",
    transaction_local.CHART,
    Form("local 5", Remembered[LocalTransaction], Remembered(data=LocalTransaction())),
    views.local_view,
    (LocalState.START_TX_REQUESTED, LocalState.STOP_TX_REQUESTED),
    held=_held_by_local,
    goes_on=lambda data: data.state in (LocalState.TX_RUNNING, LocalState.STOP_TX_REQUESTED),
)
KINDS: dict[str, Kind[Any]] = {kind.role: kind for kind in (SOURCE, DESTINATION, LOCAL)}
