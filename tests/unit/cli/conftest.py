"""The command line as a person meets it: arguments in, exit status and lines out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from protocols.cli.commands import main
from protocols.cli.config import Config
from statecharts.simulated_equipment import StationPlan
from tests.contracts.samples import StoppedClock
from tests.support.sizes import ROOT

EXAMPLES = ROOT / "examples"


class FakeStarter:
    """Starts nothing, and remembers what it was asked to start."""

    command = ("python", "node.py")
    clock = StoppedClock()

    def __init__(self) -> None:
        self.ran: list[Config] = []
        self.plans: list[StationPlan] = []
        self.problems: tuple[str, ...] = ()

    def version(self) -> str:
        return "1.2.3"

    def run(self, config: Config) -> None:
        self.ran.append(config)

    def simulate(self, plans: Sequence[StationPlan], tell: Callable[[object], None]) -> None:
        self.plans += plans
        self.tell = tell

    def journal_problems(self, config: Config) -> tuple[str, ...]:
        return self.problems

    def fresh_bytes(self, count: int) -> bytes:
        return bytes(range(count))


class CommandLine:
    """`call` gives the exit status; `out` and `err` are what the last call said, line by line."""

    def __init__(self, starter: FakeStarter, capsys: pytest.CaptureFixture[str]) -> None:
        self.starter, self._capsys = starter, capsys
        self.out: list[str] = []
        self.err: list[str] = []

    def call(self, *arguments: str | Path) -> int:
        status = main(self.starter, [str(argument) for argument in arguments])
        said = self._capsys.readouterr()
        self.out, self.err = said.out.splitlines(), said.err.splitlines()
        return status


@pytest.fixture
def starter() -> FakeStarter:
    return FakeStarter()


@pytest.fixture
def cli(starter, capsys) -> CommandLine:
    return CommandLine(starter, capsys)
