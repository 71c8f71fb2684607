"""A whole operator in one process on virtual time: real charts, actors, journal and roles; only the edges are ours.

`open_house` gives a node without listeners; `link` makes two houses (or one and itself) partners, whose calls are the
other's doors. Use it with pytest-trio's `autojump_clock`: the journal is SQLite in memory, run inline.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import trio

from actors.context import Context, NodeSettings, Place, place_at
from actors.destination_role import DestinationRole
from actors.directory import ConfiguredUsers
from actors.fleet import Fleet, FleetSettings
from actors.journal import Journal, open_journal
from actors.looks import Look
from actors.node_clock import NodeClock
from actors.operator_role import OperatorRole
from actors.policies import POLICIES, Policy
from actors.population import populate, revive
from actors.quarantine import Quarantine
from actors.source_role import SourceRole
from actors.station import StationActor
from actors.station_role import StationRole
from actors.store import run_inline
from actors.system import System
from actors.webhooks import NoReceivers
from statecharts.bounds import Watermarks
from statecharts.charging import ChargingDeadlines
from statecharts.directory import StationEntry, UserEntry
from statecharts.fleet_door import NewStation
from statecharts.ports import AuthorizationRequest, PeerSeen, Principal, TransactionView
from statecharts.station_commands import CallOutcome, CallVerdict, StationCommand
from statecharts.station_credentials import Login, SecurityProfile, StationCertificate, StationCredentials
from statecharts.station_reports import (
    BootNotification,
    ConnectorStatus,
    MeterSample,
    MeterValues,
    ReportAnswer,
    StartAnswer,
    StartTransaction,
    StationReport,
    StatusNotification,
    StopTransaction,
)
from statecharts.vocabulary import (
    Answered,
    Declined,
    DestinationRequest,
    Location,
    PeerOutcome,
    Refused,
    RoamingRequest,
    ServiceType,
    SourceRequest,
    Unanswered,
    refused,
)
from statecharts.webhooks_door import WebhookClient
from tests.support.promises import kept

EPOCH = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
APP = Principal(name="app", users=None)
EVERYWHERE = UserEntry(identifier="anna", id_tags=("CARD0001",))


class VirtualClock:
    """Wall time that follows trio's clock, and can be set to be `ahead` of it."""

    ahead = timedelta()

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=trio.current_time()) + self.ahead


class CountingIds:
    """Identifiers that differ and repeat from run to run; `minted` may be filled to say what comes next."""

    def __init__(self) -> None:
        self.count = 0
        self.minted: list[str] = []

    def authorization_identifier(self) -> str:
        self.count += 1
        return self.minted.pop(0) if self.minted else f"{self.count:012X}"

    def request_identifier(self) -> str:
        self.count += 1
        return f"{self.count:08d}-0000-4000-8000-000000000000"

    def jitter(self) -> float:
        return 0.0


Handle = Callable[[RoamingRequest], Any]


async def gone_after(steps: int, ask: Callable[..., Awaitable[Any]], *args: Any) -> None:
    """Asks, and is gone when everybody has had so many turns: what was begun by then is no longer waited for."""
    with trio.CancelScope() as patience:
        async with trio.open_nursery() as nursery:

            async def asking() -> None:
                with suppress(Refused):
                    await ask(*args)

            nursery.start_soon(asking)
            for _ in range(steps):
                await trio.lowlevel.checkpoint()
            patience.cancel()


