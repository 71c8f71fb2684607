"""Pages with fakes behind them, and a visitor who keeps cookies as a browser does."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from html.parser import HTMLParser
from typing import Any

import msgspec
import trio
from quart import Blueprint

from protocols.rest.v1.events import EventStreams
from protocols.web.house import PageSettings, make_pages
from protocols.web.rooms import Look
from statecharts.accounts import Account, People
from statecharts.ports import Principal, Rank, TransactionView
from tests.unit.rest.fakes import NOON, READY, World

PASSWORD = "sample-password-of-anna"
HASH = "$argon2id$v=19$m=8,t=1,p=1$cHVibGlzaGVkIHNhbXBsZQ$9mTKhHTmBxUtdDz7qKTRDryFhESGMFj3RrCYfPB3k8M"
"""Of `PASSWORD`, cheaper than one should be."""

ALICE = Account(name="alice", password_hash=HASH, principal=Principal(name="page of alice", users=frozenset({"alice"})))


def operator(name: str, rank: Rank) -> Account:
    return Account(name=name, password_hash=HASH, principal=Principal(name=name, operator=True, rank=rank))


CONSOLE = People((operator("boss", Rank.ADMIN), operator("desk", Rank.OPERATOR), operator("guest", Rank.VIEWER)))
RUNNING = msgspec.structs.replace(
    READY, state="TxRunning", version=4, expires_at=None, start_timestamp=NOON, energy_wh=1_234, operations=()
)


class Clock:
    def __init__(self) -> None:
        self.at = NOON

    def now(self) -> datetime:
        return self.at


class Visitor:
    """One browser at one node."""

    def __init__(self, world: World, clock: Clock) -> None:
        self.world, self.clock = world, clock
        self.client = world.app.test_client()

    async def ask(self, method: str, path: str, *, headers: dict[str, str] | None = None, **form: str) -> Any:
        given = {"Accept-Language": "en", **(headers or {})}
        body: Any = {"form": form} if method == "POST" else {}
        with trio.fail_after(30):
            return await self.client.open(path, method=method, headers=given, **body)

    async def text(self, path: str, status: int = 200, **more: Any) -> str:
        answer = await self.ask("GET", path, **more)
        content: str = await answer.get_data(as_text=True)
        assert answer.status_code == status, content
        return content

    async def sign_in(self, room: str, name: str) -> Any:
        return await self.ask("POST", f"/{room}/sign-in", name=name, password=PASSWORD)

    async def send(self, path: str, **form: str) -> Any:
        """A form of our own page: with the token that stands on it."""
        return await self.ask("POST", path, csrf=self.token_in(await self.text(f"/{path.split('/')[1]}")), **form)

    @staticmethod
    def token_in(page: str) -> str:
        found = re.search(r'name="csrf" content="([^"]+)"', page)
        assert found is not None
        return found[1]


def visitor(
    *transactions: TransactionView,
    source: bool = True,
    key: Callable[[], bytes] = lambda: bytes(32),
    drivers: People | None = None,
    **look: Any,
) -> Visitor:
    clock, tokens = Clock(), iter(range(1, 10_000))
    made: list[EventStreams] = []
    settings = PageSettings(
        drivers=People((ALICE,)) if drivers is None else drivers,
        consoles=CONSOLE,
        look=Look(operator="NL-MOT", **look),
        key=key,
        now=clock.now,
        fresh_token=lambda: f"token-{next(tokens)}",
        secure=False,
    )

    def pages(streams: EventStreams) -> Iterable[Blueprint]:
        apps = world.apps if source else None
        return make_pages(settings, apps, world.operators, world.insight, world.meters.watermarks, streams)

    world = World(*transactions, source=source, pages=lambda streams: made.append(streams) or ())
    for blueprint in pages(made[0]):
        world.app.register_blueprint(blueprint)
    return Visitor(world, clock)


async def driver(*transactions: TransactionView, **more: Any) -> Visitor:
    """Alice, who has signed in."""
    who = visitor(*transactions, **more)
    assert (await who.sign_in("drive", "alice")).status_code == 303
    return who


async def at_console(name: str = "boss", **more: Any) -> Visitor:
    """Somebody at the console, who has signed in."""
    who = visitor(READY, **more)
    assert (await who.sign_in("console", name)).status_code == 303
    return who


VOID = {"area", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr", "path"}


class Outline(HTMLParser):
    """Whether a page's elements are closed in their order, what ids there are, and what would break its own policy."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.faults: list[str] = []
        self.ids: list[str] = []
        self.feed(page)
        self.faults += [f"<{tag}> is never closed" for tag in self.open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "style" or name.startswith("on"):
                self.faults.append(f"<{tag} {name}> is inline")
            if name == "id":
                self.ids.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> closes another one")
