"""Two operators and a station between them, and the usual ways of a charge, for tests of what may go wrong on them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec
import trio

from actors.context import DeliverySettings, NodeSettings, Place
from actors.policies import POLICIES, Policy
from statecharts.ports import CdrView, TransactionView
from statecharts.station_reports import ConnectorStatus
from statecharts.vocabulary import EndTransaction, TransactionData, TransactionStatus
from tests.support.house import APP, EPOCH, House, LinkedClient, StationLine, link, open_house, place

HOME, LOCAL = "NL-MOT", "IE-001"


@dataclass(frozen=True)
class Charge:
    """One charge as both operators name it; `number` is the station's."""

    transaction_id: str
    name: str
    number: int = 0

    @property
    def source(self) -> str:
        return f"source/{self.transaction_id}"

    @property
    def destination(self) -> str:
        return f"destination/{self.name}"


@dataclass
class Roaming:
    """`home` is the Source, `local` the Destination with station CS01; `there` and `back` are their calls."""

    nursery: trio.Nursery
    home: House
    local: House
    there: LinkedClient
    back: LinkedClient
    station: StationLine

    async def ready(self, connector: str | None = "1") -> Charge:
        """An authorised transaction."""
        view = await self.home.authorize(LOCAL, connector=connector)
        assert view.authorization_identifier is not None
        return Charge(view.transaction_id, view.authorization_identifier)

    async def start_asked(self, charge: Charge | None = None) -> Charge:
        """The station was asked to start."""
        charge = charge or await self.ready()
        await self.start(charge)
        await self.local.until(charge.destination, "StartTxRequested")
        return charge

    async def running(self, charge: Charge | None = None) -> Charge:
        """The station charges, and both operators know it."""
        charge = charge or await self.start_asked()
        answer = await self.station.start(charge.name)
        await self.local.until(charge.destination, "TxRunning")
        await self.home.until(charge.source, "TxRunning")
        return Charge(charge.transaction_id, charge.name, answer.transaction_id)

    async def stop_asked(self, charge: Charge | None = None) -> Charge:
        """The station was asked to stop."""
        charge = charge or await self.running()
        await self.home.source.stop(APP, charge.transaction_id, None)
        await self.local.until(charge.destination, "StopTxRequested")
        return charge

    async def settled(self, charge: Charge, *, within_s: float = 600) -> None:
        """Waits until both operators are done with it."""
        await self.home.until(charge.source, "Settled", within_s)
        await self.local.until(charge.destination, "Settled", within_s)

    async def start(self, charge: Charge) -> TransactionView:
        return await self.home.source.start(APP, charge.transaction_id, None)

    async def stop(self, charge: Charge) -> TransactionView:
        return await self.home.source.stop(APP, charge.transaction_id, None)

    async def leave(self) -> None:
        """The car drives off: the connector is free again."""
        await self.station.status(1, ConnectorStatus.AVAILABLE)

    async def cdrs(self) -> tuple[tuple[CdrView, ...], tuple[CdrView, ...]]:
        """The charge records that the Source and the Destination hold."""
        received = await self.home.operator.cdrs(role="source", limit=99)
        made = await self.local.operator.cdrs(role="destination", limit=99)
        return received.items, made.items

    async def same_cdr(self, charge: Charge) -> CdrView:
        """The one record that both hold of this charge; fails if they differ or there are more."""
        received, made = [
            [cdr for cdr in held if cdr.authorization_identifier == charge.name] for held in await self.cdrs()
        ]
        assert len(received) == len(made) == 1, (received, made)
        told, sent = (msgspec.structs.asdict(cdr) for cdr in (received[0], made[0]))
        for own in ("pms_identifier", "status", "flags"):
            del told[own], sent[own]
        assert told == sent
        return received[0]

    async def view(self, charge: Charge) -> TransactionView:
        """The transaction as its app sees it."""
        return await self.home.source.transaction(APP, charge.transaction_id)

    async def down_time(self, house: House, seconds: float) -> None:
        """The node of this operator is killed, and started again after a while."""
        house.kill()
        await trio.sleep(seconds)
        await house.restart(self.nursery)


@asynccontextmanager
async def two_operators(
    nursery: trio.Nursery,
    *,
    places: tuple[Place, ...] = (place(),),
    delivery: DeliverySettings | None = None,
    policies: Mapping[str, Policy] = POLICIES,
    **local_settings: Any,
) -> AsyncIterator[Roaming]:
    """Two linked operators, the station online with both its connectors free."""
    delivery = delivery or DeliverySettings()
    home_settings = NodeSettings(pms_identifier=HOME, delivery=delivery)
    settings = NodeSettings(pms_identifier=LOCAL, delivery=delivery, **local_settings)
    async with (
        open_house(HOME, nursery, settings=home_settings, policies=policies) as home,
        open_house(LOCAL, nursery, places=places, settings=settings, policies=policies) as local,
    ):
        there, back = link(home, local)
        station = StationLine(local, places[0].identity)
        await station.come_online(connectors=places[0].connectors)
        yield Roaming(nursery, home, local, there, back, station)


def content(charge: Charge, **other: Any) -> TransactionData:
    """What the Destination may say of a charge at its end: 4 kWh in an hour."""
    known: dict[str, Any] = {
        "start_timestamp": EPOCH,
        "end_timestamp": EPOCH + timedelta(hours=1),
        "transaction_status": TransactionStatus.TERMINATED,
        "energy_wh": 4_000,
        "local_operator_identifier": LOCAL,
        "local_service_identifier": "CS01",
        "home_operator_identifier": HOME,
        "user_identifier": "anna",
        "authorization_identifier": charge.name,
    }
    return TransactionData(**{**known, **other})


def end(charge: Charge, **other: Any) -> EndTransaction:
    return EndTransaction(
        authorization_identifier=charge.name,
        start_transaction_timestamp=EPOCH,
        end_transaction_timestamp=EPOCH + timedelta(hours=1),
        transaction_data=content(charge, **other),
    )
