"""What the events of an OCPP 2.x station's transactions come to: starts, readings and ends of charges.

The order of writing makes a crash harmless, as it does in `charges`: what was heard while nobody pays stands in the
station's stream; a charge gets its number there, with all that was heard before, and is then handed over. An event is
answered when all that is done, so that one whose answer is lost comes again and finds what it has begun.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from actors.charges import Charges
from statecharts.bounds import SESSIONS_KEPT
from statecharts.charging import StationConfirmed
from statecharts.destination_events import S as DestinationState
from statecharts.promises import Promise
from statecharts.station import StationCharge, TransactionHeard
from statecharts.station_reports import (
    ConnectorStatus,
    IdTagAnswer,
    MeterSample,
    MeterValues,
    ReportAnswer,
    TransactionEvent,
    TransactionEventKind,
)
from statecharts.station_session import Session, heard, remote_start_id, shown_by, status_shown, stop_of
from statecharts.station_vocabulary import IdTagInfo
from statecharts.transaction_local import S as LocalState

if TYPE_CHECKING:
    from actors.station import StationActor

STARTS_REMEMBERED = timedelta(days=7)
"""A station that does what it was asked longer ago than this is not believed to have been asked."""

NOT_BEGUN = (DestinationState.READY, DestinationState.START_TX_REQUESTED, DestinationState.EXPIRED, LocalState.EXPIRED)
"""The states of transactions whose start a station may still report."""

log = structlog.get_logger(__name__)


class StationEvents:
    """The part of a station's actor that deals with TransactionEvents; runs within its turns."""

    __slots__ = ("_charges", "_station")

    def __init__(self, station: StationActor, charges: Charges) -> None:
        self._station = station
        self._charges = charges

    async def heard(self, event: TransactionEvent) -> ReportAnswer:
        """What an event is answered once all that it says is durable; the same again when it is repeated."""
        if not event.reference:
            return await self._keep(event)
        charge = self._station.data.charge_called(event.reference)
        charge = await (self._begin(event) if charge is None else self._go_on(charge, event))
        await self._show(event, charge)
        return IdTagAnswer(id_tag_info=await self._verdict(event, charge))

    def hand_on(self, event: TransactionEvent) -> Promise[ReportAnswer] | None:
        """Hands the readings of a charge to its transaction without a turn of the station, if that is all they are."""
        charge = self._station.data.charge_called(event.reference)
        says_more = event.id_tag is not None or event.kind is not TransactionEventKind.UPDATED or not event.samples
        if charge is None or says_more or self._shown_by(event, self._evse_of(event, charge)) is not None:
            return None
        return self._charges.hand_on(_values(charge, event.samples))

    async def _keep(self, event: TransactionEvent) -> ReportAnswer:
        """Keeps an event that names no transaction for the operator: nobody can tell which are of one charge."""
        await self._station.inbox.keep(event)
        return IdTagAnswer(id_tag_info=await self._verdict(event, None))

    # -- from session to charge ----------------------------------------------------------------------------------------

    async def _begin(self, event: TransactionEvent) -> StationCharge | None:
        """The charge that a transaction becomes by this event; None while nobody is known who pays."""
        before = self._station.data.sessions.get(event.reference)
        session = heard(before, event)
        asked_for = self._asked_for(session) or await self._asked_before(session)
        start = session.start(asked_for, self._place_of(session))
        if start is None:
            await self._wait(before, session, event)
            return None
        charge = await self._charges.begin(session, start)
        if session.ended is not None and session.ended != event:
            await self._station.record(decided=(self._station.inbox.joined(session.ended, charge.transaction),))
        readings = event.samples or ((session.last,) if session.last else ())
        if readings and session.ended is None:
            await self._charges.metered(_values(charge, readings))
        return charge

    async def _wait(self, before: Session | None, session: Session, event: TransactionEvent) -> None:
        """Writes an event down of a transaction that nobody pays for yet.

        An end whose beginning is missing is one for the operator, until that comes and says whose it was.
        """
        # A reading between others changes nothing that is known, and is what the station reported all the same.
        if session == before and all(sample in (before.first, before.last) for sample in event.samples):
            return
        ends = session.ended == event and not session.begun and (before is None or before.ended is None)
        orphans = (self._station.inbox.orphan(event),) if ends else ()
        await self._station.record(TransactionHeard(at=self._station.clock.now(), event=event), orphans=orphans)
        self._station.context.watermarks.saw(SESSIONS_KEPT, len(self._station.data.sessions))

    def _asked_for(self, session: Session) -> str | None:
        """The idTag that we asked this station to start for, if this is that start."""
        wanted = [hold.id_tag for hold in self._station.connectors.holds.values()]
        return next((tag for tag in wanted if remote_start_id(tag) == session.remote_start_id), None)

    async def _asked_before(self, session: Session) -> str | None:
        """The same of a start that was given up: the station was away, or waited for the cable, and does it now."""
        if session.id_tag is not None or session.remote_start_id is None:
            return None
        context = self._station.context
        since = context.clock.now() - STARTS_REMEMBERED
        views = await context.ledger.unbegun(self._station.identity, states=NOT_BEGUN, since=since)
        wanted = [view.authorization_identifier or view.user_identifier for view in views]
        return next((tag for tag in wanted if remote_start_id(tag) == session.remote_start_id), None)

    def _place_of(self, session: Session) -> int:
        """Where a transaction is that does not say so: where its start was asked for, else at the only EVSE."""
        for connector_id, hold in self._station.connectors.holds.items():
            if remote_start_id(hold.id_tag) == session.remote_start_id or hold.id_tag == session.id_tag:
                return connector_id
        return 1 if self._station.place.connectors == 1 else 0

    # -- a charge that goes on -----------------------------------------------------------------------------------------

    async def _go_on(self, charge: StationCharge, event: TransactionEvent) -> StationCharge:
        if event.kind is TransactionEventKind.STARTED and event.timestamp < charge.start.timestamp:
            # It has come too late to be the beginning of its charge: the operator can see what that lacks.
            log.warning("station.late_start", station=self._station.identity, number=charge.number)
            await self._station.inbox.keep(event)
        if event.kind is TransactionEventKind.ENDED:
            await self._end(charge, event)
        elif event.samples:
            await self._charges.metered(_values(charge, event.samples))
        elif charge.open:
            await self._charges.tell(charge, StationConfirmed(at=self._station.clock.now()))
        return self._station.data.charges.get(charge.number, charge)

    async def _end(self, charge: StationCharge, event: TransactionEvent) -> None:
        stop = stop_of(event, charge.number)
        known = charge.stop
        repeated = known and (known.timestamp, known.meter_stop_wh) == (stop.timestamp, stop.meter_stop_wh)
        if repeated:
            self._station.context.meters.duplicates.add("station", type(event).__name__)
        elif not await self._charges.end(charge, stop):
            await self._station.inbox.keep(stop)

    async def _verdict(self, event: TransactionEvent, charge: StationCharge | None) -> IdTagInfo | None:
        """What is said of the idTag that an event names: the charge's own verdict, or that of another tag."""
        if event.id_tag is None:
            return None
        own = charge is not None and charge.start.id_tag.casefold() == event.id_tag.casefold()
        if charge is not None and own and charge.id_tag_info is not None:
            return charge.id_tag_info
        return await self._charges.check(event.id_tag)

    # -- what the EVSE shows -------------------------------------------------------------------------------------------

    async def _show(self, event: TransactionEvent, charge: StationCharge | None) -> None:
        """Takes over what an event says of its EVSE, unless its charge is over, or another one goes on there."""
        connector_id = self._evse_of(event, charge)
        status = self._shown_by(event, connector_id)
        going_on = self._station.data.open_on(connector_id)
        ended = event.kind is TransactionEventKind.ENDED
        outdated = going_on is not None if ended else charge is not None and not charge.open
        if status is None or outdated:
            return
        await self._station.take_status(shown_by(event, connector_id, status, self._station.clock.now()))

    def _evse_of(self, event: TransactionEvent, charge: StationCharge | None) -> int:
        """Where an event is from; a station need name its EVSE in the first event of a transaction only."""
        session = self._station.data.sessions.get(event.reference)
        there = charge.start.connector_id if charge else session.connector_id if session else None
        return event.connector_id or there or 0

    def _shown_by(self, event: TransactionEvent, connector_id: int) -> ConnectorStatus | None:
        """What an EVSE of ours shows by this event, if that is something else than before."""
        if not 0 < connector_id <= self._station.place.connectors:
            return None
        return status_shown(event, self._station.data.evse(connector_id).state)


def _values(charge: StationCharge, samples: tuple[MeterSample, ...]) -> MeterValues:
    return MeterValues(connector_id=charge.start.connector_id, transaction_id=charge.number, samples=samples)
