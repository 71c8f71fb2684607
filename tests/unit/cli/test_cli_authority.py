"""`node.py ca`: from nothing to a node and a station that trust each other, by their certificates alone."""

from __future__ import annotations

import ssl
import tomllib
from datetime import UTC, datetime

import pytest
import trio

from protocols.cli.authority import authority_of
from protocols.cli.config import load_config
from protocols.cli.listeners import ServerTls
from protocols.cli.starter import CannotRun
from protocols.pki.authority import pem_of
from tests.unit.cli.conftest import EXAMPLES
from tests.unit.pki.requesting import StandingClock, request, station_key


@pytest.fixture(autouse=True)
def today(starter) -> None:
    """OpenSSL has a clock of its own."""
    starter.clock = StandingClock(datetime.now(UTC))


@pytest.fixture
def made(cli, tmp_path):
    """An authority and a certificate of ours, as lines for the configuration."""
    folder, tls = tmp_path / "ca", tmp_path / "tls"
    assert cli.call("ca", "make", "--organization", "Motown", "--folder", folder) == 0
    authority = tomllib.loads("\n".join(cli.out))["authority"]
    assert cli.call("ca", "server", "localhost", "127.0.0.1", "--folder", folder, "--to", tls) == 0
    return {"authority": authority, "ocpp": tomllib.loads("\n".join(cli.out))}


def environment(made, **more):
    return {f"ROAMNODE_{table}__{key}".upper(): value for table in made for key, value in made[table].items()} | more


def test_the_key_of_an_authority_is_for_its_owner_alone_and_is_never_written_over(cli, made, tmp_path):
    folder = tmp_path / "ca"
    assert (folder / "root.key").stat().st_mode & 0o777 == 0o600
    before = (folder / "root.key").read_text()
    assert cli.call("ca", "make", "--organization", "Motown", "--folder", folder) == 1
    assert cli.err == [f"node.py: {folder / 'root.key'} cannot be made: File exists"]
    assert (folder / "root.key").read_text() == before


def test_what_is_made_is_what_the_configuration_takes(made):
    config = load_config(EXAMPLES / "destination.toml", environment(made, ROAMNODE_OCPP__SECURITY_PROFILE="3"))
    assert [entry.credentials.profile for entry in config.station_entries(lambda: b"8 bytes.")] == [3, 3]
    authority = authority_of(config, StandingClock(), bytes)
    assert authority is not None
    assert "CN=roamnode stations" in repr(authority)


def test_a_station_signed_by_hand_and_our_listener_know_each_other(cli, made, tmp_path):
    key = station_key()
    (tmp_path / "cs01.key").write_text(pem_of(key))
    (tmp_path / "cs01.csr").write_text(request(key, ("cn", "CS01")))
    assert cli.call("ca", "sign", tmp_path / "cs01.csr", "--identity", "CS02", "--folder", tmp_path / "ca") == 1
    assert "must have 'CS02' as its common name" in cli.err[0]
    assert cli.call("ca", "sign", tmp_path / "cs01.csr", "--identity", "CS01", "--folder", tmp_path / "ca") == 0
    (tmp_path / "cs01.pem").write_text("\n".join(cli.out))

    config = load_config(EXAMPLES / "destination.toml", environment(made))
    server = ServerTls().of_stations(config.ocpp, config.authorities_of_stations)
    station = ssl.create_default_context(cafile=made["authority"]["certificate"])
    station.load_cert_chain(tmp_path / "cs01.pem", tmp_path / "cs01.key")
    assert trio.run(shown_by, server, station) == ((("commonName", "CS01"),),)


async def shown_by(server, station):
    """The subject that the server sees after both have shaken hands."""
    one, other = trio.testing.memory_stream_pair()
    ours = trio.SSLStream(one, server, server_side=True)
    theirs = trio.SSLStream(other, station, server_hostname="localhost")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.do_handshake)
        nursery.start_soon(theirs.do_handshake)
    return ours.getpeercert()["subject"]


def test_where_there_is_no_authority_none_signs(cli, tmp_path):
    assert cli.call("ca", "server", "localhost", "--folder", tmp_path, "--to", tmp_path) == 1
    assert "`node.py ca make` makes one" in cli.err[0]
    assert cli.call("ca", "sign", tmp_path / "no.csr", "--identity", "CS01", "--folder", tmp_path) == 1
    assert len(cli.err) == 1


def test_an_authority_whose_key_is_gone_is_said_so(made, tmp_path):
    config = load_config(EXAMPLES / "destination.toml", environment(made))
    (tmp_path / "ca" / "root.key").unlink()
    with pytest.raises(CannotRun, match=r"authority: .*No such file"):
        authority_of(config, StandingClock(), bytes)
