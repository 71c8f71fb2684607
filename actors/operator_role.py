"""What the operator of this node may see and do; `ports.OperatorDoor`."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import datetime
from typing import Any, Unpack

import msgspec
import structlog

from actors.actor import current_correlation_id
from actors.card_role import CardRole
from actors.changes import feed
from actors.context import Place
from actors.cursors import SHOWN_AT_ONCE, cursor_of, page_of, place_of
from actors.fleet_changes import FleetChanges
from actors.holding import holding
from actors.inbox_role import InboxRole
from actors.looks import Look
from actors.operations_role import OperationsRole
from actors.peers_role import PeersRole
from actors.quarantine import Case, Quarantine
from actors.records import LogEntry
from actors.rows import micros
from actors.station_messages import Hold, StationLook
from actors.system import is_broken
from actors.timelines import timeline_of
from actors.trail import Trail
from actors.transaction_kinds import KINDS
from actors.webhooks_role import WebhooksRole
from statecharts.charging import CloseAsked, Opening, StopAsked
from statecharts.doors import LogEntryView, Notice, QuarantineView
from statecharts.events import Event
from statecharts.operation import CHART as OPERATION
from statecharts.page_limits import TIMELINE_ENTRIES
from statecharts.peer import CHART as PEER
from statecharts.peers_door import DeliveryView
from statecharts.ports import CdrView, Change, Page, TransactionView, WaitingView
from statecharts.searches import CdrSearch, TransactionSearch
from statecharts.timeline import Timeline
from statecharts.transaction_local import LocalStartRequested
from statecharts.vocabulary import Refused, refused
from statecharts.waiting import awaited

_STATES = [state for kind in KINDS.values() for state in kind.chart.states]
ALWAYS_OPEN = {state.name for state in _STATES} - {state.name for state in _STATES if state.final}
"""The states in which no transaction is over, of whatever role."""

STOPPABLE = ("destination", "local")
REPEATABLE: dict[str, Mapping[str, type[Event]]] = {
    **{role: kind.chart.events for role, kind in KINDS.items()},
    "peer": PEER.events,
    "operation": OPERATION.events,
}
"""By kind of actor, the messages that can be handed over again: a station repeats by itself what it reports."""

log = structlog.get_logger(__name__)


class OperatorRole(InboxRole, OperationsRole, CardRole, PeersRole, WebhooksRole, FleetChanges):
    """See the module's docstring; callers have checked that an operator asks."""

    @property
    def trail(self) -> Trail:
        return self._context.trail

    # -- transactions --------------------------------------------------------------------------------------------------

    async def last_open_session(self) -> TransactionView | None:
        newest = await self._context.ledger.newest("destination", only_open=True)
        return newest or await self._context.ledger.newest("destination", only_open=False)

    async def transactions(
        self, *, cursor: str | None = None, limit: int = SHOWN_AT_ONCE, **search: Unpack[TransactionSearch]
    ) -> Page[TransactionView]:
        if search.get("open") is None and search.get("state") in ALWAYS_OPEN:
            search["open"] = True  # finds the same, without its past
        self._by_node_time(search)
        return await self._context.ledger.transactions(cursor=cursor, limit=limit, **search)

    def _by_node_time(self, search: TransactionSearch | CdrSearch) -> None:
        """The times that are searched for, as the journal has them."""
        since, until, kept = search.get("since"), search.get("until"), self._context.clock.kept
        search["since"], search["until"] = since and kept(since), until and kept(until)

    async def transaction(self, role: str, identifier: str) -> TransactionView:
        view = await self._context.ledger.transaction(f"{role}/{identifier}")
        if view is None:
            raise refused(404, "unknown-transaction", f"there is no {role[:20]} transaction {identifier[:60]}")
        return msgspec.structs.replace(view, waiting=await self._waiting(role, identifier, view.state))

    async def timeline(self, role: str, identifier: str) -> Timeline:
        await self.transaction(role, identifier)
        stream, cursor = f"{role}/{identifier}", None
        sent: list[DeliveryView] = []
        while len(sent) < TIMELINE_ENTRIES.limit:
            page = await self.deliveries(transaction=stream, cursor=cursor, limit=SHOWN_AT_ONCE)
            sent, cursor = [*sent, *page.items], page.next_cursor
            if cursor is None:
                break
        return timeline_of(role, await self._context.journal.load(stream), sent, self._context.clock.shown)

    async def _waiting(self, role: str, identifier: str, state: str) -> WaitingView | None:
        """Why a transaction is open, as its actor knows it; one that is over need not be woken for that."""
        chart = KINDS[role].chart
        if chart.by_name[state].final:
            return None
        try:
            data = await self._context.system.ask(f"{role}/{identifier}", Look())
        except Refused as no:
            if not is_broken(no):
                raise
            return WaitingView(owner="you", awaits="its release from quarantine", code="release", may=("release",))
        found = awaited(role, data)
        if found is None:
            return None
        until, since, shown = chart.deadline(data), await self._since(f"{role}/{identifier}"), self._context.clock.shown
        return WaitingView(
            owner=found.owner,
            awaits=found.what,
            code=found.code,
            until=until and shown(until),
            since=since and shown(since),
            heard_at=data.heard_at and shown(data.heard_at),
            may=(*self._may(role, data), *(("replay",) if await self._has_dead_letters(role, identifier) else ())),
        )

    async def _since(self, stream: str) -> datetime | None:
        """When the state began that this transaction is in."""
        facts = reversed(await self._context.journal.load(stream))
        return next((fact.at for fact in facts if fact.from_state != fact.to_state), None)

    def _may(self, role: str, data: Any) -> Iterator[str]:
        """What the operator can do now: its chart decides that, as it will when he does."""
        now = self._context.clock.now()
        wishes: dict[str, Event] = {"stop": StopAsked(at=now), "close": CloseAsked(at=now, reason="", by="")}
        for name, wish in wishes.items() if role in STOPPABLE else ():
            if KINDS[role].chart.step(data, wish).refusal is None:
                yield name

    async def _has_dead_letters(self, role: str, identifier: str) -> bool:
        return bool((await self.deliveries(transaction=f"{role}/{identifier}", status="parked", limit=1)).items)

    async def position(self) -> int:
        return await self._context.ledger.newest_position()

    def feed(self, role: str | None, after: int) -> AsyncIterator[Change | None]:
        return feed(self._context.changes, self._context.ledger, after, role=role, users=None)

    def notices(self) -> AsyncIterator[tuple[Notice, ...]]:
        return self._context.notices.feed()

    async def cdrs(
        self, *, cursor: str | None = None, limit: int = SHOWN_AT_ONCE, **search: Unpack[CdrSearch]
    ) -> Page[CdrView]:
        self._by_node_time(search)
        return await self._context.ledger.cdrs(cursor=cursor, limit=limit, **search)

    async def stop(self, role: str, identifier: str) -> TransactionView:
        if role not in STOPPABLE:
            raise refused(409, "not-here", "only charges at our own stations can be stopped here")
        await self.transaction(role, identifier)
        event = StopAsked(at=self._context.clock.now(), correlation_id=current_correlation_id())
        turned = await self._context.system.ask(f"{role}/{identifier}", event)
        view: TransactionView = turned.view
        return view

    async def close(self, role: str, identifier: str, reason: str, by: str) -> TransactionView:
        if role not in STOPPABLE:
            raise refused(409, "not-here", "only charges at our own stations can be closed here")
        await self.transaction(role, identifier)
        now, correlation_id = self._context.clock.now(), current_correlation_id()
        event = CloseAsked(at=now, correlation_id=correlation_id, reason=reason, by=by)
        turned = await self._context.system.ask(f"{role}/{identifier}", event)
        return self._context.shown(turned.view)

    # -- stations ------------------------------------------------------------------------------------------------------

    async def station_log(
        self, identity: str, *, kind: str | None = None, cursor: str | None = None, limit: int = SHOWN_AT_ONCE
    ) -> Page[LogEntryView]:
        station = self.member(identity).identity
        page = await self._context.ledger.station_log(station, kind=kind, cursor=cursor, limit=limit)
        return Page(items=tuple(_entry_shown(each) for each in page.items), next_cursor=page.next_cursor)

    def _place(self, identity: str) -> Place:
        member = self.member(identity)
        place = self._context.places.get(identity)
        if place is None:
            cause = f"nobody may charge at {identity}: it is {member.standing.state}"
            raise refused(409, "station-unavailable", cause)
        return place

    async def start_local(self, identity: str, connector_id: int, id_tag: str) -> TransactionView:
        place = self._place(identity)
        if not 1 <= connector_id <= place.connectors:
            raise refused(400, "unknown-connector", f"{identity} has connectors 1 to {place.connectors}")
        verdict = await self._context.cards.check(id_tag, self._context.clock.wall())
        if not verdict.allowed:
            raise refused(409, "invalid-id-tag", verdict.refusal_message or "this idTag may not charge here")
        look: StationLook = await self._context.system.ask(f"station/{identity}", Look())
        if not look.in_service:
            raise refused(409, "station-unavailable", f"{identity} is not connected or not in service")
        identifier = self._context.ids.request_identifier()
        stream, station = f"local/{identifier}", f"station/{identity}"
        now, correlation_id = self._context.clock.now(), current_correlation_id()
        hold = Hold(stream, connector_id, id_tag, now, verdict.group)
        opening = Opening(id=identifier, station=identity, id_tag=id_tag, deadlines=place.deadlines)
        start = LocalStartRequested(at=now, correlation_id=correlation_id, opening=opening, connector_id=connector_id)
        async with self._context.card_charges.room(id_tag, stream) as there_is_room:
            if not there_is_room:
                raise refused(409, "concurrent-charge", "this card has as many charges under way as it may have")
            async with holding(self._context, station, hold):
                turned = await self._context.system.ask(stream, start)
        view: TransactionView = turned.view
        return view

    # -- actors that were put aside ------------------------------------------------------------------------------------

    async def quarantine(self, *, cursor: str | None = None, limit: int = SHOWN_AT_ONCE) -> Page[QuarantineView]:
        cases = sorted(await self._cases.cases(), key=_case_key)
        if cursor is not None:
            after = place_of(cursor, "quarantine", int, str)
            cases = cases[bisect_right(cases, after, key=_case_key) :]
        return page_of(cases, limit, lambda last: cursor_of("quarantine", *_case_key(last)), self._case_view)

    async def case(self, actor: str) -> QuarantineView:
        return self._case_view(await self._case(actor))

    @property
    def _cases(self) -> Quarantine:
        return self._context.system.quarantine

    async def _case(self, actor: str) -> Case:
        case = await self._cases.case(actor)
        if case is None:
            raise refused(404, "not-in-quarantine", f"{actor[:80]!r} has not been put aside")
        return case

    def _case_view(self, case: Case) -> QuarantineView:
        return QuarantineView(
            actor=case.actor,
            at=self._context.clock.shown(case.at),
            error=case.error,
            at_work=case.actor not in self._context.system.quarantined,
            message_type=case.message_type or None,
            message=msgspec.json.decode(case.message) if case.message else None,
        )

    async def release(self, actor: str, *, hand_over: bool) -> None:
        system, case = self._context.system, await self._case(actor)
        message = _message_of(case) if hand_over else None
        system.release(actor)
        try:
            if message is not None:
                await system.ask(actor, message)
        except Refused as no:
            if no.refusal.code >= 500:
                raise
            log.info("actor.refused_again", actor=actor, refusal=str(no))
        await system.wake([actor])
        if actor in system.quarantined:
            raise refused(409, "failed-again", f"{actor} failed again and stays in quarantine")
        await self._cases.drop(actor)


def _case_key(case: Case) -> tuple[int, str]:
    return micros(case.at), case.actor


def _entry_shown(entry: LogEntry) -> LogEntryView:
    assert entry.id is not None, "it comes from the ledger"
    return LogEntryView(id=entry.id, kind=entry.kind, at=entry.at, report=msgspec.json.decode(entry.body))


def _message_of(case: Case) -> Event:
    """The message that broke the actor, to be handed over again. Raises `Refused` (409) if it cannot be."""
    kind = REPEATABLE.get(case.actor.partition("/")[0], {}).get(case.message_type)
    if kind is None or case.masked:
        what = f"the {case.message_type} that broke it" if case.message_type else "what broke it"
        raise refused(409, "not-repeatable", f"{case.actor}: {what} cannot be handed over again, only dismissed")
    return msgspec.json.decode(case.message, type=kind)
