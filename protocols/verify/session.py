"""Everything a verification needs around it: the connection to the partner, our own service, the station, the app."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import httpx
import trio

from protocols.http import serve_http
from protocols.mobieurope.contract import Contract, destination_contract, source_contract
from protocols.mobieurope.wire import HttpConnections
from protocols.verify.attacks import Strangers
from protocols.verify.conversation import Conversation, Mask
from protocols.verify.destination import DestinationScene
from protocols.verify.options import CannotVerify, Options, Role
from protocols.verify.partner import Pace, Partner
from protocols.verify.reception import Reception
from protocols.verify.station import Line, open_station
from protocols.verify.verification import Progress, Result, Scene, Verification
from protocols.verify.wsdl import differences
from statecharts.bounds import Watermarks
from statecharts.ports import Clock
from statecharts.simulated_equipment import StationPlan

Lines = Callable[[StationPlan], Line]
"""How a station connects."""


async def verify(
    options: Options, *, clock: Clock, new_id: Callable[[], str], line: Lines, on_progress: Progress
) -> Result:
    """What a verification with these options finds. `new_id` gives identifiers that never repeat.

    Raises `CannotVerify` (perhaps in an exception group) for a host that is not allowed, for our own address where we
    cannot listen, and for a partner or station that cannot be reached.
    """
    options.check_hosts()
    theirs, ours = destination_contract(), source_contract()
    if options.role is Role.SOURCE:
        theirs, ours = ours, theirs
    mask, pace = Mask(options.secrets), Pace(options.rate)
    reception = Reception(ours, mask, options.incoming_username or options.partner_pms, options.incoming_password)
    async with trio.open_nursery() as nursery:
        await _listen(nursery, reception, options)
        async with AsyncExitStack() as stack:
            http = HttpConnections(Watermarks(), options.tls)
            stack.push_async_callback(http.aclose)
            partner = Partner(options, theirs, http, pace, mask)
            scene = await _scene(stack, options, partner, reception, clock, new_id, line)
            verification = Verification(options, scene, on_progress)
            await _compare_wsdl(verification, options, theirs)
            result = await verification.run()
        nursery.cancel_scope.cancel()
    result.requests = pace.requests
    return result


async def _compare_wsdl(verification: Verification, options: Options, contract: Contract) -> None:
    """Notes what in the partner's WSDL, given or served, is not the contract's."""
    talk, wsdl = Conversation(), options.wsdl
    if wsdl is None:
        url = f"{options.url}?wsdl"
        async with httpx.AsyncClient(verify=options.tls or True, timeout=options.patience_s, trust_env=False) as client:
            try:
                answer = await client.get(url, auth=(options.username, options.password))
            except httpx.HTTPError as error:
                raise CannotVerify(f"{url} cannot be reached: {error or type(error).__name__}") from error
        talk.say("we: the WSDL", f"GET {url}", f"HTTP {answer.status_code}")
        if answer.status_code != 200:
            verification.note("wsdl-served", f"?wsdl is answered HTTP {answer.status_code}", talk)
            return
        wsdl = answer.content
    for difference in differences(wsdl, contract)[:1]:
        verification.note("wsdl-served", difference, talk)


async def _scene(
    stack: AsyncExitStack,
    options: Options,
    partner: Partner,
    reception: Reception,
    clock: Clock,
    new_id: Callable[[], str],
    line: Lines,
) -> Scene:
    station = None
    if options.station is not None:
        access = options.station
        plan = StationPlan(identity=access.identity, url=access.url, password=access.password)
        opened = open_station(line(plan), options.connector, clock, reception.tell)
        station = await stack.enter_async_context(opened)
    return DestinationScene(options, partner, reception, station, clock, new_id, Strangers(options.username))


async def _listen(nursery: trio.Nursery, reception: Reception, options: Options) -> None:
    """Serves our own address until the nursery is cancelled."""
    parts = urlsplit(options.own_url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        listeners = await trio.open_tcp_listeners(port, host=parts.hostname)
    except OSError as error:
        raise CannotVerify(f"our own address {options.own_url}: cannot listen there: {error.strerror}") from error

    app: Any = reception
    await nursery.start(partial(serve_http, app, listeners, draining=trio.Event(), tls=options.own_tls))
