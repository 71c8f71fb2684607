"""How a command ends when the world does not let it run."""

from __future__ import annotations

import socket
import ssl

import pytest
import trio
import trustme

from protocols.cli.config_sections import Http
from protocols.cli.folders import alone_in
from protocols.cli.listeners import ServerTls, listen
from protocols.cli.starter import CannotRun, outcome_of


class Unavailable(Exception):
    pass


async def fail_deep(error):
    async with trio.open_nursery() as outer, trio.open_nursery() as inner:
        inner.start_soon(trio.sleep_forever)
        outer.start_soon(trio.sleep_forever)
        raise error


def test_the_outcome_is_what_was_returned():
    async def three():
        return 3

    assert outcome_of(three) == 3


@pytest.mark.parametrize("error", [CannotRun("the reason"), Unavailable("the reason")])
def test_a_reason_comes_out_of_its_groups_as_itself(error):
    with pytest.raises(CannotRun) as caught:
        outcome_of(fail_deep, error, reasons=(Unavailable,))
    assert (str(caught.value), caught.value.exit_code) == ("the reason", 1)


def test_an_error_that_is_no_reason_stays_what_it_is():
    with pytest.raises(BaseExceptionGroup) as caught:
        outcome_of(fail_deep, ZeroDivisionError())
    assert caught.group_contains(ZeroDivisionError)


async def test_a_listener_that_cannot_be_opened_is_named_by_its_key():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotRun, match=rf"^http\.peers: cannot listen at 127\.0\.0\.1:{port}: "):
            await listen("http.peers", Http(), port)


async def test_a_free_port_is_listened_at():
    (listener,) = await listen("http", Http(), 0)
    assert listener.socket.getsockname()[0] == "127.0.0.1"
    await listener.aclose()


def test_without_a_certificate_a_listener_speaks_plain():
    assert ServerTls().context(Http()) is None


def test_with_a_certificate_it_speaks_tls_1_2_or_newer(tmp_path):
    certificate = trustme.CA().issue_cert("localhost")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    context = ServerTls().context(Http(tls_certificate=tmp_path / "cert.pem", tls_key=tmp_path / "key.pem"))
    assert context is not None and context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_a_folder_is_for_one_at_a_time(tmp_path):
    folder = tmp_path / "new" / "data"
    with alone_in(folder, "taken"), pytest.raises(CannotRun, match=r"^taken$"), alone_in(folder, "taken"):
        pytest.fail("two are in it")
    with alone_in(folder, "taken"):
        assert folder.is_dir()


def test_a_folder_that_is_made_is_for_its_owner_alone(tmp_path):
    with alone_in(tmp_path / "data", "taken"):
        assert (tmp_path / "data").stat().st_mode & 0o077 == 0


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CannotRun, match="file"), alone_in(tmp_path / "file" / "data", "taken"):
        pytest.fail("it is in a file")
