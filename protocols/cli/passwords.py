"""`node.py password`: the hash of a person's password, for the configuration."""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer

from protocols.cli.starter import WrongUse
from protocols.web.passwords import LENGTH_MIN, SALT_BYTES, hashed
from statecharts.page_limits import PASSWORD


def add_password_command(cli: typer.Typer, fresh_bytes: Callable[[int], bytes]) -> None:
    """Adds it to the command line."""

    @cli.command()
    def password() -> None:
        """Ask for a password (or read it from stdin) and print its hash for the configuration."""
        typer.echo(password_line(_read(), fresh_bytes))


def password_line(password: str, fresh_bytes: Callable[[int], bytes]) -> str:
    """The line of the configuration for this password. Raises `WrongUse` for one that is too short or too long."""
    if not LENGTH_MIN <= len(password) <= PASSWORD.limit:
        raise WrongUse(f"a password has {LENGTH_MIN} to {PASSWORD.limit} characters")
    return f'password_hash = "{hashed(password, fresh_bytes(SALT_BYTES))}"'


def _read() -> str:
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\n")