class LinkedClient:
    """A `PeerClient` that walks into the partner's doors. `script` answers first: an outcome each, None lets it pass.

    `sent` is every request in its order, `sent_at` when each left; `done` is what the partner said to those that came
    in, `heard` what was heard of it. A partner that is `down` never answers, one that is slow answers after `slow_s`
    seconds, and to requests that it is `deaf_to` it answers 503. With `hangs_up_after` the client is gone when the
    partner has done that many steps: one entry per request.
    """

    def __init__(self, own: str, destination: Any, source: Any) -> None:
        self.own, self.destination, self.source = own, destination, source
        self.sent: list[RoamingRequest] = []
        self.sent_at: list[float] = []
        self.done: list[tuple[RoamingRequest, PeerOutcome]] = []
        self.heard: list[tuple[RoamingRequest, PeerOutcome]] = []
        self.script: list[PeerOutcome | None] = []
        self.reply_lost: list[bool] = []
        self.hangs_up_after: list[int] = []
        self.deaf_to: tuple[type[RoamingRequest], ...] = ()
        self.down = False
        self.slow_s = 0.0

    async def call(self, request: RoamingRequest, timeout_s: float) -> PeerOutcome:
        self.sent.append(request)
        self.sent_at.append(trio.current_time())
        await trio.lowlevel.checkpoint()
        outcome: PeerOutcome = Unanswered(cause="timeout")
        with trio.move_on_after(timeout_s):
            outcome = await self._answered(request)
        self.heard.append((request, outcome))
        return outcome

    async def _answered(self, request: RoamingRequest) -> PeerOutcome:
        if self.down:
            await trio.sleep_forever()
        if isinstance(request, self.deaf_to):
            return Unanswered(cause="HTTP 503")
        scripted = self.script.pop(0) if self.script else None
        if scripted is not None:
            return scripted
        if self.hangs_up_after:
            await gone_after(self.hangs_up_after.pop(0), self._walk_in, request)
            return Unanswered(cause="the connection broke")
        outcome = await self._walk_in(request)
        self.done.append((request, outcome))
        await trio.sleep(self.slow_s)
        lost = self.reply_lost.pop(0) if self.reply_lost else False
        return Unanswered(cause="the reply was lost") if lost else outcome

    async def _walk_in(self, request: RoamingRequest) -> PeerOutcome:
        door = self.destination if isinstance(request, DestinationRequest) else self.source
        try:
            return Answered(answer=await door(self.own, request))
        except Refused as no:
            if no.refusal.code >= 500:
                return Unanswered(cause=str(no))
            return Declined(refusal=no.refusal)

    def seen(self) -> PeerSeen:
        return PeerSeen()

    async def aclose(self) -> None:
        """Nothing to close."""

    def of(self, kind: type[SourceRequest] | type[DestinationRequest] | Any) -> list[Any]:
        """The requests of one kind that were sent."""
        return [request for request in self.sent if isinstance(request, kind)]

    def times_of(self, kind: type[SourceRequest] | type[DestinationRequest] | Any) -> list[float]:
        """When they were sent, in seconds of virtual time."""
        return [at for at, request in zip(self.sent_at, self.sent, strict=True) if isinstance(request, kind)]


class StationLine:
    """A `StationConnection` and the station behind it, driven by hand; commands are answered by `verdicts` in turn."""

    protocol = "ocpp1.6"
    certificate: StationCertificate | None = None
    login = Login()

    def __init__(self, house: House, identity: str) -> None:
        self.house, self.identity = house, identity
        self.commands: list[StationCommand] = []
        self.verdicts: list[CallVerdict] = []
        self.closed: tuple[int, str] | None = None

    async def call(self, command: StationCommand) -> CallOutcome:
        if self.closed is not None:
            return CallOutcome(verdict=CallVerdict.NEVER_SENT, cause=f"closed with {self.closed}")
        self.commands.append(command)
        await trio.lowlevel.checkpoint()
        verdict = self.verdicts.pop(0) if self.verdicts else CallVerdict.ACCEPTED
        return CallOutcome(verdict=verdict, status=str(verdict))

    def close(self, code: int, reason: str) -> None:
        self.closed = (code, reason)

    async def say(self, report: StationReport) -> ReportAnswer:
        """Reports as the station and returns what it is answered."""
        return await kept(self.house.stations.reported(self.identity, self, report))

    async def come_online(self, *, boot: bool = True, connectors: int = 2) -> None:
        await kept(self.house.stations.connected(self.identity, self))
        if boot:
            await self.say(BootNotification(vendor="V", model="M"))
            for connector in range(1, connectors + 1):
                await self.status(connector, ConnectorStatus.AVAILABLE)

    async def go_offline(self) -> None:
        self.house.stations.disconnected(self.identity, self)

    async def status(self, connector_id: int, status: ConnectorStatus) -> None:
        await self.say(StatusNotification(connector_id=connector_id, status=status, error_code="NoError"))

    async def start(
        self, id_tag: str, *, connector_id: int = 1, meter_start_wh: int = 1_000, at: datetime | None = None
    ) -> StartAnswer:
        timestamp = at or self.house.clock.now()
        report = StartTransaction(
            connector_id=connector_id, id_tag=id_tag, meter_start_wh=meter_start_wh, timestamp=timestamp
        )
        answer = await self.say(report)
        assert isinstance(answer, StartAnswer)
        return answer

    async def meter(self, number: int | None, register_wh: int, *, connector_id: int = 1, in_kwh: bool = False) -> None:
        value, unit = (str(Decimal(register_wh) / 1000), "kWh") if in_kwh else (str(register_wh), "Wh")
        sample = MeterSample(timestamp=self.house.clock.now(), value=value, unit=unit)
        await self.say(MeterValues(connector_id=connector_id, transaction_id=number, samples=(sample,)))

    async def stop(self, number: int, meter_stop_wh: int, *, reason: str = "Local", **more: Any) -> ReportAnswer:
        timestamp = more.pop("at", None) or self.house.clock.now()
        return await self.say(
            StopTransaction(
                transaction_id=number, meter_stop_wh=meter_stop_wh, timestamp=timestamp, reason=reason, **more
            )
        )


