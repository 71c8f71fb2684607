"""`node.py ctl`: the operator's API from the command line, for people and for scripts."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from protocols.cli.config import Config
from protocols.cli.config_environment import TOKEN, URL
from protocols.cli.ctl_table import PLACE, PREFIX, Command, Gives, things
from protocols.cli.starter import CannotRun, Starter, Unreachable, WrongUse

if TYPE_CHECKING:
    from protocols.cli.ctl_client import Node

DEFAULT_URL = "http://127.0.0.1:8089"
ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}
OPEN = ("Asked", "Waiting")
"""The states of an operation that is not over."""

WAIT_S = 30
"""How long one request waits for an operation; then it is asked again."""

AGAIN_S = 1.0
"""Between two attempts to follow events on."""

ReadConfig = Callable[[Path | None], Config]
Given = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """The node that is meant, and by whom it is asked."""

    url: str
    token: str
    authorities: Path | None


def add_ctl_commands(cli: typer.Typer, starter: Starter, read_config: ReadConfig) -> None:
    """Adds `ctl`, with a command for each row of the table."""
    ctl = typer.Typer(no_args_is_help=True, help="Ask a running node what an operator may ask: docs/ctl.md.")

    @ctl.callback()
    def options(
        context: typer.Context,
        url: Annotated[str, typer.Option(help="The node; also ROAMNODE_URL.")] = "",
        token_file: Annotated[Path | None, typer.Option(help="Has the token; also ROAMNODE_TOKEN.")] = None,
        config: Annotated[Path | None, typer.Option("--config", "-c", help="The node's own, for both.")] = None,
        authorities: Annotated[Path | None, typer.Option(help="PEM file of those who vouch for the node.")] = None,
    ) -> None:
        context.obj = lambda: _target(url, token_file, read_config(config) if config else None, authorities)

    for thing, commands in things():
        group = typer.Typer(no_args_is_help=True, help=f"{', '.join(each.verb for each in commands)}")
        for command in commands:
            group.command(command.verb, help=_help(command))(_callback(command, starter))
        ctl.add_typer(group, name=thing)
    cli.add_typer(ctl, name="ctl")


# -- whom to ask -------------------------------------------------------------------------------------------------------


def _target(url: str, token_file: Path | None, config: Config | None, authorities: Path | None) -> Target:
    found = url or os.environ.get(URL, "") or (_url_of(config) if config else DEFAULT_URL)
    if not found.startswith(("http://", "https://")):
        raise WrongUse(f"{found!r} is no URL of a node: it begins with http:// or https://")
    if authorities is not None and not authorities.is_file():
        raise WrongUse(f"there is no file {authorities}")
    return Target(found, _token(token_file, config), authorities)


def _token(file: Path | None, config: Config | None) -> str:
    if file is not None:
        try:
            return file.read_text(encoding="ascii").strip()
        except (OSError, ValueError) as error:
            raise WrongUse(f"no token can be read from {file}: {error}") from error
    if token := os.environ.get(TOKEN):
        return token
    for each in config.operators if config else ():
        if each.token is not None:
            return each.token.get_secret_value()
    raise WrongUse(f"an operator's token is needed: --token-file, {TOKEN}, or a --config with one")


def _url_of(config: Config) -> str:
    scheme = "https" if config.http.tls_certificate else "http"
    return f"{scheme}://{ANYWHERE.get(config.http.host, config.http.host)}:{config.http.port}"


# -- the commands ------------------------------------------------------------------------------------------------------


def _help(command: Command) -> str:
    words = "\n\nFIELD=VALUE: the fields of the body, as docs/api.md has them." if command.reads else ""
    return f"{command.does}{words}\n\nExample: node.py ctl {command.thing} {command.verb} {command.example}".rstrip()


def _callback(command: Command, starter: Starter) -> Callable[..., None]:
    """A function whose parameters are what the command takes, as typer reads it."""

    def run(context: typer.Context, **given: Any) -> None:
        from protocols.cli.ctl_client import Node  # with httpx and rich, which hardly another command needs

        target: Target = context.obj()
        with Node(target.url, target.token, target.authorities) as node:
            _run(command, node, given, starter)

    parameters = [_parameter("context", typer.Context), *_parameters(command)]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return run


def _parameters(command: Command) -> list[inspect.Parameter]:
    arguments = [*command.arguments, *([command.named] if command.named else [])]
    found = [_parameter(name, Annotated[str, typer.Argument(metavar=name.upper())]) for name in arguments]
    if command.uploads:
        found.append(_parameter("file", Annotated[Path, typer.Argument(metavar="FILE", allow_dash=True)]))
    if command.reads:
        words = Annotated[list[str] | None, typer.Argument(metavar="FIELD=VALUE...")]
        found.append(_parameter("words", words, None))
    for name in command.filters:
        found.append(_parameter(name, Annotated[str, typer.Option(f"--{name.replace('_', '-')}")], ""))
    if command.operates:
        no_wait = Annotated[bool, typer.Option("--no-wait", help="Tell the operation, do not wait for its outcome.")]
        found.append(_parameter("no_wait", no_wait, False))
    if command.gives is Gives.LIST:
        limit = Annotated[int, typer.Option(min=1, max=1_000_000, help="Show at most so many.")]
        found.append(_parameter("limit", limit, 50))
    if command.gives is Gives.STREAM:
        count = Annotated[int, typer.Option(min=0, help="End after so many; 0: never.")]
        found.append(_parameter("count", count, 0))
    if command.gives is Gives.FILE:
        to = Annotated[Path | None, typer.Option("--to", help="A file to write, instead of stdout.")]
        return [*found, _parameter("to", to, None)]
    as_json = Annotated[bool, typer.Option("--json", help="For scripts: the answer as JSON.")]
    return [*found, _parameter("as_json", as_json, False)]


def _parameter(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _run(command: Command, node: Node, given: Given, starter: Starter) -> None:
    path = PREFIX + PLACE.sub(lambda found: quote(given[found[1]], safe=""), command.path)
    query = {name: given[name] for name in command.filters if given[name]}
    match command.gives:
        case Gives.LIST:
            _list(command, node, path, query, given, starter)
        case Gives.STREAM:
            _follow(command, node, path, query, given, starter)
        case Gives.FILE:
            _save(node.file(path, query), given["to"])
        case _:
            _do(command, node, path, query, given, starter)


def _save(pieces: Iterator[bytes], to: Path | None) -> None:
    """On stdout, or under its name once all of it is there: one that was cut short is never taken for a whole one."""
    if to is None:
        for piece in pieces:
            typer.echo(piece, nl=False)
        return
    part = to.with_name(f"{to.name}.part")
    try:
        with part.open("wb") as file:
            file.writelines(pieces)
        part.replace(to)
    except OSError as error:
        raise WrongUse(f"{to} cannot be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)


def _list(command: Command, node: Node, path: str, query: dict[str, str], given: Given, starter: Starter) -> None:
    from protocols.cli.ctl_shown import Showing

    items, more = node.items(path, query, given["limit"])
    if given["as_json"]:
        _print_json({"items": items, "more": more})
        return
    Showing(starter.clock.now()).items(items, command.columns)
    if more:
        typer.echo(f"there are more: --limit {given['limit'] * 2}", err=True)


def _do(command: Command, node: Node, path: str, query: dict[str, str], given: Given, starter: Starter) -> None:
    from protocols.cli.ctl_shown import Showing

    answer = node.ask(command.method, path, query, _body(command, node, given))
    if command.operates and not given["no_wait"]:
        answer = _outcome(node, answer)
    if given["as_json"]:
        _print_json({} if answer is None else answer)
    elif answer is None:
        typer.echo("done")
    else:
        Showing(starter.clock.now()).one(answer, command.columns)
    if command.operates and answer["state"] not in (*OPEN, "Succeeded"):
        raise CannotRun(
            f"it is {answer['state']}: {answer.get('cause') or answer.get('status') or 'no reason is known'}"
        )


def _outcome(node: Node, operation: Given) -> Given:
    """The operation once it is over; what it waits for meanwhile is told on stderr."""
    told = ""
    while operation["state"] in OPEN:
        waits_for = operation.get("progress") or operation.get("waits_for") or "the station's answer"
        if waits_for != told:
            typer.echo(f"waiting for {waits_for}", err=True)
            told = waits_for
        query = {"wait_s": str(WAIT_S)}
        operation = node.ask("GET", f"{PREFIX}/operations/{quote(operation['id'], safe='')}", query)
    return operation


def _body(command: Command, node: Node, given: Given) -> dict[str, Any] | bytes | None:
    from protocols.cli.ctl_body import Shapes

    if command.uploads:
        return _content(given["file"])
    if not command.reads:
        return None
    shapes = Shapes(node.ask("GET", "/api/openapi.json"))
    named = {command.named: given[command.named]} if command.named else {}
    return shapes.body(command.method, PREFIX + command.path, named, given["words"] or ())


def _content(file: Path) -> bytes:
    import sys

    try:
        return sys.stdin.buffer.read() if file == Path("-") else file.read_bytes()
    except OSError as error:
        raise WrongUse(f"{file} cannot be read: {error.strerror}") from error


def _follow(command: Command, node: Node, path: str, query: dict[str, str], given: Given, starter: Starter) -> None:
    """Shows what changes; a node that goes away is asked again, from where it was."""
    import time

    from protocols.cli.ctl_shown import Showing

    last: str | None = None
    told = 0
    while True:
        try:
            for position, item in node.events(path, query, last):
                last = position or last
                if given["as_json"]:
                    _print_json(item)
                else:
                    Showing(starter.clock.now()).line(item, command.columns)
                told += 1
                if told == given["count"]:
                    return
        except Unreachable:
            if last is None:
                raise
        time.sleep(AGAIN_S)


def _print_json(document: Any) -> None:
    import msgspec

    typer.echo(msgspec.json.encode(document).decode())
