"""What every store does with stations: a change is whole, or it is not; what was changed is found again."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import trio
from sqlalchemy import Connection, text

from actors.journal import Journal
from actors.records import StoreUnavailable
from statecharts.fleet import Member, Origin, StationRecord
from statecharts.standing import S
from statecharts.vocabulary import Refused
from tests.contracts.conftest import Backend
from tests.support.fleets import fleet_of, put, station_entry, station_record


async def test_a_station_is_found_again_as_it_was_written(journal: Journal) -> None:
    fleet = await fleet_of(journal)
    written = await put(fleet, station_record("CS\u00dc1"))
    again = await fleet_of(journal)
    assert list(again) == [written] == list(fleet)
    assert (written.origin, again.credentials("CS\u00dc1")) == (Origin.STORE, station_entry("x").credentials)
    assert again.places == fleet.places and set(again.places) == {"CS\u00dc1"}


async def test_the_newest_change_stands(journal: Journal) -> None:
    fleet = await fleet_of(journal)
    for state in (S.ACCEPTED, S.REJECTED, S.RETIRED):
        await put(fleet, station_record("CS01", state))
    (only,) = await fleet_of(journal)
    assert only.standing.state == S.RETIRED
    assert fleet.places == {} and fleet.credentials("CS01") is None


async def test_changes_at_one_moment_are_made_of_each_other(journal: Journal) -> None:
    fleet = await fleet_of(journal)
    await put(fleet, station_record("CS01", connectors=1))

    def one_more(member: Member | None) -> StationRecord:
        assert member is not None
        return station_record("CS01", connectors=member.entry.connectors + 1)

    async with trio.open_nursery() as nursery:
        for _ in range(9):
            nursery.start_soon(fleet.change, "CS01", one_more)
    (only,) = await fleet_of(journal)
    assert only.entry.connectors == 10


async def test_what_a_configuration_lists_stands_as_it_says_with_what_was_decided(journal: Journal) -> None:
    fleet = await fleet_of(journal)
    await put(fleet, station_record("CS01", S.REJECTED, connectors=9))
    (listed,) = await fleet_of(journal, station_entry("CS01", connectors=3))
    assert (listed.origin, listed.entry.connectors, listed.standing.state) == (Origin.FILE, 3, S.REJECTED)


async def test_a_station_that_leaves_the_configuration_is_ours_no_more(journal: Journal) -> None:
    fleet = await fleet_of(journal, station_entry("CS01"))
    await put(fleet, msgspec.structs.replace(station_record("CS01", S.REJECTED), own=None))
    assert list(await fleet_of(journal)) == []
    (back,) = await fleet_of(journal, station_entry("CS01"))
    assert back.standing.state == S.REJECTED


async def test_names_that_differ_by_case_alone_are_one_name(journal: Journal) -> None:
    fleet = await fleet_of(journal, station_entry("CS01"))
    with pytest.raises(Refused, match="name-taken"):
        await put(fleet, station_record("cs01"))
    assert [member.identity for member in fleet] == ["CS01"]


async def test_a_change_that_is_refused_changes_nothing(journal: Journal) -> None:
    fleet = await fleet_of(journal)
    before = await put(fleet, station_record("CS01"))

    def refuse(_: Member | None) -> StationRecord:
        raise StoreUnavailable("not now")

    with pytest.raises(StoreUnavailable):
        await fleet.change("CS01", refuse)
    assert list(fleet) == [before] == list(await fleet_of(journal))


async def test_a_change_outlives_its_node(backend: Backend, tmp_path: Path) -> None:
    if not backend.durable:
        pytest.skip("nothing outlives the memory of a process")
    async with backend.open(tmp_path) as journal:
        written = await put(await fleet_of(journal), station_record("CS01"))
    async with backend.open(tmp_path) as journal:
        assert list(await fleet_of(journal)) == [written]


def _retire(connection: Connection) -> None:
    connection.execute(text("UPDATE stations SET standing = 'Accepted'"))


async def test_a_station_whose_row_was_altered_waits_for_a_decision(journal: Journal) -> None:
    fleet = await fleet_of(journal, station_entry("CS01"))
    await put(fleet, msgspec.structs.replace(station_record("CS01", S.RETIRED), own=None))
    await put(fleet, station_record("CS02", S.RETIRED))
    await journal.store.write(_retire)
    (waits,) = await fleet_of(journal, station_entry("CS01"))
    assert (waits.identity, waits.standing.state) == ("CS01", S.PENDING)
    assert {each.stream for each in await journal.check()} == {"stations/CS01", "stations/CS02"}
