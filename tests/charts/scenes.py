"""Small worlds for the tests of charts: a chart that is told events one by one, and scenes that reach each state."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from hypothesis import strategies as st

from statecharts import destination_events as de
from statecharts import source_events as se
from statecharts import transaction_destination, transaction_local, transaction_source
from statecharts.charging import (
    ChargingDeadlines,
    MeterRead,
    Opening,
    StationDoubted,
    StopAsked,
    TransactionStarted,
    TransactionStopped,
)
from statecharts.chart import Chart, Decision
from statecharts.events import CommandStation, DeadlineReached, Deliver, Effect, Event, StationAnswered
from statecharts.ports import AuthorizationRequest
from statecharts.station_commands import CallOutcome, CallVerdict
from statecharts.vocabulary import (
    EndTransaction,
    NotifyRequestResult,
    Refusal,
    ServiceType,
    TransactionData,
    TransactionStatus,
)

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOME, LOCAL, NAME = "PT-HOME", "ES-LOCAL", "0A1B2C3D4E5F"
REQUEST = AuthorizationRequest(user_identifier="ada", destination=LOCAL, local_service_identifier="CS01")
RARELY = st.sampled_from((False, False, False, False, True))
"""For what would end most lives early if it happened as often as everything else."""

OPENING = Opening(id="local-1", station="CS01", id_tag="CARD", deadlines=ChargingDeadlines())
REFUSAL = Refusal(code=409, kind="connector-busy", message="the connector is busy")


class Scene:
    """A chart and its data; every event comes one second after the one before."""

    def __init__(self, chart: Chart[Any], data: Any) -> None:
        self.chart, self.data, self.now = chart, data, T0
        self.history: list[Event] = []
        self.effects: list[Effect] = []

    def __repr__(self) -> str:
        return f"<Scene {self.chart.name} {self.state} {[type(e).__name__ for e in self.history]}>"

    @property
    def state(self) -> str:
        return str(self.data.state)

    def tell(self, event: type[Event], **content: Any) -> Decision[Any]:
        """Steps the chart with this event, now."""
        self.now += timedelta(seconds=1)
        return self.step(event(at=self.now, **content))

    def step(self, event: Event) -> Decision[Any]:
        decision = self.chart.step(self.data, event)
        self.data = decision.data
        self.history.append(event)
        self.effects += decision.effects
        return decision

    def time_out(self) -> Decision[Any]:
        """Lets the deadline of the state pass."""
        deadline = self.chart.deadline(self.data)
        assert deadline is not None, f"{self} has no deadline"
        self.now = max(self.now, deadline)
        return self.step(DeadlineReached(at=self.now))

    def pass_time(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def delivered(decision: Decision[Any]) -> list[Any]:
    """The messages that a decision owes to the peer."""
    return [effect.message for effect in decision.effects if isinstance(effect, Deliver)]


def commanded(decision: Decision[Any]) -> list[Any]:
    """The commands that a decision sends to the station."""
    return [effect.command for effect in decision.effects if isinstance(effect, CommandStation)]


def outcome(verdict: CallVerdict, cause: str = "") -> CallOutcome:
    return CallOutcome(verdict=verdict, cause=cause)


# -- Source ------------------------------------------------------------------------------------------------------------


def content(energy_wh: int | None = 4000, *, ended: bool = False, **other: Any) -> TransactionData:
    """What our Destination says of the transaction that all scenes are about."""
    known: dict[str, Any] = {
        "start_timestamp": T0,
        "end_timestamp": T0 + timedelta(hours=1) if ended else None,
        "transaction_status": TransactionStatus.TERMINATED if ended else TransactionStatus.ACTIVE,
        "energy_wh": energy_wh,
        "local_operator_identifier": LOCAL,
        "local_service_identifier": "CS01",
        "home_operator_identifier": HOME,
        "user_identifier": "ada",
        "authorization_identifier": NAME,
    }
    return TransactionData(**{**known, **other})


def end(energy_wh: int | None = 7000, **other: Any) -> EndTransaction:
    return EndTransaction(
        authorization_identifier=NAME,
        start_transaction_timestamp=T0,
        end_transaction_timestamp=T0 + timedelta(hours=1),
        transaction_data=content(energy_wh, ended=True, **other),
    )


def source(state: str = se.S.NEW) -> Scene:
    """A Source's transaction that has come to this state by the usual way."""
    scene = Scene(transaction_source.CHART, se.SourceTransaction())
    SOURCE_WAYS[se.S(state)](scene)
    assert scene.state == state, scene
    return scene


