"""Whatever happens to the bytes of a journal's files, no altered value is ever used and no loss goes unsaid."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

import pytest

from actors.head import Head, HeadFile
from actors.journal import Journal, open_journal
from actors.ledger import Ledger
from actors.outbox import Outbox
from actors.records import Fact, StoreError, StreamCorrupt
from tests.contracts.samples import NOON, StoppedClock, append, delivery, view

STREAMS = 12


def opening(folder: Path):
    return open_journal(f"sqlite:///{folder}/journal.db", clock=StoppedClock())


async def filled(folder: Path) -> dict[str, tuple[Fact, ...]]:
    """Makes a journal of a few streams and returns what lies in each."""
    async with opening(folder) as journal:
        for number in range(STREAMS):
            stream = f"source/{number}"
            owed = (delivery(stream, transaction=stream, body=b"<energy>11.0</energy>"),)
            await journal.append(append(stream, 0, "a" * 40, "b" * 40, deliveries=owed, view=view(number)))
        return {f"source/{number}": await journal.load(f"source/{number}") for number in range(STREAMS)}


def with_flipped(folder: Path, whole: bytes, place: int, bit: int) -> Path:
    """The folder, now with a journal that differs from the whole one in this bit."""
    folder.mkdir()
    flipped = bytearray(whole)
    flipped[place] ^= 1 << bit
    (folder / "journal.db").write_bytes(flipped)
    return folder


async def seen(journal: Journal) -> dict[str, object]:
    """Everything that can be read, by name; what cannot be read is absent."""
    found: dict[str, object] = {}
    for number in range(STREAMS):
        stream = f"source/{number}"
        for name, reading in (("load", journal.load), ("view", Ledger(journal.store).transaction)):
            try:
                found[f"{name} {stream}"] = await reading(stream)
            except StoreError:
                continue
    try:
        for each in await Outbox(journal.store).pending("IE-001", 100, NOON):
            found[f"owed {each.message_id}"] = each.body
    except StoreError:
        pass
    return found


def believable(truth: dict[str, tuple[Fact, ...]], found: dict[str, object]) -> bool:
    """Whether everything found is true. An end cut off or a row no longer found is a loss, not a lie."""
    for name, value in found.items():
        kind, stream = name.split()
        if kind == "load" and value != truth[stream][: len(value)]:
            return False
        if kind == "view" and value not in (None, view(int(stream.partition("/")[2]))):
            return False
        if kind == "owed" and value != b"<energy>11.0</energy>":
            return False
    return True


async def test_no_flipped_bit_anywhere_in_the_file_is_ever_read_as_a_value(tmp_path: Path) -> None:
    truth = await filled(tmp_path)
    whole = (tmp_path / "journal.db").read_bytes()
    in_use = [place for place, byte in enumerate(whole) if byte]  # pages of empty tables are mostly zeros
    random = Random(14)
    noticed = 0
    for number in range(60):
        place, bit = random.choice(in_use), random.randrange(8)
        folder = with_flipped(tmp_path / str(number), whole, place, bit)
        try:
            async with opening(folder) as journal:
                assert believable(truth, await seen(journal)), f"bit {bit} of byte {place}"
                noticed += bool(await journal.check())
        except StoreError:
            noticed += 1
    assert noticed > 5


async def test_a_flipped_bit_in_a_fact_names_its_stream_and_spares_the_others(tmp_path: Path) -> None:
    await filled(tmp_path)
    file = tmp_path / "journal.db"
    content = bytearray(file.read_bytes())
    content[content.index(b"b" * 40)] ^= 1
    file.write_bytes(content)
    async with opening(tmp_path) as journal:
        findings = await journal.check()
        (stream,) = {finding.stream for finding in findings}
        with pytest.raises(StreamCorrupt) as caught:
            await journal.load(stream)
        assert (caught.value.stream, caught.value.seq) == (stream, 2)
        for number in range(STREAMS):
            if stream != f"source/{number}":
                assert len(await journal.load(f"source/{number}")) == 2


async def test_a_journal_whose_end_is_gone_says_so_for_ever(tmp_path: Path) -> None:
    older, newer = tmp_path / "older", tmp_path / "newer"
    newer.mkdir()
    async with opening(newer) as journal:
        await journal.append(append("source/1", 0, "kept"))
    shutil.copytree(newer, older)
    async with opening(newer) as journal:
        await journal.append(append("source/1", 1, "lost"))
    shutil.copy(newer / "journal.db.head", older / "journal.db.head")
    async with opening(older) as journal:
        assert [each.data for each in await journal.load("source/1")] == [b'"kept"']
        await journal.append(append("source/1", 1, "new"))
    async with opening(older) as journal:
        (finding,) = await journal.check()
        assert "cut off before position 2" in str(finding)


async def test_another_journal_put_in_place_is_noticed(tmp_path: Path) -> None:
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
        async with opening(tmp_path / name) as journal:
            await journal.append(append("source/1", 0, name))
    shutil.copy(tmp_path / "theirs/journal.db", tmp_path / "ours/journal.db")
    async with opening(tmp_path / "ours") as journal:
        (finding,) = await journal.check()
        assert "position 1 is not the fact that had been written there" in str(finding)


@pytest.mark.parametrize("head", [b"", b"garbage", b"\xff" * 90, b"1", b"1 xyz"])
async def test_an_unreadable_head_stops_nothing(tmp_path: Path, head: bytes) -> None:
    await filled(tmp_path)
    (tmp_path / "journal.db.head").write_bytes(head)
    async with opening(tmp_path) as journal:
        assert await journal.check() == ()


async def test_a_journal_without_its_wal_opens_on_a_prefix_of_its_commits(tmp_path: Path) -> None:
    living = tmp_path / "living"
    living.mkdir()
    async with opening(living) as journal:
        for seq in range(6):
            await journal.append(append("source/1", seq, f"{seq}"))
        wal = (living / "journal.db-wal").read_bytes()
        database, head = (living / "journal.db").read_bytes(), (living / "journal.db.head").read_bytes()
    random = Random(13)
    for number, length in enumerate(sorted(random.randrange(len(wal) * 3 // 4, len(wal)) for _ in range(8))):
        folder = tmp_path / f"cut-{number}"
        folder.mkdir()
        (folder / "journal.db").write_bytes(database)
        (folder / "journal.db-wal").write_bytes(wal[:length])
        (folder / "journal.db.head").write_bytes(head)
        async with opening(folder) as journal:
            facts = await journal.load("source/1")
            assert [each.data.decode() for each in facts] == [f'"{seq}"' for seq in range(len(facts))]
            assert len(facts) < 6
            assert "cut off" in str((await journal.check())[-1])


async def test_the_head_file_gives_back_what_it_was_told_last(tmp_path: Path) -> None:
    head_file = HeadFile(tmp_path / "head")
    assert head_file.read() is None
    for position in (1, 2**62, 3):
        head_file.write(Head(position, bytes(range(32))))
        assert head_file.read() == Head(position, bytes(range(32)))
    head_file.close()
