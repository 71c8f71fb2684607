"""The tables of the configuration that are about charging stations, and the other local services."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, FilePath

from protocols.cli.config_sections import Credential, Listener, Salts
from protocols.cli.config_types import (
    Count,
    EntryPoint,
    HashedSecret,
    Identity,
    Latitude,
    Longitude,
    Port,
    Seconds,
    Secret,
    Section,
    Text,
)
from statecharts.directory import ParkingEntry, StationEntry
from statecharts.model_limits import ANY, ModelLimits, ModelQuirk
from statecharts.station_credentials import SecurityProfile, StationCredentials
from statecharts.vocabulary import Location, ServiceStatus, ServiceType


class Ocpp(Listener):
    """The listener for charging stations."""

    port: Port = Field(default=9000, description="port listened at; 0 takes a free one")
    plain_port: Port | None = Field(
        default=None,
        description="a port without TLS beside `ocpp.port` where that has it, for stations of profiles 0 and 1",
    )
    security_profile: SecurityProfile | None = Field(
        default=None,
        description="of stations that name none: 0 nothing, 1 password, 2 that over TLS, 3 client certificate; else 3 "
        "with `ocpp.client_authorities`, 2 with `ocpp.tls_certificate`, or 1",
    )
    client_authorities: FilePath | None = Field(
        default=None, description="PEM file of the authorities whose certificates stations of profile 3 must show"
    )
    certificate_organization: Text | None = Field(
        default=None, description="organisation (O) that stations' certificates must be of, else any"
    )
    heartbeat_interval_s: int = Field(
        default=300, ge=1, le=86_400, description="how often stations are asked to send Heartbeat"
    )
    heartbeat_spread: float = Field(
        default=0.1,
        ge=0,
        le=0.9,
        description="by how much of that, at most, it is shorter for some, so that they do not speak together",
    )
    unknown_stations: Literal["reject", "pending"] = Field(
        default="reject",
        description="a station that nobody knows: `reject` answers 404, `pending` keeps it, with the password that it "
        "shows, until an operator accepts or rejects it",
    )
    local_lists: Literal["off", "in_step"] = Field(
        default="off",
        description="`in_step` keeps the local list of every station that has one equal to the cards of the store, so "
        "that they charge there while the node is out of reach; `off` leaves lists to the operator's commands",
    )
    boot_retry_s: int = Field(
        default=60,
        ge=1,
        le=86_400,
        description="how soon a station boots again that was answered Pending or Rejected",
    )
    connections_max: Count = Field(default=10_000, description="open connections; further ones are answered 503")
    connections_per_address_max: Count = Field(
        default=5_000, description="open connections from one address, or one IPv6 /64; further ones are answered 503"
    )
    handshakes_max: Count = Field(
        default=256,
        description="connections that come in at a time, a quarter of them from one address; the others wait",
    )
    call_timeout_s: Seconds = Field(default=30, description="how long a station may take to answer a command")
    ping_interval_s: Seconds = Field(default=60, description="silence after which a station's connection is pinged")

    @property
    def profile_of_all(self) -> SecurityProfile:
        """What stations have to show that say nothing of their own: all that the listener can ask of them."""
        if self.security_profile is not None:
            return self.security_profile
        if self.client_authorities is not None:
            return SecurityProfile.TLS_CERTIFICATE
        return SecurityProfile.BASIC if self.tls_certificate is None else SecurityProfile.TLS_BASIC


class Authority(Section):
    """Who signs the certificates of stations: a key of ours (`node.py ca make`), or a command that asks another."""

    certificate: FilePath | None = Field(
        default=None, description="PEM file of the authority's certificate; without it stations get no certificates"
    )
    key: FilePath | None = Field(default=None, description="PEM file of its key, unencrypted, readable by us alone")
    command: tuple[Text, ...] = Field(
        default=(),
        description="instead of the key: a program that gets the request on stdin and the station's name as last "
        "argument, and prints the signed certificate with its issuers",
    )
    command_timeout_s: Seconds = Field(default=30, description="how long that program may take")
    certificate_days: int = Field(default=365, ge=1, le=3_650, description="how long a certificate holds that we sign")
    renew_before_days: int = Field(
        default=30, ge=1, le=365, description="so long before it expires a station is asked to ask for a new one"
    )


class Station(Section):
    """A charging station of ours."""

    identity: Identity = Field(description="its OCPP identity, which is its localServiceIdentifier too")
    password: Secret | None = Field(
        default=None,
        description="password that it presents, 16 bytes or more; this or its hash is required of profiles 1 and 2",
    )
    password_hash: HashedSecret | None = Field(default=None, description="instead of it: its salted HMAC-SHA-256")
    security_profile: SecurityProfile | None = Field(
        default=None, description="what it must show, else `ocpp.security_profile`; nothing less lets it in"
    )
    certificate_name: Text | None = Field(
        default=None, description="common name (CN) of the certificate that it shows, else its identity"
    )
    certificate_issuer: Text | None = Field(
        default=None, description="common name of the authority that signed it, else any of `ocpp.client_authorities`"
    )
    connectors: int = Field(ge=1, le=255, description="how many connectors it has, numbered from 1")
    connection_timeout_s: Seconds = Field(
        default=120, description="its ConnectionTimeOut: time to plug in after a start"
    )
    ocpp_version: Literal["1.6", "2.0.1", "2.1"] | None = Field(
        default=None, description="spoken if it offers it among others, or nothing; else its own choice, then 1.6"
    )
    latitude: Latitude = Field(description='decimal degrees, as text: `"52.3702"`')
    longitude: Longitude = Field(description='decimal degrees, as text: `"4.8952"`')
    service_types: tuple[ServiceType, ...] = Field(
        default=(ServiceType.EV_CHARGING,), min_length=1, description="its services"
    )

    @property
    def credential(self) -> Credential:
        return Credential("password", self.password, "password_hash", self.password_hash)

    def credentials(self, salts: Salts, ocpp: Ocpp) -> StationCredentials:
        """What it has to show, by its own keys and those of all stations."""
        return StationCredentials(
            profile=self.profile(ocpp),
            password_hash=self.credential.hash(salts) or None,
            certificate_name=self.certificate_name,
            certificate_issuer=self.certificate_issuer,
            certificate_organization=ocpp.certificate_organization,
        )

    def profile(self, ocpp: Ocpp) -> SecurityProfile:
        return ocpp.profile_of_all if self.security_profile is None else self.security_profile

    def entry(self, salts: Salts, ocpp: Ocpp) -> StationEntry:
        return StationEntry(
            identity=self.identity,
            credentials=self.credentials(salts, ocpp),
            connectors=self.connectors,
            location=Location(latitude=self.latitude, longitude=self.longitude),
            connection_timeout_s=self.connection_timeout_s,
            ocpp_version=self.ocpp_version,
            service_types=self.service_types,
        )


class QuirkTable(Section):
    """What the stations of one vendor and model cannot do."""

    vendor: Text = Field(default=ANY, description="vendor that they name at boot; `*` and `?` as in file names")
    model: Text = Field(default=ANY, description="model that they name, likewise")
    firmware: Text = Field(default=ANY, description="version of their firmware, likewise")
    id_tag_length: int | None = Field(
        default=None, ge=1, le=36, description="characters of an idTag that they take, else as their version of OCPP"
    )
    id_tag_hex: bool | None = Field(default=None, description="whether they take only idTags of pairs of hex digits")
    idle_close_s: Seconds | None = Field(
        default=None, description="a connection on which nothing was reported for so long is closed"
    )
    heartbeat_interval_s: int | None = Field(
        default=None, ge=1, le=86_400, description="instead of `ocpp.heartbeat_interval_s`, for those that drop silence"
    )

    def quirk(self) -> ModelQuirk:
        limits = {name: getattr(self, name) for name in ModelLimits.__struct_fields__}
        return ModelQuirk(limits=ModelLimits(**limits), vendor=self.vendor, model=self.model, firmware=self.firmware)


class VendorHandlerTable(Section):
    """Who answers a vendor's messages; `statecharts.ports.VendorHandler` says how."""

    vendor_id: Text = Field(description="the vendorId of the messages; case means nothing")
    message_id: Text | None = Field(default=None, description="their messageId, else all that no other row is for")
    handler: EntryPoint = Field(description='the Python function: `"module:function"`')


class Parking(Section):
    """A local service without a station."""

    identifier: Identity = Field(description="its localServiceIdentifier")
    latitude: Latitude = Field(description="decimal degrees, as text")
    longitude: Longitude = Field(description="decimal degrees, as text")
    status: ServiceStatus = Field(
        default=ServiceStatus.UNKNOWN, description="shown as it stands here: nobody measures it"
    )

    def entry(self) -> ParkingEntry:
        location = Location(latitude=self.latitude, longitude=self.longitude)
        return ParkingEntry(identifier=self.identifier, location=location, status=self.status)
