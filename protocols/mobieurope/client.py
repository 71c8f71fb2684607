"""Our calls to one peer: zeep writes and reads the SOAP, and every outcome gets its class.

The classes are those of delivery between operators: `Answered` is done, `Declined` is over for good, and `Unanswered`
is everything that leaves open whether the peer did it.
"""

# zeep's functions have no annotations
# mypy: allow-untyped-calls

from __future__ import annotations

import io
import re
from base64 import b64encode
from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import NamedTuple

import structlog
import trio
from lxml import etree
from structlog.contextvars import get_contextvars
from werkzeug.http import parse_date

from protocols.imports import without
from protocols.mobieurope.contract import (
    BINDING,
    COMMON_NAMESPACE,
    PMS_NAMESPACE,
    Contract,
    destination_contract,
    operation_of,
    source_contract,
)
from protocols.mobieurope.envelope import SOAP11, SOAP12, BadEnvelope, Envelope, printable, read_envelope
from protocols.mobieurope.mapping import read_answer, write_request
from protocols.mobieurope.wire import Http, HttpAnswer, NoExchange, causes
from statecharts.ports import PeerSeen
from statecharts.vocabulary import (
    Answered,
    Declined,
    EnergyUnit,
    PeerOutcome,
    Refusal,
    RoamingRequest,
    Unanswered,
)

with without("httpx"):  # what carries our calls is `wire.py`
    from zeep import AsyncClient, Settings
    from zeep.exceptions import Error as ZeepError
    from zeep.proxy import AsyncServiceProxy
    from zeep.transports import Transport
    from zeep.wsdl import Document

CORRELATION_HEADER = "X-Correlation-ID"

# A Fault is believed where SOAP's HTTP binding puts one; a gateway's 502 or 503 stays a gateway's
_FAULT_STATUSES = frozenset({200, 400, 500})
_DECLINED_STATUSES = frozenset({400, 404, 405, 413, 415})
_ALARMING_STATUSES = frozenset({401, 403})
_CLIENT_ERROR = re.compile(r"\s*4[0-9][0-9]\s*")
_SETTINGS = Settings(
    strict=True, raw_response=True, xml_huge_tree=False, forbid_dtd=True, forbid_entities=True, forbid_external=True
)

log = structlog.get_logger("mobieurope")


class MobiEuropeClient:
    """Calls one peer's MOBI.Europe services, both modules; a `statecharts.ports.PeerClient`.

    `url` is the base of the peer's addresses, to which Motown's paths are added ("/services/mobiEurope..."); a peer
    that has other addresses gives them whole as `destination_url` and `source_url`. `own_username` and `own_password`
    are what the peer knows us by (HTTP Basic). Energy goes out in `unit`. `http` carries the requests, and is closed
    with the client.
    """

    def __init__(
        self,
        url: str,
        own_username: str,
        own_password: str | bytes,
        unit: EnergyUnit,
        http: Http,
        *,
        destination_url: str | None = None,
        source_url: str | None = None,
    ) -> None:
        self._url, self._unit = url.rstrip("/"), unit
        self._http = http
        transport = self._transport = _Transport(self._http, _basic(own_username, own_password))
        self._services = {
            kind: service
            for service in (
                _Service(destination_contract, transport, destination_url or self._url + destination_contract().path),
                _Service(source_contract, transport, source_url or self._url + source_contract().path),
            )
            for kind in service.kinds
        }

    def __repr__(self) -> str:
        return f"<MobiEuropeClient {self._url}>"

    async def call(self, request: RoamingRequest, timeout_s: float) -> PeerOutcome:
        """What became of the request within `timeout_s` seconds. Raises nothing but trio.Cancelled."""
        with trio.move_on_after(timeout_s):
            try:
                return await self._services[type(request)].call(request, self._unit)
            except NoExchange as error:
                return Unanswered(cause=printable(str(error)), kind=error.kind)
            except (ValueError, TypeError, ZeepError) as error:
                # Nothing was sent, and nothing will be: no later attempt could write it either
                return Declined(refusal=Refusal(code=400, kind="unwritable", message=printable(str(error))))
        return Unanswered(cause=f"no answer within {timeout_s:g} s", kind="timeout")

    def seen(self) -> PeerSeen:
        """When its certificate ends, and what its clock showed last."""
        return PeerSeen(
            certificate_until=self._http.certificate_until, date=self._transport.date, dated_s=self._transport.dated_s
        )

    async def aclose(self) -> None:
        await self._http.aclose()


