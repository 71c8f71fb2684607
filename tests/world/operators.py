"""One operator of a world: its configuration, its disk and its clock, and the lives of its node."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import msgspec
import trio
from pydantic import SecretStr

from actors.records import StoreUnavailable
from actors.webhooks import NoReceivers
from node import Edges, Node
from protocols.cli.config import Config
from protocols.cli.config_sections import Peer
from statecharts.credentials import token_digest
from tests.world.disk import Disk
from tests.world.ground import Ground, HostClock, Life, SeededIds
from tests.world.history import (
    BoundSeen,
    CredentialsRenewed,
    CredentialsTakenBack,
    Finals,
    NodeStarted,
    Sight,
    UserBlocked,
)
from tests.world.network import MemoryHttp, Network
from tests.world.plan import Plan
from tests.world.steps import Steps

HTTP_PORT, OCPP_PORT = 8089, 9000
SMALL_APP_USER = "somebody-else"

SETTINGS: Mapping[str, Any] = {
    "allow_plain_http": True,
    "open_authorizations_per_user_max": 3,
    "delivery": {"retry_cap_s": 120},
    "ocpp": {"heartbeat_interval_s": 900, "heartbeat_spread": 0, "ping_interval_s": 300},
    "source_deadlines": {"authorization_s": 600, "silence_s": 1_800, "cdr_overdue_s": 900},
    "destination_deadlines": {"authorization_s": 600, "silence_s": 1_800, "reconcile_s": 900, "cdr_overdue_s": 900},
}
"""Deadlines short enough that whatever was left behind comes to its end while a world drains; little idle talk."""


def app_token(operator: str) -> str:
    return f"token-of-the-app-of-{operator}"


def small_app_token(operator: str) -> str:
    """The bearer token of an app that may act for `SMALL_APP_USER` alone."""
    return f"token-of-a-small-app-of-{operator}"


def room_token(operator: str) -> str:
    """The bearer token of the operator's own people."""
    return f"token-of-the-control-room-of-{operator}"


def station_password(identity: str) -> str:
    return f"password-of-{identity}"


def peer_password(sender: str, module: str, to: str) -> str:
    """What an operator presents at the service of this module ("Destination", "Source") of another."""
    return f"{sender}-at-the-{module}-of-{to}"


def config_of(operator: str, plan: Plan) -> Config:
    """The configuration of one operator: both roles, partner of all others, with its part of the plan."""
    own = [station for station in plan.stations if station.operator == operator]
    homes = [*plan.users, *(roaming.user for roaming in plan.roaming if roaming.home == operator)]
    here = {station.identity for station in own}
    cards = [*plan.cards, *(local.id_tag for local in plan.local if local.station in here)]
    settings = {**SETTINGS, **plan.settings}
    values: dict[str, Any] = {
        **settings,
        "pms_identifier": operator,
        "roles": ["source", "destination"],
        "http": {"host": operator, "port": HTTP_PORT},
        "ocpp": {**settings["ocpp"], "host": operator, "port": OCPP_PORT},
        "destinations": [_partner(operator, other, "Destination") for other in plan.operators if other != operator],
        "sources": [_partner(operator, other, "Source") for other in plan.operators if other != operator],
        "users": [_user(user, plan) for user in dict.fromkeys(homes)]
        + [_user(f"driver-{card}", plan, card) for card in dict.fromkeys(cards)],
        "apps": [
            {"name": f"app-of-{operator}", "token_sha256": token_digest(app_token(operator)), "users": ["*"]},
            {
                "name": f"small-app-of-{operator}",
                "token_sha256": token_digest(small_app_token(operator)),
                "users": [SMALL_APP_USER],
            },
        ],
        "operators": [{"name": f"room-of-{operator}", "token_sha256": token_digest(room_token(operator))}],
        "stations": [
            {
                "identity": station.identity,
                "password": station_password(station.identity),
                "connectors": station.connectors,
                "latitude": "53.35",
                "longitude": "-6.26",
            }
            for station in own
        ],
    }
    return Config.model_validate(values)


