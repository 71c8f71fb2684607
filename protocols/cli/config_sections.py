"""The tables of the configuration, key by key. Every description ends up in the README's table of keys."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Literal, NamedTuple

from pydantic import Field, FilePath, SecretStr

from protocols.cli.config_types import (
    Count,
    Fingerprint,
    HashedSecret,
    IdTag,
    IpNetwork,
    Latitude,
    Longitude,
    Origin,
    PasswordHash,
    PmsIdentifier,
    Port,
    Seconds,
    Secret,
    Section,
    Text,
    TileUrl,
    Time,
    Token,
    TokenDigest,
    Url,
    Username,
)
from statecharts.accounts import Account
from statecharts.bounds import HTTP_CONNECTIONS, HTTP_CONNECTIONS_PER_ADDRESS
from statecharts.credentials import hash_secret, token_digest
from statecharts.directory import PeerEntry, TokenEntry, UserEntry
from statecharts.ports import Principal, Rank

Salts = Callable[[], bytes]
"""Gives a fresh random salt of 8 to 64 bytes."""

EVERY_USER = "*"


class Credential(NamedTuple):
    """What somebody presents to us: the key where it stands, and the one where its hash may stand instead."""

    key: str
    plain: SecretStr | None
    hashed_key: str
    hashed: str | None

    def hash(self, salts: Salts) -> str:
        """The salted hash, made here and now of what is written out."""
        return self.hashed or "" if self.plain is None else hash_secret(self.plain.get_secret_value().encode(), salts())


class Role(StrEnum):
    SOURCE = "source"
    DESTINATION = "destination"


class Log(Section):
    format: Literal["console", "json"] = Field(
        default="console", description="`console` for people, `json` for log collectors"
    )
    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="the least severe level written"
    )


class Listener(Section):
    host: Text = Field(default="127.0.0.1", description="address listened at")
    tls_certificate: FilePath | None = Field(default=None, description="PEM file of our certificate and its chain")
    tls_key: FilePath | None = Field(default=None, description="PEM file of the certificate's key, unencrypted")


class Http(Listener):
    """The listener for apps, operators and peers."""

    port: Port = Field(default=8089, description="port listened at; 0 takes a free one")
    http2: bool = Field(default=True, description="HTTP/2 for apps and operators that offer it, over TLS")
    peers_port: Port | None = Field(
        default=None, description="a port of its own for the peers' SOAP services, else `http.port`"
    )
    peers_client_authorities: FilePath | None = Field(
        default=None,
        description="PEM file of the authorities of the peers' certificates; on `peers_port` each must then show one",
    )
    public_url: Url | None = Field(default=None, description="address under which others reach us; stands in the WSDL")
    connections_max: Count = Field(
        default=HTTP_CONNECTIONS.limit, description="open connections, and requests; further ones are answered 503"
    )
    connections_per_address_max: Count = Field(
        default=HTTP_CONNECTIONS_PER_ADDRESS.limit,
        description="open connections from one address (IPv6: from one /64); as many as in all behind a proxy",
    )
    requests_per_s: Count = Field(default=200, description="requests that one app's token may make per second, lasting")
    requests_burst: Count = Field(default=1_000, description="requests that it may make at once; more are answered 429")
    allowed_origins: tuple[Origin, ...] = Field(
        default=(), description='origins whose pages may use the API in a browser (CORS): `["https://app.example"]`'
    )
    answers_kept_s: Seconds = Field(
        default=86_400, description="how long the same request under the same Idempotency-Key gets its first answer"
    )


class Pages(Section):
    """The driver's page and the operator's console."""

    enabled: bool = Field(default=True, description="whether the node serves pages")
    name: Text | None = Field(default=None, description="what the pages call the operator, else its `pms_identifier`")
    language: Text = Field(default="en", description="language for browsers that want none that is here (`en`, `de`)")
    latitude: Latitude | None = Field(
        default=None, description="where the driver's map begins, else where services are"
    )
    longitude: Longitude | None = Field(default=None, description="the same")
    tiles: TileUrl | None = Field(
        default=None,
        description="map tiles in place of the base map that the page has with it: `https://tiles.example/{z}/{x}/{y}.png`",
    )
    tiles_attribution: Text | None = Field(default=None, description="whom the map has to name for its tiles")

    @property
    def place(self) -> tuple[float, float] | None:
        """Where the map begins, in degrees; None where nothing is said of it."""
        if self.latitude is None or self.longitude is None:
            return None
        return float(self.latitude), float(self.longitude)


class Delivery(Section):
    """How messages owed to peers are sent."""

    attempt_timeout_s: Seconds = Field(default=10, description="how long one attempt to deliver may take")
    retry_base_s: Seconds = Field(default=1, description="pause before the first retry; it doubles with each")
    retry_cap_s: Seconds = Field(default=900, description="longest pause between two attempts")
    parked_after_days: int = Field(
        default=30, ge=1, le=3_650, description="age at which an undelivered message is parked"
    )
    in_flight_max: Count = Field(default=8, description="messages under way to one peer at a time")


class Webhooks(Section):
    """How webhooks of operators are told of what happens."""

    allowed_networks: tuple[IpNetwork, ...] = Field(
        default=(),
        description="networks that are not public where receivers may be all the same, also without TLS: "
        '`["10.1.0.0/16"]`',
    )
    tls_authorities: FilePath | None = Field(
        default=None, description="PEM file of the authorities that vouch for receivers, else the public ones"
    )
    attempt_timeout_s: Seconds = Field(default=10, description="how long one attempt to tell an event may take")
    retry_base_s: Seconds = Field(default=5, description="pause before the first retry; it doubles with each")
    retry_cap_s: Seconds = Field(default=3_600, description="longest pause between two attempts")
    paused_after_days: int = Field(
        default=3, ge=1, le=365, description="a webhook that has taken nothing for so long is paused"
    )


class Retention(Section):
    """What leaves the tables that are worked with for the archive, where it is still found."""

    transactions_days: int = Field(
        default=90, ge=1, le=36_500, description="age at which finished transactions are archived; their CDRs stay"
    )
    meter_values_days: int = Field(
        default=30, ge=1, le=36_500, description="age at which meter values of idle connectors are archived"
    )
    station_log_days: int = Field(
        default=365, ge=1, le=36_500, description="age at which a station's log of events is forgotten"
    )
    operations_days: int = Field(
        default=365,
        ge=1,
        le=36_500,
        description="age at which operations that are over are archived and leave the lists",
    )
    audit_days: int = Field(default=3_650, ge=1, le=36_500, description="age at which what operators did is forgotten")


class SourceDeadlineTable(Section):
    """How long each state of a transaction may last at the Source."""

    authorize_answer_s: Seconds = Field(default=15, description="waiting for the Destination's answer to authorize")
    authorization_s: Seconds = Field(
        default=900, description="from the grant to the start: then the authorisation lapses"
    )
    start_s: Seconds = Field(
        default=210, description="waiting for the result of a start; more than the Destination takes"
    )
    stop_s: Seconds = Field(
        default=180, description="waiting for the result of a stop; more than the Destination takes"
    )
    silence_s: Seconds = Field(default=86_400, description="a charge not heard of for so long is flagged")
    cdr_overdue_s: Seconds = Field(
        default=3_600, description="a finished charge without its CDR for so long is flagged"
    )


class DestinationDeadlineTable(Section):
    """How long each state of a transaction may last at its station; a start has the station's own timeout."""

    authorization_s: Seconds = Field(
        default=900, description="from the grant to the start: then the authorisation lapses"
    )
    stop_s: Seconds = Field(default=120, description="waiting for the station to stop a charge")
    silence_s: Seconds = Field(default=86_400, description="a charge not heard of for so long is doubted")
    reconcile_s: Seconds = Field(
        default=3_600, description="a doubted charge is ended with its last known meter after so long"
    )
    cdr_overdue_s: Seconds = Field(default=3_600, description="a CDR not acknowledged for so long is flagged")
    progress_interval_s: Seconds = Field(
        default=60, description="shortest time between two progress updates to the Source"
    )


