"""The kinds of values that a configuration holds; each says in people's words what is wrong with a value it refuses."""

from __future__ import annotations

import ipaddress
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, get_args, get_origin
from urllib.parse import SplitResult, parse_qs, urlsplit

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from statecharts.credentials import SECRET_BYTES_MIN, is_hashed_secret, is_password_hash, is_token_digest

TEN_YEARS_S = 315_360_000

_PMS_IDENTIFIER = re.compile(r"[^\s/:\x00-\x1f\x7f]{1,64}")
_IDENTITY = re.compile(r"(?!\.+$)[^\s/\\:\x00-\x1f\x7f]{1,48}")
_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f]{1,255}")
_TILES = re.compile(r"https://[A-Za-z0-9.-]+(:\d+)?/(?=\S*\{z\})(?=\S*\{x\})(?=\S*\{y\})[^\s;,\"']+")
_BEARER = re.compile(r"[A-Za-z0-9._~+/-]+=*")


class Section(BaseModel):
    """A table of the configuration: immutable, complete, and silent about secrets in its errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def split_url(url: str) -> SplitResult:
    """The parts of an http or https URL. Raises ValueError, worded for people, if it is no such thing."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("must be a URL that begins with https:// (or http:// on this machine)")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("must be a plain address: credentials have keys of their own, and ? and # mean nothing here")
    return parts


def is_loopback(host: str) -> bool:
    """Whether this host name or address is this very machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _matching(pattern: re.Pattern[str], wording: str) -> AfterValidator:
    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(wording)
        return text

    return AfterValidator(check)


def _url(url: str) -> str:
    split_url(url)
    return url


def _long_enough(secret: SecretStr) -> SecretStr:
    length = len(secret.get_secret_value().encode(errors="replace"))
    if length < SECRET_BYTES_MIN:
        raise ValueError(f"must be at least {SECRET_BYTES_MIN} bytes (got {length})")
    return secret


def _bearer(token: SecretStr) -> SecretStr:
    # RFC 6750, 2.1: nothing else can stand in an Authorization header
    if not _BEARER.fullmatch(token.get_secret_value()):
        raise ValueError("must consist of letters, digits and -._~+/ only")
    return token


def _tile_url(text: str) -> str:
    if not _TILES.fullmatch(text):
        raise ValueError("must be https://host/... with {z}, {x} and {y} in it")
    return text


def _password_hash(text: str) -> str:
    if not is_password_hash(text):
        raise ValueError("must be what `node.py password` prints: $argon2id$...")
    return text


def _hashed(text: str) -> str:
    if not is_hashed_secret(text):
        raise ValueError("must read hmac-sha256$<salt in hex>$<digest in hex>, with a salt of 8 bytes or more")
    return text


def _digest(text: str) -> str:
    if not is_token_digest(text.lower()):
        raise ValueError("must be the SHA-256 of the token, 64 hex digits")
    return text.lower()


def _fingerprint(text: str) -> str:
    digest = text.replace(":", "").lower()
    if not is_token_digest(digest):
        raise ValueError("must be a certificate's SHA-256 fingerprint: 64 hex digits, colons between them or not")
    return digest


def _database_url(secret: SecretStr) -> SecretStr:
    try:
        url = urlsplit(secret.get_secret_value())
        named = url.scheme in ("postgresql", "postgresql+psycopg") and url.path.strip("/") and url.port != 0
    except ValueError:
        named = False
    if not named:
        raise ValueError("must read postgresql+psycopg://USER:PASSWORD@HOST/DATABASE")
    if "password" in parse_qs(url.query):
        raise ValueError("must have its password before the @, where it is never shown")
    return secret


def _exact(value: Any) -> Any:
    if isinstance(value, float):
        raise ValueError(f'must be written as text, for exactness: "{value}"')
    return value


def _ip_network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        raise ValueError('must be a network or an address: "10.1.0.0/16", "fd00::/8", "192.168.7.7"') from None


def _utc(time: datetime) -> datetime:
    return time.astimezone(UTC)


PmsIdentifier = Annotated[
    str, _matching(_PMS_IDENTIFIER, "must be 1 to 64 characters without spaces, slashes or colons")
]
"""No slash, since it begins a CDR id; no colon, since it is the user name of HTTP Basic (RFC 7617)."""

Identity = Annotated[
    str, _matching(_IDENTITY, "must be 1 to 48 characters without spaces, slashes or colons, and not dots alone")
]
EntryPoint = Annotated[
    str,
    _matching(re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*"), 'must name a Python function: "module:function"'),
]
Text = Annotated[str, _matching(_PRINTABLE, "must be 1 to 255 printable characters")]
IdTag = Annotated[str, _matching(re.compile(r"[\x21-\x7e]{1,20}"), "must be 1 to 20 characters without spaces")]
Username = Annotated[str, _matching(re.compile(r"[^:\x00-\x1f\x7f]{1,255}"), "must be 1 to 255 characters, no colon")]
Url = Annotated[str, AfterValidator(_url)]
Origin = Annotated[
    str,
    _matching(re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?"), "must be as browsers send it: https://app.example"),
]
IpNetwork = Annotated[str, AfterValidator(_ip_network)]
Secret = Annotated[SecretStr, AfterValidator(_long_enough)]
Token = Annotated[SecretStr, AfterValidator(_long_enough), AfterValidator(_bearer)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_database_url)]
HashedSecret = Annotated[str, AfterValidator(_hashed)]
TileUrl = Annotated[str, AfterValidator(_tile_url)]
PasswordHash = Annotated[str, AfterValidator(_password_hash)]
Fingerprint = Annotated[str, AfterValidator(_fingerprint)]
TokenDigest = Annotated[str, AfterValidator(_digest)]
Seconds = Annotated[float, Field(gt=0, le=TEN_YEARS_S, allow_inf_nan=False)]
Port = Annotated[int, Field(ge=0, le=65_535)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Latitude = Annotated[Decimal, BeforeValidator(_exact), Field(ge=-90, le=90)]
Longitude = Annotated[Decimal, BeforeValidator(_exact), Field(ge=-180, le=180)]
Time = Annotated[AwareDatetime, AfterValidator(_utc)]


def table_in(annotation: Any) -> type[BaseModel] | None:
    """The model of a key that holds a table or a list of tables; None for a plain value."""
    candidate = get_args(annotation)[0] if get_origin(annotation) is tuple else annotation
    return candidate if isinstance(candidate, type) and issubclass(candidate, BaseModel) else None
