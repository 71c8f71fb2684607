"""A durable journal need not be slow: a bound far below what any machine does, to notice that group commit is lost."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

import trio

from actors.journal import open_journal
from tests.contracts.samples import StoppedClock, append

APPENDERS = 100
APPENDS_EACH = 30
FACTS_PER_SECOND_MIN = 2_000
"""A quarter of the 8,000 facts/s that two free cores must reach: tests share theirs."""


async def test_a_hundred_appenders_share_their_commits(tmp_path: Path) -> None:
    async with open_journal(f"sqlite:///{tmp_path}/journal.db", clock=StoppedClock()) as journal:

        async def actor(stream: str) -> None:
            for seq in range(APPENDS_EACH):
                await journal.append(append(stream, seq, "x" * 250))

        begun = perf_counter()
        async with trio.open_nursery() as nursery:
            for number in range(APPENDERS):
                nursery.start_soon(actor, f"station/{number}")
        assert APPENDERS * APPENDS_EACH / (perf_counter() - begun) > FACTS_PER_SECOND_MIN
