"""TLS on the HTTP listener, and the client certificate that reaches the app."""

from __future__ import annotations

import ssl

import httpx
import trustme

from protocols.http import HttpLimits
from tests.unit.http.served import serving


def _tls(authority: trustme.CA) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The contexts of a server that asks for a client certificate, and of a client that has one."""
    server, client = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(server)
    server.verify_mode = ssl.CERT_OPTIONAL
    authority.configure_trust(client)
    authority.issue_cert("app@example.org").configure_cert(client)
    return server, client


async def test_tls_is_served_and_the_client_certificate_reaches_theapp_of() -> None:
    server, client = _tls(trustme.CA())
    async with serving(tls=server) as served, httpx.AsyncClient(verify=client) as http:
        assert served.url.startswith("https://")
        chain = (await http.get(f"{served.url}/certificate")).json()["client_cert_chain"]
        assert [pem.startswith("-----BEGIN CERTIFICATE-----") for pem in chain] == [True]


async def test_a_failed_or_missing_tls_handshake_ends_its_own_connection_only() -> None:
    server, client = _tls(trustme.CA())
    async with serving(HttpLimits(handshake_timeout_s=0.1), server) as served:
        await served.ask(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
        await served.ask(b"\x16")
        async with httpx.AsyncClient(verify=client) as http:
            assert (await http.get(f"{served.url}/hello")).text == "hello"
