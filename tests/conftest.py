"""What all tests share: a PostgreSQL server, started by the first test that asks for it; a machine elsewhere."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from actors import store
from tests.support import fresh_tables, postgresql
from tests.support.long import of_length
from tests.support.postgresql import Server, shared_server

SHARED = "TESTS_POSTGRESQL_SERVER"
"""The process with which the server ends that all workers share, and its folder. (ROAMNODE_... would be a key.)"""


def pytest_configure(config: pytest.Config) -> None:
    settings.register_profile("here", max_examples=of_length(40, 100), deadline=None)
    settings.load_profile("here")
    store.migrate = fresh_tables.migrate
    os.environ.setdefault(SHARED, f"{os.getpid()} {tempfile.gettempdir()}/roamnode-pg-{os.getpid()}")


@pytest.fixture(scope="session")
def needs_postgresql() -> None:
    """Skips where there is no PostgreSQL; fails instead where TESTS_NEED names it."""
    reason = postgresql.why_not()
    if reason and "postgresql" in os.environ.get(postgresql.NEEDED, ""):
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="session")
def postgres_server(needs_postgresql: None) -> Server:
    """The server that all tests share: none may stop it."""
    pid, folder = os.environ[SHARED].split(maxsplit=1)
    return shared_server(Path(folder), int(pid))


@pytest.fixture(scope="session")
def postgres_database(postgres_server: Server, worker_id: str) -> str:
    """A database of this process alone."""
    name = f"tests_{worker_id}"
    postgres_server.sql(f"CREATE DATABASE {name}")
    return name


@pytest.fixture
def postgres_url(postgres_server: Server, postgres_database: str) -> str:
    """A database without a row; it may have tables already."""
    postgresql.empty(postgres_server, postgres_database)
    return postgres_server.url(postgres_database)


@pytest.fixture
def machine_in_lisbon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose own clock is an hour from UTC in summer."""
    monkeypatch.setenv("TZ", "Europe/Lisbon")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()
