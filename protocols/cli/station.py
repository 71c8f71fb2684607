"""`node.py station`: simulated charging stations, taken from a Destination's configuration or from options."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
import typer
from pydantic import TypeAdapter, ValidationError

from protocols.cli.config import Config
from protocols.cli.config_types import Identity, IdTag
from protocols.cli.starter import Starter, WrongUse
from statecharts.limits import SIMULATED_STATIONS
from statecharts.simulated_equipment import BEHAVIOURS, StationPlan
from statecharts.simulated_oddities import ODDITIES
from statecharts.vocabulary import Value

PASSWORD_VARIABLE = "STATION_PASSWORD"
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}

_BEHAVIOUR_HELP = "How they behave: " + "; ".join(f"{name} ({what})" for name, what in BEHAVIOURS.items()) + "."

_ODD_HELP = (
    "What is odd about their messages, any of: " + "; ".join(f"{n} ({what})" for n, what in ODDITIES.items()) + "."
)


class Version(StrEnum):
    """The versions of OCPP that a simulated station can speak."""

    V16 = "1.6"
    V201 = "2.0.1"
    V21 = "2.1"


class Habits(NamedTuple):
    """What all stations of one command have in common."""

    behaviour: str = "normal"
    power_w: int = 11_000
    meter_interval_s: int = 60
    seed: int | None = None
    swipe: str | None = None
    ocpp_version: str = Version.V16.value
    odd: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which stations are asked for: by name, and so many of each (`X-1`, `X-2`, ...)."""

    identities: tuple[str, ...]
    count: int | None = None

    def names(self) -> tuple[str, ...]:
        if self.count is None:
            return self.identities
        return tuple(f"{identity}-{n}" for identity in self.identities for n in range(1, self.count + 1))


def plans_at(
    url: str, connectors: int, wanted: Wanted, habits: Habits, environ: Mapping[str, str]
) -> list[StationPlan]:
    """Stations for the central system at `url`, all with the password in STATION_PASSWORD, if there is one."""
    if not wanted.names():
        raise WrongUse("--url needs the station's identity: --identity CS01")
    password = environ.get(PASSWORD_VARIABLE)
    return [
        StationPlan(identity=name, url=checked_url(url), password=password, connectors=connectors, **habits._asdict())
        for name in wanted.names()
    ]


def plans_of(
    config: Config, url: str | None, wanted: Wanted, habits: Habits, environ: Mapping[str, str]
) -> list[StationPlan]:
    """Stations of a Destination's configuration, all of them if none is named; `url` takes the place of its address."""
    known = {station.identity: station for station in config.stations}
    if wanted.count is not None and not wanted.identities:
        raise WrongUse("--count needs the name that the numbers are added to: --identity X for X-1, X-2, ...")
    plans = []
    for name in wanted.names() or known:
        if name not in known:
            raise WrongUse(f"no station {name} in the configuration, which has {', '.join(known) or 'none at all'}")
        station = known[name]
        password = station.password.get_secret_value() if station.password else environ.get(PASSWORD_VARIABLE)
        if password is None:
            raise WrongUse(f"the configuration has only a hash of {name}'s password: set {PASSWORD_VARIABLE}")
        address = checked_url(url) if url else address_of(config)
        plans.append(
            StationPlan(
                identity=name, url=address, password=password, connectors=station.connectors, **habits._asdict()
            )
        )
    return plans


def address_of(config: Config) -> str:
    """Where stations on this machine reach the node of this configuration."""
    if config.ocpp.port == 0:
        raise WrongUse("the configuration says ocpp.port = 0, any free port: give the address with --url")
    scheme = "wss" if config.ocpp.tls_certificate else "ws"
    host = ANY_ADDRESS.get(config.ocpp.host, config.ocpp.host)
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{config.ocpp.port}/ocpp"


