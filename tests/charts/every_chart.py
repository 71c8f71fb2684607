"""All charts of the house, with a strategy of events for each: what tests that hold for any chart are run over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from statecharts import (
    evse,
    local_list,
    operation,
    peer,
    reservation,
    simulated_events,
    simulated_station,
    standing,
    station,
    station_key,
    transaction_destination,
    transaction_local,
    transaction_source,
    webhook,
)
from statecharts.chart import Chart
from statecharts.destination_events import DestinationTransaction
from statecharts.events import DeadlineReached, Event, NodeRestarted, StationAnswered
from statecharts.flow_events import BEGIN
from statecharts.flows import (
    Flow,
    destination_events,
    destination_flows,
    disordered,
    local_events,
    local_flows,
    source_events,
    source_flows,
    stamped,
)
from statecharts.outcomes import Awaits, Sign
from statecharts.simulated_connector import Connector, Rules
from statecharts.source_events import SourceTransaction, StartRequested, StopRequested
from statecharts.station_commands import CallOutcome, CallVerdict, ReserveNow
from statecharts.station_reports import BootNotification, ConnectorStatus, RegistrationStatus
from statecharts.transaction_local import LocalTransaction

AT = st.just(BEGIN)


@dataclass(frozen=True, eq=False)
class Case:
    """A chart, blank data of it, single events that it may meet, and flows that lead through its states."""

    chart: Chart[Any]
    blank: Any
    events: st.SearchStrategy[Event]
    flows: st.SearchStrategy[Flow] | None = None

    @property
    def walks(self) -> st.SearchStrategy[Flow]:
        """Events in any order, some of them in a likely one."""
        anything = st.lists(self.events, max_size=12).map(stamped)
        return anything if self.flows is None else st.one_of(anything, disordered(self.flows, self.events))

    @cached_property
    def seen(self) -> Seen:
        """Data met in each state and events of each type, gathered on walks that are the same each time."""
        seen = Seen()

        @settings(max_examples=250, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
        @given(self.walks)
        def walk(flow: Flow) -> None:
            data = self.blank
            seen.note(data, None)
            for event in flow:
                data = self.chart.step(data, event).data
                seen.note(data, event)

        walk()
        return seen


class Seen:
    """Up to `KEPT` different data in each state, and as many events of each type."""

    KEPT = 8

    def __init__(self) -> None:
        self.data: dict[str, list[Any]] = {}
        self.events: dict[type[Event], list[Event]] = {}

    def note(self, data: Any, event: Event | None) -> None:
        self._keep(self.data.setdefault(str(data.state), []), data)
        if event is not None:
            self._keep(self.events.setdefault(type(event), []), event)

    def _keep(self, known: list[Any], one: Any) -> None:
        if len(known) < self.KEPT and one not in known:
            known.append(one)


def _connector_events() -> st.SearchStrategy[Event]:
    """Any event of a simulated connector, its fields drawn from its type's own annotations."""
    kinds = [kind for kind in simulated_station.CHART.events.values() if kind is not DeadlineReached]
    return st.one_of(st.builds(DeadlineReached, at=AT), *(_built(kind) for kind in kinds))


FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "at": AT,
    "meter_wh": st.integers(0, 10_000),
    "id_tag": st.sampled_from(("A", "B")),
    "accepted": st.booleans(),
    "transaction": st.integers(1, 3),
    "error_code": st.sampled_from(("GroundFailure", "OtherError")),
    "reason": st.just("HardReset"),
    "reservation_id": st.integers(1, 2),
    "expires_at": AT.map(lambda at: at + timedelta(hours=1)),
    "parent_id_tag": st.sampled_from((None, "GROUP")),
}


def _built(kind: type[Event]) -> st.SearchStrategy[Event]:
    wanted = [name for name in kind.__struct_fields__ if name not in ("ahead_s", "correlation_id")]
    return st.builds(kind, **{name: FIELDS[name] for name in wanted})


def _peer_events() -> st.SearchStrategy[Event]:
    kinds = (peer.CallAnswered, peer.BlockPeer, peer.UnblockPeer)
    failed = st.builds(peer.CallFailed, at=AT, cause=st.just("time-out"), alarm=st.booleans())
    return st.one_of(failed, failed, *(st.builds(kind, at=AT) for kind in kinds))


def _outages() -> st.SearchStrategy[Flow]:
    """A peer that stays away long enough to count as down."""
    failed = st.builds(peer.CallFailed, at=AT, cause=st.just("time-out"))
    return st.lists(failed, min_size=peer.DOWN_AFTER_FAILURES, max_size=12).map(stamped)


