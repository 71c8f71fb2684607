"""A station's charges: which transaction each belongs to, and the hand-over of what the station reports of it.

The order of writing is what makes a crash harmless: a start is first given its number in the station's stream, then
handed to its transaction, then judged; a stop is first handed over, then closed in the station's book. Every hand-over
repeats safely, so whatever the station sends again after a crash ends where it would have ended.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from actors.cards import told
from actors.charge_events import started
from actors.context import Context
from actors.looks import UNKNOWN, Look, is_known
from actors.numbers import NUMBER_SCOPE
from actors.records import Alias, IdleMeter
from actors.station_messages import CatchUp, Keep
from actors.system import is_broken
from statecharts.charge_changes import may_end_nameless, same_stop
from statecharts.charging import Charging, ConnectorTaken, MeterRead, Opening, TransactionStopped
from statecharts.destination_events import S as DestinationState
from statecharts.events import Event
from statecharts.metering import newest_register
from statecharts.promises import Promise
from statecharts.station import ChargeClosed, ChargeJudged, ChargeOpened, StationCharge, is_older
from statecharts.station_reports import (
    IdTagAnswer,
    MeterValues,
    ReportAnswer,
    StartAnswer,
    StartTransaction,
    StopTransaction,
)
from statecharts.station_session import Session
from statecharts.station_vocabulary import IdTagInfo, IdTagStatus
from statecharts.vocabulary import Acknowledgement, Refused

if TYPE_CHECKING:
    from actors.station import StationActor

AUTHORIZATION_IDENTIFIER = re.compile(r"[0-9A-F]{12}")
CHARGEABLE = (DestinationState.START_TX_REQUESTED, DestinationState.TX_RUNNING, DestinationState.STOP_TX_REQUESTED)
CLOCKS_DIFFER = timedelta(minutes=1)
"""A station's clock is believed to say that a start was queued only if it is off by more than this."""

