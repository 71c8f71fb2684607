"""Who may connect: the doorkeeper alone, on virtual time."""

from __future__ import annotations

import base64
import subprocess
import sys

import pytest
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from ocpp_worlds import PASSWORD, Directory
from websockets.datastructures import Headers
from websockets.http11 import Request

from protocols.ocpp.admission import Admission, forms_of, identity_in, password_in
from protocols.ocpp.limits import Limits

LIMITS = Limits(address_failures_max=2, address_window_s=60, addresses_max=3)
BASIC = "Basic " + base64.b64encode(b"CS01:" + PASSWORD).decode()
GOOD = Request("/ocpp/CS01", Headers(Authorization=BASIC))
WRONG = Request("/ocpp/CS01", Headers())
UNKNOWN = Request("/ocpp/CS02", Headers(Authorization=BASIC))


def status(admission: Admission, request: Request, address: str = "192.0.2.1") -> int | None:
    refusal = admission.refusal(request, address)
    return refusal and int(refusal[0])


async def test_failures_are_counted_per_address_within_a_window(mock_clock: trio.testing.MockClock) -> None:
    admission = Admission(Directory(), LIMITS)
    assert [status(admission, WRONG) for _ in range(3)] == [401, 401, 429]
    assert status(admission, GOOD) == 429
    assert status(admission, GOOD, "192.0.2.2") is None
    mock_clock.jump(60)
    assert status(admission, GOOD) is None


async def test_a_station_is_not_kept_out_by_others_that_share_its_address() -> None:
    admission = Admission(Directory(), LIMITS)
    assert [status(admission, UNKNOWN) for _ in range(3)] == [404, 404, 429]
    assert status(admission, GOOD) is None


async def test_failures_spread_over_time_lock_nobody_out(mock_clock: trio.testing.MockClock) -> None:
    admission = Admission(Directory(), LIMITS)
    for _ in range(5):
        assert status(admission, UNKNOWN) == 404
        mock_clock.jump(61)


async def test_an_address_refused_unseen_asks_nothing_of_the_directory() -> None:
    directory = Directory()
    admission = Admission(directory, LIMITS)
    for _ in range(2):
        admission.refusal(WRONG, "192.0.2.1")
    asked = list(directory.tried)
    assert status(admission, GOOD) == 429
    assert directory.tried == asked == [None, None]


async def test_the_table_of_failures_is_bounded() -> None:
    admission = Admission(Directory(), LIMITS)
    for number in range(100):
        admission.refusal(UNKNOWN, f"192.0.2.{number}")
    assert len(admission._failures) == LIMITS.addresses_max


async def test_two_authorization_headers_are_none() -> None:
    headers = Headers([("Authorization", BASIC), ("Authorization", BASIC)])
    assert status(Admission(Directory(), LIMITS), Request("/ocpp/CS01", headers)) == 401


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
