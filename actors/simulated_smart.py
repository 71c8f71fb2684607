"""What a simulated station is asked about smart charging (OCPP 1.6 section 3.13, 2.0.1 block K)."""

from __future__ import annotations

from collections.abc import Mapping

from actors.simulated_connector import SimulatedConnector, Site
from actors.simulated_control import ACCEPTED, REJECTED, Handlers
from actors.simulated_line import Reply
from statecharts.charging_limits import PHASES, TX, VOLTS, Charging
from statecharts.station_commands import ClearChargingProfile, GetCompositeSchedule, SetChargingProfile
from statecharts.station_vocabulary import ChargingPeriod, ChargingSchedule


class SmartCharging:
    """The part of a station that knows its charging profiles; connectors follow them."""

    def __init__(self, site: Site, connectors: Mapping[int, SimulatedConnector]) -> None:
        self._site, self._connectors = site, connectors
        self.commands: Handlers = {
            SetChargingProfile: self._set,
            ClearChargingProfile: self._clear,
            GetCompositeSchedule: self._composite,
        }
        site.profiles.on_change = self._follow

    def _follow(self) -> None:
        for connector in self._connectors.values():
            connector.follow_limits()

    def _set(self, command: SetChargingProfile) -> Reply:
        connector, profile = self._connectors.get(command.connector_id), command.charging_profile
        if connector is None and command.connector_id != 0:
            return REJECTED
        if profile.purpose == TX:
            # OCPP 1.6 section 5.16.2: for the transaction that runs there, and no other.
            charge = connector.running if connector else None
            if charge is None or not charge.is_meant_by(profile.transaction_id, profile.reference):
                return REJECTED
        return ACCEPTED if self._site.profiles.install(command.connector_id, profile) else REJECTED

    def _clear(self, command: ClearChargingProfile) -> Reply:
        return ACCEPTED if self._site.profiles.clear(command) else Reply("Unknown")

    def _composite(self, command: GetCompositeSchedule) -> Reply:
        """Of connector 0 what the whole station may draw from the grid."""
        number, now = command.connector_id, self._site.now()
        if number and number not in self._connectors:
            return REJECTED
        members = [self._connectors[number]] if number else [*self._connectors.values()]
        power_w = sum(member.power_w for member in members)
        since = self._connectors[number].charging_since if number else None
        charging = Charging(connector_id=number, power_w=power_w, since=since)
        periods = self._site.profiles.limits(charging, now, command.duration_s)
        unit = command.rate_unit or "W"
        schedule = ChargingSchedule(
            rate_unit=unit, duration_s=command.duration_s, periods=tuple(_in(unit, period) for period in periods)
        )
        return Reply("Accepted", self._site.answers.composite(number, now, schedule))


def _in(unit: str, period: ChargingPeriod) -> ChargingPeriod:
    limit = period.limit if unit == "W" else period.limit / VOLTS / PHASES
    return ChargingPeriod(start_s=period.start_s, limit=round(limit, 1))
