"""Folders that one process at a time may use."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from protocols.cli.starter import CannotRun

LOCK = ".lock"


@contextmanager
def alone_in(folder: Path, taken: str) -> Iterator[None]:
    """Makes the folder and keeps other processes out of it; the lock ends with the process, however it ends.

    Raises `CannotRun`: with the words `taken` if another one is in it, or with why the folder cannot be written.
    """
    with _lock_in(folder) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CannotRun(taken) from error
        yield


def _lock_in(folder: Path) -> TextIO:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # people's journeys are in it
        return (folder / LOCK).open("w")
    except OSError as error:
        raise CannotRun(f"{folder} cannot be written: {error.strerror}") from error


KEY_FILE, KEY_BYTES = "pages.key", 32


def page_key(folder: Path, fresh_bytes: Callable[[int], bytes]) -> bytes:
    """The secret that visits to the pages are sealed with: made when it is first wanted, the same after a restart.

    Who deletes the file signs everybody out. Raises OSError where the folder cannot be written.
    """
    file = folder / KEY_FILE
    with contextlib.suppress(FileNotFoundError):
        found = file.read_bytes()
        if len(found) == KEY_BYTES:
            return found
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = folder / f"{KEY_FILE}.new"
    new.touch(mode=0o600)
    new.write_bytes(fresh_bytes(KEY_BYTES))
    new.replace(file)
    return file.read_bytes()
