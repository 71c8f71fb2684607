"""What operators see of partners and of what is owed to them, and what they do about it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Unpack

import msgspec
import trio

from actors.context import NOWHERE, Context
from actors.cursors import SHOWN_AT_ONCE, cursor_of, page_of, place_of
from actors.fleet_views import BROKEN
from actors.looks import Look
from actors.node_clock import NodeClock
from actors.outbox import ALTERED
from actors.peer import Link, LookAtLink, Replay, ReplayParked
from actors.records import Delivery, DeliveryStatus
from actors.system import is_broken
from statecharts.delivery import Parcel
from statecharts.peer import BlockPeer, Peer, UnblockPeer
from statecharts.peers_door import (
    DeliveryTotals,
    DeliveryView,
    LinkView,
    PeerSheet,
    PeerTest,
    PeerView,
    RecordView,
    Replayed,
    TriedCall,
)
from statecharts.ports import Page, PeerClient, PeerSeen
from statecharts.searches import DeliverySearch
from statecharts.views import cdr_id
from statecharts.vocabulary import (
    Answered,
    Declined,
    EndTransaction,
    GetLocalServicesList,
    NotifyRequestResult,
    PeerOutcome,
    Refused,
    RoamingRequest,
    Unanswered,
    refused,
)

OWED = (DeliveryStatus.PENDING, DeliveryStatus.PARKED)


NO_LINK = Link(
    data=Peer(state=BROKEN),
    one_at_a_time=False,
    under_way=0,
    next_at=None,
    answered_at=None,
    failed_at=None,
    failure=None,
)
"""Of a partner whose actor was put aside."""

OF_THE_WAY = ("peer-http", "peer-fault", "unwritable")
"""Kinds of refusals that are not the service's own answer."""

UNKNOWN_TO_IT = (401, 403)
"""ResponseErrors of a service that answers, and takes us for somebody else or for nobody."""


