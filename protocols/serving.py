"""Everything of a node that listens: which door stands behind which port, and where that is."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import trio
from quart import Blueprint

from protocols.cli.config import Config
from protocols.cli.config_sections import Listener
from protocols.cli.folders import page_key
from protocols.cli.listeners import HTTP1, HTTP2, ServerTls, listen
from protocols.http import HttpLimits, serve_http
from protocols.mobieurope.counted import CountedDoor
from protocols.mobieurope.server import Services
from protocols.ocpp.limits import Limits
from protocols.ocpp.server import StationServer, serve_stations
from protocols.pulse import measure_lag
from protocols.rest.app import ApiSettings, make_app, make_bare_app
from protocols.rest.v1.events import EventStreams
from statecharts.accounts import NOBODY, Accounts
from statecharts.bounds import HTTP_CONNECTIONS, HTTP_CONNECTIONS_PER_ADDRESS, HTTP_REQUESTS
from statecharts.doors import AppDoor, FirstAnswers, Insight, OperatorDoor
from statecharts.meters import Meters
from statecharts.ports import (
    Clock,
    DestinationDoor,
    Ids,
    PeerDirectory,
    SourceDoor,
    StationDirectory,
    StationDoor,
    Tokens,
)
from statecharts.vocabulary import EnergyUnit

if TYPE_CHECKING:
    from protocols.web.house import PageSettings


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a node that has started listens."""

    http: list[str]
    peers: list[str]
    ocpp: list[str]


@dataclass(frozen=True, slots=True)
class Doors:
    """What stands behind the ports; None where the node does not play the role that it belongs to."""

    operators: OperatorDoor
    apps: AppDoor | None
    answers: FirstAnswers
    insight: Insight
    source: SourceDoor | None
    destination: DestinationDoor | None
    stations: StationDoor | None


@dataclass(frozen=True, slots=True)
class Directories:
    """Who may knock: `sources` at our Destination's service, `destinations` at our Source's; who signs in to which
    pages.
    """

    tokens: Tokens
    stations: StationDirectory
    sources: PeerDirectory
    destinations: PeerDirectory
    drivers: Accounts = NOBODY
    consoles: Accounts = NOBODY


EPOCH_BYTES = 6
"""Names a run of a station's connection, never the same twice; in hex at most 24 characters."""

Listen = Callable[[str, Listener, int], Awaitable[Sequence[trio.abc.Listener[Any]]]]
"""Opens what the configuration names under this key, at this port."""


class Front(NamedTuple):
    """What a node listens with: sockets, and HTTP as the machine speaks it; or a network in memory.

    `serve_http` is called as `protocols.http.serve_http` is. Where time is not the machine's, no loop is late.
    """

    listen: Listen = listen
    serve_http: Callable[..., Awaitable[None]] = serve_http
    machine_time: bool = True


class World(Protocol):
    """Where times, names and random bytes come from."""

    @property
    def clock(self) -> Clock: ...

    @property
    def ids(self) -> Ids: ...

    @property
    def fresh_bytes(self) -> Callable[[int], bytes]: ...


