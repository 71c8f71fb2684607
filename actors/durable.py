"""Between events and the journal: how a fact is written and read back."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from actors.records import Fact, NewFact, StreamCorrupt
from statecharts.events import Event


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
