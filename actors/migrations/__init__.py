"""How the tables came to be what they are, step by step; `migrate` takes a database from any step to the newest."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection

from actors.records import StoreError


def migrate(connection: Connection) -> None:
    """Brings the database to the newest step, within the connection's transaction: wholly or not at all.

    Raises StoreError for a database that a newer release has written.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise StoreError(f"this database was written by another release; use that one or a newer: {error}") from error
