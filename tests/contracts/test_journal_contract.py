"""What every journal promises to its actors, whatever database it lies in."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import msgspec
import pytest
import trio
from sqlalchemy import event
from sqlalchemy.engine import Engine

from actors import tables
from actors.journal import Journal
from actors.outbox import Outbox
from actors.records import (
    Alias,
    AliasTaken,
    Append,
    Appended,
    NewFact,
    StoreError,
    StoreTaken,
    StoreUnavailable,
    StreamConflict,
    StreamCorrupt,
)
from tests.contracts.conftest import Backend
from tests.contracts.samples import NOON, append, delivery, entry, execute, fact, view

ALIAS = Alias(scope="source-authorization/IE-001", name="0A1B2C3D4E5F")


async def together(journal: Journal, *appends: Append) -> list[Appended | StoreError]:
    """Appends all of them at once, so that they share a commit, and returns what became of each."""
    outcomes: dict[int, Appended | StoreError] = {}

    async def one(number: int) -> None:
        try:
            outcomes[number] = await journal.append(appends[number])
        except StoreError as error:
            outcomes[number] = error

    async with trio.open_nursery() as nursery:
        for number in range(len(appends)):
            nursery.start_soon(one, number)
    return [outcomes[number] for number in range(len(appends))]


# -- appending and loading ---------------------------------------------------------------------------------------------


async def test_facts_are_loaded_as_they_were_appended(journal: Journal) -> None:
    odd = NewFact(
        type="Ünder/\0", from_state="", to_state="\N{ELECTRIC PLUG}", at=NOON.replace(microsecond=1), data=b"\xff\0"
    )
    first = await journal.append(Append(stream="source/1", after_seq=0, facts=(odd, fact("b"))))
    second = await journal.append(append("source/1", 2, "c"))
    facts = await journal.load("source/1")
    assert [(each.seq, each.data) for each in facts] == [(1, b"\xff\0"), (2, b'"b"'), (3, b'"c"')]
    loaded = facts[0]
    assert (loaded.type, loaded.from_state, loaded.to_state, loaded.at) == (
        odd.type,
        odd.from_state,
        odd.to_state,
        odd.at,
    )
    assert (facts[1].position, facts[2].position) == (first.position, second.position)


async def test_an_unknown_stream_is_empty(journal: Journal) -> None:
    assert await journal.load("source/never") == ()


async def test_positions_order_all_streams(journal: Journal) -> None:
    stored = [await journal.append(append(f"source/{number}")) for number in (3, 1, 2)]
    positions = [each.position for each in stored]
    assert positions == sorted(set(positions))


async def test_an_append_without_facts_stands_at_the_streams_last_position(journal: Journal) -> None:
    stored = await journal.append(append())
    assert await journal.append(Append(stream="source/1", after_seq=1, facts=(), view=view())) == stored
    assert (await journal.append(Append(stream="source/2", after_seq=0, facts=()))).position == 0


async def test_a_writer_that_is_behind_or_ahead_is_told_and_writes_nothing(journal: Journal) -> None:
    await journal.append(append("source/1", 0, "a", "b"))
    for seq in (0, 1, 3):
        with pytest.raises(StreamConflict, match="source/1 ends at seq 2"):
            await journal.append(append("source/1", seq, "c", deliveries=(delivery("lost"),)))
    assert len(await journal.load("source/1")) == 2
    assert await Outbox(journal.store).peers_with_pending() == ()


async def test_a_hundred_writers_at_once_each_keep_their_own_stream(journal: Journal) -> None:
    async def actor(stream: str) -> None:
        for seq in range(10):
            await journal.append(append(stream, seq, f"{stream} {seq}"))

    async with trio.open_nursery() as nursery:
        for number in range(100):
            nursery.start_soon(actor, f"station/{number}")
    for number in (0, 57, 99):
        facts = await journal.load(f"station/{number}")
        assert [each.data.decode() for each in facts] == [f'"station/{number} {seq}"' for seq in range(10)]
    assert await journal.check() == ()


async def test_one_commit_may_carry_several_appends_of_a_stream(journal: Journal) -> None:
    outcomes = await together(journal, append("source/1", 0, "a"), append("source/2", 0), append("source/1", 0, "b"))
    assert sorted(type(outcome) for outcome in outcomes if isinstance(outcome, StoreError)) == [StreamConflict]
    assert len(await journal.load("source/1")) == 1


# -- names -------------------------------------------------------------------------------------------------------------


async def test_an_alias_finds_its_stream_within_its_scope_only(journal: Journal) -> None:
    await journal.append(append(aliases=(ALIAS,)))
    assert await journal.find(ALIAS.scope, ALIAS.name) == "source/1"
    assert await journal.find("source-authorization/NL-MOT", ALIAS.name) is None


async def test_a_taken_alias_fails_its_append_whole_and_no_other_of_the_commit(journal: Journal) -> None:
    await journal.append(append("source/1", aliases=(ALIAS,)))
    taken = append("source/2", aliases=(ALIAS,), deliveries=(delivery("m"),), ledger=(entry(),), view=view(2))
    good, bad, other = await together(journal, append("source/3"), taken, append("source/4"))
    assert isinstance(good, Appended)
    assert isinstance(other, Appended)
    assert isinstance(bad, AliasTaken)
    assert bad.alias == ALIAS
    assert await journal.load("source/2") == ()
    assert await journal.find(ALIAS.scope, ALIAS.name) == "source/1"
    assert await Outbox(journal.store).peers_with_pending() == ()


async def test_of_two_claims_of_one_alias_in_one_commit_one_wins(journal: Journal) -> None:
    outcomes = await together(journal, append("source/1", aliases=(ALIAS,)), append("source/2", aliases=(ALIAS,)))
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["AliasTaken", "Appended"]


async def test_a_stream_may_claim_its_own_alias_again(journal: Journal) -> None:
    await journal.append(append(aliases=(ALIAS,)))
    await journal.append(append("source/1", 1, aliases=(ALIAS,)))
    assert await journal.find(ALIAS.scope, ALIAS.name) == "source/1"


async def test_a_cdr_id_belongs_to_one_stream_for_ever(journal: Journal) -> None:
    await journal.append(append("destination/1", ledger=(entry("IE-001/A"),)))
    with pytest.raises(AliasTaken, match="cdr/destination/IE-001/A is taken"):
        await journal.append(append("destination/2", ledger=(entry("IE-001/A"),)))
    await journal.append(append("source/1", ledger=(entry("IE-001/A", role="source"),)))


async def test_a_message_is_owed_once_for_ever(journal: Journal) -> None:
    await journal.append(append(deliveries=(delivery("notify/1"),)))
    with pytest.raises(AliasTaken, match="delivery/notify/1 is taken"):
        await journal.append(append("source/1", 1, deliveries=(delivery("notify/1"),)))


async def test_deliveries_come_back_numbered_in_the_order_given(journal: Journal) -> None:
    stored = await journal.append(append(deliveries=(delivery("b"), delivery("a"), delivery("c"))))
    assert [each.message_id for each in stored.deliveries] == ["b", "a", "c"]
    assert len({each.id for each in stored.deliveries}) == 3
    assert all(each.next_at == NOON and each.attempts == 0 for each in stored.deliveries)


async def test_a_value_that_cannot_be_stored_fails_its_append_alone(journal: Journal) -> None:
    unwritable = append("source/1", 0, aliases=(Alias(scope="s", name="\ud800"),))
    naive = Append(stream="source/2", after_seq=0, facts=(msgspec.structs.replace(fact(), at=datetime(2025, 3, 1)),))
    good, *bad = await together(journal, append("source/3"), unwritable, naive)
    assert isinstance(good, Appended)
    assert [str(error).partition(":")[0] for error in bad] == ["source/1", "source/2"]
    assert await journal.load("source/1") == await journal.load("source/2") == ()


# -- recovery ----------------------------------------------------------------------------------------------------------


async def test_live_streams_are_the_transactions_of_a_role_that_are_not_final(journal: Journal) -> None:
    await journal.append(append("source/2", view=view(2)))
    await journal.append(append("source/1", view=view(1)))
    await journal.append(append("source/3", view=view(3), final=True))
    await journal.append(append("destination/4", view=view(4, role="destination")))
    assert await journal.live_streams("source") == ("source/1", "source/2")
    await journal.append(append("source/1", 1, view=view(1), final=True))
    assert await journal.live_streams("source") == ("source/2",)


async def test_opened_again_it_goes_on_where_it_ended(backend: Backend, tmp_path: Path) -> None:
    if not backend.durable:
        pytest.skip("a store in memory ends with its process")
    async with backend.open(tmp_path) as journal:
        await journal.append(append("source/1", 0, "a", aliases=(ALIAS,), deliveries=(delivery("m"),)))
    async with backend.open(tmp_path) as journal:
        await journal.append(append("source/1", 1, "b"))
        assert [each.data for each in await journal.load("source/1")] == [b'"a"', b'"b"']
        assert await journal.find(ALIAS.scope, ALIAS.name) == "source/1"
        assert await Outbox(journal.store).peers_with_pending() == ("IE-001",)
        assert await journal.check() == ()


async def test_another_writer_of_the_same_database_is_noticed(backend: Backend, tmp_path: Path) -> None:
    if not backend.durable:
        pytest.skip("a store in memory has one process only")
    if backend.exclusive:
        pytest.skip("nobody else may write to it: the next test")
    async with backend.open(tmp_path) as ours, backend.open(tmp_path) as theirs:
        await ours.append(append("source/1", 0, "ours"))
        await theirs.append(append("source/1", 1, "theirs"))
        with pytest.raises(StreamConflict):
            await ours.append(append("source/1", 1, "ours again"))
        await ours.append(append("source/1", 2, "ours, loaded again"))
        assert [each.data for each in await theirs.load("source/1")] == [
            b'"ours"',
            b'"theirs"',
            b'"ours, loaded again"',
        ]


async def test_a_database_that_one_node_has_is_refused_to_all_others(backend: Backend, tmp_path: Path) -> None:
    if not backend.exclusive:
        pytest.skip("its folder is locked instead")
    async with backend.open(tmp_path) as ours:
        with pytest.raises(StoreTaken, match=r"another node runs on this database: session \d+"):
            async with backend.open(tmp_path):
                pass
        await ours.append(append("source/1", 0, "ours"))
    async with backend.open(tmp_path) as theirs:
        assert len(await theirs.load("source/1")) == 1


# -- cancellation and the end ------------------------------------------------------------------------------------------


async def test_a_cancelled_append_is_whole_or_absent(journal: Journal) -> None:
    for number in range(20):
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(
                    journal.append, append(f"source/{number}", 0, "a", "b", deliveries=(delivery(str(number)),))
                )
                for _ in range(number):
                    await trio.lowlevel.checkpoint()
                scope.cancel()
    await journal.append(append("source/last"))
    owing = await journal.store.read(_message_ids)
    for number in range(20):
        facts = await journal.load(f"source/{number}")
        assert len(facts) == (2 if str(number) in owing else 0)
    assert await journal.check() == ()


async def test_an_append_after_the_end_is_refused(backend: Backend, tmp_path: Path) -> None:
    async with backend.open(tmp_path) as journal:
        pass
    with pytest.raises(StoreUnavailable, match="closed"):
        await journal.append(append())


async def test_appends_still_waiting_at_the_end_are_refused_or_durable(backend: Backend, tmp_path: Path) -> None:
    outcomes: list[str] = []

    async def one(journal: Journal, stream: str) -> None:
        try:
            await journal.append(append(stream))
            outcomes.append(stream)
        except StoreUnavailable:
            outcomes.append("refused")

    async with trio.open_nursery() as nursery, backend.open(tmp_path) as journal:
        for number in range(50):
            nursery.start_soon(one, journal, f"source/{number}")
        await trio.lowlevel.checkpoint()
    assert len(outcomes) == 50
    if backend.durable:
        async with backend.open(tmp_path) as journal:
            for stream in set(outcomes) - {"refused"}:
                assert len(await journal.load(stream)) == 1


# -- a full disk -------------------------------------------------------------------------------------------------------


class SmallDisk:
    """Caps the pages of every SQLite database opened while it is in use."""

    def __init__(self) -> None:
        self.pages_max = 1_000_000_000
        self.connections: list[object] = []

    def __enter__(self) -> SmallDisk:
        event.listen(Engine, "connect", self._connected)
        return self

    def __exit__(self, *_: object) -> None:
        event.remove(Engine, "connect", self._connected)

    def resize(self, pages_max: int) -> None:
        self.pages_max = pages_max
        for connection in self.connections:
            self._cap(connection)

    def _connected(self, connection: object, _record: object) -> None:
        self.connections.append(connection)
        self._cap(connection)

    def _cap(self, connection: object) -> None:
        try:
            connection.execute(f"PRAGMA max_page_count={self.pages_max}")
        except Exception as error:
            assert "closed database" in str(error)


async def test_on_a_full_disk_nothing_is_acknowledged_and_with_space_it_goes_on(
    backend: Backend, tmp_path: Path
) -> None:
    if not backend.url.startswith("sqlite"):
        pytest.skip("another database's disk cannot be made small from here")
    with SmallDisk() as disk:
        async with backend.open(tmp_path) as journal:
            await journal.append(append("source/1", 0, "before"))
            disk.resize(1)
            large = append("source/2", 0, *["x" * 1_000] * 500, deliveries=(delivery("m"),))
            for _ in range(3):
                refused = await together(journal, append("source/1", 1, "y" * 200_000), large)
                assert [type(outcome) for outcome in refused] == [StoreUnavailable] * 2
            assert [each.data for each in await journal.load("source/1")] == [b'"before"']
            assert await journal.load("source/2") == ()
            disk.resize(1_000_000_000)
            assert len((await journal.append(large)).deliveries) == 1
            await journal.append(append("source/1", 1, "after"))
            assert len(await journal.load("source/2")) == 500
            assert await journal.check() == ()


# -- damage ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "column", ["type", "from_state", "to_state", "at", "data", "checksum", "stream", "seq", "position"]
)
async def test_an_altered_fact_is_noticed_and_never_given(journal: Journal, column: str) -> None:
    await journal.append(append("source/1", 0, "a", "b", "c"))
    await journal.append(append("source/2", 0, "untouched"))
    await journal.store.write(_alter_journal, column)
    with pytest.raises(StreamCorrupt) as caught:
        await journal.load("source/1")
    assert (caught.value.stream, caught.value.seq) == ("source/1", 2)
    assert len(await journal.load("source/2")) == 1
    assert "source/1" in {finding.stream for finding in await journal.check()}


async def test_a_missing_fact_is_noticed(journal: Journal) -> None:
    await journal.append(append("source/1", 0, "a", "b", "c"))
    await journal.store.write(lambda connection: connection.exec_driver_sql("DELETE FROM journal WHERE seq = 2"))
    with pytest.raises(StreamCorrupt, match="seq 2: seq 2 is missing"):
        await journal.load("source/1")
    assert (await journal.check())[0].reason == "seq 2 is missing"


async def test_an_altered_alias_is_noticed(journal: Journal) -> None:
    await journal.append(append(aliases=(ALIAS,)))
    await journal.store.write(lambda connection: connection.exec_driver_sql("UPDATE aliases SET stream = 'source/2'"))
    with pytest.raises(StreamCorrupt, match="0A1B2C3D4E5F"):
        await journal.find(ALIAS.scope, ALIAS.name)
    assert [finding.stream for finding in await journal.check()] == [f"aliases/{ALIAS.scope}/{ALIAS.name}"]


def _message_ids(connection):
    return set(connection.scalars(tables.deliveries.select().with_only_columns(tables.deliveries.c.message_id)))


def _alter_journal(connection, column: str) -> None:
    altered = {"at": '"at" + 1', "seq": "40", "position": "0", "stream": "'source/9'"}
    value = altered.get(column, f"CAST({column} || '!' AS {'BLOB' if column in ('data', 'checksum') else 'TEXT'})")
    execute(connection, f"UPDATE journal SET \"{column}\" = {value} WHERE stream = 'source/1' AND seq = 2")