class Servers:
    """The listening side of a node. `draining` ends it: what is under way is served, then `start`'s nursery is free."""

    def __init__(
        self,
        config: Config,
        doors: Doors,
        directories: Directories,
        *,
        draining: trio.Event,
        version: str,
        world: World,
        meters: Meters,
        tls: ServerTls,
        front: Front | None = None,
    ) -> None:
        self._front = front or Front()
        self._config, self._doors, self._directories = config, doors, directories
        self._draining, self._version = draining, version
        self._clock, self._fresh_bytes = world.clock, world.fresh_bytes
        self._new_id, self._jitter = world.ids.request_identifier, world.ids.jitter
        self._meters, self._tls = meters, tls
        self._web: list[trio.Event] = []
        for bound in (HTTP_CONNECTIONS, HTTP_REQUESTS):
            meters.watermarks.limit(bound, config.http.connections_max)
        meters.watermarks.limit(HTTP_CONNECTIONS_PER_ADDRESS, config.http.connections_per_address_max)

    async def start(self, nursery: trio.Nursery) -> Addresses:
        """Opens every port and serves it in `nursery`. Raises `CannotRun`, naming the key of a taken port."""
        config = self._config.http
        app = self._rest_app()
        listeners = await self._front.listen("http", config, config.port)
        peers: list[str] = []
        if config.peers_port is None:
            app = self._with_services(app)
        else:
            soap = self._with_services(make_bare_app("roamnode-peers", self._new_id, self._meters))
            tls = self._tls.context(config, client_authorities=config.peers_client_authorities, protocols=HTTP1)
            listening = await self._front.listen("http.peers", config, config.peers_port)
            peers = await self._serve(nursery, soap, listening, tls)
        tls = self._tls.context(config, protocols=HTTP2 if config.http2 else HTTP1)
        http = await self._serve(nursery, app, listeners, tls)
        ocpp = await self._serve_stations(nursery, self._doors.stations) if self._doors.stations else []
        if self._front.machine_time:
            nursery.start_soon(measure_lag, self._meters.loop_lag, self._draining)
        return Addresses(http=http, peers=peers or http, ocpp=ocpp)

    async def _serve(
        self, nursery: trio.Nursery, app: Any, listeners: Sequence[Any], tls: ssl.SSLContext | None
    ) -> list[str]:
        config = self._config.http
        limits = HttpLimits(
            connections_max=config.connections_max,
            connections_per_address_max=config.connections_per_address_max,
            requests_max=config.connections_max,
        )
        serve = partial(
            self._front.serve_http,
            app,
            listeners,
            draining=self._draining,
            limits=limits,
            tls=tls,
            meters=self._meters,
        )
        over = trio.Event()
        self._web.append(over)
        addresses: list[str] = await nursery.start(_telling, serve, over)
        return addresses

    def _rest_app(self) -> Any:
        config = self._config.http
        return make_app(
            pms_identifier=self._config.pms_identifier,
            apps=self._doors.apps,
            operators=self._doors.operators,
            answers=self._doors.answers,
            tokens=self._directories.tokens,
            new_correlation_id=self._new_id,
            draining=self._draining,
            dv1=self._doors.destination is not None,
            version=self._version,
            settings=ApiSettings(
                requests_per_s=config.requests_per_s,
                burst=config.requests_burst,
                allowed_origins=config.allowed_origins,
                event_streams_max=max(1, config.connections_max * 4 // 5),
            ),
            meters=self._meters,
            insight=self._doors.insight,
            pages=self._pages if self._config.pages.enabled else lambda streams: (),
        )

    def _pages(self, streams: EventStreams) -> Iterable[Blueprint]:
        from protocols.web.house import make_pages

        doors = self._doors
        return make_pages(
            self._page_settings(), doors.apps, doors.operators, doors.insight, self._meters.watermarks, streams
        )

    def _page_settings(self) -> PageSettings:
        from protocols.web.house import PageSettings
        from protocols.web.rooms import TOKEN_BYTES, Look

        pages, http = self._config.pages, self._config.http
        look = Look(
            operator=pages.name or self._config.pms_identifier,
            language=pages.language,
            place=pages.place,
            tiles=pages.tiles or "",
            tiles_attribution=pages.tiles_attribution or "",
        )
        return PageSettings(
            drivers=self._directories.drivers,
            consoles=self._directories.consoles,
            look=look,
            key=partial(page_key, self._config.data_dir, self._fresh_bytes),
            now=self._clock.now,
            fresh_token=lambda: self._fresh_bytes(TOKEN_BYTES).hex(),
            secure=http.tls_certificate is not None or (http.public_url or "").startswith("https:"),
        )

    def _with_services(self, app: Any) -> Services:
        received = self._meters.soap_received
        return Services(
            app,
            destination=self._doors.destination and CountedDoor(self._doors.destination, received),
            source=self._doors.source and CountedDoor(self._doors.source, received),
            destination_peers=self._directories.sources,
            source_peers=self._directories.destinations,
            # Energy that comes without a unit is Wh, as Motown reads it; our own unit is only for what we send.
            energy_unit=EnergyUnit.WH,
            new_correlation_id=self._new_id,
            public_url=self._config.http.public_url,
            watermarks=self._meters.watermarks,
        )

    async def _serve_stations(self, nursery: trio.Nursery, door: StationDoor) -> list[str]:
        config = self._config.ocpp
        tls = self._tls.of_stations(config, self._config.authorities_of_stations)
        limits = Limits(
            connections_max=config.connections_max,
            connections_per_address_max=config.connections_per_address_max,
            handshakes_max=config.handshakes_max,
            call_timeout_s=config.call_timeout_s,
            ping_interval_s=config.ping_interval_s,
            watermarks=self._meters.watermarks,
        )
        for bound, limit in limits.configured():
            limits.watermarks.limit(bound, limit)
        listeners = await self._front.listen("ocpp", config, config.port)
        plain = () if config.plain_port is None else await self._front.listen("ocpp.plain", config, config.plain_port)
        serve = partial(
            serve_stations,
            listeners,
            tls=tls,
            plain=plain,
            directory=self._directories.stations,
            door=door,
            epochs=lambda: self._fresh_bytes(EPOCH_BYTES).hex(),
            jitter=self._jitter,
            limits=limits,
            meters=self._meters,
        )
        server: StationServer = await nursery.start(serve)
        nursery.start_soon(self._close_stations, server)
        open_at = [("wss" if tls else "ws", server.ports), ("ws", server.plain_ports)]
        return [f"{scheme}://{config.host}:{port}/ocpp" for scheme, ports in open_at for port in dict.fromkeys(ports)]

    async def _close_stations(self, server: StationServer) -> None:
        """The last of all: a request that is in flight may still need its station."""
        await self._draining.wait()
        server.stop_accepting()
        for over in self._web:
            await over.wait()
        await server.close_all()


async def _telling(
    serve: Callable[..., Awaitable[None]], over: trio.Event, task_status: trio.TaskStatus[list[str]]
) -> None:
    """Serves, and tells when that is over."""
    try:
        await serve(task_status=task_status)
    finally:
        over.set()
