"""Durable facts a second on a PostgreSQL of this machine, and beside it on SQLite: rounds of both, turn by turn."""

from __future__ import annotations

from statistics import median

from actors.journal import open_journal
from tests.bench.commits import ACTORS, FACTS_EACH, ROUNDS, rate_of
from tests.bench.measures import Figure, scratch
from tests.contracts.samples import StoppedClock
from tests.support.postgresql import own_server, why_not


async def figures() -> list[Figure]:
    if reason := why_not():
        print(f"left out: {reason}")
        return []
    sqlite, postgresql = [], []
    with own_server() as server, scratch() as folder:
        async with (
            open_journal(f"sqlite:///{folder / 'journal.db'}", clock=StoppedClock()) as file,
            open_journal(server.url(), clock=StoppedClock()) as on_server,
        ):
            for journal in (file, on_server):
                await rate_of(journal, "warm")
            for number in range(ROUNDS):
                sqlite.append(await rate_of(file, str(number)))
                postgresql.append(await rate_of(on_server, str(number)))
    n = ROUNDS * ACTORS * FACTS_EACH
    share = median(ours / theirs for ours, theirs in zip(postgresql, sqlite, strict=True))
    return [
        Figure(figure="postgresql_commits_per_s", value=round(median(postgresql)), unit="facts/s", goal="", n=n),
        Figure(figure="postgresql_commits_of_sqlite", value=round(share, 2), unit="ratio", goal="", n=n),
    ]
