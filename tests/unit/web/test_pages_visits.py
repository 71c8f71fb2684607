"""Signing in and out: who comes in, how long, and what a forged form, a guess or another room's cookie are worth."""

from __future__ import annotations

from datetime import timedelta

import pytest
import trio

from protocols.rest.auth import FAILURE_WINDOW_S, FailureLimiter
from protocols.web.passwords import Doorkeeper, hashed
from protocols.web.visits import LASTS, Seal, Visit
from statecharts.accounts import Account, People
from statecharts.bounds import Watermarks
from statecharts.credentials import is_password_hash
from statecharts.page_limits import WRONG_PASSWORDS
from statecharts.ports import Principal
from tests.unit.rest.fakes import NOON, READY
from tests.unit.web.visiting import ALICE, HASH, PASSWORD, at_console, driver, operator, visitor

VISIT = Visit(name="alice", until=NOON, mark="m", token="t")


async def test_who_has_not_signed_in_is_sent_to_do_so_and_comes_back_to_where_he_was() -> None:
    who = visitor(READY)
    sent = await who.ask("GET", "/drive/charges/tx-1?a=b")
    assert (sent.status_code, sent.headers["Location"]) == (303, "/drive/sign-in?next=/drive/charges/tx-1%3Fa%3Db")
    back = await who.ask("POST", sent.headers["Location"], name="alice", password=PASSWORD)
    assert (back.status_code, back.headers["Location"]) == (303, "/drive/charges/tx-1?a=b")


@pytest.mark.parametrize("place", ["https://elsewhere.test/", "//elsewhere.test/drive/", "/console", "/drive/\\x", ""])
async def test_nobody_is_sent_elsewhere_after_signing_in(place: str) -> None:
    answer = await visitor().ask("POST", f"/drive/sign-in?next={place}", name="alice", password=PASSWORD)
    assert answer.headers["Location"] == "/drive"


async def test_a_part_of_a_page_that_is_asked_for_without_a_visit_sends_the_whole_page_to_sign_in() -> None:
    headers = {"HX-Request": "true", "HX-Current-URL": "http://localhost/drive/charges/tx-1"}
    answer = await visitor(READY).ask("GET", "/drive/charges/tx-1/now", headers=headers)
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (401, "/drive/sign-in?next=/drive/charges/tx-1")


async def test_the_cookie_is_for_our_own_pages_alone() -> None:
    answer = await visitor().sign_in("drive", "alice")
    (cookie,) = answer.headers.getlist("Set-Cookie")
    assert {"HttpOnly", "SameSite=Strict", "Path=/drive"} <= set(cookie.split("; "))


@pytest.mark.parametrize(("name", "password"), [("alice", "wrong"), ("nobody", PASSWORD), ("", "")])
async def test_who_does_not_know_the_password_stays_outside(name: str, password: str) -> None:
    who = visitor()
    answer = await who.ask("POST", "/drive/sign-in", name=name, password=password)
    assert answer.status_code == 401
    assert "do not go together" in await answer.get_data(as_text=True)
    assert (await who.ask("GET", "/drive")).status_code == 303


async def test_a_driver_is_no_operator() -> None:
    who = await driver()
    assert (await who.ask("GET", "/console")).status_code == 303
    assert (await who.sign_in("console", "alice")).status_code == 401


async def test_guesses_are_few_in_a_minute_and_a_right_one_after_them_is_worth_nothing() -> None:
    who = visitor()
    answers = [await who.ask("POST", "/drive/sign-in", name="x" * 300, password="y" * 300) for _ in range(12)]
    assert [answer.status_code for answer in answers] == [401] * WRONG_PASSWORDS.limit + [429] * 2
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 61
    assert (await who.sign_in("drive", "alice")).status_code == 429


async def test_an_address_that_has_failed_too_often_is_free_again_after_a_minute(autojump_clock: object) -> None:
    limiter = FailureLimiter(Watermarks(), 2)
    for _ in range(2):
        assert limiter.left_s("a") == 0
        limiter.wait_s("a")
    assert (limiter.left_s("a"), limiter.left_s("b")) == (FAILURE_WINDOW_S, 0)
    await trio.sleep(FAILURE_WINDOW_S)
    assert limiter.left_s("a") == 0


async def test_a_visit_ends_by_itself_with_the_password_and_when_one_signs_out() -> None:
    who = await driver()
    await who.text("/drive")
    who.clock.at += LASTS - timedelta(seconds=1)
    await who.text("/drive")
    who.clock.at += timedelta(seconds=1)
    assert (await who.ask("GET", "/drive")).status_code == 303
    again = await driver()
    answer = await again.send("/drive/sign-out")
    assert answer.headers["Location"] == "/drive/sign-in"
    assert (await again.ask("GET", "/drive")).status_code == 303


