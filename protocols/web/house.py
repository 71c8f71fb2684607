"""Puts the pages of a node together: the driver's where it is a Source, the console always, their files, and `/`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from quart import Blueprint
from quart_trio.wrappers import TrioResponse as Response

from protocols.rest.auth import FailureLimiter
from protocols.rest.v1.events import EventStreams
from protocols.web import drive
from protocols.web.console import NAME as CONSOLE
from protocols.web.console import console_room
from protocols.web.rooms import House, Look
from protocols.web.static import static_files
from statecharts.accounts import Accounts
from statecharts.bounds import Watermarks
from statecharts.doors import AppDoor, Insight, OperatorDoor
from statecharts.page_limits import WRONG_PASSWORDS


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSettings:
    """Who may sign in where, and what the pages look like.

    `key` gives the secret that visits are sealed with, the same after a restart; `secure` says that browsers reach us
    over TLS.
    """

    drivers: Accounts
    consoles: Accounts
    look: Look
    key: Callable[[], bytes]
    now: Callable[[], datetime]
    fresh_token: Callable[[], str]
    secure: bool


def make_pages(
    settings: PageSettings,
    apps: AppDoor | None,
    operators: OperatorDoor,
    insight: Insight,
    watermarks: Watermarks,
    streams: EventStreams,
) -> Iterator[Blueprint]:
    """The blueprints of all pages; without `apps` there is no driver's page."""
    house = House(
        look=settings.look,
        key=settings.key,
        now=settings.now,
        fresh_token=settings.fresh_token,
        failures=FailureLimiter(watermarks, WRONG_PASSWORDS.limit),
        secure=settings.secure,
    )
    yield _front(drive.NAME if apps is not None else CONSOLE)
    yield static_files()
    if apps is not None:
        yield drive.Driver(apps, settings.drivers, house, streams).room.blueprint
    yield console_room(operators, insight, settings.consoles, house, streams).blueprint


def _front(first: str) -> Blueprint:
    """Sends whoever asks for the node itself to its first room."""
    blueprint = Blueprint("front", __name__)

    @blueprint.get("/")
    async def front() -> Response:
        return Response(b"", 303, {"Location": f"/{first}"})

    @blueprint.get("/favicon.ico")
    async def favicon() -> Response:
        return Response(b"", 204, {"Cache-Control": "public, max-age=86400"})

    return blueprint
