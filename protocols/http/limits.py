"""What one HTTP server grants its clients."""

from __future__ import annotations

import msgspec

from statecharts.bounds import (
    HTTP_BODY,
    HTTP_CONNECTIONS,
    HTTP_CONNECTIONS_PER_ADDRESS,
    HTTP_HEAD,
    HTTP_REQUESTS,
)
from statecharts.card_limits import CARDS_FILE

BODY_BYTES_MAX = HTTP_BODY.limit

LONG_BODIES = {"/api/v1/operator/cards.csv": CARDS_FILE.limit}
"""Paths at which a body may be longer than anywhere else, and how long; without a token nobody gets to send one."""

BODY_TIMEOUT_S = 20
"""How long a client may take to send its body before it is answered 408."""

LINGER_S = 1.0
"""How long a connection that we close still reads, so that the client gets the end of its answer."""


def body_bytes_max(path: str) -> int:
    """How long the body of a request for this path may be."""
    return LONG_BODIES.get(path, BODY_BYTES_MAX)


class HttpLimits(msgspec.Struct, frozen=True, kw_only=True):
    """`head_timeout_s` bounds a request head that is under way as well as the idle time between two requests;
    `send_timeout_s` one write to a client that reads slowly; `drain_timeout_s` the requests in flight at the end.
    """

    connections_max: int = HTTP_CONNECTIONS.limit
    connections_per_address_max: int = HTTP_CONNECTIONS_PER_ADDRESS.limit
    requests_max: int = HTTP_REQUESTS.limit
    head_bytes_max: int = HTTP_HEAD.limit
    handshake_timeout_s: float = 10.0
    head_timeout_s: float = 10.0
    send_timeout_s: float = 20.0
    drain_timeout_s: float = 4.0
