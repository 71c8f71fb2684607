"""A process to be killed: appends to many streams at once and says on stdout what was acknowledged, `stream seq`.

Each append carries two facts, a delivery and an alias of its own. Run as `python -m tests.unit.store.appender URL`.
"""

from __future__ import annotations

import os
import sys

import trio

from actors.journal import Journal, open_journal
from actors.records import Alias
from tests.contracts.samples import StoppedClock, append, delivery

STREAMS = 20


async def appending(journal: Journal, stream: str) -> None:
    seq = len(await journal.load(stream))
    while True:
        name = f"{stream}/{seq}"
        owed = delivery(name, transaction=stream)
        await journal.append(
            append(stream, seq, "a", "b", deliveries=(owed,), aliases=(Alias(scope="test", name=name),))
        )
        seq += 2
        os.write(sys.stdout.fileno(), f"{stream} {seq}\n".encode())


async def main(url: str) -> None:
    async with open_journal(url, clock=StoppedClock()) as journal, trio.open_nursery() as nursery:
        for number in range(STREAMS):
            nursery.start_soon(appending, journal, f"source/{number}")


if __name__ == "__main__":
    trio.run(main, sys.argv[1])
