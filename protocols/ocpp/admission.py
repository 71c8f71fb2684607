"""Who may connect: the identity in the path, what its security profile asks for, a limit on failures per address.

Failures count for the station they were about: whole fleets share the address of a mobile network, and one station with
a wrong password must not keep its neighbours out.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections import OrderedDict
from collections.abc import Callable
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

import msgspec
import trio
from websockets.http11 import Request

from protocols.ocpp.alarms import Alarms
from protocols.ocpp.limits import Limits
from protocols.ocpp.websocket import Refusal
from statecharts.bounds import OCPP_FAILING_ADDRESSES
from statecharts.limits import OCPP_IDENTITY
from statecharts.ports import StationDirectory
from statecharts.station_credentials import Login, Shown, StationCertificate, TurnedAway, Wrong, judged

_PATH = re.compile(r"/+(?:ocpp|websockets)/+([^/?#]+)/*(?:\?.*)?")
_IDENTITY = re.compile(rf"(?!\.+$)[^/\\\x00-\x1f\x7f]{{1,{OCPP_IDENTITY.limit}}}")
_HEX = re.compile(rb"(?:[0-9A-Fa-f]{2})+")


def identity_in(path: str) -> str | None:
    """The station that a request path names, percent-decoded: `/ocpp/<identity>` or Motown's `/websockets/<identity>`.

    Slashes at the end or doubled are overlooked, since stations are configured by hand.
    """
    match = _PATH.fullmatch(path)
    if match is None:
        return None
    try:
        identity = unquote_to_bytes(match[1]).decode()
    except UnicodeDecodeError:
        return None
    return identity if _IDENTITY.fullmatch(identity) else None


def password_in(authorization: str | None, identity: str) -> bytes | None:
    """The password of a Basic Authorization header whose user is this identity, as raw bytes; else None.

    OCPP-J 1.6, 6.2.2: the password is any 20 bytes, so that neither UTF-8 nor the absence of a colon can be assumed.
    """
    scheme, _, credentials = (authorization or "").partition(" ")
    try:
        decoded = base64.b64decode(credentials.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    user = f"{identity}:".encode()
    return decoded[len(user) :] if scheme.lower() == "basic" and decoded.startswith(user) else None


def forms_of(password: bytes) -> tuple[bytes, ...]:
    """What a station may mean by this password: a key travels as its bytes (J-1.6, 6.2.2) or as hex text.

    Never fewer than there can be, so that all of them take equal time.
    """
    if _HEX.fullmatch(password):
        return password, password.lower(), password.upper(), bytes.fromhex(password.decode())
    return password, password, password.hex().encode(), password.hex().upper().encode()


_Claim = tuple[str, str]
"""An address, and the station of ours that it claims to be; "" for all that are none of ours."""


class _Failures(msgspec.Struct):
    count: int
    until: float


class Knock(NamedTuple):
    """An upgrade request, and over what it came."""

    request: Request
    address: str
    tls: bool = False
    certificate: StationCertificate | None = None

    @property
    def identity(self) -> str:
        """The station that it claims to be; "" if it names none."""
        return identity_in(self.request.path) or ""

    @property
    def shown(self) -> Shown:
        password = password_in(_authorization(self.request), self.identity)
        return Shown(
            tls=self.tls,
            passwords=() if password is None else forms_of(password),
            certificate=self.certificate,
        )


_REFUSALS: dict[Wrong, Refusal] = {
    Wrong.PASSWORD: (
        HTTPStatus.UNAUTHORIZED,
        "wrong or missing password",
        {"WWW-Authenticate": 'Basic realm="ocpp"'},
    ),
    Wrong.PLAIN: (HTTPStatus.FORBIDDEN, "this charging station must use TLS", {}),
    Wrong.NO_CERTIFICATE: (HTTPStatus.FORBIDDEN, "this charging station must show its certificate", {}),
    Wrong.CERTIFICATE: (HTTPStatus.FORBIDDEN, "this certificate is not of this charging station", {}),
}


class Admission:
    """The doorkeeper of one listener. `turned_away` hears who was refused in the name of which station of ours."""

    def __init__(
        self, directory: StationDirectory, limits: Limits, turned_away: Callable[[str, TurnedAway], None]
    ) -> None:
        self._directory, self._limits = directory, limits
        self._failures: OrderedDict[_Claim, _Failures] = OrderedDict()
        self._alarms = Alarms(limits, turned_away)

    async def introduce(self, knock: Knock) -> None:
        """Gives a station that nobody knows the occasion to become known, unless its address has failed too often."""
        if self._directory.credentials(knock.identity) is None and self._seconds_to_wait((knock.address, "")) <= 0:
            await self._directory.introduce(knock.identity, knock.shown)

    def verdict(self, knock: Knock) -> Login | Refusal:
        """By what this upgrade request's station may come in, or why it is turned down."""
        credentials = self._directory.credentials(knock.identity)
        claim = knock.address, knock.identity if credentials else ""
        wait_s = self._seconds_to_wait(claim)
        if wait_s > 0:
            return HTTPStatus.TOO_MANY_REQUESTS, "too many failures, wait", {"Retry-After": str(int(wait_s) + 1)}
        if credentials is None:
            self._count(claim)
            # OCPP-J 1.6, 3.1.1: an unknown station is told so, and backs off.
            return HTTPStatus.NOT_FOUND, "no such charging station", {}
        judgement = judged(knock.identity, credentials, knock.shown)
        if judgement.wrong is None:
            return Login(tls=knock.tls, opened_by=judgement.opened_by, certificate=knock.certificate)
        self._count(claim)
        self._alarms.sound(knock.identity, judgement.wrong, knock.address)
        return _REFUSALS[judgement.wrong]

    def _seconds_to_wait(self, claim: _Claim) -> float:
        failures = self._failures.get(claim)
        if failures is None or failures.count < self._limits.address_failures_max:
            return 0
        return failures.until - trio.current_time()

    def _count(self, claim: _Claim) -> None:
        """One more failure; the claim longest without one is forgotten when the table is full."""
        now = trio.current_time()
        failures = self._failures.pop(claim, None)
        if failures is None or failures.until <= now:
            failures = _Failures(0, now + self._limits.address_window_s)
        failures.count += 1
        self._failures[claim] = failures
        if len(self._failures) > self._limits.addresses_max:
            self._failures.popitem(last=False)
        self._limits.watermarks.saw(OCPP_FAILING_ADDRESSES, len(self._failures))


def _authorization(request: Request) -> str | None:
    """The one Authorization header; two of them are none."""
    values = request.headers.get_all("Authorization")
    return values[0] if len(values) == 1 else None
