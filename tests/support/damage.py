"""Damage to the files of a store: what is still read of it, whether any of that is false, and whether it is noticed.

What a sound store answers is written down first, question by question; a damaged one may leave answers out, or refuse
them, but may not give another one. Whether `check-journal` has noticed is seen apart from that, and where it says
nothing every row is compared with what it was.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import Any

import msgspec
from sqlalchemy import Table

from actors import tables
from actors.answers import Answers, open_answers
from actors.journal import Journal, check_journal, open_journal
from actors.ledger import Ledger
from actors.orphans import Orphans
from actors.outbox import ALTERED, Outbox
from actors.owed import Owed
from actors.quarantine import Case, Quarantine
from actors.records import (
    Alias,
    Delivery,
    DeliveryClosed,
    DeliveryStatus,
    IdleMeter,
    LogEntry,
    Orphan,
    Snapshot,
    StoreError,
)
from actors.retention import Retention, RetentionSettings
from actors.store import run_inline
from actors.trail import Trail
from statecharts.audit import AuditFilter, Deed
from statecharts.bounds import Watermarks
from statecharts.doors import FirstAnswer
from tests.contracts.samples import NOON, StoppedClock, append, delivery, entry, view
from tests.support.fleets import members_of, registered

JOURNAL = "journal.db"
STREAMS, MORE_STREAMS = 12, 3
PEER, APP = "NL-MOT", "app"
ALL, KEPT_S, PAUSE_MAX_S = 10_000, 1e9, 900
DAYS = RetentionSettings()
LONG_AGO = NOON - timedelta(days=200)
FORM = "any"
UNSEALED = ("next_at", "attempts", "last_error")
"""No checksum covers how often a delivery was tried, when it is next, and why it failed: each attempt says it anew.

What is altered there delays a message or garbles a reason that is shown; it loses none and changes none.
"""

Given = dict[str, Any]
Rows = dict[str, list[tuple[Any, ...]]]


class Outcome(StrEnum):
    """What became of one damage. MISSED must never be: something is another value, and nobody says so."""

    REFUSED = "refused"
    NOTICED = "noticed"
    HARMLESS = "harmless"
    MISSED = "missed"


@dataclass(slots=True)
class Tally:
    """What became of many: how often each outcome, and what must not have been, in words."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def add(self, where: str, outcome: Outcome, lies: list[str]) -> None:
        self.outcomes[outcome] += 1
        self.wrong += [f"{where}: {lie}" for lie in lies]
        if outcome is Outcome.MISSED:
            self.wrong.append(f"{where}: rows have changed, and nobody says so")

    @property
    def n(self) -> int:
        return self.outcomes.total()


@dataclass(frozen=True, slots=True)
class Truth:
    """A sound store: its bytes, what it answers, and its rows."""

    content: bytes
    head: bytes
    answers: Given
    rows: Rows


def url_of(folder: Path) -> str:
    return f"sqlite:///{folder / JOURNAL}"


# -- a store to be damaged ---------------------------------------------------------------------------------------------


async def fill(folder: Path) -> None:
    """A store with some rows in each of its tables."""
    clock = StoppedClock(NOON)
    async with open_journal(url_of(folder), clock=clock) as journal:
        for number in range(STREAMS):
            await journal.append(_life(number))
        await journal.append(append("source/0", 2, closed=(DeliveryClosed(id=1, status=DeliveryStatus.DONE),)))
        await Outbox(journal.store).park(3, "it says no")
        await Outbox(journal.store).record_attempt(4, 2, NOON + timedelta(seconds=9), "no answer")
        await Quarantine(journal.store).keep(Case(actor="source/5", at=NOON, error="ValueError: no such thing"))
        for number in range(3):
            await _trail(journal).answered(await _trail(journal).asked(_deed(number)), 200, None)
        await registered(journal, "CS00", "CS01", "CS02")
        settings = {"kept_s": 86_400, "watermarks": Watermarks()}
        async with open_answers(journal.store, **settings) as answers:
            for key in ("a", "b"):
                answers.keep(APP, key, FirstAnswer(request=b"#", status=202, headers={"X": key}, body=b"{}" * 40))
        await Retention(journal.store, clock, DAYS).tidy()
        await journal.append(append("station/CS01"))