def _authorizing(scene: Scene) -> None:
    scene.tell(
        se.AuthorizationRequested,
        id="tx1", app="app", own_pms_identifier=HOME, request=REQUEST, deadlines=se.SourceDeadlines(),
    )  # fmt: skip


def _source_ready(scene: Scene) -> None:
    _authorizing(scene)
    scene.tell(se.AuthorizationGranted, authorization_identifier=NAME)


def _source_starting(scene: Scene) -> None:
    _source_ready(scene)
    scene.tell(se.StartRequested, request_identifier="start-1")


def _source_running(scene: Scene) -> None:
    _source_starting(scene)
    scene.tell(se.ResultNotified, request_identifier="start-1", success=True)


def _source_stopping(scene: Scene) -> None:
    _source_running(scene)
    scene.tell(se.StopRequested, request_identifier="stop-1")


def _source_finished(scene: Scene) -> None:
    _source_stopping(scene)
    scene.tell(se.ResultNotified, request_identifier="stop-1", success=True)


def _source_settled(scene: Scene) -> None:
    _source_finished(scene)
    scene.tell(se.TransactionEnded, message=end())


def _then(way: Callable[[Scene], None], last: Callable[[Scene], object]) -> Callable[[Scene], None]:
    def go(scene: Scene) -> None:
        way(scene)
        last(scene)

    return go


SOURCE_WAYS: dict[se.S, Callable[[Scene], None]] = {
    se.S.NEW: lambda scene: None,
    se.S.AUTHORIZING: _authorizing,
    se.S.REFUSED: _then(_authorizing, lambda scene: scene.tell(se.AuthorizationRefused, refusal=REFUSAL)),
    se.S.READY: _source_ready,
    se.S.EXPIRED: _then(_source_ready, Scene.time_out),
    se.S.START_TX_REQUESTED: _source_starting,
    se.S.TX_RUNNING: _source_running,
    se.S.STOP_TX_REQUESTED: _source_stopping,
    se.S.TX_FINISHED: _source_finished,
    se.S.SETTLED: _source_settled,
}


# -- Destination -------------------------------------------------------------------------------------------------------


def destination(state: str = de.S.NEW) -> Scene:
    """A Destination's transaction that has come to this state by the usual way."""
    scene = Scene(transaction_destination.CHART, de.DestinationTransaction())
    DESTINATION_WAYS[de.S(state)](scene)
    assert scene.state == state, scene
    return scene


def start(scene: Scene, number: int = 7, connector_id: int = 1, **other: Any) -> Decision[Any]:
    """The station says that a charge of our idTag began."""
    opening = OPENING if scene.chart is transaction_local.CHART else None
    fields = {"id_tag": NAME, "timestamp": scene.now, "meter_start_wh": 1000, "opening": opening, **other}
    return scene.tell(TransactionStarted, number=number, connector_id=connector_id, **fields)


def stop(scene: Scene, number: int = 7, meter_stop_wh: int = 8000, **other: Any) -> Decision[Any]:
    """The station says that a charge ended."""
    fields = {"timestamp": scene.now, "reason": "Local", **other}
    return scene.tell(TransactionStopped, number=number, meter_stop_wh=meter_stop_wh, **fields)


def meter(scene: Scene, meter_wh: int | None) -> Decision[Any]:
    return scene.tell(MeterRead, timestamp=scene.now, meter_wh=meter_wh)


def answer(scene: Scene, purpose: str, verdict: CallVerdict, cause: str = "") -> Decision[Any]:
    """What became of the command sent to the station."""
    return scene.tell(StationAnswered, purpose=purpose, outcome=outcome(verdict, cause))


def ended(scene: Scene, status: str = "done", operation: str = "EndTransaction") -> Decision[Any]:
    return scene.tell(de.DeliveryEnded, message_id="m", operation=operation, status=status)


