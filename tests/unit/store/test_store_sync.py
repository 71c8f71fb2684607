"""An fsync that fails once: nobody is told that it was written, and nothing of it is ever seen (F12)."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.journal import open_journal
from actors.records import Appended, StoreUnavailable
from tests.contracts.samples import StoppedClock, append
from tests.support.failing_sync import FailingSyncs, why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


@pytest.mark.parametrize("read_before", [True, False], ids=["with readers", "with nobody else there"])
@pytest.mark.parametrize("failures", [1, 3])
async def test_what_could_not_be_synced_was_not_written(tmp_path: Path, read_before: bool, failures: int) -> None:
    syncs, url = FailingSyncs(), f"sqlite:///{tmp_path}/journal.db"
    async with open_journal(url, clock=StoppedClock(), run_sync=syncs, read_sync=FailingSyncs()) as journal:
        await journal.append(append("source/1", 0, "before"))
        if read_before:
            assert len(await journal.load("source/1")) == 1
        for number in range(failures):
            syncs.failing = 1
            with pytest.raises(StoreUnavailable, match="disk I/O error"):
                await journal.append(append("source/1", 1, f"refused {number}"))
            assert [fact.data for fact in await journal.load("source/1")] == [b'"before"']
        assert isinstance(await journal.append(append("source/1", 1, "after")), Appended)
        assert [fact.data for fact in await journal.load("source/1")] == [b'"before"', b'"after"']
        assert await journal.check() == ()
    async with open_journal(url, clock=StoppedClock()) as journal:
        assert [fact.data for fact in await journal.load("source/1")] == [b'"before"', b'"after"']
        assert await journal.check() == ()