def _deed(number: int) -> Deed:
    told = {"address": "127.0.0.1", "correlation_id": f"c-{number}", "method": "POST", "route": "/stations/{identity}"}
    return Deed(by="operator", path=f"/stations/CS{number}", body=b'{"command":"Reset","kind":"Soft"}', **told)


def _life(number: int) -> Any:
    """One stream; every third is long over, and goes into the archive."""
    stream, is_old = f"source/{number}", number % 3 == 1
    at = LONG_AGO if is_old else NOON
    report = f"{stream} ".encode() * 6
    return append(
        stream,
        0,
        "a" * 40,
        "b" * 90,
        deliveries=(delivery(f"end/{number}", PEER, transaction=stream, body=b"<energy>11.0</energy>" * 9),),
        aliases=(Alias(scope="test", name=f"A{number}"),),
        ledger=(entry(f"IE-001/{number}", role="source"),),
        orphans=(Orphan(station="CS01", kind="StopTransaction", at=NOON, body=report),),
        meters=(IdleMeter(station="CS01", at=at, body=report),),
        log=(LogEntry(station="CS01", kind="SecurityEvent", at=NOON, body=report),),
        snapshot=Snapshot(seq=2, form=FORM, data=b"s" * 60),
        view=view(number, changed_at=at),
        final=is_old,
    )


async def truth_of(folder: Path) -> Truth:
    """What is true of the sound store in this folder, which no node uses."""
    content, head = (folder / JOURNAL).read_bytes(), (folder / f"{JOURNAL}.head").read_bytes()
    rows = rows_of(folder)
    async with open_journal(url_of(folder), clock=StoppedClock()) as journal:
        answers: Given = {name: await ask(journal) for name, ask in questions(rows)}
        for name in [name for name in answers if name.startswith("history ")]:
            answers[name] += answers[name.replace("history", "load")]  # whoever has no snapshot reads all facts
    return Truth(content, head, answers, rows)


def rows_of(folder: Path) -> Rows:
    """Every row of every table as the file has it, by another way than the product's; without what is `UNSEALED`."""
    with closing(sqlite3.connect(f"file:{folder / JOURNAL}?mode=ro", uri=True)) as database:
        database.text_factory = bytes
        return {
            table.name: sorted(database.execute(f'SELECT {_columns(table)} FROM "{table.name}" NOT INDEXED'), key=repr)
            for table in tables.metadata.sorted_tables
        }


def _columns(table: Table) -> str:
    unsealed = UNSEALED if table is tables.deliveries else ()
    return ", ".join(f'"{column.name}"' for column in table.columns if column.name not in unsealed)


# -- what is asked of it -----------------------------------------------------------------------------------------------

Question = tuple[str, Callable[[Journal], Awaitable[Any]]]


def questions(rows: Rows) -> Iterator[Question]:
    """All that the node may ask its store, each with a name."""
    for stream in sorted({row[1].decode() for row in rows["journal"]} | {row[0].decode() for row in rows["archive"]}):
        yield f"load {stream}", lambda journal, stream=stream: journal.load(stream)
        yield f"history {stream}", lambda journal, stream=stream: _history(journal, stream)
    for key in _keys(rows["aliases"]):
        yield f"alias {key}", lambda journal, key=key: journal.find(*key)
    for key in _keys(rows["answers"]):
        yield f"answer {key}", lambda journal, key=key: _answer(journal, *key)
    for peer in sorted({row[2].decode() for row in rows["deliveries"]}):
        yield f"owed to {peer}", lambda journal, peer=peer: _owed(journal, peer)
        yield f"parked for {peer}", lambda journal, peer=peer: _parked(journal, peer)
    yield "transactions", lambda journal: _items(Ledger(journal.store).transactions(limit=ALL))
    yield "records", lambda journal: _items(Ledger(journal.store).cdrs(limit=ALL))
    yield "orphans", lambda journal: _nameless(_items(Orphans(journal.store).page(limit=ALL)))
    yield "meters", lambda journal: _nameless(Ledger(journal.store).idle_meters("CS01", ALL))
    yield "log", lambda journal: _nameless(_items(Ledger(journal.store).station_log("CS01", limit=ALL)))
    yield "audit", lambda journal: _items(_trail(journal).page(AuditFilter(), limit=ALL))
    yield "stations", members_of
    yield "quarantine", lambda journal: Quarantine(journal.store).cases()


