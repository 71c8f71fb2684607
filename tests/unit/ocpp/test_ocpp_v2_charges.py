"""Charges at stations of OCPP 2.0.1 and 2.1, on real actors, over WebSockets whose two ends are different code."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio
import trio.testing
from ocpp_worlds import Directory, MemoryListener

from protocols.ocpp.client import StationEnd, open_central_system
from protocols.ocpp.dialect import Dialect
from protocols.ocpp.limits import Limits
from protocols.ocpp.server import serve_stations
from protocols.ocpp.v21 import V21
from protocols.ocpp.v201 import V201
from statecharts.station_commands import RemoteStartTransaction, RemoteStopTransaction
from statecharts.station_reports import (
    AuthorizeIdTag,
    BootAnswer,
    BootNotification,
    ConnectorStatus,
    IdTagAnswer,
    MeterSample,
    PlainReport,
    StatusNotification,
    TransactionEvent,
    TransactionEventKind,
)
from statecharts.station_session import remote_start_id
from statecharts.station_vocabulary import IdTagStatus
from statecharts.vocabulary import Acknowledgement
from tests.support.books import CARD
from tests.support.roaming import Roaming, two_operators

STARTED, UPDATED, ENDED = TransactionEventKind
EVERY_DIALECT = pytest.mark.parametrize("dialect", [V201, V21], ids=lambda dialect: dialect.subprotocol)


class Station:
    """A station of OCPP 2.x with two EVSEs, and the events that it tells."""

    def __init__(self, end: StationEnd, roaming: Roaming) -> None:
        self.end, self.roaming = end, roaming
        self.seq_no = 0

    async def boot(self) -> None:
        answer = await self.end.call(BootNotification(vendor="V", model="M", reason="PowerUp"))
        assert isinstance(answer, BootAnswer)
        for evse in (1, 2):
            await self.shows(evse, ConnectorStatus.AVAILABLE)

    async def shows(self, evse: int, status: ConnectorStatus) -> None:
        now = self.roaming.local.clock.now()
        said = StatusNotification(connector_id=evse, status=status, error_code="NoError", timestamp=now, plug_id=1)
        await self.end.call(said)

    async def tell(self, kind: TransactionEventKind, wh: int, **more: Any) -> IdTagStatus | None:
        """Tells the next event of its only transaction; what it is answered of the token in it."""
        now = self.roaming.local.clock.now()
        samples = (MeterSample(timestamp=now, value=str(wh)),)
        event = TransactionEvent(
            kind=kind,
            reference="5c1f4e2a-uuid",
            seq_no=self.seq_no,
            timestamp=now,
            **{"trigger": "ChargingStateChanged", "connector_id": 1, "samples": samples, **more},
        )
        self.seq_no += 1
        answer = await self.end.call(event)
        assert isinstance(answer, IdTagAnswer)
        return answer.id_tag_info and answer.id_tag_info.status


@asynccontextmanager
async def station_online(dialect: Dialect, nursery: trio.Nursery) -> AsyncIterator[Station]:
    """Two linked operators, and station CS01 of the second over a WebSocket."""
    listener, epochs = MemoryListener(), map("epoch{}".format, itertools.count(1))
    async with two_operators(nursery) as roaming:
        directory, door = Directory(password=None), roaming.local.stations
        serve = partial(serve_stations, [listener], directory=directory, door=door, limits=Limits())
        server = await nursery.start(partial(serve, epochs=lambda: next(epochs)))
        stream = await listener.connect()
        online = open_central_system("ws://cs/ocpp", "CS01", None, epoch="s", stream=stream, dialect=dialect)
        async with online as end:
            station = Station(end, roaming)
            await station.boot()
            yield station
        await server.close_all()


@EVERY_DIALECT
async def test_a_card_charges_at_a_station_of_2_x(
    dialect: Dialect, autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    async with station_online(dialect, nursery) as station:
        assert await station.end.call(AuthorizeIdTag(id_tag=CARD)) == await station.end.call(
            AuthorizeIdTag(id_tag=CARD)
        )
        await station.shows(1, ConnectorStatus.PREPARING)
        assert await station.tell(STARTED, 1_000, id_tag=CARD) is IdTagStatus.ACCEPTED
        await trio.sleep(60)
        assert await station.tell(UPDATED, 1_800, charging_state="Charging") is None
        await trio.sleep(60)
        assert await station.tell(ENDED, 2_500, stopped_reason="EVDisconnected") is None
        page = await station.roaming.local.operator.transactions(role="local", state=None, cursor=None, limit=9)
        (view,) = page.items
        assert (view.state, view.energy_wh, view.user_identifier, view.flags) == ("Settled", 1_500, CARD, ())


@EVERY_DIALECT
async def test_a_roaming_charge_is_started_and_stopped_from_its_home_at_a_station_of_2_x(
    dialect: Dialect, autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    async with station_online(dialect, nursery) as station:
        roaming = station.roaming
        charge = await roaming.ready()
        await roaming.start(charge)
        start = await station.end.next_command()
        assert start.command == RemoteStartTransaction(id_tag=charge.name, connector_id=1)
        await start.answer("Accepted")
        number = remote_start_id(charge.name)
        told = await station.tell(STARTED, 1_000, trigger="RemoteStart", id_tag=charge.name, remote_start_id=number)
        assert told is IdTagStatus.ACCEPTED
        await roaming.home.until(charge.source, "TxRunning")
        await trio.sleep(600)
        await station.tell(UPDATED, 5_000, charging_state="Charging")
        await roaming.stop(charge)
        stop = await station.end.next_command()
        assert stop.command == RemoteStopTransaction(transaction_id=0, reference="5c1f4e2a-uuid")
        await stop.answer("Accepted")
        await station.tell(ENDED, 9_000, trigger="RemoteStop", stopped_reason="Remote")
        await roaming.settled(charge)
        cdr = await roaming.same_cdr(charge)
        assert (cdr.energy_wh, cdr.flags) == (8_000, ())


async def test_a_send_of_2_1_is_kept_in_the_stations_log(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    payload = {"id": 1, "pending": 0, "basetime": "2026-03-01T12:00:00Z", "data": [{"t": 0, "v": "7"}]}
    async with station_online(V21, nursery) as station:
        report = PlainReport(action="NotifyPeriodicEventStream", payload=payload)
        assert await station.end.call(report) == Acknowledgement()
        await trio.sleep(1)
        log = await station.roaming.local.operator.station_log("CS01", kind=None, cursor=None, limit=9)
        assert [entry.kind for entry in log.items] == ["NotifyPeriodicEventStream"]