@dataclass
class House:
    """One operator. `restart` throws away everything in memory and rebuilds it from the journal."""

    name: str
    clock: VirtualClock
    ids: CountingIds
    journal: Journal
    users: tuple[UserEntry, ...]
    places: dict[str, Place]
    settings: NodeSettings
    policies: Mapping[str, Policy] = field(default_factory=lambda: POLICIES)
    destinations: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, Any] = field(default_factory=dict)
    context: Context = field(init=False)
    source: SourceRole = field(init=False)
    destination: DestinationRole = field(init=False)
    operator: OperatorRole = field(init=False)
    stations: StationRole = field(init=False)
    fleet_settings: FleetSettings | None = None
    webhook_client: WebhookClient = field(default_factory=NoReceivers)
    _nursery: trio.Nursery | None = None
    _scope: trio.CancelScope = field(default_factory=trio.CancelScope)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        async with trio.open_nursery() as nursery:
            self._scope = nursery.cancel_scope
            clock = NodeClock(self.clock)
            self._build(System(nursery, clock, Quarantine(self.journal.store), Watermarks(), self.policies), clock)
            task_status.started()
            await trio.sleep_forever()

    def _build(self, system: System, clock: NodeClock) -> None:
        self.context = context = Context(
            settings=self.settings,
            clock=clock,
            ids=self.ids,
            journal=self.journal,
            system=system,
            identity=ConfiguredUsers(self.users),
            fleet=self._fleet(system.watermarks),
            destinations=self.destinations,
            sources=self.sources,
            webhook_client=self.webhook_client,
        )
        populate(context)
        self.source, self.destination = SourceRole(context), DestinationRole(context)
        self.operator, self.stations = OperatorRole(context), StationRole(context)

    def _fleet(self, watermarks: Watermarks) -> Fleet:
        """The stations that the `configuration` of this house lists; their places are as the tests say."""
        return Fleet(
            self.journal.store,
            [listed(each) for each in self.places.values() if each.connectors],
            place_of=lambda entry: self.places.get(entry.identity) or place_at(entry, ChargingDeadlines()),
            fresh_bytes=bytes,
            watermarks=watermarks,
            besides=[each for each in self.places.values() if not each.connectors],
            settings=self.fleet_settings,
        )

    async def add(self, place: Place) -> None:
        """Registers one more station, while the house is at work."""
        new = NewStation(identity=place.identity, connectors=place.connectors, location=place.location)
        await self.operator.register_station(new, "olga")

    def kill(self) -> None:
        """Ends everything at once; only the journal is left, until `restart`."""
        self._scope.cancel()

    @property
    def dead(self) -> bool:
        """Whether it was killed and has not been restarted."""
        return self._scope.cancel_called

    def answer_the_door(self) -> None:
        """Raises `Refused` (503) while the node is not running, as a refused connection would end a call."""
        if self.dead:
            raise refused(503, "connection-refused", f"{self.name} is not running")

    async def restart(self, nursery: trio.Nursery) -> None:
        """As after a SIGKILL: nothing but the journal is left; what was under way is woken."""
        self.kill()
        await trio.sleep(0.001)
        await nursery.start(self.run)
        await revive(self.context)

    # -- short words for tests -----------------------------------------------------------------------------------------

    async def command(self, station: str, command: StationCommand, **more: Any) -> CallOutcome:
        """What a station says to a command, whoever gives it."""
        found = self.context.system.actor(f"station/{station}")
        assert isinstance(found, StationActor)
        return await found.command(command, **more)

    async def authorize(self, destination: str, service: str = "CS01", connector: str | None = "1") -> TransactionView:
        request = AuthorizationRequest(
            user_identifier="anna",
            destination=destination,
            local_service_identifier=service,
            connector_identifier=connector,
        )
        return await self.source.authorize(APP, request)

    async def data(self, stream: str) -> Any:
        """The chart data of a transaction, or what any other actor shows."""
        return await self.context.system.ask(stream, Look())

    async def until(self, stream: str, state: str, within_s: float = 600.0) -> Any:
        """The data once it is in that state; fails after `within_s` of virtual time."""
        begun_at = trio.current_time()
        with trio.fail_after(within_s):
            while (data := await self.data(stream)).state != state:  # noqa: ASYNC110 - virtual time costs nothing
                await trio.sleep(0.05 if trio.current_time() < begun_at + 5 else 1)
        return data


