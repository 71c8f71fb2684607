"""A node that dies between two appends, or fails at one, or is left at one by its asker: a blade on its journal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

import pytest
import trio

from actors.journal import Journal
from actors.records import Append, Appended, StoreUnavailable
from tests.support.house import House
from tests.support.promises import promised


@dataclass
class Blade:
    """Kills a house at its n-th append: before it is written, or once it is and nobody has heard of it."""

    house: House
    cut_at: int | None = None
    written: bool = False
    appends: int = 0
    cut: trio.Event = field(default_factory=trio.Event)
    _append: Callable[[Append], Awaitable[Appended]] = field(init=False)

    def __post_init__(self) -> None:
        self._append = self.house.journal.append
        self.house.journal.append = self.append  # type: ignore[method-assign]
        self.house.journal.begin = partial(promised, self.append)  # type: ignore[method-assign]

    async def append(self, append: Append) -> Appended:
        self.appends += 1
        if self.appends != self.cut_at:
            return await self._append(append)
        if self.written:
            with trio.CancelScope(shield=True):
                await self._append(append)
        self.house.kill()
        self.cut.set()
        await trio.sleep_forever()
        raise AssertionError("cancelled above")


def write_by(
    append: Callable[[Append], Awaitable[Appended]], journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lets `append` stand between everybody and this journal, whether they wait for what they append or not."""
    monkeypatch.setattr(journal, "append", append)
    monkeypatch.setattr(journal, "begin", partial(promised, append))


@dataclass
class Writing:
    """Does something just before the n-th append to a local transaction's stream, counted from when it was told."""

    write: Callable[[Append], Awaitable[Appended]]
    nth: int | None = None
    what: Callable[[], None] = field(default=lambda: None)

    def at(self, nth: int, what: Callable[[], None]) -> None:
        self.nth, self.what = nth, what

    async def append(self, append: Append) -> Appended:
        if self.nth is not None and append.stream.startswith("local/"):
            self.nth -= 1
            if self.nth == 0:
                self.what()
        return await self.write(append)


def disk_full() -> None:
    raise StoreUnavailable("no space left on device")
