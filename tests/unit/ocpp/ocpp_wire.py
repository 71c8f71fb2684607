"""An in-memory connection that carries whole messages: the simplest transport there can be."""

from __future__ import annotations

from typing import Any

import msgspec
import trio

from protocols.ocpp.transport import NothingSent


class Wire:
    """One end of an in-memory connection that carries whole messages."""

    def __init__(self, out: trio.MemorySendChannel[bytes], back: trio.MemoryReceiveChannel[bytes]) -> None:
        self._out, self._back = out, back
        self.closed_with: tuple[int, str] | None = None
        self.sent: list[bytes] = []

    async def recv(self) -> bytes | None:
        try:
            return await self._back.receive()
        except (trio.EndOfChannel, trio.ClosedResourceError):
            return None

    def post(self, data: bytes) -> None:
        if self.closed_with:
            raise NothingSent("the connection is closed")
        self.sent.append(data)
        try:
            self._out.send_nowait(data)
        except trio.BrokenResourceError:
            raise ConnectionError("gone") from None

    async def send(self, data: bytes) -> None:
        self.post(data)
        await trio.lowlevel.checkpoint()

    def close(self, code: int = 1000, reason: str = "") -> None:
        self.closed_with = self.closed_with or (code, reason)
        self._out.close()
        self._back.close()

    async def say(self, *parts: Any) -> None:
        await self.send(msgspec.json.encode(parts))

    async def hear(self) -> Any:
        data = await self.recv()
        return None if data is None else msgspec.json.decode(data)


def wires() -> tuple[Wire, Wire]:
    there, here = trio.open_memory_channel[bytes](100), trio.open_memory_channel[bytes](100)
    return Wire(there[0], here[1]), Wire(here[0], there[1])