class PeersRole:
    """The part of the operator's door that partners and deliveries are behind."""

    _context: Context

    async def _partners(self) -> tuple[str, ...]:
        """Whom we deal with, and whom we still owe something though they are in the configuration no more."""
        owed = await self._context.outbox.peers_with_pending()
        return tuple(sorted({*self._context.destinations, *self._context.sources, *owed}))

    async def _require_partner(self, peer: str) -> None:
        if peer not in await self._partners():
            raise refused(404, "unknown-peer", f"{peer[:60]!r} is no partner of ours")

    async def peers(self, *, cursor: str | None = None, limit: int = SHOWN_AT_ONCE) -> Page[PeerView]:
        page = _names_page("peers", await self._partners(), cursor, limit)
        views = [await self._peer_view(peer) for peer in page.items]
        return Page(items=tuple(views), next_cursor=page.next_cursor)

    async def _peer_view(self, peer: str) -> PeerView:
        counts = await self._context.outbox.counts(peer)
        return PeerView(
            pms_identifier=peer,
            state=await self._peer_state(peer),
            pending_deliveries=counts[DeliveryStatus.PENDING],
            parked_deliveries=counts[DeliveryStatus.PARKED],
            ledger=await self._context.ledger.counts(peer),
        )

    async def _peer_state(self, peer: str) -> str:
        try:
            data: Peer = await self._context.system.ask(f"peer/{peer}", Look())
        except Refused as no:
            if not is_broken(no):
                raise
            return BROKEN
        return data.state

    async def peer(self, pms_identifier: str) -> PeerSheet:
        await self._require_partner(pms_identifier)
        shown = self._context.clock.shown
        try:
            link: Link = await self._context.system.ask(f"peer/{pms_identifier}", LookAtLink())
        except Refused as no:
            if not is_broken(no):
                raise
            link = NO_LINK
        data = link.data
        return PeerSheet(
            pms_identifier=pms_identifier,
            state=data.state,
            failures=data.failures,
            one_at_a_time=link.one_at_a_time,
            under_way=link.under_way,
            links=tuple(self._seen(pms_identifier, each) for each in self._context.links.get(pms_identifier, ())),
            deliveries=await self._totals(pms_identifier),
            since=data.since,
            alarm=data.alarm,
            next_attempt_at=link.next_at and shown(link.next_at),
            last_answered_at=link.answered_at and shown(link.answered_at),
            last_failed_at=link.failed_at and shown(link.failed_at),
            last_failure=link.failure,
        )

    def _seen(self, peer: str, link: LinkView) -> LinkView:
        client = self._clients(peer).get(link.role)
        if client is None:
            return link
        seen = client.seen()
        return msgspec.structs.replace(
            link, certificate_until=seen.certificate_until, clock_ahead_s=clock_ahead_s(seen, self._context.clock)
        )

    def _clients(self, peer: str) -> dict[str, PeerClient]:
        """Who speaks to a partner, by the role that it plays towards us."""
        clients = {"destination": self._context.destinations.get(peer), "source": self._context.sources.get(peer)}
        return {role: client for role, client in clients.items() if client is not None}

    async def test_peer(self, pms_identifier: str) -> PeerTest:
        await self._require_partner(pms_identifier)
        calls: list[TriedCall] = []

        async def test(role: str, client: PeerClient) -> None:
            calls.append(await self._test_call(role, client))

        async with trio.open_nursery() as nursery:
            for role, client in self._clients(pms_identifier).items():
                nursery.start_soon(test, role, client)
        works = bool(calls) and all(call.works for call in calls)
        return PeerTest(
            pms_identifier=pms_identifier, works=works, calls=tuple(sorted(calls, key=lambda call: call.role))
        )

    async def _test_call(self, role: str, client: PeerClient) -> TriedCall:
        request, began_s = self._harmless(role), trio.current_time()
        outcome = await client.call(request, self._context.settings.delivery.attempt_timeout_s)
        works, kind, reason = _of_outcome(outcome)
        seen = client.seen()
        return TriedCall(
            role=role,
            operation=type(request).__name__,
            works=works,
            outcome=kind,
            took_s=round(trio.current_time() - began_s, 3),
            reason=reason,
            certificate_until=seen.certificate_until,
            clock_ahead_s=clock_ahead_s(seen, self._context.clock),
        )

    def _harmless(self, role: str) -> RoamingRequest:
        """A request that has no effect, whatever a partner makes of it."""
        if role == "destination":
            return GetLocalServicesList(location=NOWHERE, search_radius_m=1)
        name = f"test-{self._context.ids.request_identifier()}"
        return NotifyRequestResult(request_identifier=name, request_success=False, cause="a test call: nothing to do")

    async def block_peer(self, pms_identifier: str, blocked: bool) -> PeerView:
        await self._require_partner(pms_identifier)
        kind = BlockPeer if blocked else UnblockPeer
        await self._context.system.ask(f"peer/{pms_identifier}", kind(at=self._context.clock.now()))
        return await self._peer_view(pms_identifier)

    # -- what is owed to them ------------------------------------------------------------------------------------------

    async def deliveries(
        self, *, cursor: str | None = None, limit: int = SHOWN_AT_ONCE, **search: Unpack[DeliverySearch]
    ) -> Page[DeliveryView]:
        since, until, kept = search.get("since"), search.get("until"), self._context.clock.kept
        search["since"], search["until"] = since and kept(since), until and kept(until)
        page = await self._context.outbox.page(self._overdue_before, cursor=cursor, limit=limit, **search)
        return Page(items=tuple(self._delivery_view(each) for each in page.items), next_cursor=page.next_cursor)

    async def delivery(self, delivery_id: int) -> DeliveryView:
        found = await self._delivery(delivery_id)
        view = self._delivery_view(found)
        return msgspec.structs.replace(view, record=await self._record(_message_of(found)))

    async def delivery_totals(self, *, cursor: str | None = None, limit: int = SHOWN_AT_ONCE) -> Page[DeliveryTotals]:
        page = _names_page("delivery-totals", await self._partners(), cursor, limit)
        return Page(items=tuple([await self._totals(peer) for peer in page.items]), next_cursor=page.next_cursor)

    async def _totals(self, peer: str) -> DeliveryTotals:
        outbox = self._context.outbox
        counts, overdue = await outbox.counts(peer), await outbox.overdue(peer, self._overdue_before)
        return DeliveryTotals(
            pms_identifier=peer,
            **{status.value: number for status, number in counts.items()},
            overdue=overdue.number,
            oldest_overdue_at=overdue.oldest_at and self._context.clock.shown(overdue.oldest_at),
            ledger=await self._context.ledger.counts(peer),
        )

    async def replay(self, delivery_id: int) -> DeliveryView:
        found = await self._delivery(delivery_id)
        if found.last_error == ALTERED:
            raise refused(409, "unreadable", f"delivery {delivery_id}: {ALTERED}; there is nothing of it to send")
        await self._context.system.ask(f"peer/{found.peer}", Replay(delivery_id))
        now = await self._delivery(delivery_id)
        if now.status not in OWED:
            raise refused(409, "wrong-state", f"delivery {delivery_id} is {now.status}: it is not sent again")
        return self._delivery_view(now)

    async def replay_parked(self, pms_identifier: str, operation: str | None, limit: int) -> Replayed:
        await self._require_partner(pms_identifier)
        count: int = await self._context.system.ask(f"peer/{pms_identifier}", ReplayParked(operation, limit))
        return Replayed(replayed=count, left=await self._context.outbox.count_parked(pms_identifier, operation))

    async def _delivery(self, delivery_id: int) -> Delivery:
        found = await self._context.outbox.one(delivery_id)
        if found is None:
            raise refused(404, "unknown-delivery", f"there is no delivery {delivery_id}")
        return found

    @property
    def _overdue_before(self) -> datetime:
        """What is owed since before then should have been acknowledged."""
        return self._context.clock.now() - timedelta(seconds=self._context.settings.delivery_overdue_s)

    def _delivery_view(self, delivery: Delivery) -> DeliveryView:
        shown, owed = self._context.clock.shown, delivery.status in OWED
        return DeliveryView(
            id=delivery.id,
            peer=delivery.peer,
            operation=delivery.operation,
            transaction=delivery.transaction,
            status=delivery.status.value,
            created_at=shown(delivery.created_at),
            attempts=delivery.attempts,
            overdue=owed and delivery.expires_at is None and delivery.created_at < self._overdue_before,
            next_at=shown(delivery.next_at) if delivery.status is DeliveryStatus.PENDING else None,
            expires_at=delivery.expires_at and shown(delivery.expires_at),
            error=delivery.last_error,
            message=msgspec.to_builtins(_message_of(delivery)) or {},
        )

    async def _record(self, message: RoamingRequest | None) -> RecordView | None:
        if not isinstance(message, EndTransaction):
            return None
        name = cdr_id(message.transaction_data.local_operator_identifier, message.authorization_identifier)
        entry = await self._context.ledger.entry("destination", name)
        if entry is None:
            return None
        shown = self._context.clock.shown
        return RecordView(
            cdr=entry.cdr,
            ended_at=shown(entry.ended_at),
            acknowledged_at=entry.acknowledged_at and shown(entry.acknowledged_at),
            corrections=entry.corrections,
        )


