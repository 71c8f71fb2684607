"""One operator's node of the MOBI.Europe roaming network: composes the floors and starts them.

This is the only place that reads the wall clock, draws randomness, opens listeners and knows all three floors:
`statecharts` (what may happen), `protocols` (how it is said), `actors` (who does it).
"""

from __future__ import annotations

import random
import secrets
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
import trio

from actors.records import StoreError
from protocols.cli.config import Config
from protocols.cli.config_sections import Role
from protocols.cli.folders import alone_in
from protocols.cli.listeners import listen, tls_context, trust_in
from protocols.cli.logs import set_up_logs
from protocols.cli.starter import CannotRun, outcome_of
from protocols.cli.version import version

if TYPE_CHECKING:
    from actors.context import Context
    from actors.simulated_line import Connect
    from protocols.ocpp.server import StationServer
    from statecharts.ports import PeerClient
    from statecharts.simulated_equipment import StationPlan
    from statecharts.vocabulary import Value

DRAIN_S = 5.0
"""How long turns that are under way may take at a shutdown; the whole shutdown stays under 10 s."""

log = structlog.get_logger("node")


# -- the world ---------------------------------------------------------------------------------------------------------


class WallClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class SystemIds:
    """Identifiers and random numbers from the operating system."""

    def authorization_identifier(self) -> str:
        return secrets.token_hex(6).upper()

    def request_identifier(self) -> str:
        return str(uuid.uuid4())

    def jitter(self) -> float:
        return random.random()


# -- composition -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a node that has started listens."""

    http: list[str]
    peers: list[str]
    ocpp: list[str]


