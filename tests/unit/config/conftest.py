"""A configuration that is right in everything, for tests to bend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from protocols.cli.config import Config, ConfigError, load_config

BOTH = """
pms_identifier = "NL-MOT"
roles = ["source", "destination"]

[[destinations]]
pms_identifier = "IE-001"
url = "https://ie.example/services/mobiEuropeDestinationService"
password = "present-at-ie-001"
incoming_password = "presented-by-ie-001"

[[destinations]]
pms_identifier = "NL-AMS"
url = "https://ams.example/services/mobiEuropeDestinationService"
password = "present-at-nl-ams"
incoming_password = "presented-by-nl-ams"

[[sources]]
pms_identifier = "IE-001"
url = "https://ie.example/services/mobiEuropeSourceService"
password = "report-to-ie-001!"
incoming_password = "knocking-from-ie-001"

[[users]]
identifier = "anna"
id_tags = ["04a1b2c3"]

[[users]]
identifier = "bram"

[[apps]]
name = "app"
token = "token-of-the-app-1234"
users = ["anna"]

[[operators]]
name = "control-room"
token = "token-of-control-room"

[[stations]]
identity = "CS01"
password = "password-of-CS01-0123"
connectors = 2
latitude = "52.3702"
longitude = "4.8952"

[[stations]]
identity = "CS02"
password = "password-of-CS02-0123"
connectors = 1
latitude = "52.3702"
longitude = "4.8952"

[[parking]]
identifier = "P01"
latitude = "52.3702"
longitude = "4.8952"
"""

Load = Callable[..., Config]
Problems = Callable[..., dict[str, str]]


@pytest.fixture
def text() -> str:
    """A configuration of both roles in TOML, with two stations, destinations and users, and one of everything else."""
    return BOTH


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads TOML text with variables over it: `load(text, {"ROAMNODE_HTTP__PORT": "1"})`."""

    def from_text(toml: str, environ: Mapping[str, str] | None = None) -> Config:
        file = tmp_path / "node.toml"
        file.write_text(toml, encoding="utf-8")
        return load_config(file, environ or {})

    return from_text


@pytest.fixture
def problems(load: Load) -> Problems:
    """What is wrong with TOML text: key -> reason."""

    def of_text(toml: str, environ: Mapping[str, str] | None = None) -> dict[str, str]:
        with pytest.raises(ConfigError) as raised:
            load(toml, environ)
        return {problem.key: problem.reason for problem in raised.value.problems}

    return of_text
