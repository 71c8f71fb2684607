"""The configuration of a node: a TOML file, over it the environment, checked as a whole before anything starts.

Precedence: environment, then file, then defaults. A variable is named `ROAMNODE_` and the key in capitals, with `__`
between the levels and the number of a row for a level: `ROAMNODE_HTTP__PORT=8189`, `ROAMNODE_STATIONS__0__PASSWORD=...`
(which keeps secrets out of the file). Whole lists and tables may be given as JSON: `ROAMNODE_ROLES=["source"]`.
Relative paths are relative to the working directory.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from protocols.cli.config_checks import cross_problems, cross_warnings
from protocols.cli.config_document import table_of
from protocols.cli.config_environment import overlaid
from protocols.cli.config_problems import Places, Problem, in_words, sound_part
from protocols.cli.config_sections import (
    App,
    Delivery,
    DestinationDeadlineTable,
    Http,
    Log,
    Operator,
    Pages,
    Peer,
    Retention,
    Role,
    Salts,
    SourceDeadlineTable,
    User,
    Webhooks,
)
from protocols.cli.config_stations import Authority, Ocpp, Parking, QuirkTable, Station, VendorHandlerTable
from protocols.cli.config_types import Count, DatabaseUrl, PmsIdentifier, Seconds
from statecharts.accounts import People
from statecharts.charging import ChargingDeadlines
from statecharts.directory import ParkingEntry, PeerEntry, StationEntry, TokenEntry, UserEntry
from statecharts.model_limits import ModelQuirk
from statecharts.peers_door import LinkView
from statecharts.source_events import SourceDeadlines
from statecharts.station_credentials import SecurityProfile
from statecharts.vocabulary import EnergyUnit


class ConfigError(Exception):
    """The configuration cannot be used: all that is wrong with it, each with its key and the reason."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(f"{key}: {reason}" for key, reason in problems))
        self.problems = problems


