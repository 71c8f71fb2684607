"""Who may connect: the doorkeeper alone, on virtual time."""

from __future__ import annotations

import base64
import subprocess
import sys
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from ocpp_worlds import PASSWORD, Directory
from websockets.datastructures import Headers
from websockets.http11 import Request

from protocols.ocpp.admission import Admission, Knock, forms_of, identity_in, password_in
from protocols.ocpp.limits import Limits
from statecharts import station_credentials
from statecharts.station_credentials import Login, TurnedAway, Wrong

LIMITS = Limits(address_failures_max=2, address_window_s=60, addresses_max=3)
BASIC = "Basic " + base64.b64encode(b"CS01:" + PASSWORD).decode()
GOOD = Request("/ocpp/CS01", Headers(Authorization=BASIC))
WRONG = Request("/ocpp/CS01", Headers())
UNKNOWN = Request("/ocpp/CS02", Headers(Authorization=BASIC))


def doorkeeper(told: list[tuple[str, TurnedAway]] | None = None, **more: Any) -> Admission:
    heard = [] if told is None else told
    return Admission(Directory(**more), LIMITS, lambda identity, event: heard.append((identity, event)))


def status(admission: Admission, request: Request, address: str = "192.0.2.1") -> int | None:
    verdict = admission.verdict(Knock(request, address))
    return None if isinstance(verdict, Login) else int(verdict[0])


async def test_failures_are_counted_per_address_within_a_window(mock_clock: trio.testing.MockClock) -> None:
    admission = doorkeeper()
    assert [status(admission, WRONG) for _ in range(3)] == [401, 401, 429]
    assert status(admission, GOOD) == 429
    assert status(admission, GOOD, "192.0.2.2") is None
    mock_clock.jump(60)
    assert status(admission, GOOD) is None


async def test_a_station_is_not_kept_out_by_others_that_share_its_address() -> None:
    admission = doorkeeper()
    assert [status(admission, UNKNOWN) for _ in range(3)] == [404, 404, 429]
    assert status(admission, GOOD) is None


async def test_failures_spread_over_time_lock_nobody_out(mock_clock: trio.testing.MockClock) -> None:
    admission = doorkeeper()
    for _ in range(5):
        assert status(admission, UNKNOWN) == 404
        mock_clock.jump(61)


async def test_an_address_refused_unseen_compares_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    admission = doorkeeper()
    for _ in range(2):
        assert status(admission, WRONG) == 401
    monkeypatch.setattr(station_credentials, "secret_matches", None)
    assert status(admission, GOOD) == 429


async def test_the_table_of_failures_is_bounded() -> None:
    admission = doorkeeper()
    for number in range(100):
        assert status(admission, UNKNOWN, f"192.0.2.{number}") == 404
    assert len(admission._failures) == LIMITS.addresses_max


async def test_two_authorization_headers_are_none() -> None:
    headers = Headers([("Authorization", BASIC), ("Authorization", BASIC)])
    assert status(doorkeeper(), Request("/ocpp/CS01", headers)) == 401


async def test_a_stations_log_hears_once_a_minute_who_was_turned_away_and_how_often(
    mock_clock: trio.testing.MockClock,
) -> None:
    told: list[tuple[str, TurnedAway]] = []
    admission = doorkeeper(told)
    for number in range(5):
        assert status(admission, WRONG, f"192.0.2.{number}") == 401
    mock_clock.jump(60)
    assert status(admission, WRONG, "192.0.2.9") == 401
    assert status(admission, UNKNOWN) == 404
    assert told == [
        ("CS01", TurnedAway(reason=Wrong.PASSWORD, address="192.0.2.0")),
        ("CS01", TurnedAway(reason=Wrong.PASSWORD, address="192.0.2.9", times=5)),
    ]


@pytest.mark.parametrize(
    "authorization",
    [None, "Basic !", BASIC, *("Basic " + base64.b64encode(b).decode() for b in (b"CS02:x", b"CS01:x", b"CS01:00ff"))],
)
def test_who_is_wrong_is_not_told_by_the_time_it_takes(monkeypatch: pytest.MonkeyPatch, authorization: str) -> None:
    compared: list[bytes] = []
    monkeypatch.setattr(station_credentials, "secret_matches", lambda secret, _: compared.append(secret))
    headers = Headers() if authorization is None else Headers(Authorization=authorization)
    assert trio.run(_status_of, Request("/ocpp/CS01", headers)) == 401
    assert len(compared) == 2 * station_credentials.FORMS


async def _status_of(request: Request) -> int | None:
    return status(doorkeeper(), request)


@given(password=st.binary(max_size=40), identity=st.text(min_size=1, max_size=20))
def test_any_bytes_can_be_a_password(password: bytes, identity: str) -> None:
    try:
        user = identity.encode()
    except UnicodeEncodeError:
        return
    header = "bAsIc  " + base64.b64encode(user + b":" + password).decode()
    assert password_in(header, identity) == password
    assert password in forms_of(password)


@given(st.text(max_size=60))
def test_no_header_and_no_path_make_the_doorkeeper_stumble(text: str) -> None:
    assert password_in(text, "CS01") is None
    identity = identity_in(text)
    assert identity is None or "/" not in identity


@pytest.mark.parametrize(
    ("path", "identity"),
    [("/ocpp/CS01", "CS01"), ("/websockets/RDAM%7C123", "RDAM|123"), ("/ocpp/%C3%9C", "Ü"), ("/ocpp/a.b", "a.b")],
)
def test_identities_are_percent_decoded(path: str, identity: str) -> None:
    assert identity_in(path) == identity


def test_the_codecs_import_no_trio() -> None:
    check = "import sys, protocols.ocpp.v16, protocols.ocpp.frames; sys.exit('trio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
