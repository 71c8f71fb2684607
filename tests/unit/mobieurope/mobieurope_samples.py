"""Peers, doors and messages for the tests of MOBI.Europe: real codecs at both ends of every wire."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import httpx
from hypothesis import strategies as st
from quart_trio import QuartTrio

from protocols.mobieurope.client import MobiEuropeClient
from protocols.mobieurope.server import Services
from statecharts.bounds import Watermarks
from statecharts.vocabulary import (
    Acknowledgement,
    Authorize,
    AuthorizeAnswer,
    EndTransaction,
    EnergyUnit,
    GetLocalServicesList,
    GetLocalServiceStatus,
    LocalService,
    LocalServiceAnswer,
    LocalServicesAnswer,
    Location,
    NotifyRequestResult,
    RequestStartTransaction,
    RequestStopTransaction,
    RoamingAnswer,
    RoamingRequest,
    ServiceStatus,
    ServiceType,
    TransactionData,
    TransactionProgressUpdate,
    TransactionStatus,
)
from tests.support.in_process import InProcess
from tests.support.over_httpx import OverHttpx

SOAP12 = "http://www.w3.org/2003/05/soap-envelope"
SOAP11 = "http://schemas.xmlsoap.org/soap/envelope/"
PMS = "http://webservice.pms.mobieurope.com"
COMMON = "http://webservice.common.mobieurope.com"
DESTINATION = "/services/mobiEuropeDestinationService"
SOURCE = "/services/mobiEuropeSourceService"
XML = "application/soap+xml; charset=utf-8"

PEER, USERNAME, PASSWORD = "NL-MOT", "nl-mot", "correct horse: ü".encode()

BASIC = "Basic " + b64encode(f"{USERNAME}:".encode() + PASSWORD).decode()

NOON = datetime(2024, 5, 17, 12, 0, 0, tzinfo=UTC)
DATA = TransactionData(
    start_timestamp=NOON,
    end_timestamp=NOON + timedelta(hours=1),
    transaction_status=TransactionStatus.TERMINATED,
    energy_wh=12345,
    local_operator_identifier="IE-001",
    local_service_identifier="DEMO_001",
    home_operator_identifier=PEER,
    user_identifier="testPas",
    authorization_identifier="0A1B2C3D4E5F",
)
AUTHORIZE = Authorize(
    pms_identifier=PEER,
    user_identifier="testPas",
    service_type=ServiceType.EV_CHARGING,
    local_service_identifier="DEMO_001",
)
START = RequestStartTransaction(request_identifier="r-1", authorization_identifier="0A1B2C3D4E5F")
SERVICE = LocalService(
    local_service_identifier="DEMO_001",
    status=ServiceStatus.AVAILABLE,
    service_types=(ServiceType.EV_CHARGING,),
    location=Location(latitude=Decimal("53.349805"), longitude=Decimal("-6.26031")),
)
REQUESTS: tuple[RoamingRequest, ...] = (
    AUTHORIZE,
    START,
    RequestStopTransaction(request_identifier="r-2", authorization_identifier="0A1B2C3D4E5F"),
    GetLocalServiceStatus(local_service_identifier="DEMO_001"),
    GetLocalServicesList(location=SERVICE.location, search_radius_m=500, service_types=(ServiceType.PARKING,)),
    NotifyRequestResult(request_identifier="r-1", request_success=True),
    TransactionProgressUpdate(
        authorization_identifier="0A1B2C3D4E5F", start_transaction_timestamp=NOON, transaction_data=DATA
    ),
    EndTransaction(
        authorization_identifier="0A1B2C3D4E5F",
        start_transaction_timestamp=NOON,
        end_transaction_timestamp=NOON + timedelta(hours=1),
        transaction_data=DATA,
    ),
)


def answer_to(request: RoamingRequest) -> RoamingAnswer:
    """An answer that fits the request."""
    match request:
        case Authorize():
            return AuthorizeAnswer(authorization_identifier="0A1B2C3D4E5F")
        case GetLocalServiceStatus():
            return LocalServiceAnswer(local_service=SERVICE)
        case GetLocalServicesList():
            return LocalServicesAnswer(local_services=(SERVICE,))
        case _:
            return Acknowledgement()


# -- a node without actors ---------------------------------------------------------------------------------------------


class Peers:
    """One peer, and how often it was asked for."""

    def __init__(self) -> None:
        self.asked = 0

    def authenticate(self, username: str, password: bytes, certificate: str | None = None) -> str | None:
        self.asked += 1
        return PEER if (username, password) == (USERNAME, PASSWORD) else None


class Door:
    """Remembers what came through it and answers as told."""

    def __init__(self, answer: Callable[[RoamingRequest], Any] = answer_to) -> None:
        self.answer = answer
        self.passed: list[tuple[str, RoamingRequest]] = []

    async def __call__(self, peer: str, request: RoamingRequest) -> RoamingAnswer:
        self.passed.append((peer, request))
        result = self.answer(request)
        return await result if isinstance(result, Awaitable) else result


class Node:
    """Both services on an app, with the doors that they lead to."""

    def __init__(self, public_url: str | None = None, unit: EnergyUnit = EnergyUnit.WH, **doors: Door | None) -> None:
        self.door, self.peers = Door(), Peers()
        self.app = Services(
            QuartTrio("node"),
            destination=doors.get("destination", self.door),
            source=doors.get("source", self.door),
            destination_peers=self.peers,
            source_peers=self.peers,
            energy_unit=unit,
            new_correlation_id=lambda: "fresh-1",
            public_url=public_url,
            watermarks=Watermarks(),
        )

    def client(self, password: str | bytes = PASSWORD, unit: EnergyUnit = EnergyUnit.WH) -> MobiEuropeClient:
        """A client whose requests reach this app without a network."""
        http = OverHttpx(InProcess(self.app))
        return MobiEuropeClient("http://node.test", USERNAME, password, unit, http=http)

    async def post(self, body: bytes, path: str = DESTINATION, **headers: str) -> httpx.Response:
        """POSTs these bytes as the known peer; headers by name, with _ for -; an empty one is left out."""
        sent = {"content-type": XML} | {name.replace("_", "-"): value for name, value in headers.items()}
        auth = None if "authorization" in sent else httpx.BasicAuth(USERNAME, PASSWORD)
        async with self.http() as http:
            return await http.post(path, content=body, headers={k: v for k, v in sent.items() if v}, auth=auth)

    async def get(self, path: str, **headers: str) -> httpx.Response:
        async with self.http() as http:
            return await http.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    @asynccontextmanager
    async def http(self) -> AsyncIterator[httpx.AsyncClient]:
        async with httpx.AsyncClient(transport=InProcess(self.app), base_url="http://node.test") as http:
            yield http


# -- documents ---------------------------------------------------------------------------------------------------------


def envelope(content: str, soap: str = SOAP12, header: str = "") -> bytes:
    return (
        f'<e:Envelope xmlns:e="{soap}" xmlns:p="{PMS}" xmlns:c="{COMMON}">'
        f"{header}<e:Body>{content}</e:Body></e:Envelope>"
    ).encode()


def authorize_xml(**replaced: str) -> str:
    fields = {
        "pmsIdentifier": PEER,
        "userIdentifier": "testPas",
        "serviceTypeIdentifier": "EV_CHARGING",
        "localServiceIdentifier": "DEMO_001",
    } | replaced
    inner = "".join(f"<{name}>{value}</{name}>" for name, value in fields.items())
    return f"<p:authorizeRequest>{inner}</p:authorizeRequest>"


def end_xml(**replaced: str) -> str:
    fields = {
        "serviceType": "EV_CHARGING",
        "startTimestamp": "2024-05-17T12:00:00Z",
        "transactionStatus": "TERMINATED",
        "energyConsumed": "12345",
        "energyUnit": "Wh",
        "localOperatorIdentifier": "IE-001",
        "localServiceIdentifier": "DEMO_001",
        "homeOperatorIdentifier": PEER,
        "userIdentifier": "testPas",
        "authorizationIdentifier": "0A1B2C3D4E5F",
    } | replaced
    inner = "".join(f"<{name}>{value}</{name}>" for name, value in fields.items() if value)
    return (
        "<p:endTransactionRequest><authorizationIdentifier>0A1B2C3D4E5F</authorizationIdentifier>"
        "<startTransactionTimestamp>2024-05-17T12:00:00Z</startTransactionTimestamp>"
        "<endTransactionTimestamp>2024-05-17T13:00:00Z</endTransactionTimestamp>"
        f"<c:TransactionData>{inner}</c:TransactionData></p:endTransactionRequest>"
    )


def fault_code(body: bytes) -> str:
    """The SOAP 1.2 fault code in this body, without its prefix."""
    match = re.search(rb"Value>[^<]*:(\w+)<", body)
    assert match is not None, body
    return match[1].decode()


# -- strategies --------------------------------------------------------------------------------------------------------

# Everything that XML 1.0 can carry
texts = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff") | st.sampled_from("\t\n\r"),
    max_size=30,
)
identifiers = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), min_size=1, max_size=30
)
times = st.datetimes(
    min_value=datetime(1970, 1, 2),
    max_value=datetime(9998, 12, 30),
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45)), timezone(timedelta(hours=-11))]),
)
energies = st.integers(-(2**63) + 1, 2**63 - 1)
service_types = st.lists(st.sampled_from(ServiceType), max_size=3).map(tuple)
locations = st.builds(
    Location,
    latitude=st.decimals(-90, 90, places=7),
    longitude=st.decimals(-180, 180, places=7),
)
transaction_data = st.builds(
    TransactionData,
    service_type=st.sampled_from(ServiceType),
    start_timestamp=times,
    end_timestamp=st.none() | times,
    transaction_status=st.sampled_from(TransactionStatus),
    energy_wh=st.none() | energies,
    local_operator_identifier=texts,
    local_service_identifier=texts,
    home_operator_identifier=texts,
    user_identifier=texts,
    authorization_identifier=texts,
)
requests: st.SearchStrategy[RoamingRequest] = st.one_of(
    st.builds(
        Authorize,
        pms_identifier=st.just(PEER),
        user_identifier=texts,
        service_type=st.sampled_from(ServiceType),
        local_service_identifier=texts,
        connector_identifier=st.none() | texts,
    ),
    st.builds(RequestStartTransaction, request_identifier=texts, authorization_identifier=texts),
    st.builds(RequestStopTransaction, request_identifier=texts, authorization_identifier=texts),
    st.builds(GetLocalServiceStatus, local_service_identifier=texts),
    st.builds(
        GetLocalServicesList,
        location=locations,
        search_radius_m=st.integers(-(2**63), 2**63 - 1),
        service_types=service_types,
    ),
    st.builds(NotifyRequestResult, request_identifier=texts, request_success=st.booleans(), cause=st.none() | texts),
    st.builds(
        TransactionProgressUpdate,
        authorization_identifier=texts,
        start_transaction_timestamp=times,
        transaction_data=transaction_data,
    ),
    st.builds(
        EndTransaction,
        authorization_identifier=texts,
        start_transaction_timestamp=times,
        end_transaction_timestamp=times,
        transaction_data=transaction_data,
    ),
)
local_services = st.builds(
    LocalService,
    local_service_identifier=identifiers,
    status=st.sampled_from(ServiceStatus),
    service_types=service_types,
    location=locations,
)
