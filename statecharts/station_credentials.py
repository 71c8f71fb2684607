"""What opens a station's connection: its security profile, its key, its certificate; and how a key is changed.

The profiles of the OCPP security whitepaper and OCPP 2.x part 2, block A: each asks for more than the one before, and a
station comes in by its own or a safer way, never by a lesser one.
"""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum

from statecharts.credentials import hash_secret, secret_matches
from statecharts.vocabulary import Message, Value, Word

NOBODY_HASH = hash_secret(b"", b"nobody has this secret")
"""What a secret is compared with when its owner is unknown. It opens nothing, even for the empty secret."""


class SecurityProfile(IntEnum):
    """OCPP 2.0.1 part 2, A00; 0 is OCPP-J 1.6 without any security, on networks that are private themselves."""

    NONE = 0
    BASIC = 1
    TLS_BASIC = 2
    TLS_CERTIFICATE = 3


OF_PASSWORDS = (SecurityProfile.BASIC, SecurityProfile.TLS_BASIC)
"""The profiles by which a station shows a password."""


class StationCredentials(Value, frozen=True, kw_only=True):
    """What a station has to show.

    `password_hash` is of its key; `next_password_hash` of the one that it may have by now, while nobody knows whether
    it took it. Of profile 3 its certificate bears `certificate_name` as CN (None: its identity), was signed by the
    authority of the CN `certificate_issuer` (None: any that is trusted), and names `certificate_organization` as O
    (None: any).
    """

    profile: SecurityProfile = SecurityProfile.BASIC
    password_hash: str | None = None
    next_password_hash: str | None = None
    certificate_name: str | None = None
    certificate_issuer: str | None = None
    certificate_organization: str | None = None

    def __repr__(self) -> str:
        return f"<StationCredentials of profile {self.profile}>"


class StationCertificate(Value, frozen=True, kw_only=True):
    """A certificate that TLS has verified already: whose it is, who signed it, and until when it holds."""

    common_name: str
    issuer: str
    expires_at: datetime
    organization: str | None = None


class Shown(Value, frozen=True, kw_only=True):
    """What came with a connection: over TLS or not, the forms that its password may have, its certificate."""

    tls: bool = False
    passwords: tuple[bytes, ...] = ()
    certificate: StationCertificate | None = None

    def __repr__(self) -> str:
        return f"<Shown {len(self.passwords)} forms of a password, {self.certificate}>"


class Login(Value, frozen=True, kw_only=True):
    """How a connection came in: over TLS or not, by the key of which hash (None: by none), with which certificate."""

    tls: bool = False
    opened_by: str | None = None
    certificate: StationCertificate | None = None

    def __repr__(self) -> str:
        return f"<Login {'over TLS' if self.tls else 'plain'}, {self.certificate}>"


class Wrong(Word):
    """Why a station was turned away."""

    PLAIN = "PlainConnection"
    PASSWORD = "WrongPassword"
    CERTIFICATE = "WrongCertificate"
    NO_CERTIFICATE = "NoCertificate"


class TurnedAway(Message, frozen=True, kw_only=True):
    """Somebody who claimed to be this station was not let in: `times` since that was last told, here from `address`."""

    reason: Wrong
    address: str
    times: int = 1


class CertificateIssued(Message, frozen=True, kw_only=True):
    """What became of a station's request for a certificate: Refused, NotSigned, NotInstalled or Installed, and why."""

    outcome: str
    reason: str = ""
    certificate: str | None = None


class Judgement(Value, frozen=True, kw_only=True):
    """`wrong` says why not; `opened_by` is the hash of the key that opened, None where no key was asked for."""

    wrong: Wrong | None = None
    opened_by: str | None = None


def judged(identity: str, credentials: StationCredentials, shown: Shown) -> Judgement:
    """Whether what was shown opens this station.

    A wrong key and a missing one take the same time, wherever they are wrong: every form is compared with every hash.
    """
    opened_by = _opened_by(credentials, shown.passwords)
    if credentials.profile >= SecurityProfile.TLS_BASIC and not shown.tls:
        # A00: what a safer profile protects must not be had by a lesser one.
        return Judgement(wrong=Wrong.PLAIN)
    if credentials.profile is SecurityProfile.TLS_CERTIFICATE:
        return Judgement(wrong=_wrong_certificate(identity, credentials, shown.certificate))
    if credentials.profile is SecurityProfile.NONE or opened_by is not None:
        return Judgement(opened_by=opened_by)
    return Judgement(wrong=Wrong.PASSWORD)


def still_opens(identity: str, credentials: StationCredentials, login: Login) -> bool:
    """Whether these credentials would let in again who has come in so; one by a certificate needs its certificate."""
    if credentials.profile >= SecurityProfile.TLS_BASIC and not login.tls:
        return False
    if credentials.profile is SecurityProfile.TLS_CERTIFICATE:
        return _wrong_certificate(identity, credentials, login.certificate) is None
    known = (credentials.password_hash, credentials.next_password_hash)
    return credentials.profile is SecurityProfile.NONE or (login.opened_by is not None and login.opened_by in known)


FORMS = 4
"""In so many forms a password may come (`protocols.ocpp.admission.forms_of`); always as many are compared."""


def _opened_by(credentials: StationCredentials, passwords: tuple[bytes, ...]) -> str | None:
    hashes = (credentials.password_hash or NOBODY_HASH, credentials.next_password_hash or NOBODY_HASH)
    tried = (*passwords, *(b"",) * FORMS)[:FORMS]
    fitting = [hashed for hashed in hashes for password in tried if secret_matches(password, hashed)]
    return next((hashed for hashed in fitting if hashed != NOBODY_HASH), None)


def _wrong_certificate(
    identity: str, credentials: StationCredentials, certificate: StationCertificate | None
) -> Wrong | None:
    if certificate is None:
        return Wrong.NO_CERTIFICATE
    fits = (
        certificate.common_name == (credentials.certificate_name or identity)
        and credentials.certificate_issuer in (None, certificate.issuer)
        and credentials.certificate_organization in (None, certificate.organization)
    )
    return None if fits else Wrong.CERTIFICATE
