"""People at hosts of their own who have no business here: they ask by HTTP and knock as stations, and are seen to."""

from __future__ import annotations

import base64
import re
from contextlib import suppress
from urllib.parse import urlsplit

import trio

from tests.world.conversation import Asked
from tests.world.ground import Ground
from tests.world.history import LineClosed, LineOpened, LineRefused
from tests.world.network import Attempt, Network, NoAnswer, Overheard
from tests.world.operators import OCPP_PORT

PATIENCE_S = 30.0

_UPGRADE = (
    "GET {path} HTTP/1.1\r\nHost: {node}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: ocpp1.6\r\n{credentials}\r\n"
)


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def bearer(token: str) -> str:
    return f"Bearer {token}"


def changed(asked: Asked, **fields: str | None) -> Asked:
    """The request with these headers (`idempotency_key`), or without those that are None."""
    named = {name.lower(): value for name, value in asked.headers.items()}
    named |= {name.replace("_", "-"): value or "" for name, value in fields.items()}
    gone = {name.replace("_", "-") for name, value in fields.items() if value is None}
    return asked._replace(headers={name: value for name, value in named.items() if name not in gone})


def retold(asked: Asked, element: str, text: str) -> Asked:
    """The envelope with another text in every element of this name."""
    found = rf"(<(?:[\w-]+:)?{element}>)[^<]*(<)"
    return asked._replace(body=re.sub(found, rf"\g<1>{text}\g<2>", asked.body.decode()).encode())


class Stranger:
    """Somebody at a host of this name; whatever is asked of a node has a correlation id of its own."""

    def __init__(self, ground: Ground, network: Network, name: str) -> None:
        self.name = name
        self._ground, self._network = ground, network

    def fresh_name(self, kind: str) -> str:
        """One that nobody else has, as of a request."""
        return f"{kind}-{self._ground.fresh_number()}"

    async def ask(self, heard: Overheard, asked: Asked, attempt: Attempt) -> None:
        """Sends a request to where another was sent, and hears what comes of it."""
        asked = changed(asked, x_correlation_id=self.fresh_name(self.name))
        with trio.move_on_after(PATIENCE_S), suppress(NoAnswer):
            parts = urlsplit(heard.url)
            url = f"{parts.scheme}://{parts.netloc}{asked.target or parts.path}"
            told = await self._network.ask(heard.protocol, self.name, url, asked, attempt)
            await told.body()

    async def knock(self, node: str, path: str, credentials: str | None, forged: str) -> None:
        """Asks for a WebSocket as a station does, and goes away with the answer."""
        with trio.move_on_after(PATIENCE_S), suppress(OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            stream = await self._network.dial(f"{node}:{OCPP_PORT}")
            line = f"Authorization: {credentials}\r\n" if credentials else ""
            await stream.send_all(_UPGRADE.format(path=path, node=node, credentials=line).encode())
            head = bytes(await stream.receive_some())
            await stream.aclose()
            self._saw_answer(node, forged, head)

    def _saw_answer(self, node: str, forged: str, head: bytes) -> None:
        status = head[9:12]
        if status == b"101":
            line = self._ground.fresh_number()
            self._ground.saw(LineOpened, self.name, connection=line, to=node, forged=forged)
            self._ground.saw(LineClosed, self.name, connection=line)
        elif status.isdigit():
            self._ground.saw(LineRefused, self.name, to=node, forged=forged, status=int(status))
