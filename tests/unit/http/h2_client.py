"""A client of HTTP/2 on h2 itself, which can be as rude as a test needs."""

from __future__ import annotations

import ssl
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import h2.events as told
import trio
import trustme
from h2.config import H2Configuration
from h2.connection import H2Connection

from protocols.http import HttpLimits
from tests.unit.http.served import Served, serving


class H2Client:
    """One connection; `answers` are the statuses and bodies of its streams, `resets` how streams were cut off."""

    def __init__(self, stream: trio.SSLStream[trio.SocketStream], *, automatic: bool = True) -> None:
        self.stream = stream
        self.h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self.automatic = automatic
        self.statuses: dict[int, int] = {}
        self.headers: dict[int, dict[str, str]] = {}
        self.bodies: defaultdict[int, bytes] = defaultdict(bytes)
        self.ended: set[int] = set()
        self.resets: dict[int, int] = {}
        self.goaway: told.ConnectionTerminated | None = None
        self.closed = False

    async def flush(self) -> None:
        await self.stream.send_all(self.h2.data_to_send())

    async def ask(self, path: str, method: str = "GET", *, body: bytes | None = None, **extra: str) -> int:
        """Sends a request and returns the number of its stream; with `body` None the request ends with its head."""
        number = self.h2.get_next_available_stream_id()
        head = [(":method", method), (":scheme", "https"), (":authority", "x"), (":path", path), *extra.items()]
        self.h2.send_headers(number, head, end_stream=body is None)
        if body is not None:
            for at in range(0, len(body), 10_000):
                self.h2.send_data(number, body[at : at + 10_000])
            self.h2.end_stream(number)
        await self.flush()
        return number

    async def listen(self) -> bool:
        """Reads once; whether the connection is still there."""
        try:
            data = await self.stream.receive_some()
        except trio.BrokenResourceError:
            data = b""
        if not data:
            self.closed = True
            return False
        for event in self.h2.receive_data(data):
            self._hear(event)
        if self.automatic:
            await self._answer()
        return True

    async def _answer(self) -> None:
        try:
            await self.flush()
        except trio.BrokenResourceError:
            self.closed = True

    def _hear(self, event: told.Event) -> None:
        if isinstance(event, told.ResponseReceived):
            self.headers[event.stream_id] = dict(event.headers)  # type: ignore[arg-type]
            self.statuses[event.stream_id] = int(self.headers[event.stream_id][":status"])
        elif isinstance(event, told.DataReceived):
            self.bodies[event.stream_id] += event.data
            if self.automatic:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, told.StreamEnded):
            self.ended.add(event.stream_id)
        elif isinstance(event, told.StreamReset):
            self.resets[event.stream_id] = int(event.error_code)
        elif isinstance(event, told.ConnectionTerminated):
            self.goaway = event

    async def until_ended(self, *numbers: int) -> None:
        """Returns once these streams have ended or were reset."""
        with trio.fail_after(5):
            while not set(numbers) <= self.ended | self.resets.keys():
                assert await self.listen(), f"closed, {self.goaway}"

    async def until_closed(self, timeout_s: float = 5) -> None:
        with trio.fail_after(timeout_s):
            while not self.closed and await self.listen():
                pass


@asynccontextmanager
async def serving_h2(limits: HttpLimits | None = None, **options: Any) -> AsyncIterator[Served]:
    """An app served with TLS and HTTP/2; `served.trust` is its clients'."""
    authority = trustme.CA()
    server, client = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    server.set_alpn_protocols(["h2", "http/1.1"])
    async with serving(limits, server, **options) as served:
        served.trust = client
        yield served


@asynccontextmanager
async def client_of(served: Served, *, automatic: bool = True) -> AsyncIterator[H2Client]:
    """A client that has shaken hands and sent its preface."""
    assert isinstance(served.trust, ssl.SSLContext)
    served.trust.set_alpn_protocols(["h2"])
    async with await served.connect() as plain:
        stream = trio.SSLStream(plain, served.trust, server_hostname="127.0.0.1", https_compatible=True)
        await stream.do_handshake()
        assert stream.selected_alpn_protocol() == "h2"
        client = H2Client(stream, automatic=automatic)
        client.h2.initiate_connection()
        await client.flush()
        yield client
        await trio.aclose_forcefully(stream)
