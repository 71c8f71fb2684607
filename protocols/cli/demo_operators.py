"""The two operators of the demo: their ports, their fresh secrets, their configurations."""

from __future__ import annotations

import base64
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from protocols.web.passwords import SALT_BYTES, hashed

HOST = "127.0.0.1"
HOME, LOCAL = "NL-MOT", "IE-001"
USER = "anna"
OPERATOR = "control-room"
CARD = "04A1B2C3D4"
SECRET_BYTES = 24
PASSWORD_BYTES = 10


@dataclass(frozen=True, slots=True)
class DemoStation:
    """`card` is the RFID card of a driver who comes by himself; without it the station waits to be asked.

    `ocpp` is the version that it speaks.
    """

    identity: str
    behaviour: str
    latitude: str
    longitude: str
    card: str | None = None
    ocpp: str = "1.6"

    def __str__(self) -> str:
        return f"{self.identity} ({self.behaviour}, OCPP {self.ocpp})"


STATIONS = (
    DemoStation("IE-001-CS01", "normal", "53.3498", "-6.2603"),
    DemoStation("IE-001-CS02", "unplugs", "53.3331", "-6.2489", card=CARD),
    DemoStation("IE-001-CS03", "rejects", "53.3382", "-6.2591"),
    DemoStation("IE-001-CS04", "loses_connection", "53.3440", "-6.2672"),
    DemoStation("IE-001-CS05", "normal", "53.3402", "-6.2551", ocpp="2.0.1"),
    DemoStation("IE-001-CS06", "normal", "53.3467", "-6.2719", ocpp="2.1"),
)
ROAMING, RFID = STATIONS[0].identity, STATIONS[1].identity
BESIDE = STATIONS[4:]
"""Where the same driver charges at the same time, as the story is the same in every version of OCPP."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Motown's 8089 for the first operator; the second's are 100 higher."""

    home_http: int = 8089
    local_http: int = 8189
    local_ocpp: int = 9100


def free_ports(wanted: Ports = Ports()) -> Ports:
    """The wanted ports; in the place of each that is taken, another that is free."""
    return Ports(*(_free(port) for port in (wanted.home_http, wanted.local_http, wanted.local_ocpp)))


def _free(port: int) -> int:
    for candidate in (port, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, candidate))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("this machine has no free port")


@dataclass(frozen=True, slots=True)
class Secrets:
    """Made anew for every demo. `to_local` is what NL-MOT presents at IE-001, `to_home` the other way round.

    One `password` opens the pages of all.
    """

    app_token: str
    home_token: str
    local_token: str
    to_local: str
    to_home: str
    station: str
    password: str
    password_hash: str

    @classmethod
    def fresh(cls, fresh_bytes: Callable[[int], bytes]) -> Secrets:
        made = (base64.urlsafe_b64encode(fresh_bytes(SECRET_BYTES)).decode() for _ in range(6))
        password = base64.b32encode(fresh_bytes(PASSWORD_BYTES)).decode().lower()
        return cls(*[*made, password, hashed(password, fresh_bytes(SALT_BYTES))])


@dataclass(frozen=True, slots=True)
class Operators:
    """Both operators, as their processes and their partners see them."""

    folder: Path
    ports: Ports
    secrets: Secrets

    @property
    def home_url(self) -> str:
        return f"http://{HOST}:{self.ports.home_http}"

    @property
    def local_url(self) -> str:
        return f"http://{HOST}:{self.ports.local_http}"

    def config_of(self, operator: str) -> Path:
        return self.folder / f"{operator}.toml"

    def write(self) -> None:
        """Writes both configurations, readable by us alone, and clears the journals of an earlier demo."""
        for operator, text in ((HOME, self._home()), (LOCAL, self._local())):
            path = self.config_of(operator)
            path.unlink(missing_ok=True)
            path.touch(mode=0o600)
            path.write_text(text, encoding="utf-8")
            for old in (self.folder / operator).glob("journal.db*"):
                old.unlink()

    def _home(self) -> str:
        return _HOME.format(
            data_dir=_quoted(self.folder / HOME), ports=self.ports, secrets=self.secrets, local_url=self.local_url
        )

    def _local(self) -> str:
        values = {"data_dir": _quoted(self.folder / LOCAL), "ports": self.ports, "secrets": self.secrets}
        stations = (_STATION.format(station=station, secrets=self.secrets) for station in STATIONS)
        return _LOCAL.format(home_url=self.home_url, **values) + "".join(stations)


def _quoted(path: Path) -> str:
    """A path as a TOML string."""
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


_HOME = f"""# Written by `node.py demo`: the home operator. Its user {USER} charges at {LOCAL}'s stations.
pms_identifier = "{HOME}"
roles = ["source"]
data_dir = {{data_dir}}

[log]
format = "json"

[http]
host = "{HOST}"
port = {{ports.home_http}}

[[destinations]]
pms_identifier = "{LOCAL}"
url = "{{local_url}}/services/mobiEuropeDestinationService"
password = "{{secrets.to_local}}"
incoming_password = "{{secrets.to_home}}"

[[users]]
identifier = "{USER}"
password_hash = "{{secrets.password_hash}}"

[[apps]]
name = "charge-app"
token = "{{secrets.app_token}}"
users = ["{USER}"]

[[operators]]
name = "{OPERATOR}"
token = "{{secrets.home_token}}"
password_hash = "{{secrets.password_hash}}"
"""

_LOCAL = f"""# Written by `node.py demo`: the local operator. The users of {HOME} charge at its stations.
pms_identifier = "{LOCAL}"
roles = ["destination"]
data_dir = {{data_dir}}

[log]
format = "json"

[http]
host = "{HOST}"
port = {{ports.local_http}}

[ocpp]
host = "{HOST}"
port = {{ports.local_ocpp}}

[destination_deadlines]
progress_interval_s = 2  # quicker than in earnest: a demo is short

[[sources]]
pms_identifier = "{HOME}"
url = "{{home_url}}/services/mobiEuropeSourceService"
password = "{{secrets.to_home}}"
incoming_password = "{{secrets.to_local}}"

[[users]]
identifier = "grainne"
id_tags = ["{CARD}"]

[[operators]]
name = "{OPERATOR}"
token = "{{secrets.local_token}}"
password_hash = "{{secrets.password_hash}}"
"""

_STATION = """
[[stations]]
identity = "{station.identity}"
password = "{secrets.station}-{station.identity}"
connectors = 1
latitude = "{station.latitude}"
longitude = "{station.longitude}"
"""
