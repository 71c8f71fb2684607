"""A simulated charging station: an actor that behaves as its chart says and talks to a central system.

It takes one turn at a time: an answer, a command, something its driver did, or a timer. Only turns change its state, so
its whole history follows from its behaviour, its random numbers and what the central system does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec
import trio

from actors.simulated_access import Access
from actors.simulated_answers import ANSWERS
from actors.simulated_certificates import Certificates, knows_certificate
from actors.simulated_connector import SimulatedConnector, Site
from actors.simulated_control import ACCEPTED, REJECTED, Control, Handlers
from actors.simulated_idioms import IDIOMS
from actors.simulated_line import Connect, Line, Reply
from actors.simulated_outbox import Charge, Saying
from actors.simulated_profiles import Profiles
from actors.simulated_service import Service
from actors.simulated_settings import Rekey, Settings
from actors.simulated_smart import SmartCharging
from actors.simulated_turns import History, Step, Turns
from statecharts import simulated_events as chart
from statecharts.events import Event
from statecharts.ports import Clock
from statecharts.simulated_equipment import BEHAVIOURS, configuration, habits
from statecharts.station_commands import (
    CentralDataTransfer,
    ClearCache,
    GetLocalListVersion,
    SendLocalList,
    StationCommand,
    TriggerMessage,
)
from statecharts.station_reports import (
    BootAnswer,
    BootNotification,
    ConnectorStatus,
    Heartbeat,
    RegistrationStatus,
    StatusNotification,
)
from statecharts.station_vocabulary import IdTagInfo

__all__ = ["BEHAVIOURS", "Charge", "SimulatedStation", "Step"]

BOOT_RETRY_S = 30
REBOOT_S = 5
ONLY_PLUG = 1

_NOT_SUPPORTED = Reply("not supported", supported=False)


class SimulatedStation:
    """A charging station with `connectors` connectors of `power_w` watts each, its drivers included.

    It speaks `ocpp_version` 1.6, 2.0.1 or 2.1. `behaviour` names one of `BEHAVIOURS`; with `random` (numbers in [0, 1))
    and `clock` it decides all that happens; energy follows trio's clock. `battery_wh`: a car takes that much and
    pauses; without it, it takes energy for ever.
    `rekey` is told the password that it is to show from now on; without it, it has none that can be changed.
    `on_event` is told of every step, `on_charge` of a charge when it begins, gets its number and ends. Raises
    ValueError for a behaviour that does not exist and for no connectors.
    """

    def __init__(
        self,
        identity: str,
        *,
        connect: Connect,
        rekey: Rekey | None = None,
        clock: Clock,
        random: Callable[[], float],
        ocpp_version: str = "1.6",
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
        self._boot_reason: str | None = "PowerUp"
        self._site = Site(
            idiom=IDIOMS[ocpp_version],
            answers=ANSWERS[ocpp_version],
            access=Access(),
            profiles=Profiles(),
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
            number: SimulatedConnector(number, power_w, self._site, self._tell_status, self._lose_power)
            for number in range(1, connectors + 1)
        }
        self._told: dict[int, ConnectorStatus] = {}
        self._said: dict[int, ConnectorStatus] = {}
        self._add_parts(rekey)
        self._follow_configuration()

    def _add_parts(self, rekey: Rekey | None) -> None:
        site, access = self._site, self._site.access
        self._control = control = Control(site, self._connectors, partial(self._reboot, reason="RemoteReset"))
        self._service = service = Service(site, self.identity, lambda: control.idle, self._reboot, knows_certificate)
        certificates = Certificates(site, self.identity, service.note)
        self._commands: Handlers = {
            **control.commands,
            **Settings(site, self._configure, rekey).commands,
            **SmartCharging(site, self._connectors).commands,
            **service.commands,
            **certificates.commands,
            ClearCache: access.clear_cache,
            SendLocalList: access.take_list,
            GetLocalListVersion: self._list_version,
            TriggerMessage: self._trigger,
            CentralDataTransfer: self._transfer_data,
        }
        self._triggers_of_connectors: dict[str, Callable[[int], object]] = {
            "StatusNotification": lambda number: site.line.say(self._status(number)),
            "MeterValues": lambda number: self._connectors[number].tell_meter(),
        }
        if site.idiom.numbered_evses:
            self._triggers_of_connectors["TransactionEvent"] = lambda number: self._connectors[number].tell_charge()
        self._triggers: dict[str, Callable[[], object]] = {
            "BootNotification": partial(self._boot, "Triggered"),
            "DiagnosticsStatusNotification": service.tell_log,
            "FirmwareStatusNotification": service.tell_firmware,
            "Heartbeat": lambda: site.line.say(Saying(Heartbeat())),
            "LogStatusNotification": service.tell_log,
            "SignChargingStationCertificate": certificates.ask,
        }

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

    @property
    def listed(self) -> Mapping[str, IdTagInfo]:
        """Its local list, by idTags without their case."""
        return self._site.access.listed

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

    def _boot(self, reason: str | None = None) -> None:
        """`reason` is why it tells so now, if that is not the one it has come up for."""
        retry = partial(self._site.turns.arm, "boot", BOOT_RETRY_S, self._boot)
        self._site.turns.disarm("boot")
        boot = msgspec.structs.replace(
            self._boot_notification,
            reason=reason or self._service.boot_reason or self._boot_reason,
            firmware_version=self._service.firmware_version,
        )
        self._site.line.say(Saying(boot, answered=self._booted, unanswered=retry))

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
        self._service.booted()
        self._arm_heartbeat()
        self.registered.set()

    def _lose_power(self, away_s: float) -> None:
        self._control.end_charges("PowerLoss")
        self._reboot(away_s, reason="PowerUp")

    def _reboot(self, away_s: float = REBOOT_S, reason: str | None = None) -> None:
        self._boot_reason = reason
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
        if self._site.line.registered and self._said.get(number) is not self._shown(number):
            self._site.line.say(self._status(number))

    def _tell_statuses(self) -> None:
        """Before all that is owed: each connector whose status the central system does not know; 0 is the station."""
        whole = [] if 0 in self._told or self._site.idiom.numbered_evses else [0]
        changed = [number for number in self._connectors if self._told.get(number) is not self._shown(number)]
        self._site.line.say_first(*(self._status(number) for number in (*whole, *changed)))

    def _shown(self, number: int) -> ConnectorStatus:
        connector = self._connectors.get(number)
        return self._site.idiom.shown(connector.data.status) if connector else ConnectorStatus.AVAILABLE

    def _status(self, number: int) -> Saying:
        connector = self._connectors.get(number)
        self._said[number] = status = self._shown(number)
        report = StatusNotification(
            connector_id=number,
            status=status,
            error_code=connector.data.error_code if connector else "NoError",
            timestamp=self._site.now(),
            plug_id=ONLY_PLUG if self._site.idiom.numbered_evses else None,
        )
        return Saying(report, answered=lambda _: self._told.update({number: status}))

    # -- commands ------------------------------------------------------------------------------------------------------

    def commanded(self, command: StationCommand) -> Reply:
        """Does what the central system asks and says what to answer."""
        obey = self._commands.get(type(command))
        return obey(command) if obey else _NOT_SUPPORTED

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

    def _trigger(self, command: TriggerMessage) -> Reply:
        """OCPP 1.6 section 5.17: one connector, or all of them where none is named."""
        numbers = [*self._connectors] if command.connector_id is None else [command.connector_id]
        if not self._connectors.keys() >= set(numbers):
            return REJECTED
        of_connector, of_station = self._triggers_of_connectors.get(command.what), self._triggers.get(command.what)
        if of_connector is not None:
            for number in numbers:
                of_connector(number)
        elif of_station is not None:
            of_station()
        else:
            return Reply("NotImplemented")
        return ACCEPTED

    def _list_version(self, _: GetLocalListVersion) -> Reply:
        return Reply("", self._site.answers.list_version(self._site.access.version))

    def _transfer_data(self, _: CentralDataTransfer) -> Reply:
        return Reply("UnknownVendorId")