class Node:
    """A node made from its configuration; `run` serves until `drain` is called."""

    def __init__(self, config: Config) -> None:
        from actors.directory import BearerTokens, ConfiguredStations, ConfiguredUsers, Peers

        self.config = config
        self.clock, self.ids = WallClock(), SystemIds()
        self.draining = trio.Event()
        salts = partial(secrets.token_bytes, 16)
        self.stations = ConfiguredStations(config.station_entries(salts))
        self.destinations = Peers(config.destination_entries(salts))
        self.sources = Peers(config.source_entries(salts))
        self.tokens = BearerTokens(config.token_entries())
        self.users = ConfiguredUsers(config.user_entries())

    def drain(self) -> None:
        """No new work; what is under way ends, then `run` returns."""
        self.draining.set()

    async def run(self, task_status: trio.TaskStatus[Addresses] = trio.TASK_STATUS_IGNORED) -> None:
        """Opens the journal, revives what is under way, and serves; returns once drained."""
        from actors.journal import open_journal
        from actors.population import revive

        async with (
            open_journal(journal_url(self.config), clock=self.clock) as journal,
            self._clients() as (destinations, sources),
            trio.open_nursery() as actors,
        ):
            context = self._context(actors, journal, destinations, sources)
            await revive(context)
            async with trio.open_nursery() as servers:
                addresses = await self._serve(servers, context)
                task_status.started(addresses)
                await self.draining.wait()
                context.changes.drain()
            finished = await context.system.drain(DRAIN_S)
            log.info("node.drained", finished=finished)
            actors.cancel_scope.cancel()

    @asynccontextmanager
    async def _clients(self) -> AsyncIterator[tuple[dict[str, PeerClient], dict[str, PeerClient]]]:
        from protocols.mobieurope.client import MobiEuropeClient

        async with AsyncExitStack() as stack:
            made: list[dict[str, PeerClient]] = []
            roles = ((self.config.destinations, self.destinations), (self.config.sources, self.sources))
            for rows, peers in roles:
                clients: dict[str, PeerClient] = {}
                for row, entry in zip(rows, peers.entries, strict=True):
                    client = MobiEuropeClient(
                        entry.url,
                        entry.username,
                        entry.password,
                        self.config.energy_unit,
                        verify=trust_in(row),
                        destination_url=entry.url,
                        source_url=entry.url,
                    )
                    stack.push_async_callback(client.aclose)
                    clients[entry.pms_identifier] = client
                made.append(clients)
            yield made[0], made[1]

    def _context(self, nursery: trio.Nursery, journal: Any, destinations: Any, sources: Any) -> Context:
        from actors.context import Context
        from actors.population import populate
        from actors.system import System

        system = System(nursery, self.clock)
        context = Context(
            settings=self._settings(),
            clock=self.clock,
            ids=self.ids,
            journal=journal,
            system=system,
            identity=self.users,
            places=self._places(),
            destinations=destinations,
            sources=sources,
        )
        populate(context)
        return context

    def _settings(self) -> Any:
        from actors.context import DeliverySettings, NodeSettings

        config = self.config
        return NodeSettings(
            pms_identifier=config.pms_identifier,
            source_deadlines=config.source_deadline_values(),
            open_authorizations_per_user_max=config.open_authorizations_per_user_max,
            local_services_deadline_s=config.local_services_deadline_s,
            heartbeat_interval_s=config.ocpp.heartbeat_interval_s,
            delivery=DeliverySettings(**config.delivery.model_dump()),
        )

    def _places(self) -> dict[str, Any]:
        from actors.context import Place
        from statecharts.vocabulary import ServiceType

        stations = {
            entry.identity: Place(
                identity=entry.identity,
                location=entry.location,
                service_types=entry.service_types,
                connectors=entry.connectors,
                deadlines=self.config.charging_deadlines(entry.connection_timeout_s),
            )
            for entry in self.stations.entries
        }
        parking = {
            entry.identifier: Place(
                identity=entry.identifier,
                location=entry.location,
                service_types=(ServiceType.PARKING,),
                status=entry.status,
            )
            for entry in self.config.parking_entries()
        }
        return {**stations, **parking}

    # -- servers -------------------------------------------------------------------------------------------------------

    async def _serve(self, nursery: trio.Nursery, context: Context) -> Addresses:
        from protocols.http import HttpLimits, serve_http

        config, limits = self.config.http, HttpLimits(connections_max=self.config.http.connections_max)
        serve = partial(serve_http, draining=self.draining, limits=limits, tls=tls_context(config))
        app = self._rest_app(context)
        listeners = await listen("http", config, config.port)
        peers: list[str] = []
        if config.peers_port is None:
            self._mount_soap(app, context)
        else:
            soap = self._peers_app()
            self._mount_soap(soap, context)
            own = await listen("http.peers", config, config.peers_port)
            peers = await nursery.start(partial(serve, soap, own))
        http: list[str] = await nursery.start(partial(serve, app, listeners))
        ocpp = await self._serve_stations(nursery, context) if self.config.plays(Role.DESTINATION) else []
        return Addresses(http=http, peers=peers or http, ocpp=ocpp)

    def _rest_app(self, context: Context) -> Any:
        from actors.operator_role import OperatorRole
        from actors.source_role import SourceRole
        from protocols.rest.app import make_app

        return make_app(
            pms_identifier=self.config.pms_identifier,
            apps=SourceRole(context) if self.config.plays(Role.SOURCE) else None,
            operators=OperatorRole(context),
            tokens=self.tokens,
            new_correlation_id=self.ids.request_identifier,
            draining=self.draining,
            dv1=self.config.plays(Role.DESTINATION),
            version=version(),
        )

    def _peers_app(self) -> Any:
        from protocols.rest.app import make_bare_app

        return make_bare_app("roamnode-peers", self.ids.request_identifier)

    def _mount_soap(self, app: Any, context: Context) -> None:
        from actors.destination_role import DestinationRole
        from actors.source_role import SourceRole
        from protocols.mobieurope.server import register_services
        from statecharts.vocabulary import EnergyUnit

        # Energy that comes without a unit is Wh, as Motown reads it; our own unit is only for what we send.
        register = partial(
            register_services,
            app,
            energy_unit=EnergyUnit.WH,
            new_correlation_id=self.ids.request_identifier,
            public_url=self.config.http.public_url,
        )
        if self.config.plays(Role.DESTINATION):
            register(destination=DestinationRole(context), source=None, peers=self.sources)
        if self.config.plays(Role.SOURCE):
            register(destination=None, source=SourceRole(context), peers=self.destinations)

    async def _serve_stations(self, nursery: trio.Nursery, context: Context) -> list[str]:
        from actors.station_role import StationRole
        from protocols.ocpp.limits import Limits
        from protocols.ocpp.server import serve_stations

        config = self.config.ocpp
        tls = tls_context(config)
        sockets = await listen("ocpp", config, config.port)
        listeners: Any = [trio.SSLListener(each, tls) for each in sockets] if tls else sockets
        limits = Limits(
            connections_max=config.connections_max,
            call_timeout_s=config.call_timeout_s,
            ping_interval_s=config.ping_interval_s,
        )
        server: StationServer = await nursery.start(
            partial(
                serve_stations,
                listeners,
                directory=self.stations,
                door=StationRole(context),
                epochs=partial(secrets.token_hex, 6),
                limits=limits,
            )
        )
        nursery.start_soon(self._close_stations, server)
        scheme = "wss" if tls else "ws"
        return [f"{scheme}://{config.host}:{port}/ocpp" for port in dict.fromkeys(server.ports)]

    async def _close_stations(self, server: StationServer) -> None:
        await self.draining.wait()
        await server.close_all()


