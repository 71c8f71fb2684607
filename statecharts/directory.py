"""Who is who, as plain data: what a configuration says, and what the directories of the actors are made of.

Nothing here holds the secret of anybody who comes to us, only its hash (`statecharts.credentials`).
"""

from __future__ import annotations

from datetime import datetime

from statecharts.ports import Principal
from statecharts.station_credentials import StationCredentials
from statecharts.vocabulary import Location, ServiceStatus, ServiceType, Value


class StationEntry(Value, frozen=True, kw_only=True):
    """A charging station of ours, at the same time a local service of that name.

    `credentials` are what it has to show. `connectors` counts from 1; of one that came by itself there are none, and no
    `location`, until the operator has said so. `connection_timeout_s` is the station's
    ConnectionTimeOut: how long a driver has to plug in after a remote start. `ocpp_version` ("2.0.1") is preferred to
    others that it offers, and spoken if it offers none.
    """

    identity: str
    credentials: StationCredentials
    connectors: int
    location: Location | None
    connection_timeout_s: float = 120
    ocpp_version: str | None = None
    service_types: tuple[ServiceType, ...] = (ServiceType.EV_CHARGING,)


class ParkingEntry(Value, frozen=True, kw_only=True):
    """A local service without a station: listed, with a status that nobody measures, never authorised."""

    identifier: str
    location: Location
    status: ServiceStatus = ServiceStatus.UNKNOWN


class PeerEntry(Value, frozen=True, kw_only=True):
    """A partner in one role: how we reach it, and what it presents when it comes to us.

    `url` is the whole address of its service for that role; `username` and `password` are what we present there.
    `incoming_certificates` are SHA-256 fingerprints in hex of which its client certificate must have one; none: any.
    """

    pms_identifier: str
    url: str
    username: str
    password: str
    incoming_username: str
    incoming_password_hash: str
    incoming_certificates: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<PeerEntry {self.pms_identifier} {self.url}>"


class UserEntry(Value, frozen=True, kw_only=True):
    """A user of ours. `allowed_operators` are the partners where this user may charge; None stands for all of them.

    `id_tags` are the RFID cards that open our own stations. The user is valid from `valid_from` up to, not including,
    `valid_until`.
    """

    identifier: str
    id_tags: tuple[str, ...] = ()
    blocked: bool = False
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    allowed_operators: frozenset[str] | None = None


class TokenEntry(Value, frozen=True, kw_only=True):
    """A bearer token, as its `token_digest`, and whose it is."""

    digest: str
    principal: Principal
