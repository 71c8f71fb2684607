"""One request to an ASGI app and its answer, streamed both ways; its client can go away at any point of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

import trio

from tests.world.faults import ExchangeFate

Headers = tuple[tuple[bytes, bytes], ...]


class Asked(NamedTuple):
    """A request as its client has written it; `target` is path and query."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


class Conversation:
    """What stands between a client and an app: `receive` and `send` are the app's, the rest the client's.

    `leaving` is called before the head of the answer leaves the app, and what it raises is raised there; `left` once
    all of it has left, or there will be no more. `broken` is set where it is not whole and never will be.
    """

    def __init__(self, asked: Asked, authority: str, address: str, fate: ExchangeFate) -> None:
        self.asked, self.fate = asked, fate
        self.scope = _scope(asked, authority, address)
        self.leaving: Callable[[], None] = lambda: None
        self.left: Callable[[], None] = lambda: None
        self.status: int | None = None
        self.headers: Headers = ()
        self.said = bytearray()
        self.whole = self.broken = False
        self._touches = self._taken = 0
        self._asked_for_body = False
        self._gone = trio.Event()
        self._news = trio.Event()

    # -- for the app ---------------------------------------------------------------------------------------------------

    async def receive(self) -> dict[str, Any]:
        self._touch()
        if not self._asked_for_body and not self._is_noticed:
            self._asked_for_body = True
            await trio.lowlevel.checkpoint()
            return {"type": "http.request", "body": self.asked.body, "more_body": False}
        await self._gone.wait()
        if self.fate.unnoticed:
            await trio.sleep_forever()
        return {"type": "http.disconnect"}

    async def send(self, event: Mapping[str, Any]) -> None:
        self._touch()
        await trio.lowlevel.checkpoint()
        if event["type"] == "http.response.start":
            self.leaving()
            self.status, self.headers = event["status"], tuple(event["headers"])
        elif event["type"] == "http.response.body":
            self.said += event.get("body", b"")
            self.whole = not event.get("more_body", False)
        self._tell()
        if self.whole:
            self.left()

    def finish(self) -> None:
        """The app is done, or died: what is not said by now never will be."""
        if not self.whole:
            self.broken = True
            self.left()
        self._tell()

    @property
    def _is_noticed(self) -> bool:
        return self._gone.is_set() and not self.fate.unnoticed

    def _touch(self) -> None:
        self._touches += 1
        if self._touches == self.fate.hang_up_at:
            self.hang_up()

    # -- for the client ------------------------------------------------------------------------------------------------

    def hang_up(self) -> None:
        """The client goes away; whatever it waits for breaks off."""
        self._gone.set()
        self._tell()

    async def head(self) -> int | None:
        """The status, once there is one; None where there will be none."""
        while self.status is None and not self.broken and not self._gone.is_set():
            await self._news.wait()
        return None if self._gone.is_set() else self.status

    async def piece(self) -> bytes | None:
        """The next part of the body; none at its end, None where it broke off."""
        while len(self.said) == self._taken and not (self.whole or self.broken or self._gone.is_set()):
            await self._news.wait()
        piece = bytes(self.said[self._taken :])
        self._taken = len(self.said)
        return None if not piece and not self.whole else piece

    async def body(self) -> bytes | None:
        """All of the body; None where it broke off."""
        while piece := await self.piece():
            pass
        return bytes(self.said) if piece is not None else None

    def _tell(self) -> None:
        self._news.set()
        self._news = trio.Event()


def _scope(asked: Asked, authority: str, address: str) -> dict[str, Any]:
    path, _, query = asked.target.partition("?")
    host, _, port = authority.partition(":")
    fields = [("host", authority), ("content-length", str(len(asked.body))), *asked.headers.items()]
    named = {name.lower(): value for name, value in fields}
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": asked.method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode("ascii"),
        "query_string": query.encode("ascii"),
        "root_path": "",
        "headers": [(name.encode("ascii"), value.encode("latin-1")) for name, value in named.items()],
        "client": (address, 40_000),
        "server": (host, int(port)),
        "state": {},
        "extensions": {},
    }
