"""How many files and sockets this process may have open: most systems give 1,024 to whom asks for no more."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import suppress

from protocols.cli.config import Config
from statecharts.bounds import PEER_CONNECTIONS

BESIDE_CONNECTIONS = 256
"""The store with its readers, the log, listeners, and connections that are being turned away."""


def open_files(wanted: int) -> int:
    """Asks the system for so many, unless there may be as many already; how many there may be now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    asked = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    with suppress(OSError, ValueError):  # beyond what the kernel ever gives, whatever the hard limit says
        resource.setrlimit(resource.RLIMIT_NOFILE, (asked, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def room_for(config: Config) -> Iterator[tuple[str, str]]:
    """Makes room for every connection that the configuration allows; if there is too little, a key and what to do.

    Without it a node would take a thousand stations, and then neither an app nor a partner.
    """
    listeners = 1 if config.http.peers_port is None else 2
    partners = len(config.destinations) + len(config.sources)
    connections = config.http.connections_max * listeners + config.ocpp.connections_max
    wanted = connections + PEER_CONNECTIONS.limit * partners + BESIDE_CONNECTIONS
    if (allowed := open_files(wanted)) < wanted:
        yield (
            "ocpp.connections_max",
            f"with http.connections_max it may need {wanted:,} open files, and the system allows {allowed:,}: "
            "raise that (ulimit -Hn, LimitNOFILE= of systemd), or lower these",
        )