def doubt(scene: Scene) -> Decision[Any]:
    return scene.tell(StationDoubted, reason="booted")


def _issued(scene: Scene) -> None:
    scene.tell(
        de.AuthorizationIssued,
        id=NAME, peer=HOME, own_pms_identifier=LOCAL, user_identifier="ada", service_type=ServiceType.EV_CHARGING,
        station="CS01", connector_asked=1, deadlines=ChargingDeadlines(),
    )  # fmt: skip


def _starting(scene: Scene) -> None:
    _issued(scene)
    scene.tell(de.StartRequested, request_identifier="start-1", connector_id=1)


def _stopping(scene: Scene) -> None:
    _starting(scene)
    start(scene)
    scene.tell(de.StopRequested, request_identifier="stop-1")


DESTINATION_WAYS: dict[de.S, Callable[[Scene], None]] = {
    de.S.NEW: lambda scene: None,
    de.S.READY: _issued,
    de.S.EXPIRED: _then(_issued, Scene.time_out),
    de.S.START_TX_REQUESTED: _starting,
    de.S.TX_RUNNING: _then(_starting, start),
    de.S.STOP_TX_REQUESTED: _stopping,
    de.S.TX_FINISHED: _then(_stopping, stop),
    de.S.SETTLED: _then(_then(_stopping, stop), ended),
}


def ask_start(scene: Scene, name: str = "start-1") -> Decision[Any]:
    return scene.tell(de.StartRequested, request_identifier=name, connector_id=1)


def ask_stop(scene: Scene, name: str = "stop-1") -> Decision[Any]:
    return scene.tell(de.StopRequested, request_identifier=name)


def told(decision: Decision[Any]) -> list[tuple[str, bool]]:
    """The results that a decision tells to the Source."""
    messages = [m for m in delivered(decision) if isinstance(m, NotifyRequestResult)]
    return [(m.request_identifier, m.request_success) for m in messages]


def record(decision: Decision[Any]) -> EndTransaction:
    (end,) = [m for m in delivered(decision) if isinstance(m, EndTransaction)]
    return end


def expired_after_start() -> Scene:
    scene = destination(de.S.START_TX_REQUESTED)
    scene.time_out()
    scene.time_out()
    assert scene.state == de.S.EXPIRED
    return scene


def ready_after_start() -> Scene:
    scene = destination(de.S.START_TX_REQUESTED)
    scene.time_out()
    return scene


# -- local -------------------------------------------------------------------------------------------------------------


def local(state: str = transaction_local.S.NEW) -> Scene:
    """A local transaction that has come to this state by the usual way."""
    scene = Scene(transaction_local.CHART, transaction_local.LocalTransaction())
    LOCAL_WAYS[transaction_local.S(state)](scene)
    assert scene.state == state, scene
    return scene


def _local_starting(scene: Scene) -> None:
    scene.tell(transaction_local.LocalStartRequested, opening=OPENING, connector_id=1)


def _local_stopping(scene: Scene) -> None:
    start(scene)
    scene.tell(StopAsked)


LOCAL_WAYS: dict[transaction_local.S, Callable[[Scene], None]] = {
    transaction_local.S.NEW: lambda scene: None,
    transaction_local.S.START_TX_REQUESTED: _local_starting,
    transaction_local.S.EXPIRED: _then(_local_starting, Scene.time_out),
    transaction_local.S.TX_RUNNING: lambda scene: start(scene) and None,
    transaction_local.S.STOP_TX_REQUESTED: _local_stopping,
    transaction_local.S.SETTLED: _then(_local_stopping, stop),
}

SCENES: dict[str, Callable[[str], Scene]] = {
    "source transaction": source,
    "destination transaction": destination,
    "local transaction": local,
}


def replayed(scene: Scene) -> Any:
    """The data as a restarted node finds it: every recorded fact through JSON and back, from a blank one on."""
    live = Scene(scene.chart, type(scene.data)())
    data = live.data
    for event in scene.history:
        decision = live.step(event)
        if decision.fact is None:
            continue
        kind = scene.chart.events[type(event).__name__]
        read = msgspec.json.decode(msgspec.json.encode(decision.fact), type=kind)
        data = scene.chart.replay(data, read, decision.data.state)
    return data
