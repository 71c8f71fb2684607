"""HTTP to partners: what is kept and what is not, every framing of an answer, TLS, and ends in the middle."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial

import pytest
import trio
import trio.testing
import trustme

from protocols.mobieurope.wire import (
    IDLE_CONNECTION_S,
    HttpAnswer,
    HttpConnections,
    NoExchange,
    Unreachable,
)
from statecharts.bounds import PEER_CONNECTIONS, Watermarks
from statecharts.limits import PEER_ANSWER

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/xml; charset=utf-16\r\n\r\nok"
CONNECTIONS = PEER_CONNECTIONS.limit

Answering = Callable[[bytes], bytes | Awaitable[bytes]]


class Partner:
    """Answers every request on every connection with what `answer` makes of it, then `last` closes."""

    def __init__(self, answer: Answering, *, last: bool = False) -> None:
        self.answer, self.last = answer, last
        self.requests: list[list[bytes]] = []
        self.open = 0

    async def serve(self, stream: trio.abc.Stream) -> None:
        requests: list[bytes] = []
        self.requests.append(requests)
        self.open += 1
        try:
            async with stream:
                await self._converse(stream, requests)
        except (trio.BrokenResourceError, ssl.SSLError):
            pass
        finally:
            self.open -= 1

    async def _converse(self, stream: trio.abc.Stream, requests: list[bytes]) -> None:
        received = b""
        while data := await stream.receive_some():
            received += data
            if received.endswith(b"content"):
                requests.append(received)
                answer = self.answer(received)
                received = b""
                await stream.send_all(answer if isinstance(answer, bytes) else await answer)
                if self.last:
                    return

    async def serve_tls(self, context: ssl.SSLContext, stream: trio.SocketStream) -> None:
        await self.serve(trio.SSLStream(stream, context, server_side=True, https_compatible=True))


@asynccontextmanager
async def reached(partner: Partner, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """The partner on a free port; ends its connections."""
    serve = partner.serve if tls is None else partial(partner.serve_tls, tls)
    async with trio.open_nursery() as nursery:
        [listener] = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        scheme = "http" if tls is None else "https"
        yield f"{scheme}://localhost:{listener.socket.getsockname()[1]}/service?v=1"
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def connections(tls: ssl.SSLContext | None = None) -> AsyncIterator[HttpConnections]:
    http = HttpConnections(Watermarks(), tls)
    try:
        yield http
    finally:
        await http.aclose()


async def post(http: HttpConnections, url: str) -> HttpAnswer:
    with trio.fail_after(10):
        return await http.post(url, {"X-Name": "value"}, b"content", {200})


async def answer_of(answer: bytes, *, last: bool = True) -> HttpAnswer:
    async with reached(Partner(lambda _: answer, last=last)) as url, connections() as http:
        return await post(http, url)


# -- one exchange ------------------------------------------------------------------------------------------------------


async def test_a_request_says_what_it_should_and_nothing_else() -> None:
    partner = Partner(lambda _: OK)
    async with reached(partner) as url, connections() as http:
        answer = await post(http, url)
        authority = url.split("/")[2]
    assert answer == HttpAnswer(200, {"content-length": "2", "content-type": "text/xml; charset=utf-16"}, b"ok")
    assert answer.charset == "utf-16"
    head = f"POST /service?v=1 HTTP/1.1\r\nHost: {authority}\r\nContent-Length: 7\r\nX-Name: value\r\n\r\ncontent"
    assert partner.requests == [[head.encode()]]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\n\r\nok",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + OK,
    ],
    ids=["chunked", "until the end", "HTTP/1.0", "after news"],
)
async def test_every_framing_of_an_answer_is_read(answer: bytes) -> None:
    found = await answer_of(answer)
    assert (found.status, found.body) == (200, b"ok")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\nz",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"o" * (PEER_ANSWER.limit + 1),
    ],
    ids=["shorter than said", "no chunk", "too long"],
)
async def test_a_body_that_is_not_whole_is_none(answer: bytes) -> None:
    assert await answer_of(answer) == (200, *(await answer_of(answer))[1:2], None)


async def test_a_body_that_nobody_wants_is_not_waited_for() -> None:
    answer = await answer_of(b"HTTP/1.1 503 Down\r\nContent-Length: 99\r\n\r\n", last=False)
    assert (answer.status, answer.body) == (503, None)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 O", b"SSH-2.0-OpenSSH_9.7\r\n\r\n", b"\x15\x03\x01\x00\x02"])
async def test_what_is_no_answer_is_no_exchange(answer: bytes) -> None:
    async with reached(Partner(lambda _: answer, last=True)) as url, connections() as http:
        with pytest.raises(NoExchange) as found:
            await post(http, url)
    assert not isinstance(found.value, Unreachable)


@pytest.mark.parametrize(
    "url", ["", "http://", "no url", "ftp://localhost/", "http://127.0.0.1:99999/", "http://a..b/"]
)
async def test_an_address_that_leads_nowhere_is_unreachable(url: str) -> None:
    async with connections() as http:
        with pytest.raises(Unreachable):
            await post(http, url)


# -- connections that are kept -----------------------------------------------------------------------------------------


async def test_one_connection_serves_one_request_after_the_other() -> None:
    partner = Partner(lambda _: OK)
    async with reached(partner) as url, connections() as http:
        for _ in range(3):
            assert (await post(http, url)).body == b"ok"
    assert [len(requests) for requests in partner.requests] == [3]


@pytest.mark.parametrize(
    "answer",
    [
        OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
        OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        b"HTTP/1.1 503 Down\r\nContent-Length: 4\r\n\r\nlate",
    ],
    ids=["said so", "more than asked", "left unread"],
)
async def test_a_connection_that_may_not_go_on_is_closed(answer: bytes) -> None:
    partner = Partner(lambda _: answer)
    async with reached(partner) as url, connections() as http:
        bodies = [(await post(http, url)).body for _ in range(2)]
    assert b"evil" not in bodies
    assert [len(requests) for requests in partner.requests] == [1, 1]


async def test_a_connection_that_the_partner_has_closed_is_replaced_before_anything_is_sent() -> None:
    partner = Partner(lambda _: OK, last=True)
    async with reached(partner) as url, connections() as http:
        for _ in range(3):
            assert (await post(http, url)).body == b"ok"
            while partner.open:
                await trio.lowlevel.checkpoint()
    assert [len(requests) for requests in partner.requests] == [1, 1, 1]


async def test_a_connection_idle_for_long_is_not_used_again(mock_clock: trio.testing.MockClock) -> None:
    partner = Partner(lambda _: OK)
    async with reached(partner) as url, connections() as http:
        await post(http, url)
        mock_clock.jump(IDLE_CONNECTION_S / 2)
        await post(http, url)
        mock_clock.jump(IDLE_CONNECTION_S)
        await post(http, url)
    assert [len(requests) for requests in partner.requests] == [2, 1]


async def test_more_requests_than_connections_wait_their_turn() -> None:
    enough, go_on = trio.Event(), trio.Event()

    async def later(_: bytes) -> bytes:
        if partner.open == CONNECTIONS:
            enough.set()
        await go_on.wait()
        return OK

    partner = Partner(lambda request: later(request))
    async with reached(partner) as url, connections() as http, trio.open_nursery() as nursery:
        for _ in range(CONNECTIONS + 5):
            nursery.start_soon(post, http, url)
        await enough.wait()
        await trio.testing.wait_all_tasks_blocked()
        assert partner.open == CONNECTIONS
        go_on.set()
    assert sum(len(requests) for requests in partner.requests) == CONNECTIONS + 5
    assert len(partner.requests) == CONNECTIONS


async def test_a_caller_that_gives_up_leaves_no_connection_behind() -> None:
    asked = trio.Event()

    async def never(_: bytes) -> bytes:
        asked.set()
        await trio.sleep_forever()

    partner = Partner(lambda request: never(request) if not asked.is_set() else OK)
    async with reached(partner) as url, connections() as http:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(post, http, url)
            await asked.wait()
            nursery.cancel_scope.cancel()
        assert (await post(http, url)).body == b"ok"
    assert [len(requests) for requests in partner.requests] == [1, 1]


# -- TLS ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def shown_by(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    return context


async def test_tls_is_spoken_with_whom_the_authority_vouches_for_and_kept(authority: trustme.CA) -> None:
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    partner = Partner(lambda _: OK)
    async with reached(partner, tls=shown_by(authority, "localhost")) as url, connections(trust) as http:
        for _ in range(2):
            assert (await post(http, url)).body == b"ok"
        assert http.certificate_until is not None and http.certificate_until > datetime.now(UTC)
    assert [len(requests) for requests in partner.requests] == [2]


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (socket.gaierror(-2, "Name or service not known"), "name-unknown"),
        (ConnectionRefusedError(111, "Connection refused"), "connection-refused"),
        (TimeoutError(110, "Connection timed out"), "no-connection"),
    ],
)
async def test_why_there_is_no_connection_is_told(monkeypatch: pytest.MonkeyPatch, failure: OSError, kind: str) -> None:
    async def open_tcp_stream(*_: object) -> trio.SocketStream:
        raise OSError("all attempts to connect failed") from ExceptionGroup("several addresses", [failure])

    monkeypatch.setattr(trio, "open_tcp_stream", open_tcp_stream)
    async with connections() as http:
        with pytest.raises(Unreachable, match="no connection could be made") as found:
            await post(http, "http://partner.test/")
    assert found.value.kind == kind


@pytest.mark.parametrize("name", ["localhost", "elsewhere.test"])
async def test_nothing_is_said_to_a_partner_whose_certificate_does_not_hold(name: str, authority: trustme.CA) -> None:
    trust = ssl.create_default_context()
    if name == "elsewhere.test":
        authority.configure_trust(trust)
    partner = Partner(lambda _: OK)
    async with reached(partner, tls=shown_by(authority, name)) as url, connections(trust) as http:
        with pytest.raises(Unreachable, match="its certificate is not believed") as found:
            await post(http, url)
        assert (found.value.kind, http.certificate_until) == ("tls", None)
    assert isinstance(found.value.__cause__, trio.BrokenResourceError)
    assert "certificate verify failed" in str(found.value.__cause__.__cause__)
    assert partner.requests in ([], [[]])


async def test_a_partner_that_speaks_plain_where_tls_is_meant_is_unreachable() -> None:
    async def plain(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with trio.open_nursery() as nursery:
        [listener] = await nursery.start(partial(trio.serve_tcp, plain, 0, host="127.0.0.1"))
        async with connections() as http:
            with pytest.raises(Unreachable):
                await post(http, f"https://localhost:{listener.socket.getsockname()[1]}/")
        nursery.cancel_scope.cancel()
