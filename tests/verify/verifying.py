"""A verification in the test's own process, against whatever listens on loopback."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

import trio

from protocols.ocpp.client import open_central_system
from protocols.verify.options import KINDS, OPERATIONS, AppAccess, CannotVerify, Options, Role, StationAccess
from protocols.verify.session import World, verify
from protocols.verify.verification import Result
from statecharts.simulated_equipment import StationPlan
from tests.live.operators import free_ports
from tests.verify import wrong_destination, wrong_source

FLOWS = 200

Defects = dict[str, tuple[set[str], str]]
"""Ways to be wrong: the rules that tell of each, and the kind of flows in which it shows."""


class WallClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


def line_of(plan: StationPlan) -> Any:
    password = (plan.password or "").encode()
    return partial(open_central_system, plan.url, plan.identity, password, epoch=uuid.uuid4().hex[:12])


WORLD = World(WallClock(), lambda: str(uuid.uuid4()), line_of)


def own_address() -> str:
    """A URL at which nobody listens yet."""
    return f"http://127.0.0.1:{free_ports(1)[0]}/verify"


def options(role: Role, **changes: Any) -> Options:
    """Those of a quick verification on loopback."""
    quick: dict[str, Any] = {"rate": 10_000, "patience_s": 1.0, "quiet_s": 0.01, "shrinks": 3, "first_only": True}
    common: dict[str, Any] = {
        "role": role,
        "operations": frozenset(OPERATIONS[role]),
        "kinds": frozenset(KINDS),
        "flows": FLOWS,
    }
    return Options(**{**common, **quick, **changes})


def at_destination(peer: wrong_destination.WrongDestination, own_url: str, **changes: Any) -> Options:
    """Those for the test's own Destination, at whose station we are."""
    theirs = wrong_destination
    given: dict[str, Any] = {
        "url": peer.url,
        "own_url": own_url,
        "own_pms": theirs.SOURCE,
        "partner_pms": theirs.OWN,
        "username": theirs.SOURCE,
        "password": theirs.SECRET,
        "incoming_password": theirs.OTHER_SECRET,
        "service": theirs.STATION,
        "station": StationAccess(peer.station_url, theirs.STATION, theirs.STATION_SECRET),
    }
    return options(Role.DESTINATION, **{**given, **changes})


def at_source(peer: wrong_source.WrongSource, own_url: str, **changes: Any) -> Options:
    """Those for the test's own Source, whose user's app we are."""
    theirs = wrong_source
    given: dict[str, Any] = {
        "url": peer.url,
        "own_url": own_url,
        "own_pms": theirs.DESTINATION,
        "partner_pms": theirs.OWN,
        "username": theirs.DESTINATION,
        "password": theirs.SECRET,
        "incoming_password": theirs.OTHER_SECRET,
        "service": theirs.STATION,
        "app": AppAccess(peer.app_url, theirs.TOKEN, theirs.USER),
    }
    return options(Role.SOURCE, **{**given, **changes})


async def run(options: Options) -> Result:
    return await verify(options, WORLD, lambda _: None)


async def no_verdict(options: Options) -> str:
    """Why a verification with these options comes to no verdict. Raises AssertionError if it comes to one."""
    why: BaseException | None = None
    try:
        await run(options)
    except* CannotVerify as errors:
        why = errors
    assert why is not None, "there is a verdict"
    while isinstance(why, BaseExceptionGroup):
        why = why.exceptions[0]
    return str(why)


async def flows_to_find(
    defect: str, rules: set[str], kinds: frozenset[str], opened: Callable[..., Any], at_peer: Callable[..., Options]
) -> int:
    """How many flows it took to find that a peer with this defect breaks one of these rules.

    A busy machine gets a second chance, with more patience. Raises AssertionError where none was broken, or too late.
    """

    async def found(patience_s: float) -> Result:
        own = own_address()
        async with opened(own, frozenset({defect})) as peer:
            return await run(at_peer(peer, own, kinds=kinds, patience_s=patience_s))

    result: Result | None = None
    with suppress(BaseExceptionGroup):  # a busy machine does not serve its WSDL in a second
        result = await found(1.0)
    if result is None or not rules & set(result.failures):
        result = await found(8.0)
    assert rules & set(result.failures), f"{defect}: {result.flows} flows broke {list(result.failures)}"
    assert result.flows <= FLOWS
    return result.flows


GIVEN = {"own_url": "http://127.0.0.1:1/", "own_pms": "A", "partner_pms": "B", "username": "A", "password": "p"}


def asked(url: str, **changes: object) -> Options:
    return options(Role.DESTINATION, url=url, service="CS01", **{**GIVEN, **changes})


async def of(defect: str, **changes: object) -> Result:
    """What is found of the test's own Destination with this defect; one that is right ("none") is waited for longer,
    for a busy machine takes a second to answer, and there everything is to hold.
    """
    own = own_address()
    changes = {"patience_s": 10.0, **changes} if defect == "none" else changes
    async with wrong_destination.open_destination(own, frozenset({defect})) as peer:
        return await run(at_destination(peer, own, **changes))


HTML = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 18\r\n\r\n<html>hello</html>"


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[str]:
    """A server that says this to whatever it is asked, and then nothing more; its URL."""

    async def reply(stream: trio.SocketStream) -> None:
        while await stream.receive_some():
            await stream.send_all(answer)

    async def served(stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError):
            await reply(stream)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, served, 0, host="127.0.0.1"))
        yield f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}/"
        nursery.cancel_scope.cancel()


__all__ = [
    "AppAccess",
    "answering",
    "asked",
    "at_destination",
    "at_source",
    "flows_to_find",
    "no_verdict",
    "of",
    "options",
    "own_address",
    "run",
]
