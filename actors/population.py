"""Which actors a node has, and which of them wake when it starts."""

from __future__ import annotations

from functools import partial

import structlog

from actors.context import Context
from actors.durable import times_of
from actors.operation import OperationActor
from actors.peer import PeerActor
from actors.renewal import renew_certificates
from actors.station import StationActor
from actors.station_standing import charge_goes_on
from actors.transaction import TransactionActor
from actors.transaction_kinds import KINDS
from actors.webhook import WebhookActor
from statecharts.bounds import IN_FLIGHT, OPEN_AUTHORIZATIONS
from statecharts.destination_events import S as DestinationState

HOLDING = DestinationState.START_TX_REQUESTED
"""The state in which a transaction, roaming or local, holds a connector on which nothing goes on yet."""

log = structlog.get_logger(__name__)


def populate(context: Context) -> None:
    """Teaches the context's system to make every kind of actor from its key."""
    _note_limits(context)
    factories = context.system.factories
    for role, kind in KINDS.items():
        factories[role] = partial(TransactionActor, kind=kind, context=context)
    factories["operation"] = partial(OperationActor, context=context)
    factories["peer"] = partial(PeerActor, context=context)
    factories["webhook"] = partial(WebhookActor, context=context)
    factories["station"] = partial(StationActor, context=context)
    context.fleet.goes_on = partial(charge_goes_on, context)


def _note_limits(context: Context) -> None:
    """The configuration may set other limits than the page of bounds."""
    settings, limit = context.settings, context.watermarks.limit
    limit(IN_FLIGHT, settings.delivery.in_flight_max)
    limit(OPEN_AUTHORIZATIONS, settings.open_authorizations_per_user_max)


async def revive(context: Context) -> None:
    """Wakes whatever was under way when the node stopped: its time, deadlines and deliveries go on.

    Returns once nothing can be served wrongly any more: connectors that are held for a start must be known before
    another one asks for them. All others are woken in the background, a bounded number at a time; a message for one
    that has not been woken yet simply wakes it.
    """
    await context.fleet.load()
    await context.cards.load()
    if context.settings.keeps_local_lists:
        await context.lists.start()
    newest = await context.journal.newest()
    if newest is not None:
        context.clock.resume(*times_of(newest))
    context.charging = await context.ledger.charging()
    await context.system.recall()
    await context.webhooks.start()
    await context.system.wake(await context.journal.streams_in(HOLDING))
    context.system.spawn(_revive_the_rest, context)
    if context.authority is not None:
        context.system.spawn(renew_certificates, context)


async def _revive_the_rest(context: Context) -> None:
    partners = sorted({*context.destinations, *context.sources, *await context.outbox.peers_with_pending()})
    await context.system.wake(f"peer/{peer}" for peer in partners)
    for role in KINDS:
        await context.system.wake(await context.journal.live_streams(role))
    await context.system.wake(await context.operations.under_way())
    # Last, because theirs can wait: the station comes by itself. A crash may have left a charge without its verdict.
    await context.system.wake(f"station/{member.identity}" for member in context.fleet)
    log.info("node.revived", actors=repr(context.system))
