"""What the journal tells of one transaction over time: its timeline for operators, its course for the driver's plot."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec

from actors.durable import times_of
from actors.masking import masked
from actors.records import Fact
from statecharts.doors import CoursePoint
from statecharts.page_limits import COURSE_POINTS, TIMELINE_ENTRIES
from statecharts.peers_door import DeliveryView
from statecharts.source_events import ProgressReported, TransactionEnded
from statecharts.timeline import Channel, Timeline, TimelineEntry, channel_of

Shown = Callable[[datetime], datetime]
"""A time of the journal as the machine's clock shows it."""

_LEFT_OUT = ("at", "ahead_s", "correlation_id")


def timeline_of(role: str, facts: Sequence[Fact], sent: Sequence[DeliveryView], shown: Shown) -> Timeline:
    """All that happened to a transaction, and all that was owed to its partner for it, in the order of time."""
    entries = sorted([*_happened(role, facts, shown), *_sent(sent)], key=lambda entry: entry.at)
    left_out = max(0, len(entries) - TIMELINE_ENTRIES.limit)
    return Timeline(entries=tuple(entries[left_out:]), left_out=left_out)


def _happened(role: str, facts: Sequence[Fact], shown: Shown) -> Iterator[TimelineEntry]:
    for fact in facts:
        content: dict[str, Any] = msgspec.json.decode(fact.data)
        moved = fact.from_state != fact.to_state
        yield TimelineEntry(
            at=shown(times_of(fact)[0]),
            channel=channel_of(role, fact.type),
            what=fact.type,
            from_state=fact.from_state or None,
            to_state=fact.to_state if moved else None,
            correlation_id=content.get("correlation_id"),
            content=masked({name: value for name, value in content.items() if name not in _LEFT_OUT}),
        )


def _sent(deliveries: Sequence[DeliveryView]) -> Iterator[TimelineEntry]:
    for delivery in deliveries:
        outcome = f"{delivery.status}, attempts: {delivery.attempts}"
        yield TimelineEntry(
            at=delivery.created_at,
            channel=Channel.SOAP,
            what=delivery.operation,
            outgoing=True,
            outcome=f"{outcome}, {delivery.error}" if delivery.error else outcome,
            content=masked(delivery.message),
        )


def course_of(facts: Sequence[Fact], shown: Shown) -> tuple[CoursePoint, ...]:
    """What a Destination has told of the energy, from its start on; of very many every second, third, ..."""
    points: list[CoursePoint] = []
    for fact in facts:
        for point in _points(fact, shown):
            if not points or (point.energy_wh >= points[-1].energy_wh and point.at > points[-1].at):
                points.append(point)
    every = -(-len(points) // COURSE_POINTS.limit) or 1
    return (*points[:-1:every], *points[-1:])


def _points(fact: Fact, shown: Shown) -> Iterator[CoursePoint]:
    if fact.type == ProgressReported.__name__:
        told = msgspec.json.decode(fact.data, type=ProgressReported)
        yield CoursePoint(at=told.start_timestamp, energy_wh=0)
        if told.content.energy_wh is not None:
            yield CoursePoint(at=shown(told.at), energy_wh=told.content.energy_wh)
    elif fact.type == TransactionEnded.__name__:
        end = msgspec.json.decode(fact.data, type=TransactionEnded).message
        if end.transaction_data.energy_wh is not None:
            yield CoursePoint(at=end.start_transaction_timestamp, energy_wh=0)
            yield CoursePoint(at=end.end_transaction_timestamp, energy_wh=end.transaction_data.energy_wh)
