"""What the commands need of node.py, which alone knows all floors; and how they end when they cannot be done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

import trio
from typer.exceptions import TyperException

from protocols.cli.config import Config
from statecharts.simulated_equipment import StationPlan
from statecharts.vocabulary import Value

T = TypeVar("T")


class WrongUse(TyperException):
    """The command cannot be meant like this: said in one line, exit status 2."""

    exit_code = 2


class CannotRun(TyperException):
    """The world does not let us: said as it is, exit status 1."""


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
