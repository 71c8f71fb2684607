"""What the commands need of node.py, which alone knows all floors; and how they end when they cannot be done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import trio
from typer.exceptions import TyperException

from protocols.cli.config import Config
from statecharts.ports import CentralSystem, Clock
from statecharts.simulated_equipment import StationPlan
from statecharts.vocabulary import Value

T = TypeVar("T")
Tell = Callable[[str, int], None]
"""Hears of a table how many of its rows are done."""


class WrongUse(TyperException):
    """The command cannot be meant like this: said in one line, exit status 2."""

    exit_code = 2


class CannotRun(TyperException):
    """The world does not let us: said as it is, exit status 1."""


class Unreachable(TyperException):
    """Whoever is asked does not answer: exit status 3."""

    exit_code = 3


class Content(Protocol):
    """What a table holds."""

    @property
    def rows(self) -> int: ...


class Upkeep(Protocol):
    """What is done with whole stores, each named by its URL. Whatever fails has changed nothing."""

    def step_at(self, url: str) -> tuple[str | None, str]:
        """At which step the tables are (None: there are none), and at which this release needs them."""

    def migrate_at(self, url: str) -> tuple[str | None, str]:
        """Brings the tables up to date; the steps before and now."""

    def back_up(self, url: str, file: Path, tell: Tell) -> tuple[Mapping[str, Content], Sequence[object]]:
        """Writes a store, also one in use, into a new SQLite file; and what in it is not as it was written."""

    def copy(self, source: str, target: str, tell: Tell) -> Mapping[str, Content]:
        """Copies a store that nobody uses into an empty database, and compares both."""

    def folders_of(self, *urls: str) -> Sequence[Path]:
        """The folders of those stores that are files."""


class Starter(Protocol):
    """What node.py can start."""

    @property
    def command(self) -> tuple[str, ...]:
        """How a process of this very program is started: interpreter and script."""

    def version(self) -> str: ...

    def run(self, config: Config) -> None:
        """Runs a node until SIGTERM or SIGINT. Raises `CannotRun` if it cannot start."""

    def simulate(self, plans: Sequence[StationPlan], tell: Callable[[Value], None]) -> None:
        """Runs simulated stations until SIGTERM or SIGINT; `tell` hears each step and each charge."""

    def journal_problems(self, config: Config) -> tuple[str, ...]:
        """What is wrong in the node's journal, one line each. Raises `CannotRun` where it cannot be read."""

    def upkeep(self, *folders: Path) -> AbstractContextManager[Upkeep]:
        """What is done with whole stores, nodes being kept out of these folders. Raises `CannotRun` where it fails."""

    @property
    def clock(self) -> Clock: ...

    def new_id(self) -> str:
        """An identifier that was never given before."""

    def line_of(self, plan: StationPlan) -> Callable[[], AbstractAsyncContextManager[CentralSystem]]:
        """How this station connects to its central system."""

    def fresh_bytes(self, count: int) -> bytes:
        """So many bytes from the operating system's random generator."""


def outcome_of(run: Callable[..., Awaitable[T]], *arguments: Any, reasons: tuple[type[Exception], ...] = ()) -> T:
    """What `trio.run` gives. Errors of these kinds, in whatever nursery they arose, become one `CannotRun`."""
    caught: tuple[type[Exception], ...] = (CannotRun, *reasons)
    causes: list[str] = []
    try:
        return trio.run(run, *arguments)
    except* caught as errors:
        causes = [str(error) for error in _leaves(errors)]
    raise CannotRun("; ".join(causes))


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    else:
        yield error
