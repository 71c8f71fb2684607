"""Alembic at work. Imported only where there are steps to take: importing it takes a fifth of a start without any."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection

from actors.records import StoreError


def upgrade(connection: Connection) -> None:
    """Takes all steps that the database has not taken. Raises StoreError for one that a newer release has written."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")  # a step may rewrite a large table
    try:
        command.upgrade(configuration(connection), "head")
    except CommandError as error:
        raise StoreError(f"this database was written by another release; use that one or a newer: {error}") from error


def configuration(connection: Connection | None = None) -> Config:
    """Where Alembic finds our steps; `env.py` takes them on this connection."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
