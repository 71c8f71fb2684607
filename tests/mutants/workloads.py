"""What is let loose on a house to find out whether something is wrong with it.

A workload runs in a process of its own in the folder of that house, and says whether it objected, to what, and how
many examples or seeds it tried until then. One that is random takes another way for each seed; a suite always takes the
same: it is there for what no random life would ever meet.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TIME_LIMIT_S = 240.0
TEST_LIMIT_S = 120.0


class CannotRun(Exception):
    """A workload that names no test, or a house that cannot even be entered: nothing is found by that."""


@dataclass(frozen=True)
class Verdict:
    """`objection` is what was found, None if nothing was; `tries` how many examples or seeds had been tried by then."""

    objection: str | None
    tries: int


@dataclass(frozen=True)
class Workload:
    """`tests` are pytest's names of tests; each random one among them tries so many examples at most."""

    name: str
    tests: tuple[str, ...]
    tries: int = 300
    is_random: bool = True

    def run(self, folder: Path, seed: int) -> Verdict:
        """What this workload finds in that house. Raises `CannotRun`."""
        report = folder / "tries.json"
        report.unlink(missing_ok=True)
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "tests.mutants.counting"]
        command += [
            "-p",
            "no:cacheprovider",
            "-p",
            "no:schemathesis",
        ]  # the first is in the way, the second slow to load
        command += [f"--tries={self.tries}", f"--tries-report={report}", f"--timeout={TEST_LIMIT_S:g}"]
        output = finished([*command, f"--hypothesis-seed={seed}", *self.tests], folder)
        if output is None:
            return Verdict(None, self.tries)
        if not report.exists():
            raise CannotRun(f"{self.name} cannot be run: {output.strip()[-300:]}")
        found: dict[str, Any] = json.loads(report.read_text())
        where, what = found["objections"][0] if found["objections"] else ("", "")
        return Verdict(f"{where}: {what}" if where else None, found["tries"])


def finished(command: list[str], folder: Path) -> str | None:
    """What a process said that was given its time; None if that was over, and it was ended."""
    # Bugs are looked for alone: what the tests of a whole run share (a PostgreSQL server) is not for them.
    environment = {**os.environ, "LONG": "1", "PYTHONPATH": ""}
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    ) as process:
        try:
            output, _ = process.communicate(timeout=TIME_LIMIT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return None
    return output.decode(errors="replace")
