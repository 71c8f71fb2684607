"""Security profiles 0 to 3 over real TLS on loopback: each lets its own in, and nothing less.

Both ends are real: the listener as the configuration sets it up, and our simulated station's.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme
from ocpp_worlds import ANSWERS, PASSWORD, Directory, Door, World, central_system

from protocols.cli.config_stations import Ocpp
from protocols.cli.listeners import ServerTls
from protocols.ocpp.client import ConnectionRefused, open_central_system
from protocols.ocpp.limits import Limits
from protocols.pki.authority import pem_of
from statecharts.station_commands import CertificateSigned
from statecharts.station_credentials import SecurityProfile, Wrong
from statecharts.station_reports import Heartbeat, ReportAnswer, SignCertificate, StationReport, StatusAnswer
from tests.unit.pki.requesting import StandingClock, authority, request, station_key

NONE, BASIC, TLS_BASIC, TLS_CERTIFICATE = SecurityProfile
LET_IN = 101
OUR_NAME = "Station authority"


class Pki:
    """Authorities, our certificate, and the listener's TLS as the configuration's keys make it."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA(organization_name=OUR_NAME)
        self.foreign = trustme.CA()
        own = self.authority.issue_cert("127.0.0.1", key_type=trustme.KeyType.RSA)
        files = {name: folder / f"{name}.pem" for name in ("tls_certificate", "tls_key", "client_authorities")}
        own.cert_chain_pems[0].write_to_path(str(files["tls_certificate"]))
        own.private_key_pem.write_to_path(str(files["tls_key"]))
        self.authority.cert_pem.write_to_path(str(files["client_authorities"]))
        listener = Ocpp(tls_certificate=files["tls_certificate"], tls_key=files["tls_key"])
        context = ServerTls().of_stations(listener, [files["client_authorities"]])
        assert context is not None
        self.server = context

    def client(self, name: str | None = None, *, foreign: bool = False) -> ssl.SSLContext:
        """What a station trusts and, with a name, the certificate that it shows."""
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        if name is not None:
            issuer = self.foreign if foreign else self.authority
            issuer.issue_cert("station.example", common_name=name, organization_name="Motown").configure_cert(context)
        return context


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


@asynccontextmanager
async def central(pki: Pki, profile: SecurityProfile, **more: Any) -> AsyncIterator[World]:
    async with central_system(Door(_answer), Directory(profile=profile, **more), tls=pki.server) as world:
        yield world


async def _answer(report: StationReport) -> ReportAnswer:
    return StatusAnswer(status="Accepted") if isinstance(report, SignCertificate) else ANSWERS[type(report)]


async def knock(world: World, client: ssl.SSLContext | None, password: bytes | None) -> int:
    """The HTTP status that a station gets, over TLS if it has a context for it; 0 where there was not even TLS."""
    port = world.port if client else world.server.plain_ports[0]
    url = f"{'wss' if client else 'ws'}://127.0.0.1:{port}/ocpp"
    try:
        limits = Limits(handshake_timeout_s=0.5)
        end = open_central_system(url, "CS01", password, epoch="k", ssl_context=client, limits=limits)
        async with end as station:
            await station.call(Heartbeat())
            return LET_IN
    except ConnectionRefused as no:
        return no.status or 0
    except (OSError, trio.BrokenResourceError):
        return 0


