"""The sockets that a configuration names, with their TLS; and whose certificates a partner may show."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path

import structlog
import trio

from protocols.cli.config_sections import Listener, Peer
from protocols.cli.starter import CannotRun

HTTP1 = ("http/1.1",)
HTTP2 = ("h2", "http/1.1")

STATIONS_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:AES128-GCM-SHA256:AES256-GCM-SHA384"
"""TLS 1.2 for stations (security whitepaper ed. 3, A00.FR.318); TLS 1.3 has its own. AES-CBC and SHA-1 are out."""

log = structlog.get_logger("tls")


async def listen(key: str, listener: Listener, port: int) -> list[trio.SocketListener]:
    """Open listeners. Raises `CannotRun` that names the configuration's key."""
    try:
        return await trio.open_tcp_listeners(port, host=listener.host)
    except OSError as error:
        raise CannotRun(f"{key}: cannot listen at {listener.host}:{port}: {error.strerror}") from error


class ServerTls:
    """The TLS of a node's listeners: their contexts, and how to take up certificates that were renewed."""

    def __init__(self) -> None:
        self._contexts: list[tuple[ssl.SSLContext, Path, Path | None]] = []

    def of_stations(self, listener: Listener, authorities: Sequence[Path]) -> ssl.SSLContext | None:
        """TLS for charging stations: those that show a certificate show one of these authorities.

        Whether they must is a matter of each one's profile. To what others are offered come the two cipher suites that
        the security whitepaper asks of a central system beside those with forward secrecy.
        """
        context = self.context(listener)
        if context is not None:
            context.set_ciphers(STATIONS_CIPHERS)
            for file in authorities:
                context.load_verify_locations(cafile=file)
                context.verify_mode = ssl.CERT_OPTIONAL
        return context

    def context(
        self, listener: Listener, *, client_authorities: Path | None = None, protocols: tuple[str, ...] = ()
    ) -> ssl.SSLContext | None:
        """TLS 1.2 or newer with the configured certificate; None where the listener speaks plain.

        With `client_authorities` nobody gets in without a certificate of theirs. `protocols` are offered by ALPN.
        """
        certificate, key = listener.tls_certificate, listener.tls_key
        if certificate is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=client_authorities)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(certificate, key)
        if client_authorities is not None:
            context.verify_mode = ssl.CERT_REQUIRED
        if protocols:
            context.set_alpn_protocols(list(protocols))
        self._contexts.append((context, certificate, key))
        return context

    def reload(self) -> None:
        """Reads every certificate and key again: new connections get the new ones, those that stand go on.

        What cannot be used is logged, and the listener keeps what it has.
        """
        for context, certificate, key in self._contexts:
            try:
                ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
                context.load_cert_chain(certificate, key)
            except OSError as error:  # as ssl.SSLError is
                log.error("tls.certificate_not_reloaded", file=str(certificate), reason=str(error))
            else:
                log.info("tls.certificate_reloaded", file=str(certificate))


def trust_in(peer: Peer) -> ssl.SSLContext | None:
    """How we meet this peer: what vouches for the certificate that it shows us, and the one that we show.

    Its own authorities alone, or the public ones; None stands for the public ones and no certificate of ours.
    """
    if peer.tls_authorities is not None:
        context = ssl.create_default_context(cafile=peer.tls_authorities)
    elif peer.client_certificate is not None:
        import httpx  # here, since most commands need no HTTP client

        context = httpx.create_ssl_context(trust_env=False)
    else:
        return None
    if peer.client_certificate is not None:
        context.load_cert_chain(peer.client_certificate, peer.client_key)
    return context
