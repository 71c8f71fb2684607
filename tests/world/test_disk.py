"""A disk of a world keeps what was durable when a node died, loses what was not, and its damage is noticed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
import trio
from sqlalchemy import event, text

from actors.journal import Journal
from actors.records import StoreUnavailable, StreamCorrupt
from tests.contracts.samples import StoppedClock, append
from tests.world.disk import Disk, Memory, empty_image
from tests.world.faults import Faults, Point, WriteFate
from tests.world.ground import Ground, Life
from tests.world.history import Committed, NodeCrashed, RowDamaged, RowsLost


class Dying(Faults):
    """The node dies when something of this kind happens to it for the n-th time from now on."""

    images_kept = 4

    def __init__(self) -> None:
        super().__init__()
        self.kind, self.n = "", 0
        self.fate = WriteFate()

    def at(self, point: Point) -> bool:
        self.n -= point.kind == self.kind
        return point.kind == self.kind and self.n == 0

    def of_write(self, node: str) -> WriteFate:
        return self.fate


class Scene:
    """A disk and the lives that write on it."""

    def __init__(self) -> None:
        nothing_travels: Any = None
        self.faults = Dying()
        self.ground = Ground(0, nothing_travels, self.faults)
        self.disk = Disk(self.ground, "NL-MOT")
        self.life = Life(self.ground, "NL-MOT", 0)

    async def live(self, work: Callable[[Journal], Any]) -> Any:
        """What `work(journal)` gives in a new life of the node; None where the node died of it."""
        life = self.life = Life(self.ground, "NL-MOT", 1)
        try:
            with life.scope:
                async with self.disk.open(life, clock=StoppedClock()) as journal:
                    return await work(journal)
        except Exception:
            if life.alive:
                raise
        return None

    def die(self, kind: str, n: int = 1) -> None:
        self.faults.kind, self.faults.n = kind, n

    async def facts(self, stream: str = "source/1") -> list[bytes]:
        async def load(journal: Journal) -> list[bytes]:
            return [fact.data for fact in await journal.load(stream)]

        found: list[bytes] = await self.live(load)
        return found


@pytest.fixture
def scene() -> Iterator[Scene]:
    scene = Scene()
    yield scene
    scene.disk.close()


async def test_what_was_not_durable_when_the_node_died_is_not_there(scene: Scene) -> None:
    async def write(journal: Journal) -> None:
        await journal.append(append("source/1", 0, "a"))
        scene.die("writing")
        await journal.append(append("source/1", 1, "b"))
        raise AssertionError("nobody may hear of it")

    assert await scene.live(write) is None
    assert await scene.facts() == [b'"a"']
    assert [sight.point for sight in scene.ground.history.of(NodeCrashed)] == ["writing"]


async def test_what_was_durable_when_the_node_died_is_there_and_nobody_has_heard_of_it(scene: Scene) -> None:
    async def write(journal: Journal) -> None:
        scene.die("written")
        await journal.append(append("source/1", 0, "a"))
        raise AssertionError("nobody may hear of it")

    assert await scene.live(write) is None
    assert await scene.facts() == [b'"a"']
    assert [sight.stream for sight in scene.ground.history.of(Committed)] == ["source/1"]


async def test_a_node_that_does_not_let_its_disk_sync_loses_in_a_crash_what_it_was_told_to_be_durable(
    scene: Scene,
) -> None:
    def lazily(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA synchronous=NORMAL")

    async def write(journal: Journal) -> None:
        await journal.append(append("source/1", 0, "a"))
        scene.life.crash()
        await trio.lowlevel.checkpoint()

    writer = scene.disk._memory.database.writer
    event.listen(writer, "connect", lazily)
    assert await scene.live(write) is None
    event.remove(writer, "connect", lazily)
    assert await scene.facts() == []


async def test_a_dead_node_neither_writes_nor_reads(scene: Scene) -> None:
    async def write(journal: Journal) -> None:
        await journal.append(append("source/1", 0, "a"))
        scene.life.end()
        with trio.CancelScope(shield=True):
            for forbidden in (journal.store.write, journal.store.read):
                with pytest.raises(StoreUnavailable, match="dead"):
                    await forbidden(lambda connection: connection.execute(text("DELETE FROM journal")))

    assert await scene.live(write) is None
    assert await scene.facts() == [b'"a"']


@pytest.mark.parametrize("said", ["database or disk is full", "disk I/O error"])
async def test_a_write_that_the_disk_refuses_leaves_nothing_and_later_ones_go_on(scene: Scene, said: str) -> None:
    async def write(journal: Journal) -> None:
        scene.faults.fate = WriteFate(error=sqlite3.OperationalError(said))
        with pytest.raises(StoreUnavailable, match=said):
            await journal.append(append("source/1", 0, "a"))
        scene.faults.fate = WriteFate()
        await journal.append(append("source/1", 0, "b"))

    assert await scene.live(write) is None
    assert await scene.facts() == [b'"b"']


async def test_a_bit_that_turned_over_at_rest_is_found(scene: Scene) -> None:
    async def write(journal: Journal) -> None:
        await journal.append(append("source/1", 0, "a"))

    async def look(journal: Journal) -> tuple[StreamCorrupt, ...]:
        return await journal.check()

    assert await scene.live(write) is None
    assert scene.disk.flip_bit("journal", "data", 0)
    assert not scene.disk.flip_bit("journal", "data", 1)
    (found,) = await scene.live(look)
    assert "source/1" in str(found)
    assert [sight.stream for sight in scene.ground.history.of(RowDamaged)] == ["source/1"]


async def test_an_end_that_was_cut_off_is_noticed_at_the_next_start(scene: Scene) -> None:
    async def write(journal: Journal) -> None:
        for seq, what in enumerate("abc"):
            await journal.append(append("source/1", seq, what))

    assert await scene.live(write) is None
    assert scene.disk.cut(2)
    assert await scene.facts() == [b'"a"']
    assert [sight.position for sight in scene.ground.history.of(RowsLost)] == [1]
    assert len(scene.disk.tables()["losses"]) == 1
    assert not scene.disk.cut(9)


async def test_a_head_record_that_lags_behind_after_a_failure_of_power_is_no_damage(scene: Scene) -> None:
    async def write(journal: Journal) -> None:
        for seq, what in enumerate("abc"):
            await journal.append(append("source/1", seq, what))
        scene.die("syncing")
        await journal.append(append("source/1", 3, "d"))

    newest = scene.disk._heads
    assert await scene.live(write) is None
    assert newest[-1] is not None and newest[-1].position == 3
    scene.disk.lose_head(2)
    assert newest[-1] is not None and newest[-1].position == 1
    assert await scene.facts() == [b'"a"', b'"b"', b'"c"']
    assert not scene.disk.problems() and not scene.disk.tables()["losses"]
    assert newest[-1].position == 3
    scene.disk.lose_head(99)
    assert newest[-1] is None and await scene.facts() == [b'"a"', b'"b"', b'"c"'] and newest[-1] is not None


async def test_what_a_life_was_still_reading_holds_up_no_write_of_the_next(scene: Scene) -> None:
    held: list[Any] = []

    async def read_on(journal: Journal) -> None:
        await journal.append(append("source/1", 0, "a"))
        with closing(scene.disk._memory.database.writer.raw_connection()) as connection:
            held.append(connection.driver_connection.execute("SELECT name FROM sqlite_master"))
        assert held[0].fetchone()

    async def write(journal: Journal) -> bool:
        await journal.append(append("source/1", 1, "b"))
        return True

    assert await scene.live(read_on) is None
    assert await scene.live(write)
    assert await scene.facts() == [b'"a"', b'"b"']
    assert [sight.position for sight in scene.ground.history.of(Committed)] == [1, 2]


def test_whoever_still_reads_what_a_memory_was_holds_up_nobody() -> None:
    memory = Memory.taken()
    memory.restore(empty_image())
    with closing(memory.database.writer.raw_connection()) as connection:
        rows = connection.driver_connection.execute("SELECT name FROM sqlite_master")
    assert rows.fetchone()
    memory.restore(empty_image())
    with memory.database.writer.begin() as writing:
        writing.exec_driver_sql("DELETE FROM journal")
    del rows
    memory.give_back()
