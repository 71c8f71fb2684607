"""Streams that are wanted at the same time are read together, and each answer is its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio

from actors.histories import Histories
from actors.journal import Journal, open_journal
from actors.records import Append, History, NewFact, StoreUnavailable, StreamCorrupt
from actors.store import run_inline
from statecharts.limits import HISTORIES_AT_ONCE
from tests.support.house import EPOCH, VirtualClock


def fact(text: str) -> NewFact:
    return NewFact(type="T", from_state="A", to_state="B", at=EPOCH, data=text.encode())


class Reads:
    """How often the store was read, and how it fails."""

    def __init__(self, journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.failures: list[Exception] = []
        self._read = journal.store.read
        monkeypatch.setattr(journal.store, "read", self)

    async def __call__(self, work: Callable[..., Any], *args: Any) -> Any:
        self.count += 1
        await trio.lowlevel.checkpoint()
        if self.failures:
            raise self.failures.pop()
        return await self._read(work, *args)


async def all_read(histories: Histories, count: int) -> dict[str, History | Exception]:
    found: dict[str, History | Exception] = {}

    async def one(stream: str) -> None:
        try:
            found[stream] = await histories.read(stream, None)
        except Exception as error:
            found[stream] = error

    async with trio.open_nursery() as nursery:
        for number in range(count):
            nursery.start_soon(one, f"local/{number}")
    return found


async def test_many_streams_are_read_in_few_turns_and_each_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    count = 3 * HISTORIES_AT_ONCE.limit
    async with open_journal("sqlite://", clock=VirtualClock(), run_sync=run_inline) as journal:
        for number in range(count):
            await journal.append(Append(stream=f"local/{number}", after_seq=0, facts=(fact(f"{number}"),)))
        reads = Reads(journal, monkeypatch)
        found = await all_read(Histories(journal.store), count)
    assert reads.count == 3
    assert {stream: [each.data for each in history.facts] for stream, history in found.items()} == {
        f"local/{number}": [f"{number}".encode()] for number in range(count)
    }


async def test_a_stream_that_cannot_be_read_is_nobody_elses_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(connection: object, stream: str, form: str | None) -> History:
        if stream == "local/2":
            raise StreamCorrupt(stream, 1, "altered")
        return History(facts=())

    monkeypatch.setattr("actors.audit.history", damaged)
    async with open_journal("sqlite://", clock=VirtualClock(), run_sync=run_inline) as journal:
        found = await all_read(Histories(journal.store), 4)
    assert [type(found[f"local/{number}"]) for number in range(4)] == [History, History, StreamCorrupt, History]


async def test_a_store_that_is_away_refuses_one_and_the_others_try_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_journal("sqlite://", clock=VirtualClock(), run_sync=run_inline) as journal:
        reads = Reads(journal, monkeypatch)
        reads.failures.append(StoreUnavailable("gone"))
        found = await all_read(Histories(journal.store), 3)
    assert sorted(type(each).__name__ for each in found.values()) == ["History", "History", "StoreUnavailable"]
    assert reads.count == 2
