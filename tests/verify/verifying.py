"""A verification in the test's own process, against whatever listens on loopback."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from protocols.ocpp.client import open_central_system
from protocols.verify.options import KINDS, OPERATIONS, AppAccess, Options, Role, StationAccess
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


async def flows_to_find(
    defect: str, rules: set[str], kinds: frozenset[str], opened: Callable[..., Any], at_peer: Callable[..., Options]
) -> int:
    """How many flows it took to find that a peer with this defect breaks one of these rules.

    A busy machine gets a second chance, with more patience. Raises AssertionError where none was broken, or too late.
    """
    for patience_s in (1.0, 8.0):
        own = own_address()
        async with opened(own, frozenset({defect})) as peer:
            result = await run(at_peer(peer, own, kinds=kinds, patience_s=patience_s))
        if rules & set(result.failures):
            break
    assert rules & set(result.failures), f"{defect}: {result.flows} flows broke {list(result.failures)}"
    assert result.flows <= FLOWS
    return result.flows


__all__ = ["AppAccess", "at_destination", "at_source", "flows_to_find", "options", "own_address", "run"]
