"""How secrets are kept: stations' and peers' passwords as salted HMAC-SHA-256, bearer tokens as plain SHA-256.

Both are fast, so that ten thousand stations may reconnect at once; what makes them safe is that every secret has at
least `SECRET_BYTES_MIN` bytes of a random generator, not of a person. A person's password, which opens the pages, is
kept as argon2id.
"""

from __future__ import annotations

import hashlib
import hmac
import re

SECRET_BYTES_MIN = 16
SALT_BYTES_MIN = 8

_SCHEME = "hmac-sha256"
_HASHED = re.compile(rf"{_SCHEME}\$((?:[0-9a-f]{{2}}){{{SALT_BYTES_MIN},64}})\$([0-9a-f]{{64}})")
_PASSWORD_HASH = re.compile(
    r"\$argon2id\$v=19\$m=\d{1,7},t=\d{1,3},p=\d{1,3}\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{22,86}"
)
_TOKEN_DIGEST = re.compile(r"[0-9a-f]{64}")


def hash_secret(secret: bytes, salt: bytes) -> str:
    """`hmac-sha256$<salt hex>$<digest hex>`, with the salt as the key of the HMAC.

    `salt` is random and of this secret alone. Raises ValueError if it has less than `SALT_BYTES_MIN` or over 64 bytes.
    """
    hashed = f"{_SCHEME}${salt.hex()}${_digest(secret, salt)}"
    if not is_hashed_secret(hashed):
        raise ValueError(f"a salt has {SALT_BYTES_MIN} to 64 bytes, this one {len(salt)}")
    return hashed


def secret_matches(secret: bytes, hashed: str) -> bool:
    """Whether `secret` is the one that was hashed; takes the same time whether or not, and wherever they differ.

    Raises ValueError if `hashed` is not what `hash_secret` gives.
    """
    parts = _HASHED.fullmatch(hashed)
    if parts is None:
        raise ValueError(f"not a hashed secret ({_SCHEME}$<salt hex>$<digest hex>)")
    return hmac.compare_digest(_digest(secret, bytes.fromhex(parts[1])), parts[2])


def is_hashed_secret(text: str) -> bool:
    """Whether the text has the form that `hash_secret` gives."""
    return _HASHED.fullmatch(text) is not None


def token_digest(token: str) -> str:
    """SHA-256 of a bearer token in hex: what is kept of it. Its own randomness makes a salt needless."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()


def is_token_digest(text: str) -> bool:
    """Whether the text has the form that `token_digest` gives."""
    return _TOKEN_DIGEST.fullmatch(text) is not None


def is_password_hash(text: str) -> bool:
    """Whether the text has the form of a person's password hashed by argon2id (RFC 9106)."""
    return _PASSWORD_HASH.fullmatch(text) is not None


def _digest(secret: bytes, salt: bytes) -> str:
    return hmac.new(salt, secret, hashlib.sha256).hexdigest()
