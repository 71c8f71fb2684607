"""The sockets that a configuration names, with their TLS; and whose certificates a partner may show."""

from __future__ import annotations

import ssl

import trio

from protocols.cli.config_sections import Listener, Peer
from protocols.cli.starter import CannotRun


async def listen(key: str, listener: Listener, port: int) -> list[trio.SocketListener]:
    """Open listeners. Raises `CannotRun` that names the configuration's key."""
    try:
        return await trio.open_tcp_listeners(port, host=listener.host)
    except OSError as error:
        raise CannotRun(f"{key}: cannot listen at {listener.host}:{port}: {error.strerror}") from error


def tls_context(listener: Listener) -> ssl.SSLContext | None:
    """TLS 1.2 or newer with the configured certificate; None where the listener speaks plain."""
    if listener.tls_certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(listener.tls_certificate, listener.tls_key)
    return context


def trust_in(peer: Peer) -> ssl.SSLContext | None:
    """What vouches for the certificate that this peer shows us: its own authorities alone; None for the public ones."""
    if peer.tls_authorities is None:
        return None
    return ssl.create_default_context(cafile=peer.tls_authorities)