class _Wall(StoppedClock):
    def wall(self) -> datetime:
        return self.time


def _trail(journal: Journal) -> Trail:
    return Trail(journal.store, _Wall())


def _keys(rows: list[tuple[Any, ...]]) -> list[tuple[str, str]]:
    """The keys of a table whose first two columns are its key."""
    return [(row[0].decode(), row[1].decode()) for row in rows]


async def _items(page: Awaitable[Any]) -> Any:
    return (await page).items


async def _nameless(found: Awaitable[Any]) -> Any:
    """Without the numbers that the database gave them, which say nothing of them."""
    return tuple(msgspec.structs.replace(each, id=None) for each in await found)


async def _owed(journal: Journal, peer: str) -> Any:
    """What is to be sent, within the longest pause."""
    owed = Owed(Outbox(journal.store), peer, Watermarks(), PAUSE_MAX_S)
    await owed.read(NOON)
    rows = owed.take(NOON + timedelta(seconds=PAUSE_MAX_S), ALL)
    return tuple(_sealed(row) for row in rows)


async def _parked(journal: Journal, peer: str) -> Any:
    """Those that were put aside when there was no damage yet: an altered one is, too, and said to be so."""
    page = await Outbox(journal.store).page(NOON, peer=peer, status="parked", limit=ALL)
    return tuple(_sealed(each) for each in page.items if each.last_error != ALTERED)


def _sealed(delivery: Delivery) -> Delivery:
    return msgspec.structs.replace(delivery, attempts=0, next_at=NOON, last_error=None)


async def _answer(journal: Journal, app: str, key: str) -> FirstAnswer | None:
    return await Answers(journal.store, KEPT_S, Watermarks()).find(app, key)


async def _history(journal: Journal, stream: str) -> Any:
    """What an actor knows of itself: its snapshot, and the facts that it reads."""
    found = await journal.history(stream, FORM)
    return (*([found.snapshot] if found.snapshot else []), *found.facts)


async def lies_of(journal: Journal, truth: Truth) -> list[str]:
    """Every answer that is not what a sound store gives, not a part of it and not a refusal."""
    lies = []
    for name, ask in questions(truth.rows):
        try:
            found = await ask(journal)
        except StoreError:
            continue
        except Exception as error:  # what nobody foresaw would break the actor that asks
            lies.append(f"{name}: {error!r}")
        else:
            lies += [f"{name}: {each!r}" for each in untrue(found, truth.answers[name])]
            if name.startswith(("load ", "history ")) and has_gap(found):
                lies.append(f"{name}: facts are left out before {found[-1]!r}")
    return lies


def has_gap(stream: tuple[Any, ...]) -> bool:
    """Whether a fact is missing that others follow: a state made of these would be another one. An end that is missing
    is the prefix that a cut leaves.
    """
    begin = stream[0].seq if stream and isinstance(stream[0], Snapshot) else 0
    numbers = [each.seq for each in stream if not isinstance(each, Snapshot)]
    return numbers != list(range(begin + 1, begin + 1 + len(numbers)))


def untrue(found: Any, true: Any) -> list[Any]:
    """What an answer says that is not true. What is missing is a loss, and no lie."""
    if isinstance(found, tuple):
        return [each for each in found if each not in true]
    return [] if found in (None, true) else [found]


# -- examinations ------------------------------------------------------------------------------------------------------


