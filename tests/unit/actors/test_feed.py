"""Event streams of all transactions: whoever comes and goes as he likes ends with the picture that the store has."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta
from typing import Any

import msgspec
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.changes import Changes, feed
from actors.journal import Journal, open_journal
from actors.ledger import Ledger
from actors.store import run_inline
from statecharts.limits import CHANGES_READ
from statecharts.ports import Change, Principal, TransactionView
from tests.contracts.samples import NOON, StoppedClock, append, view
from tests.support.house import APP
from tests.support.roaming import Roaming


class World:
    """A journal, its ledger and the watches; `change` appends to a transaction and publishes, perhaps later."""

    def __init__(self, journal: Journal) -> None:
        self.journal, self.ledger, self.changes = journal, Ledger(journal.store), Changes()
        self.seqs: dict[str, int] = {}
        self.unpublished: list[tuple[str, Change]] = []

    async def change(self, number: int, user: str = "anna") -> None:
        stream, seq = f"source/{number}", self.seqs.get(f"source/{number}", 0)
        shown = view(number, user_identifier=user, version=seq + 1, created_at=NOON + timedelta(seconds=number))
        appended = await self.journal.append(append(stream, seq, view=shown))
        self.seqs[stream] = seq + 1
        self.unpublished.append((stream, Change(position=appended.position, transaction=shown)))

    def publish(self, index: int) -> None:
        """Actors publish what they have committed in any order."""
        if self.unpublished:
            self.changes.publish(*self.unpublished.pop(index % len(self.unpublished)))

    async def picture(self, user: str | None = None) -> dict[str, TransactionView]:
        users = None if user is None else {user}
        found = await self.ledger.changes_since(0, limit=10_000, users=users)
        return {change.transaction.transaction_id: change.transaction for change in found}


class Client:
    """Follows a feed when it is there, and knows where it was when it comes back."""

    def __init__(self, world: World, user: str | None = None) -> None:
        self.world, self.user = world, user
        self.seen: dict[str, TransactionView] = {}
        self.positions: list[int] = []
        self.changes: Any = None

    def connect(self) -> None:
        after = self.positions[-1] if self.positions else 0
        users = None if self.user is None else {self.user}
        self.changes = feed(self.world.changes, self.world.ledger, after, role="source", users=users)

    async def disconnect(self) -> None:
        if self.changes is not None:
            await self.changes.aclose()
        self.changes = None

    async def read(self) -> None:
        """One event, if there is one."""
        if self.changes is None:
            return
        change = None
        with trio.move_on_after(1) as quiet:
            change = await anext(self.changes)
        if quiet.cancelled_caught:  # which has ended the generator: as if the line had broken
            self.changes = None
        if change is not None:
            self.positions.append(change.position)
            self.seen[change.transaction.transaction_id] = change.transaction

    async def catch_up(self) -> None:
        await self.disconnect()
        self.connect()
        while self.changes is not None:
            await self.read()


WORDS = ["change", "change", "publish", "connect", "disconnect", "read", "read", "read"]
STEPS = st.lists(st.tuples(st.sampled_from(WORDS), st.integers(0, 4)), min_size=10, max_size=60)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, user=st.sampled_from([None, "anna"]))
async def test_however_it_comes_and_goes_a_client_ends_with_the_picture_of_the_store(
    steps: list[tuple[str, int]], user: str | None, autojump_clock: object
) -> None:
    async with open_journal("sqlite://", clock=StoppedClock(), run_sync=run_inline) as journal:
        world = World(journal)
        client = Client(world, user)
        client.connect()
        for step, number in steps:
            match step:
                case "change":
                    await world.change(number, "bert" if number % 3 == 2 else "anna")
                case "publish":
                    world.publish(number)
                case "connect" if client.changes is None:
                    client.connect()
                case "disconnect":
                    await client.disconnect()
                case "read":
                    await client.read()
        await client.catch_up()
        assert client.seen == await world.picture(user)
        assert client.positions == sorted(set(client.positions)), "positions only rise, and nothing comes twice"


async def test_what_is_published_out_of_order_is_told_in_order_and_whole(autojump_clock: object) -> None:
    async with open_journal("sqlite://", clock=StoppedClock(), run_sync=run_inline) as journal:
        world = World(journal)
        client = Client(world)
        await world.change(0)
        client.connect()
        await client.read()
        await world.change(1)
        await world.change(2)
        world.publish(2)  # the newest of the three
        await client.read()
        await client.read()
        assert list(client.seen) == ["0", "1", "2"]
        world.publish(0)
        world.publish(0)
        await client.catch_up()
        assert len(client.positions) == 3, "what was told is not told again"


async def test_a_change_wakes_those_who_want_it_and_nobody_else(autojump_clock: object) -> None:
    async with open_journal("sqlite://", clock=StoppedClock(), run_sync=run_inline) as journal:
        world = World(journal)
        clients = {user: Client(world, user) for user in ("anna", "bert")}
        reads: list[Any] = []
        looked = world.ledger.changes_since
        world.ledger.changes_since = lambda *a, **k: reads.append(k["users"]) or looked(*a, **k)  # type: ignore
        async with trio.open_nursery() as nursery:
            for client in clients.values():
                client.connect()
                nursery.start_soon(client.read)
            await trio.sleep(0.2)
            reads.clear()
            await world.change(1, "anna")
            world.publish(0)
        for client in clients.values():
            await client.disconnect()
        assert reads == [{"anna"}]
        assert [len(client.seen) for client in clients.values()] == [1, 0]


async def test_a_crowd_of_changes_is_read_together_and_in_pages(autojump_clock: object) -> None:
    async with open_journal("sqlite://", clock=StoppedClock(), run_sync=run_inline) as journal:
        world = World(journal)
        count = 2 * CHANGES_READ.limit + 1
        for number in range(count):
            await world.change(number)
        client = Client(world)
        await client.catch_up()
        assert len(client.positions) == count
        assert client.seen == await world.picture()


async def test_what_is_quiet_is_kept_alive_and_a_drain_ends_it(autojump_clock: object) -> None:
    async with open_journal("sqlite://", clock=StoppedClock(), run_sync=run_inline) as journal:
        world = World(journal)
        async with aclosing(feed(world.changes, world.ledger, 0, role=None, users=None)) as changes:  # type: ignore
            assert await anext(changes) is None
            world.changes.drain()
            assert [change async for change in changes] == []


# -- through the counters ----------------------------------------------------------------------------------------------


async def next_of(changes: AsyncIterator[Change | None]) -> Change:
    with trio.fail_after(5):
        while True:
            change = await anext(changes)
            if change is not None:
                return change


async def test_an_app_is_told_of_its_own_users_and_an_operator_of_all(autojump_clock: object, roaming: Roaming) -> None:
    source, operator = roaming.home.source, roaming.local.operator
    bert = Principal(name="bert", users=frozenset({"bert"}))
    begin = await source.position()
    charge = await roaming.running()
    async with aclosing(source.feed(APP, begin)) as all_of_home:  # type: ignore[type-var]
        told = await next_of(all_of_home)
    assert (told.transaction.transaction_id, told.transaction.state) == (charge.transaction_id, "TxRunning")
    assert told.position == await source.position()
    async with aclosing(source.feed(bert, begin)) as of_bert:  # type: ignore[type-var]
        with trio.move_on_after(1):
            assert await anext(of_bert) is None
    async with aclosing(operator.feed("destination", 0)) as of_role:  # type: ignore[type-var]
        assert (await next_of(of_role)).transaction.role == "destination"


async def test_a_transactions_stream_goes_on_after_the_position_that_was_seen(
    autojump_clock: object, roaming: Roaming
) -> None:
    source, charge = roaming.home.source, await roaming.running()
    now = await source.newest(APP, charge.transaction_id)
    async with aclosing(source.changes(APP, charge.transaction_id, now.position)) as changes:  # type: ignore
        await roaming.stop(charge)
        told = await next_of(changes)
        assert (told.position > now.position, told.transaction.state) == (True, "StopTxRequested")
    older = msgspec.structs.replace(now, position=now.position + 10_000)
    async with aclosing(source.changes(APP, charge.transaction_id, older.position)) as changes:  # type: ignore
        assert (await next_of(changes)).transaction.transaction_id == charge.transaction_id, "no id of this stream"


async def test_an_answer_lost_in_a_crash_is_made_anew_and_nothing_is_done_twice(
    autojump_clock: object, nursery: trio.Nursery, roaming: Roaming
) -> None:
    charge = await roaming.ready()
    source = roaming.home.source
    first = await source.start(APP, charge.transaction_id, "key-1")
    await roaming.local.until(charge.destination, "StartTxRequested")
    await roaming.home.restart(nursery)
    again = await roaming.home.source.start(APP, charge.transaction_id, "key-1")
    await trio.sleep(60)
    assert again.request_identifier == first.request_identifier
    assert [type(command).__name__ for command in roaming.station.commands] == ["RemoteStartTransaction"]
