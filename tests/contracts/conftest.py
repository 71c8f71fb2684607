"""The stores that must all keep the same contract."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from actors.journal import Journal, open_journal
from actors.ledger import Ledger
from actors.outbox import Outbox
from actors.store import RunSync, run_inline
from tests.contracts.samples import StoppedClock


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

    def open(self, folder: Path, clock: StoppedClock | None = None) -> AbstractAsyncContextManager[Journal]:
        url = self.url.format(folder=folder)
        return open_journal(url, clock=clock or StoppedClock(), run_sync=self.run_sync)


BACKENDS = (
    Backend("sqlite-file", "sqlite:///{folder}/journal.db", None),
    Backend("sqlite-file-inline", "sqlite:///{folder}/journal.db", run_inline),
    Backend("sqlite-memory", "sqlite://", run_inline, durable=False),
    Backend("postgresql", "", None, exclusive=True),
)


@pytest.fixture(params=BACKENDS, ids=lambda backend: backend.name)
def backend(request: pytest.FixtureRequest) -> Backend:
    backend: Backend = request.param
    return backend if backend.url else replace(backend, url=request.getfixturevalue("postgres_url"))


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
