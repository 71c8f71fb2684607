"""What must hold between a configuration and its certificates: ours and their keys, and who vouches for others'."""

from __future__ import annotations

import ssl
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from protocols.cli.config_problems import Places, Problem
from protocols.cli.config_sections import Peer
from protocols.cli.config_stations import Authority
from statecharts.station_credentials import SecurityProfile

if TYPE_CHECKING:
    from protocols.cli.config import Config

OTHERS = stat.S_IRWXG | stat.S_IRWXO

TOGETHER = "is required: a certificate and its key go together"


def tls_problems(config: Config, places: Places) -> list[Problem]:
    """Pairs that do not fit, files without certificates, and certificates asked for where there is no TLS."""
    peers = [row for table in ("destinations", "sources") for row in places.rows(config, table)]
    return [
        *pair_problems("http", "tls_certificate", config.http.tls_certificate, "tls_key", config.http.tls_key),
        *pair_problems("ocpp", "tls_certificate", config.ocpp.tls_certificate, "tls_key", config.ocpp.tls_key),
        *_client_authorities(config),
        *_station_profiles(config, places),
        *_authority(config.authority),
        *authority_problems("webhooks.tls_authorities", config.webhooks.tls_authorities),
        *(problem for key, peer in peers for problem in _peer(key, peer, config)),
    ]


def _client_authorities(config: Config) -> Iterator[Problem]:
    """Client certificates are a property of a listener: the peers' own, or the stations'."""
    http, ocpp = config.http, config.ocpp
    yield from authority_problems("http.peers_client_authorities", http.peers_client_authorities)
    yield from authority_problems("ocpp.client_authorities", ocpp.client_authorities)
    if http.peers_client_authorities is not None:
        if http.peers_port is None:
            yield Problem("http.peers_port", "is required where peers show certificates: apps have none")
        if http.tls_certificate is None:
            yield Problem("http.tls_certificate", "is required where peers show certificates")
    if ocpp.client_authorities is not None and ocpp.tls_certificate is None:
        yield Problem("ocpp.tls_certificate", "is required where stations show certificates")


def _station_profiles(config: Config, places: Places) -> Iterator[Problem]:
    """A station whose profile the listener cannot ask for would be kept out for ever."""
    ocpp = config.ocpp
    rows = [("ocpp", ocpp.security_profile)]
    rows += [(key, station.security_profile) for key, station in places.rows(config, "stations")]
    for row, profile in rows:
        key = f"{row}.security_profile"
        if profile is None:
            continue
        if profile >= SecurityProfile.TLS_BASIC and ocpp.tls_certificate is None:
            yield Problem(key, "needs ocpp.tls_certificate; where a proxy has the TLS, it is 1 here")
        elif profile is SecurityProfile.TLS_CERTIFICATE and not config.authorities_of_stations:
            yield Problem(key, "needs ocpp.client_authorities or [authority]: nobody is asked for a certificate")
    if ocpp.plain_port is not None and ocpp.tls_certificate is None:
        yield Problem("ocpp.plain_port", "is needed beside TLS only: ocpp.port has none")


def _authority(authority: Authority) -> Iterator[Problem]:
    yield from authority_problems("authority.certificate", authority.certificate)
    if authority.certificate is None:
        if authority.key is not None or authority.command:
            yield Problem("authority.certificate", "is required: it vouches for what is signed")
    elif (authority.key is None) == (not authority.command):
        yield Problem("authority.key", "is required, or command instead, and not both")
    elif authority.key is not None:
        yield from pair_problems("authority", "certificate", authority.certificate, "key", authority.key)
        if authority.key.stat().st_mode & OTHERS:
            yield Problem("authority.key", "can be read by others than its owner: chmod 600")


def _peer(key: str, peer: Peer, config: Config) -> Iterator[Problem]:
    yield from authority_problems(f"{key}.tls_authorities", peer.tls_authorities)
    yield from pair_problems(key, "client_certificate", peer.client_certificate, "client_key", peer.client_key)
    if peer.client_certificate is not None and not peer.url.startswith("https:"):
        yield Problem(f"{key}.client_certificate", "is shown over TLS only: the url must begin with https://")
    if peer.incoming_certificates and config.http.peers_client_authorities is None:
        yield Problem(f"{key}.incoming_certificates", "needs http.peers_client_authorities: nobody is asked for one")


def pair_problems(
    table: str, certificate_key: str, certificate: Path | None, key_key: str, key: Path | None
) -> list[Problem]:
    """Tries the pair as it will be used. The empty password keeps OpenSSL from asking at the terminal for one."""
    if certificate is None or key is None:
        missing = certificate_key if certificate is None else key_key
        return [] if certificate is key else [Problem(f"{table}.{missing}", TOGETHER)]
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        reason = f"cannot be used with this {key_key}: {error.reason or 'not PEM'}"
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
    else:
        return []
    return [Problem(f"{table}.{certificate_key}", reason)]


def authority_problems(key: str, file: Path | None) -> Iterator[Problem]:
    if file is None:
        return
    try:
        ssl.create_default_context(cafile=file)
    except ssl.SSLError as error:
        yield Problem(key, f"holds no certificate: {error.reason or 'not PEM'}")
    except OSError as error:
        yield Problem(key, f"cannot be read: {error.strerror}")
