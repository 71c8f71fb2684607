"""Our SOAP services, as routes of a Quart-Trio app: one address per module, each leading to its door.

A handler only hands over to the door and awaits its answer: a peer that hangs up cancels the handler, never what an
actor behind the door has begun.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
import trio
from quart import Quart, Response, request
from structlog.contextvars import bound_contextvars

from protocols.http.certificates import client_fingerprint
from protocols.mobieurope.contract import Contract, destination_contract, source_contract
from protocols.mobieurope.envelope import BadEnvelope
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


def register_services(
    app: Quart,
    *,
    destination: DestinationDoor | None,
    source: SourceDoor | None,
    peers: PeerDirectory,
    energy_unit: EnergyUnit,
    new_correlation_id: Callable[[], str],
    public_url: str | None,
    watermarks: Watermarks,
) -> None:
    """Mounts the MOBI.Europe services on `app`, each only if its door is given; the other's address answers 404.

    `energy_unit` is the unit of energy that a peer sends without one. `public_url` ("https://roaming.example.org") goes
    into the WSDL; without it, the address asked. `new_correlation_id` names requests that bring no X-Correlation-ID.
    """
    guard = Guard(peers, watermarks)
    for contract, door in ((destination_contract(), destination), (source_contract(), source)):
        if door is not None:
            service = _Service(contract, door, guard, energy_unit, new_correlation_id, public_url)
            endpoint = contract.path.rpartition("/")[2]
            app.add_url_rule(contract.path, f"{endpoint}.describe", service.describe, methods=["GET"])
            app.add_url_rule(contract.path, f"{endpoint}.receive", service.receive, methods=["POST"])


class _HttpRefusal(Exception):
    """An HTTP refusal, before there is a SOAP message to answer."""

    def __init__(self, status: int, text: str, **headers: str) -> None:
        super().__init__(text)
        self.status, self.text, self.headers = status, text, headers


class _Service:
    """One module of MOBI.Europe behind its address."""

    def __init__(
        self,
        contract: Contract,
        door: Door,
        guard: Guard,
        energy_unit: EnergyUnit,
        new_correlation_id: Callable[[], str],
        public_url: str | None,
    ) -> None:
        self._contract, self._door, self._guard = contract, door, guard
        self._codec = Codec(contract, energy_unit)
        self._new_correlation_id = new_correlation_id
        self._location = None if public_url is None else public_url.rstrip("/") + contract.path

    async def describe(self) -> Response:
        """The WSDL, for anybody: it is a public contract."""
        if "wsdl" not in {name.lower() for name in request.args}:
            return Response(f"Ask for {self._contract.path}?wsdl, or POST.\n", 405, {"Allow": "POST"}, None, _PLAIN)
        # request.base_url is made of the Host header alone: what a proxy claims in X-Forwarded-* is not believed
        wsdl = self._contract.wsdl_at(self._location or request.base_url)
        return Response(wsdl, content_type="text/xml; charset=utf-8")

    async def receive(self) -> Response:
        """A SOAP message: authenticated, then read, then decoded, then handed to the door."""
        given = request.headers.get(CORRELATION_HEADER, "")
        correlation_id = given if _CORRELATION_ID.fullmatch(given) else self._new_correlation_id()
        with bound_contextvars(correlation_id=correlation_id):
            try:
                peer = self._authenticated()
                body, charset = await _body()
                status, content, content_type = await self._reply(peer, body, charset)
                response = Response(content, status, content_type=content_type)
            except _HttpRefusal as refusal:
                log.warning("soap request refused", status=refusal.status, reason=refusal.text, address=_address())
                response = Response(refusal.text + "\n", refusal.status, refusal.headers, None, _PLAIN)
        response.headers[CORRELATION_HEADER] = correlation_id
        return response

    def _authenticated(self) -> str:
        try:
            certificate = client_fingerprint(request.scope)
            peer = self._guard.admit(_address(), request.headers.get("Authorization"), certificate)
        except TooManyFailures:
            wait = {"Retry-After": str(int(FAILURES_WINDOW_S))}
            raise _HttpRefusal(429, "Too many wrong credentials from this address.", **wait) from None
        if peer is None:
            challenge = {"WWW-Authenticate": 'Basic realm="MOBI.Europe", charset="UTF-8"'}
            raise _HttpRefusal(401, "Only known peers may call this service.", **challenge)
        return peer

    async def _reply(self, peer: str, body: bytes, charset: str | None) -> Reply:
        try:
            call = self._codec.decode(body, charset)
        except BadEnvelope as error:
            log.warning("soap request undecodable", peer=peer, reason=error.reason)
            return self._codec.fault(error.code, error.reason, error.namespace)
        except Exception:
            # Nothing is known to end here; if something does, it is our fault and not the sender's
            log.exception("soap request undecodable", peer=peer)
            return self._codec.fault("Receiver", "internal error")
        try:
            with trio.fail_after(ANSWER_TIMEOUT_S):
                return await self._answered(call, peer)
        except trio.TooSlowError:
            log.error("soap request timed out", peer=peer, call=repr(call))
            return call.fault("Receiver", f"no answer within {ANSWER_TIMEOUT_S:g} s")
        except Exception:
            # What went wrong inside is for our log, not for the peer
            log.exception("soap request failed", peer=peer, call=repr(call))
            return call.fault("Receiver", "internal error")

    async def _answered(self, call: Call, peer: str) -> Reply:
        try:
            return call.answer(await self._door(peer, call.request))
        except Refused as error:
            refusal = error.refusal
            said = {"code": refusal.code, "kind": refusal.kind, "reason": refusal.message}
            log.info("soap request declined", peer=peer, call=repr(call), **said)
            return call.refuse(refusal)


async def _body() -> tuple[bytes, str | None]:
    """The request's body, at most `bounds.HTTP_BODY`, and the character set that its Content-Type names."""
    if request.mimetype not in _MEDIA_TYPES:
        raise _HttpRefusal(415, "Send application/soap+xml (SOAP 1.2) or text/xml (SOAP 1.1).")
    if (request.content_length or 0) > HTTP_BODY.limit:
        raise _too_large()
    body = bytearray()
    with trio.move_on_after(BODY_TIMEOUT_S) as waiting:
        async for chunk in request.body:
            body += chunk
            if len(body) > HTTP_BODY.limit:
                raise _too_large()
    if waiting.cancelled_caught:
        raise _HttpRefusal(408, f"The body did not arrive within {BODY_TIMEOUT_S:g} s.")
    return bytes(body), request.mimetype_params.get("charset")


def _too_large() -> _HttpRefusal:
    return _HttpRefusal(413, f"The body is larger than {HTTP_BODY.limit} bytes.")


def _address() -> str:
    """The address of the connection itself; headers that claim another are not believed."""
    client = request.scope.get("client")
    return client[0] if client else "local"
