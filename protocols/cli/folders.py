"""Folders that one process at a time may use."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
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
