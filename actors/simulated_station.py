"""A simulated charging station: an actor that behaves as its chart says and talks to a central system.

It takes one turn at a time: an answer, a command, something its driver did, or a timer. Only turns change its state, so
its whole history follows from its behaviour, its random numbers and what the central system does.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import trio

from actors.simulated_connector import SimulatedConnector, Site
from actors.simulated_line import Connect, Line, Reply
from actors.simulated_outbox import Charge, Saying
from actors.simulated_turns import History, Step, Turns
from statecharts import simulated_station as chart
from statecharts.events import Event
from statecharts.ports import Clock
from statecharts.simulated_equipment import BEHAVIOURS, configuration, habits
from statecharts.simulated_station import AVAILABLE, PLUGGED
from statecharts.station_commands import (
    CentralDataTransfer,
    ChangeAvailability,
    ChangeConfiguration,
    ClearCache,
    GetConfiguration,
    RemoteStartTransaction,
    RemoteStopTransaction,
    Reset,
    StationCommand,
    TriggerMessage,
    UnlockConnector,
)
from statecharts.station_reports import (
    BootAnswer,
    BootNotification,
    ConnectorStatus,
    Heartbeat,
    RegistrationStatus,
    StatusNotification,
)

__all__ = ["BEHAVIOURS", "Charge", "SimulatedStation", "Step"]

BOOT_RETRY_S = 30
REBOOT_AFTER_S = 1
REBOOT_S = 5

_ACCEPTED, _REJECTED = Reply("Accepted"), Reply("Rejected")
_RESET_REASONS = {"Hard": "HardReset", "Soft": "SoftReset"}
_AVAILABILITY: dict[str, type[Event]] = {"Operative": chart.MakeOperative, "Inoperative": chart.MakeInoperative}


class SimulatedStation:
    """A charging station with `connectors` connectors of `power_w` watts each, its drivers included.

    `behaviour` names one of `BEHAVIOURS`; with `random` (numbers in [0, 1)) and `clock` it decides all that happens;
    energy follows trio's clock. `battery_wh`: a car takes that much and pauses; without it, it takes energy for ever.
    `on_event` is told of every step, `on_charge` of a charge when it begins, gets its number and ends. Raises
    ValueError for a behaviour that does not exist and for no connectors.
    """

    def __init__(
        self,
        identity: str,
        *,
        connect: Connect,
        clock: Clock,
        random: Callable[[], float],
        behaviour: str = "normal",
        connectors: int = 1,
        power_w: int = 11_000,
        battery_wh: int | None = None,
        meter_interval_s: int = 60,
        vendor: str = "roamnode",
        model: str = "simulated",
        on_event: Callable[[Step], None] | None = None,
        on_charge: Callable[[Charge], object] = lambda _: None,
    ) -> None:
        if connectors < 1:
            raise ValueError(f"station {identity} needs at least one connector")
        self.identity = identity
        self.registered = trio.Event()
        self._boot_notification = BootNotification(vendor=vendor, model=model, serial_number=identity)
        turns, history = Turns(), History(identity, clock, on_event)
        self._site = Site(
            turns=turns,
            line=Line(connect, self, turns, history, random),
            history=history,
            clock=clock,
            random=random,
            habits=habits(behaviour),
            configuration=configuration(connectors=connectors, meter_interval_s=meter_interval_s),
            battery_wh=battery_wh,
            on_charge=on_charge,
        )
        self._connectors = {
            number: SimulatedConnector(number, power_w, self._site, self._tell_status)
            for number in range(1, connectors + 1)
        }
        self._told: dict[int, ConnectorStatus] = {}
        self._follow_configuration()

    def __repr__(self) -> str:
        state = "online" if self.online else "offline"
        return f"<SimulatedStation {self.identity} {state}, {[*self._connectors.values()]}, {self.owed} owed>"

    # -- what the world may see ----------------------------------------------------------------------------------------

    @property
    def history(self) -> tuple[Step, ...]:
        """All that happened, oldest first."""
        return self._site.history.steps

    @property
    def charges(self) -> tuple[Charge, ...]:
        """Its transactions as the station itself saw them, oldest first."""
        return tuple(self._site.charges)

    @property
    def online(self) -> bool:
        return self._site.line.online

    @property
    def owed(self) -> int:
        """How many reports of transactions the central system has not answered yet."""
        return self._site.line.owed

    def connector(self, connector_id: int) -> SimulatedConnector:
        """One connector. Raises ValueError where the station has none of this number."""
        if connector_id not in self._connectors:
            raise ValueError(f"station {self.identity} has connectors 1 to {len(self._connectors)}, not {connector_id}")
        return self._connectors[connector_id]

    def state(self, connector_id: int) -> str:
        """The state of the chart that this connector is in."""
        return self.connector(connector_id).data.state

    def meter_wh(self, connector_id: int) -> int:
        """What the meter of this connector shows now."""
        return self.connector(connector_id).meter_wh

    def energy_wh(self, connector_id: int) -> int:
        """The energy of this connector's newest transaction, running or over; 0 before its first."""
        return self.connector(connector_id).energy_wh

    # -- what a driver may do ------------------------------------------------------------------------------------------

    async def plug(self, connector_id: int) -> None:
        await self._befall(connector_id, chart.CablePlugged)

    async def unplug(self, connector_id: int) -> None:
        await self._befall(connector_id, chart.CableUnplugged)

    async def swipe(self, connector_id: int, id_tag: str) -> None:
        """Holds an RFID card to the reader: begins a transaction, or ends the one that this card began."""
        await self._befall(connector_id, chart.IdTagPresented, id_tag=id_tag)

    async def pause(self, connector_id: int) -> None:
        """Lets the car take no more energy until `resume`."""
        await self._befall(connector_id, chart.EvPaused)

    async def resume(self, connector_id: int) -> None:
        await self._befall(connector_id, chart.EvResumed)

    async def break_down(self, connector_id: int, error_code: str) -> None:
        """`error_code` is a word of OCPP 1.6 section 7.6, such as GroundFailure."""
        await self._befall(connector_id, chart.FaultAppeared, error_code=error_code)

    async def repair(self, connector_id: int) -> None:
        await self._befall(connector_id, chart.FaultCleared)

    async def lose_connection(self, away_s: float) -> None:
        """Cuts the connection and stays away for so many seconds."""
        await self._site.turns.tell(partial(self._site.line.drop, away_s))

    async def lose_power(self, away_s: float) -> None:
        """Ends what runs, and boots again so many seconds later; what it owes it still knows then."""
        await self._site.turns.tell(partial(self._lose_power, away_s))

    async def configure(self, key: str, value: str) -> None:
        """Changes its configuration on the spot, as ChangeConfiguration does from afar."""
        await self._site.turns.tell(partial(self._configure, key, value))

    async def _befall(self, connector_id: int, kind: type[Event], **what: Any) -> None:
        await self._site.turns.tell(self.connector(connector_id).later(kind, **what))

    # -- life ----------------------------------------------------------------------------------------------------------

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Lives until cancelled. Started at once; `registered` is set when the central system has accepted it."""
        async with trio.open_nursery() as nursery:
            self._site.line.open(nursery)
            task_status.started()
            while True:
                turn = await self._site.turns.next()
                turn()
                await self._site.line.settle()

    # -- registration --------------------------------------------------------------------------------------------------

    def connected(self) -> None:
        """A new connection: boots if not yet accepted, else tells what has changed (OCPP 1.6 section 5.4: no boot)."""
        if self._site.line.registered:
            self._tell_statuses()
        else:
            self._boot()

    def _boot(self) -> None:
        retry = partial(self._site.turns.arm, "boot", BOOT_RETRY_S, self._boot)
        self._site.turns.disarm("boot")
        self._site.line.say(Saying(self._boot_notification, answered=self._booted, unanswered=retry))

    def _booted(self, answer: BootAnswer) -> None:
        if answer.interval_s > 0:
            self._configure("HeartbeatInterval", str(answer.interval_s))
        if answer.status is not RegistrationStatus.ACCEPTED:
            # Section 4.2: while Pending or Rejected, nothing but another BootNotification after the interval.
            self._site.turns.arm("boot", answer.interval_s or BOOT_RETRY_S, self._boot)
            return
        self._site.line.registered = True
        self._told.clear()
        self._tell_statuses()
        self._arm_heartbeat()
        self.registered.set()

    def _lose_power(self, away_s: float) -> None:
        self._end_charges("PowerLoss")
        self._reboot(away_s)

    def _reboot(self, away_s: float = REBOOT_S) -> None:
        self._site.line.registered = False
        self._site.turns.disarm("boot", "heartbeat")
        self._site.line.drop(away_s)

    def _arm_heartbeat(self) -> None:
        interval_s = self._site.configuration.number("HeartbeatInterval")
        self._site.turns.disarm("heartbeat")
        if interval_s > 0 and self._site.line.registered:
            self._site.turns.arm("heartbeat", interval_s, self._beat)

    def _beat(self) -> None:
        self._site.line.say(Saying(Heartbeat()))
        self._arm_heartbeat()

    # -- status --------------------------------------------------------------------------------------------------------

    def _tell_status(self, number: int) -> None:
        if self._site.line.registered:
            self._site.line.say(self._status(number))

    def _tell_statuses(self) -> None:
        """Before all that is owed: each connector whose status the central system does not know; 0 is the station."""
        whole = [] if 0 in self._told else [0]
        changed = [n for n, connector in self._connectors.items() if self._told.get(n) is not connector.data.status]
        self._site.line.say_first(*(self._status(number) for number in (*whole, *changed)))

    def _status(self, number: int) -> Saying:
        connector = self._connectors.get(number)
        status = connector.data.status if connector else ConnectorStatus.AVAILABLE
        report = StatusNotification(
            connector_id=number,
            status=status,
            error_code=connector.data.error_code if connector else "NoError",
            timestamp=self._site.now(),
        )
        return Saying(report, answered=lambda _: self._told.update({number: status}))

    # -- commands ------------------------------------------------------------------------------------------------------

    def commanded(self, command: StationCommand) -> Reply:
        """Does what the central system asks and says what to answer."""
        obey = _COMMANDS.get(type(command))
        return obey(self, command) if obey else Reply("not supported", supported=False)

    def _remote_start(self, command: RemoteStartTransaction) -> Reply:
        number = command.connector_id or self._free_connector()
        if not (self._site.habits.accepts_remote_start and self._site.line.registered and number in self._connectors):
            return _REJECTED
        return self._asked(number, chart.StartRemotely, id_tag=command.id_tag)

    def _free_connector(self) -> int:
        """The connector for a start that names none: one with a cable first. 0 if none is free."""
        states = {connector.data.state: number for number, connector in reversed(self._connectors.items())}
        return states.get(PLUGGED) or states.get(AVAILABLE) or 0

    def _remote_stop(self, command: RemoteStopTransaction) -> Reply:
        for number, connector in self._connectors.items():
            if self._site.line.registered and connector.transaction_id == command.transaction_id:
                return self._asked(number, chart.StopRemotely)
        return _REJECTED

    def _asked(self, number: int, kind: type[Event], **what: Any) -> Reply:
        decision = self._connectors[number].happens(kind, **what)
        return _REJECTED if decision.refusal else Reply(decision.answer)

    def _reset(self, command: Reset) -> Reply:
        if command.kind not in _RESET_REASONS:
            return _REJECTED
        self._end_charges(_RESET_REASONS[command.kind])
        self._site.turns.arm("reboot", REBOOT_AFTER_S, self._reboot)
        return _ACCEPTED

    def _end_charges(self, reason: str) -> None:
        for connector in self._connectors.values():
            connector.happens(chart.Rebooted, reason=reason)

    def _unlock(self, command: UnlockConnector) -> Reply:
        if command.connector_id not in self._connectors:
            return Reply("NotSupported")
        return self._asked(command.connector_id, chart.Unlock)

    def _change_availability(self, command: ChangeAvailability) -> Reply:
        numbers = [*self._connectors] if command.connector_id == 0 else [command.connector_id]
        kind = _AVAILABILITY.get(command.kind)
        if kind is None or not self._connectors.keys() >= set(numbers):
            return _REJECTED
        replies = [self._asked(number, kind) for number in numbers]
        return next((reply for reply in replies if reply.status == "Scheduled"), _ACCEPTED)

    def _change_configuration(self, command: ChangeConfiguration) -> Reply:
        return Reply(self._configure(command.key, command.value))

    def _configure(self, key: str, value: str) -> str:
        self._site.configuration, status = self._site.configuration.changed(key, value)
        self._follow_configuration()
        if key.casefold() == "heartbeatinterval":
            self._arm_heartbeat()
        return status

    def _follow_configuration(self) -> None:
        self._site.line.attempts_max = self._site.configuration.number("TransactionMessageAttempts")
        self._site.line.retry_interval_s = self._site.configuration.number("TransactionMessageRetryInterval")
        for connector in self._connectors.values():
            connector.follow_configuration()

    def _get_configuration(self, command: GetConfiguration) -> Reply:
        return Reply("", self._site.configuration.listed(command.keys))

    def _trigger(self, command: TriggerMessage) -> Reply:
        """OCPP 1.6 section 5.17: one connector, or all of them where none is named."""
        numbers = [*self._connectors] if command.connector_id is None else [command.connector_id]
        if not self._connectors.keys() >= set(numbers):
            return _REJECTED
        match command.what:
            case "StatusNotification":
                for number in numbers:
                    self._site.line.say(self._status(number))
            case "MeterValues":
                for number in numbers:
                    self._connectors[number].tell_meter()
            case "Heartbeat":
                self._site.line.say(Saying(Heartbeat()))
            case "BootNotification":
                self._boot()
            case _:
                return Reply("NotImplemented")
        return _ACCEPTED

    def _clear_cache(self, _: ClearCache) -> Reply:
        return _ACCEPTED

    def _transfer_data(self, _: CentralDataTransfer) -> Reply:
        return Reply("UnknownVendorId")


_COMMANDS: dict[type[StationCommand], Callable[[SimulatedStation, Any], Reply]] = {
    RemoteStartTransaction: SimulatedStation._remote_start,
    RemoteStopTransaction: SimulatedStation._remote_stop,
    Reset: SimulatedStation._reset,
    UnlockConnector: SimulatedStation._unlock,
    ChangeAvailability: SimulatedStation._change_availability,
    ChangeConfiguration: SimulatedStation._change_configuration,
    GetConfiguration: SimulatedStation._get_configuration,
    TriggerMessage: SimulatedStation._trigger,
    ClearCache: SimulatedStation._clear_cache,
    CentralDataTransfer: SimulatedStation._transfer_data,
}
