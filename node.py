"""One operator's node of the MOBI.Europe roaming network: composes the floors and starts them.

This is the only place that reads the wall clock, draws randomness, opens listeners and knows all three floors:
`statecharts` (what may happen), `protocols` (how it is said), `actors` (who does it).
"""

from __future__ import annotations

from protocols.imports import without

with without("rich"):  # structlog would draw tracebacks with it, and import it for that at every start
    import structlog

import gc
import random
import secrets
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

from actors.records import StoreError
from protocols.cli.authority import authority_of
from protocols.cli.config import Config
from protocols.cli.config_sections import Role
from protocols.cli.folders import alone_in
from protocols.cli.listeners import ServerTls, trust_in
from protocols.cli.logs import set_up_logs
from protocols.cli.open_files import room_for
from protocols.cli.starter import CannotRun, Upkeep, outcome_of
from protocols.cli.vendor_handlers import handlers_of
from protocols.cli.version import version
from statecharts.meters import Meters

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from actors.context import Context
    from actors.insight import Insight
    from actors.journal import Journal
    from actors.simulated_line import Dialler
    from protocols.cli.config_sections import Peer, Webhooks
    from protocols.mobieurope.wire import Http
    from protocols.serving import Addresses, Front, Servers
    from statecharts.bounds import Watermarks
    from statecharts.doors import FirstAnswers
    from statecharts.ports import Clock, Ids, PeerClient
    from statecharts.simulated_equipment import StationPlan
    from statecharts.vocabulary import Value
    from statecharts.webhooks_door import WebhookClient

GARBAGE_THRESHOLDS = (50_000, 20, 100)
"""How seldom Python looks for garbage in cycles. By its own (700, 10, 10) it would go again and again through all that
a node holds for good: libraries while they are imported, actors while thousands of stations come back."""

DRAIN_S = 2.5
"""How long turns that are under way may take at a shutdown: requests have had 4 s before, stations 3 s, 10 s in all."""

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


@dataclass(frozen=True, kw_only=True)
class Edges:
    """All through which a node meets the world, and all that a simulation has to replace.

    `open_journal` is called with the node's clock and meters, `http` with each partner as configured.
    """

    clock: Clock
    ids: Ids
    fresh_bytes: Callable[[int], bytes]
    open_journal: Callable[..., AbstractAsyncContextManager[Journal]]
    http: Callable[[Peer, Watermarks], Http]
    webhooks: Callable[[Webhooks, Watermarks], WebhookClient]
    front: Front


def this_machine(config: Config) -> Edges:
    """The edges of a node that runs for real."""
    from actors.journal import open_journal
    from protocols.mobieurope.wire import HttpConnections
    from protocols.serving import Front
    from protocols.webhooks.client import sender_of

    return Edges(
        clock=WallClock(),
        ids=SystemIds(),
        fresh_bytes=secrets.token_bytes,
        open_journal=partial(open_journal, config.store_url, head=config.head_file),
        http=lambda peer, watermarks: HttpConnections(watermarks, trust_in(peer)),
        webhooks=sender_of,
        front=Front(),
    )


# -- composition -------------------------------------------------------------------------------------------------------


