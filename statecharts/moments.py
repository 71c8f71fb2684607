"""When a state is over: deadlines as moments, from where they are counted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def after_s(start: datetime | None, seconds: float) -> datetime:
    """That many seconds after `start`, which must be known."""
    assert start is not None
    return start + timedelta(seconds=seconds)


CREDIBLE_SINCE = datetime(2020, 1, 1, tzinfo=UTC)
"""No charge was earlier: a station that says so has a clock that was never set."""

CLOCK_AHEAD = timedelta(minutes=5)
"""So far ahead of us may a station's clock be without being called wrong."""


def is_credible(said: datetime, heard: datetime) -> bool:
    """Whether a station may have seen this moment before we heard of it, however long it was offline."""
    return CREDIBLE_SINCE <= said <= heard + CLOCK_AHEAD


def overdue_at(finished_at: datetime, noted_at: datetime | None, overdue_s: float) -> datetime:
    """When a charge record that is still on its way is overdue; once that was noted, when it is twice as old.

    So a partner that is away for a month costs ten lines of the journal per record, not seven hundred.
    """
    return finished_at + (timedelta(seconds=overdue_s) if noted_at is None else 2 * (noted_at - finished_at))