def _charges() -> st.SearchStrategy[Flow]:
    """A driver plugs in, is taken, and the charge is then held up by the car or by the central system."""
    sim, said = simulated_events, {"at": BEGIN, "meter_wh": 0}
    plugged, presented = sim.CablePlugged(**said), sim.IdTagPresented(**said, id_tag="A")
    judged = sim.IdTagJudged(**said, id_tag="A", accepted=True)
    held = st.sampled_from((sim.EvPaused(**said), sim.StartJudged(**said, transaction=1, accepted=False)))
    return held.map(lambda last: (plugged, presented, judged, last))


REBOOT = Awaits(sign=Sign.BOOT, what="the station boots", within_s=900, since=BEGIN)
CABLE = Awaits(sign=Sign.CHARGE_BEGINS, what="the cable", within_s=150, since=BEGIN, id_tag="CARD")


def _asked(awaits: Awaits | None) -> operation.OperationAsked:
    return operation.OperationAsked(
        at=BEGIN, id="op-1", station="CS01", by="desk", command="Reset", shown={"kind": "Soft"}, awaits=awaits
    )


def _answers() -> st.SearchStrategy[Event]:
    outcomes = st.builds(CallOutcome, verdict=st.sampled_from(CallVerdict), cause=st.sampled_from(("", "broken")))
    return st.builds(StationAnswered, at=AT, purpose=st.just("Reset"), outcome=outcomes)


def _operation_events() -> st.SearchStrategy[Event]:
    shown = st.builds(
        operation.OutcomeShown, at=AT, told=st.just("booted"), succeeded=st.sampled_from((None, True, False))
    )
    asked = st.sampled_from((None, REBOOT, CABLE)).map(_asked)
    return st.one_of(asked, _answers(), shown, st.builds(DeadlineReached, at=AT), st.builds(NodeRestarted, at=AT))


def _operations() -> st.SearchStrategy[Flow]:
    """A command that is answered, and then awaited until its deadline."""
    asked = st.sampled_from((None, REBOOT, CABLE)).map(_asked)
    return st.tuples(asked, _answers(), st.builds(DeadlineReached, at=AT)).map(stamped)


def _status_events() -> st.SearchStrategy[Event]:
    return st.builds(
        evse.StatusReported,
        at=AT,
        connector_id=st.just(1),
        status=st.sampled_from(ConnectorStatus),
        error_code=st.sampled_from(("NoError", "GroundFailure")),
    )


