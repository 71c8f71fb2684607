"""`node.py verify`: a partner, verified from outside and before going live."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from protocols.cli.config_problems import Problem
from protocols.cli.config_tls import authority_problems, pair_problems
from protocols.cli.logs import set_up_logs
from protocols.cli.starter import CannotRun, Starter, WrongUse, outcome_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from protocols.verify.options import AppAccess, Options, StationAccess
    from protocols.verify.verification import Progress, Result

NOT_CONFORMING = 1
PLAIN_STEPS = 10
PASSWORD, INCOMING = "VERIFY_PASSWORD", "VERIFY_INCOMING_PASSWORD"
STATION, TOKEN = "VERIFY_STATION_PASSWORD", "VERIFY_APP_TOKEN"

_SECRETS = f"Secrets come from the environment: {PASSWORD}, {INCOMING}, {STATION} and {TOKEN}, or files."

Text = Annotated[str | None, typer.Option(show_default=False)]
FileOption = Annotated[Path | None, typer.Option(exists=True, dir_okay=False, show_default=False)]
WSDL = typer.Option(exists=True, dir_okay=False, help="Its WSDL, else that at ?wsdl.")


def says(meaning: str, **limits: Any) -> Any:
    """An option of which the help says this."""
    return typer.Option(help=meaning, **limits)


def add_verify_command(cli: typer.Typer, starter: Starter) -> None:
    """Adds `verify` to the commands."""

    @cli.command(epilog=_SECRETS)
    def verify(
        url: Annotated[str, typer.Argument(help="The partner's service: https://host/services/...")],
        role: Annotated[str, says("What the partner plays: destination or source.")],
        own_url: Annotated[str, says("Where we serve the other role; the partner has it configured.")],
        own_pms: Annotated[str, says("Our pmsIdentifier at the partner.")],
        partner_pms: Annotated[str, says("The partner's pmsIdentifier.")],
        service: Annotated[str, says("localServiceIdentifier of the place to charge at.")],
        connector: Annotated[int, says("And its connector.", min=1, max=255)] = 1,
        username: Annotated[str | None, says("What we present, else our pmsIdentifier.")] = None,
        password_file: FileOption = None,
        incoming_username: Annotated[str | None, says("What the partner presents, else its own.")] = None,
        incoming_password_file: FileOption = None,
        user: Annotated[str, says("Users are named after this (at a Source: a user it has).")] = "verify",
        station_url: Annotated[str | None, says("Be the station too, at ws://host:9000/ocpp.")] = None,
        station_password_file: FileOption = None,
        app_url: Annotated[str | None, says("Of a Source: its sv1 API for apps.")] = None,
        app_token_file: FileOption = None,
        wsdl: Annotated[Path | None, WSDL] = None,
        allow: Annotated[list[str] | None, says("Only these operations and kinds of flows.")] = None,
        skip: Annotated[list[str] | None, says("None of these operations and kinds of flows.")] = None,
        allow_host: Annotated[list[str] | None, says("A host beyond this machine.")] = None,
        require: Annotated[list[str] | None, says("No verdict without this rule tried, or all.")] = None,
        flows: Annotated[int, says("How many flows.", min=1, max=100_000)] = 100,
        seed: Annotated[int, says("The same seed draws the same flows.")] = 0,
        time_limit: Annotated[float, says("Seconds for all.", min=1)] = 600,
        rate: Annotated[float, says("Requests a second, at most.", min=0.1, max=10_000)] = 10,
        patience: Annotated[float, says("Seconds for anything the partner owes.", min=0.1)] = 20,
        tls_authorities: FileOption = None,
        client_certificate: FileOption = None,
        client_key: FileOption = None,
        listen: Annotated[str | None, says("Where we listen for it, if elsewhere: http://0.0.0.0:8080")] = None,
        own_certificate: FileOption = None,
        own_key: FileOption = None,
        json: Annotated[Path | None, says("Write the result there as JSON.")] = None,
        junit: Annotated[Path | None, says("Write the result there as JUnit XML.")] = None,
    ) -> None:
        """Verify a partner: play the other role, the app and the station.

        Exit status 0: conforming. 1: a rule is broken. 2: no verdict, as it could not be run, ended early, or tried too
        little.
        """
        given = dict(locals())
        options = read_options(given, os.environ)
        _check_folders(json, junit)
        _finish(_run(starter, options), json, junit)


def read_options(given: dict[str, Any], environ: Any) -> Options:
    """The options as the command line gave them. Raises `WrongUse` for what cannot be meant."""
    from protocols.verify.options import Options, Role

    if given["role"] not in set(Role):
        raise WrongUse(f"--role is destination or source, not {given['role']}")
    role = Role(given["role"])

    def secret(file: Path | None, variable: str) -> str | None:
        return _secret_in(file) if file is not None else environ.get(variable)

    password = secret(given["password_file"], PASSWORD)
    if not password:
        raise WrongUse(f"what we present at the partner: set {PASSWORD}, or give --password-file")
    operations, kinds = _chosen(given["allow"] or (), given["skip"] or (), role, given["station_url"] is not None)
    same = ("url", "own_url", "own_pms", "partner_pms", "service", "connector", "user", "incoming_username", "listen")
    return Options(
        **{name: given[name] for name in (*same, "flows", "seed", "rate")},
        role=role,
        username=given["username"] or given["own_pms"],
        password=password,
        incoming_password=secret(given["incoming_password_file"], INCOMING),
        station=_station(given, secret(given["station_password_file"], STATION)),
        app=_app(given, secret(given["app_token_file"], TOKEN)),
        wsdl=given["wsdl"].read_bytes() if given["wsdl"] else None,
        operations=operations,
        required=_required(given["require"] or (), role),
        kinds=kinds,
        time_limit_s=given["time_limit"],
        patience_s=given["patience"],
        allowed_hosts=frozenset(given["allow_host"] or ()),
        tls=_client_tls(given["tls_authorities"], given["client_certificate"], given["client_key"]),
        own_tls=_server_tls(given),
    )


def _secret_in(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").rstrip("\n")
    except UnicodeDecodeError as error:
        raise WrongUse(f"{file} holds no text: a secret is one line of UTF-8") from error


def _chosen(
    allow: Sequence[str], skip: Sequence[str], role: Any, with_station: bool
) -> tuple[frozenset[str], frozenset[str]]:
    """Operations and kinds of flows that are left. Raises `WrongUse` for names that there are not."""
    from protocols.verify.options import KINDS, OPERATIONS, Role

    known = {*OPERATIONS[role], *KINDS}
    if unknown := {*allow, *skip} - known:
        raise WrongUse(f"there is no {', '.join(sorted(unknown))} among {', '.join(sorted(known))}")
    operations, kinds = set(OPERATIONS[role]), set(KINDS)
    if role is Role.DESTINATION and not with_station and "start" not in allow:
        operations.discard("start")  # a start may move a car's charge that nobody watches
    for names in (operations, kinds):
        names &= set(allow) or names if set(allow) & names else names
        names -= set(skip)
    if operations & {"start", "stop"} and "authorize" not in operations:
        raise WrongUse("without authorize nothing can be started or stopped: allow it as well, or skip those")
    if not operations or not kinds:
        raise WrongUse("nothing is left that may be done: allow more, or skip less")
    return frozenset(operations), frozenset(kinds)


def _required(names: Sequence[str], role: Any) -> frozenset[str]:
    """The rules that must be tried. Raises `WrongUse` for one that there is not."""
    from protocols.verify.rules import RULES

    known = {rule.id for rule in RULES if rule.role in ("both", role)}
    if unknown := {*names} - known - {"all"}:
        raise WrongUse(f"there is no rule {', '.join(sorted(unknown))} for a {role}")
    return frozenset(known if "all" in names else names)


def _station(given: dict[str, Any], password: str | None) -> StationAccess | None:
    from protocols.verify.options import StationAccess

    if given["station_url"] is None:
        return None
    if not password:
        raise WrongUse(f"the station's password: set {STATION}, or give --station-password-file")
    return StationAccess(given["station_url"], given["service"], password)


def _app(given: dict[str, Any], token: str | None) -> AppAccess | None:
    from protocols.verify.options import AppAccess

    if given["app_url"] is None:
        return None
    if not token:
        raise WrongUse(f"the app's token: set {TOKEN}, or give --app-token-file")
    return AppAccess(given["app_url"], token, given["user"])


def _client_tls(authorities: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    _refuse(authority_problems("tls_authorities", authorities))
    _refuse(pair_problems("", "client_certificate", certificate, "client_key", key))
    if authorities is None and certificate is None:
        return None
    context = ssl.create_default_context(cafile=authorities)
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    return context


def _server_tls(given: dict[str, Any]) -> ssl.SSLContext | None:
    certificate, key = given["own_certificate"], given["own_key"]
    _refuse(pair_problems("", "own_certificate", certificate, "own_key", key))
    if certificate is None:
        if (given["listen"] or given["own_url"]).startswith("https:"):
            raise WrongUse("we listen at https: give --own-certificate, or --listen at http behind what does TLS")
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


def _refuse(problems: Iterable[Problem]) -> None:
    """Raises `WrongUse` for the first of these, in the words of the command line."""
    for problem in problems:
        raise WrongUse(f"--{problem.key.lstrip('.').replace('_', '-')} {problem.reason}")


def _check_folders(*files: Path | None) -> None:
    """Raises `WrongUse` where a result could not be written: before the work, not after."""
    for file in files:
        if file is not None and (file.is_dir() or not os.access(file.parent, os.W_OK)):
            raise WrongUse(f"{file} cannot be written: name a file in a folder that is there and yours")


# -- running and telling -----------------------------------------------------------------------------------------------


def _run(starter: Starter, options: Options) -> Result:
    typer.echo("importing what flows are drawn with ...", err=True)  # which takes a few seconds
    from protocols.verify.options import CannotVerify
    from protocols.verify.session import World, verify

    set_up_logs("console", "error")
    world = World(starter.clock, starter.new_id, starter.line_of)
    try:
        with _progress(options.flows) as tell:
            return outcome_of(partial(verify, options, world, tell), reasons=(CannotVerify,))
    except CannotRun as error:
        raise WrongUse(str(error)) from error


def _finish(result: Result, json: Path | None, junit: Path | None) -> None:
    from protocols.verify.report import as_json, as_junit, as_text

    typer.echo(as_text(result))
    for path, write in ((json, as_json), (junit, as_junit)):
        if path is not None:
            path.write_bytes(write(result))
    if result.failures:
        raise typer.Exit(NOT_CONFORMING)
    if result.verdict != "conforming":
        raise typer.Exit(WrongUse.exit_code)


def _progress(flows: int) -> AbstractContextManager[Progress]:
    """A bar on a terminal; elsewhere a line now and then. Both on stderr."""
    from rich.console import Console

    console = Console(stderr=True)
    return _bar(flows, console) if console.is_terminal else _lines(flows)


@contextmanager
def _bar(flows: int, console: Any) -> Iterator[Callable[[Result], None]]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from protocols.verify.report import counted

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("flows", total=flows)

        def tell(result: Result) -> None:
            broken = f", {counted(len(result.failures), 'rule')} broken, {result.shrunk} to shorten"
            bar.update(task, completed=result.flows, description=f"flows{broken if result.failures else ''}")

        yield tell


@contextmanager
def _lines(flows: int) -> Iterator[Callable[[Result], None]]:
    from protocols.verify.report import counted

    step, told = max(1, flows // PLAIN_STEPS), 0

    def tell(result: Result) -> None:
        nonlocal told
        if result.flows // step > told:
            told = result.flows // step
            broken = counted(len(result.failures), "rule")
            typer.echo(f"{result.flows} of {counted(flows, 'flow')}, {broken} broken", err=True)

    yield tell
