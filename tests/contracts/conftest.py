"""The stores that must all keep the same contract."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from actors.journal import Journal, open_journal
from actors.ledger import Ledger
from actors.outbox import Outbox
from actors.store import RunSync, run_inline
from tests.contracts.samples import StoppedClock
from tests.world.disk import Disk
from tests.world.faults import Faults
from tests.world.ground import Ground, Life


@dataclass(frozen=True)
class Backend:
    """How to open one kind of store.

    `durable` ones hold what was appended when they are opened again; `exclusive` ones keep a second node out.
    """

    name: str
    url: str
    run_sync: RunSync | None
    durable: bool = True
    exclusive: bool = False

    def fresh(self, postgres_url: Callable[[], str]) -> Backend:
        """The same for one more test."""
        return self if self.url else replace(self, url=postgres_url())

    def close(self) -> None:
        """The test is over."""

    def open(self, folder: Path, clock: StoppedClock | None = None) -> AbstractAsyncContextManager[Journal]:
        url = self.url.format(folder=folder)
        return open_journal(url, clock=clock or StoppedClock(), run_sync=self.run_sync)


@dataclass(frozen=True)
class OnSimulatedDisk(Backend):
    """The disk of a simulated world: each opening is another life of its node."""

    disks: list[Disk] = field(default_factory=list)

    def fresh(self, postgres_url: Callable[[], str]) -> Backend:
        return replace(self, disks=[Disk(_ground(), "NL-MOT")])

    def close(self) -> None:
        self.disks[0].close()

    def open(self, folder: Path, clock: StoppedClock | None = None) -> AbstractAsyncContextManager[Journal]:
        return self.disks[0].open(Life(_ground(), "NL-MOT", 1), clock=clock or StoppedClock())


def _ground() -> Ground:
    nothing_travels: Any = None
    return Ground(0, nothing_travels, Faults())


BACKENDS = (
    Backend("sqlite-file", "sqlite:///{folder}/journal.db", None),
    Backend("sqlite-file-inline", "sqlite:///{folder}/journal.db", run_inline),
    Backend("sqlite-memory", "sqlite://", run_inline, durable=False),
    OnSimulatedDisk("simulated-disk", "sqlite://simulated", run_inline),
    Backend("postgresql", "", None, exclusive=True),
)


@pytest.fixture(params=BACKENDS, ids=lambda backend: backend.name)
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    backend: Backend = request.param
    fresh = backend.fresh(lambda: str(request.getfixturevalue("postgres_url")))
    yield fresh
    fresh.close()


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
async def journal(backend: Backend, tmp_path: Path, clock: StoppedClock) -> AsyncIterator[Journal]:
    async with backend.open(tmp_path, clock) as journal:
        yield journal


@pytest.fixture
def outbox(journal: Journal) -> Outbox:
    return Outbox(journal.store)


@pytest.fixture
def ledger(journal: Journal) -> Ledger:
    return Ledger(journal.store)
