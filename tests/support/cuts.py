"""A store whose end was cut off, at every byte of its last commits, or has garbage for an end.

What SQLite makes of each cut is seen by SQLite alone, which is quick: it must be a prefix of the commits. That the node
reads the same, and says what is gone, is seen for some of the cuts: with each outcome, and at many more places.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from actors.journal import check_journal, open_journal
from actors.records import StoreError
from tests.contracts.samples import StoppedClock, append
from tests.support.damage import JOURNAL, put, url_of

STREAM = "source/1"
COMMITS, LAST = 6, 3
LONG_FACT = "x" * 3_900
"""About a page: each commit makes the file longer."""


@dataclass(slots=True)
class Cuts:
    """How many cuts were tried, how many the node itself has looked at, and what must not have been."""

    n: int = 0
    looked_at: int = 0
    noticed: int = 0
    wrong: list[str] = field(default_factory=list)

    def expect(self, true: bool, what: str) -> None:
        if not true:
            self.wrong.append(what)


@dataclass(frozen=True, slots=True)
class Files:
    """The files of a store, and how long its log, or its file, was after each commit."""

    content: bytes
    head: bytes
    log: bytes | None
    ends: tuple[int, ...]


def _made(folder: Path, *names: str) -> list[Path]:
    folder.mkdir(parents=True)
    return [folder / name for name in names]


async def died(folder: Path, fact: str = "") -> Files:
    """A node that dies with all its commits in the log."""
    names = _made(folder, JOURNAL, f"{JOURNAL}.head", f"{JOURNAL}-wal")
    ends = []
    async with open_journal(url_of(folder), clock=StoppedClock()) as journal:
        for seq in range(COMMITS):
            await journal.append(append(STREAM, seq, f"{seq}{fact}"))
            ends.append(names[2].stat().st_size)
        content, head, log = (name.read_bytes() for name in names)
    return Files(content, head, log, tuple(ends))


async def closed(folder: Path) -> Files:
    """A store that was closed after each commit: all of it is in the file."""
    names = _made(folder, JOURNAL, f"{JOURNAL}.head")
    ends = []
    for seq in range(COMMITS):
        async with open_journal(url_of(folder), clock=StoppedClock()) as journal:
            await journal.append(append(STREAM, seq, f"{seq}{LONG_FACT}"))
        ends.append(names[0].stat().st_size)
    content, head = (name.read_bytes() for name in names)
    return Files(content, head, None, tuple(ends))


async def cuts_of_log(folder: Path, lengths_between: int, looks_between: int) -> Cuts:
    """Cuts the log of a dead node at every `lengths_between`-th byte of its last commits, from the end."""
    files, cuts = await died(folder / "living"), Cuts()
    assert files.log is not None
    for length in range(files.ends[-1], files.ends[-LAST - 1], -lengths_between):
        put(folder / "cut", files.content, files.head, files.log[:length])
        whole = sum(end <= length for end in files.ends)
        found = facts_in(folder / "cut")
        cuts.expect(found == COMMITS - len(files.ends) + whole, f"cut at {length}: {found} facts of {whole}")
        cuts.n += 1
        if cuts.n % looks_between == 1:
            put(folder / "cut", files.content, files.head, files.log[:length])
            await _look(folder / "cut", cuts, whole, f"log cut at {length}")
    return cuts


async def garbage_after_log(folder: Path, seed: int, count: int) -> Cuts:
    """Puts garbage in place of the end of the log, or after it."""
    files, cuts, chance = await died(folder / "living"), Cuts(), Random(seed)
    assert files.log is not None
    for _ in range(count):
        length = chance.randrange(files.ends[-LAST - 1], files.ends[-1] + 1)
        garbage = chance.randbytes(chance.randrange(1, 20_000))
        put(folder / "cut", files.content, files.head, files.log[:length] + garbage)
        cuts.n += 1
        await _look(folder / "cut", cuts, sum(end <= length for end in files.ends), f"garbage in the log from {length}")
    return cuts


async def cuts_of_file(folder: Path, lengths_between: int) -> Cuts:
    """Cuts the file of a closed store at every `lengths_between`-th byte of what the last commits have added."""
    files, cuts = await closed(folder / "living"), Cuts()
    for length in range(files.ends[-1] - 1, files.ends[-LAST - 1], -lengths_between):
        put(folder / "cut", files.content[:length], files.head)
        cuts.n += 1
        await _look(folder / "cut", cuts, None, f"file cut at {length}")
    return cuts


async def garbage_after_file(folder: Path, seed: int, count: int) -> Cuts:
    """Adds garbage to the file of a closed store, which SQLite does not take for a part of it."""
    files, cuts, chance = await closed(folder / "living"), Cuts(), Random(seed)
    for _ in range(count):
        put(folder / "cut", files.content + chance.randbytes(chance.randrange(1, 20_000)), files.head)
        cuts.n += 1
        await _look(folder / "cut", cuts, COMMITS, "garbage after the file")
    return cuts


async def _look(folder: Path, cuts: Cuts, whole: int | None, where: str) -> None:
    """What `check-journal` says, and what a node reads: so many facts, or some of them where nobody knows how many."""
    cuts.looked_at += 1
    try:
        says = [str(finding) for finding in await check_journal(url_of(folder), clock=StoppedClock())]
    except StoreError as error:
        says = [str(error)]
    cuts.noticed += bool(says)
    cuts.expect(bool(says) is (whole != COMMITS), f"{where}: check-journal says {says}")
    if whole is not None and whole < COMMITS:
        cuts.expect(f"cut off before position {COMMITS}" in says[-1], f"{where}: {says}")
    found = await _facts(folder)
    true = [f'"{seq}' for seq in range(COMMITS)][: len(found)]
    cuts.expect(found == true and whole in (None, len(found)), f"{where}: a node reads {found}")


async def _facts(folder: Path) -> list[str]:
    """The beginnings of the facts that a node reads; none where it refuses to."""
    try:
        async with open_journal(url_of(folder), clock=StoppedClock()) as journal:
            return [fact.data.decode()[:2] for fact in await journal.load(STREAM)]
    except StoreError:
        return []


def facts_in(folder: Path) -> int:
    """How many facts SQLite finds, whatever they are."""
    with closing(sqlite3.connect(f"file:{folder / JOURNAL}?mode=ro", uri=True)) as database:
        (count,) = database.execute("SELECT count(*) FROM journal NOT INDEXED").fetchone()
    return int(count)
