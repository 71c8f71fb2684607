"""What is let loose on a house to find out whether something is wrong with it.

A workload runs in a process of its own in the folder of that house, and says whether it objected, to what, and how
many examples or seeds it tried until then. One that is random takes another way for each seed; a suite always takes the
same: it is there for what no random life would ever meet.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CPU_LIMIT_S = 240
"""What a process may compute for; on a machine with much else to do that can take long."""

HANGS_AFTER_S = 900.0

ROOT = Path(__file__).parents[2]


class CannotRun(Exception):
    """A workload that names no test, or a house that cannot even be entered: nothing is found by that."""


@dataclass(frozen=True)
class Verdict:
    """`objection` is what was found, None if nothing was; `tries` how many examples or seeds had been tried by then.

    No tries at all: what objected was a test that always does the same.
    """

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
        command += [f"--tries={self.tries}", f"--tries-report={report}", "--timeout=0"]
        output = finished([*command, f"--hypothesis-seed={seed}", *self.tests], folder)
        if output is None:
            return Verdict(f"it came to no end within {CPU_LIMIT_S} s of CPU time", self.tries)
        if not report.exists():
            raise CannotRun(f"{self.name} cannot be run: {output.strip()[-300:]}")
        found: dict[str, Any] = json.loads(report.read_text())
        if not found["objections"]:
            return Verdict(None, sum(found["tried"].values()))
        where, what = found["objections"][0]
        return Verdict(f"{where}: {what}", found["tried"].get(where, 0))


@dataclass(frozen=True)
class Worlds:
    """Simulated worlds, judged by the offline checker: at most `count` of them, from a thousand times the seed on.

    What is objected to without the bug as well is no find; there the next world is tried. With `known` it is that one
    world, whatever the seed: it has shown the bug before, and spares a search of minutes for as long as it does.
    """

    name: str
    count: int = 60
    is_random: bool = True
    known: int | None = None
    tests: tuple[str, ...] = ("tests/world/trial.py",)

    def run(self, folder: Path, seed: int) -> Verdict:
        """What the checker finds in the worlds of that house. Raises `CannotRun`."""
        if self.known is not None:
            return Verdict(self._found(folder, self.known, 1).objection, 0)
        return self._found(folder, seed * 1_000, self.count)

    def _found(self, folder: Path, first: int, count: int) -> Verdict:
        at, end = first, first + count
        while at < end:
            played, objection = self._played(folder, at, end - at, folder / "worlds.json")
            if objection is None:
                return Verdict(None, played - first + 1)
            if self._played(ROOT, played, 1, folder / "unharmed.json")[1] is None:
                return Verdict(objection, played - first + 1)
            at = played + 1
        return Verdict(None, count)

    def _played(self, house: Path, first: int, count: int, report: Path) -> tuple[int, str | None]:
        """The last seed that was played, and what was objected to."""
        report.unlink(missing_ok=True)
        output = finished([sys.executable, "-m", "tests.mutants.worlds", str(first), str(count), str(report)], house)
        if not report.exists():
            raise CannotRun(f"no world can be played: {(output or 'out of time').strip()[-300:]}")
        said = json.loads(report.read_text())
        return said["seed"], said["objection"]


@dataclass(frozen=True)
class Mutant:
    """A planted bug. `seen` says in which product or study it was met (FAULTS: M1 to M14), `breaks` what it breaks.

    Workloads are tried in their order, and the first that objects is the one that counts: what is known to find it soon
    stands first, and last the simulated worlds, of which `--by "simulated worlds"` tells what they find alone.
    """

    name: str
    what: str
    breaks: str
    workloads: tuple[Workload | Worlds, ...]
    seen: str = ""
    why_a_suite: str = ""


def finished(command: list[str], folder: Path) -> str | None:
    """What a process said that was given its time; None if that was over, and it was ended."""
    with subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "LONG": "", "PYTHONPATH": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        resource.prlimit(process.pid, resource.RLIMIT_CPU, (CPU_LIMIT_S, CPU_LIMIT_S))
        try:
            output, _ = process.communicate(timeout=HANGS_AFTER_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return None
    return None if process.returncode in (-signal.SIGXCPU, -signal.SIGKILL) else output.decode(errors="replace")
