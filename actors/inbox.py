"""What of a station belongs to nothing we know: kept with the reason, and what an operator decides on it.

A decision and what it does are made safe against a crash in this order: first the transaction takes what it is given,
which repeats safely, then the decision is written down, once and with the station's own facts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from actors.context import Context
from actors.records import Decision, Orphan, OrphanDecided, OrphanOutcome
from actors.station_log import log_entry
from actors.station_messages import Keep
from statecharts.charging import UNLEARNED
from statecharts.oddities import OddMessage
from statecharts.station import StopKept, StopResolved
from statecharts.station_reports import MeterValues, StopTransaction, TransactionEvent, TransactionEventKind
from statecharts.station_session import stop_of
from statecharts.vocabulary import Acknowledgement, refused

if TYPE_CHECKING:
    from actors.charges import Charges
    from actors.station import StationActor

Unmatched = StopTransaction | MeterValues | TransactionEvent | OddMessage
"""What is kept as an orphan."""

_UNMATCHED = msgspec.json.Decoder(Unmatched)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Odd:
    """A message broke the specification: kept if something of it was lost, else logged."""

    message: OddMessage


@dataclass(frozen=True, slots=True)
class Assign:
    """An operator, `by`, knows the transaction (its stream) that an orphan belongs to. Answered with the orphan."""

    orphan_id: int
    transaction: str
    by: str


@dataclass(frozen=True, slots=True)
class Dismiss:
    """An operator, `by`, says that an orphan is of no use, and why. Answered with the orphan."""

    orphan_id: int
    reason: str
    by: str


InboxMessage = Keep | Odd | Assign | Dismiss


class Inbox:
    """The part of a station's actor that deals with orphans; runs within its turns."""

    __slots__ = ("_charges", "_context", "_station")

    def __init__(self, station: StationActor, charges: Charges, context: Context) -> None:
        self._station, self._charges, self._context = station, charges, context

    async def take(self, message: InboxMessage) -> Orphan | Acknowledgement | None:
        match message:
            case Keep(values=values):
                await self.keep(values)
                return Acknowledgement()
            case Odd(message=odd):
                await self._keep_odd(odd)
                return None
            case Assign():
                return await self._assign(message)
            case Dismiss():
                return await self._dismiss(message)

    def orphan(self, report: Unmatched) -> Orphan:
        """A report that belongs to nothing we know, as the operator finds it."""
        kind, body = type(report).__name__, msgspec.json.encode(report)
        at = self._context.clock.wall()
        return Orphan(station=self._station.identity, kind=kind, at=at, body=body, why=self._why(report))

    def joined(self, report: Unmatched, transaction: str) -> OrphanDecided:
        """Says that what may have been kept of this report has found its transaction."""
        decision = Decision(outcome=OrphanOutcome.JOINED, at=self._context.clock.wall(), transaction=transaction)
        return OrphanDecided(orphan=self.orphan(report), decision=decision)

    def _why(self, report: Unmatched) -> str:
        match report:
            case StopTransaction(transaction_id=number) | MeterValues(transaction_id=int(number)) if number > 0:
                if number in self._station.data.charges:
                    return f"the transaction of charge {number} could not take it"
                return f"this station has no charge {number}"
            case OddMessage(notes=notes):
                return "; ".join(notes)
            case TransactionEvent(reference=reference, kind=kind) if reference:
                ended = kind is TransactionEventKind.ENDED
                return "the beginning of its transaction is missing" if ended else "its charge was begun without it"
            case _:
                return "it names no charge, and may be of none or of several"

    async def keep(self, report: Unmatched) -> None:
        """Keeps what belongs to nothing we know, for the operator, and a stop also for its start; the same once."""
        orphan = self.orphan(report)
        if report in self._station.data.stops or await self._context.orphans.holds(orphan):
            return
        log.warning("station.orphan", station=self._station.identity, kind=type(report).__name__)
        now = self._station.clock.now()
        kept = (StopKept(at=now, stop=report),) if isinstance(report, StopTransaction) else ()
        await self._station.record(*kept, orphans=(orphan,))

    async def _keep_odd(self, odd: OddMessage) -> None:
        if odd.handling.loses_something:
            await self.keep(odd)
        else:
            await self._station.record(log=(log_entry(self._station.identity, odd, self._context.clock.wall()),))

    # -- what operators decide -----------------------------------------------------------------------------------------

    async def _assign(self, wish: Assign) -> Orphan:
        found = await self._found(wish.orphan_id)
        decision = Decision(
            outcome=OrphanOutcome.ASSIGNED,
            at=self._context.clock.wall(),
            by=wish.by,
            transaction=wish.transaction,
        )
        if not _is_decided_so(found, decision):
            report = _UNMATCHED.decode(found.body)
            await self._hand_over(report, wish.transaction)
            return await self._decided(found, report, decision)
        return found

    async def _dismiss(self, wish: Dismiss) -> Orphan:
        found = await self._found(wish.orphan_id)
        decision = Decision(
            outcome=OrphanOutcome.DISMISSED, at=self._context.clock.wall(), by=wish.by, reason=wish.reason
        )
        if not _is_decided_so(found, decision):
            return await self._decided(found, _UNMATCHED.decode(found.body), decision)
        return found

    async def _found(self, orphan_id: int) -> Orphan:
        found = await self._context.orphans.one(orphan_id)
        if found is None or found.station != self._station.identity:
            raise refused(404, "unknown-orphan", f"there is no orphan {orphan_id}")
        return found

    async def _decided(self, orphan: Orphan, report: Unmatched, decision: Decision) -> Orphan:
        resolved: tuple[StopResolved, ...] = ()
        if isinstance(report, StopTransaction) and report in self._station.data.stops:
            resolved = (StopResolved(at=self._station.clock.now(), stop=report),)
        await self._station.record(*resolved, decided=(OrphanDecided(orphan=orphan, decision=decision),))
        return msgspec.structs.replace(orphan, decision=decision)

    # -- to a transaction ----------------------------------------------------------------------------------------------

    async def _hand_over(self, report: Unmatched, transaction: str) -> None:
        """Tells a transaction of ours what the report says, as if it had named its charge. Raises `Refused` (409)."""
        if isinstance(report, OddMessage):
            raise refused(409, "unreadable", "nobody can read what this message says: dismiss it, and say what you did")
        data: Any = await self._charges.look_at(transaction)
        if data is None or data.station != self._station.identity:
            raise refused(409, "not-of-this-station", f"{transaction} is no transaction at {self._station.identity}")
        number = data.charge.number or UNLEARNED
        if not await self._charges.give(transaction, _of_charge(report, number)):
            raise refused(409, "takes-nothing", f"{transaction} can take nothing now: is it put aside?")


def _is_decided_so(orphan: Orphan, decision: Decision) -> bool:
    """Whether this was decided before. Raises `Refused` (409) if something else was."""
    before = orphan.decision
    if before is None:
        return False
    if (before.outcome, before.transaction) == (decision.outcome, decision.transaction):
        return True
    raise refused(409, "already-decided", f"orphan {orphan.id} was {before.outcome} at {before.at:%Y-%m-%d %H:%M} UTC")


def _of_charge(report: StopTransaction | MeterValues | TransactionEvent, number: int) -> StopTransaction | MeterValues:
    """What a report says of the charge with this number, in the words of OCPP 1.6."""
    match report:
        case TransactionEvent(kind=TransactionEventKind.ENDED):
            return stop_of(report, number)
        case TransactionEvent(connector_id=connector_id, samples=samples):
            return MeterValues(connector_id=connector_id or 0, transaction_id=number, samples=samples)
        case _:
            return msgspec.structs.replace(report, transaction_id=number)
