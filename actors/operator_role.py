"""What the operator of this node may see and do; `ports.OperatorDoor`."""

from __future__ import annotations

from typing import Any

import msgspec

from actors.actor import current_correlation_id
from actors.context import Context, Place
from actors.looks import Look
from actors.peer import Replay
from actors.records import Delivery, DeliveryStatus
from actors.station import Hold, StationActor, StationLook, holding
from statecharts.charging import StopAsked
from statecharts.delivery import Parcel
from statecharts.peer import BlockPeer, Peer, UnblockPeer
from statecharts.ports import CdrView, Page, PeerView, StationView, TransactionView
from statecharts.station_vocabulary import CallOutcome, StationCommand
from statecharts.transaction_local import LocalStartRequested, Opened
from statecharts.vocabulary import refused

STOPPABLE = ("destination", "local")


class OperatorRole:
    """See the module's docstring; callers have checked that an operator asks."""

    def __init__(self, context: Context) -> None:
        self._context = context

    # -- transactions --------------------------------------------------------------------------------------------------

    async def last_open_session(self) -> TransactionView | None:
        newest = await self._context.ledger.newest("destination", only_open=True)
        return newest or await self._context.ledger.newest("destination", only_open=False)

    async def transactions(self, *, role: str | None, state: str | None, cursor: str | None, limit: int) -> Page:
        return await self._context.ledger.transactions(role=role, state=state, cursor=cursor, limit=limit)

    async def transaction(self, role: str, identifier: str) -> TransactionView:
        view = await self._context.ledger.transaction(f"{role}/{identifier}")
        if view is None:
            raise refused(404, "unknown-transaction", f"there is no {role[:20]} transaction {identifier[:60]}")
        return view

    async def cdrs(self, *, role: str | None, limit: int) -> tuple[CdrView, ...]:
        return await self._context.ledger.cdrs(role, limit)

    async def stop(self, role: str, identifier: str) -> TransactionView:
        if role not in STOPPABLE:
            raise refused(409, "not-here", "only charges at our own stations can be stopped here")
        await self.transaction(role, identifier)
        event = StopAsked(at=self._context.clock.now(), correlation_id=current_correlation_id())
        turned = await self._context.system.ask(f"{role}/{identifier}", event)
        view: TransactionView = turned.view
        return view

    # -- stations ------------------------------------------------------------------------------------------------------

    async def stations(self) -> tuple[StationView, ...]:
        return tuple([await self._station_view(place) for place in self._context.places.values() if place.connectors])

    async def _station_view(self, place: Place) -> StationView:
        look: StationLook = await self._context.system.ask(f"station/{place.identity}", Look())
        boot = look.data.registration.boot
        return StationView(
            identity=place.identity,
            registration=look.data.registration.state,
            online=look.online,
            connectors={str(connector): look.data.evse(connector).state for connector in look.connectors},
            vendor=boot.vendor if boot else None,
            model=boot.model if boot else None,
            protocol=look.data.connection.protocol,
            last_seen_at=look.last_seen_at,
        )

    def _place(self, identity: str) -> Place:
        place = self._context.places.get(identity)
        if place is None or not place.connectors:
            raise refused(404, "unknown-station", f"there is no station {identity[:60]!r}")
        return place

    async def command_station(self, identity: str, command: StationCommand) -> CallOutcome:
        station = self._context.system.actor(f"station/{self._place(identity).identity}")
        assert isinstance(station, StationActor)
        return await station.command(command)

    async def start_local(self, identity: str, connector_id: int, id_tag: str) -> TransactionView:
        place = self._place(identity)
        if not 1 <= connector_id <= place.connectors:
            raise refused(400, "unknown-connector", f"{identity} has connectors 1 to {place.connectors}")
        verdict = await self._context.identity.check_id_tag(id_tag, self._context.clock.now())
        if not verdict.allowed:
            raise refused(409, "invalid-id-tag", verdict.refusal_message or "this idTag may not charge here")
        look: StationLook = await self._context.system.ask(f"station/{identity}", Look())
        if not look.in_service:
            raise refused(409, "station-unavailable", f"{identity} is not connected or not in service")
        identifier = self._context.ids.request_identifier()
        stream, station = f"local/{identifier}", f"station/{identity}"
        now, correlation_id = self._context.clock.now(), current_correlation_id()
        hold = Hold(transaction=stream, connector_id=connector_id, id_tag=id_tag, at=now)
        opened = Opened(at=now, id=identifier, station=identity, id_tag=id_tag, deadlines=place.deadlines)
        start = LocalStartRequested(at=now, correlation_id=correlation_id, connector_id=connector_id)
        async with holding(self._context, station, hold):
            await self._context.system.ask(stream, opened)
            turned = await self._context.system.ask(stream, start)
        view: TransactionView = turned.view
        return view

    # -- partners ------------------------------------------------------------------------------------------------------

    async def _partners(self) -> tuple[str, ...]:
        """Whom we deal with, and whom we still owe something though they are in the configuration no more."""
        owed = await self._context.outbox.peers_with_pending()
        return tuple(sorted({*self._context.destinations, *self._context.sources, *owed}))

    async def peers(self) -> tuple[PeerView, ...]:
        return tuple([await self._peer_view(peer) for peer in await self._partners()])

    async def _peer_view(self, peer: str) -> PeerView:
        if peer not in await self._partners():
            raise refused(404, "unknown-peer", f"{peer[:60]!r} is no partner of ours")
        data: Peer = await self._context.system.ask(f"peer/{peer}", Look())
        counts = await self._context.outbox.counts(peer)
        return PeerView(
            pms_identifier=peer,
            state=data.state,
            pending_deliveries=counts[DeliveryStatus.PENDING],
            parked_deliveries=counts[DeliveryStatus.PARKED],
            ledger=await self._context.ledger.counts(peer),
        )

    async def block_peer(self, pms_identifier: str, blocked: bool) -> PeerView:
        await self._peer_view(pms_identifier)
        kind = BlockPeer if blocked else UnblockPeer
        await self._context.system.ask(f"peer/{pms_identifier}", kind(at=self._context.clock.now()))
        return await self._peer_view(pms_identifier)

    async def parked(self, pms_identifier: str) -> tuple[dict[str, Any], ...]:
        await self._peer_view(pms_identifier)
        return tuple(_shown(delivery) for delivery in await self._context.outbox.parked(pms_identifier))

    async def replay(self, pms_identifier: str, delivery_id: int) -> None:
        await self._peer_view(pms_identifier)
        await self._context.system.ask(f"peer/{pms_identifier}", Replay(delivery_id))


def _shown(delivery: Delivery) -> dict[str, Any]:
    parcel = msgspec.json.decode(delivery.body, type=Parcel)
    return {
        "id": delivery.id,
        "operation": delivery.operation,
        "transaction": delivery.transaction,
        "created_at": delivery.created_at,
        "attempts": delivery.attempts,
        "error": delivery.last_error,
        "message": msgspec.to_builtins(parcel.message),
    }