async def examined(folder: Path, truth: Truth) -> tuple[Outcome, list[str]]:
    """What becomes of the damaged store in this folder, first by `check-journal` and then by a node that uses it."""
    try:
        findings = await check_journal(url_of(folder), clock=StoppedClock())
        noticed = Outcome.NOTICED if findings else None
    except StoreError:
        noticed = Outcome.REFUSED
    if noticed is None:
        noticed = Outcome.HARMLESS if rows_of(folder) == truth.rows else Outcome.MISSED
    try:
        async with open_journal(url_of(folder), clock=StoppedClock(), run_sync=run_inline) as journal:
            return noticed, await lies_of(journal, truth)
    except StoreError:
        return Outcome.REFUSED if noticed is not Outcome.MISSED else noticed, []


async def flips(folder: Path, seed: int, count: int) -> Tally:
    """What becomes of a store in which one bit of its file differs, for so many bits in turn."""
    truth = await _sound(folder)

    def flip(place: int, bit: int) -> None:
        put(folder / "damaged", _with(truth.content, place, bit), truth.head)

    return await _tally(folder, truth, anywhere(truth.content, seed, count), flip)


async def flips_in_log(folder: Path, seed: int, count: int) -> Tally:
    """The same for the log of a node that died: nothing of it has reached the file yet, but for the first rows."""
    truth = await _sound(folder)
    begun, log, head = await _died(folder, truth)
    put(folder / "damaged", begun, head, log)
    truth = replace(await truth_of(folder / "damaged"), head=head)

    def flip(place: int, bit: int) -> None:
        put(folder / "damaged", begun, head, _with(log, place, bit))

    return await _tally(folder, truth, anywhere(log, seed, count), flip)


async def flips_in_head(folder: Path, seed: int, count: int) -> Tally:
    """The same for the head, the second file: the journal itself is sound, whatever that one says."""
    truth = await _sound(folder)

    def flip(place: int, bit: int) -> None:
        put(folder / "damaged", truth.content, _with(truth.head, place, bit))

    return await _tally(folder, truth, anywhere(truth.head, seed, count), flip)


async def _sound(folder: Path) -> Truth:
    sound = folder / "sound"
    sound.mkdir()
    await fill(sound)
    return await truth_of(sound)


async def _died(folder: Path, truth: Truth) -> tuple[bytes, bytes, bytes]:
    """The file, the log and the head of a node that has gone on with the sound store, and dies."""
    living = folder / "living"
    put(living, truth.content, truth.head)
    async with open_journal(url_of(living), clock=StoppedClock()) as journal:
        for number in range(STREAMS, STREAMS + MORE_STREAMS):
            await journal.append(_life(number))
        names = (JOURNAL, f"{JOURNAL}-wal", f"{JOURNAL}.head")
        content, log, head = [(living / name).read_bytes() for name in names]
    return content, log, head


async def _tally(
    folder: Path, truth: Truth, places: Iterator[tuple[int, int]], flip: Callable[[int, int], None]
) -> Tally:
    tally = Tally()
    for place, bit in places:
        flip(place, bit)
        tally.add(f"bit {bit} of byte {place}", *await examined(folder / "damaged", truth))
    return tally


def _with(content: bytes, place: int, bit: int) -> bytes:
    flipped = bytearray(content)
    flipped[place] ^= 1 << bit
    return bytes(flipped)


def anywhere(content: bytes, seed: int, count: int) -> Iterator[tuple[int, int]]:
    """Places for flips: half of them anywhere, half of them where something is written."""
    chance = Random(seed)
    written = [place for place, byte in enumerate(content) if byte]
    for number in range(count):
        place = chance.choice(written) if number % 2 else chance.randrange(len(content))
        yield place, chance.randrange(8)


def put(folder: Path, content: bytes, head: bytes, wal: bytes | None = None) -> None:
    """Puts these files in place of whatever store is in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("-wal", "-shm"):
        (folder / f"{JOURNAL}{name}").unlink(missing_ok=True)
    (folder / JOURNAL).write_bytes(content)
    (folder / f"{JOURNAL}.head").write_bytes(head)
    if wal is not None:
        (folder / f"{JOURNAL}-wal").write_bytes(wal)
