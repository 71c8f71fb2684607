"""What a webhook is sent is what the API shows, and signed so that any library of Standard Webhooks believes it."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.webhooks.message import headers, signature, written
from statecharts.webhooks_door import HookEvent, HookMessage
from tests.contracts.samples import NOON, entry
from tests.unit.rest.fakes import READY, World
from tests.unit.webhooks.receiver import Received

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_published_vector_of_standard_webhooks_comes_out() -> None:
    signed = signature("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}', SECRET)
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@settings(max_examples=15, deadline=None)  # each starts a process
@given(st.binary(max_size=200), st.from_regex(r"msg_[a-z0-9]{1,40}", fullmatch=True))
def test_openssl_comes_to_the_same_signature(body: bytes, name: str) -> None:
    at = datetime(2026, 5, 17, 12, 0, 0, 999_999, tzinfo=UTC)
    told = Received("/", headers(name, at, body, SECRET), body)
    assert told.is_signed_with(SECRET)
    assert told.headers["webhook-timestamp"] == str(int(datetime(2026, 5, 17, 12, tzinfo=UTC).timestamp()))


@pytest.mark.parametrize("part", ["webhook-id", "webhook-timestamp"])
def test_what_is_signed_cannot_be_changed(part: str) -> None:
    told = Received("/", headers("msg_1", NOON, b"{}", SECRET), b"{}")
    assert told.is_signed_with(SECRET)
    assert not Received("/", told.headers | {part: "1"}, b"{}").is_signed_with(SECRET)
    assert not Received("/", told.headers, b"{ }").is_signed_with(SECRET)
    assert not told.is_signed_with("whsec_" + "A" * 32)


def test_a_charge_record_is_told_with_its_fields() -> None:
    cdr = entry().cdr
    said = msgspec.json.decode(written(HookMessage(id="msg_1", event=HookEvent.CDR, at=NOON, cdr=cdr)))
    assert set(said) == {"id", "event", "at", "cdr"}
    assert (said["id"], said["event"], said["at"]) == ("msg_1", "cdr", "2025-03-01T12:00:00Z")
    assert (said["cdr"]["cdr_id"], said["cdr"]["energy_wh"], said["cdr"]["flags"]) == (cdr.cdr_id, 11_000, [])


async def test_a_transaction_is_told_as_the_api_shows_it() -> None:
    shown = await World(READY).ask("GET", "/api/v1/transactions/tx-1", token="app-token")
    told = written(HookMessage(id="msg_1", event=HookEvent.TRANSACTION, at=NOON, transaction=READY))
    assert msgspec.json.decode(told)["transaction"] == msgspec.json.decode(await shown.get_data())
