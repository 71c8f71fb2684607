"""One connector of a simulated station: carries out what its chart decides, with its meter, its car and its driver."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

import msgspec
import trio

from actors.simulated_line import Line
from actors.simulated_outbox import UNKNOWN_TRANSACTION, Charge, Saying
from actors.simulated_turns import History, StepKind, Turn, Turns
from statecharts import simulated_station as chart
from statecharts.chart import Decision
from statecharts.events import DeadlineReached, Effect, Event
from statecharts.limits import SIMULATED_CHARGES
from statecharts.ports import Clock
from statecharts.simulated_equipment import Configuration, Habits, Meter, Span, moment
from statecharts.simulated_station import AWAITING_CABLE, CHARGING, CHART, FINISHING, RUNNING
from statecharts.station_reports import (
    AuthorizeIdTag,
    IdTagAnswer,
    MeterSample,
    MeterValues,
    StartAnswer,
    StartTransaction,
    StopTransaction,
)
from statecharts.station_vocabulary import IdTagStatus


@dataclass(slots=True, eq=False)
class Site:
    """What the connectors of a station share."""

    turns: Turns
    line: Line
    history: History
    clock: Clock
    random: Callable[[], float]
    habits: Habits
    configuration: Configuration
    battery_wh: int | None
    on_charge: Callable[[Charge], object]
    charges: deque[Charge] = field(default_factory=lambda: deque(maxlen=SIMULATED_CHARGES.limit))

    def now(self) -> datetime:
        """Wall time in whole milliseconds, so that a repeated report carries the very same text."""
        now = self.clock.now()
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def soon(self, timer: str, span: Span | None, turn: Turn) -> None:
        """Takes this turn at a random moment of the span; without a span, never."""
        if span is not None:
            self.turns.arm(timer, moment(span, self.random()), turn)


class SimulatedConnector:
    """Connector `number` of a station. `on_status` is called, with that number, whenever its OCPP status changes."""

    def __init__(self, number: int, power_w: int, site: Site, on_status: Callable[[int], None]) -> None:
        self.number = number
        self._site, self._on_status = site, on_status
        self._data = chart.Connector(connector_id=number, rules=site.configuration.rules())
        self._meter = Meter(power_w=power_w)
        self._charge: Charge | None = None

    def __repr__(self) -> str:
        return f"{self.number} {self._data.state} {self.energy_wh} Wh"

    @property
    def data(self) -> chart.Connector:
        """What the chart knows of this connector."""
        return self._data

    @property
    def transaction_id(self) -> int | None:
        """The number of the running transaction; None where none runs or none was given yet."""
        return self._charge.transaction_id if self._charge and self._data.state in RUNNING else None

    @property
    def meter_wh(self) -> int:
        """What the meter shows now."""
        return self._meter.read_wh(_now_ms())

    @property
    def energy_wh(self) -> int:
        """The energy of the newest transaction, running or over; 0 before the first."""
        return self._charge.energy_wh(self.meter_wh) if self._charge else 0

    def follow_configuration(self) -> None:
        """Lets the chart follow the configuration as it is now."""
        self._data = msgspec.structs.replace(self._data, rules=self._site.configuration.rules())

    def happens(self, kind: type[Event], **what: Any) -> Decision[chart.Connector]:
        """One step of the chart, and all that follows from it. Raises `ContractBroken` for a defect of the chart."""
        if kind is not DeadlineReached:
            what["meter_wh"] = self.meter_wh
        before = self._data
        decision = CHART.step(before, kind(at=self._site.now(), **what))
        self._data = decision.data
        for effect in decision.effects:
            _EFFECTS[type(effect)](self, effect)
        if decision.data.state != before.state:
            self._entered(before, decision.data)
        return decision

    def later(self, kind: type[Event], **what: Any) -> Turn:
        """The turn in which this will happen."""
        return partial(self.happens, kind, **what)

    # -- what a new state brings with it -------------------------------------------------------------------------------

    def _timer(self, name: str) -> str:
        return f"{name} {self.number}"

    def _entered(self, before: chart.Connector, after: chart.Connector) -> None:
        self._site.history.note(StepKind.CONNECTOR, f"{before.state} -> {after.state}", connector_id=self.number)
        self._meter = self._meter.switched(after.state == CHARGING, _now_ms())
        self._arm_deadline(after)
        self._arm_battery(after)
        if not (before.state in RUNNING and after.state in RUNNING):
            self._live_on(after.state)
        if after.status is not before.status:
            self._on_status(self.number)

    def _arm_deadline(self, data: chart.Connector) -> None:
        deadline, timer = CHART.deadline(data), self._timer("deadline")
        if deadline is None:
            self._site.turns.disarm(timer)
        else:
            wait_s = (deadline - self._site.now()).total_seconds()
            self._site.turns.arm(timer, wait_s, self.later(DeadlineReached))

    def _arm_battery(self, data: chart.Connector) -> None:
        self._site.turns.disarm(self._timer("battery"))
        capacity_wh, power_w = self._site.battery_wh, self._meter.power_w
        if data.state == CHARGING and capacity_wh is not None and power_w > 0:
            full_s = max(0, capacity_wh - self.energy_wh) * 3600 / power_w
            self._site.turns.arm(self._timer("battery"), full_s, self.later(chart.EvPaused))

    def _live_on(self, state: str) -> None:
        """What the driver, and a bad network, will do now."""
        site, driver, habits = self._site, self._timer("driver"), self._site.habits
        site.turns.disarm(driver, self._timer("network"))
        if state == AWAITING_CABLE:
            site.soon(driver, habits.plugs_after_s, self.later(chart.CablePlugged))
        elif state == FINISHING:
            site.soon(driver, habits.leaves_after_s, self.later(chart.CableUnplugged))
        elif state == CHARGING:
            site.soon(driver, habits.unplugs_after_s, self.later(chart.CableUnplugged))
            site.soon(self._timer("network"), habits.drops_after_s, self._drop_line)

    def _drop_line(self) -> None:
        self._site.line.drop(moment(self._site.habits.stays_away_s, self._site.random()))

    # -- authorisation -------------------------------------------------------------------------------------------------

    def _ask(self, effect: chart.AskAuthorization) -> None:
        id_tag, site = effect.id_tag, self._site
        if site.line.online:
            site.line.say(Saying(AuthorizeIdTag(id_tag=id_tag), answered=partial(self._judged, id_tag)))
        else:
            accepted = site.configuration.flag("AllowOfflineTxForUnknownId")
            judged = self.later(chart.IdTagJudged, id_tag=id_tag, accepted=accepted)
            site.turns.arm(self._timer("offline judgement"), 0, judged)

    def _judged(self, id_tag: str, answer: IdTagAnswer) -> None:
        accepted = answer.id_tag_info is not None and answer.id_tag_info.status is IdTagStatus.ACCEPTED
        self.happens(chart.IdTagJudged, id_tag=id_tag, accepted=accepted)

    # -- transactions --------------------------------------------------------------------------------------------------

    def _begin(self, effect: chart.BeginTransaction) -> None:
        charge = Charge(self.number, effect.id_tag, effect.at, effect.meter_wh)
        report = StartTransaction(
            connector_id=self.number, id_tag=effect.id_tag, meter_start_wh=effect.meter_wh, timestamp=effect.at
        )
        self._charge = charge
        self._site.charges.append(charge)
        self._site.line.say(Saying(report, charge, answered=partial(self._started, effect.transaction, charge)))
        self._site.on_charge(charge)
        self._arm_sample()

    def _started(self, transaction: int, charge: Charge, answer: StartAnswer) -> None:
        charge.transaction_id = answer.transaction_id
        self._site.on_charge(charge)
        accepted = answer.id_tag_info.status is IdTagStatus.ACCEPTED
        self.happens(chart.StartJudged, transaction=transaction, accepted=accepted)

    def _arm_sample(self) -> None:
        interval_s = self._site.configuration.number("MeterValueSampleInterval")
        if interval_s > 0:
            self._site.turns.arm(self._timer("sample"), interval_s, self._sample)

    def _sample(self) -> None:
        self._tell_meter("Sample.Periodic")
        self._arm_sample()

    def tell_meter(self) -> None:
        """Says what the meter shows now, because somebody asked (OCPP 1.6 section 5.17)."""
        self._tell_meter("Trigger")

    def _tell_meter(self, context: str) -> None:
        sample = MeterSample(timestamp=self._site.now(), value=str(self.meter_wh), context=context)
        report = MeterValues(connector_id=self.number, samples=(sample,))
        self._site.line.say(Saying(report, self._charge if self._data.state in RUNNING else None))

    def _end(self, effect: chart.EndTransaction) -> None:
        charge = self._charge
        if charge is None:
            return
        charge.stopped_at, charge.meter_stop_wh, charge.reason = effect.at, effect.meter_wh, effect.reason
        self._site.turns.disarm(self._timer("sample"))
        report = StopTransaction(
            transaction_id=UNKNOWN_TRANSACTION,
            meter_stop_wh=effect.meter_wh,
            timestamp=effect.at,
            reason=effect.reason,
            id_tag=effect.id_tag,
        )
        self._site.line.say(Saying(report, charge))
        self._site.on_charge(charge)


_EFFECTS: dict[type[Effect], Callable[[SimulatedConnector, Any], None]] = {
    chart.AskAuthorization: SimulatedConnector._ask,
    chart.BeginTransaction: SimulatedConnector._begin,
    chart.EndTransaction: SimulatedConnector._end,
}


def _now_ms() -> int:
    return round(trio.current_time() * 1000)