def checked_url(url: str) -> str:
    """The URL, if a WebSocket can be there. Raises `WrongUse`."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("ws", "wss") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise WrongUse(f"--url must read like ws://host:9000/ocpp or wss://host/ocpp, without the identity: {url}")
    return url


def checked(kind: Any, what: str, text: str) -> str:
    """The text, if it is of this kind of the configuration's values. Raises `WrongUse` in its words."""
    try:
        return str(TypeAdapter(kind).validate_python(text))
    except ValidationError as error:
        wrong = error.errors()[0]
        raise WrongUse(f"{what} {text!r} {wrong.get('ctx', {}).get('error') or wrong['msg']}") from None


def show_in_words(step: Any) -> None:
    """A step or a charge as a line for people, on stderr."""
    typer.echo(f"{step.at:%H:%M:%S} {step.station} {step.kind}: {step.text}", err=True)


def show_as_json(step: Value) -> None:
    """A step or a charge as a line of JSON on stdout, at once."""
    typer.echo(msgspec.json.encode(step))


def add_station_command(cli: typer.Typer, starter: Starter, read_config: Callable[[Path | None], Config]) -> None:
    """Adds `station` to the commands."""

    @cli.command()
    def station(
        identities: Annotated[list[str] | None, typer.Argument(metavar="IDENTITY", show_default=False)] = None,
        config: Annotated[
            Path | None, typer.Option("--config", "-c", help="A Destination's configuration: stations and address.")
        ] = None,
        url: Annotated[str | None, typer.Option(help="The central system, ws://host:9000/ocpp.")] = None,
        identity: Annotated[str | None, typer.Option(help="One more IDENTITY.")] = None,
        count: Annotated[
            int | None,
            typer.Option(min=1, max=SIMULATED_STATIONS.limit, help="So many of each: IDENTITY-1, IDENTITY-2, ..."),
        ] = None,
        connectors: Annotated[int, typer.Option(min=1, max=255, help="Connectors of each, without --config.")] = 1,
        ocpp: Annotated[Version, typer.Option(help="The version of OCPP that they speak.")] = Version.V16,
        behaviour: Annotated[str, typer.Option(help=_BEHAVIOUR_HELP)] = "normal",
        power_w: Annotated[int, typer.Option(min=0, max=10_000_000, help="Power of each connector.")] = 11_000,
        meter_interval_s: Annotated[int, typer.Option(min=0, max=86_400, help="Between meter values; 0: none.")] = 60,
        seed: Annotated[int | None, typer.Option(help="Makes their chance repeatable.")] = None,
        swipe: Annotated[
            str | None, typer.Option(metavar="IDTAG", help="A driver with this RFID card comes to each connector 1.")
        ] = None,
        odd: Annotated[list[str] | None, typer.Option(metavar="NAME", help=_ODD_HELP, show_default=False)] = None,
        events: Annotated[bool, typer.Option("--events", help="Steps and charges as JSON lines on stdout.")] = False,
    ) -> None:
        """Simulate charging stations until Ctrl-C: those of a configuration, or any at --url.

        With --url alone their password is read from the environment variable STATION_PASSWORD.
        """
        if behaviour not in BEHAVIOURS:
            raise WrongUse(f"no behaviour {behaviour}; there are {', '.join(BEHAVIOURS)}")
        if unknown := set(odd or ()) - set(ODDITIES):
            raise WrongUse(f"no oddity {min(unknown)}; there are {', '.join(ODDITIES)}")
        names = (*(identities or ()), *((identity,) if identity is not None else ()))
        wanted = Wanted(tuple(checked(Identity, "the identity", name) for name in names), count)
        if swipe is not None:
            checked(IdTag, "the card", swipe)
        habits = Habits(behaviour, power_w, meter_interval_s, seed, swipe, ocpp.value, tuple(odd or ()))
        plans: Sequence[StationPlan]
        if config is not None:
            plans = plans_of(read_config(config), url, wanted, habits, os.environ)
        elif url is not None:
            plans = plans_at(url, connectors, wanted, habits, os.environ)
        else:
            raise WrongUse("name the central system: --config destination.toml, or --url ws://host:9000/ocpp")
        starter.simulate(plans, show_as_json if events else show_in_words)
