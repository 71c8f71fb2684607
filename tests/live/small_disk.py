"""A disk of a few megabytes that can be full: a tmpfs in a mount namespace of its own, gone with whoever holds it.

Nothing of it is seen outside: not in the machine's mounts, and not after a test that was killed. A user who may make
namespaces of his own needs no further right.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CHUNK_BYTES = 65_536
_MOUNT = 'mount -t tmpfs -o "size=$2,mode=700" tmpfs "$1" && echo mounted && read -r _'


class SmallDisk:
    """What lies at `folder` for the commands that are run `within`; `inside` is the same for everybody else."""

    def __init__(self, folder: Path, holder: int, as_root: bool) -> None:
        self.folder = folder
        self.inside = Path(f"/proc/{holder}/root{folder}")
        user = () if as_root else ("--user", "--preserve-credentials")
        self.within = ("nsenter", "--target", str(holder), *user, "--mount", f"--wdns={Path.cwd()}")
        self._ballast = self.inside / "ballast"

    def fill(self) -> None:
        """Leaves no byte free."""
        with self._ballast.open("ab", buffering=0) as ballast:
            for size in (CHUNK_BYTES, 1):
                _write_until_full(ballast.fileno(), bytes(size))

    def free(self) -> None:
        """Gives back what `fill` has taken."""
        self._ballast.unlink(missing_ok=True)

    @property
    def free_bytes(self) -> int:
        left = os.statvfs(self.inside)
        return left.f_bavail * left.f_frsize


def _write_until_full(file: int, some: bytes) -> None:
    try:
        while True:
            os.write(file, some)
    except OSError as full:
        if full.errno != errno.ENOSPC:
            raise


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[SmallDisk]:
    """A disk of this size at `folder`. Raises RuntimeError where none can be made, with the reason."""
    folder.mkdir(parents=True, exist_ok=True)
    as_root = os.geteuid() == 0
    if not all(map(shutil.which, ("unshare", "nsenter", "mount"))):
        raise RuntimeError("a small disk needs unshare, nsenter and mount (util-linux)")
    command = ["unshare", *(() if as_root else ("--map-root-user",)), "--mount", "sh", "-c", _MOUNT, "sh"]
    pipe = subprocess.PIPE
    with subprocess.Popen([*command, str(folder), str(size_bytes)], stdin=pipe, stdout=pipe, stderr=pipe) as holder:
        assert holder.stdin and holder.stdout and holder.stderr
        if holder.stdout.readline() != b"mounted\n":
            raise RuntimeError(f"no small disk can be made here: {holder.stderr.read().decode().strip()}")
        try:
            yield SmallDisk(folder, holder.pid, as_root)
        finally:
            holder.stdin.close()
