"""How we call the partner: raw bytes out, raw bytes in, no faster than agreed, everything written down."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass

import trio
from lxml import etree

from protocols.mobieurope.contract import COMMON_NAMESPACE, PMS_NAMESPACE, Contract, operation_of
from protocols.mobieurope.envelope import SOAP12, BadEnvelope, Envelope, read_envelope
from protocols.mobieurope.wire import Http, HttpAnswer, NoExchange, Unreachable
from protocols.verify.conversation import Conversation, Mask
from protocols.verify.envelopes import CONTENT_TYPE, request_envelope
from protocols.verify.fetching import media_type_of
from protocols.verify.options import CannotVerify, Options
from statecharts.vocabulary import RoamingRequest

ANY_STATUS = range(100, 600)
_NUMBER = frozenset(map(str, range(400, 600)))


class Pace:
    """No more than `rate` requests a second, evenly: each waits for its turn."""

    def __init__(self, rate: float) -> None:
        self._gap_s = 1 / rate
        self._next = 0.0
        self.requests = 0

    async def turn(self) -> None:
        now = trio.current_time()
        at = max(now, self._next)
        self._next = at + self._gap_s
        self.requests += 1
        await trio.sleep_until(at)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as far as it can be read: `http` None if none came, `envelope` None if it holds no SOAP message."""

    http: HttpAnswer | None
    envelope: Envelope | None = None
    trouble: str = ""

    @property
    def status(self) -> int:
        return self.http.status if self.http else 0

    @property
    def is_fault(self) -> bool:
        return self.envelope is not None and etree.QName(self.envelope.content).localname == "Fault"

    @property
    def fault_code(self) -> str:
        """The Fault's code in SOAP 1.2's words, without its prefix; "" if there is none."""
        if self.envelope is None or not self.is_fault:
            return ""
        soap = f"{{{self.envelope.namespace}}}"
        code = self.envelope.content.findtext(f"{soap}Code/{soap}Value") or self.envelope.content.findtext("faultcode")
        name = (code or "").strip().rpartition(":")[2].partition(".")[0]
        return {"Client": "Sender", "Server": "Receiver"}.get(name, name)

    @property
    def error(self) -> tuple[str, str] | None:
        """errorCode and errorMsg of the ResponseError; None if there is none."""
        if self.envelope is None:
            return None
        error = self.envelope.content.find(f"{{{COMMON_NAMESPACE}}}ResponseError")
        return None if error is None else (error.findtext("errorCode") or "", error.findtext("errorMsg") or "")

    @property
    def refused(self) -> bool:
        """Whether this is a clear and final no: ResponseError 4xx, Fault Sender, or HTTP 4xx without SOAP."""
        if self.error is not None:
            return self.error[0].strip().startswith("4")
        if self.is_fault:
            return self.fault_code in ("Sender", "VersionMismatch", "MustUnderstand")
        return 400 <= self.status < 500

    @property
    def sound(self) -> bool:
        """Whether this is an answer of the service: HTTP 200 with a SOAP message that is no Fault."""
        return self.status == 200 and self.envelope is not None and not self.is_fault

    @property
    def done(self) -> bool:
        """Whether this says that it was done."""
        return self.sound and self.error is None

    def text(self, path: str) -> str:
        """What stands in an element of the answer, "" if nothing does."""
        return (self.envelope.content.findtext(path) or "") if self.envelope is not None else ""

    def __str__(self) -> str:
        if self.http is None:
            return self.trouble
        if self.error is not None:
            return f"ResponseError {self.error[0]}: {self.error[1]}"
        if self.is_fault:
            return f"HTTP {self.status} with Fault {self.fault_code}"
        return f"HTTP {self.status}" + (f", {self.trouble}" if self.trouble else " with an answer")