class Node:
    """A node made from its configuration; `run` serves until `drain` is called. `context` is there while it runs."""

    def __init__(self, config: Config, edges: Edges | None = None) -> None:
        from actors.directory import BearerTokens, ConfiguredUsers, Peers

        self.config, self.edges = config, edges or this_machine(config)
        self.draining, self.meters = trio.Event(), Meters()
        self.watermarks, self.tls = self.meters.watermarks, ServerTls()
        salts = partial(self.edges.fresh_bytes, 16)
        self.stations = config.station_entries(salts)
        self.destinations, self.sources = Peers(config.destination_entries(salts)), Peers(config.source_entries(salts))
        self.tokens, self.users = BearerTokens(config.token_entries()), ConfiguredUsers(config.user_entries())

    def drain(self) -> None:
        """No new work; what is under way ends, then `run` returns."""
        self.draining.set()

    async def run(self, task_status: trio.TaskStatus[Addresses] = trio.TASK_STATUS_IGNORED) -> None:
        """Opens the journal, revives what is under way, and serves; returns once drained.

        Draining goes from the outside in: no new connections; event streams end with a word; requests in flight are
        answered; stations are told to come back; turns under way end; then the journal is closed.
        """
        from actors.answers import open_answers
        from actors.insight import Insight
        from actors.node_clock import NodeClock
        from actors.population import revive
        from actors.retention import Retention, RetentionSettings

        clock = NodeClock(self.edges.clock)
        async with (
            self.edges.open_journal(clock=clock, meters=self.meters) as journal,
            self._clients() as (destinations, sources),
            trio.open_nursery() as actors,
        ):
            context = self.context = self._context(actors, clock, journal, destinations, sources)
            await revive(context)
            kept_s, kept_days = self.config.http.answers_kept_s, RetentionSettings(**self.config.retention.model_dump())
            actors.start_soon(Retention(journal.store, clock, kept_days).run)
            answering = open_answers(journal.store, kept_s=kept_s, watermarks=self.watermarks)
            async with answering as answers, trio.open_nursery() as servers:
                insight = Insight(context, self.draining)
                addresses = await self._servers(context, answers, insight).start(servers)
                insight.listening = True
                task_status.started(addresses)
                await self.draining.wait()
                context.end_streams()
            log.info("node.drained", finished=await context.system.drain(DRAIN_S))
            journal.store.leave()
            actors.cancel_scope.cancel()

    @asynccontextmanager
    async def _clients(self) -> AsyncIterator[tuple[dict[str, PeerClient], dict[str, PeerClient]]]:
        from protocols.mobieurope.client import MobiEuropeClient
        from protocols.mobieurope.counted import CountedClient

        async with AsyncExitStack() as stack:
            made: list[dict[str, PeerClient]] = []
            for rows, peers in ((self.config.destinations, self.destinations), (self.config.sources, self.sources)):
                clients: dict[str, PeerClient] = {}
                for row, entry in zip(rows, peers.entries, strict=True):
                    client = MobiEuropeClient(
                        entry.url,
                        entry.username,
                        entry.password,
                        self.config.energy_unit,
                        self.edges.http(row, self.watermarks),
                        destination_url=entry.url,
                        source_url=entry.url,
                    )
                    stack.push_async_callback(client.aclose)
                    clients[entry.pms_identifier] = CountedClient(client, self.meters.soap_sent)
                made.append(clients)
            yield made[0], made[1]

    def _context(self, nursery: trio.Nursery, clock: Any, journal: Any, destinations: Any, sources: Any) -> Context:
        from actors.context import Context
        from actors.population import populate
        from actors.quarantine import Quarantine
        from actors.system import System
        from actors.vendor_handlers import VendorHandlers

        context = Context(
            settings=self._settings(self.config),
            clock=clock,
            ids=self.edges.ids,
            journal=journal,
            system=System(nursery, clock, Quarantine(journal.store), self.watermarks),
            identity=self.users,
            fleet=self._fleet(journal),
            destinations=destinations,
            sources=sources,
            links=self.config.partner_links(),
            vendors=VendorHandlers(handlers_of(self.config)),
            webhook_client=self.edges.webhooks(self.config.webhooks, self.watermarks),
            authority=authority_of(self.config, self.edges.clock, self.edges.fresh_bytes),
        )
        populate(context)
        return context

    def _settings(self, config: Config) -> Any:
        from actors.context import DeliverySettings, NodeSettings, WebhookSettings

        return NodeSettings(
            pms_identifier=config.pms_identifier,
            source_deadlines=config.source_deadline_values(),
            open_authorizations_per_user_max=config.open_authorizations_per_user_max,
            charges_per_card_max=config.charges_per_card_max,
            keeps_local_lists=config.ocpp.local_lists == "in_step",
            local_services_deadline_s=config.local_services_deadline_s,
            heartbeat_interval_s=config.ocpp.heartbeat_interval_s,
            heartbeat_spread=config.ocpp.heartbeat_spread,
            boot_retry_s=config.ocpp.boot_retry_s,
            renew_before_days=config.authority.renew_before_days,
            delivery_overdue_s=config.destination_deadlines.cdr_overdue_s,
            quirks=config.model_quirks(),
            delivery=DeliverySettings(**config.delivery.model_dump()),
            webhooks=WebhookSettings(**config.webhook_values()),
        )

    def _fleet(self, journal: Journal) -> Any:
        from actors.context import parking_at, place_at
        from actors.fleet import Fleet, FleetSettings

        return Fleet(
            journal.store,
            self.stations,
            place_of=lambda entry: place_at(entry, self.config.charging_deadlines(entry.connection_timeout_s)),
            fresh_bytes=self.edges.fresh_bytes,
            watermarks=self.watermarks,
            besides=map(parking_at, self.config.parking_entries()),
            settings=FleetSettings(**self.config.fleet_values()),
        )

    def _servers(self, context: Context, answers: FirstAnswers, insight: Insight) -> Servers:
        from actors.destination_role import DestinationRole
        from actors.operator_role import OperatorRole
        from actors.source_role import SourceRole
        from actors.station_role import StationRole
        from protocols.serving import Directories, Doors, Servers

        source = SourceRole(context) if self.config.plays(Role.SOURCE) else None
        is_destination = self.config.plays(Role.DESTINATION)
        doors = Doors(
            operators=OperatorRole(context),
            apps=source,
            answers=answers,
            insight=insight,
            source=source,
            destination=DestinationRole(context) if is_destination else None,
            stations=StationRole(context) if is_destination else None,
        )
        return Servers(
            self.config,
            doors,
            Directories(self.tokens, context.fleet, self.sources, self.destinations, *self.config.accounts()),
            draining=self.draining,
            version=version(),
            world=self.edges,
            meters=self.meters,
            tls=self.tls,
            front=self.edges.front,
        )


