"""What a verification is asked to do, and whether it may."""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit


class CannotVerify(Exception):
    """The verification could not be run, for a reason that is not the partner's conformance; one line for people."""


class Role(StrEnum):
    """What the partner plays; we play the other."""

    DESTINATION = "destination"
    SOURCE = "source"


OPERATIONS = {
    Role.DESTINATION: ("authorize", "start", "stop", "status", "list"),
    Role.SOURCE: ("authorize", "start", "stop", "notify", "progress", "end"),
}
KINDS = ("happy", "refused", "repeated", "late", "crossed", "malformed", "hostile")


_OF_TRANSACTIONS = frozenset(KINDS) - {"malformed", "hostile"}
_ESSENTIAL_OF = {"malformed": "malformed-refused", "hostile": "stranger-refused"}
_ESSENTIAL_DESTINATION = {"authorize": "grants", "start": "takes-start"}
_ESSENTIAL_SOURCE = frozenset({"grant-reaches-app", "takes-report"})


@dataclass(frozen=True, slots=True)
class StationAccess:
    """A charging station of the partner that we are: `url` without the identity, as stations are configured."""

    url: str
    identity: str
    password: str


@dataclass(frozen=True, slots=True)
class AppAccess:
    """The partner's API for apps (Motown's sv1), to be the app of one of its users."""

    url: str
    token: str
    user: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`url` is the partner's service, `own_url` ours, which the partner must have configured;
    `listen` is where we listen for it, if that is another address ("http://0.0.0.0:8080").

    `username` and `password` are what we present; `incoming_username` and `incoming_password` what the partner presents
    at `own_url` (no password: not checked). `service` and `connector` name the place where is charged. `patience_s`
    bounds each wait for what the partner owes, `quiet_s` is waited at the end of a flow for what it should not send.
    `required` are rules without which there is no verdict, beside the `essential` ones.
    """

    role: Role
    url: str
    own_url: str
    listen: str | None = None
    own_pms: str
    partner_pms: str
    username: str
    password: str
    service: str
    connector: int = 1
    user: str = "verify"
    incoming_username: str | None = None
    incoming_password: str | None = None
    station: StationAccess | None = None
    app: AppAccess | None = None
    wsdl: bytes | None = None
    operations: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset(KINDS)
    flows: int = 100
    seed: int = 0
    time_limit_s: float = 600.0
    rate: float = 10.0
    patience_s: float = 10.0
    quiet_s: float = 0.2
    shrinks: int = 100
    first_only: bool = False
    required: frozenset[str] = frozenset()
    allowed_hosts: frozenset[str] = frozenset()
    tls: ssl.SSLContext | None = None
    own_tls: ssl.SSLContext | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be shown."""
        of_station = self.station.password if self.station else ""
        of_app = self.app.token if self.app else ""
        return (self.password, self.incoming_password or "", of_station, of_app)

    @property
    def targets(self) -> tuple[str, ...]:
        """Every address that is spoken to."""
        return (self.url, *((self.station.url,) if self.station else ()), *((self.app.url,) if self.app else ()))

    @property
    def essential(self) -> frozenset[str]:
        """The rules that must be tried for a verdict: what such a partner is there for, as far as it is allowed."""
        if not self.kinds & _OF_TRANSACTIONS:
            return self.required | {_ESSENTIAL_OF[kind] for kind in self.kinds}
        if self.role is Role.SOURCE:
            return self.required | (_ESSENTIAL_SOURCE if self.app else frozenset({"own-transactions-only"}))
        rules = {rule for operation, rule in _ESSENTIAL_DESTINATION.items() if operation in self.operations}
        return self.required | rules | ({"end-sent"} if self.station and "start" in self.operations else set())

    def check_hosts(self) -> None:
        """Raises `CannotVerify` for a host that is neither this machine nor named as allowed."""
        for url in self.targets:
            host = host_of(url)
            if host not in self.allowed_hosts and not is_loopback(host):
                raise CannotVerify(
                    f"{host} is not this machine: a verification sends it malformed and hostile requests, so its "
                    f"operator must agree; then name it with --allow-host {host}"
                )


def host_of(url: str) -> str:
    """The host in a URL. Raises `CannotVerify` if it has none."""
    try:
        parts = urlsplit(url)
        host, usable = parts.hostname, parts.scheme in ("http", "https", "ws", "wss") and parts.port != 0
    except ValueError:
        host, usable = None, False
    if not host or not usable:
        raise CannotVerify(f"{url!r} is no address: give one like https://roaming.example.org/services/...")
    return host


def is_loopback(host: str) -> bool:
    """Whether this can be nothing but our own machine; other names are not looked up."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
