"""Who has signed in: a visit is a sealed cookie, so that it outlives a restart of the node and takes no memory.

The seal is HMAC-SHA-256 under a key of the node's own. A visit ends by itself, with the key, and with the password that
opened it; whoever signs out gives the cookie back. The token against forged requests (CSRF) stands in it.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

import msgspec
from itsdangerous import BadSignature, Signer
from itsdangerous.encoding import base64_decode, base64_encode

from statecharts.accounts import Account
from statecharts.vocabulary import Value

LASTS = timedelta(hours=12)
MARK_LENGTH = 16


class Visit(Value, frozen=True, kw_only=True):
    """Who is here, until when; `mark` stands for the password by which, `token` goes with every form."""

    name: str
    until: datetime
    mark: str
    token: str


class Seal:
    """Seals visits of one room (`purpose`) and opens them; what another room has sealed is none of ours."""

    def __init__(self, key: bytes, purpose: str) -> None:
        self._signer = Signer(key, salt=f"visit/{purpose}", key_derivation="hmac", digest_method=hashlib.sha256)

    def sealed(self, visit: Visit) -> str:
        """What goes into the cookie."""
        return self._signer.sign(base64_encode(msgspec.json.encode(visit))).decode()

    def opened(self, cookie: str) -> Visit | None:
        """The visit, None for anything that was not sealed here."""
        try:
            return msgspec.json.decode(base64_decode(self._signer.unsign(cookie)), type=Visit)
        except (BadSignature, msgspec.MsgspecError, UnicodeError):
            return None


def mark_of(account: Account) -> str:
    """Stands for an account's password: another password is another mark."""
    return hashlib.sha256(account.password_hash.encode()).hexdigest()[:MARK_LENGTH]
