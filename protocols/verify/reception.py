"""Our own service, at which the partner calls us: everything is written down, answered as told, and judged."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import trio
from lxml import etree

from protocols.mobieurope.contract import PMS_NAMESPACE, Contract
from protocols.mobieurope.envelope import SOAP12, BadEnvelope, read_envelope
from protocols.mobieurope.exchange import Exchange, Gone, HttpRefusal, Receive, Scope, Send
from protocols.mobieurope.mapping import Unreadable
from protocols.verify.conversation import Conversation, Mask
from protocols.verify.envelopes import CONTENT_TYPE, answer_envelope, read_content
from protocols.verify.partner import basic
from statecharts.bounds import HTTP_BODY
from statecharts.vocabulary import Acknowledgement, Refusal, RoamingAnswer, RoamingRequest

BODY_TIMEOUT_S = 10.0

Respond = Callable[[RoamingRequest], Awaitable["RoamingAnswer | Refusal | int"]]
"""What a request of the partner is answered: done, refused, or with an HTTP status alone."""


@dataclass(slots=True)
class Reception:
    """An ASGI app. `talk` is the conversation of the flow that runs, `respond` what answers in it.

    What `is_of_before`, left by an earlier verification, is acknowledged and set aside: it is nobody's fault.
    """

    contract: Contract
    mask: Mask
    username: str
    password: str | None
    talk: Conversation = field(default_factory=Conversation)
    respond: Respond | None = None
    is_of_before: Callable[[RoamingRequest], bool] = lambda _: False
    set_aside: int = 0
    heard: list[RoamingRequest] = field(default_factory=list)
    answered: list[RoamingRequest] = field(default_factory=list)
    _news: trio.Condition = field(default_factory=trio.Condition)

    def begin(self, talk: Conversation, respond: Respond) -> None:
        """A new flow: `heard` is all that came in it, `answered` what of it was acknowledged."""
        self.talk, self.respond = talk, respond
        self.heard.clear()
        self.answered.clear()

    async def until(self, holds: Callable[[], bool], patience_s: float) -> bool:
        """Whether it holds now, or after something that the partner says or our own side does, within this time."""
        with trio.move_on_after(patience_s):
            async with self._news:
                while not holds():
                    await self._news.wait()
        return holds()

    async def tell(self) -> None:
        """Something happened: whoever waits looks again."""
        async with self._news:
            self._news.notify_all()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            for phase in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{phase}.complete"})
            return
        exchange = Exchange(scope, receive, send)
        try:
            await self._serve(exchange)
        except HttpRefusal as no:
            await exchange.answer(no.status, no.text.encode(), "text/plain; charset=utf-8", no.headers)
        except Gone:
            pass

    async def _serve(self, exchange: Exchange) -> None:
        if exchange.method != "POST":
            raise HttpRefusal(405, "POST", Allow="POST")
        body = await exchange.body(HTTP_BODY.limit, BODY_TIMEOUT_S)
        shown = self.mask.message(f"POST {exchange.scope['path']}", exchange.headers, body)
        talk = self.talk
        request = self._read(exchange, body)
        if request is None:
            talk.say("partner: what we cannot read", shown, "HTTP 400")
            raise HttpRefusal(400, "This is no request of the contract.")
        if self.is_of_before(request):
            self.set_aside += 1
            await exchange.answer(200, answer_envelope(type(request), Acknowledgement()), CONTENT_TYPE, {})
            return
        self.heard.append(request)
        await self.tell()
        status, answer = await self._answer(request)
        what = f"partner: {type(request).__name__}"
        talk.say(what, shown, self.mask.message(f"HTTP {status}", {"Content-Type": CONTENT_TYPE}, answer))
        await exchange.answer(status, answer, CONTENT_TYPE, {})
        await self.tell()

    def _read(self, exchange: Exchange, body: bytes) -> RoamingRequest | None:
        """The request, judged as far as the contract alone tells."""
        if self.password is not None:
            wanted, given = basic(self.username, self.password), exchange.headers.get("authorization", "")
            same = hmac.compare_digest(wanted.encode(), given.encode())
            self.talk.expect("own-credentials", same, "the partner calls us without the credentials agreed on")
        try:
            envelope = read_envelope(body, exchange.media_type.charset)
        except BadEnvelope as error:
            self.talk.expect("schema-request", False, error.reason)
            return None
        media_type = exchange.media_type.name
        as_agreed = envelope.namespace == SOAP12 and media_type == "application/soap+xml"
        self.talk.expect("soap-request", as_agreed, f"{media_type} with an envelope of {envelope.namespace}")
        return self._checked(envelope.content)

    def _checked(self, content: etree._Element) -> RoamingRequest | None:
        name = etree.QName(content)
        kind = self.contract.operations.get(name.localname.removesuffix("Request"))
        if kind is None or name.namespace != PMS_NAMESPACE:
            self.talk.expect("schema-request", False, f"{content.tag} is no request of this service")
            return None
        complaint = self.contract.check(content)
        self.talk.expect("schema-request", complaint is None, complaint or "")
        try:
            return read_content(kind, content)
        except (Unreadable, ValueError, AttributeError) as error:
            self.talk.expect("schema-request", False, f"{name.localname} cannot be read: {error}")
            return None

    async def _answer(self, request: RoamingRequest) -> tuple[int, bytes]:
        assert self.respond is not None, "a flow runs"
        answer = await self.respond(request)
        if isinstance(answer, int):
            return answer, b""
        self.answered.append(request)
        return 200, answer_envelope(type(request), answer)
