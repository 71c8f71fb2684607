"""A station's connectors and charges with its real actor, journal and local transactions, against a plain model."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, TypeVar

import msgspec
import trio
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import Connection, select

from actors import tables
from statecharts.station_reports import BootNotification, ConnectorStatus, StartTransaction, StopTransaction
from tests.models.efforts import effort
from tests.models.plain_station import CARD, PlainStation
from tests.models.stage import Stage
from tests.support.books import STRANGER, free, local, orphans
from tests.support.house import StationLine, open_house

CONNECTORS = st.sampled_from((1, 2))
TAGS = st.sampled_from((CARD, STRANGER))
GROWTH = st.integers(0, 500)
T = TypeVar("T")
WHICH = st.sampled_from((0, 0, 1, 2))


@asynccontextmanager
async def opened(nursery: trio.Nursery) -> AsyncIterator[tuple[StationLine, trio.Nursery]]:
    async with open_house("IE-001", nursery) as house:
        line = StationLine(house, "CS01")
        await line.come_online()
        yield line, nursery


def _changes(connection: Connection) -> list[tuple[str, Any]]:
    rows = connection.execute(select(tables.journal).where(tables.journal.c.stream == "station/CS01")).mappings()
    return [(row["type"], msgspec.json.decode(row["data"])) for row in rows]


class StationLife(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.stage = Stage(opened)
        self.line, self.nursery = self.stage.world
        self.model = PlainStation()
        self.registers = {1: 1_000, 2: 1_000}
        self.starts: list[tuple[StartTransaction, int]] = []
        self.stops: list[tuple[StopTransaction, int]] = []

    def say(self, report: Any) -> Any:
        """A second later the station reports; nothing that it reports is refused."""
        answer = self.stage.step(self.line.say, report)
        self.stage.wait(1)
        return answer

    def now(self) -> datetime:
        return self.stage.step(self._now)

    async def _now(self) -> datetime:
        return self.line.house.clock.now()

    def register(self, connector_id: int, growth: int) -> int:
        self.registers[connector_id] += growth
        return self.registers[connector_id]

    def known(self, said: list[tuple[T, int]]) -> list[tuple[T, int]]:
        """What was said of the charges that are still in the book."""
        return [(report, number) for report, number in said if number in self.model.charges]

    def number(self, which: int) -> int:
        return [*self.model.charges][-1 - which % len(self.model.charges)]

    # -- connectors ----------------------------------------------------------------------------------------------------

    @rule(connector=CONNECTORS, status=st.sampled_from(ConnectorStatus))
    def it_shows(self, connector: int, status: ConnectorStatus) -> None:
        self.stage.step(self.line.status, connector, status)
        self.model.connectors[connector].say(str(status))

    @rule()
    def it_boots(self) -> None:
        self.say(BootNotification(vendor="V", model="M"))

    @rule(boot=st.booleans())
    def its_node_restarts(self, boot: bool) -> None:
        self.stage.step(self._restart)
        if boot:
            self.it_boots()

    async def _restart(self) -> None:
        await self.line.house.restart(self.nursery)
        self.line = StationLine(self.line.house, "CS01")
        await self.line.come_online(boot=False)

    # -- charges -------------------------------------------------------------------------------------------------------

    @rule(connector=CONNECTORS, id_tag=TAGS)
    def it_starts(self, connector: int, id_tag: str) -> None:
        now, wh = self.now(), self.registers[connector]
        start = StartTransaction(connector_id=connector, id_tag=id_tag, meter_start_wh=wh, timestamp=now)
        answer = self.say(start)
        assert answer.transaction_id > 0 and answer.transaction_id not in self.model.charges
        assert answer.id_tag_info.status == ("Accepted" if id_tag == CARD else "Invalid")
        self.starts.append((start, answer.transaction_id))
        self.model.started(answer.transaction_id, connector, id_tag, wh, now.timestamp())

    @precondition(lambda self: self.known(self.starts))
    @rule(which=WHICH)
    def a_start_comes_again(self, which: int) -> None:
        starts = self.known(self.starts)
        start, number = starts[-1 - which % len(starts)]
        answer = self.say(start)
        assert answer.transaction_id == number
        assert answer.id_tag_info.status == ("Accepted" if start.id_tag == CARD else "Invalid")

    @precondition(lambda self: self.starts)
    @rule(which=WHICH, growth=GROWTH)
    def it_meters(self, which: int, growth: int) -> None:
        number = self.number(which)
        wh = self.register(self.model.charges[number].connector_id, growth)
        self.stage.step(self.line.meter, number, wh)
        self.model.metered(number, wh)

    @precondition(lambda self: self.starts)
    @rule(which=WHICH, growth=GROWTH)
    def it_stops(self, which: int, growth: int) -> None:
        """A charge that goes on, or one that is over already."""
        number = self.number(which)
        wh = self.register(self.model.charges[number].connector_id, growth)
        stop = StopTransaction(transaction_id=number, meter_stop_wh=wh, timestamp=self.now())
        self.say(stop)
        self.stops.append((stop, number))
        self.model.stopped(number, wh)

    @rule(id_tag=st.none() | TAGS, connector=CONNECTORS, growth=GROWTH)
    def it_stops_what_has_no_number(self, id_tag: str | None, connector: int, growth: int) -> None:
        """OCPP 1.6 errata 3.18: a station that never learned the number says -1."""
        wh = self.register(connector, growth)
        number = self.model.meant(id_tag, wh)
        stop = StopTransaction(transaction_id=-1, meter_stop_wh=wh, timestamp=self.now(), id_tag=id_tag)
        self.say(stop)
        if number:
            self.stops.append((stop, number))
            self.model.stopped(number, wh)
        else:
            self.model.orphans += 1

    @precondition(lambda self: self.known(self.stops))
    @rule(which=WHICH)
    def a_stop_comes_again(self, which: int) -> None:
        """It has ended what it ended: nothing changes."""
        stops = self.known(self.stops)
        stop, _ = stops[-1 - which % len(stops)]
        self.say(stop)

    # -- what holds ----------------------------------------------------------------------------------------------------

    @invariant()
    def connectors_are_what_the_station_said(self) -> None:
        data = self.stage.step(self.line.house.data, "station/CS01").data
        shown = {n: (data.evses[n].state, data.evses[n].surprises) for n in (1, 2)}
        assert shown == {n: (c.status, c.surprises) for n, c in self.model.connectors.items()}

    @invariant()
    def the_book_is_the_models_and_a_connector_is_free_where_it_says_so(self) -> None:
        book = self.stage.step(self.line.house.data, "station/CS01").data.charges
        shown = {n: (c.start.connector_id, c.open) for n, c in book.items()}
        assert shown == {n: (c.connector_id, c.open) for n, c in self.model.charges.items()}
        assert self.stage.step(free, self.line) == self.model.free

    @invariant()
    def at_no_time_did_two_charges_go_on_at_one_connector(self) -> None:
        going_on: dict[int, int] = {}
        for kind, said in self.stage.step(self.line.house.journal.store.read, _changes):
            if kind == "ChargeOpened":
                connector = said["start"]["connector_id"]
                assert connector not in going_on.values()
                going_on[said["number"]] = connector
            elif kind == "ChargeClosed":
                going_on.pop(said["number"], None)

    @invariant()
    def stops_that_mean_nothing_are_kept(self) -> None:
        assert len(self.stage.step(orphans, self.line)) == self.model.orphans

    def teardown(self) -> None:
        try:
            if sys.exception() is None:
                self.come_to_an_end()
        finally:
            self.stage.close()

    def come_to_an_end(self) -> None:
        """Each charge has the energy that its meter showed, and what was never stopped goes on."""
        for number, charge in self.model.charges.items():
            data = self.stage.step(local, self.line, number)
            assert (data.state == "Settled") == (not charge.open)
            assert charge.open or data.charge.energy_wh == charge.energy_wh


TestStationLife = StationLife.TestCase
TestStationLife.settings = effort(lives=15, steps=30)
