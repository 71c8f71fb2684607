"""`node.py replay`: what happened in a simulated world, as a timeline."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer

from protocols.cli.starter import CannotRun, Starter, WrongUse

WORLDS = "tests.world.replay"


def add_replay_command(cli: typer.Typer, _: Starter) -> None:
    """Adds `replay`."""

    @cli.command()
    def replay(
        seed: Annotated[int, typer.Option(help="The world, as `python -m tests.world` numbers them.", min=0)],
        node: Annotated[str, typer.Option(help="Only what this operator's node did or met.")] = "",
        station: Annotated[str, typer.Option(help="Only what this station did or met.")] = "",
        transaction: Annotated[str, typer.Option(help="Only what names this, as an authorizationIdentifier.")] = "",
    ) -> None:
        """Play a simulated world again and show its timeline; exit status 1 if its checkers object to it."""
        try:
            objections = _worlds().show(seed, (node, station), transaction, typer.echo)
        except LookupError as nobody:
            raise WrongUse(str(nobody)) from nobody
        if objections:
            raise CannotRun(f"{objections} objections")


def _worlds() -> Any:
    """The simulated world, which is part of the tests and not of what is installed."""
    try:
        return import_module(WORLDS)
    except ImportError as missing:
        reason = f"worlds are played from a clone with its development libraries (`make test` makes them): {missing}"
        raise CannotRun(reason) from None
