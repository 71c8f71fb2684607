"""The stations of a world, and the drivers who hold cards to them."""

from __future__ import annotations

from contextlib import suppress

import trio

from actors.simulated_outbox import Charge
from actors.simulated_station import SimulatedStation
from protocols.ocpp.versions import spoken
from statecharts.simulated_connector import AVAILABLE, PLUGGED
from tests.world.ground import Ground, HostClock
from tests.world.history import ChargeSeen, DriverDid
from tests.world.lines import Line
from tests.world.network import Network
from tests.world.operators import OCPP_PORT, station_password
from tests.world.plan import Local, StationPlan

FREE = frozenset({AVAILABLE, PLUGGED})
LOOKS_EVERY_S = 60.0


class Station:
    """A simulated station with a clock of its own; `line` can be cut. What it metered itself is in the history."""

    def __init__(self, ground: Ground, network: Network, plan: StationPlan) -> None:
        self.plan, self.clock = plan, HostClock()
        self._ground = ground
        url = f"ws://{plan.operator}:{OCPP_PORT}/ocpp"
        self.line, self.second_line = (
            Line(ground, network, plan.identity, url, station_password(plan.identity), spoken(plan.ocpp_version))
            for _ in range(2)
        )
        self.simulated = SimulatedStation(
            plan.identity,
            connect=self.line.connect,
            clock=self.clock,
            random=ground.chance("station", plan.identity).random,
            ocpp_version=plan.ocpp_version,
            behaviour=plan.behaviour,
            connectors=plan.connectors,
            power_w=plan.power_w,
            meter_interval_s=300,
            on_charge=self._saw_charge,
        )

    def __repr__(self) -> str:
        return repr(self.simulated)

    @property
    def is_idle(self) -> bool:
        """Whether no charge runs and nothing is owed to the node."""
        return not self.simulated.owed and all(charge.stopped_at is not None for charge in self.simulated.charges)

    async def drive(self, plan: Local) -> None:
        """A driver comes with a card, waits for the connector, charges for a while, and shows the card again."""
        await trio.sleep_until(plan.begins_s)
        await self.simulated.registered.wait()
        while self.simulated.state(plan.connector) not in FREE:  # noqa: ASYNC110 - virtual time costs nothing
            await trio.sleep(LOOKS_EVERY_S)
        self._ground.saw(DriverDid, plan.station, what=f"card {plan.id_tag} at connector {plan.connector}")
        await self.simulated.swipe(plan.connector, plan.id_tag)
        await trio.sleep(plan.lasts_s)
        if any(charge.id_tag == plan.id_tag and charge.stopped_at is None for charge in self.simulated.charges):
            self._ground.saw(DriverDid, plan.station, what=f"card {plan.id_tag} again at connector {plan.connector}")
            await self.simulated.swipe(plan.connector, plan.id_tag)

    async def unplug_charge_of(self, id_tag: str) -> None:
        """Somebody pulls the cable of the charge with this idTag, if it runs."""
        for charge in self._running(id_tag):
            await self.simulated.unplug(charge.connector_id)

    async def swipe_charge_of(self, id_tag: str) -> None:
        """Somebody holds this idTag to the reader once more, if a charge with it runs."""
        for charge in self._running(id_tag):
            await self.simulated.swipe(charge.connector_id, id_tag)

    def _running(self, id_tag: str) -> list[Charge]:
        return [each for each in self.simulated.charges if each.id_tag == id_tag and each.stopped_at is None]

    async def plug_and_swipe(self, connector: int, id_tag: str) -> None:
        """Somebody plugs in and holds this idTag to the reader."""
        await self.simulated.plug(connector)
        await self.simulated.swipe(connector, id_tag)

    async def plug_and_swipe_offline(self, connector: int, id_tag: str) -> None:
        """The same, while the station has no connection and lets anybody charge who comes then."""
        await self.simulated.configure("AllowOfflineTxForUnknownId", "true")
        await self.simulated.lose_connection(30)
        await self.plug_and_swipe(connector, id_tag)

    async def send_home(self) -> None:
        """Everything works again, and whoever still charges drives off."""
        for number in range(1, self.plan.connectors + 1):
            if self.simulated.state(number) == "Faulted":
                await self.simulated.repair(number)
        for charge in self.simulated.charges:
            if charge.stopped_at is None:
                await self.simulated.unplug(charge.connector_id)

    async def second_socket(self) -> None:
        """Connects once more, as a station does that believes its line is gone; says nothing, until it is cut."""
        with suppress(OSError):
            async with self.second_line.connect() as end:
                while True:
                    await end.next_command()

    def _saw_charge(self, charge: Charge) -> None:
        self._ground.saw(
            ChargeSeen,
            self.plan.identity,
            connector_id=charge.connector_id,
            id_tag=charge.id_tag,
            started_at=charge.started_at.isoformat(),
            meter_start_wh=charge.meter_start_wh,
            transaction_id=charge.transaction_id,
            stopped_at=charge.stopped_at and charge.stopped_at.isoformat(),
            meter_stop_wh=charge.meter_stop_wh,
            reason=charge.reason,
        )
