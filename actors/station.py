"""The actor of one charging station: what it reports is made durable, handed to its transaction, and answered.

Nothing a station reports is refused or dropped: a charge that belongs to no Source becomes a local transaction, a
report that belongs to no charge is kept as an orphan. Commands to the station do not pass through the mailbox: they
wait in the connection's own queue, so that a transaction that is being told of a start can never wait for itself.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import structlog

from actors.actor import Actor
from actors.charges import Charges
from actors.connectors import Connectors
from actors.context import Context, Place
from actors.doubts import Doubts
from actors.durable import Form, Memory, fact_of, read_fact
from actors.inbox import Assign, Dismiss, Inbox, InboxMessage, Odd
from actors.looks import Look
from actors.records import Alias, Append, Fact, IdleMeter, LogEntry, Orphan, OrphanDecided, StoreUnavailable
from actors.station_calls import Calls
from actors.station_certificates import StationCertificates
from actors.station_events import StationEvents
from actors.station_log import log_entry
from actors.station_messages import (
    CatchUp,
    Gone,
    Hold,
    Keep,
    LookAfter,
    Online,
    Release,
    Report,
    Review,
    StationLook,
    StatusTold,
)
from actors.station_standing import Standings
from actors.watches import Witness
from statecharts import evse, station
from statecharts.bounds import CHARGES_KEPT, STOPS_KEPT
from statecharts.charging import StationConfirmed, StationDoubted
from statecharts.chart import Outcome
from statecharts.events import Event
from statecharts.evse import StatusReported
from statecharts.model_limits import ModelLimits, limits_of
from statecharts.moments import after_s
from statecharts.ports import StationConnection
from statecharts.promises import Promise
from statecharts.reservation import ReservationAsked, ReservationEnded, ReservationTold
from statecharts.station import Booted, ChargeClosed, Connected, Disconnected, Station, StopKept
from statecharts.station_commands import (
    CallOutcome,
    StationCommand,
)
from statecharts.station_credentials import CertificateIssued, TurnedAway
from statecharts.station_reports import (
    AuthorizeIdTag,
    BootAnswer,
    BootNotification,
    ConnectorStatus,
    Heartbeat,
    HeartbeatAnswer,
    IdTagAnswer,
    MeterValues,
    ReportAnswer,
    ReservationStatus,
    SignCertificate,
    StartTransaction,
    StationReport,
    StatusNotification,
    StopTransaction,
    TransactionEvent,
    said_at,
)
from statecharts.station_session import status_reported
from statecharts.vocabulary import Acknowledgement, refused

NEWEST_WINS = 1000, "a newer connection of this station took over"

SILENT = 1000, "nothing was reported for too long"

log = structlog.get_logger(__name__)


FORM = Form("station 5", Station, Station())


def _fold(before: Station, fact: Fact) -> Station:
    return station.apply(before, read_fact(fact, station.EVENTS))


class StationActor(Actor):
    """One station; see the module's docstring."""

    def __init__(self, key: str, context: Context) -> None:
        super().__init__(key, context.clock, context.watermarks)
        self.context = context
        self.identity = key.partition("/")[2]
        self.data = Station()
        self.seq = 0
        self._memory = Memory(FORM, context.watermarks)
        self.connection: StationConnection | None = None
        self.last_seen_at: datetime | None = None
        self.clock_ahead_s: float | None = None
        self.connectors = Connectors(self)
        self.charges = Charges(self, context)
        self.calls = Calls(self)
        self.doubts = Doubts(self, self.charges)
        self.standing = Standings(self, context)
        self.inbox = Inbox(self, self.charges, context)
        self.events = StationEvents(self, self.charges)
        self.certificates = StationCertificates(self, context)
        self.limits = ModelLimits()
        self.witness = Witness(self)
        self._unkept: dict[int, tuple[StatusNotification, datetime]] = {}

    def __repr__(self) -> str:
        state = self.data.registration.state
        where = "Online" if self.connection else "Offline"
        return f"<Station {self.identity} {state} {where}, {self.waiting} waiting, {len(self.connectors.holds)} held>"

    @property
    def place(self) -> Place:
        """Where it is and how many connectors it has, as the operator says now."""
        return self.context.station_place(self.identity)

    # -- life ----------------------------------------------------------------------------------------------------------

    async def load(self) -> None:
        """Folds the journal; charges that were not judged before a crash are handed over again."""
        self.data, self.seq = await self._memory.recall(self.context.journal, self.key, _fold)
        if self.connection is None:
            await self._note_away()
        self.last_seen_at = self.last_seen_at or self.data.connection.since
        self.limits = limits_of(self.context.settings.quirks, self.data.registration.boot)
        self.standing.note()
        await self.charges.resume()

    def may_rest(self) -> bool:
        """A station that is away, where nothing goes on and nothing is about to."""
        return (
            self.connection is None and not self.connectors.holds and not self.standing.is_charging and not self._unkept
        )

    def deadline(self) -> datetime | None:
        idle = () if (left_s := self._idle_left_s()) is None else (after_s(self.clock.now(), left_s),)
        return min((*(at for _, at in self._unkept.values()), *idle), default=None)

    async def due(self) -> None:
        left_s = self._idle_left_s()
        if left_s is not None and left_s <= 0 and self.connection is not None:
            log.warning("station.idle", station=self.identity, idle_close_s=self.limits.idle_close_s)
            self.connection.close(*SILENT)
            await self._went(self.connection)
        for said, at in list(self._unkept.values()):
            await self._status(said, at)

    def _idle_left_s(self) -> float | None:
        """How much longer the station may report nothing; None if for ever."""
        if self.limits.idle_close_s is None or self.connection is None or self.last_seen_at is None:
            return None
        return self.limits.idle_close_s - (self.context.clock.wall() - self.last_seen_at).total_seconds()

    async def turn(self, message: Any) -> Any:
        match message:
            case Report(connection=connection, report=report):
                await self._is_here(connection)
                answer = await self._reported(report)
                self.witness.report(report)
                return answer
            case Online(connection=connection):
                await self._came(connection)
            case Gone(connection=connection):
                await self._went(connection)
            case Hold() | ReservationAsked() | ReservationTold() | ReservationEnded():
                return await self.connectors.take(message)
            case Release(transaction=transaction):
                await self.charges.let_go(transaction)
            case LookAfter() | StatusTold():
                await self.doubts.heard(message)
            case CatchUp():
                await self.charges.catch_up(message)
            case Look():
                return self._look()
            case TurnedAway() | CertificateIssued() | Review() | Keep() | Odd() | Assign() | Dismiss():
                return await self._keep(message)
        return None

    async def record(
        self,
        *events: Event,
        aliases: tuple[Alias, ...] = (),
        orphans: tuple[Orphan, ...] = (),
        decided: tuple[OrphanDecided, ...] = (),
        meters: tuple[IdleMeter, ...] = (),
        log: tuple[LogEntry, ...] = (),
    ) -> None:
        """Makes these events durable in the station's stream, and then true. Raises `Refused` (503) if it cannot."""
        after, facts = self.data, []
        for event in map(self.context.clock.stamped, events):
            before, after = after, station.apply(after, event)
            facts.append(fact_of(event, station.region_state(before, event), station.region_state(after, event)))
        append = Append(
            stream=self.key,
            after_seq=self.seq,
            facts=tuple(facts),
            aliases=aliases,
            orphans=orphans,
            decided=decided,
            meters=meters,
            log=log,
            snapshot=self._memory.snapshot(self.seq + len(facts), after) if facts else None,
        )
        await self.context.journal.append(append)
        self.data, self.seq = after, self.seq + len(facts)
        self.witness.recorded(events)
        if any(isinstance(event, ChargeClosed | StopKept) for event in events):
            self.standing.charge_ended()
            self.context.watermarks.saw(CHARGES_KEPT, sum(not charge.open for charge in after.charges.values()))
            self.context.watermarks.saw(STOPS_KEPT, len(after.stops))

    # -- connection ----------------------------------------------------------------------------------------------------

    async def _came(self, connection: StationConnection) -> None:
        older, self.connection = self.connection, connection
        self.last_seen_at, self.clock_ahead_s = self.context.clock.wall(), None
        if older is not None and older is not connection:
            older.close(*NEWEST_WINS)
        await self.standing.came(connection.login)
        await self.record(Connected(at=self.clock.now(), protocol=connection.protocol))
        log.info("station.online", station=self.identity, protocol=connection.protocol)
        self.certificates.renew(connection.certificate)
        self.context.lists.came(self.identity)
        self.context.system.tell(self.key, LookAfter())

    async def _is_here(self, connection: StationConnection) -> None:
        """Raises `Refused` (409) unless this is the station's connection."""
        if self.connection is None:
            # This actor was put aside and has come back; its station never left.
            await self._came(connection)
        if connection is not self.connection:
            raise refused(409, "superseded", "a newer connection of this station took over")

    async def _went(self, connection: StationConnection) -> None:
        if connection is not self.connection:
            return
        self.connection = None
        await self._note_away()
        self.context.lists.went(self.identity)
        log.info("station.offline", station=self.identity)

    async def _note_away(self) -> None:
        """Nothing to write down where the journal was away when the station came, and never heard of it."""
        if self.data.connection.state == station.ONLINE:
            await self.record(Disconnected(at=self.clock.now()))

    async def command(
        self, command: StationCommand, until: datetime | None = None, *, forced: bool = False
    ) -> CallOutcome:
        """Sends a command, at most once, and waits for what became of it; not a turn, may be called by anybody.

        One that still waits its turn at `until` is never sent: no start may come after it was told to have failed. Nor
        is one that the station says it cannot do, unless it is `forced`.
        """
        return await self.calls.send(command, until, forced=forced)

    def at_once(
        self, connection: StationConnection, report: StationReport
    ) -> ReportAnswer | Promise[ReportAnswer] | None:
        """The answer to what needs no turn of the station: nothing of it changes, and nothing of it is about to.

        A Heartbeat says no more than that the station is there; meter values of a charge are its transaction's.
        """
        if connection is not self.connection or self.witness.is_wanted:
            return None
        if isinstance(report, Heartbeat):
            self.last_seen_at = self.context.clock.wall()
            return HeartbeatAnswer(current_time=self.last_seen_at)
        if isinstance(report, MeterValues) and self.in_hand is None and not self.waiting:
            self._saw(report)
            return self.charges.hand_on(report)
        if isinstance(report, TransactionEvent) and self.in_hand is None and not self.waiting:
            self._saw(report)
            return self.events.hand_on(report)
        return None

    def _saw(self, report: StationReport) -> datetime:
        """When that was; what it says of its own time shows how far the station's clock is off."""
        now = self.last_seen_at = self.context.clock.wall()
        said = said_at(report)
        if said is not None:
            self.clock_ahead_s = (said - now).total_seconds()
        return now

    def _look(self) -> StationLook:
        online, may_charge = self.connection is not None, self.standing.may_charge
        free, kept = self.connectors.free_for(None)
        return StationLook(self.data, online, self.connectors.numbers, free, kept, self.last_seen_at, may_charge)

    # -- reports -------------------------------------------------------------------------------------------------------

    async def _reported(self, report: StationReport) -> ReportAnswer:
        now, seen_at = self.clock.now(), self._saw(report)
        match report:
            case Heartbeat():
                return HeartbeatAnswer(current_time=seen_at)
            case BootNotification():
                return await self._booted(report, now)
            case StatusNotification():
                return await self._status(report, now)
            case AuthorizeIdTag(id_tag=id_tag):
                return IdTagAnswer(id_tag_info=await self.charges.check(id_tag))
            case StartTransaction():
                return await self.charges.start(report)
            case StopTransaction():
                return await self.charges.stop(report)
            case MeterValues():
                return await self.charges.metered(report)
            case TransactionEvent():
                return await self.events.heard(report)
            case ReservationStatus(reservation_id=number, status=reason):
                await self.record(log=(log_entry(self.identity, report, seen_at),))
                await self.connectors.take(ReservationEnded(at=now, number=number, reason=reason))
                return Acknowledgement()
            case _:
                await self.record(log=(log_entry(self.identity, report, seen_at),))
                self.calls.heard(report)
                return self.certificates.answer(report) if isinstance(report, SignCertificate) else Acknowledgement()

    async def _keep(self, told: InboxMessage | TurnedAway | CertificateIssued | Review) -> Any:
        """What was told about this station, and not by it on its connection."""
        if isinstance(told, Review):
            return self.standing.review(told)
        if not isinstance(told, TurnedAway | CertificateIssued):
            return await self.inbox.take(told)
        await self.record(log=(log_entry(self.identity, told, self.context.clock.wall()),))
        return Acknowledgement()

    async def _booted(self, boot: BootNotification, now: datetime) -> ReportAnswer:
        self.limits = limits_of(self.context.settings.quirks, boot)
        status, interval_s = self.standing.answer()
        await self.record(Booted(at=now, boot=boot, status=status))
        self.calls.booted()
        self.context.lists.came(self.identity)
        self.standing.note()
        await self.doubts.booted()
        return BootAnswer(status=status, current_time=self.context.clock.wall(), interval_s=interval_s)

    async def _status(self, said: StatusNotification, now: datetime) -> ReportAnswer:
        self._unkept.pop(said.connector_id, None)
        try:
            return await self._keep_status(said, now)
        except StoreUnavailable:
            # A station says what it is when that changes, and not again: we keep it ourselves once the store is back.
            self._unkept[said.connector_id] = said, now
            raise

    async def _keep_status(self, said: StatusNotification, now: datetime) -> ReportAnswer:
        before = self.data.evse(said.connector_id)
        charge = self.data.open_on(said.connector_id)
        event = status_reported(said, before, now, charging=charge is not None)
        if 0 <= said.connector_id <= self.standing.connectors:
            await self.take_status(event)
        else:
            # Not kept: a station that counts on for ever would fill its stream and our memory.
            log.warning("station.unknown_connector", station=self.identity, connector=said.connector_id)
        if charge is not None and event.status is ConnectorStatus.AVAILABLE:
            await self.charges.tell(charge, StationDoubted(at=now, reason="the connector is available"))
        elif charge is not None and said.status in evse.CHARGES_GO_ON:
            await self.charges.tell(charge, StationConfirmed(at=now))
        return Acknowledgement()

    async def take_status(self, event: StatusReported) -> None:
        """Makes durable what a connector of this station shows, if it shows something else than before."""
        before = self.data.evse(event.connector_id)
        if evse.CHART.step(before, event).outcome is Outcome.REPEATED:
            return
        if evse.surprising(before, event):
            log.warning("station.surprise", station=self.identity, from_status=before.state, to_status=event.status)
        await self.record(event)
