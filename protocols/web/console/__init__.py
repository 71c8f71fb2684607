"""The operator's console: what goes on at the node, live, and what an operator does about it."""

from __future__ import annotations

from protocols.rest.recorded import Recorder
from protocols.rest.v1.events import EventStreams
from protocols.web.console.cards import add_cards
from protocols.web.console.desk import NAME, Desk
from protocols.web.console.inbox import add_inbox
from protocols.web.console.overview import add_overview
from protocols.web.console.partners import add_partners
from protocols.web.console.stations import add_stations
from protocols.web.console.transactions import add_transactions
from protocols.web.rooms import House, Room
from statecharts.accounts import Accounts
from statecharts.doors import Insight, OperatorDoor


def console_room(
    operators: OperatorDoor, insight: Insight, accounts: Accounts, house: House, streams: EventStreams
) -> Room:
    """The room with all of its pages."""
    room = Room(NAME, accounts, house, Recorder(operators.trail))
    desk = Desk(room, operators, insight, streams)
    add_overview(desk)
    add_stations(desk)
    add_transactions(desk)
    add_partners(desk)
    add_inbox(desk)
    add_cards(desk)
    return room


__all__ = ["NAME", "console_room"]
