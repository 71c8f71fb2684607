"""The headers of requests and answers that mean something here, as the OpenAPI document shows them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

REQUEST_HEADERS: dict[str, dict[str, Any]] = {
    "X-Correlation-ID": {
        "description": "Names the request in answers and logs: 1 to 64 letters, digits, `._-`; others are replaced.",
        "schema": {"type": "string"},
    },
    "Idempotency-Key": {
        "description": "The same request under the same key does nothing again and gets its first answer.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
    },
    "Last-Event-ID": {
        "description": "The id of the last event that was seen: what has changed since comes first.",
        "schema": {"type": "string", "pattern": "^[0-9]{1,15}$"},
    },
    "If-None-Match": {"description": "The ETag that is known already.", "schema": {"type": "string"}},
}

RESPONSE_HEADERS: dict[str, dict[str, Any]] = {
    "X-Correlation-ID": {"description": "The name of the request in our log.", "schema": {"type": "string"}},
    "Location": {"description": "Where the transaction is found.", "schema": {"type": "string"}},
    "Link": {"description": 'The next page, `rel="next"`; absent on the last.', "schema": {"type": "string"}},
    "Content-Disposition": {"description": "The file's name (RFC 6266).", "schema": {"type": "string"}},
    "ETag": {"description": "Changes with the document.", "schema": {"type": "string"}},
    "Idempotency-Replayed": {"description": "Present on a first answer given again.", "schema": {"const": "true"}},
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "string", "pattern": "^[0-9]+$"}},
    "WWW-Authenticate": {"description": "What to show (RFC 6750).", "schema": {"type": "string"}},
    "RateLimit-Policy": {"description": "`q` requests in `w` seconds.", "schema": {"type": "string"}},
    "RateLimit": {"description": "`r` requests left, `t` seconds until all are back.", "schema": {"type": "string"}},
}

ALWAYS = ("X-Correlation-ID", "Location", "WWW-Authenticate", "ETag", "Content-Disposition")
"""Those that are on every answer that the document names them for."""


def response_headers(names: Iterable[str]) -> dict[str, Any]:
    """The headers of these names as a response object of the document shows them."""
    return {name: {**RESPONSE_HEADERS[name], **({"required": True} if name in ALWAYS else {})} for name in names}
