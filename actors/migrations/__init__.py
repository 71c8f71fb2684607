"""How the tables came to be what they are, step by step; `migrate` takes a database from any step to the newest."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, inspect

from actors.records import StoreError

_VERSIONS = Path(__file__).parent / "versions"
STEP_TABLE = "alembic_version"


class Migrated(NamedTuple):
    """The steps at which a database was and is now; None stands for a database without tables."""

    before: str | None
    after: str


def migrate(connection: Connection) -> Migrated:
    """Brings the database to the newest step, within the connection's transaction: wholly or not at all.

    Raises StoreError for a database that a newer release has written.
    """
    before, newest = step_of(connection), newest_step()
    if before != newest:
        from actors.migrations.upgrade import upgrade  # with Alembic, which is not needed otherwise

        upgrade(connection)
    return Migrated(before, newest)


def require_newest_step(connection: Connection, name: str) -> None:
    """Raises StoreError, which calls the database by this name, unless it has the tables that this release needs."""
    step = step_of(connection)
    if step is None:
        raise StoreError(f"there is no journal in {name}")
    if step != newest_step():
        raise StoreError(f"{name} has the tables of step {step}, and this release needs {newest_step()}: migrate it")


def step_of(connection: Connection) -> str | None:
    """The step at which this database is; None if it has no tables yet."""
    if not inspect(connection).has_table(STEP_TABLE):
        return None
    step = connection.exec_driver_sql(f"SELECT version_num FROM {STEP_TABLE}").scalar_one_or_none()
    return None if step is None else str(step)


def newest_step() -> str:
    """The step that this release needs: files are named after the steps that they take."""
    return max(path.stem.partition("_")[0] for path in _VERSIONS.glob("[0-9]*_*.py"))
