"""A client's certificate, as it reaches the app in its scope (ASGI TLS extension)."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Mapping
from typing import Any

import trio


def tls_extension(tls: trio.SSLStream[Any]) -> dict[str, Any]:
    """What an app is told of a client's TLS: its own certificate as PEM, or that it gave none."""
    der = tls.getpeercert(binary_form=True)
    return {"client_cert_chain": [ssl.DER_cert_to_PEM_cert(der)] if der else []}


def client_fingerprint(scope: Mapping[str, Any]) -> str | None:
    """The SHA-256 fingerprint, in hex, of the certificate that the client of this request has shown; None if none."""
    chain = scope.get("extensions", {}).get("tls", {}).get("client_cert_chain")
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(chain[0])).hexdigest() if chain else None