# -- sending -----------------------------------------------------------------------------------------------------------


class _Transport:
    """What zeep sends through: one POST, with our credentials and correlation id."""

    def __init__(self, http: Http, authorization: str) -> None:
        self._http, self._authorization = http, authorization
        self.date: datetime | None = None
        self.dated_s = 0.0

    async def post_xml(self, address: str, envelope: etree._Element, headers: dict[str, str]) -> HttpAnswer:
        content = etree.tostring(envelope, encoding="utf-8", xml_declaration=True)
        # A compressed answer could be small here and huge unpacked
        ours = {"Authorization": self._authorization, "Accept-Encoding": "identity", **_correlation()}
        try:
            answer = await self._http.post(address, headers | ours, content, _DECLINED_STATUSES | _FAULT_STATUSES)
        except Exception as error:
            # Whatever HTTP, TLS or the stack below them raise: here is the only place that can tell it from our errors
            log.warning("soap.call_failed", address=address, error=type(error).__name__, reason=_reason(error))
            if isinstance(error, NoExchange):
                raise
            raise NoExchange(f"the exchange failed with {type(error).__name__}") from error
        self.date, self.dated_s = parse_date(answer.headers.get("date")), trio.current_time()
        return answer


def _reason(error: BaseException) -> str:
    """What was said at first along the causes: what failed in the end knows least of why."""
    said = [text for each in causes(error) if (text := str(each))]
    return printable(said[-1] if said else type(error).__name__)


def _basic(username: str, password: str | bytes) -> str:
    """Credentials as RFC 7617 has them, in UTF-8."""
    secret = password.encode() if isinstance(password, str) else password
    return "Basic " + b64encode(username.encode() + b":" + secret).decode("ascii")


def _correlation() -> dict[str, str]:
    correlation_id = get_contextvars().get("correlation_id")
    return {} if correlation_id is None else {CORRELATION_HEADER: str(correlation_id)}


@cache
def _document(contract_of: Callable[[], Contract]) -> Document:
    """zeep's reading of our WSDL, once per process: it takes a tenth of a second."""
    # The transport is for imports, of which our WSDLs have none
    return Document(io.BytesIO(contract_of().wsdl), Transport, settings=_SETTINGS)


# -- one module of a peer ----------------------------------------------------------------------------------------------


