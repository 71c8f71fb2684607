"""The kinds of problems that the modern API answers, each with its HTTP status: what programs may switch on.

A route names the kinds of its own; those that every route of a sort has in common are added by `common_kinds`.
"""

from __future__ import annotations

KINDS: dict[str, int] = {
    # the request itself
    "invalid-request": 400,
    "malformed-json": 400,
    "not-utf-8": 400,
    "invalid-idempotency-key": 400,
    "invalid-last-event-id": 400,
    "cursor-unknown": 400,
    "request-timeout": 408,
    "request-entity-too-large": 413,
    "unsupported-media-type": 415,
    # who asks
    "token-missing": 401,
    "token-unknown": 401,
    "operators-only": 403,
    "viewers-only-look": 403,
    "admins-only": 403,
    "user-not-allowed": 403,
    "invalid-user": 403,
    "peer-blocked": 403,
    "too-many-failures": 429,
    "too-many-requests": 429,
    "too-many-streams": 429,
    "too-many-operations": 429,
    # what is asked for
    "not-found": 404,
    "unknown-transaction": 404,
    "unknown-station": 404,
    "unknown-peer": 404,
    "unknown-delivery": 404,
    "unknown-orphan": 404,
    "unknown-operation": 404,
    "unknown-card": 404,
    "unknown-group": 404,
    "unknown-webhook": 404,
    "not-in-quarantine": 404,
    "unknown-pms": 400,
    "unknown-connector": 400,
    "invalid-identity": 400,
    "contradictory-details": 400,
    "too-many-stations": 429,
    "too-many-cards": 429,
    "too-many-webhooks": 429,
    "too-many-pending": 429,
    "unfit-url": 400,
    "unreadable-file": 400,
    # what cannot be done now, or ever
    "request-under-way": 409,
    "not-connected": 409,
    "local-lists-off": 409,
    "already-running": 409,
    "connector-busy": 409,
    "connector-reserved": 409,
    "concurrent-charge": 409,
    "invalid-id-tag": 409,
    "no-receipt-yet": 409,
    "not-here": 409,
    "not-running": 409,
    "not-started": 409,
    "station-unavailable": 409,
    "failed-again": 409,
    "not-repeatable": 409,
    "superseded": 409,
    "already-decided": 409,
    "already-registered": 409,
    "name-taken": 409,
    "fixed-by-file": 409,
    "key-change-under-way": 409,
    "key-refused": 409,
    "key-unfit": 409,
    "secret-setting": 409,
    "profile-not-had": 409,
    "station-incomplete": 409,
    "not-of-this-station": 409,
    "takes-nothing": 409,
    "unreadable": 409,
    "wrong-state": 409,
    "already-finished": 410,
    "authorization-expired": 410,
    "idempotency-key-reused": 422,
    # the other operator
    "no-identifier": 502,
    "repeated-grant": 502,
    "peer-unanswered": 504,
    # this node
    "internal-error": 500,
    "busy": 503,
    "draining": 503,
    "no-answer": 503,
    "quarantined": 503,
    "store-unavailable": 503,
}

PEER_KINDS = ("peer-refused", "peer-fault", "peer-http")
"""What the other operator refused in its own words, with whatever 4xx it gave."""

OURS = ("internal-error", "busy", "draining", "no-answer", "quarantined", "store-unavailable")
"""What may keep this node from answering anything."""


def common_kinds(
    *,
    app: bool,
    operator: bool,
    path: bool,
    query: bool,
    body: bool,
    keyed: bool,
    changes: bool = False,
    admins_only: bool = False,
) -> tuple[str, ...]:
    """The kinds of all routes behind a token of an app or operator, with a path to fill in, a query, a body, a key;
    those that change something, and those for admins only.
    """
    groups = (
        (app or operator, ("token-missing", "token-unknown", "too-many-failures")),
        (app, ("too-many-requests",)),
        (operator, ("operators-only",)),
        (operator and changes, ("viewers-only-look",)),
        (admins_only, ("admins-only",)),
        (path, ("not-found",)),
        (query or body, ("invalid-request",)),
        (body, ("malformed-json", "not-utf-8", "request-timeout", "request-entity-too-large")),
        (body, ("unsupported-media-type",)),
        (keyed, ("invalid-idempotency-key", "request-under-way", "idempotency-key-reused")),
        (True, OURS),
    )
    return tuple(kind for applies, kinds in groups if applies for kind in kinds)
