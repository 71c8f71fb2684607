"""The command line: what a person can ask of `node.py`. What it starts is handed in by node.py."""

import base64
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from protocols.cli.authority import add_authority_commands
from protocols.cli.config import Config, ConfigError, load_config
from protocols.cli.ctl import add_ctl_commands
from protocols.cli.init import add_init_command
from protocols.cli.passwords import add_password_command
from protocols.cli.replay import add_replay_command
from protocols.cli.starter import CannotRun, Starter
from protocols.cli.station import add_station_command
from protocols.cli.store_commands import add_store_commands
from protocols.cli.verify import add_verify_command
from statecharts.credentials import hash_secret, token_digest

DOCS = Path("docs")
SECRET_BYTES, SALT_BYTES = 24, 16
INTERRUPTED = 130

ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="TOML file; ROAMNODE_ environment variables override it.")
]


def main(starter: Starter, arguments: Sequence[str] | None = None) -> int:
    """Does what the command line asks (None: that of this process) and returns the exit status.

    0 is done, 1 could not be done, 2 wrong use or a wrong configuration, 3 a node that `ctl` asks does not
    answer: said on stderr, never as a traceback.
    """
    command = typer.main.get_command(make_cli(starter))
    try:
        status = command.main(args=arguments, prog_name="node.py", standalone_mode=False)
    except (typer.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except TyperException as error:
        if error.format_message():
            typer.echo(f"node.py: {error.format_message()}", err=True)
        return error.exit_code
    return status if isinstance(status, int) else 0


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
        help="A node of the MOBI.Europe roaming network for electric-vehicle charging.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for add in (
        _add_version,
        add_init_command,
        _add_run,
        _add_checks,
        _add_store,
        _add_station,
        _add_ctl,
        add_verify_command,
        add_replay_command,
        _add_demo,
        _add_charts,
        _add_secret,
        add_authority_commands,
    ):
        add(cli, starter)
    return cli


def _add_version(cli: typer.Typer, starter: Starter) -> None:
    def show_version(wanted: bool) -> None:
        if wanted:
            typer.echo(f"roamnode {starter.version()}")
            raise typer.Exit

    @cli.callback()
    def options(
        version: Annotated[
            bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version and exit.")
        ] = False,
    ) -> None:
        """A node of the MOBI.Europe roaming network for electric-vehicle charging."""


def _add_run(cli: typer.Typer, starter: Starter) -> None:
    @cli.command()
    def run(config: ConfigOption = None) -> None:
        """Run a node until SIGTERM or Ctrl-C; both drain it: turns under way finish, stations are told to come back."""
        starter.run(read_config(config))


def _add_checks(cli: typer.Typer, starter: Starter) -> None:
    @cli.command("check-config")
    def check_config(config: ConfigOption = None) -> None:
        """Say whether a configuration can be used. Starts nothing; exit status 2 if it cannot."""
        settings = read_config(config)
        for key, reason in settings.warnings():
            typer.echo(f"warning: {key}: {reason}")
        roles = " and ".join(role.value for role in settings.roles)
        typer.echo(f"{settings.pms_identifier} as {roles}: the configuration is good")

    @cli.command("check-journal")
    def check_journal(config: ConfigOption = None) -> None:
        """Read the whole journal and say what in it is not as it was written; exit status 1 if anything is."""
        problems = starter.journal_problems(read_config(config))
        for problem in problems:
            typer.echo(problem)
        if problems:
            raise CannotRun(f"{len(problems)} findings or more: nothing of these streams is used until they are mended")
        typer.echo("the journal is as it was written")


def _add_store(cli: typer.Typer, starter: Starter) -> None:
    add_store_commands(cli, starter, read_config)
    add_password_command(cli, starter.fresh_bytes)


def _add_station(cli: typer.Typer, starter: Starter) -> None:
    add_station_command(cli, starter, read_config)


def _add_ctl(cli: typer.Typer, starter: Starter) -> None:
    add_ctl_commands(cli, starter, read_config)


def _add_demo(cli: typer.Typer, starter: Starter) -> None:
    @cli.command()
    def demo(
        once: Annotated[bool, typer.Option("--once", help="End after the charge record, with a line of JSON.")] = False,
        folder: Annotated[Path, typer.Option(help="Where configurations, journals and logs go.")] = Path(".demo"),
    ) -> None:
        """Two operators, six simulated stations and a roaming transaction in each version of OCPP, as it happens."""
        from protocols.cli.demo import play  # with httpx and rich, which no other command needs

        play(starter, folder, once)


def _add_charts(cli: typer.Typer, _: Starter) -> None:
    @cli.command()
    def charts(
        check: Annotated[bool, typer.Option("--check", help="Write nothing; status 1 if a page is stale.")] = False,
        folder: Annotated[Path, typer.Option(help="Where the pages are.")] = DOCS,
    ) -> None:
        """Write the pages of docs/ that are made of what runs: the charts, the configuration's keys, the bounds."""
        from protocols.cli.documents import stale_pages, write_pages

        stale = stale_pages(folder) if check else []
        if stale:
            raise CannotRun(f"stale: {', '.join(map(str, stale))}; `make charts` writes them anew")
        for path in [] if check else write_pages(folder):
            typer.echo(f"wrote {path}")


def _add_secret(cli: typer.Typer, starter: Starter) -> None:
    @cli.command()
    def secret() -> None:
        """Print a fresh secret and, for the configuration of whoever checks it, its hashes."""
        for line in secret_lines(starter.fresh_bytes):
            typer.echo(line)


def secret_lines(fresh_bytes: Callable[[int], bytes]) -> list[str]:
    """A fresh secret, and the keys under which its hashes are written."""
    fresh = base64.urlsafe_b64encode(fresh_bytes(SECRET_BYTES)).decode()
    hashed = hash_secret(fresh.encode(), fresh_bytes(SALT_BYTES))
    return [
        f"{fresh}",
        f'password_hash = "{hashed}"           # of a station',
        f'incoming_password_hash = "{hashed}"  # of a peer',
        f'token_sha256 = "{token_digest(fresh)}"  # of an app or an operator',
    ]
