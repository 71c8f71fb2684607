"""A Source written from the contract alone, with Motown's API for its user's app, that can be wrong in many ways.

Like `wrong_destination`: no code of ours but the contract's schema and the HTTP server, each defect one switch.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import trio
from lxml import etree

from protocols.http import serve_http
from protocols.mobieurope.contract import source_contract
from tests.verify.wrong_destination import BODY_BYTES, COMMON, PMS, SOAP12, BadMessage, No, basic, soap

OWN, DESTINATION, USER, STATION = "NL-MOT", "IE-001", "anna", "CS01"
SECRET, OTHER_SECRET, TOKEN = "secret of IE-001 at us", "secret of us at IE-001", "token of the app"
PATH, API = "/services/mobiEuropeSourceService", "/sv1"
MOTOWN = "application/vnd.io.motown.mobi-europe-source-api-v1+json"
ANSWER_S, RETRY_S, RETRIES = 0.6, 0.05, 20


@dataclass
class Session:
    name: str
    user: str
    state: str = "Ready"
    requests: dict[str, str] = field(default_factory=dict)
    pending: str = ""
    end: bytes = b""

    def ended(self, kind: str, success: bool) -> None:
        """A start or stop has its result."""
        moves = {("start", True): "TxRunning", ("start", False): "Ready", ("stop", True): "TxFinished"}
        moves[("stop", False)] = "TxRunning"
        self.state, self.pending = moves[kind, success], ""


@dataclass
class WrongSource:
    destination_url: str
    defects: frozenset[str]
    nursery: trio.Nursery
    client: httpx.AsyncClient
    url: str = ""
    app_url: str = ""
    sessions: dict[str, Session] = field(default_factory=dict)
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    def has(self, *defects: str) -> bool:
        return bool(self.defects & set(defects))

    # -- HTTP ----------------------------------------------------------------------------------------------------------

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for phase in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{phase}.complete"})
            return
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        serve = self.soap if scope["path"] == PATH else self.app
        status, kind, body = await serve(scope, headers, await self.body(receive))
        sent = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": sent})
        await send({"type": "http.response.body", "body": body})

    async def body(self, receive: Any) -> bytes:
        body, more = b"", True
        while more:
            event = await receive()
            body += event.get("body", b"")
            more = event.get("more_body", False)
        return body

    async def soap(self, scope: Any, headers: dict[str, str], body: bytes) -> tuple[int, str, bytes]:
        if scope["method"] == "GET":
            return 200, "text/xml", source_contract().wsdl
        if headers.get("authorization") != basic(DESTINATION, SECRET) and not self.has("open"):
            return 401, "text/plain", b""
        if len(body) > BODY_BYTES or "soap+xml" not in headers.get("content-type", ""):
            return 413, "text/plain", b""
        try:
            content = self.parsed(body)
            inside = await self.heard(content)
        except (BadMessage, etree.XMLSyntaxError, KeyError):
            fault = "<s:Code><s:Value>s:Sender</s:Value></s:Code><s:Reason><s:Text xml:lang='en'>no</s:Text></s:Reason>"
            if self.has("fault500"):
                return 500, "text/html", b"<h1>Internal Server Error"
            return 400, "application/soap+xml", soap(f"<s:Fault>{fault}</s:Fault>")
        except No as no:
            error = f"<errorCode>{no.code}</errorCode><errorMsg>{no.message}</errorMsg>"
            inside = f'<c:ResponseError xmlns:c="{COMMON}">{error}</c:ResponseError>'
        operation = etree.QName(content).localname.removesuffix("Request")
        answer = f'<p:{operation}Response xmlns:p="{PMS}">{inside}</p:{operation}Response>'
        return 200, "application/soap+xml; charset=utf-8", soap(answer)

    def parsed(self, body: bytes) -> etree._Element:
        root = etree.fromstring(body, etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False))
        content = root.findall(f"{{{SOAP12}}}Body/*")
        sound = root.getroottree().docinfo.internalDTD is None and root.find(f"{{{SOAP12}}}Header") is None
        if root.tag != f"{{{SOAP12}}}Envelope" or len(content) != 1 or not sound:
            raise BadMessage
        if source_contract().check(content[0]) and not self.has("unchecked"):
            raise BadMessage
        return content[0]

    # -- what the Destination reports ----------------------------------------------------------------------------------

    async def heard(self, content: etree._Element) -> str:
        operation = etree.QName(content).localname.removesuffix("Request")
        fields = {etree.QName(e).localname: e.text or "" for e in content.iter() if len(e) == 0}
        if operation == "notifyRequestResult":
            self.notified(fields["requestIdentifier"], fields["requestSuccess"] in ("true", "1"))
        elif self.has("D11"):
            raise No(500, "Not implemented yet")
        else:
            self.reported(operation, fields, etree.tostring(content))
        return ""

    def notified(self, identifier: str, success: bool) -> None:
        session = next((s for s in self.sessions.values() if identifier in s.requests), None)
        if session is None:
            if self.has("anybody"):
                return
            raise BadMessage if self.has("D21") else No(404)
        kind = session.requests[identifier]
        if session.pending == identifier and (success or not self.has("D9")):
            session.ended(kind, success)
        elif session.pending != identifier and self.has("once"):
            raise No(400, "Unexpected event in current state")
        elif success and kind == "start" and session.state in ("Ready", "StartTxRequested"):
            session.ended(kind, True)

    def reported(self, operation: str, fields: dict[str, str], content: bytes) -> None:
        session = self.sessions.get(fields["authorizationIdentifier"])
        if session is None:
            if self.has("anybody"):
                return
            raise No(404)
        named = (fields["userIdentifier"], fields["homeOperatorIdentifier"], fields["localServiceIdentifier"])
        if named != (session.user, OWN, STATION) and not self.has("foreign"):
            raise No(403)
        if operation == "transactionProgressUpdate":
            if session.state in ("Ready", "StartTxRequested"):
                session.ended("start", True)
            return
        if session.end and session.end != content and not self.has("second-end"):
            raise No(409)
        if session.end == content and self.has("once"):
            raise No(400)
        if session.state == "TxRunning" and self.has("D10"):
            return
        session.end, session.state, session.pending = content, "TxFinished", ""

    # -- what the app asks ---------------------------------------------------------------------------------------------

    async def app(self, scope: Any, headers: dict[str, str], body: bytes) -> tuple[int, str, bytes]:
        what = scope["path"].rpartition("/")[2]
        if headers.get("authorization") != f"Bearer {TOKEN}":
            return 401, MOTOWN, b"{}"
        try:
            content = await self.asked(what, body)
        except No as no:
            error = {"responseError": {"errorCode": str(no.code), "errorMsg": no.message}}
            return 400, MOTOWN, json.dumps(error).encode()
        return 200, MOTOWN, json.dumps(content).encode()

    async def asked(self, what: str, body: bytes) -> dict[str, Any]:
        if what == "authorize":
            return await self.authorize(json.loads(body))
        name = body.decode() if what == "session" else json.loads(body)["authorizationIdentifier"]
        session = self.sessions.get(name)
        if session is None:
            raise No(404)
        if what != "session":
            await self.request(session, "start" if what == "requestStartTransaction" else "stop")
        return {"sessionStateMachine": {"state": session.state}, "response": {"authorizationIdentifier": name}}

    async def authorize(self, asked: dict[str, str]) -> dict[str, Any]:
        if self.has("refuses-all") or (self.has("asks-once") and self.sessions):
            raise No(400)
        user = "somebody" if self.has("other-name") else asked["userIdentifier"]
        inside = (
            f"<pmsIdentifier>{OWN}</pmsIdentifier><userIdentifier>{user}</userIdentifier>"
            f"<serviceTypeIdentifier>EV_CHARGING</serviceTypeIdentifier>"
            f"<localServiceIdentifier>{asked['localServiceIdentifier']}</localServiceIdentifier>"
        )
        answer = await self.call("authorize", inside)
        name = answer.findtext("authorizationIdentifier") if answer is not None else None
        if name is None and not self.has("D7"):
            raise No(400)
        if self.has("hides-grant"):
            raise No(400)
        self.sessions[name or ""] = Session(name or "", asked["userIdentifier"])
        return {"response": {"authorizationIdentifier": name}}

    async def request(self, session: Session, kind: str) -> None:
        wanted = {"start": "Ready", "stop": "TxRunning"}[kind]
        if session.state != wanted:
            raise No(409)
        identifier = f"{session.name}-{next(self.numbers)}"
        before = session.state
        if not self.has("D21"):
            session.requests[identifier] = kind
        session.state, session.pending = "StartTxRequested" if kind == "start" else "StopTxRequested", identifier
        if not self.has("no-request"):
            self.nursery.start_soon(self.send_request, session, kind, identifier, before)

    async def send_request(self, session: Session, kind: str, identifier: str, before: str) -> None:
        for _ in range(1 if self.has("no-retry") else RETRIES):
            sent = f"{identifier}-{next(self.numbers)}" if self.has("other-retry") else identifier
            session.requests.setdefault(sent, kind) if self.has("other-retry") else None
            names = f"<requestIdentifier>{sent}</requestIdentifier>"
            names += f"<authorizationIdentifier>{session.name}</authorizationIdentifier>"
            answer = await self.call(f"request{kind.capitalize()}Transaction", names)
            session.requests[identifier] = kind
            if answer is not None:
                if answer.find(f"{{{COMMON}}}ResponseError") is not None and session.pending == identifier:
                    session.state, session.pending = before, ""
                return
            await trio.sleep(RETRY_S)

    async def call(self, operation: str, inside: str) -> etree._Element | None:
        """The content of the answer, None if there is none in time."""
        body = soap(f'<p:{operation}Request xmlns:p="{PMS}">{inside}</p:{operation}Request>')
        headers = {"Content-Type": "application/soap+xml", "Authorization": basic(OWN, OTHER_SECRET)}
        with trio.move_on_after(math.inf if self.has("D22") else ANSWER_S):
            answer = await self.client.post(self.destination_url, content=body, headers=headers, timeout=None)
            if answer.status_code == 200:
                return etree.fromstring(answer.content).find(f"{{{SOAP12}}}Body/*")
        return None


@asynccontextmanager
async def open_source(destination_url: str, defects: frozenset[str] = frozenset()) -> AsyncIterator[WrongSource]:
    """A Source on loopback whose Destination is at `destination_url`, with these defects."""
    async with httpx.AsyncClient(trust_env=False) as client, trio.open_nursery() as nursery:
        peer = WrongSource(destination_url, defects, nursery, client)
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        serve: Any = serve_http

        async def serve_all(task_status: Any) -> None:
            await serve(peer, listeners, draining=trio.Event(), task_status=task_status)

        (address,) = await nursery.start(serve_all)
        peer.url, peer.app_url = address + PATH, address + API
        yield peer
        nursery.cancel_scope.cancel()
