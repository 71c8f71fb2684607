"""Who is at the door: HTTP Basic credentials, checked before a body is read, and a limit on guessing them."""

from __future__ import annotations

import base64
import binascii
from collections import OrderedDict
from typing import NamedTuple

import structlog
import trio

from statecharts.bounds import GUESSES_REMEMBERED, Watermarks
from statecharts.limits import GUESSES, NAME_GUESSED
from statecharts.ports import PeerDirectory

FAILURES_WINDOW_S = 60.0

log = structlog.get_logger("mobieurope")

Claim = tuple[str, str]
"""An address, and who it says it is."""


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
    """How often each of a peer's names has failed from an address of late, in fixed windows; bounded, oldest first out.

    Counted per name as well: partners behind one proxy share its address, and a stranger there must not keep them out.
    """

    def __init__(self, watermarks: Watermarks) -> None:
        self._watermarks = watermarks
        self._recent_ones: OrderedDict[Claim, tuple[float, int]] = OrderedDict()

    def too_many(self, claim: Claim) -> bool:
        return self._recent(claim)[1] >= GUESSES.limit

    def count(self, claim: Claim) -> None:
        since, failures = self._recent(claim)
        self._recent_ones[claim] = (since, failures + 1)
        if len(self._recent_ones) > GUESSES_REMEMBERED.limit:
            self._recent_ones.popitem(last=False)
        self._watermarks.saw(GUESSES_REMEMBERED, len(self._recent_ones))

    def _recent(self, claim: Claim) -> tuple[float, int]:
        now = trio.current_time()
        since, failures = self._recent_ones.get(claim, (now, 0))
        return (since, failures) if now - since < FAILURES_WINDOW_S else (now, 0)


class TooManyFailures(Exception):
    """This address has guessed for this peer too often; whatever it presents now, it is not looked at."""


class Guard:
    """Lets peers in by their credentials."""

    def __init__(self, peers: PeerDirectory, watermarks: Watermarks) -> None:
        self._peers = peers
        self._failures = Failures(watermarks)

    def admit(self, address: str, authorization: str | None, certificate: str | None) -> str | None:
        """The pmsIdentifier of whoever sent this Authorization header, None if that is no peer of ours.

        `certificate` is the fingerprint of the client certificate with it. Raises `TooManyFailures`. A request
        without credentials is no guess: some SOAP stacks send one first.
        """
        credentials = basic_credentials(authorization)
        claim = address, "" if credentials is None else credentials.username[: NAME_GUESSED.limit]
        if authorization is not None and self._failures.too_many(claim):
            raise TooManyFailures
        peer = None if credentials is None else self._peers.authenticate(*credentials, certificate)
        if peer is None and authorization is not None:
            self._failures.count(claim)
            log.info("soap.peer_not_admitted", address=address, username=claim[1], certificate=certificate)
        return peer
