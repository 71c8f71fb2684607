"""Our SOAP services, in front of any other ASGI app: one address per module, each leading to its door.

A handler only hands over to the door and awaits its answer: a peer that hangs up cancels the handler, never what an
actor behind the door has begun.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

import structlog
import trio
from structlog.contextvars import bound_contextvars

from protocols.http.certificates import client_fingerprint
from protocols.mobieurope.contract import Contract, destination_contract, source_contract
from protocols.mobieurope.envelope import BadEnvelope
from protocols.mobieurope.exchange import App, Exchange, Gone, HttpRefusal, Receive, Scope, Send
from protocols.mobieurope.guard import FAILURES_WINDOW_S, Guard, TooManyFailures
from protocols.mobieurope.messages import Call, Codec, Reply
from statecharts.bounds import HTTP_BODY, Watermarks
from statecharts.ports import DestinationDoor, PeerDirectory, SourceDoor
from statecharts.vocabulary import EnergyUnit, Refused, RoamingAnswer

BODY_TIMEOUT_S = 30.0
ANSWER_TIMEOUT_S = 30.0
CORRELATION_HEADER = "X-Correlation-ID"

_CORRELATION_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_MEDIA_TYPES = frozenset({"application/soap+xml", "text/xml", "application/xml"})
_PLAIN = "text/plain; charset=utf-8"

log = structlog.get_logger("mobieurope")

Door = Callable[[str, Any], Awaitable[RoamingAnswer]]


class Services:
    """An ASGI app: the MOBI.Europe services, each only if it has a door; all that is not theirs goes to `others`.

    `destination_peers` may use the Destination's service, `source_peers` the Source's. `energy_unit` is the unit of
    energy that a peer sends without one. `public_url` ("https://roaming.example.org") goes into the WSDL; without it,
    the address asked. `new_correlation_id` names requests that bring no X-Correlation-ID.
    """

    def __init__(
        self,
        others: App,
        *,
        destination: DestinationDoor | None,
        source: SourceDoor | None,
        destination_peers: PeerDirectory,
        source_peers: PeerDirectory,
        energy_unit: EnergyUnit,
        new_correlation_id: Callable[[], str],
        public_url: str | None,
        watermarks: Watermarks,
    ) -> None:
        self._others = others
        made = partial(_Service, energy_unit=energy_unit, new_correlation_id=new_correlation_id, public_url=public_url)
        doors: tuple[tuple[Contract, Door | None, PeerDirectory], ...] = (
            (destination_contract(), destination, destination_peers),
            (source_contract(), source, source_peers),
        )
        self._services = {
            contract.path: made(contract, door, Guard(peers, watermarks))
            for contract, door, peers in doors
            if door is not None
        }

    @property
    def routes(self) -> list[str]:
        """What is answered here, as "POST /services/mobiEuropeSourceService"."""
        return [f"{method} {path}" for path in self._services for method in ("GET", "POST")]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        service = self._services.get(scope["path"]) if scope["type"] == "http" else None
        if service is None:
            await self._others(scope, receive, send)
        else:
            await service.serve(Exchange(scope, receive, send))


class _Service:
    """One module of MOBI.Europe behind its address."""

    def __init__(
        self,
        contract: Contract,
        door: Door,
        guard: Guard,
        *,
        energy_unit: EnergyUnit,
        new_correlation_id: Callable[[], str],
        public_url: str | None,
    ) -> None:
        self._contract, self._door, self._guard = contract, door, guard
        self._codec = Codec(contract, energy_unit)
        self._new_correlation_id = new_correlation_id
        self._location = None if public_url is None else public_url.rstrip("/") + contract.path

    async def serve(self, exchange: Exchange) -> None:
        """Answers a request; not, if its client hangs up first."""
        given = exchange.headers.get(CORRELATION_HEADER.lower(), "")
        correlation_id = given if _CORRELATION_ID.fullmatch(given) else self._new_correlation_id()
        headers = {CORRELATION_HEADER: correlation_id, "X-Content-Type-Options": "nosniff"}
        with bound_contextvars(correlation_id=correlation_id):
            try:
                await self._serve(exchange, headers)
            except HttpRefusal as no:
                log.warning("soap.request_refused", status=no.status, reason=no.text, address=exchange.address)
                await exchange.answer(no.status, no.text.encode() + b"\n", _PLAIN, headers | no.headers)
            except Gone:
                log.info("soap.request_given_up", address=exchange.address)

    async def _serve(self, exchange: Exchange, headers: dict[str, str]) -> None:
        if exchange.method in ("GET", "HEAD"):
            await self._describe(exchange, headers)
        elif exchange.method == "POST":
            peer = self._authenticated(exchange)
            body, charset = await _body(exchange)
            await exchange.unless_gone(partial(self._receive, exchange, headers, peer, body, charset))
        else:
            raise HttpRefusal(405, "Only GET and POST are answered here.", Allow="GET, POST")

    async def _describe(self, exchange: Exchange, headers: dict[str, str]) -> None:
        """The WSDL, for anybody: it is a public contract."""
        if "wsdl" not in {name.lower() for name, _ in parse_qsl(exchange.query, True)}:
            raise HttpRefusal(405, f"Ask for {self._contract.path}?wsdl, or POST.", Allow="POST")
        wsdl = self._contract.wsdl_at(self._location or exchange.url)
        await exchange.answer(200, wsdl.encode(), "text/xml; charset=utf-8", headers)

    async def _receive(
        self, exchange: Exchange, headers: dict[str, str], peer: str, body: bytes, charset: str | None
    ) -> None:
        status, content, content_type = await self._reply(peer, body, charset)
        await exchange.answer(status, content, content_type, headers)

    def _authenticated(self, exchange: Exchange) -> str:
        try:
            certificate = client_fingerprint(exchange.scope)
            peer = self._guard.admit(exchange.address, exchange.headers.get("authorization"), certificate)
        except TooManyFailures:
            again = str(int(FAILURES_WINDOW_S))
            raise HttpRefusal(429, "Too many wrong credentials from this address.", Retry_After=again) from None
        if peer is None:
            challenge = 'Basic realm="MOBI.Europe", charset="UTF-8"'
            raise HttpRefusal(401, "Only known peers may call this service.", WWW_Authenticate=challenge)
        return peer

    async def _reply(self, peer: str, body: bytes, charset: str | None) -> Reply:
        try:
            call = self._codec.decode(body, charset)
        except BadEnvelope as error:
            log.warning("soap.request_undecodable", peer=peer, reason=error.reason)
            return self._codec.fault(error.code, error.reason, error.namespace)
        except Exception:
            # Nothing is known to end here; if something does, it is our fault and not the sender's
            log.exception("soap.request_undecodable", peer=peer)
            return self._codec.fault("Receiver", "internal error")
        try:
            with trio.fail_after(ANSWER_TIMEOUT_S):
                return await self._answered(call, peer)
        except trio.TooSlowError:
            log.error("soap.request_timed_out", peer=peer, call=repr(call))
            return call.fault("Receiver", f"no answer within {ANSWER_TIMEOUT_S:g} s")
        except Exception:
            # What went wrong inside is for our log, not for the peer
            log.exception("soap.request_failed", peer=peer, call=repr(call))
            return call.fault("Receiver", "internal error")

    async def _answered(self, call: Call, peer: str) -> Reply:
        try:
            return call.answer(await self._door(peer, call.request))
        except Refused as error:
            refusal = error.refusal
            said = {"code": refusal.code, "kind": refusal.kind, "reason": refusal.message}
            log.info("soap.request_declined", peer=peer, call=repr(call), **said)
            return call.refuse(refusal)


async def _body(exchange: Exchange) -> tuple[bytes, str | None]:
    """The request's body, and the character set that its Content-Type names."""
    name, charset = exchange.media_type
    if name not in _MEDIA_TYPES:
        raise HttpRefusal(415, "Send application/soap+xml (SOAP 1.2) or text/xml (SOAP 1.1).")
    return await exchange.body(HTTP_BODY.limit, BODY_TIMEOUT_S), charset