class Peer(Section):
    """A partner in one role."""

    pms_identifier: PmsIdentifier = Field(description="its pmsIdentifier")
    url: Url = Field(description="the whole address of its service for this role; https unless on this machine")
    username: Username | None = Field(
        default=None, description="user name that we present there, else our `pms_identifier`"
    )
    password: Secret = Field(description="password that we present there, 16 bytes or more")
    tls_authorities: FilePath | None = Field(
        default=None, description="PEM file of the authorities that vouch for its certificate, else the public ones"
    )
    client_certificate: FilePath | None = Field(
        default=None, description="PEM file of the certificate that we show there, and its chain"
    )
    client_key: FilePath | None = Field(default=None, description="PEM file of that certificate's key, unencrypted")
    incoming_username: Username | None = Field(
        default=None, description="user name that it presents here, else its own name"
    )
    incoming_password: Secret | None = Field(
        default=None, description="password that it presents here, 16 bytes or more; this or its hash is required"
    )
    incoming_password_hash: HashedSecret | None = Field(
        default=None, description="instead of it: its salted HMAC-SHA-256"
    )

    incoming_certificates: tuple[Fingerprint, ...] = Field(
        default=(),
        description="SHA-256 fingerprints of the certificates that it may show here, beside its password; else any of "
        "`http.peers_client_authorities`",
    )

    @property
    def presented_username(self) -> str:
        return self.incoming_username or self.pms_identifier

    @property
    def credential(self) -> Credential:
        return Credential(
            "incoming_password", self.incoming_password, "incoming_password_hash", self.incoming_password_hash
        )

    def entry(self, own_pms_identifier: str, salts: Salts) -> PeerEntry:
        return PeerEntry(
            pms_identifier=self.pms_identifier,
            url=self.url,
            username=self.username or own_pms_identifier,
            password=self.password.get_secret_value(),
            incoming_username=self.presented_username,
            incoming_password_hash=self.credential.hash(salts),
            incoming_certificates=self.incoming_certificates,
        )


