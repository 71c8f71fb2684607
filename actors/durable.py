"""Between events and the journal: how a fact is written and read back, and what an actor remembers of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

import msgspec
import structlog

from actors.records import Fact, History, NewFact, Snapshot, StreamCorrupt
from statecharts.bounds import FACTS_AFTER_SNAPSHOT, Watermarks
from statecharts.events import Event

M = TypeVar("M")

log = structlog.get_logger(__name__)


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


class Histories(Protocol):
    """The journal, as far as loading an actor needs it."""

    async def history(self, stream: str, form: str | None) -> History: ...


class _Ahead(msgspec.Struct):
    """What every event says of the machine's clock."""

    ahead_s: float = 0


def times_of(fact: Fact) -> tuple[datetime, float]:
    """The node time of a fact, and how far the machine's clock was ahead of it; 0 in one that cannot be read."""
    try:
        return fact.at, msgspec.json.decode(fact.data, type=_Ahead).ahead_s
    except msgspec.DecodeError:
        return fact.at, 0


@dataclass(frozen=True, slots=True)
class Form(Generic[M]):
    """The shape of what a kind of actor remembers; `type` is `M` as msgspec knows it, `blank` is before the first fact.

    `name` becomes another whenever the shape does, or what facts do to it: snapshots of the old name are not read.
    """

    name: str
    type: Any
    blank: M


class Memory(Generic[M]):
    """The snapshots of one actor: it loads from the newest, and takes another when its stream has grown by enough."""

    __slots__ = ("_form", "_taken_at", "_watermarks")

    def __init__(self, form: Form[M], watermarks: Watermarks) -> None:
        self._form = form
        self._watermarks = watermarks
        self._taken_at = 0

    async def recall(self, journal: Histories, stream: str, fold: Callable[[M, Fact], M]) -> tuple[M, int]:
        """What a stream amounts to and its last seq, 0 for an unknown one. Raises `StreamCorrupt`."""
        history = await journal.history(stream, self._form.name)
        try:
            memory, seq = self._read(history.snapshot)
        except msgspec.ValidationError as error:
            # A form that was changed and kept its name: the facts are the truth, the snapshot only a short cut.
            log.error("snapshot.unreadable", stream=stream, form=self._form.name, error=str(error))
            history = await journal.history(stream, None)
            memory, seq = self._form.blank, 0
        self._taken_at = seq
        self._watermarks.saw(FACTS_AFTER_SNAPSHOT, len(history.facts))
        for fact in history.facts:
            memory, seq = fold(memory, fact), fact.seq
        return memory, seq

    def _read(self, snapshot: Snapshot | None) -> tuple[M, int]:
        if snapshot is None:
            return self._form.blank, 0
        memory: M = msgspec.json.decode(snapshot.data, type=self._form.type)
        return memory, snapshot.seq

    def snapshot(self, seq: int, memory: M) -> Snapshot | None:
        """A snapshot to append with the fact `seq`, after which this is remembered; None while it is too early."""
        if seq - self._taken_at < FACTS_AFTER_SNAPSHOT.limit:
            return None
        self._taken_at = seq  # should the append fail, the next one is due that much later: it is only a short cut
        return Snapshot(seq=seq, form=self._form.name, data=msgspec.json.encode(memory))
