"""Actors that load from a snapshot: the same as from all their facts, and quickly where their stream is long."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgspec
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from actors import durable, station
from actors.durable import Form, Memory
from actors.records import History
from actors.transaction_kinds import DESTINATION, KINDS, LOCAL, SOURCE, Remembered
from statecharts.bounds import FACTS_AFTER_SNAPSHOT, Watermarks
from statecharts.flows import (
    destination_events,
    destination_flows,
    disordered,
    local_events,
    local_flows,
    source_events,
    source_flows,
)
from statecharts.station_reports import ConnectorStatus
from tests.support.books import CARD, actor, book, going_on, restarted
from tests.support.house import House, StationLine
from tests.support.roaming import Roaming

FORMS: dict[str, Form[Any]] = {kind.form.name: kind.form for kind in KINDS.values()} | {station.FORM.name: station.FORM}
SHAPES = {
    "source 1": "4fccf5f60c34cfaa",
    "destination 5": "07fffd3d1a53bd36",
    "local 5": "75c1418ff9de2a33",
    "station 5": "d182c2f3117a5fbb",
}
LIVES = {
    "source": (SOURCE, disordered(source_flows(), source_events())),
    "destination": (DESTINATION, disordered(destination_flows(), destination_events())),
    "local": (LOCAL, disordered(local_flows(), local_events())),
}


def shape(form: Form[Any]) -> str:
    """A fingerprint of everything that a snapshot of this form can hold; what is said about it does not count."""
    schema = without_words(msgspec.json.schema(form.type))
    return sha256(msgspec.json.encode(schema, order="deterministic")).hexdigest()[:16]


def without_words(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {key: without_words(value) for key, value in schema.items() if key not in ("description", "title")}
    return [without_words(each) for each in schema] if isinstance(schema, list) else schema


@pytest.fixture
def after_every_fact(monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot with each append."""
    monkeypatch.setattr(durable, "FACTS_AFTER_SNAPSHOT", replace(FACTS_AFTER_SNAPSHOT, limit=1))


async def remembered(house: House, stream: str) -> tuple[Any, Any, int]:
    """What a stream amounts to by its snapshot and by all its facts, and how many facts the first way reads."""
    found = house.context.system.actor(stream)
    form = found.kind.form if hasattr(found, "kind") else station.FORM
    fold = found._fold if hasattr(found, "kind") else station._fold

    class WithoutSnapshots:
        async def history(self, stream: str, form: str | None) -> History:
            return await house.journal.history(stream, None)

    short, _ = await Memory(form, Watermarks()).recall(house.journal, stream, fold)
    whole, _ = await Memory(form, Watermarks()).recall(WithoutSnapshots(), stream, fold)
    return short, whole, len((await house.journal.history(stream, form.name)).facts)


# -- forms -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMS)
def test_a_form_that_changes_its_shape_changes_its_name(name: str) -> None:
    """Snapshots of the old shape are never read as the new one. Here: give the form its next number, then its shape."""
    assert SHAPES[name] == shape(FORMS[name])


@pytest.mark.parametrize("name", LIVES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_whatever_a_transaction_remembers_comes_back_from_its_snapshot_unchanged(
    name: str, data: st.DataObject
) -> None:
    kind, flows = LIVES[name]
    now = kind.form.blank.data
    for event in data.draw(flows):
        now = kind.chart.step(now, event).data
        kept = Remembered(data=now, correlation_id="c")
        assert msgspec.json.decode(msgspec.json.encode(kept), type=kind.form.type) == kept


# -- lives -------------------------------------------------------------------------------------------------------------


async def test_a_charge_whose_nodes_load_from_snapshots_all_the_way_is_settled_with_one_record(
    after_every_fact: None, autojump_clock: object, roaming: Roaming
) -> None:
    charge = await roaming.running()
    await roaming.down_time(roaming.home, 5)
    await roaming.down_time(roaming.local, 5)
    await roaming.station.come_online()
    await roaming.station.meter(charge.number, 2_000)
    await roaming.down_time(roaming.local, 5)
    await roaming.station.come_online()
    await roaming.station.stop(charge.number, 3_000)
    await roaming.settled(charge)
    assert (await roaming.same_cdr(charge)).energy_wh == 2_000
    for house, stream in (
        (roaming.home, charge.source),
        (roaming.local, charge.destination),
        (roaming.local, f"station/{roaming.station.identity}"),
    ):
        short, whole, read = await remembered(house, stream)
        assert short == whole
        assert read == 0
    assert await roaming.home.journal.check() == await roaming.local.journal.check() == ()


async def test_a_station_of_many_facts_loads_from_the_last_few(autojump_clock: object, line: StationLine) -> None:
    number = (await line.start(CARD)).transaction_id
    for _ in range(FACTS_AFTER_SNAPSHOT.limit):
        await line.status(2, ConnectorStatus.PREPARING)
        await line.status(2, ConnectorStatus.AVAILABLE)
    short, whole, read = await remembered(line.house, f"station/{line.identity}")
    assert short == whole
    assert 0 < read < FACTS_AFTER_SNAPSHOT.limit
    async with trio.open_nursery() as nursery:
        again = await restarted(line, nursery)
        assert await going_on(again) == [number]
        assert (await book(again))[number].start.id_tag == CARD
        nursery.cancel_scope.cancel()


async def test_the_next_snapshot_is_due_that_many_facts_after_the_one_loaded_from() -> None:
    memory = Memory(station.FORM, Watermarks())

    class Loaded:
        async def history(self, stream: str, form: str | None) -> History:
            return History(facts=(), snapshot=durable.Snapshot(seq=1_000, form=station.FORM.name, data=b"{}"))

    assert (await memory.recall(Loaded(), "station/CS01", station._fold))[1] == 1_000
    limit = FACTS_AFTER_SNAPSHOT.limit
    due = [seq for seq in range(1_001, 1_001 + 2 * limit) if memory.snapshot(seq, station.FORM.blank)]
    assert due == [1_000 + limit, 1_000 + 2 * limit]


async def test_a_snapshot_that_does_not_fit_its_form_is_passed_over(
    after_every_fact: None, autojump_clock: object, line: StationLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = f"station/{line.identity}"
    _, whole, read = await remembered(line.house, stream)
    assert read == 0

    class Other(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        registration: int

    strange: Form[Any] = Form(station.FORM.name, Other, station.FORM.blank)
    assert await Memory(strange, Watermarks()).recall(line.house.journal, stream, station._fold) == (
        whole,
        actor(line).seq,
    )
