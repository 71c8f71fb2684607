"""Clients that cost next to nothing, so that what is measured is the node: HTTP/1.1 and OCPP on bare trio streams.

They speak to our own servers only, and believe them: answers with a length, frames that are whole and below 64 KiB.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

import trio

_HEAD_END = b"\r\n\r\n"
_TEXT, _PING, _PONG = 0x81, 0x89, 0x8A
_MASKED = 0x80


class Reader:
    """Bytes of a stream by number or up to a mark."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._bytes = bytearray()

    @property
    def is_empty(self) -> bool:
        """Whether nothing has come that was not taken."""
        return not self._bytes

    async def until(self, mark: bytes) -> bytes:
        while (end := self._bytes.find(mark)) < 0:
            await self._more()
        return self._taken(end + len(mark))

    async def exactly(self, count: int) -> bytes:
        while len(self._bytes) < count:
            await self._more()
        return self._taken(count)

    async def _more(self) -> None:
        received = await self._stream.receive_some(65_536)
        if not received:
            raise trio.BrokenResourceError("the node closed the connection")
        self._bytes += received

    def _taken(self, count: int) -> bytes:
        taken = bytes(self._bytes[:count])
        del self._bytes[:count]
        return taken


class Http:
    """A node's REST API on one connection that is kept, and replaced where the node has closed it while it was idle."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._common = f"Host: node\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"

    @classmethod
    async def open(cls, port: int, token: str) -> Http:
        http = cls(port, token)
        await http._connect()
        return http

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def call(self, method: str, path: str, content: Any = None, key: str = "") -> Any:
        """The answer's JSON. Raises RuntimeError for another status than 2xx.

        Where the connection ends before anything of the answer has come, a GET is made once more on another one, and so
        is what has an Idempotency-Key (`key`); for the rest nobody knows what became of it (RFC 9110, 9.2.2).
        """
        body = b"" if content is None else json.dumps(content).encode()
        named = f"Idempotency-Key: {key}\r\n" if key else ""
        head = f"{method} {path} HTTP/1.1\r\n{self._common}{named}Content-Length: {len(body)}\r\n\r\n"
        answer = await self._answered(head.encode() + body, again=method == "GET" or bool(key))
        length = int(answer.partition(b"content-length:")[2].partition(b"\r\n")[0])
        found = await self._reader.exactly(length)
        if not answer.startswith(b"http/1.1 2"):
            raise RuntimeError(f"{method} {path}: {answer!r} {found!r}")
        return json.loads(found)

    async def _answered(self, request: bytes, *, again: bool) -> bytes:
        """The head of the answer, in small letters."""
        try:
            await self._stream.send_all(request)
            return (await self._reader.until(_HEAD_END)).lower()
        except trio.BrokenResourceError:
            if not again or not self._reader.is_empty:
                raise
        await self.aclose()
        await self._connect()
        return await self._answered(request, again=False)

    async def _connect(self) -> None:
        self._stream = await trio.open_tcp_stream("127.0.0.1", self._port)
        self._reader = Reader(self._stream)


class Station:
    """A charging station's end of OCPP 1.6J: makes calls, and gives the node's calls to `asked`, which answers them."""

    def __init__(self, stream: trio.SocketStream, asked: Callable[[str, Any], Awaitable[Any]]) -> None:
        self._stream, self._reader = stream, Reader(stream)
        self._asked = asked
        self._calling, self._sending = trio.Lock(), trio.Lock()
        self._calls: dict[str, tuple[trio.Event, list[Any]]] = {}
        self._calls_made = 0

    async def open(self, identity: str, password: str) -> None:
        """The WebSocket handshake."""
        basic = base64.b64encode(f"{identity}:{password}".encode()).decode()
        await self._stream.send_all(
            f"GET /ocpp/{identity} HTTP/1.1\r\nHost: node\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            f"Sec-WebSocket-Protocol: ocpp1.6\r\nAuthorization: Basic {basic}\r\n\r\n".encode()
        )
        answer = await self._reader.until(_HEAD_END)
        if not answer.startswith(b"HTTP/1.1 101"):
            raise RuntimeError(f"{identity} was not let in: {answer!r}")

    async def run(self) -> None:
        """Reads until cancelled; each call of the node is answered in a task of its own."""
        async with trio.open_nursery() as nursery:
            while True:
                message = json.loads(await self._frame())
                if message[0] == 2:
                    nursery.start_soon(self._answer, *message[1:])
                else:
                    done, found = self._calls.pop(message[1])
                    found.append(message[-1] if message[0] == 3 else RuntimeError(f"the node answered {message}"))
                    done.set()

    async def call(self, action: str, content: Any) -> Any:
        """The node's answer; OCPP-J knows one call at a time. Raises RuntimeError for a CALLERROR."""
        async with self._calling:
            self._calls_made += 1
            name, done, found = str(self._calls_made), trio.Event(), list[Any]()
            self._calls[name] = done, found
            await self._send([2, name, action, content])
            await done.wait()
        if isinstance(found[0], Exception):
            raise found[0]
        return found[0]

    async def _answer(self, name: str, action: str, content: Any) -> None:
        await self._send([3, name, await self._asked(action, content)])

    async def _send(self, message: Any) -> None:
        await self._send_frame(_TEXT, json.dumps(message).encode())

    async def _send_frame(self, kind: int, body: bytes) -> None:
        size = bytes([_MASKED | len(body)]) if len(body) < 126 else bytes([_MASKED | 126]) + len(body).to_bytes(2)
        # A mask of zeros: the node has as much to do with it as with any other, and we have nothing.
        async with self._sending:
            await self._stream.send_all(bytes([kind]) + size + b"\0\0\0\0" + body)

    async def _frame(self) -> bytes:
        while True:
            kind, size = await self._reader.exactly(2)
            if size == 126:
                size = int.from_bytes(await self._reader.exactly(2))
            body = await self._reader.exactly(size)
            if kind == _TEXT:
                return body
            if kind == _PING:
                await self._send_frame(_PONG, body)