@pytest.mark.parametrize(
    ("profile", "tls", "password", "name", "status"),
    [
        (NONE, False, None, None, LET_IN),
        (NONE, True, None, None, LET_IN),
        (BASIC, False, PASSWORD, None, LET_IN),
        (BASIC, True, PASSWORD, None, LET_IN),
        (BASIC, False, None, None, 401),
        (BASIC, True, None, "CS01", 401),
        (TLS_BASIC, True, PASSWORD, None, LET_IN),
        (TLS_BASIC, True, PASSWORD.hex().encode(), None, LET_IN),
        (TLS_BASIC, True, b"wrong", None, 401),
        (TLS_BASIC, True, None, "CS01", 401),
        (TLS_BASIC, False, PASSWORD, None, 403),
        (TLS_BASIC, False, b"wrong", None, 403),
        (TLS_CERTIFICATE, True, None, "CS01", LET_IN),
        (TLS_CERTIFICATE, True, b"wrong", "CS01", LET_IN),
        (TLS_CERTIFICATE, True, PASSWORD, None, 403),
        (TLS_CERTIFICATE, True, PASSWORD, "CS02", 403),
        (TLS_CERTIFICATE, True, PASSWORD, "cs01", 403),
        (TLS_CERTIFICATE, False, PASSWORD, None, 403),
    ],
)
async def test_a_profile_lets_in_what_it_asks_for_or_more_and_nothing_less(
    pki: Pki, profile: SecurityProfile, tls: bool, password: bytes | None, name: str | None, status: int
) -> None:
    async with central(pki, profile) as world:
        assert await knock(world, pki.client(name) if tls else None, password) == status
        assert [identity for identity, _ in world.door.turned] == ["CS01"] * (status != LET_IN)
        assert ("connected", "CS01") in world.door.events or status != LET_IN


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"certificate_name": "serial-0815"}, LET_IN),
        ({"certificate_organization": "Motown"}, 403),
        ({"certificate_name": "serial-0815", "certificate_organization": "Motown"}, LET_IN),
        ({"certificate_name": "serial-0815", "certificate_organization": "Elsewhere"}, 403),
        ({"certificate_name": "serial-0815", "certificate_issuer": "Another authority"}, 403),
    ],
)
async def test_a_certificate_is_bound_by_its_name_its_organisation_and_its_issuer(
    pki: Pki, more: dict[str, str], status: int
) -> None:
    async with central(pki, TLS_CERTIFICATE, **more) as world:
        assert await knock(world, pki.client("serial-0815"), None) == status
        assert [event.reason for _, event in world.door.turned] == [Wrong.CERTIFICATE] * (status != LET_IN)


@pytest.mark.parametrize("profile", [TLS_BASIC, TLS_CERTIFICATE])
async def test_a_certificate_of_a_foreign_authority_gets_no_tls(pki: Pki, profile: SecurityProfile) -> None:
    async with central(pki, profile) as world:
        assert await knock(world, pki.client("CS01", foreign=True), PASSWORD) == 0
        assert world.door.events == []
        assert await knock(world, pki.client("CS01"), PASSWORD) == LET_IN


@pytest.mark.parametrize(
    ("ciphers", "agreed"),
    [
        ("ECDHE-RSA-AES128-GCM-SHA256", True),
        ("ECDHE-RSA-AES256-GCM-SHA384", True),
        ("AES128-GCM-SHA256", True),
        ("AES256-GCM-SHA384", True),
        ("AES128-SHA", False),
        ("ECDHE-RSA-AES256-SHA384", False),
    ],
)
async def test_tls_1_2_has_the_whitepapers_cipher_suites_and_no_weaker_ones(
    pki: Pki, ciphers: str, agreed: bool
) -> None:
    async with central(pki, TLS_BASIC) as world:
        client = pki.client()
        client.maximum_version = ssl.TLSVersion.TLSv1_2
        client.set_ciphers(ciphers)
        assert (await knock(world, client, PASSWORD) == LET_IN) is agreed


async def test_a_station_moves_up_to_a_certificate_that_our_own_authority_has_signed(pki: Pki, tmp_path: Path) -> None:
    ours, key = authority(StandingClock(datetime.now(UTC))), station_key()
    (tmp_path / "root.pem").write_text(ours.root)
    (tmp_path / "cs01.key").write_text(pem_of(key))
    pki.server.load_verify_locations(cafile=tmp_path / "root.pem")
    async with central(pki, TLS_BASIC) as world:
        url = f"wss://127.0.0.1:{world.port}/ocpp"
        async with open_central_system(url, "CS01", PASSWORD, epoch="e", ssl_context=pki.client()) as station:
            await station.call(SignCertificate(csr=request(key, ("cn", "CS01"))))
            (asked,) = world.door.reports
            chain = await ours.sign(asked.csr, "CS01")
            async with trio.open_nursery() as nursery:
                nursery.start_soon((await world.online()).call, CertificateSigned(certificate_chain=chain))
                command = await station.next_command()
                (tmp_path / "cs01.pem").write_text(command.command.certificate_chain)
                await command.answer("Accepted")
    moved_up = pki.client()
    moved_up.load_cert_chain(tmp_path / "cs01.pem", tmp_path / "cs01.key")
    async with central(pki, TLS_CERTIFICATE, certificate_issuer="Stations of Motown") as world:
        assert await knock(world, pki.client(), PASSWORD) == 403
        assert await knock(world, moved_up, None) == LET_IN


@pytest.mark.filterwarnings("ignore:.*TLSv1_1 is deprecated")
async def test_there_is_no_tls_below_1_2(pki: Pki) -> None:
    async with central(pki, TLS_BASIC) as world:
        client = pki.client()
        client.set_ciphers("DEFAULT@SECLEVEL=0")
        client.minimum_version, client.maximum_version = ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_1
        assert await knock(world, client, PASSWORD) == 0