def _user(identifier: str, plan: Plan, *cards: str) -> dict[str, Any]:
    status = "active" if {identifier, *cards}.isdisjoint(plan.blocked) else "blocked"
    return {"identifier": identifier, "id_tags": list(cards), "status": status}


def _partner(operator: str, other: str, module: str) -> dict[str, str]:
    """Both ways have a password each, which depends on who asks and on the role of who is asked."""
    return {
        "pms_identifier": other,
        "url": f"http://{other}:{HTTP_PORT}/services/mobiEurope{module}Service",
        "password": peer_password(operator, module, other),
        "incoming_password": peer_password(other, _other_of(module), operator),
    }


ROWS_FOR = {"Destination": "destinations", "Source": "sources"}
"""Where a configuration says what is presented at the service of this module; what is taken here stands there too."""


def _other_of(module: str) -> str:
    return {"Destination": "Source", "Source": "Destination"}[module]


def _row_of(config: Config, rows: str, partner: str) -> Peer:
    found: Peer = next(row for row in getattr(config, rows) if row.pms_identifier == partner)
    return found


def _with_rows(config: Config, *, partner: str, rows: Mapping[str, Mapping[str, Any]]) -> Config:
    """The configuration with these fields in the rows of a partner."""
    update = {
        name: [row.model_copy(update=fields) if row.pms_identifier == partner else row for row in getattr(config, name)]
        for name, fields in rows.items()
    }
    return config.model_copy(update=update)


def _with_user_blocked(config: Config, *, user: str) -> Config:
    users = [
        each.model_copy(update={"status": "blocked"}) if each.identifier == user else each for each in config.users
    ]
    return config.model_copy(update={"users": users})