class _Service:
    """One module of a peer at its address."""

    def __init__(self, contract_of: Callable[[], Contract], transport: _Transport, address: str) -> None:
        self._contract = contract_of()
        self.kinds = tuple(self._contract.operations.values())
        client = AsyncClient(_document(contract_of), transport=transport, settings=_SETTINGS)
        # Not client.create_service(): in zeep 4.3 that makes a synchronous proxy (zeep issue 1168)
        self._binding = client.wsdl.bindings[BINDING]
        self._proxy = AsyncServiceProxy(client, self._binding, address=address)

    async def call(self, request: RoamingRequest, unit: EnergyUnit) -> PeerOutcome:
        """Raises `NoExchange`; ValueError, TypeError or a zeep error if the request cannot be written."""
        kind = type(request)
        reply = await self._proxy[operation_of(kind)](**write_request(request, unit))
        return self._outcome(kind, reply)

    def _outcome(self, kind: type[RoamingRequest], reply: HttpAnswer) -> PeerOutcome:
        if reply.status in _ALARMING_STATUSES:
            why = f"HTTP {reply.status}: the peer does not take our credentials"
            return Unanswered(cause=why, alarm=True, kind="credentials")
        if reply.status not in _DECLINED_STATUSES | _FAULT_STATUSES:
            return Unanswered(cause=f"HTTP {reply.status}", kind="http")
        if reply.body is None:
            return Unanswered(cause="the answer broke off, or is too long")
        if reply.headers.get("content-encoding", "identity") != "identity":
            return Unanswered(cause="the answer is compressed, which was not asked for")
        try:
            envelope = read_envelope(reply.body, reply.charset)
        except BadEnvelope as error:
            return _without_message(reply.status, error.reason)
        fault = _fault(envelope)
        if fault is not None:
            return _of_fault(reply.status, fault)
        return self._answer(kind, envelope) if reply.status == 200 else _without_message(reply.status, "")

    def _answer(self, kind: type[RoamingRequest], envelope: Envelope) -> PeerOutcome:
        operation, content = operation_of(kind), envelope.content
        if envelope.namespace != SOAP12 or content.tag != f"{{{PMS_NAMESPACE}}}{operation}Response":
            return Unanswered(cause=f"the answer to {operation} is {content.tag} in {envelope.namespace}")
        if (complaint := self._contract.check(content)) is not None:
            return Unanswered(cause=complaint)
        error = content.find(f"{{{COMMON_NAMESPACE}}}ResponseError")
        if error is not None:
            return _of_response_error(error.findtext("errorCode") or "", error.findtext("errorMsg") or "")
        try:
            return Answered(answer=read_answer(kind, self._binding.get(operation).process_reply(envelope.root)))
        except Exception as failure:
            # Satisfies the schema and is still nothing to be read, by us or by zeep: after all it was answered, unlike
            # what `call` declines because it could not be written
            return Unanswered(cause=printable(f"unreadable answer: {failure}"))


# -- classes of outcomes -----------------------------------------------------------------------------------------------


class _Fault(NamedTuple):
    code: str
    reason: str


def _fault(envelope: Envelope) -> _Fault | None:
    """The Fault in this envelope, its code without prefix and in SOAP 1.2's words; None if there is none."""
    content, soap = envelope.content, f"{{{envelope.namespace}}}"
    if content.tag != soap + "Fault":
        return None
    if envelope.namespace == SOAP11:
        code, reason = content.findtext("faultcode"), content.findtext("faultstring")
    else:
        code, reason = content.findtext(f"{soap}Code/{soap}Value"), content.findtext(f"{soap}Reason/{soap}Text")
    # SOAP 1.1, section 4.4.1: codes may be refined after a dot
    name = (code or "").strip().rpartition(":")[2].partition(".")[0]
    return _Fault("Sender" if name == "Client" else name, printable((reason or "").strip()))


def _of_fault(status: int, fault: _Fault) -> PeerOutcome:
    if status in _DECLINED_STATUSES:
        return _without_message(status, fault.reason)
    if fault.code == "Sender":
        return Declined(refusal=Refusal(code=400, kind="peer-fault", message=fault.reason))
    return Unanswered(cause=f"Fault {fault.code}: {fault.reason}", kind="fault")


def _of_response_error(code: str, message: str) -> PeerOutcome:
    if _CLIENT_ERROR.fullmatch(code):
        return Declined(refusal=Refusal(code=int(code), kind="peer-refused", message=printable(message)))
    return Unanswered(cause=printable(f"ResponseError {code}: {message}"), kind="error")


def _without_message(status: int, reason: str) -> PeerOutcome:
    if status in _DECLINED_STATUSES:
        return Declined(refusal=Refusal(code=status, kind="peer-http", message=reason or f"HTTP {status}"))
    return Unanswered(cause=f"HTTP {status}: {reason}", kind="http")