BOOT = BootNotification(vendor="v", model="m")
BOOTED = st.builds(station.Booted, at=AT, boot=st.just(BOOT), status=st.sampled_from(RegistrationStatus))
LINKED = st.one_of(
    st.builds(station.Connected, at=AT, protocol=st.just("ocpp1.6")), st.builds(station.Disconnected, at=AT)
)
DECIDED = st.one_of(
    *(
        st.builds(kind, at=AT, by=st.sampled_from(("olga", "otto")), reason=st.sampled_from(("", "not ours")))
        for kind in (standing.AcceptStation, standing.RejectStation, standing.RetireStation)
    )
)
KEY = st.sampled_from(("old", "new", "other"))
KEY_EVENTS = st.one_of(
    st.builds(station_key.SetKey, at=AT, password_hash=st.none() | KEY),
    st.builds(station_key.ChangeKey, at=AT, next_password_hash=KEY),
    st.builds(station_key.KeyTaken, at=AT, password_hash=KEY),
    st.builds(station_key.KeyRefused, at=AT, password_hash=KEY, cause=st.just("Rejected")),
    st.builds(station_key.KeyUnanswered, at=AT, password_hash=KEY, cause=st.just("no answer")),
    st.builds(station_key.LoggedIn, at=AT, password_hash=st.none() | KEY),
    st.builds(NodeRestarted, at=AT),
)
ORDERS = st.builds(
    ReserveNow,
    reservation_id=st.just(7),
    connector_id=st.integers(0, 2),
    expiry_date=st.just(BEGIN + timedelta(hours=1)),
    id_tag=st.sampled_from(("CARD0001", "CARD0002")),
    parent_id_tag=st.none() | st.just("FLEET"),
)
RESERVATIONS = st.one_of(
    st.builds(reservation.ReservationAsked, at=AT, order=ORDERS),
    st.builds(reservation.ReservationTold, at=AT, number=st.just(7), verdict=st.sampled_from(CallVerdict)),
    st.builds(reservation.ReservationEnded, at=AT, number=st.just(7)),
)
LISTS = st.one_of(
    *(
        st.builds(kind, at=AT)
        for kind in (
            *(local_list.StationCame, local_list.StationWent, local_list.CardsChanged, local_list.PushList),
            *(local_list.TurnCame, local_list.VersionRefused, DeadlineReached),
        )
    ),
    st.builds(
        local_list.VersionTold,
        at=AT,
        version=st.integers(0, 9),
        gap=st.sampled_from(local_list.Gap),
        content=st.just("1.aa/20"),
    ),
    st.builds(local_list.PieceTaken, at=AT, version=st.integers(1, 9), content=st.sampled_from(("", "1.aa/20"))),
    st.builds(local_list.NotSupported, at=AT, cause=st.just("NotSupported")),
    st.builds(local_list.AttemptFailed, at=AT, cause=st.just("Failed")),
)
FAILURES = st.builds(local_list.AttemptFailed, at=AT, cause=st.just("Failed"))
BEGUN = (local_list.StationCame(at=BEGIN), local_list.TurnCame(at=BEGIN))
FRUITLESS = st.lists(FAILURES, min_size=1, max_size=4).map(
    lambda failures: stamped([*BEGUN, *(e for no in failures for e in (no, DeadlineReached(at=BEGIN), BEGUN[1]))])
)
SENT = st.tuples(
    st.just(BEGUN[0]),
    st.just(BEGUN[1]),
    st.builds(
        local_list.VersionTold,
        at=AT,
        version=st.just(3),
        gap=st.sampled_from((local_list.Gap.CHANGES, local_list.Gap.EVERYTHING)),
    ),
    LISTS,
).map(stamped)
HOOK_FAILED = st.builds(
    webhook.AttemptFailed,
    at=AT,
    cause=st.just("HTTP"),
    attempts=st.sampled_from((1, 8)),
    wait_s=st.just(5.0),
    patience_s=st.sampled_from((60.0, 1e6)),
    status=st.sampled_from((None, 400, 404, 410, 503)),
)
HOOK_EVENTS = st.one_of(
    HOOK_FAILED,
    st.builds(webhook.AttemptBegun, at=AT, timeout_s=st.just(10.0)),
    st.builds(webhook.EventReplayed, at=AT, given_up=st.booleans()),
    st.builds(webhook.PauseWebhook, at=AT, by=st.just("olga")),
    *(st.builds(kind, at=AT) for kind in (webhook.EventDelivered, webhook.ResumeWebhook)),
    *(st.builds(kind, at=AT) for kind in (NodeRestarted, DeadlineReached)),
)
HOOK_OUTAGES = st.lists(HOOK_FAILED, min_size=1, max_size=4).map(
    lambda failures: stamped([webhook.AttemptBegun(at=BEGIN, timeout_s=10), *failures])
)
LENIENT = Rules(stop_on_invalid_id=False)
FRESH = st.integers(0, 10**6).map(str)
SOURCE_EVENTS = st.one_of(
    source_events(),
    *(st.builds(kind, at=AT, request_identifier=FRESH) for kind in (StartRequested, StopRequested)),
)

CASES: dict[str, Case] = {
    case.chart.name: case
    for case in (
        Case(transaction_source.CHART, SourceTransaction(), SOURCE_EVENTS, source_flows()),
        Case(transaction_destination.CHART, DestinationTransaction(), destination_events(), destination_flows()),
        Case(transaction_local.CHART, LocalTransaction(), local_events(), local_flows()),
        Case(evse.CHART, evse.Evse(), _status_events()),
        Case(peer.CHART, peer.Peer(), _peer_events(), _outages()),
        Case(operation.CHART, operation.Operation(), _operation_events(), _operations()),
        Case(station.REGISTRATION, station.Registration(), BOOTED),
        Case(standing.CHART, standing.Standing(), DECIDED),
        Case(station_key.CHART, station_key.StationKey(), KEY_EVENTS),
        Case(reservation.CHART, reservation.Reservation(), RESERVATIONS),
        Case(webhook.CHART, webhook.Webhook(), HOOK_EVENTS, HOOK_OUTAGES),
        Case(local_list.CHART, local_list.LocalList(), LISTS, st.one_of(FRUITLESS, SENT)),
        Case(station.CONNECTION, station.Connection(), LINKED),
        Case(simulated_station.CHART, Connector(connector_id=1, rules=LENIENT), _connector_events(), _charges()),
    )
}
