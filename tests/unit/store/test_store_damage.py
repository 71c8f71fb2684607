"""Whatever happens to the bytes of a journal's files, no altered value is ever used and no loss goes unsaid."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from actors.head import Head, HeadFile
from actors.journal import check_journal, open_journal
from actors.outbox import Outbox
from actors.records import Fact, Snapshot, StreamCorrupt
from tests.contracts.samples import NOON, StoppedClock, append, delivery
from tests.support.cuts import cuts_of_file, cuts_of_log, garbage_after_file, garbage_after_log
from tests.support.damage import Outcome, flips, flips_in_head, flips_in_log, has_gap, untrue
from tests.support.long import of_length

STREAMS = 12
FLIPS = of_length(100, 2_000)
FLIPS_IN_LOG, FLIPS_IN_HEAD = of_length(10, 200), of_length(5, 100)
SEED = 14


def opening(folder: Path):
    return open_journal(f"sqlite:///{folder}/journal.db", clock=StoppedClock())


async def filled(folder: Path) -> None:
    """Makes a journal of a few streams."""
    async with opening(folder) as journal:
        for number in range(STREAMS):
            await journal.append(append(f"source/{number}", 0, "a" * 40, "b" * 40))


def test_a_loss_is_told_from_a_lie():
    one, two, three = (facts := [_fact(seq) for seq in (1, 2, 3)])
    newest = Snapshot(seq=1, form="any", data=b"")
    for sound in ((), (one,), (one, two), (newest, two, three), (newest,)):
        assert not has_gap(sound) and untrue(sound, (newest, *facts)) == []
    for wrong in ((two,), (one, three), (two, one), (newest, three)):
        assert has_gap(wrong)
    assert untrue((one, _fact(2, b"altered")), (one, two)) == [_fact(2, b"altered")]


def _fact(seq: int, data: bytes = b"") -> Fact:
    return Fact(position=seq, stream="s", seq=seq, type="t", from_state="", to_state="", at=NOON, data=data)


@pytest.mark.timeout(of_length(120, 1_200))
async def test_no_flipped_bit_anywhere_in_the_file_is_ever_used_or_goes_unnoticed(tmp_path: Path) -> None:
    tally = await flips(tmp_path, SEED, FLIPS)
    assert tally.wrong == []
    assert tally.n == FLIPS
    assert tally.outcomes[Outcome.NOTICED] > FLIPS / 4


async def test_no_flipped_bit_in_the_log_of_a_node_that_died_is_ever_used(tmp_path: Path) -> None:
    tally = await flips_in_log(tmp_path, SEED, FLIPS_IN_LOG)
    assert tally.wrong == []
    assert tally.outcomes[Outcome.NOTICED] > 0


async def test_no_flipped_bit_in_the_head_is_ever_used(tmp_path: Path) -> None:
    tally = await flips_in_head(tmp_path, SEED, FLIPS_IN_HEAD)
    assert tally.wrong == []


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


async def test_a_damaged_page_names_the_streams_it_hit_and_hides_no_other_damage(tmp_path: Path) -> None:
    """One page of facts is nonsense, and elsewhere one fact was altered: both are said, and nobody else is accused."""
    async with opening(tmp_path) as journal:
        for number in range(100):
            await journal.append(append(f"source/{number:02}", 0, f"{number:02}" * 200, "b" * 40))
    file = tmp_path / "journal.db"
    content = bytearray(file.read_bytes())
    size = int.from_bytes(content[16:18])
    page = content.index(b"50" * 200) // size * size
    hit = {
        f"source/{number:02}" for number in range(100) if f"{number:02}".encode() * 200 in content[page : page + size]
    }
    content[page] = 0  # no page is of this kind (SQLite's file format, 1.6)
    content[content.index(b"99" * 200)] ^= 1
    file.write_bytes(content)
    findings = await check_journal(f"sqlite:///{file}", clock=StoppedClock())
    named = {finding.stream for finding in findings}
    assert len(hit) > 1 and named == {"(database)", "source/99", *hit}
    assert "cannot be read in one go" in "".join(finding.reason for finding in findings), "and what the database said"


async def test_a_damaged_index_sends_nobody_what_was_put_aside(tmp_path: Path) -> None:
    async with opening(tmp_path) as journal:
        owed = tuple(delivery(f"end/{number}") for number in range(1, 4))
        await journal.append(append("source/1", 0, "a", deliveries=owed))
        await Outbox(journal.store).park(3, "refused")
    file = tmp_path / "journal.db"
    content = bytearray(file.read_bytes())
    # The index of peer, status, time (eight bytes) and id, and then the row: for the second it shall be the third
    (end,) = (found.end() for found in re.finditer(rb"IE-001pending.{8}\x02(?=\x02)", content, re.DOTALL))
    content[end] = 3
    file.write_bytes(content)
    async with opening(tmp_path) as journal:
        pending = await Outbox(journal.store).pending("IE-001", 10, NOON)
        assert {each.id for each in pending} <= {1, 2}
    assert await check_journal(f"sqlite:///{file}", clock=StoppedClock())


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


@pytest.mark.parametrize(
    "head",
    [b"", b"garbage", b"\xff" * 90, b"1", b"1 xyz", b"4%019d %064d\n" % (26, 0)],
    ids=lambda head: repr(head[:20]),
)
async def test_an_unreadable_head_stops_nothing(tmp_path: Path, head: bytes) -> None:
    await filled(tmp_path)
    (tmp_path / "journal.db.head").write_bytes(head)
    async with opening(tmp_path) as journal:
        assert await journal.check() == ()


@pytest.mark.timeout(of_length(120, 1_200))
async def test_a_log_cut_anywhere_is_a_prefix_of_its_commits_and_what_is_gone_is_said(tmp_path: Path) -> None:
    cuts = await cuts_of_log(tmp_path, *of_length((97, 20), (1, 100)))
    assert cuts.wrong == []
    assert cuts.noticed == cuts.looked_at - 1  # the first is no cut


@pytest.mark.timeout(of_length(120, 1_200))
async def test_a_file_cut_anywhere_is_not_used_or_said_to_be_cut(tmp_path: Path) -> None:
    cuts = await cuts_of_file(tmp_path, of_length(499, 1))
    assert cuts.wrong == []
    assert cuts.noticed == cuts.n > 0


async def test_garbage_at_the_end_is_never_read(tmp_path: Path) -> None:
    log = await garbage_after_log(tmp_path / "log", SEED, of_length(8, 300))
    file = await garbage_after_file(tmp_path / "file", SEED, of_length(3, 50))
    assert log.wrong == file.wrong == []
    assert file.noticed == 0


async def test_the_head_file_gives_back_what_it_was_told_last(tmp_path: Path) -> None:
    head_file = HeadFile(tmp_path / "head")
    assert head_file.read() is None
    for position in (1, 2**62, 3):
        head_file.write(Head(position, bytes(range(32))))
        assert head_file.read() == Head(position, bytes(range(32)))
    head_file.close()
