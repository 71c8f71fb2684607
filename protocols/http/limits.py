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

BODY_BYTES_MAX = HTTP_BODY.limit

BODY_TIMEOUT_S = 20
"""How long a client may take to send its body before it is answered 408."""

LINGER_S = 1.0
"""How long a connection that we close still reads, so that the client gets the end of its answer."""


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
