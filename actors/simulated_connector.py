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

from actors.simulated_access import Access
from actors.simulated_answers import Answers
from actors.simulated_idioms import Idiom
from actors.simulated_line import Line
from actors.simulated_outbox import Charge, Saying
from actors.simulated_profiles import Profiles
from actors.simulated_turns import History, StepKind, Turn, Turns
from statecharts import simulated_events as chart
from statecharts.charging_limits import Charging
from statecharts.chart import Decision
from statecharts.events import DeadlineReached, Effect, Event
from statecharts.limits import SIMULATED_CHARGES
from statecharts.ports import Clock
from statecharts.simulated_connector import AWAITING_CABLE, CHARGING, FINISHING, RESERVED, RUNNING, Connector
from statecharts.simulated_equipment import Configuration, Habits, Meter, Span, moment
from statecharts.simulated_station import CHART
from statecharts.station_reports import (
    AuthorizeIdTag,
    IdTagAnswer,
    MeterSample,
    MeterValues,
    ReservationStatus,
    StartAnswer,
    StationReport,
)
from statecharts.station_vocabulary import IdTagInfo, IdTagStatus


@dataclass(slots=True, eq=False)
class Site:
    """What the connectors of a station share."""

    idiom: Idiom
    answers: Answers
    access: Access
    profiles: Profiles
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
    """Connector `number` of a station. `on_status` is called, with that number, whenever its OCPP status changes.

    `power_fails` takes the station's power away for so many seconds.
    """

    def __init__(
        self,
        number: int,
        power_w: int,
        site: Site,
        on_status: Callable[[int], None],
        power_fails: Callable[[float], None],
    ) -> None:
        self.number, self.power_w = number, power_w
        self._site, self._on_status, self._power_fails = site, on_status, power_fails
        self._data = Connector(connector_id=number, rules=site.configuration.rules())
        self._meter = Meter(power_w=power_w)
        self._charge: Charge | None = None

    def __repr__(self) -> str:
        return f"{self.number} {self._data.state} {self.energy_wh} Wh"

    @property
    def data(self) -> Connector:
        """What the chart knows of this connector."""
        return self._data

    @property
    def transaction_id(self) -> int | None:
        """The number of the running transaction; None where none runs or none was given yet."""
        return self.running.transaction_id if self.running else None

    @property
    def running(self) -> Charge | None:
        """The transaction that runs here, if one does."""
        return self._charge if self._data.state in RUNNING else None

    @property
    def meter_wh(self) -> int:
        """What the meter shows now."""
        return self._meter.read_wh(_now_ms())

    @property
    def energy_wh(self) -> int:
        """The energy of the newest transaction, running or over; 0 before the first."""
        return self._charge.energy_wh(self.meter_wh) if self._charge else 0

    @property
    def charging_since(self) -> datetime | None:
        """Since when a transaction runs here, if one does."""
        return self.running.started_at if self.running else None

    @property
    def reserved_as(self) -> int | None:
        """The number of the reservation that it is kept under."""
        kept = self._data.reservation
        return kept.reservation_id if kept and self._data.state == RESERVED else None

    def follow_configuration(self) -> None:
        """Lets the chart follow the configuration as it is now."""
        self._data = msgspec.structs.replace(self._data, rules=self._site.configuration.rules())

    def happens(self, kind: type[Event], **what: Any) -> Decision[Connector]:
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

    def _entered(self, before: Connector, after: Connector) -> None:
        self._site.history.note(StepKind.CONNECTOR, f"{before.state} -> {after.state}", connector_id=self.number)
        self._meter = self._meter.switched(after.state == CHARGING, _now_ms())
        self._arm_deadline(after)
        self._arm_battery(after)
        if self._site.profiles:
            self.follow_limits()
        if before.state in RUNNING and after.state in RUNNING:
            self._tell_shift(after)
        else:
            self._live_on(after.state)
        if after.status is not before.status:
            self._on_status(self.number)

    def _arm_deadline(self, data: Connector) -> None:
        deadline, timer = CHART.deadline(data), self._timer("deadline")
        if deadline is None:
            self._site.turns.disarm(timer)
        else:
            wait_s = (deadline - self._site.now()).total_seconds()
            self._site.turns.arm(timer, wait_s, self.later(DeadlineReached))

    def follow_limits(self) -> None:
        """Lets the car charge as the charging profiles allow for now, until they say otherwise."""
        self._site.turns.disarm(self._timer("limit"))
        charging = Charging(connector_id=self.number, power_w=self.power_w, since=self.charging_since)
        now, *later = self._site.profiles.limits(charging, self._site.now())
        self._meter = self._meter.limited(int(now.limit), _now_ms())
        self._arm_battery(self._data)
        if later and self.running:
            self._site.turns.arm(self._timer("limit"), later[0].start_s, self.follow_limits)

    def _arm_battery(self, data: Connector) -> None:
        self._site.turns.disarm(self._timer("battery"))
        capacity_wh, power_w = self._site.battery_wh, self._meter.power_w
        if data.state == CHARGING and capacity_wh is not None and power_w > 0:
            full_s = max(0, capacity_wh - self.energy_wh) * 3600 / power_w
            self._site.turns.arm(self._timer("battery"), full_s, self.later(chart.EvPaused))

    def _live_on(self, state: str) -> None:
        """What the driver, and a bad network, will do now."""
        site, driver, habits = self._site, self._timer("driver"), self._site.habits
        site.turns.disarm(driver, self._timer("network"), self._timer("power"))
        if state == AWAITING_CABLE:
            site.soon(driver, habits.plugs_after_s, self.later(chart.CablePlugged))
        elif state == FINISHING:
            site.soon(driver, habits.leaves_after_s, self.later(chart.CableUnplugged))
        elif state == CHARGING:
            site.soon(driver, habits.unplugs_after_s, self.later(chart.CableUnplugged))
            site.soon(self._timer("network"), habits.drops_after_s, self._drop_line)
            site.soon(self._timer("power"), habits.loses_power_after_s, self._fail)

    def _fail(self) -> None:
        self._power_fails(moment(self._site.habits.stays_away_s, self._site.random()))

    def _drop_line(self) -> None:
        self._site.line.drop(moment(self._site.habits.stays_away_s, self._site.random()))

    # -- authorisation -------------------------------------------------------------------------------------------------

    def _ask(self, effect: chart.AskAuthorization) -> None:
        id_tag, site = effect.id_tag, self._site
        known = site.access.judge(id_tag, site.configuration, online=site.line.online, now=site.now())
        if known is None:
            site.line.say(Saying(AuthorizeIdTag(id_tag=id_tag), answered=partial(self._authorized, id_tag)))
        else:
            site.turns.arm(self._timer("own judgement"), 0, partial(self._judged, id_tag, known))

    def _authorized(self, id_tag: str, answer: IdTagAnswer) -> None:
        info = answer.id_tag_info or IdTagInfo(status=IdTagStatus.INVALID)
        self._site.access.learn(id_tag, info)
        self._judged(id_tag, info)

    def _judged(self, id_tag: str, info: IdTagInfo) -> None:
        accepted = info.status is IdTagStatus.ACCEPTED
        self.happens(chart.IdTagJudged, id_tag=id_tag, accepted=accepted, parent_id_tag=info.parent_id_tag)

    # -- transactions --------------------------------------------------------------------------------------------------

    def _begin(self, effect: chart.BeginTransaction) -> None:
        reference = f"{effect.at:%Y%m%d%H%M%S%f}-{self.number}"
        charge = Charge(self.number, effect.id_tag, effect.at, effect.meter_wh, reference=reference)
        self._charge = charge
        self._site.charges.append(charge)
        report = self._site.idiom.begun(charge, effect, offline=not self._site.line.online)
        self._site.line.say(Saying(report, charge, answered=partial(self._started, effect.transaction, charge)))
        self._site.on_charge(charge)
        self._arm_sample()

    def _started(self, transaction: int, charge: Charge, answer: StartAnswer | IdTagAnswer) -> None:
        if isinstance(answer, StartAnswer):
            charge.transaction_id = answer.transaction_id
            self._site.on_charge(charge)
        info = answer.id_tag_info or IdTagInfo(status=IdTagStatus.ACCEPTED)
        self._site.access.learn(charge.id_tag, info)
        told = {"accepted": info.status is IdTagStatus.ACCEPTED, "parent_id_tag": info.parent_id_tag}
        self.happens(chart.StartJudged, transaction=transaction, **told)

    def _arm_sample(self) -> None:
        interval_s = self._site.configuration.number("MeterValueSampleInterval")
        if interval_s > 0:
            self._site.turns.arm(self._timer("sample"), interval_s, self._sample)

    def _sample(self) -> None:
        self.tell_charge("Sample.Periodic")
        self._arm_sample()

    def tell_charge(self, context: str = "Trigger") -> None:
        """Says how far the transaction that runs here is, if one does."""
        if self.running is not None:
            metered = self._site.idiom.metered(self.running, self._reading(context), offline=not self._site.line.online)
            self._say_of(self.running, metered)

    def tell_meter(self) -> None:
        """Says what the meter shows now, because somebody asked (OCPP 1.6 section 5.17)."""
        charge = None if self._site.idiom.numbered_evses else self.running
        self._say_of(charge, MeterValues(connector_id=self.number, samples=(self._reading("Trigger"),)))

    def _tell_shift(self, data: Connector) -> None:
        """Says that the transaction goes on in another way, where the status of the connector does not."""
        if self._charge is not None:
            reading, offline = self._reading("Other"), not self._site.line.online
            shifted = self._site.idiom.shifted(self._charge, data.status, reading, offline=offline)
            if shifted is not None:
                self._say_of(self._charge, shifted)

    def _reading(self, context: str) -> MeterSample:
        return MeterSample(timestamp=self._site.now(), value=str(self.meter_wh), context=context)

    def _say_of(self, charge: Charge | None, report: StationReport) -> None:
        self._site.line.say(Saying(report, charge))

    def _end(self, effect: chart.EndTransaction) -> None:
        charge = self._charge
        if charge is None:
            return
        charge.stopped_at, charge.meter_stop_wh, charge.reason = effect.at, effect.meter_wh, effect.reason
        self._site.turns.disarm(self._timer("sample"))
        self._site.profiles.transaction_over(self.number)
        self._say_of(charge, self._site.idiom.ended(charge, effect, offline=not self._site.line.online))
        self._site.on_charge(charge)

    def _unreserve(self, effect: chart.EndReservation) -> None:
        if self._site.idiom.numbered_evses:
            self._say_of(None, ReservationStatus(reservation_id=effect.reservation_id, status=effect.reason))


_EFFECTS: dict[type[Effect], Callable[[SimulatedConnector, Any], None]] = {
    chart.AskAuthorization: SimulatedConnector._ask,
    chart.BeginTransaction: SimulatedConnector._begin,
    chart.EndTransaction: SimulatedConnector._end,
    chart.EndReservation: SimulatedConnector._unreserve,
}


def _now_ms() -> int:
    return round(trio.current_time() * 1000)
