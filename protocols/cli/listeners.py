"""The sockets that a configuration names, with their TLS."""

from __future__ import annotations

import ssl

import trio

from protocols.cli.config_sections import Listener
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
