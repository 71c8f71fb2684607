"""How appends wait, share commits, and end with their journal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import wait_all_tasks_blocked

from actors import commits, journal
from actors.journal import open_journal
from actors.records import Append, NewDelivery, StoreUnavailable
from statecharts.bounds import APPENDS_WAITING, TIPS_KEPT
from tests.contracts.samples import NOON, StoppedClock, append

T = TypeVar("T")


class Gate:
    """Runs work inline, but only while it is open; counts how often."""

    def __init__(self) -> None:
        self.opened = trio.Event()
        self.opened.set()
        self.passed = 0

    def shut(self) -> None:
        self.opened = trio.Event()
        self.passed = 0

    async def run_sync(self, work: Callable[..., T], *args: Any) -> T:
        await self.opened.wait()
        self.passed += 1
        return work(*args)


async def test_all_that_wait_share_one_commit() -> None:
    gate = Gate()
    async with open_journal("sqlite://", clock=StoppedClock(), run_sync=gate.run_sync) as opened:
        gate.shut()
        async with trio.open_nursery() as nursery:
            for number in range(200):
                nursery.start_soon(opened.append, append(f"source/{number}"))
            await wait_all_tasks_blocked()
            gate.opened.set()
        assert gate.passed <= 2
        assert len(await opened.load("source/199")) == 1


async def test_the_queue_is_bounded_and_those_outside_wait_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "APPENDS_WAITING", msgspec.structs.replace(APPENDS_WAITING, limit=5))
    gate = Gate()
    async with open_journal("sqlite://", clock=StoppedClock(), run_sync=gate.run_sync) as opened:
        gate.shut()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(opened.append, append("source/in-the-writer"))
            await wait_all_tasks_blocked()
            for number in range(20):
                nursery.start_soon(opened.append, append(f"source/{number}"))
            await wait_all_tasks_blocked()
            shown = repr(opened)
            gate.opened.set()
        assert shown.endswith("5 waiting>")
        assert {len(await opened.load(f"source/{number}")) for number in range(20)} == {1}


async def test_a_cancelled_append_that_still_waits_is_absent() -> None:
    gate = Gate()
    async with open_journal("sqlite://", clock=StoppedClock(), run_sync=gate.run_sync) as opened:
        gate.shut()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(opened.append, append("source/first"))
            await wait_all_tasks_blocked()
            with trio.CancelScope() as scope:
                nursery.start_soon(wait_and_cancel, scope)
                await opened.append(append("source/cancelled"))
            gate.opened.set()
        assert len(await opened.load("source/first")) == 1
        assert await opened.load("source/cancelled") == ()


async def wait_and_cancel(scope: trio.CancelScope) -> None:
    await wait_all_tasks_blocked()
    scope.cancel()


async def test_a_cancelled_append_under_way_is_whole() -> None:
    gate = Gate()
    async with open_journal("sqlite://", clock=StoppedClock(), run_sync=gate.run_sync) as opened:
        gate.shut()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(opened.append, append("source/1", 0, "a", "b"))
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        gate.opened.set()
        await wait_all_tasks_blocked()
        assert len(await opened.load("source/1")) == 2


async def test_streams_long_unused_are_forgotten_and_go_on_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commits, "TIPS_KEPT", msgspec.structs.replace(TIPS_KEPT, limit=3))
    async with open_journal("sqlite://", clock=StoppedClock(), run_sync=Gate().run_sync) as opened:
        for seq in range(3):
            for number in range(10):
                await opened.append(append(f"source/{number}", seq))
        assert {len(await opened.load(f"source/{number}")) for number in range(10)} == {3}
        assert await opened.check() == ()


async def test_an_error_of_the_block_leaves_it_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="of the caller"):
        async with open_journal(f"sqlite:///{tmp_path}/journal.db", clock=StoppedClock()):
            raise KeyError("of the caller")


async def test_trouble_is_logged_once_and_its_end_too(tmp_path: Path) -> None:
    body = NewDelivery(message_id="m", peer="p", operation="o", transaction="t", body=b"x" * 100_000, created_at=NOON)
    async with open_journal("sqlite://", clock=StoppedClock(), run_sync=Gate().run_sync) as opened:
        with capture_logs() as logs:
            await opened.store.write(lambda connection: connection.exec_driver_sql("PRAGMA max_page_count = 1"))
            for _ in range(3):
                with pytest.raises(StoreUnavailable, match="full"):
                    await opened.append(Append(stream="source/1", after_seq=0, facts=(), deliveries=(body,)))
            await opened.store.read(lambda connection: connection.exec_driver_sql("PRAGMA max_page_count = 1000000"))
            await opened.append(Append(stream="source/1", after_seq=0, facts=(), deliveries=(body,)))
    assert [line["event"] for line in logs] == ["store.unavailable", "store.available_again"]