class Config(BaseModel):
    """Everything a node is told. Secrets are masked wherever it is printed."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True)

    pms_identifier: PmsIdentifier = Field(description="our own pmsIdentifier: `NL-MOT`")
    roles: tuple[Role, ...] = Field(min_length=1, description="`source` (our users roam), `destination` (our stations)")
    data_dir: Path = Field(
        default=Path("data"), description="folder of the journal, of one node alone; made when it is missing"
    )
    database_url: DatabaseUrl | None = Field(
        default=None,
        description="PostgreSQL in place of SQLite in `data_dir`: `postgresql+psycopg://user:password@host/database`",
    )
    energy_unit: EnergyUnit = Field(default=EnergyUnit.WH, description="unit of energy towards peers, `Wh` or `kWh`")
    allow_plain_http: bool = Field(default=False, description="lets peers be reached without TLS beyond this machine")
    start_margin_s: Seconds = Field(
        default=30, description="added to a station's `connection_timeout_s` before a start fails"
    )
    open_authorizations_per_user_max: Count = Field(
        default=3, description="authorisations a user may hold open at a time"
    )
    charges_per_card_max: Count | None = Field(
        default=None,
        description="charges a card of our own may have under way at our stations; any number unless given",
    )
    local_services_deadline_s: Seconds = Field(
        default=8, description="how long all partners together may take to list services"
    )
    log: Log = Log()
    http: Http = Http()
    pages: Pages = Pages()
    ocpp: Ocpp = Ocpp()
    authority: Authority = Authority()
    delivery: Delivery = Delivery()
    webhooks: Webhooks = Webhooks()
    retention: Retention = Retention()
    source_deadlines: SourceDeadlineTable = SourceDeadlineTable()
    destination_deadlines: DestinationDeadlineTable = DestinationDeadlineTable()
    destinations: tuple[Peer, ...] = Field(default=(), description="partners at whose stations our users may charge")
    sources: tuple[Peer, ...] = Field(default=(), description="partners whose users may charge at our stations")
    users: tuple[User, ...] = Field(default=(), description="our users")
    apps: tuple[App, ...] = Field(default=(), description="user apps")
    operators: tuple[Operator, ...] = Field(default=(), description="people and programs that operate this node")
    stations: tuple[Station, ...] = Field(default=(), description="our charging stations")
    parking: tuple[Parking, ...] = Field(default=(), description="local services without a station")
    quirks: tuple[QuirkTable, ...] = Field(
        default=(),
        description="what stations of a model cannot do; of each key the first row that fits counts",
    )
    vendor_handlers: tuple[VendorHandlerTable, ...] = Field(
        default=(), description="who answers messages of stations that are a vendor's own (DataTransfer)"
    )

    def plays(self, role: Role) -> bool:
        return role in self.roles

    @property
    def store_url(self) -> str:
        """SQLAlchemy's URL of the journal's database."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.data_dir.resolve() / 'journal.db'}"

    @property
    def head_file(self) -> Path:
        """Where it stands how far the journal had come: beside SQLite's file, and apart from every other database."""
        return self.data_dir.resolve() / ("journal.db.head" if self.database_url is None else "journal.head")

    @property
    def authorities_of_stations(self) -> tuple[Path, ...]:
        """Whose certificates stations may show."""
        files = (self.ocpp.client_authorities, self.authority.certificate)
        return tuple(file for file in files if file is not None)

    @property
    def profiles_had(self) -> tuple[SecurityProfile, ...]:
        """What the listener of stations can ask of one."""
        most = SecurityProfile.BASIC if self.ocpp.tls_certificate is None else SecurityProfile.TLS_BASIC
        most = SecurityProfile.TLS_CERTIFICATE if self.ocpp.tls_certificate and self.authorities_of_stations else most
        return tuple(profile for profile in SecurityProfile if profile <= most)

    def warnings(self) -> list[Problem]:
        """What may be meant, but deserves a look; a node starts all the same."""
        return cross_warnings(self)

    # -- as plain data, for the actors ---------------------------------------------------------------------------------

    def fleet_values(self) -> dict[str, Any]:
        """What holds of all stations."""
        return {
            "security_profile": self.ocpp.profile_of_all,
            "profiles_had": self.profiles_had,
            "certificate_organization": self.ocpp.certificate_organization,
            "keeps_unknown": self.ocpp.unknown_stations == "pending",
        }

    def webhook_values(self) -> dict[str, Any]:
        """How patient the node is with receivers."""
        return self.webhooks.model_dump(exclude={"allowed_networks", "tls_authorities"})

    def station_entries(self, salts: Salts) -> tuple[StationEntry, ...]:
        return tuple(station.entry(salts, self.ocpp) for station in self.stations)

    def parking_entries(self) -> tuple[ParkingEntry, ...]:
        return tuple(parking.entry() for parking in self.parking)

    def model_quirks(self) -> tuple[ModelQuirk, ...]:
        return tuple(row.quirk() for row in self.quirks)

    def destination_entries(self, salts: Salts) -> tuple[PeerEntry, ...]:
        return tuple(peer.entry(self.pms_identifier, salts) for peer in self.destinations)

    def source_entries(self, salts: Salts) -> tuple[PeerEntry, ...]:
        return tuple(peer.entry(self.pms_identifier, salts) for peer in self.sources)

    def partner_links(self) -> dict[str, tuple[LinkView, ...]]:
        """How we speak to each partner, in each of its roles, without secrets."""
        links: dict[str, tuple[LinkView, ...]] = {}
        for role, peers in ((Role.DESTINATION, self.destinations), (Role.SOURCE, self.sources)):
            for peer in peers:
                link = LinkView(
                    role=role.value,
                    url=peer.url,
                    username=peer.username or self.pms_identifier,
                    tls=peer.url.startswith("https:"),
                    certificates=peer.incoming_certificates,
                )
                links[peer.pms_identifier] = (*links.get(peer.pms_identifier, ()), link)
        return links

    def user_entries(self) -> tuple[UserEntry, ...]:
        return tuple(user.entry() for user in self.users)

    def token_entries(self) -> tuple[TokenEntry, ...]:
        bearers: tuple[App | Operator, ...] = (*self.apps, *self.operators)
        return tuple(bearer.entry() for bearer in bearers if bearer.digest)

    def accounts(self) -> tuple[People, People]:
        """Who may sign in to the driver's page, and to the console."""
        return People(user.account for user in self.users), People(operator.account for operator in self.operators)

    def source_deadline_values(self) -> SourceDeadlines:
        return SourceDeadlines(**self.source_deadlines.model_dump())

    def charging_deadlines(self, connection_timeout_s: float) -> ChargingDeadlines:
        """The deadlines of a charge at a station with this ConnectionTimeOut."""
        start_s = connection_timeout_s + self.start_margin_s
        return ChargingDeadlines(start_s=start_s, **self.destination_deadlines.model_dump())


def load_config(path: Path | None, environ: Mapping[str, str]) -> Config:
    """The configuration in a TOML file (None: no file), as `config_of` reads it."""
    return config_of(_file_values(path), environ)


def config_of(written: dict[str, Any], environ: Mapping[str, str]) -> Config:
    """The configuration in what a TOML file says, with the `ROAMNODE_` variables of `environ` over it.

    Raises `ConfigError` with everything that is wrong at once. Nothing is written and no folder made.
    """
    values, problems = overlaid(written, environ)
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError([*problems, *in_words(error, Config), *_further_problems(values, error)]) from None
    problems += cross_problems(config, Places())
    if problems:
        raise ConfigError(problems)
    return config


def document() -> str:
    """Every key with its default, unit and meaning, as a Markdown table."""
    return table_of(Config)


def _file_values(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        if not path.is_file():
            raise ConfigError([Problem(str(path), "no such file")])
        return tomllib.loads(path.read_bytes().decode())
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([Problem(str(path), f"is not TOML: {error}")]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([Problem(str(path), "is not TOML: it must be UTF-8")]) from error
    except OSError as error:
        raise ConfigError([Problem(str(path), f"cannot be read: {error.strerror}")]) from error


def _further_problems(values: dict[str, Any], error: ValidationError) -> list[Problem]:
    """What else is wrong beside what is wrong in itself; nothing if too little is left to tell."""
    sound, places = sound_part(values, error)
    try:
        return cross_problems(Config.model_validate(sound), places)
    except ValidationError:
        return []
