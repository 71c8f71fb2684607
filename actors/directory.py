"""Who is who, as the configuration says: peers, bearer tokens and users, each behind its port.

Whoever presents a secret learns nothing from the time an answer takes: where there is no entry to compare with, the
secret is compared with the hash of nothing.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from datetime import datetime

from statecharts.credentials import secret_matches, token_digest
from statecharts.directory import PeerEntry, TokenEntry, UserEntry
from statecharts.ports import Principal, UserCheck
from statecharts.station_credentials import NOBODY_HASH


class Peers:
    """The partners of one role; a `statecharts.ports.PeerDirectory` for the service that this role calls.

    Each role has its own: what a Destination presents at our Source service opens nothing at our Destination service.
    """

    def __init__(self, entries: Iterable[PeerEntry]) -> None:
        self._entries = {entry.pms_identifier: entry for entry in entries}
        self._by_username = {entry.incoming_username: entry for entry in self._entries.values()}

    def __repr__(self) -> str:
        return f"<Peers {' '.join(self._entries) or 'none'}>"

    @property
    def entries(self) -> tuple[PeerEntry, ...]:
        """All of them, in the order of the configuration."""
        return tuple(self._entries.values())

    def entry(self, pms_identifier: str) -> PeerEntry | None:
        return self._entries.get(pms_identifier)

    def authenticate(self, username: str, password: bytes, certificate: str | None = None) -> str | None:
        """The pmsIdentifier of the peer with these credentials, None if there is none; takes equal time either way.

        A peer that is listed with certificates must have shown one of them, by its SHA-256 `certificate`, as well.
        """
        entry = self._by_username.get(username)
        fits = secret_matches(password, entry.incoming_password_hash if entry else NOBODY_HASH)
        if (
            entry is None
            or not fits
            or (entry.incoming_certificates and certificate not in entry.incoming_certificates)
        ):
            return None
        return entry.pms_identifier


class BearerTokens:
    """The tokens of apps and operators; a `statecharts.ports.Tokens`."""

    def __init__(self, entries: Iterable[TokenEntry]) -> None:
        self._entries = tuple(entries)

    def __repr__(self) -> str:
        return f"<BearerTokens {' '.join(entry.principal.name for entry in self._entries) or 'none'}>"

    def principal(self, token: str) -> Principal | None:
        """Whose token this is. Every entry is compared, so that the time taken does not tell which one fits."""
        digest = token_digest(token)
        fitting = [entry.principal for entry in self._entries if hmac.compare_digest(entry.digest, digest)]
        return fitting[0] if fitting else None


class ConfiguredUsers:
    """Our users; the `statecharts.ports.IdentityService` that reads the configuration."""

    def __init__(self, entries: Iterable[UserEntry]) -> None:
        self._entries = {entry.identifier: entry for entry in entries}
        # OCPP 1.6, 7.28: an IdToken is a case-insensitive string
        self._by_id_tag = {tag.casefold(): entry for entry in self._entries.values() for tag in entry.id_tags}

    def __repr__(self) -> str:
        return f"<ConfiguredUsers {len(self._entries)}>"

    async def check_user(self, user_identifier: str, service_operator: str, now: datetime) -> UserCheck:
        """Whether this user may charge now at a station of `service_operator` (a pmsIdentifier)."""
        user = self._entries.get(user_identifier)
        if user is None:
            return _no(f"user {user_identifier} is not known here")
        if user.allowed_operators is not None and service_operator not in user.allowed_operators:
            return _no(f"user {user_identifier} may not charge at operator {service_operator}")
        return _valid(f"user {user_identifier}", user, now)

    async def check_id_tag(self, id_tag: str, now: datetime) -> UserCheck:
        """Whether this card may charge now at one of our own stations, which `allowed_operators` does not limit."""
        user = self._by_id_tag.get(id_tag.casefold())
        return _no(f"card {id_tag} is not known here") if user is None else _valid(f"card {id_tag}", user, now)


def _valid(who: str, user: UserEntry, now: datetime) -> UserCheck:
    """Whether the user's status and dates allow a charge now; `who` names the user in the refusal."""
    if user.blocked:
        return _no(f"{who} is blocked", blocked=True)
    if user.valid_from is not None and now < user.valid_from:
        return _no(f"{who} is not valid before {user.valid_from.isoformat()}")
    if user.valid_until is not None and now >= user.valid_until:
        return _no(f"{who} has expired on {user.valid_until.isoformat()}", expired=True)
    return UserCheck(allowed=True)


def _no(message: str, *, blocked: bool = False, expired: bool = False) -> UserCheck:
    return UserCheck(allowed=False, refusal_message=message, blocked=blocked, expired=expired)
