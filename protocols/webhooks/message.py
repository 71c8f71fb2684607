"""What a webhook is sent: a JSON document, signed as Standard Webhooks 1.0 asks (https://www.standardwebhooks.com)."""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from datetime import datetime
from hashlib import sha256

from protocols.rest.bodies import ENCODER, plain
from statecharts.webhooks_door import HookMessage

SECRET_PREFIX = "whsec_"


def written(message: HookMessage) -> bytes:
    """The body: `id`, `event`, `at`, and `transaction` or `cdr` as the API shows it."""
    return ENCODER.encode(plain(message))


def headers(message_id: str, at: datetime, body: bytes, secret: str) -> dict[str, str]:
    """What goes with a body, so that its receiver can tell that it is ours, new, and whole."""
    timestamp = int(at.timestamp())
    return {
        "Content-Type": "application/json",
        "User-Agent": "roamnode",
        "Connection": "close",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(message_id, timestamp, body, secret),
    }


def signature(message_id: str, timestamp: int, body: bytes, secret: str) -> str:
    """`v1,` and the HMAC-SHA-256 of id, timestamp and body; the key is what follows `whsec_`, in base64."""
    key = b64decode(secret.removeprefix(SECRET_PREFIX))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + b64encode(hmac.digest(key, signed, sha256)).decode("ascii")
