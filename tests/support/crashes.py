"""A node that dies between two appends: a blade on its journal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import trio

from actors.records import Append, Appended
from tests.support.house import House


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
