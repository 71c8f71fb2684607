"""What a simulated station is asked to do with its connectors: starts, stops, locks, availability, reservations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from actors.simulated_connector import SimulatedConnector, Site
from actors.simulated_line import Reply
from statecharts import simulated_events as chart
from statecharts.events import Event
from statecharts.simulated_connector import AVAILABLE, PLUGGED
from statecharts.station_commands import (
    CancelReservation,
    ChangeAvailability,
    GetTransactionStatus,
    RemoteStartTransaction,
    RemoteStopTransaction,
    ReserveNow,
    Reset,
    StationCommand,
    UnlockConnector,
)

ACCEPTED, REJECTED = Reply("Accepted"), Reply("Rejected")
REBOOT_AFTER_S = 1
IDLE_LOOK_S = 5

_RESET_REASONS = {"Hard": "HardReset", "Soft": "SoftReset"}
_AVAILABILITY: dict[str, type[Event]] = {"Operative": chart.MakeOperative, "Inoperative": chart.MakeInoperative}

Handlers = Mapping[type[StationCommand], Callable[[Any], Reply]]


class Control:
    """The part of a station that moves its connectors; `reboot` makes it boot anew."""

    def __init__(self, site: Site, connectors: Mapping[int, SimulatedConnector], reboot: Callable[[], object]) -> None:
        self._site, self._connectors, self._reboot = site, connectors, reboot
        self.commands: Handlers = {
            RemoteStartTransaction: self._remote_start,
            RemoteStopTransaction: self._remote_stop,
            GetTransactionStatus: self._transaction_status,
            UnlockConnector: self._unlock,
            ChangeAvailability: self._change_availability,
            ReserveNow: self._reserve,
            CancelReservation: self._cancel_reservation,
            Reset: self._reset,
        }

    @property
    def idle(self) -> bool:
        """Whether no transaction runs."""
        return all(connector.running is None for connector in self._connectors.values())

    def _asked(self, number: int, kind: type[Event], **what: Any) -> Reply:
        decision = self._connectors[number].happens(kind, **what)
        return REJECTED if decision.refusal else Reply(decision.answer)

    # -- transactions --------------------------------------------------------------------------------------------------

    def _remote_start(self, command: RemoteStartTransaction) -> Reply:
        number = command.connector_id or self._free_connector()
        if not (self._site.habits.accepts_remote_start and self._site.line.registered and number in self._connectors):
            return REJECTED
        reply = self._asked(number, chart.StartRemotely, id_tag=command.id_tag)
        if reply.status == "Accepted" and command.charging_profile is not None:
            self._site.profiles.install(number, command.charging_profile)
        return reply

    def _free_connector(self) -> int:
        """The connector for a start that names none: one with a cable first. 0 if none is free."""
        states = {connector.data.state: number for number, connector in reversed([*self._connectors.items()])}
        return states.get(PLUGGED) or states.get(AVAILABLE) or 0

    def _remote_stop(self, command: RemoteStopTransaction) -> Reply:
        for number, connector in self._connectors.items():
            charge = connector.running
            if charge and self._site.line.registered and charge.is_meant_by(command.transaction_id, command.reference):
                return self._asked(number, chart.StopRemotely)
        return REJECTED

    def _transaction_status(self, command: GetTransactionStatus) -> Reply:
        """OCPP 2.0.1 part 2, E14: of one transaction, or of all where none is named."""
        if not command.reference:
            return Reply("", {"messagesInQueue": self._site.line.owed > 0})
        charges = [each for each in self._site.charges if each.reference == command.reference]
        ongoing = any(each.stopped_at is None for each in charges)
        owes = any(self._site.line.owes(each) for each in charges)
        return Reply("", {"ongoingIndicator": ongoing, "messagesInQueue": owes})

    # -- connectors ----------------------------------------------------------------------------------------------------

    def _unlock(self, command: UnlockConnector) -> Reply:
        connector = self._connectors.get(command.connector_id)
        if connector is None:
            return Reply(self._site.answers.unknown_connector)
        if self._site.answers.idle_first and connector.running is not None:
            return Reply("OngoingAuthorizedTransaction")
        return self._asked(command.connector_id, chart.Unlock)

    def _change_availability(self, command: ChangeAvailability) -> Reply:
        numbers = [*self._connectors] if command.connector_id == 0 else [command.connector_id]
        kind = _AVAILABILITY.get(command.kind)
        if kind is None or not self._connectors.keys() >= set(numbers):
            return REJECTED
        replies = [self._asked(number, kind) for number in numbers]
        return next((reply for reply in replies if reply.status == "Scheduled"), ACCEPTED)

    # -- reservations --------------------------------------------------------------------------------------------------

    def _reserve(self, command: ReserveNow) -> Reply:
        if command.connector_id not in self._connectors:
            return REJECTED
        elsewhere = self._reserved_as(command.reservation_id)
        reply = self._asked(
            command.connector_id,
            chart.Reserve,
            reservation_id=command.reservation_id,
            id_tag=command.id_tag,
            expires_at=command.expiry_date,
            parent_id_tag=command.parent_id_tag,
        )
        if reply.status == "Accepted" and elsewhere not in (0, command.connector_id):
            self._asked(elsewhere, chart.CancelReservation)
        return reply

    def _cancel_reservation(self, command: CancelReservation) -> Reply:
        number = self._reserved_as(command.reservation_id)
        return self._asked(number, chart.CancelReservation) if number else REJECTED

    def _reserved_as(self, reservation_id: int) -> int:
        """The connector that is kept under this number; 0 if none is."""
        kept = (number for number, each in self._connectors.items() if each.reserved_as == reservation_id)
        return next(kept, 0)

    # -- resets --------------------------------------------------------------------------------------------------------

    def _reset(self, command: Reset) -> Reply:
        if command.kind not in _RESET_REASONS or command.connector_id is not None:
            return REJECTED
        if command.kind == "Soft" and self._site.answers.idle_first and not self.idle:
            self._site.turns.arm("reboot", IDLE_LOOK_S, self._reboot_when_idle)
            return Reply("Scheduled")
        self.end_charges(_RESET_REASONS[command.kind])
        self._site.turns.arm("reboot", REBOOT_AFTER_S, self._reboot)
        return ACCEPTED

    def _reboot_when_idle(self) -> None:
        if self.idle:
            self._reboot()
        else:
            self._site.turns.arm("reboot", IDLE_LOOK_S, self._reboot_when_idle)

    def end_charges(self, reason: str) -> None:
        """Ends whatever goes on at any connector, as a station does that loses its power or boots anew."""
        for connector in self._connectors.values():
            connector.happens(chart.Rebooted, reason=reason)
