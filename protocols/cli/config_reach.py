"""What must hold between a configuration and the world: addresses, ports, certificates, the data folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from protocols.cli.config_problems import Places, Problem
from protocols.cli.config_sections import Listener
from protocols.cli.config_tls import tls_problems
from protocols.cli.config_types import is_loopback, split_url
from statecharts.station_credentials import SecurityProfile

if TYPE_CHECKING:
    from protocols.cli.config import Config


def reach_problems(config: Config, places: Places) -> list[Problem]:
    """Addresses without TLS, ports taken twice, certificates that do not fit, a data folder that cannot be."""
    return [
        *_addresses(config, places),
        *_ports(config),
        *tls_problems(config, places),
        *_data_dir(config.data_dir),
    ]


def reach_warnings(config: Config) -> list[Problem]:
    """What goes without TLS where others may listen, which may be right behind a proxy that has it."""
    unverified = [
        Problem(f"{name}.host", "can be reached from other machines without TLS: set tls_certificate, or use a proxy")
        for name, listener in _listeners(config)
        if not is_loopback(listener.host) and listener.tls_certificate is None
    ]
    return [*unverified, *_database(config), *_open_stations(config)]


def _open_stations(config: Config) -> Iterator[Problem]:
    """What is lowered on purpose, and shall be remembered."""
    if config.ocpp.plain_port is not None and not is_loopback(config.ocpp.host):
        yield Problem("ocpp.plain_port", "can be reached from other machines without TLS")
    for number, station in enumerate(config.stations):
        if station.profile(config.ocpp) is SecurityProfile.NONE:
            yield Problem(f"stations.{number}.security_profile", "lets anybody in who knows the station's identity")


def is_exposed(config: Config) -> bool:
    """Whether others than this machine can reach the node."""
    public = [host_of(config.http.public_url)] if config.http.public_url is not None else []
    return not all(is_loopback(host) for host in (config.http.host, config.ocpp.host, *public))


def host_of(url: str) -> str:
    return split_url(url).hostname or ""


def _database(config: Config) -> Iterator[Problem]:
    if config.database_url is not None:
        url = urlsplit(config.database_url.get_secret_value())
        verified = {"verify-ca", "verify-full"}.intersection(parse_qs(url.query).get("sslmode", ()))
        if url.hostname is not None and not is_loopback(url.hostname) and not verified:
            yield Problem("database_url", "reaches another machine that nobody has verified: add ?sslmode=verify-full")


def _listeners(config: Config) -> tuple[tuple[str, Listener], ...]:
    return ("http", config.http), ("ocpp", config.ocpp)


def _addresses(config: Config, places: Places) -> Iterator[Problem]:
    tables = ("destinations", "sources")
    urls = [(f"{key}.url", peer.url) for table in tables for key, peer in places.rows(config, table)]
    if config.http.public_url is not None:
        urls.append(("http.public_url", config.http.public_url))
    for key, url in urls:
        plain = split_url(url).scheme != "https"
        if plain and not is_loopback(host_of(url)) and not config.allow_plain_http:
            yield Problem(key, "must begin with https:// beyond this machine (or set allow_plain_http = true)")


def _ports(config: Config) -> Iterator[Problem]:
    """Port 0 is any free port, and may be asked for more than once."""
    taken = {config.http.port: "http.port"}
    http, ocpp = config.http, config.ocpp
    others = (("http.peers_port", http.peers_port), ("ocpp.port", ocpp.port), ("ocpp.plain_port", ocpp.plain_port))
    for key, port in others:
        if port and taken.setdefault(port, key) != key:
            yield Problem(key, f"must differ from {taken[port]} (got {port})")


def _data_dir(folder: Path) -> Iterator[Problem]:
    """The folder is not made here: a check starts nothing."""
    nearest = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not nearest.is_dir():
        yield Problem("data_dir", f"{nearest} is not a folder")
    elif not os.access(nearest, os.W_OK | os.X_OK):
        yield Problem("data_dir", f"{nearest} is not writable")
