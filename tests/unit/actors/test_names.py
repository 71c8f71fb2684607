"""Names of transactions: those given lately are known without the store, every other is found there."""

from __future__ import annotations

from actors.journal import open_journal
from actors.names import Names
from actors.records import Alias
from actors.store import run_inline
from statecharts.bounds import NAMES, Watermarks
from tests.contracts.samples import StoppedClock, append

GIVEN = Alias(scope="source-request/IE-001", name="r-1")


async def test_a_name_is_found_and_from_then_on_without_the_store() -> None:
    async with open_journal("sqlite://", clock=StoppedClock(), run_sync=run_inline) as journal:
        await journal.append(append("source/1", aliases=(GIVEN,)))
        names = Names(journal, Watermarks())
        assert await names.find(GIVEN.scope, GIVEN.name) == "source/1"
        assert await names.find("source-request/NL-MOT", GIVEN.name) is None
        await journal.store.aclose()
        assert await names.find(GIVEN.scope, GIVEN.name) == "source/1"


async def test_a_name_that_nobody_has_yet_is_looked_for_each_time() -> None:
    async with open_journal("sqlite://", clock=StoppedClock(), run_sync=run_inline) as journal:
        names = Names(journal, Watermarks())
        assert await names.find(GIVEN.scope, GIVEN.name) is None
        await journal.append(append("source/1", aliases=(GIVEN,)))
        assert await names.find(GIVEN.scope, GIVEN.name) == "source/1"


async def test_only_so_many_are_remembered_and_the_oldest_is_given_up() -> None:
    watermarks = Watermarks()
    async with open_journal("sqlite://", clock=StoppedClock(), run_sync=run_inline) as journal:
        names = Names(journal, watermarks)
        for number in range(NAMES.limit + 1):
            names.remember(Alias(scope="s", name=str(number)), f"source/{number}")
        assert await names.find("s", "1") == "source/1"
        assert await names.find("s", "0") is None  # this journal never heard of it
    assert {bound: highest for bound, highest, _ in watermarks}[NAMES] == NAMES.limit
