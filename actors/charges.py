"""A station's charges: which transaction each belongs to, and the hand-over of what the station reports of it.

The order of writing is what makes a crash harmless: a start is first given its number in the station's stream, then
handed to its transaction, then judged; a stop is first handed over, then closed in the station's book. Every hand-over
repeats safely, so whatever the station sends again after a crash ends where it would have ended.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

import structlog

from actors.context import Context
from actors.looks import Look
from actors.numbers import NUMBER_SCOPE
from actors.records import Alias
from statecharts.charging import ConnectorTaken, MeterRead, TransactionStarted, TransactionStopped
from statecharts.destination_events import S as DestinationState
from statecharts.events import Event
from statecharts.metering import newest_register
from statecharts.station import ChargeClosed, ChargeJudged, ChargeOpened, StationCharge
from statecharts.station_vocabulary import (
    IdTagAnswer,
    IdTagInfo,
    IdTagStatus,
    MeterValues,
    ReportAnswer,
    StartAnswer,
    StartTransaction,
    StopTransaction,
)
from statecharts.transaction_local import Opened
from statecharts.vocabulary import Acknowledgement

if TYPE_CHECKING:
    from actors.station import StationActor

AUTHORIZATION_IDENTIFIER = re.compile(r"[0-9A-F]{12}")
CHARGEABLE = (DestinationState.START_TX_REQUESTED, DestinationState.TX_RUNNING, DestinationState.STOP_TX_REQUESTED)

log = structlog.get_logger(__name__)


class Charges:
    """The part of a station's actor that deals with idTags and charges; runs within its turns."""

    def __init__(self, station: StationActor, context: Context) -> None:
        self._station = station
        self._context = context

    # -- who is it -----------------------------------------------------------------------------------------------------

    async def check(self, id_tag: str) -> IdTagInfo:
        """What the station is told of an idTag that it asks about without naming a connector (Authorize)."""
        destination = await self._destination(id_tag)
        if destination is None:
            return await self._check_card(id_tag)
        data = destination
        waiting = data.state in (DestinationState.READY, DestinationState.EXPIRED) and data.started_once
        accepted = data.state in CHARGEABLE or waiting
        return IdTagInfo(status=IdTagStatus.ACCEPTED if accepted else IdTagStatus.INVALID)

    async def _destination(self, id_tag: str) -> Any | None:
        """The roaming transaction at this station that this idTag is for."""
        name = id_tag.upper()
        if not AUTHORIZATION_IDENTIFIER.fullmatch(name):
            return None
        if await self._context.ledger.transaction(f"destination/{name}") is None:
            return None
        data = await self._context.system.ask(f"destination/{name}", Look())
        return data if data.station == self._station.identity else None

    async def _check_card(self, id_tag: str) -> IdTagInfo:
        verdict = await self._context.identity.check_id_tag(id_tag, self._station.clock.now())
        if verdict.allowed:
            return IdTagInfo(status=IdTagStatus.ACCEPTED)
        if verdict.expired:
            return IdTagInfo(status=IdTagStatus.EXPIRED)
        return IdTagInfo(status=IdTagStatus.BLOCKED if verdict.blocked else IdTagStatus.INVALID)

    # -- start ---------------------------------------------------------------------------------------------------------

    async def start(self, start: StartTransaction) -> ReportAnswer:
        """The number and the verdict for a StartTransaction, the same ones for the same start."""
        known = self._station.data.same_start(start, self._station.clock.now())
        charge = known or await self._open(start)
        info = charge.id_tag_info or await self._judge(charge)
        return StartAnswer(transaction_id=charge.number, id_tag_info=info)

    async def resume(self) -> None:
        """Judges what was opened and not judged before the actor's life ended."""
        for charge in [c for c in self._station.data.charges.values() if c.open and c.id_tag_info is None]:
            await self._judge(charge)

    async def _open(self, start: StartTransaction) -> StationCharge:
        number = await self._context.numbers.next()
        await self._end_others(start, number)
        opened = ChargeOpened(
            at=self._station.clock.now(), number=number, transaction=await self._owner(start, number), start=start
        )
        await self._station.record(opened, aliases=(Alias(scope=NUMBER_SCOPE, name=str(number)),))
        return self._station.data.charges[number]

    async def _owner(self, start: StartTransaction, number: int) -> str:
        """The stream of the transaction that this start belongs to, before it was asked."""
        destination = await self._destination(start.id_tag)
        if destination is not None:
            return f"destination/{destination.id}"
        held = self._station.holds.get(start.connector_id)
        if held is not None and held.id_tag.casefold() == start.id_tag.casefold():
            return held.transaction
        return f"local/{number}"

    async def _end_others(self, start: StartTransaction, number: int) -> None:
        """Whatever else ran or was about to start on this connector is over: the cable is in another car."""
        now = self._station.clock.now()
        held = self._station.holds.get(start.connector_id)
        if held is not None and held.id_tag.casefold() != start.id_tag.casefold():
            await self._context.system.ask(held.transaction, ConnectorTaken(at=now, number=number))
            self._station.release(held.transaction)
        earlier = self._station.data.open_on(start.connector_id)
        if earlier is not None:
            log.warning("station.reconciled", station=self._station.identity, number=earlier.number)
            await self.tell(earlier, ConnectorTaken(at=now, number=number))
            await self._station.record(ChargeClosed(at=now, number=earlier.number))

    async def _judge(self, charge: StationCharge) -> IdTagInfo:
        """Hands the start to its transaction; one that a roaming transaction does not want becomes a local one."""
        now, start = self._station.clock.now(), charge.start
        transaction, status = charge.transaction, None
        if transaction.startswith("destination/"):
            turned = await self._context.system.ask(transaction, _started(charge, now, accepted=True))
            status = turned.answer
            if status is not IdTagStatus.ACCEPTED:
                transaction = f"local/{charge.number}"
        info = IdTagInfo(status=status) if status else await self._check_card(start.id_tag)
        if transaction.startswith("local/"):
            opened_by_us = transaction != f"local/{charge.number}"
            info = IdTagInfo(status=IdTagStatus.ACCEPTED) if opened_by_us else info
            await self._open_local(transaction, charge, info, now)
        judged = ChargeJudged(at=now, number=charge.number, transaction=transaction, id_tag_info=info)
        await self._station.record(judged)
        return info

    async def _open_local(self, transaction: str, charge: StationCharge, info: IdTagInfo, now: datetime) -> None:
        opened = Opened(
            at=now,
            id=transaction.partition("/")[2],
            station=self._station.identity,
            id_tag=charge.start.id_tag,
            deadlines=self._station.place.deadlines,
        )
        await self._context.system.ask(transaction, opened)
        accepted = info.status is IdTagStatus.ACCEPTED
        await self._context.system.ask(transaction, _started(charge, now, accepted=accepted))

    # -- meter and stop ------------------------------------------------------------------------------------------------

    async def metered(self, values: MeterValues) -> ReportAnswer:
        """Meter values go to the charge that they name, else to the one that goes on at their connector."""
        charge = self._named(values.transaction_id)
        if charge is None and (values.transaction_id is None or values.transaction_id < 0):
            charge = self._station.data.open_on(values.connector_id)
        if charge is None:
            await self._station.keep_orphan(values)
            return Acknowledgement()
        now = self._station.clock.now()
        newest = newest_register(values.samples)
        timestamp = max((sample.timestamp for sample in values.samples), default=now)
        at, meter_wh = (newest[0].timestamp, newest[1]) if newest else (timestamp, None)
        await self.tell(charge, MeterRead(at=now, timestamp=at, meter_wh=meter_wh, samples=values.samples))
        return Acknowledgement()

    async def stop(self, stop: StopTransaction) -> ReportAnswer:
        """A stop is always taken: by its number, by what else it says, or as an orphan (OCPP 1.6 errata 3.18)."""
        charge = self._named(stop.transaction_id) or self._guessed(stop)
        if charge is None:
            if not await self._stopped_without_start(stop):
                await self._station.keep_orphan(stop)
        else:
            await self.tell(charge, self._stopped(stop, charge.number))
            if charge.open:
                await self._station.record(ChargeClosed(at=self._station.clock.now(), number=charge.number, stop=stop))
        return IdTagAnswer(id_tag_info=await self.check(stop.id_tag) if stop.id_tag else None)

    def _named(self, number: int | None) -> StationCharge | None:
        return self._station.data.charges.get(number) if number is not None else None

    def _guessed(self, stop: StopTransaction) -> StationCharge | None:
        """The charge that a stop with number -1 can only mean: open, begun before, of the idTag that it may name."""
        if stop.transaction_id > 0:
            return None
        tag = stop.id_tag.casefold() if stop.id_tag else None
        candidates = [
            charge
            for charge in self._station.data.charges.values()
            if charge.open
            and charge.start.timestamp <= stop.timestamp
            and (tag is None or charge.start.id_tag.casefold() == tag)
        ]
        return candidates[0] if len(candidates) == 1 else None

    async def _stopped_without_start(self, stop: StopTransaction) -> bool:
        """A stop of a start that never reached us, known by the authorisation that it names."""
        destination = await self._destination(stop.id_tag) if stop.id_tag else None
        if destination is None or destination.charge.number not in (None, stop.transaction_id):
            return False
        await self._context.system.ask(f"destination/{destination.id}", self._stopped(stop, stop.transaction_id))
        return True

    def _stopped(self, stop: StopTransaction, number: int) -> TransactionStopped:
        return TransactionStopped(
            at=self._station.clock.now(),
            number=number,
            timestamp=stop.timestamp,
            meter_stop_wh=stop.meter_stop_wh,
            reason=stop.reason,
            id_tag=stop.id_tag,
            samples=stop.samples,
        )

    async def tell(self, charge: StationCharge, event: Event) -> None:
        """Hands an event to the transaction of a charge, and waits until it is durable there."""
        if charge.id_tag_info is None:
            await self._judge(charge)
            charge = self._station.data.charges[charge.number]
        await self._context.system.ask(charge.transaction, event)


def _started(charge: StationCharge, now: datetime, *, accepted: bool) -> TransactionStarted:
    start = charge.start
    return TransactionStarted(
        at=now,
        number=charge.number,
        connector_id=start.connector_id,
        id_tag=start.id_tag,
        timestamp=start.timestamp,
        meter_start_wh=start.meter_start_wh,
        id_tag_accepted=accepted,
    )
