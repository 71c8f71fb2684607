"""What of the outbox may be sent to a peer now: pure functions over its rows (DESIGN: delivery between operators)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from statecharts.vocabulary import RoamingRequest, Value

NOTIFY_HOLDS_END_S = 60
"""An endTransaction waits for earlier notifies of its transaction no longer than this: a charge record comes first."""


class Parcel(Value, frozen=True, kw_only=True):
    """The body of a delivery: the message, and the correlation id of the request that it goes back to."""

    message: RoamingRequest
    correlation_id: str | None = None


class Row(Protocol):
    """What is read of a pending delivery; rows come in the order of their ids."""

    @property
    def transaction(self) -> str: ...

    @property
    def operation(self) -> str: ...

    @property
    def created_at(self) -> datetime: ...

    @property
    def expires_at(self) -> datetime | None: ...

    @property
    def next_at(self) -> datetime: ...


R = TypeVar("R", bound=Row)


def ready_at(rows: Sequence[R]) -> Iterator[tuple[datetime, R]]:
    """When each pending row may be sent at the earliest; rows that wait for an earlier one are left out.

    Within a transaction facts go one after the other, so that a result is never told before the one it follows; only a
    charge record overtakes, once everything before it has had its time. Commands (they expire) wait for nothing: one
    is given only when what it follows is known to have happened.
    """
    newest: dict[str, R] = {}
    for row in rows:
        earlier = newest.get(row.transaction)
        newest[row.transaction] = row
        if earlier is None or row.expires_at is not None:
            yield row.next_at, row
        elif row.operation == "EndTransaction":
            yield max(row.next_at, earlier.created_at + timedelta(seconds=NOTIFY_HOLDS_END_S)), row


def backoff_s(attempts: int, jitter: float, *, base_s: float, cap_s: float) -> float:
    """How long to wait after this many failed attempts: doubling up to the cap, less up to half of it by `jitter`."""
    full = min(cap_s, base_s * 2.0 ** min(attempts, 30))
    return full * (1.0 - jitter / 2)


def next_wake(rows: Iterable[tuple[datetime, R]]) -> datetime | None:
    """When the next row becomes ready; None where nothing is pending."""
    return min((at for at, _ in rows), default=None)
