"""How the tables came to be what they are, step by step; `migrate` takes a database from any step to the newest."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection

from actors.records import StoreError


class Migrated(NamedTuple):
    """The steps at which a database was and is now; None stands for a database without tables."""

    before: str | None
    after: str


def migrate(connection: Connection) -> Migrated:
    """Brings the database to the newest step, within the connection's transaction: wholly or not at all.

    Raises StoreError for a database that a newer release has written.
    """
    config = _config()
    config.attributes["connection"] = connection
    before = step_of(connection)
    try:
        if before != newest_step():  # starting Alembic takes longer than anything else at the start of a node
            command.upgrade(config, "head")
    except CommandError as error:
        raise StoreError(f"this database was written by another release; use that one or a newer: {error}") from error
    return Migrated(before, newest_step())


def step_of(connection: Connection) -> str | None:
    """The step at which this database is; None if it has no tables yet."""
    return MigrationContext.configure(connection).get_current_revision()


def newest_step() -> str:
    """The step that this release needs."""
    newest = ScriptDirectory.from_config(_config()).get_current_head()
    assert newest is not None
    return newest


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