async def run_until_signal(node: Node) -> None:
    """Runs a node until SIGTERM or SIGINT, and drains it."""
    async with trio.open_nursery() as nursery:

        async def run(task_status: trio.TaskStatus[Addresses]) -> None:
            await node.run(task_status)
            nursery.cancel_scope.cancel()

        nursery.start_soon(_obey_signals, node)
        addresses: Addresses = await nursery.start(run)
        gc.freeze()
        roles = [role.value for role in node.config.roles]
        log.info("node.ready", pms_identifier=node.config.pms_identifier, roles=roles, **asdict(addresses))


async def _obey_signals(node: Node) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        async for number in signals:
            if number == signal.SIGHUP:
                node.tls.reload()
            else:
                log.info("node.draining", signal=signal.Signals(number).name)
                node.drain()


async def check_store(config: Config) -> tuple[str, ...]:
    from actors.journal import check_journal

    return tuple(map(str, await check_journal(config.store_url, clock=WallClock(), head=config.head_file)))


# -- simulated stations ------------------------------------------------------------------------------------------------


async def simulate(plans: Sequence[StationPlan], tell: Callable[[Value], None]) -> None:
    """Runs simulated stations until SIGTERM or SIGINT."""
    from actors.simulated_fleet import run_fleet

    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(run_fleet, plans, connect=line_of, clock=WallClock(), random=chance_of, tell=tell))
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            await anext(aiter(signals))
        nursery.cancel_scope.cancel()


def line_of(plan: StationPlan) -> Dialler:
    """How this station connects; the ids of its calls never repeat, also over connections."""
    from protocols.ocpp.client import Dialling

    return Dialling(plan, lambda: secrets.token_hex(6))


def chance_of(plan: StationPlan) -> Callable[[], float]:
    return random.Random(None if plan.seed is None else f"{plan.seed}/{plan.identity}").random


# -- what the command line starts --------------------------------------------------------------------------------------


class Starter:
    """What `protocols.cli.commands` starts; see there for the commands themselves."""

    command = (sys.executable, str(Path(__file__).resolve()))
    version, fresh_bytes = staticmethod(version), staticmethod(secrets.token_bytes)
    clock, new_id, line_of = WallClock(), staticmethod(SystemIds().request_identifier), staticmethod(line_of)

    def run(self, config: Config) -> None:
        set_up_logs(config.log.format, config.log.level)
        for key, reason in (*config.warnings(), *room_for(config)):
            log.warning("config.warning", key=key, reason=reason)
        with no_node_in(config.data_dir):
            outcome_of(run_until_signal, Node(config), reasons=(StoreError,))

    def simulate(self, plans: Sequence[StationPlan], tell: Callable[[Value], None]) -> None:
        set_up_logs("console", "warning")
        outcome_of(simulate, plans, tell)

    def journal_problems(self, config: Config) -> tuple[str, ...]:
        return outcome_of(check_store, config, reasons=(StoreError,))

    @contextmanager
    def upkeep(self, *folders: Path) -> Iterator[Upkeep]:
        from actors import upkeep

        with ExitStack() as stack:
            for folder in folders:
                stack.enter_context(no_node_in(folder))
            try:
                yield upkeep
            except StoreError as error:
                raise CannotRun(str(error)) from error


def no_node_in(folder: Path) -> AbstractContextManager[None]:
    """Keeps nodes out of a data folder: two on one journal would deliver everything twice."""
    return alone_in(folder, f"data_dir: another node runs on {folder}")


if __name__ == "__main__":
    gc.set_threshold(*GARBAGE_THRESHOLDS)

    from protocols.cli.commands import main

    sys.exit(main(Starter()))
