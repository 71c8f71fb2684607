"""A house with something of everything in it, its API served on loopback: what the document speaks of is there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import Any

import trio

from actors.answers import open_answers
from actors.context import NodeSettings
from actors.insight import Insight
from actors.operator_role import OperatorRole
from actors.records import Append, Orphan
from actors.source_role import SourceRole
from protocols.http import serve_http
from protocols.rest.app import ApiSettings, make_app
from statecharts.doors import Notice
from statecharts.meters import Meters
from statecharts.ports import Change, Principal
from statecharts.vocabulary import Declined, PeerOutcome, Refusal, RoamingRequest
from statecharts.webhooks_door import HookEvent, NewWebhook
from tests.support.house import APP, House, LinkedClient, StationLine, link, open_house, place
from tests.support.receivers import Receivers

NAME, STATION = "NL-MOT", "NL-MOT-CS01"
LOOK_S = 0.02
TOKENS = {"app-token": APP, "operator-token": Principal(name="operator", operator=True)}


class Tokens:
    def principal(self, token: str) -> Principal | None:
        return TOKENS.get(token)


class OverTheWire(LinkedClient):
    """What a partner refuses comes with its code and words, but under the one kind that SOAP leaves of it."""

    async def call(self, request: RoamingRequest, timeout_s: float) -> PeerOutcome:
        outcome = await super().call(request, timeout_s)
        if not isinstance(outcome, Declined):
            return outcome
        told = outcome.refusal
        return Declined(refusal=Refusal(code=told.code, kind="peer-refused", message=told.message))


class EndingApps(SourceRole):
    """An event stream never ends by itself; a tool that waits for its end gets those that say what there is now."""

    def changes(self, principal: Principal, transaction_id: str, seen: int) -> AsyncIterator[Change | None]:
        return what_is_there(super().changes(principal, transaction_id, seen))

    def feed(self, principal: Principal, after: int) -> AsyncIterator[Change | None]:
        return what_is_there(super().feed(principal, after))


class EndingOperators(OperatorRole):
    def feed(self, role: str | None, after: int) -> AsyncIterator[Change | None]:
        return what_is_there(super().feed(role, after))

    def notices(self) -> AsyncIterator[tuple[Notice, ...]]:
        return what_is_there(super().notices())


async def what_is_there(changes: Any) -> AsyncIterator[Any]:
    async with aclosing(changes):
        while True:
            change = None
            with trio.move_on_after(LOOK_S):
                change = await anext(changes, None)
            if change is None:
                return
            yield change


@asynccontextmanager
async def served_house() -> AsyncIterator[str]:
    """The URL of a house that is its own partner."""
    meters, draining = Meters(), trio.Event()
    settings = NodeSettings(pms_identifier=NAME, open_authorizations_per_user_max=1_000_000)
    async with (
        trio.open_nursery() as nursery,
        open_house(NAME, nursery, places=(place(STATION),), settings=settings) as house,
    ):
        await furnish(house)
        insight = Insight(house.context, draining)
        insight.listening = True
        async with open_answers(house.journal.store, kept_s=600, watermarks=meters.watermarks) as answers:
            app = make_app(
                pms_identifier=NAME,
                apps=EndingApps(house.context),
                operators=EndingOperators(house.context),
                answers=answers,
                tokens=Tokens(),
                new_correlation_id=house.ids.request_identifier,
                draining=draining,
                dv1=True,
                version="0",
                settings=ApiSettings(requests_per_s=1e6, burst=1_000_000),
                meters=meters,
                insight=insight,
            )
            listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
            (url,) = await nursery.start(partial(serve_http, app, listeners, draining=draining))
            yield url
            draining.set()
        nursery.cancel_scope.cancel()


async def furnish(house: House) -> None:
    """A charge that is over, one that runs, one that may start; a record nobody took; a report that nobody knows; a
    webhook that was told of all this.

    Their names, which schemathesis.toml knows, follow from the count.
    """
    link(house, house)
    for clients in (house.destinations, house.sources):
        linked = clients[NAME]
        clients[NAME] = OverTheWire(linked.own, linked.destination, linked.source)
    station = StationLine(house, STATION)
    await station.come_online()
    house.context.webhook_client = Receivers()
    house.ids.count = 9_000
    new = NewWebhook(url="https://erp.example/", events=(HookEvent.CDR, HookEvent.TRANSACTION))
    await house.operator.make_webhook(new, "operator")
    house.ids.count = 0
    await charge(house, station, 1)
    house.ids.count = 1_000
    house.sources[NAME].script = [Declined(refusal=Refusal(code=404, kind="peer-refused", message="not mine"))]
    await charge(house, station, 2)
    house.ids.count = 2_000
    running = await house.authorize(NAME, STATION, "1")
    await house.source.start(APP, running.transaction_id, None)
    await house.until(f"destination/{running.authorization_identifier}", "StartTxRequested")
    await station.start(running.authorization_identifier or "")
    house.ids.count = 3_000
    await house.authorize(NAME, STATION, "2")
    lost = Orphan(station=STATION, kind="StopTransaction", at=house.clock.now(), body=LOST)
    await house.journal.append(Append(stream="station/none", after_seq=0, facts=(), orphans=(lost,)))


LOST = b'{"type":"StopTransaction","transaction_id":7,"meter_stop_wh":900,"timestamp":"2026-05-04T03:02:01Z"}'


async def charge(house: House, station: StationLine, connector: int) -> None:
    view = await house.authorize(NAME, STATION, str(connector))
    name = view.authorization_identifier or ""
    await house.source.start(APP, view.transaction_id, None)
    await house.until(f"destination/{name}", "StartTxRequested")
    answer = await station.start(name, connector_id=connector)
    await station.stop(answer.transaction_id, 4_000)
    await house.until(f"destination/{name}", "Settled" if connector == 1 else "TxFinished")
