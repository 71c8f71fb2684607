"""Tells webhooks: one POST over one connection of its own, to an address that was checked."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

import structlog
import trio

from protocols.mobieurope.wire import HttpConnections, NoExchange, Unreachable
from protocols.webhooks.addresses import Address, Network, address_of, is_allowed, is_listed
from protocols.webhooks.message import headers, written
from statecharts.bounds import Watermarks
from statecharts.webhook_limits import WEBHOOK_ADDRESSES
from statecharts.webhooks_door import HookAnswer, HookMessage, Letter

if TYPE_CHECKING:
    from protocols.cli.config_sections import Webhooks

FORBIDDEN = "it is at {address}, which webhooks.allowed_networks does not name"
PLAIN = "without https:// only addresses that webhooks.allowed_networks names are told anything"

CONNECT_S = 4.0
"""How long one address of a name may take to answer, so that there is time for the next."""

log = structlog.get_logger(__name__)


def sender_of(config: Webhooks, watermarks: Watermarks) -> WebhookSender:
    """Who tells the webhooks of a node, as it is configured."""
    tls = None if config.tls_authorities is None else ssl.create_default_context(cafile=config.tls_authorities)
    return WebhookSender(watermarks, [ipaddress.ip_network(each) for each in config.allowed_networks], tls)


class WebhookSender:
    """A `WebhookClient`. `allowed` are networks that are not public and may be reached all the same, also without TLS.

    `tls` says whose certificates are believed; None stands for the public authorities. Redirects are not followed, and
    of an answer only the head is read.
    """

    def __init__(self, watermarks: Watermarks, allowed: Sequence[Network], tls: ssl.SSLContext | None = None) -> None:
        self._watermarks, self._allowed, self._tls = watermarks, tuple(allowed), tls

    def __repr__(self) -> str:
        return f"<WebhookSender, {len(self._allowed)} networks allowed>"

    def refusal(self, url: str) -> str | None:
        try:
            parts = urlsplit(url)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            return "it is no URL"
        if not usable or parts.fragment or not url.isascii() or not url.isprintable() or " " in url:
            return "it is no https:// URL"
        if parts.username is not None or parts.password is not None:
            return "it has a user or a password in it: the signature says who we are"
        return self._refusal_of_host(parts)

    def _refusal_of_host(self, parts: SplitResult) -> str | None:
        """Of a name nothing is known before it is looked up, and that is done for each attempt."""
        try:
            address = address_of(parts.hostname or "")
        except ValueError:
            return None
        return self._refusal_of(address, plain=parts.scheme == "http")

    def _refusal_of(self, address: Address, *, plain: bool) -> str | None:
        if not is_allowed(address, self._allowed):
            return FORBIDDEN.format(address=address)
        return PLAIN if plain and not is_listed(address, self._allowed) else None

    def written(self, message: HookMessage) -> bytes:
        return written(message)

    async def send(self, letter: Letter, timeout_s: float) -> HookAnswer:
        why = self.refusal(letter.url)
        if why is not None:
            return HookAnswer(cause=why)
        with trio.move_on_after(timeout_s):
            return await self._sent(letter)
        return HookAnswer(cause=f"no answer within {timeout_s:g} s")

    async def _sent(self, letter: Letter) -> HookAnswer:
        plain = urlsplit(letter.url).scheme == "http"

        async def connect(host: str, port: int) -> trio.SocketStream:
            return await self._connected(host, port, plain=plain)

        connections = HttpConnections(self._watermarks, self._tls, connect)
        signed = headers(letter.message_id, letter.at, letter.body, letter.secret)
        try:
            answer = await connections.post(letter.url, signed, letter.body, ())
        except NoExchange as error:
            log.info("webhook.unanswered", message_id=letter.message_id, cause=str(error), reason=str(error.__cause__))
            return HookAnswer(cause=str(error))
        finally:
            await connections.aclose()
        return HookAnswer(status=answer.status)

    async def _connected(self, host: str, port: int, *, plain: bool) -> trio.SocketStream:
        """A connection to one of the addresses of a name: looked up once, and all of them checked before any is used.

        Where one may not be reached none is tried: a name that leads here and there is one that will lead here.
        """
        found = await trio.socket.getaddrinfo(host, port, type=trio.socket.SOCK_STREAM)
        places = list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
        for place in places:
            why = self._refusal_of(address_of(place), plain=plain)
            if why is not None:
                raise Unreachable(why, "forbidden")
        return await _first_of(places[: WEBHOOK_ADDRESSES.limit], port)


async def _first_of(places: Sequence[str], port: int) -> trio.SocketStream:
    """A connection to the first of these that takes one."""
    failure = OSError("it has no address")
    for place in places:
        try:
            with trio.move_on_after(CONNECT_S):
                return await trio.open_tcp_stream(place, port)
        except OSError as error:
            failure = error
    raise failure
