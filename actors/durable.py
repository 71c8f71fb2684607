"""Between events and the journal: how a fact is written and read back, and what is said when the disk says no."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from actors.journal import Journal
from actors.records import Append, Appended, Fact, NewFact, StoreUnavailable, StreamCorrupt
from statecharts.events import Event
from statecharts.vocabulary import refused


def fact_of(event: Event, from_state: str, to_state: str) -> NewFact:
    """The event as a row of the journal."""
    return NewFact(
        type=type(event).__name__,
        from_state=from_state,
        to_state=to_state,
        at=event.at,
        data=msgspec.json.encode(event),
    )


def read_fact(fact: Fact, events: Mapping[str, type[Event]]) -> Event:
    """The event that a row of the journal holds. Raises `StreamCorrupt` for one that this release cannot read."""
    try:
        return msgspec.json.decode(fact.data, type=events[fact.type])
    except (KeyError, msgspec.ValidationError) as error:
        raise StreamCorrupt(fact.stream, fact.seq, f"cannot be read: {error}") from error


async def durably(journal: Journal, append: Append) -> Appended:
    """Appends, or raises `Refused` (503) while the store is away: nothing was changed, the asker may try again."""
    try:
        return await journal.append(append)
    except StoreUnavailable as error:
        raise refused(503, "store-unavailable", "the node cannot write now; nothing was changed") from error