READINGS_AT_ONCE = 100

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
        if not await is_known(self._context, f"destination/{name}"):
            return None
        data = await self._ask(f"destination/{name}", Look())
        return data if data is not None and data.station == self._station.identity else None

    async def _check_card(self, id_tag: str) -> IdTagInfo:
        if not self._station.standing.may_charge:
            return IdTagInfo(status=IdTagStatus.INVALID)
        return told(await self._context.cards.check(id_tag, self._context.clock.wall()))

    # -- start ---------------------------------------------------------------------------------------------------------

    async def start(self, start: StartTransaction) -> ReportAnswer:
        """The number and the verdict for a StartTransaction, the same ones for the same start."""
        clock = self._context.clock
        known = self._station.data.same_start(start, max(clock.now(), clock.wall()))
        if known is not None:
            self._context.meters.duplicates.add("station", type(start).__name__)
        charge = known or await self._open(start)
        info = charge.id_tag_info or await self._judge(charge)
        return StartAnswer(transaction_id=charge.number, id_tag_info=info)

    async def resume(self) -> None:
        """Takes up what the last life left undone: charges without a verdict, ends that were not noted here."""
        for charge in [c for c in self._station.data.charges.values() if c.open]:
            try:
                await (self._judge(charge) if charge.id_tag_info is None else self.let_go(charge.transaction))
            except Refused as no:
                # The others must not wait for it; this one is taken up when the station next speaks of it.
                log.warning("station.not_resumed", station=self._station.identity, number=charge.number, cause=str(no))

    async def let_go(self, transaction: str) -> None:
        """Frees the connector of a transaction, as far as this says itself that it needs it no longer."""
        data = await self._ask(transaction, Look())
        if data is None or data.state != DestinationState.START_TX_REQUESTED:
            self._station.connectors.release(transaction)
        if data is not None and data.finished_at is not None:
            now = self._station.clock.now()
            mine = [c for c in self._station.data.charges.values() if c.open and c.transaction == transaction]
            for charge in mine:
                await self._station.record(ChargeClosed(at=now, number=charge.number))

    async def catch_up(self, due: CatchUp) -> None:
        """Tells a transaction what was kept of its charge as orphans while the transaction was broken."""
        for charge in [c for c in self._station.data.charges.values() if c.transaction == due.transaction]:
            if due.was_put_aside:
                await self._hand_over_readings(charge)
            if charge.stop and await self._ask(due.transaction, self._stopped(charge.stop, charge.number)) is not None:
                await self._station.record(decided=(self._station.inbox.joined(charge.stop, due.transaction),))

    async def _hand_over_readings(self, charge: StationCharge) -> None:
        """What was metered meanwhile, before the end is told: after it a reading could only be a correction."""
        read, kind = self._context.orphans.after, MeterValues.__name__
        page = await read(self._station.identity, kind, 0, READINGS_AT_ONCE)
        while page:
            for orphan in page:
                values = msgspec.json.decode(orphan.body, type=MeterValues)
                found, event = self._read_of(values)
                ours = found is not None and found.number == charge.number
                if ours and await self._ask(charge.transaction, event) is not None:
                    await self._station.record(decided=(self._station.inbox.joined(values, charge.transaction),))
            page = await read(self._station.identity, kind, page[-1].id or 0, READINGS_AT_ONCE)

    async def begin(self, session: Session, start: StartTransaction) -> StationCharge:
        """The charge that a transaction of OCPP 2.x has become, judged; over at once if it has ended already."""
        charge = await self._open(start, session)
        await self._judge(charge)
        return self._station.data.charges[charge.number]

    async def _open(self, start: StartTransaction, session: Session | None = None) -> StationCharge:
        number = await self._context.numbers.next()
        await self._end_others(start, number)
        opened = ChargeOpened(
            at=self._station.clock.now(),
            number=number,
            transaction=await self._owner(start, number),
            start=start,
            reference=session.reference if session else "",
            stop=session.stop(number) if session else None,
        )
        await self._station.record(opened, aliases=(Alias(scope=NUMBER_SCOPE, name=str(number)),))
        return self._station.data.charges[number]

    async def _owner(self, start: StartTransaction, number: int) -> str:
        """The stream of the transaction that this start belongs to, before it was asked."""
        destination = await self._destination(start.id_tag)
        if destination is not None:
            return f"destination/{destination.id}"
        held = self._station.connectors.holds.get(start.connector_id)
        if held is not None and held.id_tag.casefold() == start.id_tag.casefold():
            return held.transaction
        return f"local/{number}"

    async def _end_others(self, start: StartTransaction, number: int) -> None:
        """Whatever else ran or was about to start on this connector is over: the cable is in another car.

        Not so for a start that was queued while the station was offline and is older than what goes on here now.
        """
        now = self._station.clock.now()
        held = self._station.connectors.holds.get(start.connector_id)
        other = held is not None and held.id_tag.casefold() != start.id_tag.casefold()
        if held is not None and other and not is_older(start, self._context.clock.shown(held.at) - CLOCKS_DIFFER):
            await self._ask(held.transaction, ConnectorTaken(at=now, number=number))
            self._station.connectors.release(held.transaction)
        earlier = self._station.data.open_on(start.connector_id)
        if earlier is not None and not is_older(start, earlier.start.timestamp):
            log.warning("station.reconciled", station=self._station.identity, number=earlier.number)
            await self.tell(earlier, ConnectorTaken(at=now, number=number))
            await self._station.record(ChargeClosed(at=now, number=earlier.number))

    async def _judge(self, charge: StationCharge) -> IdTagInfo:
        """Hands the start to its transaction; one that a roaming transaction does not want becomes a local one."""
        now = self._station.clock.now()
        info, turned = None, None
        transaction, own = charge.transaction, f"local/{charge.number}"
        if transaction.startswith("destination/"):
            turned = await self._ask(transaction, started(charge, now, accepted=True))
            info = IdTagInfo(status=turned.answer if turned else IdTagStatus.INVALID)
        elif transaction != own:
            info = msgspec.structs.replace(await self._check_card(charge.start.id_tag), status=IdTagStatus.ACCEPTED)
        if info is None or info.status is not IdTagStatus.ACCEPTED:
            transaction = own
        if transaction.startswith("local/"):
            info, turned = await self._open_local(transaction, charge, info, now)
        assert info is not None
        judged = ChargeJudged(at=now, number=charge.number, transaction=transaction, id_tag_info=info)
        await self._note(judged, turned, charge)
        return info

    async def _note(self, judged: ChargeJudged, turned: Any, charge: StationCharge) -> None:
        """Writes the verdict down; where the charge is over already, because its stop came first, its end as well."""
        stop = self._station.data.stop_before(charge)
        if stop is not None:
            turned = await self._ask(judged.transaction, self._stopped(stop, judged.number))
        over = turned is not None and turned.data.finished_at is not None
        closed = (ChargeClosed(at=judged.at, number=judged.number, stop=stop),) if over else ()
        decided = (self._station.inbox.joined(stop, judged.transaction),) if over and stop else ()
        await self._station.record(judged, *closed, decided=decided)

    async def _open_local(
        self, transaction: str, charge: StationCharge, info: IdTagInfo | None, now: datetime
    ) -> tuple[IdTagInfo, Any]:
        """Opens a charge of our own, with what its station is told of the idTag.

        One too many of a card is written down like any other. A start that was queued is none: its charge may be over,
        and the card have charged elsewhere since.
        """
        start = charge.start
        opening = Opening(
            id=transaction.partition("/")[2],
            station=self._station.identity,
            id_tag=start.id_tag,
            deadlines=self._station.place.deadlines,
        )
        async with self._context.card_charges.room(start.id_tag, transaction) as there_is_room:
            info = info or await self._check_card(start.id_tag)
            queued = is_older(start, self._context.clock.wall() - CLOCKS_DIFFER)
            if info.status is IdTagStatus.ACCEPTED and not (there_is_room or queued):
                info = msgspec.structs.replace(info, status=IdTagStatus.CONCURRENT_TX)
            accepted = info.status is IdTagStatus.ACCEPTED
            return info, await self._ask(transaction, started(charge, now, accepted=accepted, opening=opening))

    # -- meter and stop ------------------------------------------------------------------------------------------------

    async def metered(self, values: MeterValues) -> ReportAnswer:
        """Meter values go to the charge that they name, else to the one that their connector and their time mean.

        Those that name none and fit none are the meter of an idle connector, or with connector 0 the station's main
        meter (OCPP 1.6 section 4.7, errata 3.16): no charge's and no orphans, kept beside the station's
        stream, which would grow by them for ever.
        """
        charge, read = self._read_of(values)
        if charge is not None and await self.tell(charge, read):
            return Acknowledgement()
        if charge is None and values.transaction_id is None:
            meter = IdleMeter(station=self._station.identity, at=read.at, body=msgspec.json.encode(values))
            await self._station.record(meters=(meter,))
        else:
            await self._station.inbox.keep(values)
        return Acknowledgement()

    def hand_on(self, values: MeterValues) -> Promise[ReportAnswer] | None:
        """Hands meter values to the transaction that they are of, without a turn of the station in between.

        None where it takes more than that. A transaction that turns out to be broken leaves them to the station.
        """
        charge, read = self._read_of(values)
        if charge is None or charge.id_tag_info is None or charge.transaction in self._context.system.quarantined:
            return None
        told = self._context.system.actor(charge.transaction).promise(read)
        return told.then(_acknowledged, lambda error: self._not_taken(error, values))

    def _not_taken(self, error: Exception, values: MeterValues) -> Promise[ReportAnswer]:
        if not _takes_nothing(error):
            raise error
        return self._station.promise(Keep(values))

    def _read_of(self, values: MeterValues) -> tuple[StationCharge | None, MeterRead]:
        """The charge that these values are of, if there is one, and what they say."""
        now, number = self._station.clock.now(), values.transaction_id
        newest = newest_register(values.samples)
        if newest is not None:
            at, meter_wh = newest[0].timestamp, newest[1]
        else:
            wall = self._context.clock.wall()
            at, meter_wh = max((sample.timestamp for sample in values.samples), default=wall), None
        book = self._station.data
        unnumbered = number is None or number <= 0
        charge = book.charge_at(values.connector_id, at) if unnumbered else book.charges.get(number or 0)
        named = None if unnumbered else number
        return charge, MeterRead(at=now, timestamp=at, number=named, meter_wh=meter_wh, samples=values.samples)

    async def stop(self, stop: StopTransaction) -> ReportAnswer:
        """A stop is always taken: by its number, by what else it says, or as an orphan (OCPP 1.6 errata 3.18)."""
        charge = await self._meant(stop)
        if charge is not None and charge.stop == stop:
            self._context.meters.duplicates.add("station", type(stop).__name__)
        taken = await (self.end(charge, stop) if charge else self._stopped_without_start(stop))
        if not taken:
            await self._station.inbox.keep(stop)
        return IdTagAnswer(id_tag_info=await self.check(stop.id_tag) if stop.id_tag else None)

    async def _meant(self, stop: StopTransaction) -> StationCharge | None:
        """The charge that this stop ends: what the book says, unless its transaction knows better."""
        charge = self._station.data.charge_meant(stop)
        named = stop.transaction_id > 0 or stop.id_tag is not None
        if charge is None or named or charge.stop == stop or charge.id_tag_info is None:
            return charge
        data = await self._ask(charge.transaction, Look())
        return charge if data is None or may_end_nameless(data, self._stopped(stop, charge.number)) else None

    async def end(self, charge: StationCharge, stop: StopTransaction) -> bool:
        """Hands this stop to the transaction of a charge; whether it could be taken."""
        taken = await self.tell(charge, self._stopped(stop, charge.number))
        if charge.open or charge.stop is None:
            await self._station.record(ChargeClosed(at=self._station.clock.now(), number=charge.number, stop=stop))
        return taken

    async def give(self, transaction: str, report: StopTransaction | MeterValues) -> bool:
        """Hands a transaction what an operator has found to be of its charge; whether it could be taken."""
        if isinstance(report, MeterValues):
            return await self._ask(transaction, self._read_of(report)[1]) is not None
        charge = self._station.data.charges.get(report.transaction_id)
        if charge is not None and charge.transaction == transaction:
            return await self.end(charge, report)
        return await self._ask(transaction, self._stopped(report, report.transaction_id)) is not None

    async def _stopped_without_start(self, stop: StopTransaction) -> bool:
        """A stop of a start that never reached us, known by the authorisation that it names."""
        destination = await self._destination(stop.id_tag) if stop.id_tag else None
        if destination is None:
            return False
        stopped = self._stopped(stop, stop.transaction_id)
        if destination.charge.number not in (None, stop.transaction_id) and not same_stop(destination, stopped):
            return False
        turned = await self._ask(f"destination/{destination.id}", stopped)
        # One that nobody asked to start takes no stop: it is flagged there, and what was metered is kept here.
        return turned is not None and same_stop(turned.data, stopped)

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

    async def tell(self, charge: StationCharge, event: Event) -> bool:
        """Hands an event to the transaction of a charge, waits until it is durable there; whether it could be taken."""
        if charge.id_tag_info is None:
            await self._judge(charge)
            charge = self._station.data.charges[charge.number]
        return await self._ask(charge.transaction, event) is not None

    async def look_at(self, transaction: str) -> Any | None:
        """A transaction as it is now; None if there is none, or it is broken."""
        return await self._ask(transaction, Look()) if await is_known(self._context, transaction) else None

    async def doubted(self, charge: StationCharge) -> Charging | None:
        """The transaction of this charge as it is now, if it is in doubt whether it goes on."""
        data: Charging | None = await self._ask(charge.transaction, Look())
        return data if data is not None and data.doubted_until is not None else None

    async def _ask(self, transaction: str, message: Event | Look) -> Any | None:
        """The transaction's answer; None if it can take nothing, which must not take its station down with it.

        Raises `Refused` (503) where the station had better report again: the store is away, the actor is busy.
        """
        try:
            return await self._context.system.ask(transaction, message)
        except Refused as no:
            if not _takes_nothing(no):
                raise
            log.error("station.transaction_broken", station=self._station.identity, transaction=transaction)
            return None


def _takes_nothing(no: Exception) -> bool:
    """Whether a transaction is broken, or was never begun: what would have begun it broke it, and was dismissed."""
    return isinstance(no, Refused) and (is_broken(no) or no.refusal.kind == UNKNOWN)


def _acknowledged(_: Any) -> Acknowledgement:
    return Acknowledgement()
