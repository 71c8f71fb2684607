"""A second, small file that says where the journal ends, so that a journal whose end was cut off is noticed.

Each row's checksum shows what was altered, but not what is no longer there. The head is written after each commit and
before anybody is told of it: it may lag behind the journal, and is never ahead of an unharmed one.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Protocol

import msgspec
import structlog

_LINE = re.compile(rb"([0-9]{20}) ([0-9a-f]{64})\n")
_UNCOUNTED = 2**63
"""No database counts as far: a head that names such a position is damaged."""

log = structlog.get_logger(__name__)


class Head(msgspec.Struct, frozen=True):
    """The newest fact of all streams: its position and checksum. Position 0 stands for none."""

    position: int
    checksum: bytes


class HeadRecord(Protocol):
    """Where the head is kept."""

    def read(self) -> Head | None:
        """The head written last; None if there is none that can be read."""

    def write(self, head: Head) -> None:
        """Remembers this head."""

    def close(self) -> None: ...


class HeadFile:
    """Keeps one `Head` as one line of fixed width: position, blank, checksum in hex. Raises OSError if it cannot."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def read(self) -> Head | None:
        """The head written last; None if there is none that can be read."""
        line = _LINE.fullmatch(os.pread(self._file, 4096, 0))
        if line is None or int(line[1]) >= _UNCOUNTED:
            return None
        return Head(int(line[1]), bytes.fromhex(line[2].decode("ascii")))

    def write(self, head: Head) -> None:
        """Remembers this head. The line keeps its place and length, so most full disks do not stop it.

        Not synced: the journal is, and an older head only notices less, after a power failure as on a disk that cannot
        be written. What the journal has been given is safe all the same, so that is no failure of whoever gave it.
        """
        try:
            os.pwrite(self._file, f"{head.position:020d} {head.checksum.hex()}\n".encode("ascii"), 0)
        except OSError as error:
            log.warning("journal.head_not_written", head=str(self.path), cause=error.strerror)

    def close(self) -> None:
        os.close(self._file)
