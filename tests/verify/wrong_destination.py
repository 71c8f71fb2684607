"""A Destination written from the contract alone, as plainly as can be, that can be wrong in many ways.

It shares no code with ours but the contract's schema and the HTTP server: what the verification says of it is said of
any partner. Each defect is one switch where it belongs; D-numbers are those of Motown's known defects.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import itertools
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any
from xml.sax.saxutils import escape

import httpx
import trio
from lxml import etree
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, serve_websocket

from protocols.http import serve_http
from protocols.mobieurope.contract import destination_contract

OWN, SOURCE, STATION = "IE-001", "NL-MOT", "CS01"
SECRET, OTHER_SECRET, STATION_SECRET = "secret of NL-MOT at us", "secret of us at NL-MOT", "secret of CS01"
PATH = "/services/mobiEuropeDestinationService"
PMS, COMMON = "http://webservice.pms.mobieurope.com", "http://webservice.common.mobieurope.com"
SOAP12, SOAP11 = "http://www.w3.org/2003/05/soap-envelope", "http://schemas.xmlsoap.org/soap/envelope/"
BODY_BYTES = 256 * 1024
RETRY_S, RETRIES, START_S = 0.05, 100, 1.0

Afterwards = list[Callable[[], Awaitable[None]]]
"""What is done when the station has its answer."""


def basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def soap(content: str, namespace: str = SOAP12) -> bytes:
    return f'<s:Envelope xmlns:s="{namespace}"><s:Body>{content}</s:Body></s:Envelope>'.encode()


class No(Exception):
    """A ResponseError."""

    def __init__(self, code: int | str, message: str = "no") -> None:
        self.code, self.message = code, message


class BadMessage(Exception):
    """No message of the contract."""


@dataclass
class Session:
    name: str
    user: str
    state: str = "Ready"
    requests: dict[str, str] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    number: int = 0
    begun: str = ""
    meter_start: int = 0
    start_until: float = 0

    @property
    def is_busy(self) -> bool:
        waiting = self.state == "StartTxRequested" and trio.current_time() < self.start_until
        return waiting or self.state in ("TxRunning", "StopTxRequested")


@dataclass
class WrongDestination:
    source_url: str
    defects: frozenset[str]
    nursery: trio.Nursery
    client: httpx.AsyncClient
    url: str = ""
    station_url: str = ""
    sessions: dict[str, Session] = field(default_factory=dict)
    socket: WebSocketConnection | None = None
    free: bool = False
    numbers: Any = field(default_factory=lambda: itertools.count(1))
    answers: dict[str, Any] = field(default_factory=dict)
    answered: trio.Condition = field(default_factory=trio.Condition)

    def has(self, *defects: str) -> bool:
        return bool(self.defects & set(defects))

    # -- SOAP ----------------------------------------------------------------------------------------------------------

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for phase in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{phase}.complete"})
            return
        status, kind, body = await self.serve(scope, receive)
        headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def serve(self, scope: Any, receive: Any) -> tuple[int, str, bytes]:
        if scope["method"] == "GET":
            wsdl = destination_contract().wsdl
            return 200, "text/xml", wsdl.replace(b"xs:long", b"xs:int") if self.has("wsdl") else wsdl
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        unauthorised = headers.get("authorization") != basic(SOURCE, SECRET) and not self.has("open")
        if unauthorised and not self.has("late-check"):
            return 401, "text/plain", b""
        body = await self.body(receive)
        if body is None:
            return 413, "text/plain", b""
        known = ("soap+xml", "text/xml") if self.has("old-soap") else ("soap+xml",)
        if not any(name in headers.get("content-type", "") for name in known) and not self.has("fault500"):
            return 415, "text/plain", b""
        try:
            content = self.parsed(body)
        except (BadMessage, etree.XMLSyntaxError) as error:
            if self.has("fault500"):
                return 500, "text/html", b"<h1>Internal Server Error"
            code = "<s:Code><s:Value>s:Sender</s:Value></s:Code>"
            reason = f'<s:Reason><s:Text xml:lang="en">{escape(str(error))}</s:Text></s:Reason>'
            return 400, "application/soap+xml", soap(f"<s:Fault>{code}{reason}</s:Fault>")
        if unauthorised:
            return 401, "text/plain", b""
        return await self.answer(content)

    async def body(self, receive: Any) -> bytes | None:
        body, more = b"", True
        while more:
            event = await receive()
            body += event.get("body", b"")
            if len(body) > BODY_BYTES and not self.has("any-size"):
                return None
            more = event.get("more_body", False)
        return body

    def parsed(self, body: bytes) -> etree._Element:
        parser = etree.XMLParser(
            resolve_entities=self.has("dtd"), no_network=True, load_dtd=False, huge_tree=self.has("any-size")
        )
        root = etree.fromstring(body, parser)
        if root.getroottree().docinfo.internalDTD is not None and not self.has("dtd"):
            raise BadMessage("no DTD")
        if self.has("old-soap") and root.tag == f"{{{SOAP11}}}Envelope":
            return root.findall(f"{{{SOAP11}}}Body/*")[0]
        if root.tag != f"{{{SOAP12}}}Envelope":
            raise BadMessage("no SOAP 1.2")
        if root.find(f"{{{SOAP12}}}Header") is not None:
            raise BadMessage("no headers")
        content = root.findall(f"{{{SOAP12}}}Body/*")
        if self.has("dtd"):
            content = content[:1]
        if len(content) != 1 or etree.QName(content[0]).localname.removesuffix("Request") not in OPERATIONS:
            raise BadMessage("no request")
        if destination_contract().check(content[0]) and not self.has("unchecked"):
            raise BadMessage("against the schema")
        return content[0]

    async def answer(self, content: etree._Element) -> tuple[int, str, bytes]:
        operation = etree.QName(content).localname.removesuffix("Request")
        fields = {etree.QName(e).localname: e.text or "" for e in content.iter() if len(e) == 0}
        try:
            inside = await OPERATIONS[operation](self, fields)
        except No as no:
            error = f"<errorCode>{no.code}</errorCode><errorMsg>{no.message}</errorMsg>"
            if self.has("bad-error"):
                error = "<errorCode>NO</errorCode><errorMsg></errorMsg>"
            inside = f'<c:ResponseError xmlns:c="{COMMON}">{error}</c:ResponseError>'
        except (ValueError, KeyError):
            return 500, "text/html", b"<h1>Internal Server Error"
        if self.has("silent"):
            await trio.sleep_forever()
        if self.has("qualified"):
            inside = inside.replace("<authorizationIdentifier>", f'<authorizationIdentifier xmlns="{PMS}">')
        answer = f'<p:{operation}Response xmlns:p="{PMS}">{inside}</p:{operation}Response>'
        if self.has("soap11"):
            return 200, "text/xml", soap(answer, SOAP11)
        return 200, "application/soap+xml; charset=utf-8", soap(answer)

    # -- operations ----------------------------------------------------------------------------------------------------

    async def authorize(self, asked: dict[str, str]) -> str:
        if asked["pmsIdentifier"] != SOURCE and not self.has("foreign"):
            raise No(403)
        if not asked["userIdentifier"] and not self.has("no-user"):
            raise No(400)
        if asked["localServiceIdentifier"] != STATION and not self.has("D5"):
            raise No(404)
        if asked["serviceTypeIdentifier"] != "EV_CHARGING" and not self.has("D13"):
            raise No(400)
        connector = asked.get("connectorIdentifier", "1" if not self.has("needs-connector") else "")
        if self.has("D15"):
            int(connector)
        elif connector != "1":
            raise No(400)
        busy = any(s.is_busy for s in self.sessions.values())
        if ((busy or not (self.free or self.has("always-free"))) and not self.has("D5")) or self.has("never", "in-use"):
            raise No(409)
        name = (
            "ABCDEFABCDEF"
            if self.has("same-name")
            else hashlib.sha256(f"{next(self.numbers)}".encode()).hexdigest()[:12].upper()
        )
        self.sessions[name] = Session(name, asked["userIdentifier"])
        return "" if self.has("nothing") else f"<authorizationIdentifier>{name}</authorizationIdentifier>"

    def session(self, asked: dict[str, str]) -> Session:
        found = self.sessions.get(asked["authorizationIdentifier"])
        if found is None and self.has("anybody") and self.sessions:
            found = list(self.sessions.values())[-1]
        if found is None:
            raise No(404)
        return found

    def is_known(self, session: Session, asked: dict[str, str], kind: str) -> bool:
        """Whether this request was taken before; notes it if not."""
        identifier = asked["requestIdentifier"]
        if identifier in session.requests and not self.has("D24"):
            if session.requests[identifier] != kind and not self.has("one-name"):
                raise No(409)
            return True
        return False

    async def start(self, asked: dict[str, str]) -> str:
        session, identifier = self.session(asked), asked["requestIdentifier"]
        if self.is_known(session, asked, "start"):
            return ""
        if session.state == "TxFinished" and not self.has("D6"):
            raise No(410)
        if self.has("no-start"):
            raise No(409)
        if self.has("D24"):
            session.requests = {name: kind for name, kind in session.requests.items() if kind != "start"}
        session.requests[identifier] = "start"
        if session.state in ("TxRunning", "StopTxRequested") and not self.has("D24"):
            self.nursery.start_soon(self.tell, session, "start", True)
        elif session.state in ("Ready", "TxFinished") or self.has("D24"):
            session.state, session.start_until = "StartTxRequested", trio.current_time() + START_S
            self.nursery.start_soon(self.remote_start, session)
        return ""

    async def stop(self, asked: dict[str, str]) -> str:
        session, identifier = self.session(asked), asked["requestIdentifier"]
        if self.is_known(session, asked, "stop"):
            return ""
        if session.state in ("Ready", "StartTxRequested"):
            if not self.has("D18"):
                raise No(409)
            self.nursery.start_soon(self.call, "RemoteStopTransaction", {"transactionId": session.number})
            return ""
        if session.state == "TxFinished":
            if self.has("stop-again"):
                return ""
            raise No(410)
        if self.has("no-stop"):
            raise No(409)
        session.requests[identifier] = "stop"
        if session.state == "TxRunning":
            session.state = "StopTxRequested"
            self.nursery.start_soon(self.remote_stop, session)
        return ""

    async def status(self, asked: dict[str, str]) -> str:
        if asked["localServiceIdentifier"] != STATION and not self.has("any-status"):
            raise No(404)
        return self.place()

    async def list(self, asked: dict[str, str]) -> str:
        return "" if self.has("no-list") else self.place()

    def place(self) -> str:
        where = "<c:Location><latitude>53.35</latitude><longitude>-6.26</longitude></c:Location>"
        status = "OUT_OF_SERVICE" if self.has("bad-status") else "IN_USE" if self.has("in-use") else "AVAILABLE"
        names = f"<localServiceIdentifier>{STATION}</localServiceIdentifier>"
        services = f"<localServiceStatus>{status}</localServiceStatus><serviceTypesList>EV_CHARGING</serviceTypesList>"
        return f'<c:LocalService xmlns:c="{COMMON}">{names}{services}{where}</c:LocalService>'

    # -- what is told to the Source ------------------------------------------------------------------------------------

    async def tell(self, session: Session, kind: str, success: bool) -> None:
        """The result of every request of this kind that has not been told."""
        for identifier, of in list(session.requests.items()):
            over = {f"{identifier}/True", f"{identifier}/{success}"}
            if of == kind and not over & session.told:
                session.told.add(f"{identifier}/{success}")
                told = "false" if self.has("always-false") else str(success).lower()
                inside = f"<requestIdentifier>{identifier}</requestIdentifier><requestSuccess>{told}</requestSuccess>"
                if not self.has("no-results"):
                    await self.report("notifyRequestResult", inside)
        if self.has("strange-result"):
            inside = "<requestIdentifier>nobody</requestIdentifier><requestSuccess>true</requestSuccess>"
            await self.report("notifyRequestResult", inside)

    async def progress(self, session: Session, meter: int) -> None:
        more = 1_000_000 if self.has("ahead") else 0
        data = self.data(session, "ACTIVE", meter - session.meter_start + more)
        named = f"<authorizationIdentifier>{session.name}</authorizationIdentifier>"
        begun = f"<startTransactionTimestamp>{session.begun}</startTransactionTimestamp>"
        if not self.has("no-progress"):
            await self.report("transactionProgressUpdate", named + begun + data)

    async def end(self, session: Session, meter: int, at: str) -> None:
        energy = meter - session.meter_start
        begun, at = (at, session.begun) if self.has("backwards") else (session.begun, at)
        if self.has("old-times"):
            begun = at = "1970-01-01T00:00:00Z"
        named = f"<authorizationIdentifier>{session.name}</authorizationIdentifier>"
        times = f"<startTransactionTimestamp>{begun}</startTransactionTimestamp>"
        times += f"<endTransactionTimestamp>{at}</endTransactionTimestamp>"
        for extra in (0, 1) if self.has("double-end") else (0,):
            await self.report("endTransaction", named + times + self.data(session, "TERMINATED", energy + extra, at))

    def data(self, session: Session, status: str, energy: int, ended: str = "") -> str:
        end = f"<endTimestamp>{ended}</endTimestamp>" if ended else ""
        operator = "" if self.has("D12") else f"<localOperatorIdentifier>{OWN}</localOperatorIdentifier>"
        user = "somebody" if self.has("other-user") else session.user
        return (
            f'<c:TransactionData xmlns:c="{COMMON}"><serviceType>EV_CHARGING</serviceType>'
            f"<startTimestamp>{session.begun}</startTimestamp>{end}<transactionStatus>{status}</transactionStatus>"
            f"<energyConsumed>{energy}</energyConsumed><energyUnit>{'kWh' if self.has('D14') else 'Wh'}</energyUnit>"
            f"{operator}<localServiceIdentifier>{STATION}</localServiceIdentifier>"
            f"<homeOperatorIdentifier>{SOURCE}</homeOperatorIdentifier><userIdentifier>{user}</userIdentifier>"
            f"<authorizationIdentifier>{session.name}</authorizationIdentifier></c:TransactionData>"
        )

    async def report(self, operation: str, inside: str) -> None:
        """Sends it until it is acknowledged, or refused for good."""
        body = soap(
            f'<p:{operation}Request xmlns:p="{PMS}">{inside}</p:{operation}Request>',
            SOAP11 if self.has("calls-11") else SOAP12,
        )
        password = "wrong" if self.has("wrong-password") else OTHER_SECRET
        kind = "text/xml" if self.has("calls-11") else "application/soap+xml"
        headers = {"Content-Type": kind, "Authorization": basic(OWN, password)}
        for _ in range(1 if self.has("D11") else RETRIES):
            answer = await self.client.post(self.source_url, content=body, headers=headers)
            if answer.status_code == 200 or answer.status_code == 400:
                return
            await trio.sleep(RETRY_S)

    # -- the station ---------------------------------------------------------------------------------------------------

    async def station(self, request: WebSocketRequest) -> None:
        expected = basic(STATION, STATION_SECRET).encode()
        if dict(request.headers).get(b"authorization") != expected:
            await request.reject(401)
            return
        self.socket = await request.accept(subprotocol="ocpp1.6")
        try:
            while True:
                kind, identifier, *rest = json.loads(await self.socket.get_message())
                if kind == 2:
                    self.nursery.start_soon(self.handle, identifier, *rest)
                else:
                    async with self.answered:
                        self.answers[identifier] = rest[0] if kind == 3 else {"status": "Rejected"}
                        self.answered.notify_all()
        except ConnectionClosed:
            self.socket, self.free = None, False

    async def handle(self, identifier: str, action: str, payload: dict[str, Any]) -> None:
        after: Afterwards = []
        try:
            answer = REPORTS[action](self, payload, after) if action in REPORTS else {}
            message = [3, identifier, answer]
        except KeyError:
            message = [4, identifier, "InternalError", "", {}]
        await self.send(message)
        for work in after:
            await work()

    async def send(self, message: list[Any]) -> bool:
        """Whether the station was there to take it."""
        if self.socket is None:
            return False
        try:
            await self.socket.send_message(json.dumps(message))
        except ConnectionClosed:
            return False
        return True

    async def call(self, action: str, payload: dict[str, Any]) -> str:
        identifier = f"c{next(self.numbers)}"
        if self.has("no-commands") or not await self.send([2, identifier, action, payload]):
            return "Rejected"
        async with self.answered:
            while identifier not in self.answers:
                await self.answered.wait()
        return str(self.answers.pop(identifier)["status"])

    async def remote_start(self, session: Session) -> None:
        stale = copy.deepcopy(session)
        status = await self.call("RemoteStartTransaction", {"idTag": session.name, "connectorId": 1})
        if self.has("D20"):
            self.sessions[session.name] = stale
        if self.has("no-commands", "D8"):
            return
        if status != "Accepted" and session.state == "StartTxRequested":
            session.state = "Ready"
            await self.tell(session, "start", False)

    async def remote_stop(self, session: Session) -> None:
        status = await self.call("RemoteStopTransaction", {"transactionId": session.number})
        if status != "Accepted" and session.state == "StopTxRequested" and not self.has("D8", "no-commands"):
            session.state = "TxRunning"
            await self.tell(session, "stop", False)

    def boot(self, _: Any, __: Any) -> dict[str, Any]:
        return {"status": "Accepted", "currentTime": datetime.now(UTC).isoformat(), "interval": 300}

    def connector(self, payload: dict[str, Any], _: Any) -> dict[str, Any]:
        self.free = payload["status"] in ("Available", "Preparing")
        return {}

    def started(self, payload: dict[str, Any], after: Afterwards) -> dict[str, Any]:
        number = next(self.numbers)
        if payload["idTag"] not in self.sessions and not self.has("D17"):
            return {"transactionId": number, "idTagInfo": {"status": "Invalid"}}
        session = self.sessions[payload["idTag"]]
        session.state, session.number, session.begun = "TxRunning", number, payload["timestamp"]
        session.meter_start = payload["meterStart"]
        after.append(partial(self.tell, session, "start", True))
        if self.has("unasked-stop"):
            self.nursery.start_soon(self.call, "RemoteStopTransaction", {"transactionId": 0})
        return {"transactionId": number, "idTagInfo": {"status": "Invalid" if self.has("D2") else "Accepted"}}

    def running(self, number: int) -> Session | None:
        states = ("TxRunning", "StopTxRequested", *(("Ready",) if self.has("D16") else ()))
        return next((s for s in self.sessions.values() if s.number == number and s.state in states), None)

    def only_running(self) -> Session | None:
        """Whose end a stop without a number means (OCPP 1.6 errata 3.18)."""
        found = [s for s in self.sessions.values() if s.state in ("TxRunning", "StopTxRequested")]
        return found[0] if len(found) == 1 else None

    def metered(self, payload: dict[str, Any], after: Afterwards) -> dict[str, Any]:
        session = self.running(payload.get("transactionId", -1))
        if session is not None:
            energy_wh = int(payload["meterValue"][0]["sampledValue"][0]["value"])
            after.append(partial(self.progress, session, energy_wh))
        return {}

    def stopped(self, payload: dict[str, Any], after: Afterwards) -> dict[str, Any]:
        number = payload["transactionId"]
        session = self.running(number) or (self.only_running() if number <= 0 else None)
        if session is None or (session.state == "TxRunning" and self.has("D10")):
            return {}
        session.state = "TxFinished"
        session.begun = session.begun or payload["timestamp"]
        after.append(partial(self.tell, session, "stop", True))
        after.append(partial(self.end, session, payload["meterStop"], payload["timestamp"]))
        return {}


OPERATIONS = {
    "authorize": WrongDestination.authorize,
    "requestStartTransaction": WrongDestination.start,
    "requestStopTransaction": WrongDestination.stop,
    "getLocalServiceStatus": WrongDestination.status,
    "getLocalServicesList": WrongDestination.list,
}
REPORTS = {
    "BootNotification": WrongDestination.boot,
    "StatusNotification": WrongDestination.connector,
    "StartTransaction": WrongDestination.started,
    "MeterValues": WrongDestination.metered,
    "StopTransaction": WrongDestination.stopped,
}


@asynccontextmanager
async def open_destination(
    source_url: str,
    defects: frozenset[str] = frozenset(),
    tls: tuple[ssl.SSLContext, ssl.SSLContext] | None = None,
) -> AsyncIterator[WrongDestination]:
    """A Destination on loopback whose Source is at `source_url`, with these defects; `tls` it serves and asks with."""
    ours, theirs = tls or (None, True)
    async with httpx.AsyncClient(trust_env=False, verify=theirs) as client, trio.open_nursery() as nursery:
        peer = WrongDestination(source_url, defects, nursery, client)
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        serve: Any = serve_http

        async def serve_soap(task_status: Any) -> None:
            await serve(peer, listeners, draining=trio.Event(), tls=ours, task_status=task_status)

        (address,) = await nursery.start(serve_soap)
        stations = await nursery.start(serve_websocket, peer.station, "127.0.0.1", 0, None)
        peer.url, peer.station_url = address + PATH, f"ws://127.0.0.1:{stations.port}/ocpp"
        yield peer
        nursery.cancel_scope.cancel()
