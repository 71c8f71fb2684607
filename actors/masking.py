"""What is written down of a message without the secrets in it."""

from __future__ import annotations

import re
from typing import Any

MASK = "***"
SECRET = re.compile(r"password|secret|(?<!id)(?<!id_)token|authorization_?key|private_?key", re.IGNORECASE)
"""What a secret is called; an idToken is none: it names a user."""

IN_URL = re.compile(r"(?<=://)[^/?#\s]*@")
NAMED_IN = ("key", "variable", "name")
"""Fields whose value may be the name of a secret: OCPP sets `AuthorizationKey` and `BasicAuthPassword` like that."""


def masked(value: Any) -> Any:
    """The value with `MASK` for what is called a secret, at any depth, and without users and passwords in URLs.

    Of an object that names a secret in `NAMED_IN`, whatever is called a value is masked.
    """
    match value:
        case dict():
            names_secret = any(map(_names_secret, map(value.get, NAMED_IN)))
            return {key: _masked_field(str(key), each, names_secret) for key, each in value.items()}
        case list() | tuple():
            return [masked(each) for each in value]
        case str():
            return IN_URL.sub(f"{MASK}@", value)
    return value


def _names_secret(named: Any) -> bool:
    """OCPP 2.x names a variable by an object with a name."""
    told = named.get("name") if isinstance(named, dict) else named
    return isinstance(told, str) and SECRET.search(told) is not None


def _masked_field(key: str, value: Any, names_secret: bool) -> Any:
    secret = SECRET.search(key) or (names_secret and "value" in key.lower())
    return MASK if secret and value is not None else masked(value)
