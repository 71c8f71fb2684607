"""`node.py verify` as a person meets it: what it needs, how it ends, what it says meanwhile."""

from __future__ import annotations

import json
import re
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import structlog
import trio
import trustme
from lxml import etree

from protocols import mobieurope
from tests.unit.cli.conftest import CommandLine, FakeStarter
from tests.verify.verifying import WORLD, own_address
from tests.verify.wrong_destination import OTHER_SECRET, OWN, SECRET, SOURCE, STATION, STATION_SECRET, open_destination

NOBODY = "http://127.0.0.1:1/services/mobiEuropeDestinationService"
READY_S = 60.0

Contexts = tuple[ssl.SSLContext, ssl.SSLContext]


class Starter(FakeStarter):
    """Hands in the real world, as node.py does."""

    clock = WORLD.clock
    new_id = staticmethod(WORLD.new_id)
    line_of = staticmethod(WORLD.line_of)


@pytest.fixture
def starter() -> FakeStarter:
    return Starter()


@pytest.fixture(autouse=True)
def own_logs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The command sets up the logs of its process for good, which here is that of all tests."""
    before = structlog.get_config()
    quiet = structlog.make_filtering_bound_logger("error")
    monkeypatch.setattr("protocols.cli.verify.set_up_logs", lambda *_: structlog.configure(wrapper_class=quiet))
    yield
    structlog.configure(**before)


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERIFY_PASSWORD", SECRET)
    monkeypatch.setenv("VERIFY_INCOMING_PASSWORD", OTHER_SECRET)
    monkeypatch.setenv("VERIFY_STATION_PASSWORD", STATION_SECRET)


def needed(own_url: str = "http://127.0.0.1:2/", role: str = "destination") -> list[str]:
    names = ["--own-pms", SOURCE, "--partner-pms", OWN, "--service", STATION]
    return ["--role", role, "--own-url", own_url, *names]


@contextmanager
def peer(
    own_url: str, *defects: str, tls: Contexts | None = None, forwarding: tuple[int, int] | None = None
) -> Iterator[tuple[str, str]]:
    """A Destination in a thread of its own: its address, and its stations'.

    `tls` it serves and asks with; `forwarding`: beside it all that comes to the first port goes to the second.
    """
    places: list[tuple[str, str]] = []
    ready, over = threading.Event(), trio.Event()
    tokens: list[trio.lowlevel.TrioToken] = []

    async def serve() -> None:
        async with open_destination(own_url, frozenset(defects), tls) as opened, trio.open_nursery() as beside:
            if forwarding is not None:
                await beside.start(forward, *forwarding)
            places.append((opened.url, opened.station_url))
            tokens.append(trio.lowlevel.current_trio_token())
            ready.set()
            await over.wait()
            beside.cancel_scope.cancel()

    thread = threading.Thread(target=trio.run, args=(serve,))
    thread.start()
    assert ready.wait(READY_S)
    yield places[0]
    tokens[0].run_sync_soon(over.set)
    thread.join(READY_S)


async def forward(port: int, to: int, task_status: trio.TaskStatus[object]) -> None:
    async def carry(stream: trio.SocketStream) -> None:
        with suppress(OSError, trio.BrokenResourceError):
            other = await trio.open_tcp_stream("127.0.0.1", to)
            async with other, trio.open_nursery() as both:
                both.start_soon(pump, stream, other)
                both.start_soon(pump, other, stream)

    async def pump(one: trio.SocketStream, other: trio.SocketStream) -> None:
        with suppress(OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            async for data in one:
                await other.send_all(data)
            await other.send_eof()

    await trio.serve_tcp(carry, port, host="127.0.0.1", task_status=task_status)


def quick(url: str, station_url: str, own_url: str) -> list[str]:
    limits = ["--flows", "12", "--rate", "5000", "--patience", "20"]
    return ["verify", url, *needed(own_url), "--station-url", station_url, *limits]


def test_a_partner_that_conforms_is_status_0_and_one_that_does_not_is_1(cli: CommandLine, tmp_path: Path):
    own = own_address()
    with peer(own) as (url, station_url):
        assert cli.call(*quick(url, station_url, own)) == 0
    assert re.fullmatch(rf"{OWN} as destination at {url}: conforming, \d+ rules not tried", cli.out[0])
    assert cli.err[0].startswith("importing "), "what takes seconds is told before"
    assert cli.err[-1] == "12 of 12 flows, 0 rules broken", "lines in the place of a bar, where there is no terminal"
    files = ["--json", tmp_path / "a.json", "--junit", tmp_path / "a.xml"]
    with peer(own, "D12") as (url, station_url):
        assert cli.call(*quick(url, station_url, own), *files) == 1
    assert "not conforming" in cli.out[0] and any(line.startswith("schema-request: ") for line in cli.out)
    assert json.loads((tmp_path / "a.json").read_text())["rules"]["schema-request"] == "broken"
    assert etree.fromstring((tmp_path / "a.xml").read_bytes()).get("failures") != "0"


def test_a_partner_with_tls_is_verified_by_certificates_both_ways(cli: CommandLine, tmp_path: Path):
    authority = trustme.CA()
    ours, theirs = (authority.issue_cert("127.0.0.1") for _ in range(2))
    serving, asking = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    theirs.configure_cert(serving)
    for context in (serving, asking):
        authority.configure_trust(context)
    serving.verify_mode = ssl.CERT_REQUIRED
    ours.private_key_pem.write_to_path(tmp_path / "key.pem")
    ours.cert_chain_pems[0].write_to_path(tmp_path / "certificate.pem")
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    certificate, key, trust = (tmp_path / f"{name}.pem" for name in ("certificate", "key", "authority"))
    own = own_address().replace("http:", "https:")
    serve, trusted = ["--own-certificate", certificate, "--own-key", key], ["--tls-authorities", trust]
    shown = ["--client-certificate", certificate, "--client-key", key]
    with peer(own, tls=(serving, asking)) as (url, station_url):
        assert cli.call(*quick(url, station_url, own), *serve, *trusted, *shown) == 0
        for less in ([*serve, *trusted], [*serve, *shown]):
            assert cli.call(*quick(url, station_url, own), *less) == 2
            assert "cannot be reached" in cli.err[-1]


def test_the_partners_calls_are_taken_where_we_are_told_to_listen(cli: CommandLine):
    named, listening = (int(own_address().split(":")[2].partition("/")[0]) for _ in range(2))
    own = f"http://127.0.0.1:{named}/verify"
    with peer(own, forwarding=(named, listening)) as (url, station_url):
        assert cli.call(*quick(url, station_url, own), "--listen", f"http://127.0.0.1:{listening}") == 0


def test_a_wsdl_in_a_file_takes_the_place_of_the_one_that_is_served(cli: CommandLine, tmp_path: Path):
    own, folder = own_address(), Path(mobieurope.__file__).parent
    with peer(own, "wsdl") as (url, station_url):
        assert cli.call(*quick(url, station_url, own), "--wsdl", folder / "DestinationPMS.wsdl") == 0
        assert cli.call(*quick(url, station_url, own), "--wsdl", folder / "SourcePMS.wsdl") == 1
        assert any(line.startswith("wsdl-served: ") for line in cli.out)


@pytest.mark.parametrize(
    ("arguments", "said"),
    (
        (needed(role="judge"), "--role is destination or source, not judge"),
        ([*needed(), "--allow", "everything"], "there is no everything among"),
        ([*needed(), "--skip", "authorize", "--allow", "authorize"], "nothing is left that may be done"),
        ([*needed(), "--flows", "0"], "'--flows': Input should be greater than or equal to 1"),
        (needed(own_url="nowhere"), "'nowhere' is no address"),
        (needed(own_url="https://127.0.0.1:2/"), "we listen at https: give --own-certificate"),
        ([*needed(), "--json", "/nowhere/found.json"], "/nowhere/found.json cannot be written"),
        ([*needed(), "--junit", "."], ". cannot be written"),
        ([*needed(), "--wsdl", "."], "'--wsdl': file '.' is a directory"),
        ([*needed(), "--tls-authorities", "node.py"], "--tls-authorities holds no certificate"),
        ([*needed(), "--client-key", "node.py"], "--client-certificate is required"),
        ([*needed(), "--own-certificate", "node.py", "--own-key", "node.py"], "--own-certificate cannot be used"),
        ([*needed(), "--password-file", sys.executable], "holds no text: a secret is one line of UTF-8"),
        (needed(), "cannot be reached"),
    ),
)
def test_what_cannot_be_run_is_status_2_and_one_line(cli: CommandLine, arguments, said):
    assert cli.call("verify", NOBODY, *arguments) == 2
    assert cli.out == [] and said in cli.err[-1]


def test_a_host_beyond_this_machine_is_not_spoken_to_before_it_is_named(cli: CommandLine):
    assert cli.call("verify", "https://partner.example/a", *needed()) == 2
    assert "partner.example is not this machine" in cli.err[-1] and "--allow-host partner.example" in cli.err[-1]


@pytest.mark.parametrize(
    ("variable", "options", "said"),
    (
        ("VERIFY_PASSWORD", (), "--password-file"),
        ("VERIFY_STATION_PASSWORD", ("--station-url", "ws://127.0.0.1:1/ocpp"), "--station-password-file"),
        ("VERIFY_APP_TOKEN", ("--app-url", "http://127.0.0.1:1/sv1"), "--app-token-file"),
    ),
)
def test_a_secret_that_is_missing_is_asked_for(cli: CommandLine, monkeypatch, variable, options, said):
    monkeypatch.delenv(variable, raising=False)
    assert cli.call("verify", NOBODY, *needed(), *options) == 2
    assert variable in cli.err[-1] and said in cli.err[-1]


def test_an_address_of_ours_that_is_taken_cannot_be_used(cli: CommandLine):
    own = own_address()
    with peer(own) as (url, station_url):
        taken = url.partition("/services")[0]
        assert cli.call(*quick(url, station_url, taken)) == 2
    assert "cannot listen at 127.0.0.1" in cli.err[-1]


def test_a_station_that_is_not_let_in_cannot_be_played(cli: CommandLine, monkeypatch):
    monkeypatch.setenv("VERIFY_STATION_PASSWORD", "another password")
    own = own_address()
    with peer(own) as (url, station_url):
        assert cli.call(*quick(url, station_url, own)) == 2
    assert "the station cannot connect: the central system answered HTTP 401" in cli.err[-1]
