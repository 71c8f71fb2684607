"""HTTP for everybody but stations, on trio, so that no client can take the server, or the node around it, down.

`server` accepts, bounds and drains; `places` decides who still finds room; `connection` speaks with one client, by
`http1` (Hypercorn's) or `http2` (our own, on h2); `gate` stands before the app. Hypercorn's own `serve` is not used: it
ends when one connection fails (pgjones/hypercorn#225: `Upgrade: websocket` with bytes behind the head), knows no cap on
connections, and lets a client that reads nothing hold a connection, and a shutdown, for ever.

Every wait on a client has a limit in `HttpLimits`: the handshake and the head here, the body by the app's
BODY_TIMEOUT, each write by `send_timeout_s`. There are no WebSockets: stations have a server of their own.
"""

from protocols.http.limits import BODY_BYTES_MAX, BODY_TIMEOUT_S, HttpLimits, body_bytes_max
from protocols.http.server import serve_http

__all__ = ["BODY_BYTES_MAX", "BODY_TIMEOUT_S", "HttpLimits", "body_bytes_max", "serve_http"]
