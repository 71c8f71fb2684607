"""Durable facts a second: a hundred actors, each of whom waits for its last fact, on the real journal."""

from __future__ import annotations

from statistics import median
from time import perf_counter

import trio

from actors.journal import Journal, open_journal
from tests.bench.measures import Figure, scratch
from tests.contracts.samples import StoppedClock, append

ACTORS = 100
FACTS_EACH = 100
ROUNDS = 5
TEXT = "x" * 250


async def figures() -> list[Figure]:
    with scratch() as folder:
        async with open_journal(f"sqlite:///{folder / 'journal.db'}", clock=StoppedClock()) as journal:
            await rate_of(journal, "warm")
            rates = [await rate_of(journal, str(number)) for number in range(ROUNDS)]
    facts = ROUNDS * ACTORS * FACTS_EACH
    return [Figure(figure="commits_per_s", value=round(median(rates)), unit="facts/s", goal=">= 8,000", n=facts)]


async def rate_of(journal: Journal, name: str) -> float:
    """Facts a second of one round."""

    async def actor(stream: str) -> None:
        for seq in range(FACTS_EACH):
            await journal.append(append(stream, seq, TEXT))

    begun = perf_counter()
    async with trio.open_nursery() as nursery:
        for number in range(ACTORS):
            nursery.start_soon(actor, f"station/{name}-{number}")
    return ACTORS * FACTS_EACH / (perf_counter() - begun)
