"""Which actors a node has, and which of them wake when it starts."""

from __future__ import annotations

from functools import partial

from actors.context import Context
from actors.peer import PeerActor
from actors.station import StationActor
from actors.transaction import KINDS, TransactionActor


def populate(context: Context) -> None:
    """Teaches the context's system to make every kind of actor from its key."""
    factories = context.system.factories
    for role, kind in KINDS.items():
        factories[role] = partial(TransactionActor, kind=kind, context=context)
    factories["peer"] = partial(PeerActor, context=context)
    factories["station"] = lambda key: StationActor(key, context.station_place(key.partition("/")[2]), context)


async def revive(context: Context) -> None:
    """Wakes whatever was under way when the node stopped: its deadlines and deliveries go on."""
    for role in KINDS:
        for stream in await context.journal.live_streams(role):
            context.system.actor(stream)
    for place in context.places.values():
        if place.connectors:
            context.system.actor(f"station/{place.identity}")
    for peer in {*context.destinations, *context.sources, *await context.outbox.peers_with_pending()}:
        context.system.actor(f"peer/{peer}")