class User(Section):
    """A user of ours."""

    identifier: Text = Field(description="userIdentifier, as apps and peers name the user")
    id_tags: tuple[IdTag, ...] = Field(
        default=(), description="RFID cards that open our own stations; case means nothing"
    )
    status: Literal["active", "blocked"] = Field(default="active", description="`active` or `blocked`")
    valid_from: Time | None = Field(default=None, description="first moment at which the user may charge, else always")
    valid_until: Time | None = Field(default=None, description="moment at which the user expires, else never")
    allowed_operators: tuple[PmsIdentifier, ...] | None = Field(
        default=None, description="pmsIdentifiers of the partners where the user may charge, else all"
    )

    password_hash: PasswordHash | None = Field(
        default=None, description="argon2id hash of the password that opens the driver's page (`node.py password`)"
    )

    @property
    def account(self) -> Account | None:
        """The user who signs in to the driver's page, None if he cannot."""
        if self.password_hash is None:
            return None
        principal = Principal(name=f"page of {self.identifier}", users=frozenset((self.identifier,)))
        return Account(name=self.identifier, password_hash=self.password_hash, principal=principal)

    def entry(self) -> UserEntry:
        allowed = None if self.allowed_operators is None else frozenset(self.allowed_operators)
        return UserEntry(
            identifier=self.identifier,
            id_tags=self.id_tags,
            blocked=self.status == "blocked",
            valid_from=self.valid_from,
            valid_until=self.valid_until,
            allowed_operators=allowed,
        )


class Bearer(Section):
    """Somebody with a bearer token."""

    name: Text = Field(description="name in logs and in the journal")
    token: Token | None = Field(
        default=None, description="bearer token, 16 bytes or more; this or its hash is required"
    )
    token_sha256: TokenDigest | None = Field(default=None, description="instead of it: its SHA-256, in hex")

    @property
    def credential(self) -> Credential:
        return Credential("token", self.token, "token_sha256", self.token_sha256)

    @property
    def digest(self) -> str:
        return token_digest(self.token.get_secret_value()) if self.token is not None else self.token_sha256 or ""


class Operator(Bearer):
    """Somebody who operates this node, by a token or from the console."""

    password_hash: PasswordHash | None = Field(
        default=None, description="argon2id hash of the password that opens the console (`node.py password`)"
    )
    role: Rank = Field(
        default=Rank.ADMIN,
        description="`viewer` looks, `operator` commands stations and decides what is open, `admin` may do everything",
    )

    @property
    def principal(self) -> Principal:
        return Principal(name=self.name, operator=True, rank=self.role)

    @property
    def account(self) -> Account | None:
        """The person who signs in to the console, None for one who cannot."""
        if self.password_hash is None:
            return None
        return Account(name=self.name, password_hash=self.password_hash, principal=self.principal)

    def entry(self) -> TokenEntry:
        return TokenEntry(digest=self.digest, principal=self.principal)


class App(Bearer):
    """A user app, and for whom it acts."""

    users: tuple[Text, ...] = Field(min_length=1, description='users it acts for; `["*"]` for every user')

    def entry(self) -> TokenEntry:
        users = None if EVERY_USER in self.users else frozenset(self.users)
        return TokenEntry(digest=self.digest, principal=Principal(name=self.name, users=users))