def resting_after(seconds: float) -> Mapping[str, Policy]:
    """The policies of a node, but every actor that may rest does so after that long."""
    return {kind: msgspec.structs.replace(policy, rest_after_s=seconds) for kind, policy in POLICIES.items()}


def place(identity: str = "CS01", connectors: int = 2) -> Place:
    return Place(
        identity=identity,
        location=Location(latitude=Decimal("53.3498"), longitude=Decimal("-6.2603")),
        service_types=(ServiceType.EV_CHARGING,),
        connectors=connectors,
    )


def listed(place: Place) -> StationEntry:
    """The station of this place as a configuration would list it."""
    return StationEntry(
        identity=place.identity,
        credentials=StationCredentials(profile=SecurityProfile.NONE),
        connectors=place.connectors,
        location=place.location,
        service_types=place.service_types,
    )


@asynccontextmanager
async def open_house(
    name: str,
    nursery: trio.Nursery,
    *,
    places: tuple[Place, ...] = (place(),),
    users: tuple[UserEntry, ...] = (EVERYWHERE,),
    settings: NodeSettings | None = None,
    policies: Mapping[str, Policy] = POLICIES,
    clock: VirtualClock | None = None,
    fleet_settings: FleetSettings | None = None,
) -> AsyncIterator[House]:
    """An operator, running until the block ends."""
    clock = clock or VirtualClock()
    async with open_journal("sqlite://", clock=clock, run_sync=run_inline) as journal:
        house = House(
            name=name,
            clock=clock,
            ids=CountingIds(),
            journal=journal,
            users=users,
            places={each.identity: each for each in places},
            settings=settings or NodeSettings(pms_identifier=name),
            policies=policies,
            fleet_settings=fleet_settings,
        )
        await nursery.start(house.run)
        if house.settings.keeps_local_lists:
            await house.context.lists.start()
        try:
            yield house
        finally:
            house.kill()


def link(source: House, destination: House) -> tuple[LinkedClient, LinkedClient]:
    """Makes these two partners; the clients are (Source calling Destination, Destination calling Source)."""

    async def into_destination(peer: str, request: DestinationRequest) -> Any:
        destination.answer_the_door()
        return await destination.destination(peer, request)

    async def into_source(peer: str, request: SourceRequest) -> Any:
        source.answer_the_door()
        return await source.source(peer, request)

    there = LinkedClient(source.name, into_destination, into_source)
    back = LinkedClient(destination.name, into_destination, into_source)
    source.destinations[destination.name] = there
    destination.sources[source.name] = back
    return there, back
