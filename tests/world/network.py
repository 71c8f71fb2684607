"""The network of a world: requests by HTTP and streams of stations, between hosts that have names and no sockets.

Every request passes `Network.ask`, where its fate is decided and where it is seen; whatever listens is here as long as
the life that it belongs to.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

import trio

from protocols.mobieurope.wire import HttpAnswer, NoExchange, Unreachable
from protocols.serving import Front
from tests.world.conversation import Asked, Conversation
from tests.world.envelopes import soap_names
from tests.world.faults import Answer, Exchange, ExchangeFate
from tests.world.ground import Dead, Ground, Life
from tests.world.history import AnswerArrived, RequestSent
from tests.world.listening import Doorway, Service, StationListener


class Attempt(NamedTuple):
    """What is wrong with a request, for the history (`RequestSent`); nothing with an honest one."""

    forged: str = ""
    twin: str = ""
    repeats: int | None = None


HONEST = Attempt()


class Overheard(NamedTuple):
    """An honest request as it passed: what somebody needs who wants to send it, or one like it."""

    at: float
    exchange: int
    protocol: str
    sender: str
    to: str
    url: str
    asked: Asked


class NoAnswer(Exception):
    """Nothing came back. `sent` is false where there was no connection at all."""

    def __init__(self, cause: str, *, sent: bool = True) -> None:
        super().__init__(cause)
        self.sent = sent


class Told:
    """The answer to a request: `status` and `headers` are there, of the body as much as has come."""

    def __init__(self, seen: Callable[..., None], talk: Conversation) -> None:
        self._seen, self._talk = seen, talk
        self.status, self.headers = talk.status or 0, talk.headers

    async def body(self) -> bytes | None:
        """All of it; None where it broke off."""
        try:
            return await self._talk.body()
        finally:
            self.close()

    async def piece(self) -> bytes | None:
        """The next part; none at the end, None where it broke off."""
        return await self._talk.piece()

    def close(self) -> None:
        """No more of it is wanted."""
        self._talk.hang_up()
        broke_off = "" if self._talk.whole else "it broke off"
        self._seen(status=self.status, body=self._talk.said.decode(errors="replace"), cause=broke_off)


class Network:
    """All hosts, by their names and ports."""

    def __init__(self, ground: Ground, nodes: tuple[str, ...]) -> None:
        self._ground = ground
        self._nodes = {name.lower(): name for name in nodes}  # as DNS: an URL may have its host in small letters
        self._listening: dict[str, Service | StationListener] = {}
        self._addresses: dict[str, str] = {}
        self.overheard: list[Overheard] = []

    def front(self, life: Life) -> Front:
        """What this life of a node listens with."""
        doorway = Doorway(self, life)
        return Front(doorway.listen, doorway.serve_http, machine_time=False)

    def put_up(self, authority: str, listening: Service | StationListener) -> None:
        """This listens at "host:port" from now on."""
        self._listening[authority] = listening

    def take_down(self, authority: str, listening: Service | StationListener) -> None:
        """It listens no more, unless another one does by now."""
        if self._listening.get(authority) is listening:
            del self._listening[authority]

    def _service(self, authority: str) -> Service | None:
        listening = self._listening.get(authority)
        return listening if isinstance(listening, Service) else None

    async def dial(self, authority: str) -> trio.abc.HalfCloseableStream:
        """A stream to the node that listens for stations there. Raises OSError where none does."""
        await trio.lowlevel.checkpoint()
        listener = self._listening.get(authority)
        if not isinstance(listener, StationListener):
            raise ConnectionRefusedError(f"nobody listens at {authority}")
        return listener.connected()

    # -- HTTP ----------------------------------------------------------------------------------------------------------

    async def ask(self, protocol: str, sender: str, url: str, asked: Asked, attempt: Attempt = HONEST) -> Told:
        """The answer to a request, as soon as its head is there. Raises `NoAnswer`."""
        parts = urlsplit(url)
        asked = asked._replace(target=urlunsplit(("", "", parts.path or "/", parts.query, "")))
        node = self._nodes[str(parts.hostname)]
        exchange = self._noted(protocol, sender, node, asked, attempt)
        if attempt is HONEST:
            self.overheard.append(Overheard(trio.current_time(), exchange.number, protocol, sender, node, url, asked))
        fate = self._ground.faults.of_exchange(exchange)
        seen = partial(self._ground.saw, AnswerArrived, sender, exchange=exchange.number)
        talk = Conversation(asked, f"{node}:{parts.port or 80}", self._address(sender), fate)
        try:
            return await self._answered(exchange, talk, seen)
        except BaseException as failure:
            talk.hang_up()
            seen(cause=str(failure) if isinstance(failure, NoAnswer) else "given up")
            raise

    def _noted(self, protocol: str, sender: str, to: str, asked: Asked, attempt: Attempt) -> Exchange:
        body = asked.body.decode(errors="replace")
        operation = soap_names(body).partition(" ")[0] if protocol == "soap" else f"{asked.method} {asked.target}"
        exchange = Exchange(self._ground.fresh_number(), protocol, sender, to, operation)
        self._ground.counted[f"{protocol} calls"] += 1
        named = {name.lower(): value for name, value in asked.headers.items()}
        self._ground.saw(
            RequestSent,
            sender,
            exchange=exchange.number,
            protocol=protocol,
            to=exchange.to,
            method=asked.method,
            path=asked.target,
            body=body,
            key=named.get("idempotency-key", ""),
            correlation=named.get("x-correlation-id", ""),
            **attempt._asdict(),
        )
        return exchange

    async def _answered(self, exchange: Exchange, talk: Conversation, seen: Callable[..., None]) -> Told:
        fate, authority = talk.fate, f"{talk.scope['server'][0]}:{talk.scope['server'][1]}"
        if fate.refused or self._service(authority) is None:
            raise NoAnswer("no connection could be made", sent=False)
        if fate.lost and fate.answer is not None:
            return _in_its_place(fate.answer, talk, seen)
        if not fate.lost:
            carry = partial(self._carry, exchange, authority)
            self._ground.nursery.start_soon(carry, talk, fate.delay_s)
            for copy in range(1, fate.copies):
                again = Conversation(talk.asked, authority, talk.scope["client"][0], ExchangeFate())
                self._ground.nursery.start_soon(carry, again, fate.delay_s + copy * fate.copy_after_s)
        status = await talk.head()
        if fate.answer_lost:
            await trio.sleep_forever()
        await trio.sleep(fate.answer_delay_s)
        if status is None or fate.answer_broken:
            raise NoAnswer("the connection broke")
        return Told(seen, talk) if fate.answer is None else _in_its_place(fate.answer, talk, seen)

    async def _carry(self, exchange: Exchange, authority: str, talk: Conversation, delay_s: float) -> None:
        await trio.sleep(delay_s)
        service = self._service(authority)
        if service is None:
            talk.finish()
        else:
            service.take(exchange.number, talk)
        if talk.fate.hang_up_after_s is not None:
            await trio.sleep(talk.fate.hang_up_after_s)
            talk.hang_up()

    def _address(self, sender: str) -> str:
        """The IP address of a host that asks: each has one of its own."""
        return self._addresses.setdefault(sender, f"10.0.0.{len(self._addresses) + 1}")


def _in_its_place(answer: Answer, talk: Conversation, seen: Callable[..., None]) -> Told:
    talk.said[:], talk.whole = answer.body, True
    talk.status, talk.headers = answer.status, ((b"content-type", answer.content_type.encode()),)
    return Told(seen, talk)


class MemoryHttp:
    """Carries the SOAP of one life of a node: an `Http` of `protocols.mobieurope.wire`."""

    certificate_until = None

    def __init__(self, network: Network, life: Life) -> None:
        self._network, self._life = network, life

    async def post(self, url: str, headers: Mapping[str, str], content: bytes, wanted: Collection[int]) -> HttpAnswer:
        try:
            self._life.passes("sending", soap_names(content.decode()).partition(" ")[0])
            told = await self._network.ask("soap", self._life.node, url, Asked("POST", "", headers, content))
            body = await told.body()
            self._life.require()
        except Dead as error:
            await trio.lowlevel.checkpoint()
            raise NoExchange(str(error)) from error
        except NoAnswer as none:
            raise (NoExchange if none.sent else Unreachable)(str(none)) from none
        fields = {name.decode("ascii"): value.decode("latin-1") for name, value in told.headers}
        return HttpAnswer(told.status, fields, body if told.status in wanted else None)

    async def aclose(self) -> None:
        """Nothing is kept."""
