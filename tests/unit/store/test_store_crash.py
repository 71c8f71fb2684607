"""A journal whose process is killed at any moment holds all that was acknowledged, and nothing by halves."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from actors.journal import Journal, open_journal
from actors.outbox import Outbox
from actors.records import Appended, StoreUnavailable
from tests.contracts.samples import NOON, StoppedClock, append
from tests.unit.store.appender import STREAMS

ROOT = Path(__file__).parents[3]


def killed_after(url: str, acknowledgements: int) -> dict[str, int]:
    """Runs the appender, kills it after so many acknowledgements, and returns the last seq it had told per stream."""
    command = [sys.executable, "-m", "tests.unit.store.appender", url]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout
        lines = [process.stdout.readline() for _ in range(acknowledgements)]
        process.kill()
        lines += process.stdout.readlines()
    told: dict[str, int] = {}
    for line in lines:
        if line.endswith(b"\n"):
            stream, seq = line.split()
            told[stream.decode()] = int(seq)
    return told


async def assert_whole(journal: Journal, told: dict[str, int]) -> None:
    pending = await Outbox(journal.store).pending("IE-001", 1_000_000, NOON)
    owed = {each.message_id for each in pending}
    for number in range(STREAMS):
        stream = f"source/{number}"
        facts = await journal.load(stream)
        assert len(facts) >= told.get(stream, 0)
        assert len(facts) % 2 == 0
        names = {f"{stream}/{seq}" for seq in range(0, len(facts), 2)}
        assert {each for each in owed if each.startswith(f"{stream}/")} == names
        assert {await journal.find("test", name) for name in names} <= {stream}
    assert await journal.check() == ()


async def test_killed_again_and_again_it_keeps_every_acknowledged_append_and_none_by_halves(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/journal.db"
    for acknowledgements in (1, 37, 400):
        told = killed_after(url, acknowledgements)
        assert sum(told.values()) >= 2
        async with open_journal(url, clock=StoppedClock()) as journal:
            await assert_whole(journal, told)


@contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    """The disk is full: no file of this process grows beyond this size (write(2) fails with EFBIG)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room_bytes", [0, 1, 4_096, 20_000, 100_000])
async def test_a_write_that_fails_at_any_place_is_not_acknowledged(tmp_path: Path, room_bytes: int) -> None:
    async with open_journal(f"sqlite:///{tmp_path}/journal.db", clock=StoppedClock()) as journal:
        await journal.append(append("source/1", 0, "before"))
        size = (tmp_path / "journal.db-wal").stat().st_size
        acknowledged = 1
        with files_of_at_most(size + room_bytes):
            while True:
                try:
                    stored = await journal.append(append("source/1", acknowledged, "x" * 3_000))
                except StoreUnavailable:
                    break
                assert isinstance(stored, Appended)
                acknowledged += 1
            assert len(await journal.load("source/1")) == acknowledged
        await journal.append(append("source/1", acknowledged, "after"))
        assert len(await journal.load("source/1")) == acknowledged + 1
        assert await journal.check() == ()


async def test_a_disk_that_is_full_is_not_said_to_be_sound_before_something_was_written_again(tmp_path: Path) -> None:
    async with open_journal(f"sqlite:///{tmp_path}/journal.db", clock=StoppedClock()) as journal:
        await journal.append(append("source/1"))
        await journal.store.prove_writable()
        with files_of_at_most(4_096):  # less than any page in the WAL takes
            with pytest.raises(StoreUnavailable):
                await journal.append(append("source/1", 1))
            with pytest.raises(StoreUnavailable):
                await journal.store.prove_writable()
            assert journal.store.trouble
        await journal.store.prove_writable()
        assert journal.store.trouble is None
        assert await journal.check() == ()


async def test_a_head_that_cannot_be_written_takes_back_nothing_of_what_is_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    async with open_journal(f"sqlite:///{tmp_path}/journal.db", clock=StoppedClock()) as journal:
        await journal.append(append("source/1"))
        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", full)
            assert isinstance(await journal.append(append("source/1", 1)), Appended)
        assert len(await journal.load("source/1")) == 2
        assert await journal.check() == ()
        await journal.append(append("source/1", 2))
    assert (tmp_path / "journal.db.head").read_text().startswith(f"{3:020d} ")


async def test_a_head_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "journal.db.head").mkdir()
    with pytest.raises(StoreUnavailable, match=r"journal\.db\.head cannot be opened: Is a directory"):
        async with open_journal(f"sqlite:///{tmp_path}/journal.db", clock=StoppedClock()):
            pass
