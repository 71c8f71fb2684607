"""How much is told to webhooks, and kept of what they were told. See `limits.py`."""

from __future__ import annotations

from statecharts.limit import Bound, Limit

WEBHOOKS = Bound(
    name="webhooks",
    limit=20,
    unit="webhooks",
    reason="each reads every change of a transaction for itself; a further one is not taken (429)",
)
WEBHOOK_EVENTS = Bound(
    name="webhook_events_pending",
    limit=500,
    unit="events",
    reason="events of one hook that are written down and not told yet: 200 that one look into the journal finds, and "
    "all of its list that may be replayed; others stay in the journal",
)
WEBHOOK_DELIVERIES = Limit(
    name="webhook_deliveries",
    limit=200,
    unit="deliveries",
    reason="the newest events that a hook has taken, kept to be shown and replayed; what was given up is kept besides",
)
WEBHOOK_REFUSALS = Limit(
    name="webhook_refusals",
    limit=8,
    unit="attempts",
    reason="refusals of one event (most of 4xx) until it is given up for those behind it: 20 minutes, as "
    "configured first",
)
WEBHOOK_GIVEN_UP = Limit(
    name="webhook_given_up",
    limit=100,
    unit="events",
    reason="events given up that wait for an operator; with that many the hook is paused, and none is ever dropped",
)
WEBHOOK_URL = Limit(
    name="webhook_url",
    limit=2_000,
    unit="characters",
    reason="what servers and proxies of all makers take in a request line",
)
WEBHOOK_CAUSE = Limit(
    name="webhook_cause",
    limit=300,
    unit="characters",
    reason="what is kept of why a receiver did not take an event",
)
WEBHOOK_LAG = Limit(
    name="webhook_lag_counted",
    limit=1_000,
    unit="changes",
    reason="how far it is counted by how many changes a hook is behind; more is too many however many",
)
WEBHOOK_ADDRESSES = Limit(
    name="webhook_addresses",
    limit=8,
    unit="addresses",
    reason="addresses of a receiver's name that are tried within one attempt; the others are checked, and not used",
)
