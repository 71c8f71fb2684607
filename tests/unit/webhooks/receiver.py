"""An operator's server as it might be: HTTPS on loopback, checking signatures with OpenSSL's own tool."""

from __future__ import annotations

import ssl
import subprocess
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import h11
import msgspec
import trio
import trustme

Answering = Callable[[int], bytes]
"""What the n-th request (from 0) is answered: the bytes of a whole HTTP answer; none hangs up."""


def status(code: int, *more: str) -> bytes:
    lines = [f"HTTP/1.1 {code} So", "Content-Length: 0", *more]
    return "\r\n".join([*lines, "", ""]).encode()


@dataclass(frozen=True)
class Received:
    """One request as it came."""

    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def said(self) -> Any:
        return msgspec.json.decode(self.body)

    def is_signed_with(self, secret: str) -> bool:
        """As Standard Webhooks says, by somebody who has none of our code."""
        key = b64decode(secret.removeprefix("whsec_")).hex()
        signed = f"{self.id}.{self.headers['webhook-timestamp']}.".encode() + self.body
        words = ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{key}", "-binary"]
        made = subprocess.run(words, input=signed, capture_output=True, check=True).stdout
        return self.headers["webhook-signature"] == "v1," + b64encode(made).decode()


class Receiver:
    """Keeps what it gets; `answer` may be replaced while it runs."""

    def __init__(self, answer: Answering) -> None:
        self.answer = answer
        self.got: list[Received] = []
        self.names: list[str | None] = []
        self.url = ""
        self._more = trio.Condition()

    @property
    def ids(self) -> list[str]:
        return [each.id for each in self.got]

    async def until(self, count: int) -> list[Received]:
        """What has come once so many requests have; fails after 20 s."""
        with trio.fail_after(20):
            async with self._more:
                while len(self.got) < count:
                    await self._more.wait()
        return self.got

    async def serve(self, stream: trio.abc.Stream) -> None:
        try:
            async with stream:
                await self._exchange(stream)
        except (trio.BrokenResourceError, ssl.SSLError):
            pass

    async def serve_tls(self, context: ssl.SSLContext, stream: trio.SocketStream) -> None:
        await self.serve(trio.SSLStream(stream, context, server_side=True, https_compatible=True))

    async def _exchange(self, stream: trio.abc.Stream) -> None:
        connection, head, body = h11.Connection(h11.SERVER), None, b""
        while not isinstance(event := connection.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                connection.receive_data(bytes(await stream.receive_some()))
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            else:
                return
        assert head is not None
        headers = {name.decode(): value.decode() for name, value in head.headers}
        self.got.append(Received(head.target.decode(), headers, body))
        await stream.send_all(self.answer(len(self.got) - 1))
        async with self._more:
            self._more.notify_all()


@asynccontextmanager
async def receiving(
    answer: Answering = lambda _: status(204), *, authority: trustme.CA | None = None
) -> AsyncIterator[Receiver]:
    """A receiver on a free port of loopback, over TLS with a certificate of this authority, else without TLS."""
    receiver = Receiver(answer)
    serve = receiver.serve
    if authority is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("localhost").configure_cert(context)
        context.sni_callback = lambda _socket, name, _context: receiver.names.append(name)
        serve = partial(receiver.serve_tls, context)
    async with trio.open_nursery() as nursery:
        [listener] = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        scheme = "http" if authority is None else "https"
        receiver.url = f"{scheme}://localhost:{listener.socket.getsockname()[1]}/hook?v=1"
        yield receiver
        nursery.cancel_scope.cancel()


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context
