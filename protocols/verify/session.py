"""Everything a verification needs around it: the connection to the partner, our own service, the station, the app."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import trio

from protocols.http import serve_http
from protocols.mobieurope.contract import Contract, destination_contract, source_contract
from protocols.mobieurope.wire import HttpConnections
from protocols.verify.app import UserApp
from protocols.verify.conversation import Conversation, Mask
from protocols.verify.destination import DestinationScene
from protocols.verify.fetching import Fetched, NotFetched, fetch
from protocols.verify.options import CannotVerify, Options, Role, host_of
from protocols.verify.partner import Pace, Partner
from protocols.verify.reception import Reception
from protocols.verify.source import SourceScene
from protocols.verify.station import Line, open_station
from protocols.verify.verification import Progress, Result, Scene, Verification
from protocols.verify.wsdl import differences
from statecharts.bounds import Watermarks
from statecharts.ports import Clock
from statecharts.simulated_equipment import StationPlan


class World(NamedTuple):
    """What is outside: the clock, identifiers that never repeat, and how a station connects."""

    clock: Clock
    new_id: Callable[[], str]
    line_of: Callable[[StationPlan], Line]


async def verify(options: Options, world: World, on_progress: Progress) -> Result:
    """What a verification with these options finds.

    Raises `CannotVerify` (perhaps in an exception group) for a host that is not allowed, for our own address where we
    cannot listen, and for a partner or station that cannot be reached.
    """
    options.check_hosts()
    mask, pace = Mask(options.secrets), Pace(options.rate)
    theirs, ours = destination_contract(), source_contract()
    if options.role is Role.SOURCE:
        theirs, ours = ours, theirs
    reception = Reception(ours, mask, options.incoming_username or options.partner_pms, options.incoming_password)
    async with trio.open_nursery() as nursery:
        await _listen(nursery, reception, options)
        async with AsyncExitStack() as stack:
            http = HttpConnections(Watermarks(), options.tls)
            stack.push_async_callback(http.aclose)
            partner = Partner(options, theirs, http, pace, mask)
            scene_of = _source_scene if options.role is Role.SOURCE else _destination_scene
            verification = Verification(options, await scene_of(stack, partner, reception, world), on_progress)
            nursery.start_soon(_obey_signals, verification)
            await _compare_wsdl(verification, options, theirs)
            result = await verification.run()
        nursery.cancel_scope.cancel()
    result.requests, result.set_aside = pace.requests, reception.set_aside
    return result


async def _obey_signals(verification: Verification) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            verification.interrupt()


async def _compare_wsdl(verification: Verification, options: Options, contract: Contract) -> None:
    """Notes what in the partner's WSDL, given or served, is not the contract's. Raises `CannotVerify`."""
    talk, wsdl, trouble = Conversation(), options.wsdl, ""
    if wsdl is None:
        url = f"{options.url}?wsdl"
        answer = await _fetched(url, options)
        talk.say("we: the WSDL", f"GET {url}", f"HTTP {answer.status}")
        wsdl = answer.body
        if answer.status != 200 or answer.media_type == "text/html":
            trouble = f"?wsdl is answered HTTP {answer.status} with {answer.media_type}"
    found = [trouble] if trouble else differences(wsdl, contract)
    talk.expect("wsdl-served", not found, "".join(found[:1]))
    verification.note(talk)


async def _fetched(url: str, options: Options) -> Fetched:
    try:
        async with httpx.AsyncClient(verify=options.tls or True, timeout=None, trust_env=False) as client:
            return await fetch(client, "GET", url, options.patience_s, auth=(options.username, options.password))
    except NotFetched as error:
        raise CannotVerify(f"{url} {error}") from error


async def _destination_scene(stack: AsyncExitStack, partner: Partner, reception: Reception, world: World) -> Scene:
    station, access = None, partner.options.station
    if access is not None:
        plan = StationPlan(identity=access.identity, url=access.url, password=access.password)
        opened = open_station(world.line_of(plan), partner.options.connector, world.clock, reception.tell)
        station = await stack.enter_async_context(opened)
    return DestinationScene(partner, reception, station, world.clock, world.new_id)


async def _source_scene(stack: AsyncExitStack, partner: Partner, reception: Reception, world: World) -> Scene:
    app, access = None, partner.options.app
    if access is not None:
        app = UserApp(partner.options, access, partner.pace, partner.mask)
        stack.push_async_callback(app.aclose)
    return SourceScene(partner, reception, app, world.clock, world.new_id)


async def _listen(nursery: trio.Nursery, reception: Reception, options: Options) -> None:
    """Serves our own address until the nursery is cancelled."""
    url = options.listen or options.own_url
    host, parts = host_of(url), urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        listeners = await trio.open_tcp_listeners(port, host=host)
    except OSError as error:
        raise CannotVerify(
            f"cannot listen at {host}:{port}: {error.strerror or error}; --listen names another place to listen"
        ) from error
    app: Any = reception
    await nursery.start(partial(serve_http, app, listeners, draining=trio.Event(), tls=options.own_tls))