async def test_a_visit_outlives_a_restart_and_not_another_password_or_another_key() -> None:
    first = visitor()
    (cookie,) = (await first.sign_in("drive", "alice")).headers.getlist("Set-Cookie")
    shown = {"Cookie": cookie.partition(";")[0]}
    await visitor().text("/drive", headers=shown)
    other = Account(name="alice", password_hash=hashed("another-password", bytes(16)), principal=ALICE.principal)
    assert (await visitor(drivers=People((other,))).ask("GET", "/drive", headers=shown)).status_code == 303
    assert (await visitor(drivers=People(())).ask("GET", "/drive", headers=shown)).status_code == 303
    assert (await visitor(key=lambda: b"x" * 32).ask("GET", "/drive", headers=shown)).status_code == 303


@pytest.mark.parametrize(
    "headers",
    [{}, {"X-CSRF-Token": "guessed"}, {"Origin": "https://elsewhere.test"}, {"Sec-Fetch-Site": "cross-site"}],
)
async def test_a_form_of_another_page_does_nothing(headers: dict[str, str]) -> None:
    who = await driver(READY)
    answer = await who.ask("POST", "/drive/charges/tx-1/start", headers=headers, version="2")
    assert answer.status_code == 403
    assert "form-outdated" in await answer.get_data(as_text=True)
    assert who.world.apps.views["tx-1"].state == "Ready"


async def test_another_site_cannot_sign_somebody_in() -> None:
    answer = await visitor().ask(
        "POST", "/drive/sign-in", headers={"Origin": "https://x.test"}, name="alice", password=PASSWORD
    )
    assert answer.status_code == 403


async def test_a_viewer_looks_and_changes_nothing_but_may_leave() -> None:
    who = await at_console("guest")
    assert '<form method="post" action="/console/stations/CS01' not in await who.text("/console/stations/CS01")
    answer = await who.send("/console/stations/CS01/commands", command="ClearCache")
    assert answer.status_code == 403
    assert who.world.operators.asked[-1:] != ["ClearCache"]
    assert (await who.send("/console/language", language="de")).status_code == 303
    assert (await who.send("/console/sign-out")).status_code == 303


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/console/stations", {"identity": "CS9", "connectors": "1", "latitude": "1", "longitude": "2"}),
        ("/console/stations/CS01/retire", {"reason": "gone"}),
        ("/console/partners/IE-001/block", {}),
        ("/console/quarantine/station/CS01/release", {"message": "dismiss"}),
    ],
)
async def test_what_only_an_admin_may_an_operator_may_not(path: str, form: dict[str, str]) -> None:
    answer = await (await at_console("desk")).send(path, **form)
    assert answer.status_code == 403
    assert "administrator" in await answer.get_data(as_text=True)


async def test_the_same_ranks_hold_for_tokens() -> None:
    who = visitor(READY)
    for rank, path, status in (
        ("viewer", "/api/v1/operator/stations/CS01/retire", 403),
        ("operator", "/api/v1/operator/stations/CS01/retire", 403),
        ("admin", "/api/v1/operator/stations/CS01/retire", 200),
        ("viewer", "/api/v1/operator/stations/CS01/commands", 403),
        ("operator", "/api/v1/operator/stations/CS01/commands", 202),
    ):
        body = {"command": "ClearCache"} if path.endswith("commands") else {"reason": "gone"}
        answer = await who.world.ask("POST", path, token=f"{rank}-rank-token", json=body)
        assert answer.status_code == status, (rank, path)
    assert (await who.world.ask("GET", "/api/v1/operator/stations", token="viewer-rank-token")).status_code == 200


def test_a_seal_opens_what_it_has_sealed_and_nothing_else() -> None:
    seal = Seal(bytes(32), "drive")
    cookie = seal.sealed(VISIT)
    assert seal.opened(cookie) == VISIT
    assert Seal(bytes(32), "console").opened(cookie) is None
    assert Seal(b"x" * 32, "drive").opened(cookie) is None
    for position in range(len(cookie)):
        other = "A" if cookie[position] != "A" else "B"
        assert seal.opened(cookie[:position] + other + cookie[position + 1 :]) in (None, VISIT)
    assert all(seal.opened(text) is None for text in ("", ".", "x.y", "ä", cookie + "x"))


async def test_passwords_are_compared_by_argon2() -> None:
    keeper = Doorkeeper()
    account = Account(name="a", password_hash=HASH, principal=Principal(name="a"))
    assert await keeper.fits(account, PASSWORD)
    assert not await keeper.fits(account, "sample-password-of-annA")
    assert not await keeper.fits(None, "nobody has this password")
    assert is_password_hash(HASH)
    assert not is_password_hash("hmac-sha256$00$00")


def test_nobody_sees_a_hash() -> None:
    assert "argon2" not in repr(operator("x", ALICE.principal.rank))
