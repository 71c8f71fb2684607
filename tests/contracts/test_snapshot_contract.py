"""What every journal does with snapshots: a short cut to what the facts say, never another truth."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from actors import tables
from actors.journal import Journal
from actors.records import Snapshot, StoreError, StreamConflict, StreamCorrupt
from tests.contracts.samples import append

FORM = "tally 1"


def snapshot(seq: int, data: bytes = b"{}") -> Snapshot:
    return Snapshot(seq=seq, form=FORM, data=data)


async def filled(journal: Journal) -> None:
    """Three facts, a snapshot with the third, two facts more."""
    await journal.append(append("source/1", 0, "a", "b", "c", snapshot=snapshot(3, b"abc")))
    await journal.append(append("source/1", 3, "d", "e"))


async def test_a_stream_is_read_from_its_snapshot_on(journal: Journal) -> None:
    await filled(journal)
    history = await journal.history("source/1", FORM)
    assert history.snapshot == snapshot(3, b"abc")
    assert history.facts == (await journal.load("source/1"))[3:]
    assert [fact.seq for fact in history.facts] == [4, 5]
    assert await journal.check() == ()


async def test_without_a_snapshot_of_that_form_all_facts_are_read(journal: Journal) -> None:
    await filled(journal)
    for form in ("tally 2", None):
        history = await journal.history("source/1", form)
        assert (history.snapshot, len(history.facts)) == (None, 5)
    assert (await journal.history("source/2", FORM)).facts == ()


async def test_a_newer_snapshot_takes_the_place_of_the_older(journal: Journal) -> None:
    await filled(journal)
    await journal.append(append("source/1", 5, "f", snapshot=snapshot(6, b"abcdef")))
    history = await journal.history("source/1", FORM)
    assert (history.snapshot, history.facts) == (snapshot(6, b"abcdef"), ())
    assert await journal.check() == ()


async def test_a_refused_append_leaves_no_snapshot(journal: Journal) -> None:
    await filled(journal)
    with pytest.raises(StreamConflict):
        await journal.append(append("source/1", 3, "x", snapshot=snapshot(4, b"never")))
    assert (await journal.history("source/1", FORM)).snapshot == snapshot(3, b"abc")


async def test_a_snapshot_that_is_not_of_the_end_of_its_append_is_refused(journal: Journal) -> None:
    with pytest.raises(StoreError, match="snapshot"):
        await journal.append(append("source/1", 0, "a", "b", snapshot=snapshot(1)))
    assert await journal.load("source/1") == ()


@pytest.mark.parametrize("changed", [{"data": b"abX"}, {"seq": 2}, {"tip": b"other"}, {"position": 99}])
async def test_an_altered_snapshot_is_not_used_and_is_found(journal: Journal, changed: dict[str, object]) -> None:
    await filled(journal)
    await journal.store.write(lambda connection: connection.execute(update(tables.snapshots).values(**changed)))
    history = await journal.history("source/1", FORM)
    assert (history.snapshot, [fact.seq for fact in history.facts]) == (None, [1, 2, 3, 4, 5])
    assert [finding.stream for finding in await journal.check()] == ["snapshots/source/1"]


async def test_an_altered_fact_after_the_snapshot_is_never_read(journal: Journal) -> None:
    await filled(journal)
    altered = update(tables.journal).where(tables.journal.c.seq == 4).values(data=b'"x"')
    await journal.store.write(lambda connection: connection.execute(altered))
    with pytest.raises(StreamCorrupt) as caught:
        await journal.history("source/1", FORM)
    assert caught.value.seq == 4


async def test_a_snapshot_without_its_fact_is_found(journal: Journal) -> None:
    await filled(journal)
    cut = tables.journal.delete().where(tables.journal.c.seq >= 3)
    await journal.store.write(lambda connection: connection.execute(cut))
    (finding,) = await journal.check()
    assert "snapshot" in finding.reason and finding.stream == "source/1"
