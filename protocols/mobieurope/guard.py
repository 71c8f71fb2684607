"""Who is at the door: HTTP Basic credentials, checked before a body is read, and a limit on guessing them."""

from __future__ import annotations

import base64
import binascii
from collections import OrderedDict
from typing import NamedTuple

import trio

from statecharts.ports import PeerDirectory

FAILURES_MAX = 20
FAILURES_WINDOW_S = 60.0
ADDRESSES_MAX = 4096


class Credentials(NamedTuple):
    username: str
    password: bytes


def basic_credentials(header: str | None) -> Credentials | None:
    """What an Authorization header holds by RFC 7617, UTF-8 user name; None if it is absent or not Basic."""
    scheme, _, encoded = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        username, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        return Credentials(username.decode(), password) if colon else None
    except (binascii.Error, ValueError):
        return None


class Failures:
    """How often each address has failed of late: a fixed window per address, the oldest address forgotten when full."""

    def __init__(self) -> None:
        self._by_address: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def too_many(self, address: str) -> bool:
        return self._recent(address)[1] >= FAILURES_MAX

    def count(self, address: str) -> None:
        since, failures = self._recent(address)
        self._by_address[address] = (since, failures + 1)
        if len(self._by_address) > ADDRESSES_MAX:
            self._by_address.popitem(last=False)

    def _recent(self, address: str) -> tuple[float, int]:
        now = trio.current_time()
        since, failures = self._by_address.get(address, (now, 0))
        return (since, failures) if now - since < FAILURES_WINDOW_S else (now, 0)


class TooManyFailures(Exception):
    """This address has guessed too often; whatever it sends now, it is not looked at."""


class Guard:
    """Lets peers in by their credentials."""

    def __init__(self, peers: PeerDirectory) -> None:
        self._peers = peers
        self._failures = Failures()

    def admit(self, address: str, authorization: str | None) -> str | None:
        """The pmsIdentifier of whoever sent this Authorization header, None if that is no peer of ours.

        Raises `TooManyFailures`. A request without credentials is no guess: some SOAP stacks send one first.
        """
        if self._failures.too_many(address):
            raise TooManyFailures
        credentials = basic_credentials(authorization)
        peer = None if credentials is None else self._peers.authenticate(credentials.username, credentials.password)
        if peer is None and authorization is not None:
            self._failures.count(address)
        return peer