class Partner:
    """The partner's service. `contract` is what it must keep to."""

    def __init__(self, options: Options, contract: Contract, http: Http, pace: Pace, mask: Mask) -> None:
        self.options, self.pace, self.mask = options, pace, mask
        self._contract, self._http = contract, http
        self.credentials = basic(options.username, options.password)
        self._reached = self._known = False

    async def ask(self, talk: Conversation, request: RoamingRequest, what: str = "") -> Reply:
        """Sends a sound request, and judges its answer as far as the contract alone tells."""
        operation = operation_of(type(request))
        reply = await self.send(talk, f"we: {what or operation}", request_envelope(request))
        if not self._known and reply.status in (401, 403, 429):
            raise CannotVerify(
                f"{self.options.url} does not let us in: HTTP {reply.status} for {self.options.username} with the "
                f"password given; nothing more is sent, so that it locks nobody out"
            )
        self._known = True
        _hold_against_contract(talk, reply, operation, self._contract)
        return reply

    async def send(self, talk: Conversation, what: str, body: bytes, headers: Mapping[str, str] | None = None) -> Reply:
        """Sends these bytes; `headers` go over ours, those that are "" are left out. Says nothing of the answer."""
        ours = {"Content-Type": CONTENT_TYPE, "Authorization": self.credentials, **(headers or {})}
        sent = {name: value for name, value in ours.items() if value}
        await self.pace.turn()
        reply = await self._sent(sent, body)
        answer = reply.http
        talk.say(
            what,
            self.mask.message(f"POST {self.options.url}", sent, body),
            self.mask.message(f"HTTP {answer.status}", answer.headers, answer.body or b"") if answer else str(reply),
        )
        return reply

    async def _sent(self, headers: Mapping[str, str], body: bytes) -> Reply:
        with trio.move_on_after(self.options.patience_s):
            try:
                answer = await self._http.post(self.options.url, headers, body, ANY_STATUS)
            except Unreachable as error:
                if self._reached:  # it was there before: whatever we said since may be why it is gone
                    return Reply(None, trouble=f"it cannot be reached any more: {error}")
                raise CannotVerify(f"{self.options.url} cannot be reached: {error}") from error
            except NoExchange as error:
                return Reply(None, trouble=str(error))
            self._reached = True
            return _read(answer)
        return Reply(None, trouble=f"no answer within {self.options.patience_s:g} s")


def basic(username: str, password: str) -> str:
    return "Basic " + b64encode(f"{username}:{password}".encode()).decode("ascii")


def _read(answer: HttpAnswer) -> Reply:
    if answer.body is None:
        return Reply(answer, trouble="its body broke off, or is too long")
    try:
        return Reply(answer, read_envelope(answer.body, answer.charset))
    except BadEnvelope as error:
        media_type = media_type_of(answer.headers.get("content-type", ""))
        return Reply(answer, trouble=f"{media_type} without SOAP: {error.reason}")


def _hold_against_contract(talk: Conversation, reply: Reply, operation: str, contract: Contract) -> None:
    """Judges the answer to a sound request by what the contract alone says of it."""
    http, envelope = reply.http, reply.envelope
    talk.expect("answered", http is not None, f"{operation}: {reply.trouble}")
    if http is None:
        return
    talk.expect("no-fault", reply.sound, f"{operation} was answered {reply}")
    if envelope is None or not reply.sound:
        return
    media_type = http.headers.get("content-type", "none")
    as_asked = envelope.namespace == SOAP12 and media_type.startswith("application/soap+xml")
    talk.expect("soap-answer", as_asked, f"{operation}: {media_type} with an envelope of {envelope.namespace}")
    complaint, tag = contract.check(envelope.content), envelope.content.tag
    valid = tag == f"{{{PMS_NAMESPACE}}}{operation}Response" and complaint is None
    talk.expect("schema-answer", valid, f"{operation}: {complaint or tag}")
    if reply.error is not None:
        code, message = (part.strip() for part in reply.error)
        talk.expect("error-code", code in _NUMBER and bool(message), f"{operation}: {reply}")
