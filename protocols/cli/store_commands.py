"""What an operator does with a node's store: bring its tables up to date, back it up, copy it to another database."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from protocols.cli.config import Config
from protocols.cli.starter import CannotRun, Content, Starter

ROWS_BETWEEN_LINES = 50_000

URL = "sqlite:///FILE or postgresql+psycopg://USER@HOST/DATABASE"

ConfigOption = Annotated[Path | None, typer.Option("--config", "-c", help="The node's TOML file.")]
CheckOption = Annotated[bool, typer.Option("--check", help="Change nothing; status 1 if there is something to do.")]
Source = Annotated[str, typer.Option("--from", metavar="URL", help=URL)]
Target = Annotated[str, typer.Option("--to", metavar="URL", help="The same: a new file, or an empty database.")]


def add_store_commands(cli: typer.Typer, starter: Starter, read_config: Callable[[Path | None], Config]) -> None:
    """`migrate`, `backup` and `copy`."""

    @cli.command()
    def migrate(config: ConfigOption = None, check: CheckOption = False) -> None:
        """Make the tables of the node's store, or bring them up to date; `run` does the same when it starts."""
        _migrate(starter, read_config(config), check)

    @cli.command()
    def backup(
        to: Annotated[Path, typer.Option(help="The SQLite file to write; it must not exist.")],
        config: ConfigOption = None,
    ) -> None:
        """Write the store as it is now into a SQLite file; the node may go on running."""
        url = read_config(config).store_url
        with starter.upkeep() as upkeep:
            contents, findings = upkeep.back_up(url, to, _tell)
        typer.echo(f"wrote {to} and {to.name}.head: {_sum(contents)}")
        for finding in findings:
            typer.echo(str(finding))
        if findings:
            raise CannotRun(f"{len(findings)} findings: so is the store itself; see `check-journal`")

    @cli.command()
    def copy(source: Source, target: Target) -> None:
        """Copy a store whose node is stopped into an empty database, whole and verified, or not at all."""
        with starter.upkeep() as upkeep:
            folders = upkeep.folders_of(source, target)
        for folder in folders:
            if not folder.is_dir():
                raise CannotRun(f"there is no folder {folder}: correct the path, or make the folder first")
        with starter.upkeep(*folders) as upkeep:
            contents = upkeep.copy(source, target, _tell)
        for table, content in contents.items():
            typer.echo(f"{content.rows:>12,} {table}")
        typer.echo(f"copied {_sum(contents)}; both sides have the same number and the same hash of every table")


def _migrate(starter: Starter, config: Config, check: bool) -> None:
    url = config.store_url
    with starter.upkeep(*([] if check else [config.data_dir])) as upkeep:
        before, needed = upkeep.step_at(url) if check else upkeep.migrate_at(url)
    had = "no tables" if before is None else f"the tables of step {before}"
    if before == needed:
        typer.echo(f"the store has {had}: there is nothing to do")
    elif check:
        raise CannotRun(f"the store has {had}, and this release needs those of step {needed}: `node.py migrate`")
    else:
        typer.echo(f"the store had {had}, and has those of step {needed} now")


def _tell(table: str, done: int) -> None:
    """A line now and then, for whoever waits; not among what the command gives."""
    if done % ROWS_BETWEEN_LINES == 0:
        typer.echo(f"{done:>12,} {table} ...", err=True)


def _sum(contents: Mapping[str, Content]) -> str:
    return f"{sum(content.rows for content in contents.values()):,} rows in {len(contents)} tables"