def journal_url(config: Config) -> str:
    return f"sqlite:///{config.data_dir.resolve() / 'journal.db'}"


async def run_until_signal(node: Node) -> None:
    """Runs a node until SIGTERM or SIGINT, and drains it."""
    async with trio.open_nursery() as nursery:

        async def run(task_status: trio.TaskStatus[Addresses]) -> None:
            await node.run(task_status)
            nursery.cancel_scope.cancel()

        nursery.start_soon(_drain_on_signal, node)
        addresses: Addresses = await nursery.start(run)
        config = node.config
        log.info("node.ready", pms_identifier=config.pms_identifier, roles=list(config.roles), **asdict(addresses))


async def _drain_on_signal(node: Node) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for number in signals:
            log.info("node.draining", signal=signal.Signals(number).name)
            node.drain()


async def check_journal(config: Config) -> tuple[str, ...]:
    from actors.journal import open_journal

    async with open_journal(journal_url(config), clock=WallClock()) as journal:
        return tuple(str(finding) for finding in await journal.check())


# -- simulated stations ------------------------------------------------------------------------------------------------


async def simulate(plans: Sequence[StationPlan], tell: Callable[[Value], None]) -> None:
    """Runs simulated stations until SIGTERM or SIGINT."""
    from actors.simulated_fleet import run_fleet

    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(run_fleet, plans, connect=line_of, clock=WallClock(), random=chance_of, tell=tell))
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            await anext(aiter(signals))
        nursery.cancel_scope.cancel()


def line_of(plan: StationPlan) -> Connect:
    """How this station connects; the ids of its calls never repeat, also over connections."""
    from protocols.ocpp.client import open_central_system

    password = plan.password.encode() if plan.password is not None else None
    return lambda: open_central_system(plan.url, plan.identity, password, epoch=secrets.token_hex(6))


def chance_of(plan: StationPlan) -> Callable[[], float]:
    return random.Random(None if plan.seed is None else f"{plan.seed}/{plan.identity}").random


# -- what the command line starts --------------------------------------------------------------------------------------


class Starter:
    """What `protocols.cli.commands` starts; see there for the commands themselves."""

    command = (sys.executable, str(Path(__file__).resolve()))
    version = staticmethod(version)
    fresh_bytes = staticmethod(secrets.token_bytes)

    def run(self, config: Config) -> None:
        set_up_logs(config.log.format, config.log.level)
        for key, reason in config.warnings():
            log.warning("config.warning", key=key, reason=reason)
        # Two nodes on one journal would deliver everything twice.
        with alone_in(config.data_dir, f"data_dir: another node runs on {config.data_dir}"):
            outcome_of(run_until_signal, Node(config), reasons=(StoreError,))

    def simulate(self, plans: Sequence[StationPlan], tell: Callable[[Value], None]) -> None:
        set_up_logs("console", "warning")
        outcome_of(simulate, plans, tell)

    def journal_problems(self, config: Config) -> tuple[str, ...]:
        path = config.data_dir / "journal.db"
        if not path.is_file():
            raise CannotRun(f"there is no journal at {path}")
        return outcome_of(check_journal, config, reasons=(StoreError,))


if __name__ == "__main__":
    from protocols.cli.commands import main

    sys.exit(main(Starter()))
