"""A station that says whatever a test wants: a WebSocket client on wsproto alone, sharing no code with ours."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import trio
from ocpp_worlds import PASSWORD, World
from wsproto import ConnectionType, WSConnection
from wsproto.events import BytesMessage, Event, Request, TextMessage

BASIC = b"Basic " + base64.b64encode(b"CS01:" + PASSWORD)


class RawStation:
    """A WebSocket client that says whatever a test wants, built on wsproto alone."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self._websocket = WSConnection(ConnectionType.CLIENT)
        self._events: list[Event] = []

    async def open(
        self,
        path: str = "/ocpp/CS01",
        subprotocols: tuple[str, ...] = ("ocpp1.6",),
        glued: bytes = b"",
        **headers: bytes,
    ) -> Event:
        headers.setdefault("authorization", BASIC)
        extra = [(name.encode(), value) for name, value in headers.items() if value]
        request = Request(host="cs", target=path, subprotocols=list(subprotocols), extra_headers=extra)
        await self.stream.send_all(self._websocket.send(request) + glued)
        return await self.event()

    async def event(self) -> Event:
        while not self._events:
            self._websocket.receive_data(await self.stream.receive_some() or None)
            self._events.extend(self._websocket.events())
        return self._events.pop(0)

    async def say(self, data: str | bytes) -> None:
        message = TextMessage(data=data) if isinstance(data, str) else BytesMessage(data=data)
        await self.stream.send_all(self._websocket.send(message))

    async def hear(self) -> Any:
        event = await self.event()
        assert isinstance(event, TextMessage), event
        return msgspec.json.decode(event.data)

    async def heartbeat(self, message_id: str = "h") -> None:
        await self.say(f'[2,"{message_id}","Heartbeat",{{}}]')
        assert (await self.hear())[:2] == [3, message_id]


async def raw_station(world: World) -> RawStation:
    return RawStation(await world.tcp())


def masked(text: bytes) -> bytes:
    """A client's text frame with the mask of zeros, to be glued behind an upgrade request."""
    assert len(text) < 126
    return bytes([0x81, 0x80 | len(text)]) + b"\0\0\0\0" + text
