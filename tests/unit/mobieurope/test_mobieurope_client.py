"""Every way a peer can answer, served by a scripted HTTP server, and the class that delivery gives it."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import httpx
import pytest
import trio
import trio.testing
from mobieurope_samples import (
    AUTHORIZE,
    BASIC,
    PASSWORD,
    REQUESTS,
    SOAP11,
    START,
    USERNAME,
    XML,
    envelope,
)
from structlog.testing import capture_logs

from protocols.mobieurope import client as client_module
from protocols.mobieurope.client import MobiEuropeClient
from protocols.mobieurope.wire import HttpConnections
from statecharts.bounds import Watermarks
from statecharts.limits import PEER_ANSWER
from statecharts.vocabulary import (
    Acknowledgement,
    Answered,
    Declined,
    EnergyUnit,
    GetLocalServicesList,
    GetLocalServiceStatus,
    Location,
    NotifyRequestResult,
    PeerOutcome,
    RoamingRequest,
    Unanswered,
)
from tests.support.over_httpx import OverHttpx


class Peer:
    """An HTTP server that says the same to everybody and remembers what it was sent."""

    def __init__(self, response: bytes) -> None:
        self.response = response
        self.requests: list[bytes] = []
        self.hang = False

    async def serve(self, stream: trio.SocketStream) -> None:
        async with stream:
            self.requests.append(await self.request(stream))
            await stream.send_all(self.response)
            if self.hang:
                await trio.sleep_forever()

    async def request(self, stream: trio.SocketStream) -> bytes:
        received = b""
        while b"</soap-env:Envelope>" not in received:
            chunk = await stream.receive_some()
            if not chunk:
                break
            received += chunk
        return received

    @asynccontextmanager
    async def client(self) -> AsyncIterator[MobiEuropeClient]:
        async with trio.open_nursery() as nursery:
            [listener] = await nursery.start(partial(trio.serve_tcp, self.serve, 0, host="127.0.0.1"))
            port = listener.socket.getsockname()[1]
            client = MobiEuropeClient(
                f"http://127.0.0.1:{port}/", USERNAME, PASSWORD, EnergyUnit.WH, HttpConnections(Watermarks())
            )
            yield client
            await client.aclose()
            nursery.cancel_scope.cancel()


def http(status: int, body: bytes = b"", content_type: str = XML, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Any", f"content-type: {content_type}", f"content-length: {len(body)}", *headers]
    return "\r\n".join([*lines, "connection: close", "", ""]).encode() + body


async def told(response: bytes, request: RoamingRequest = START) -> PeerOutcome:
    async with Peer(response).client() as client:
        return await client.call(request, 5)


def fault(code: str, reason: str = "because") -> bytes:
    return envelope(
        f"<e:Fault><e:Code><e:Value>e:{code}</e:Value></e:Code>"
        f'<e:Reason><e:Text xml:lang="en">{reason}</e:Text></e:Reason></e:Fault>'
    )


def old_fault(code: str) -> bytes:
    return envelope(f"<e:Fault><faultcode>e:{code}</faultcode><faultstring>because</faultstring></e:Fault>", SOAP11)


def error(code: str) -> str:
    return f"<c:ResponseError><errorCode>{code}</errorCode><errorMsg>because</errorMsg></c:ResponseError>"


def started(content: str = "") -> bytes:
    return envelope(f"<p:requestStartTransactionResponse>{content}</p:requestStartTransactionResponse>")


HTML = b"<html><body>502 Bad Gateway</body></html>"

DECLINED = {
    "ResponseError 400": (http(200, started(error("400"))), 400),
    "ResponseError 409": (http(200, started(error("409"))), 409),
    "ResponseError 499, spaced": (http(200, started(error(" 499\n"))), 499),
    "ResponseError 401 is about the request": (http(200, started(error("401"))), 401),
    "Fault Sender": (http(400, fault("Sender")), 400),
    "Fault Sender sent with 500": (http(500, fault("Sender")), 400),
    "Fault Sender sent with 200": (http(200, fault("Sender")), 400),
    "Fault Client of SOAP 1.1": (http(500, old_fault("Client")), 400),
    "Fault Client.Detail of SOAP 1.1": (http(500, old_fault("Client.Authentication")), 400),
    **{f"HTTP {status}": (http(status, HTML, "text/html"), status) for status in (400, 404, 405, 413, 415)},
    **{f"HTTP {status} empty": (http(status), status) for status in (400, 404, 405, 413, 415)},
    "HTTP 400 with Fault Receiver": (http(400, fault("Receiver")), 400),
}

UNANSWERED = {
    "ResponseError 500": http(200, started(error("500"))),
    "ResponseError 399": http(200, started(error("399"))),
    "ResponseError not a number": http(200, started(error("E-17"))),
    "ResponseError in other digits": http(200, started(error("٤٠٠"))),
    "ResponseError empty": http(200, started(error(""))),
    "Fault Receiver": http(500, fault("Receiver")),
    "Fault Receiver sent with 200": http(200, fault("Receiver")),
    "Fault MustUnderstand": http(500, fault("MustUnderstand")),
    "Fault VersionMismatch": http(500, fault("VersionMismatch")),
    "Fault without a code": http(500, envelope("<e:Fault/>")),
    "Fault Server of SOAP 1.1": http(500, old_fault("Server")),
    "Fault Sender of a gateway": http(503, fault("Sender")),
    **{
        f"HTTP {status}": http(status, HTML, "text/html", "location: /elsewhere")
        for status in (201, 204, 301, 302, 307, 308, 402, 406, 408, 409, 410, 422, 429, 500, 501, 502, 503, 504)
        if status != 204
    },
    "HTTP 204": b"HTTP/1.1 204 No\r\nconnection: close\r\n\r\n",
    "HTTP 202, empty": http(202),
    "HTTP 202 with an answer": http(202, started()),
    "HTTP 200, empty": http(200),
    "HTTP 200, HTML": http(200, HTML, "text/html"),
    "HTTP 200, cut off": http(200, started()[:-20]),
    "wrong element": http(200, envelope("<p:requestStopTransactionResponse/>")),
    "wrong namespace": http(200, envelope("<c:requestStartTransactionResponse/>")),
    "no namespace": http(200, envelope("<requestStartTransactionResponse/>")),
    "unknown child": http(200, started("<thanks/>")),
    "unqualified error": http(200, started(error("400").replace("c:", ""))),
    "SOAP 1.1 answer": http(200, envelope("<p:requestStartTransactionResponse/>", SOAP11)),
    "two children": http(200, envelope("<p:requestStartTransactionResponse/><p:requestStartTransactionResponse/>")),
    "DTD": http(200, b"<!DOCTYPE e>" + started()),
    "XXE": http(
        200,
        b'<!DOCTYPE e [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
        + started("<c:ResponseError><errorCode>&x;</errorCode></c:ResponseError>"),
    ),
    "too long": http(200, started() + b" " * PEER_ANSWER.limit),
    "gzip bomb": http(200, gzip.compress(started() + b" " * 10**7), XML, "content-encoding: gzip"),
    "shorter than announced": http(200, started()).replace(b"content-length: ", b"content-length: 9"),
    "no HTTP": b"SSH-2.0-OpenSSH_9.7\r\n",
    "nothing": b"",
}


async def test_a_valid_answer_without_response_error_is_done() -> None:
    assert await told(http(200, started())) == Answered(answer=Acknowledgement())


@pytest.mark.parametrize("name", DECLINED)
async def test_declined_for_good(name: str) -> None:
    response, code = DECLINED[name]
    outcome = await told(response)
    assert isinstance(outcome, Declined)
    assert outcome.refusal.code == code
    if b"because" in response:
        assert outcome.refusal.message == "because"


@pytest.mark.parametrize("name", UNANSWERED)
async def test_outcome_unknown(name: str) -> None:
    outcome = await told(UNANSWERED[name])
    assert isinstance(outcome, Unanswered)
    assert outcome.cause
    assert not outcome.alarm


@pytest.mark.parametrize("body", [b"", HTML, fault("Sender"), b" " * (PEER_ANSWER.limit + 1)], ids=range(4))
@pytest.mark.parametrize("status", [401, 403])
async def test_d3_credentials_that_the_peer_does_not_take_raise_an_alarm(status: int, body: bytes) -> None:
    outcome = await told(http(status, body))
    assert isinstance(outcome, Unanswered)
    assert outcome.alarm


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (AUTHORIZE, "<p:authorizeResponse/>"),
        (AUTHORIZE, "<p:authorizeResponse><authorizationIdentifier/></p:authorizeResponse>"),
        (GetLocalServiceStatus(local_service_identifier="x"), "<p:getLocalServiceStatusResponse/>"),
    ],
)
async def test_d7_an_answer_with_neither_grant_nor_error_grants_nothing(sent: RoamingRequest, answer: str) -> None:
    assert isinstance(await told(http(200, envelope(answer)), sent), Unanswered)


async def test_d25_an_error_for_a_status_is_declined_and_bad_coordinates_are_unknown() -> None:
    sent = GetLocalServiceStatus(local_service_identifier="x")
    wrapped = "<p:getLocalServiceStatusResponse>{}</p:getLocalServiceStatusResponse>".format
    assert isinstance(await told(http(200, envelope(wrapped(error("404")))), sent), Declined)
    service = (
        "<c:LocalService><localServiceIdentifier>x</localServiceIdentifier><localServiceStatus>UNKNOWN"
        "</localServiceStatus><c:Location><latitude>{}</latitude><longitude>2</longitude></c:Location></c:LocalService>"
    ).format
    assert isinstance(await told(http(200, envelope(wrapped(service("1.25")))), sent), Answered)
    assert isinstance(await told(http(200, envelope(wrapped(service("north")))), sent), Unanswered)


async def test_a_peer_that_is_away_is_told_of_in_words_and_its_address_only_in_the_log() -> None:
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    address = f"127.0.0.1:{listener.socket.getsockname()[1]}"
    await listener.aclose()
    client = MobiEuropeClient(f"http://{address}", USERNAME, PASSWORD, EnergyUnit.WH, HttpConnections(Watermarks()))
    with capture_logs() as logs:
        assert await client.call(START, 5) == Unanswered(
            cause="no connection could be made: it was refused", kind="connection-refused"
        )
    await client.aclose()
    [line] = [line for line in logs if line["event"] == "soap.call_failed"]
    assert address in line["address"]
    assert line["error"] == "Unreachable"
    assert "refused" in line["reason"]


async def test_d22_a_peer_that_never_answers_costs_no_more_than_the_timeout(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    async def never(*_: object, **__: object) -> None:
        await trio.sleep_forever()

    monkeypatch.setattr(client_module._Transport, "post_xml", never)
    client = MobiEuropeClient("http://peer.test", USERNAME, PASSWORD, EnergyUnit.WH, HttpConnections(Watermarks()))
    started_at = trio.current_time()
    assert await client.call(START, 12.5) == Unanswered(cause="no answer within 12.5 s", kind="timeout")
    assert trio.current_time() - started_at == 12.5
    await client.aclose()


@pytest.mark.parametrize("beginning", [b"", b"HTTP/1.1 200 OK\r\n", http(200, started())[:-30]])
async def test_d22_a_peer_that_stops_in_the_middle_is_given_up(beginning: bytes) -> None:
    peer = Peer(beginning)
    peer.hang = True
    async with peer.client() as client:
        outcome = await client.call(START, 0.05)
    assert outcome == Unanswered(cause="no answer within 0.05 s", kind="timeout")


async def test_a_refused_connection_is_an_unknown_outcome() -> None:
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    await listener.aclose()
    for url in (f"http://127.0.0.1:{port}", "http://", "no url", "https://127.0.0.1:1"):
        client = MobiEuropeClient(url, USERNAME, PASSWORD, EnergyUnit.WH, HttpConnections(Watermarks()))
        assert isinstance(await client.call(START, 5), Unanswered)
        await client.aclose()


async def test_what_cannot_be_written_is_declined_and_never_sent() -> None:
    peer = Peer(http(200, started()))
    place = Location(latitude=1, longitude=2)
    async with peer.client() as client:
        for request in (
            GetLocalServiceStatus(local_service_identifier="\x00"),
            GetLocalServicesList(location=place, search_radius_m=None),
        ):
            outcome = await client.call(request, 5)
            assert isinstance(outcome, Declined)
            assert outcome.refusal.kind == "unwritable"
    assert peer.requests == []


async def test_a_cause_with_control_characters_is_sent_all_the_same() -> None:
    peer = Peer(http(200, envelope("<p:notifyRequestResultResponse/>")))
    async with peer.client() as client:
        request = NotifyRequestResult(request_identifier="r", request_success=False, cause="bad \x00 \ud800 end")
        assert await client.call(request, 5) == Answered(answer=Acknowledgement())
    assert "bad \ufffd \ufffd end".encode() in peer.requests[0]


async def test_a_request_carries_action_credentials_and_nothing_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    peer = Peer(http(200, started()))
    async with peer.client() as client:
        await client.call(START, 5)
    [request] = peer.requests
    head = request.partition(b"\r\n\r\n")[0].decode()
    assert head.startswith("POST /services/mobiEuropeDestinationService HTTP/1.1")
    assert 'application/soap+xml; charset=utf-8; action="requestStartTransaction"' in head
    assert BASIC in head


async def test_a_peer_with_other_addresses_is_called_there() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(404)

    client = MobiEuropeClient(
        "http://unused.test",
        USERNAME,
        PASSWORD,
        EnergyUnit.WH,
        destination_url="http://peer.test/pms/destination/v1",
        source_url="http://peer.test/pms/source/v1",
        http=OverHttpx(httpx.MockTransport(answer)),
    )
    for request in REQUESTS:
        await client.call(request, 5)
    assert asked == ["http://peer.test/pms/destination/v1"] * 5 + ["http://peer.test/pms/source/v1"] * 3
    await client.aclose()
