"""A PostgreSQL that goes away at any moment takes nothing with it: all that was acknowledged is there, once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
import trio
import trio.testing
from sqlalchemy import Connection, event

from actors import postgresql
from actors.journal import Journal, open_journal
from actors.outbox import Outbox
from actors.records import Appended, StoreTaken, StoreUnavailable
from tests.contracts.samples import NOON, StoppedClock, append, delivery
from tests.support.postgresql import Server, own_server

APPENDERS = 50


@pytest.fixture(scope="module")
def server(needs_postgresql: None) -> Iterator[Server]:
    with own_server() as server:
        yield server


pytestmark = [pytest.mark.timeout(60), pytest.mark.xdist_group("postgresql-restarts")]


@pytest.fixture
def url(server: Server, request: pytest.FixtureRequest) -> str:
    name = f"d{abs(hash(request.node.name))}"
    server.sql(f"CREATE DATABASE {name}")
    return server.url(name)


class Appender:
    """Appends to a stream of its own, and remembers what was acknowledged. What was refused is never tried again."""

    def __init__(self, journal: Journal, number: int) -> None:
        self.journal, self.stream = journal, f"station/{number}"
        self.acknowledged: list[str] = []
        self.refused = 0
        self.heard = trio.Event()
        self.tried = 0

    async def run(self, ending: trio.Event) -> None:
        while not ending.is_set():
            self.tried += 1
            name = f"{self.stream}/{self.tried}"
            owed = delivery(name, transaction=self.stream)
            try:
                await self.journal.append(append(self.stream, len(self.acknowledged), name, deliveries=(owed,)))
            except StoreUnavailable:
                self.refused += 1
                await trio.sleep(0.02)  # as an actor does, which does not ask without a pause
            else:
                self.acknowledged.append(name)
                self.heard.set()

    async def assert_whole(self, owed: set[str]) -> None:
        facts = await self.journal.load(self.stream)
        assert [each.data.decode() for each in facts] == [f'"{name}"' for name in self.acknowledged]
        assert {each for each in owed if each.startswith(f"{self.stream}/")} == set(self.acknowledged)


async def until_all_were_heard(appenders: list[Appender]) -> None:
    """Waits until each has been acknowledged once more, which is what being back means."""
    for appender in appenders:
        appender.heard = trio.Event()
    for appender in appenders:
        await appender.heard.wait()


async def test_restarted_again_and_again_under_load_it_holds_what_was_acknowledged_and_nothing_else(
    server: Server, url: str
) -> None:
    ending = trio.Event()
    async with open_journal(url, clock=StoppedClock()) as journal:
        appenders = [Appender(journal, number) for number in range(APPENDERS)]
        async with trio.open_nursery() as nursery:
            for appender in appenders:
                nursery.start_soon(appender.run, ending)
            for mode in ("immediate", "fast", "immediate"):
                await until_all_were_heard(appenders)
                await trio.to_thread.run_sync(server.restart, mode)
            await until_all_were_heard(appenders)
            ending.set()
        pending = await Outbox(journal.store).pending("IE-001", 1_000_000, NOON)
        owed = {each.message_id for each in pending}
        for appender in appenders:
            await appender.assert_whole(owed)
        assert await journal.check() == ()
        assert sum(appender.refused for appender in appenders) > 0


# -- a connection lost during COMMIT -----------------------------------------------------------------------------------


def lost_before(raw: psycopg.Connection[Any]) -> None:
    """COMMIT never arrives."""
    raw.close()


def lost_after(raw: psycopg.Connection[Any]) -> None:
    """COMMIT is done, and its answer lost."""
    raw.commit()
    raw.close()


def killed_by_the_server(raw: psycopg.Connection[Any]) -> None:
    with psycopg.connect(raw.info.dsn) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [raw.info.backend_pid])


def at_the_next_commit(journal: Journal, happens: Callable[[psycopg.Connection[Any]], None]) -> None:
    writer = journal.store.database.writer

    def commit(connection: Connection) -> None:
        raw = connection.connection.driver_connection
        assert isinstance(raw, psycopg.Connection)
        happens(raw)

    event.listen(writer, "commit", commit, once=True)


async def test_a_commit_whose_answer_is_lost_is_acknowledged_all_the_same(url: str) -> None:
    async with open_journal(url, clock=StoppedClock()) as journal:
        await journal.append(append("source/1", 0, "before"))
        at_the_next_commit(journal, lost_after)
        stored = await journal.append(append("source/1", 1, "doubtful", deliveries=(delivery("m"),)))
        assert isinstance(stored, Appended)
        assert [each.message_id for each in stored.deliveries] == ["m"]
        assert (await journal.append(append("source/1", 2, "after"))).position == stored.position + 1
        assert len(await journal.load("source/1")) == 3


@pytest.mark.parametrize("happens", [lost_before, killed_by_the_server])
async def test_a_commit_that_never_arrived_is_refused_and_leaves_nothing(
    url: str, happens: Callable[[psycopg.Connection[Any]], None]
) -> None:
    async with open_journal(url, clock=StoppedClock()) as journal:
        await journal.append(append("source/1", 0, "before"))
        at_the_next_commit(journal, happens)
        with pytest.raises(StoreUnavailable, match="nothing was written"):
            await journal.append(append("source/1", 1, "doubtful", deliveries=(delivery("m"),)))
        assert (await journal.append(append("source/1", 1, "after", deliveries=(delivery("m"),)))).deliveries
        assert [each.data for each in await journal.load("source/1")] == [b'"before"', b'"after"']


async def test_the_same_holds_for_writes_beside_the_journal(url: str) -> None:
    async with open_journal(url, clock=StoppedClock()) as journal:
        (owed,) = (await journal.append(append(deliveries=(delivery("m"),)))).deliveries
        outbox = Outbox(journal.store)
        await outbox.park(owed.id, "400")
        at_the_next_commit(journal, lost_after)
        assert await outbox.replay(owed.id)
        at_the_next_commit(journal, lost_before)
        with pytest.raises(StoreUnavailable):
            await outbox.park(owed.id, "400")
        assert len(await outbox.pending("IE-001", 9, NOON)) == 1


async def test_while_a_commit_is_in_doubt_nobody_else_waits_and_the_end_of_the_node_is_not_held_up(
    server: Server, url: str
) -> None:
    committing = trio.Event()

    def goes_away(_: object) -> None:
        trio.from_thread.run_sync(committing.set)
        server.stop("immediate")

    async def doubtful(journal: Journal) -> None:
        with pytest.raises(StoreUnavailable, match="the node ends before it is known"):
            await journal.append(append("source/1", 0, "doubtful"))

    try:
        async with trio.open_nursery() as nursery, open_journal(url, clock=StoppedClock()) as journal:
            at_the_next_commit(journal, goes_away)
            nursery.start_soon(doubtful, journal)
            await committing.wait()
            for stream in ("waiting", "later"):
                with pytest.raises(StoreUnavailable, match=r"nothing was written: .*connection"):
                    await journal.append(append(stream, 0))
    finally:
        await trio.to_thread.run_sync(server.start)
    async with open_journal(url, clock=StoppedClock()) as journal:
        assert await journal.load("source/1") == ()


# -- away and back -----------------------------------------------------------------------------------------------------


async def until(journal: Journal, *, away: bool) -> None:
    while (journal.store.trouble is not None) != away:  # noqa: ASYNC110 - as `/health` does, which is asked from outside
        await trio.sleep(0.01)


async def test_that_it_is_away_and_back_is_noticed_without_anybody_writing(server: Server, url: str) -> None:
    async with open_journal(url, clock=StoppedClock()) as journal:
        await journal.append(append())
        await trio.to_thread.run_sync(server.stop)
        await until(journal, away=True)
        with pytest.raises(StoreUnavailable, match="cannot be read"):
            await journal.load("source/1")
        await trio.to_thread.run_sync(server.start)
        await until(journal, away=False)
        assert len(await journal.load("source/1")) == 1


async def test_a_read_after_a_restart_finds_a_new_connection_by_itself(server: Server, url: str) -> None:
    async with open_journal(url, clock=StoppedClock()) as journal:
        await journal.append(append())
        assert len(await journal.load("source/1")) == 1
        await trio.to_thread.run_sync(server.restart)
        assert len(await journal.load("source/1")) == 1


@pytest.fixture
def frozen(server: Server) -> Iterator[Callable[[], None]]:
    """Freezes the server; it goes on when the test is over."""
    yield server.freeze
    server.thaw()


async def test_a_server_that_is_there_and_silent_is_given_up_and_what_it_did_is_found_out(
    server: Server, url: str, frozen: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql._Patience, "answer_s", 0.3)
    async with open_journal(url, clock=StoppedClock()) as journal, trio.open_nursery() as nursery:
        appender = Appender(journal, 1)
        ending = trio.Event()
        nursery.start_soon(appender.run, ending)
        await appender.heard.wait()
        frozen()
        await until(journal, away=True)
        with pytest.raises(StoreUnavailable, match="cannot be read"):
            await journal.load("station/1")
        server.thaw()
        await until(journal, away=False)
        await until_all_were_heard([appender])
        ending.set()
    async with open_journal(url, clock=StoppedClock()) as journal:
        appender.journal = journal
        pending = await Outbox(journal.store).pending("IE-001", 1_000_000, NOON)
        await appender.assert_whole({each.message_id for each in pending})


async def test_a_node_ends_in_time_though_its_server_is_silent(
    server: Server, url: str, frozen: Callable[[], None]
) -> None:
    async with open_journal(url, clock=StoppedClock()) as journal:
        await journal.append(append())
        frozen()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(refused, journal.load, "source/1")
            nursery.start_soon(refused, journal.append, append("source/1", 1))
            await trio.testing.wait_all_tasks_blocked(0.2)
            left_at = trio.current_time()
            journal.store.leave()
    assert trio.current_time() - left_at < 10


async def refused(ask: Callable[..., Any], *args: Any) -> None:
    with pytest.raises(StoreUnavailable):
        await ask(*args)


async def test_a_node_whose_database_was_taken_while_it_was_away_stops_and_writes_nothing_more(
    server: Server, url: str
) -> None:
    taken: list[StoreTaken] = []
    journal: Journal
    try:
        async with open_journal(url, clock=StoppedClock()) as journal:
            await journal.append(append("source/1", 0, "ours"))
            with psycopg.connect(server.url().replace("+psycopg", ""), autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
            async with open_journal(url, clock=StoppedClock()) as theirs:
                await theirs.append(append("source/1", 1, "theirs"))
                await trio.sleep_forever()
    except* StoreTaken as errors:
        taken.extend(errors.exceptions)
    assert "another node runs on this database: session" in str(taken[0])
    async with open_journal(url, clock=StoppedClock()) as later:
        assert [each.data for each in await later.load("source/1")] == [b'"ours"', b'"theirs"']