def clock_ahead_s(seen: PeerSeen, clock: NodeClock) -> int | None:
    """How far a partner's clock is ahead of ours, as its newest answer showed it; None before the first."""
    if seen.date is None:
        return None
    then = clock.wall() - timedelta(seconds=trio.current_time() - seen.dated_s)
    return round((seen.date - then).total_seconds())


def _of_outcome(outcome: PeerOutcome) -> tuple[bool, str, str | None]:
    """Whether a partner's service was there and knew us, what came of a call, and why in words.

    What it answered in MOBI.Europe's own words counts as that, also a no or "not implemented".
    """
    match outcome:
        case Answered():
            return True, "answered", None
        case Declined(refusal=no):
            in_its_own_words = no.kind not in OF_THE_WAY and no.code not in UNKNOWN_TO_IT
            return in_its_own_words, no.kind, f"{no.code}: {no.message}"
        case Unanswered(kind=kind, cause=cause):
            return kind == "error", kind, cause


def _message_of(delivery: Delivery) -> RoamingRequest | None:
    """What it says; there is nothing to read of one that was altered on the disk."""
    return msgspec.json.decode(delivery.body, type=Parcel).message if delivery.body else None


def _names_page(listed: str, names: Sequence[str], cursor: str | None, limit: int) -> Page[str]:
    """A page of names that are sorted; one that has gone since the last page is no reason to begin again."""
    first = 0
    if cursor is not None:
        (after,) = place_of(cursor, listed, str)
        first = bisect_right(names, str(after))
    return page_of(names[first : first + limit + 1], limit, lambda last: cursor_of(listed, last), str)
