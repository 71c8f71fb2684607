"""`node.py init`: asks a few questions and writes a configuration that works, with secrets made for it."""

from __future__ import annotations

import base64
import json
import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import AfterValidator

from protocols.cli.config import ConfigError, config_of
from protocols.cli.config_reach import host_of
from protocols.cli.config_types import Identity, Latitude, Longitude, PmsIdentifier, Port, Text, Url, is_loopback
from protocols.cli.starter import CannotRun, Starter, WrongUse
from protocols.cli.station import checked

SECRET_BYTES = 24
EXAMPLE_URL = "https://roaming.example.org"
NONE = "none"
ROLE = "Your role: source (your users roam), destination (your stations) or both"
SILENT_HELP = "Ask nothing: what no option says is as it would be offered."


def _reachable(url: str) -> str:
    if not (url.startswith("https://") or is_loopback(host_of(url))):
        raise ValueError("must begin with https:// beyond this machine")
    return url


PartnerUrl = Annotated[Url, AfterValidator(_reachable)]


class Plays(StrEnum):
    """Which roles a node plays."""

    SOURCE = "source"
    DESTINATION = "destination"
    BOTH = "both"

    def includes(self, role: Plays) -> bool:
        return self in (role, Plays.BOTH)

    @property
    def roles(self) -> list[str]:
        return [role.value for role in (Plays.SOURCE, Plays.DESTINATION) if self.includes(role)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What there is to be known; an empty name says that there is none."""

    pms_identifier: str
    plays: Plays
    data_dir: str
    host: str
    http_port: str
    ocpp_port: str
    user: str
    station: str
    latitude: str
    longitude: str
    partner: str
    partner_url: str


class Interview:
    """Learns what an option has told, else what a person types, else what is offered."""

    def __init__(self, *, silent: bool) -> None:
        self._silent = silent

    def learn(self, what: str, kind: Any, told: str | None, offered: str, *, optional: bool = False) -> str:
        """An answer of this kind of the configuration's values; empty for what is `optional` and not wanted.

        Raises `WrongUse` for an option that is not of that kind; a person is told so, and asked again.
        """
        if told is not None or self._silent:
            return _proven(what, kind, offered if told is None else told, optional=optional)

        def prove(typed: str) -> str:
            try:
                return _proven("this is", kind, typed, optional=optional)
            except WrongUse as wrong:
                raise typer.BadParameter(wrong.message) from None

        question = f"{what}, or {NONE}" if optional else what
        answer: str = typer.prompt(question, default=offered, value_proc=prove, err=True)
        return answer


def _proven(what: str, kind: Any, text: str, *, optional: bool) -> str:
    return "" if optional and text == NONE else checked(kind, what, text)


def learned(interview: Interview, told: Mapping[str, Any]) -> Answers:
    """What a configuration is made of, by asking what the options have not `told`."""
    ask = interview.learn
    pms_identifier = ask("Your pmsIdentifier", PmsIdentifier, told["pms_identifier"], "NL-MOT")
    plays = Plays(
        ask("Your role: source (your users roam), destination (your stations), both", Plays, told["plays"], "both")
    )
    stations, users = plays.includes(Plays.DESTINATION), plays.includes(Plays.SOURCE)
    first = f"{pms_identifier}-CS01"
    station = ask("A first charging station", Identity, told["station"], first, optional=True) if stations else ""
    latitude = ask("The station's latitude", Latitude, told["latitude"], "52.3702") if station else ""
    longitude = ask("The station's longitude", Longitude, told["longitude"], "4.8952") if station else ""
    user = ask("A first user", Text, told["user"], "anna", optional=True) if users else ""
    partner = ask("A first partner's pmsIdentifier", PmsIdentifier, told["partner"], NONE, optional=True)
    url = ask("The address of the partner's node", PartnerUrl, told["partner_url"], EXAMPLE_URL) if partner else ""
    return Answers(
        pms_identifier=pms_identifier,
        plays=plays,
        station=station,
        latitude=latitude,
        longitude=longitude,
        user=user,
        partner=partner,
        partner_url=url,
        host=ask("Address to listen at", Text, told["host"], "127.0.0.1"),
        http_port=ask("Port for apps, operators and partners", Port, told["http_port"], "8089"),
        ocpp_port=ask("Port for charging stations", Port, told["ocpp_port"], "9100") if stations else "",
        data_dir=ask("Folder of the journal", Text, told["data_dir"], f"data/{pms_identifier}"),
    )


def text_of(answers: Answers, fresh_secret: Callable[[], str]) -> str:
    """The configuration as TOML: each secret in it is another one."""
    return "\n".join("\n".join(table) + "\n" for table in _tables(answers, fresh_secret))


def _tables(answers: Answers, fresh_secret: Callable[[], str]) -> Iterator[list[str]]:
    yield [
        "# Written by `node.py init`; every key there is: docs/configuration.md. Its secrets are for its owner alone.",
        _line("pms_identifier", answers.pms_identifier),
        f"roles = {json.dumps(answers.plays.roles)}",
        _line("data_dir", answers.data_dir, "folder of the journal"),
    ]
    yield ["[http]  # for apps, operators and partners", _line("host", answers.host), f"port = {answers.http_port}"]
    if answers.plays.includes(Plays.DESTINATION):
        yield ["[ocpp]  # for charging stations", _line("host", answers.host), f"port = {answers.ocpp_port}"]
    for role, table in ((Plays.SOURCE, "destinations"), (Plays.DESTINATION, "sources")):
        if answers.partner and answers.plays.includes(role):
            yield _partner(answers, role, table, fresh_secret)
    if answers.plays.includes(Plays.SOURCE):
        if answers.user:
            yield ["[[users]]", _line("identifier", answers.user)]
        yield [
            "[[apps]]",
            _line("name", "app"),
            _line("token", fresh_secret()),
            'users = ["*"]  # it acts for all of them',
        ]
    yield ["[[operators]]", _line("name", "control-room"), _line("token", fresh_secret())]
    if answers.station:
        yield [
            "[[stations]]",
            _line("identity", answers.station),
            _line("password", fresh_secret(), "of HTTP Basic: it goes into the station's own settings"),
            "connectors = 1",
            _line("latitude", answers.latitude),
            _line("longitude", answers.longitude),
        ]


def _partner(answers: Answers, role: Plays, table: str, fresh_secret: Callable[[], str]) -> list[str]:
    theirs, service = ("stations", "Destination") if role is Plays.SOURCE else ("users", "Source")
    url = f"{answers.partner_url.rstrip('/')}/services/mobiEurope{service}Service"
    return [
        f"[[{table}]]  # a partner with {theirs}",
        _line("pms_identifier", answers.partner),
        _line("url", url, "roamnode's path: ask them for theirs"),
        _line("password", fresh_secret(), "what we show there: theirs, where they give you one"),
        _line("incoming_password", fresh_secret(), "what they show here: give it to them"),
    ]


def _line(key: str, value: str, why: str = "") -> str:
    """A key with a text. What JSON makes of it TOML reads, too (TOML 1.0, basic strings)."""
    return f"{key} = {json.dumps(value, ensure_ascii=False)}" + (f"  # {why}" if why else "")


def next_steps(answers: Answers, file: Path) -> Iterator[str]:
    """What can be done with the new configuration, a line of the command line each with what it does."""
    yield f"node.py check-config -c {file}\n    says whether it can be used"
    yield f"node.py run -c {file}\n    runs the node, until Ctrl-C"
    if answers.station:
        yield f"node.py station {answers.station} -c {file}\n    in another terminal: simulates the station"
    things = "stations" if answers.plays.includes(Plays.DESTINATION) else "peers"
    yield f"node.py ctl --config {file} {things} list\n    asks the node"


def write(file: Path, text: str) -> None:
    """Writes a file that its owner alone can read. Raises `CannotRun` where there is one already, or none can be."""
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as new:
            new.write(text)
    except FileExistsError:
        raise CannotRun(f"{file} is there already: name another with --file, or move it away") from None
    except OSError as error:
        raise CannotRun(f"{file} cannot be written: {error.strerror}") from None


def problems_of(text: str, environ: Mapping[str, str]) -> list[str]:
    """What keeps a node from starting with this configuration."""
    try:
        config_of(tomllib.loads(text), environ)
    except ConfigError as error:
        return [f"{key}: {reason}" for key, reason in error.problems]
    return []


def add_init_command(cli: typer.Typer, starter: Starter) -> None:
    """Adds `init` to the commands."""

    def fresh_secret() -> str:
        return base64.urlsafe_b64encode(starter.fresh_bytes(SECRET_BYTES)).decode()

    @cli.command()
    def init(
        context: typer.Context,
        file: Annotated[Path, typer.Option("--file", "-f", help="Where the configuration goes.")] = Path("node.toml"),
        pms_identifier: Annotated[str | None, typer.Option(help="Your own pmsIdentifier.")] = None,
        plays: Annotated[
            Plays | None, typer.Option(help="Whether your users roam, others charge at your stations, or both.")
        ] = None,
        data_dir: Annotated[str | None, typer.Option(help="Folder of the journal.")] = None,
        host: Annotated[str | None, typer.Option(help="Address to listen at.")] = None,
        http_port: Annotated[str | None, typer.Option(help="For apps, operators and partners.")] = None,
        ocpp_port: Annotated[str | None, typer.Option(help="For charging stations.")] = None,
        user: Annotated[str | None, typer.Option(help="A first user.")] = None,
        station: Annotated[str | None, typer.Option(help="Identity of a first charging station.")] = None,
        latitude: Annotated[str | None, typer.Option(help="Where it is, in degrees.")] = None,
        longitude: Annotated[str | None, typer.Option(help="Where it is, in degrees.")] = None,
        partner: Annotated[str | None, typer.Option(help="pmsIdentifier of a first partner.")] = None,
        partner_url: Annotated[str | None, typer.Option(help="Where its node is.")] = None,
        silent: Annotated[bool, typer.Option("--yes", "-y", help=SILENT_HELP)] = False,
    ) -> None:
        """Write a configuration that works, with secrets made for it; ask for what no option says."""
        if file.exists():
            raise CannotRun(f"{file} is there already: name another with --file, or move it away")
        answers = learned(Interview(silent=silent), context.params)
        text = text_of(answers, fresh_secret)
        if problems := problems_of(text, {}):
            raise WrongUse("; ".join(problems))
        write(file, text)
        typer.echo(f"wrote {file}, with secrets of its own, for its owner alone to read. Now:\n")
        for step in next_steps(answers, file):
            typer.echo(step)