class Operator:
    """An operator. `start` begins a life of its node, `crash` ends it; the disk and the clock stay.

    A node that died comes back when its faults say so (`Faults.comes_back_after_s`).
    """

    def __init__(self, ground: Ground, network: Network, name: str, plan: Plan) -> None:
        self.name, self.config = name, config_of(name, plan)
        self.disk, self.clock = Disk(ground, name), HostClock()
        self.life: Life | None = None
        self.node: Node | None = None
        self.steps: Steps | None = None
        self._ground, self._network = ground, network
        self._lives = self._handed_out = 0
        self._bounds: dict[str, BoundSeen] = {}
        self._serving = trio.Event()

    def __repr__(self) -> str:
        return f"<Operator {self.name}, {self.life}>"

    @property
    def is_up(self) -> bool:
        return self.life is not None and self.life.alive

    def start(self) -> None:
        """Begins a new life of the node, unless one is under way."""
        if not self.is_up:
            self._lives += 1
            self.life = Life(self._ground, self.name, self._lives)
            self._serving = trio.Event()
            self.node = Node(self.config, self._edges(self.life))
            self._ground.nursery.start_soon(self._live, self.life, self.node, self._serving)

    async def serving(self) -> None:
        """Returns once the life that is under way serves."""
        await self._serving.wait()

    def crash(self, point: str = "") -> None:
        """Ends the life that is under way, at whatever await its tasks are."""
        if self.life is not None:
            self.life.crash(point)

    async def shut_down(self) -> None:
        """Drains the node, as SIGTERM does."""
        if self.is_up and self.life is not None and self.node is not None:
            self.node.drain()
            await self.life.over.wait()

    async def redeploy(self, after_s: float) -> None:
        """Drains the node, and starts it again so much later."""
        await self.shut_down()
        await trio.sleep(after_s)
        self.start()

    async def block_user(self, user: str) -> None:
        """From now on this user may do nothing new: the node is started again with that in its configuration."""
        await self._reconfigured(partial(_with_user_blocked, user=user), UserBlocked, user=user)

    def presents(self, module: str, partner: str) -> str:
        """The password that this operator presents at the service of this module ("Destination", "Source")."""
        return _row_of(self.config, ROWS_FOR[module], partner).password.get_secret_value()

    async def take_back(self, partner: str) -> None:
        """From now on what the partner presents here is worth nothing: the node is started again with other passwords
        for it, which it has to be told (`learn`)."""
        self._handed_out += 1
        fresh = {
            ROWS_FOR[_other_of(module)]: {
                "incoming_password": SecretStr(f"{peer_password(partner, module, self.name)}-{self._handed_out}")
            }
            for module in ROWS_FOR
        }
        await self._reconfigured(partial(_with_rows, partner=partner, rows=fresh), CredentialsTakenBack, peer=partner)

    async def learn(self, partner: Operator) -> None:
        """Presents at this partner what it takes by now, for which the node is started again; nothing where it does."""
        wanted = {
            ROWS_FOR[module]: {
                "password": _row_of(partner.config, ROWS_FOR[_other_of(module)], self.name).incoming_password
            }
            for module in ROWS_FOR
        }
        changed = partial(_with_rows, partner=partner.name, rows=wanted)
        if changed(self.config) != self.config:
            await self._reconfigured(changed, CredentialsRenewed, peer=partner.name)

    async def _reconfigured(self, change: Callable[[Config], Config], seen: type[Sight], **what: Any) -> None:
        """Starts the node again with another configuration; `seen` is what that is."""
        while self.is_up:  # again, if somebody else has started it meanwhile
            await self.shut_down()
        self.config = change(self.config)
        self._ground.saw(seen, self.name, **what)
        self.start()

    def finals(self) -> Finals:
        """The store as it stands, what its last actors knew, and how full everything has been in any life."""
        bounds = tuple(self._bounds.values())
        live, problems = self._live_data(), self.disk.problems()
        return Finals(node=self.name, tables=self.disk.tables(), bounds=bounds, live=live, problems=problems)

    def _live_data(self) -> dict[str, str]:
        system = self.node.context.system if self.node is not None and hasattr(self.node, "context") else ()
        known = {actor.key: getattr(actor, "data", None) for actor in system}
        return {key: msgspec.json.encode(data).decode() for key, data in sorted(known.items()) if data is not None}

    def _edges(self, life: Life) -> Edges:
        ids = SeededIds(self._ground.chance("ids", self.name, life.number))
        return Edges(
            clock=self.clock,
            ids=ids,
            fresh_bytes=ids.fresh_bytes,
            open_journal=partial(self.disk.open, life),
            http=lambda _peer, _watermarks: MemoryHttp(self._network, life),
            webhooks=lambda _config, _watermarks: NoReceivers(),
            front=self._network.front(life),
        )

    async def _live(self, life: Life, node: Node, serving: trio.Event) -> None:
        """A node that dies comes back, as does one that finds no room to start: somebody watches over its process."""
        self._ground.saw(NodeStarted, self.name, life=life.number)
        try:
            with life.scope, self._counted_steps(life):
                await node.run(_Started(serving))
        except Exception as error:
            comes_back = isinstance(error, StoreUnavailable) and not serving.is_set()
            if life.alive and not comes_back:
                self._ground.failures.append(f"{self.name} ended with {error!r}")
        else:
            comes_back = False
        comes_back |= not life.alive
        life.end()
        self._note_bounds()
        life.over.set()
        if comes_back:
            await trio.sleep(self._ground.faults.comes_back_after_s(self.name))
            self.start()

    @contextmanager
    def _counted_steps(self, life: Life) -> Iterator[None]:
        faults = self._ground.faults
        last = faults.dies_at_step(self.name, life.number)
        if last is None:
            yield
            return

        def cut() -> None:
            if self._ground.faults is faults:
                life.crash(f"step {last}")

        self.steps = Steps(trio.lowlevel.current_task(), last, cut)
        trio.lowlevel.add_instrument(self.steps)
        try:
            yield
        finally:
            trio.lowlevel.remove_instrument(self.steps)

    def _note_bounds(self) -> None:
        for bound, highest, limit in self.node.watermarks if self.node else ():
            before = self._bounds.get(bound.name)
            most = max(highest, before.highest if before else 0)
            self._bounds[bound.name] = BoundSeen(name=bound.name, highest=most, limit=limit)


class _Started:
    """The `trio.TaskStatus` of a node that says when it serves."""

    def __init__(self, serving: trio.Event) -> None:
        self._serving = serving

    def started(self, value: object = None) -> None:
        self._serving.set()
