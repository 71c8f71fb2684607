"""What operators see of partners and of what is owed to them, and what they do about it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Unpack

import msgspec

from actors.context import Context
from actors.cursors import SHOWN_AT_ONCE, cursor_of, page_of, place_of
from actors.fleet_views import BROKEN
from actors.looks import Look
from actors.outbox import ALTERED
from actors.peer import Replay, ReplayParked
from actors.records import Delivery, DeliveryStatus
from actors.system import is_broken
from statecharts.delivery import Parcel
from statecharts.peer import BlockPeer, Peer, UnblockPeer
from statecharts.peers_door import DeliveryTotals, DeliveryView, PeerView, RecordView, Replayed
from statecharts.ports import Page
from statecharts.searches import DeliverySearch
from statecharts.views import cdr_id
from statecharts.vocabulary import EndTransaction, Refused, RoamingRequest, refused

OWED = (DeliveryStatus.PENDING, DeliveryStatus.PARKED)


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
