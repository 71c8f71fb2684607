"""Messages that no sound partner sends: broken ones, and those of strangers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from protocols.mobieurope.contract import operation_of
from protocols.mobieurope.envelope import CONTENT_TYPES, SOAP11, SOAP12
from protocols.mobieurope.mapping import Tree
from protocols.verify.conversation import Conversation
from protocols.verify.envelopes import envelope, request_envelope, tree_of
from protocols.verify.partner import Partner, basic
from protocols.verify.steps import Malformed, Stranger
from statecharts.limits import OVERSIZED, WRONG_GUESSES
from statecharts.vocabulary import RoamingRequest

LAST = {"Connection": "close"}
"""Goes with every such message: whoever is sent one may hang up behind it, and that must not meet the next."""

_DEPTH = 20_000


class Message(NamedTuple):
    """Bytes to send and the headers that go over ours."""

    body: bytes
    headers: Mapping[str, str] = {}


Altered = Callable[[RoamingRequest], Message]


def _name(request: RoamingRequest) -> str:
    return f"{operation_of(type(request))}Request"


def _with(change: Callable[[Tree], Tree]) -> Altered:
    """The request with its elements changed."""
    return lambda request: Message(envelope(_name(request), change(tree_of(request))))


def _bytes(change: Callable[[bytes], bytes]) -> Altered:
    """The request with its bytes changed."""
    return lambda request: Message(change(request_envelope(request)))


def _doctype(declaration: str, reference: str = "") -> Altered:
    def altered(body: bytes) -> bytes:
        head, _, rest = body.partition(b"?>")
        cut = rest.rindex(b"</soap:Body>") if reference else len(rest)
        inside = f"<x>{reference}</x>".encode() if reference else b""
        return head + b"?>" + f"<!DOCTYPE x [{declaration}]>".encode() + rest[:cut] + inside + rest[cut:]

    return _bytes(altered)


def _bomb() -> str:
    levels = [f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10)]
    return '<!ENTITY e0 "lol">' + "".join(levels)


def _without_first(tree: Tree) -> Tree:
    return dict(list(tree.items())[1:])


def _reversed(tree: Tree) -> Tree:
    return dict(reversed(list(tree.items())))


def _header(body: bytes) -> bytes:
    block = b'<soap:Header><t xmlns="urn:t" soap:mustUnderstand="true"/></soap:Header>'
    return body.replace(b"<soap:Body>", block + b"<soap:Body>")


def _between(body: bytes, inside: bytes) -> bytes:
    """Something else in the place of the Body's content."""
    head, rest = body.split(b"<soap:Body>")
    return head + b"<soap:Body>" + inside + b"</soap:Body>" + rest.split(b"</soap:Body>")[1]


MALFORMED: dict[str, Altered] = {
    "no XML": lambda _: Message(b"authorize, please"),
    "nothing at all": lambda _: Message(b""),
    "cut off": _bytes(lambda body: body[: len(body) // 2]),
    "no UTF-8": _bytes(lambda body: body.replace(b"</soap:Body>", b"\xff\xfe</soap:Body>")),
    "no envelope": _bytes(lambda body: b"<envelope/>"),
    "unknown envelope": _bytes(lambda body: body.replace(SOAP12.encode(), b"urn:no-soap")),
    "empty Body": _bytes(lambda body: _between(body, b"")),
    "two in the Body": _bytes(lambda body: _between(body, b"<a/><b/>")),
    "unknown operation": lambda request: Message(envelope("explodeRequest", tree_of(request))),
    "wrong namespace": _bytes(lambda body: body.replace(b"http://webservice.pms.mobieurope.com", b"urn:other")),
    "missing element": _with(_without_first),
    "wrong order": _with(_reversed),
    "unknown element": _with(lambda tree: {**tree, "surprise": "1"}),
    "not understood": _bytes(_header),
    "nested deep": _bytes(lambda body: _between(body, b"<a>" * _DEPTH + b"</a>" * _DEPTH)),
    "wrong media type": lambda request: Message(request_envelope(request), {"Content-Type": "text/plain"}),
    "DTD": _doctype('<!ENTITY a "b">'),
    "DTD with entity": _doctype('<!ENTITY a "b">', "&a;"),
    "DTD with file": _doctype('<!ENTITY a SYSTEM "file:///etc/hostname">', "&a;"),
    "DTD with bomb": _doctype(_bomb(), "&e9;"),
    "oversized": _bytes(lambda body: body + b" " * OVERSIZED.limit),
    "SOAP 1.1": lambda request: Message(
        request_envelope(request, namespace=SOAP11), {"Content-Type": CONTENT_TYPES[SOAP11]}
    ),
}
"""Each way to break a sound request."""

STRANGERS: dict[str, str] = {
    "nobody": "",
    "wrong password": "own name",
    "unknown name": "other name",
    "garbage": "Basic !!!",
    "token": "Bearer verify",
}
"""Each way not to be who one is."""


async def break_contract(step: Malformed, partner: Partner, talk: Conversation, request: RoamingRequest) -> None:
    """Sends the request broken in this way, and judges how that is taken."""
    message = MALFORMED[step.how](request)
    what = f"we: {operation_of(type(request))}, {step.how}"
    reply = await partner.send(talk, what, message.body, {**LAST, **message.headers})
    rule = _rule_of(step.how)
    holds = reply.refused
    if rule == "old-soap":
        holds = holds or (reply.envelope is not None and reply.envelope.namespace == SOAP11)
    elif rule == "oversized-refused":  # hung up on while it was still coming: as good a refusal as any
        holds = holds or (reply.http is None and "within" not in reply.trouble)
    talk.expect(rule, holds, f"a message ({step.how}) was answered {reply}")


def _rule_of(how: str) -> str:
    if how.startswith("DTD"):
        return "doctype-refused"
    return {"oversized": "oversized-refused", "SOAP 1.1": "old-soap"}.get(how, "malformed-refused")


class Strangers:
    """Knocks with credentials that are not ours; seldom under our own name, which the partner may lock for a while."""

    def __init__(self, username: str) -> None:
        self._username, self._guesses, self._names = username, 0, 0

    async def knock(self, step: Stranger, partner: Partner, talk: Conversation, request: RoamingRequest) -> None:
        """Sends the request as a stranger, and judges that nothing is done for him."""
        body = request_envelope(request) if step.readable else b"<no XML"
        what = f"a stranger ({step.how}): {operation_of(type(request))}"
        reply = await partner.send(talk, what, body, {**LAST, "Authorization": self._credentials(step.how)})
        rule = "stranger-refused" if step.readable else "stranger-unread"
        talk.expect(rule, reply.status in (401, 403, 429), f"a stranger ({step.how}) was answered {reply}")

    def _credentials(self, how: str) -> str:
        given = STRANGERS[how]
        if given == "own name" and self._guesses < WRONG_GUESSES.limit:
            self._guesses += 1
            return basic(self._username, "a wrong password, which nobody has")
        if given.endswith("name"):
            self._names += 1
            return basic(f"stranger-{self._names}", "a wrong password, which nobody has")
        return given
