"""The command line: what a person can ask of `node.py`. What it starts is handed in by node.py."""

import os
from pathlib import Path
from typing import Annotated, Protocol

import typer

from protocols.cli.config import Config, ConfigError, load_config

ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="TOML file; ROAMNODE_ environment variables override it.")
]


class Starter(Protocol):
    """What node.py can start."""

    def version(self) -> str: ...

    def run(self, config: Config) -> None:
        """Runs a node until SIGTERM or SIGINT."""


def read_config(path: Path | None) -> Config:
    """The configuration; or every problem by key and reason, and exit status 2."""
    try:
        return load_config(path, os.environ)
    except ConfigError as error:
        for key, reason in error.problems:
            typer.echo(f"configuration: {key}: {reason}", err=True)
        raise typer.Exit(2) from None


def make_cli(starter: Starter) -> typer.Typer:
    """The commands of `node.py`."""
    cli = typer.Typer(
        name="node.py",
        help="A node of the MOBI.Europe roaming network for electric-vehicle charging.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )

    def show_version(wanted: bool) -> None:
        if wanted:
            typer.echo(f"roamnode {starter.version()}")
            raise typer.Exit

    @cli.callback()
    def main(
        version: Annotated[
            bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version and exit.")
        ] = False,
    ) -> None:
        """A node of the MOBI.Europe roaming network for electric-vehicle charging."""

    @cli.command()
    def run(config: ConfigOption = None) -> None:
        """Run a node until SIGTERM or Ctrl-C; both drain it: turns under way finish, stations are told to come back."""
        starter.run(read_config(config))

    @cli.command("check-config")
    def check_config(config: ConfigOption = None) -> None:
        """Say whether a configuration can be used. Starts nothing; exit status 2 if it cannot."""
        settings = read_config(config)
        for key, reason in settings.warnings():
            typer.echo(f"warning: {key}: {reason}")
        roles = " and ".join(role.value for role in settings.roles)
        typer.echo(f"{settings.pms_identifier} as {roles}: the configuration is good")

    return cli
