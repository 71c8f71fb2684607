"""Directories let in whom the configuration names, and tell nobody anything by the time they take."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors import directory
from actors.directory import BearerTokens, ConfiguredUsers, Peers
from statecharts.credentials import hash_secret, is_hashed_secret, secret_matches, token_digest
from statecharts.directory import PeerEntry, StationEntry, TokenEntry, UserEntry
from statecharts.ports import IdentityService, PeerDirectory, Principal, Tokens
from statecharts.station_credentials import NOBODY_HASH, StationCredentials
from statecharts.vocabulary import Location

SALT = b"8 bytes."
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
HERE = Location(latitude=Decimal("52.3702"), longitude=Decimal("4.8952"))


def station(identity: str, password: str) -> StationEntry:
    hashed = hash_secret(password.encode(), SALT)
    credentials = StationCredentials(password_hash=hashed)
    return StationEntry(identity=identity, credentials=credentials, connectors=1, location=HERE)


def peer(name: str, password: str, username: str | None = None) -> PeerEntry:
    return PeerEntry(
        pms_identifier=name,
        url="https://peer.example/",
        username="us",
        password="what-we-present-there",
        incoming_username=username or name,
        incoming_password_hash=hash_secret(password.encode(), SALT),
    )


@pytest.fixture
def compared(monkeypatch) -> list[tuple[bytes, str]]:
    """What the directories have compared: (secret, hash)."""
    seen: list[tuple[bytes, str]] = []

    def spy(secret: bytes, hashed: str) -> bool:
        seen.append((secret, hashed))
        return secret_matches(secret, hashed)

    monkeypatch.setattr(directory, "secret_matches", spy)
    return seen


# -- how secrets are kept ----------------------------------------------------------------------------------------------


def test_a_hashed_secret_has_its_scheme_salt_and_digest():
    # computed with: printf %s secret | openssl dgst -sha256 -mac HMAC -macopt hexkey:382062797465732e
    assert (
        hash_secret(b"secret", SALT)
        == "hmac-sha256$382062797465732e$9f640895de2931dbf8ebe5c93ab6a7f29e76c2b6a213c8b483907546ac7313ae"
    )


@given(st.binary(max_size=64), st.binary(min_size=8, max_size=64))
def test_a_secret_matches_its_own_hash(secret, salt):
    assert secret_matches(secret, hash_secret(secret, salt))


@given(st.binary(max_size=40), st.binary(max_size=40), st.binary(min_size=8, max_size=64))
def test_no_other_secret_matches(secret, other, salt):
    assert secret_matches(other, hash_secret(secret, salt)) == (secret == other)


def test_salts_make_hashes_of_one_secret_differ():
    assert hash_secret(b"secret", b"8 bytes.") != hash_secret(b"secret", b"8 bytes!")


@pytest.mark.parametrize("length", [0, 7, 65])
def test_a_salt_has_its_bounds(length):
    with pytest.raises(ValueError, match=f"a salt has 8 to 64 bytes, this one {length}"):
        hash_secret(b"secret", bytes(length))


@pytest.mark.parametrize("damage", ["", "$", "hmac-sha1$00$00", "x", "hmac-sha256$zz$00"])
def test_what_is_no_hash_is_said_to_be_none(damage):
    assert not is_hashed_secret(damage)
    with pytest.raises(ValueError, match="not a hashed secret"):
        secret_matches(b"", damage)


# -- peers -------------------------------------------------------------------------------------------------------------


def test_a_peer_is_known_by_its_credentials():
    peers: PeerDirectory = Peers([peer("IE-001", "one"), peer("NL-AMS", "two", username="amsterdam")])
    assert peers.authenticate("IE-001", b"one") == "IE-001"
    assert peers.authenticate("amsterdam", b"two") == "NL-AMS"


def test_a_peer_that_is_listed_with_certificates_must_show_one_of_them():
    listed = msgspec.structs.replace(peer("IE-001", "one"), incoming_certificates=("old", "new"))
    peers = Peers([listed, peer("NL-AMS", "two")])
    assert peers.authenticate("IE-001", b"one", "old") == peers.authenticate("IE-001", b"one", "new") == "IE-001"
    assert peers.authenticate("IE-001", b"one", "other") is None
    assert peers.authenticate("IE-001", b"one") is None
    assert peers.authenticate("IE-001", b"two", "new") is None
    assert peers.authenticate("NL-AMS", b"two", "any") == "NL-AMS"


@pytest.mark.parametrize(
    ("username", "password"),
    [("IE-001", b"two"), ("NL-AMS", b"two"), ("ie-001", b"one"), ("", b""), ("us", b"what-we-present-there")],
)
def test_other_credentials_open_nothing(username, password):
    peers = Peers([peer("IE-001", "one"), peer("NL-AMS", "two", username="amsterdam")])
    assert peers.authenticate(username, password) is None


@pytest.mark.parametrize(("name", "password"), [("IE-001", b"one"), ("IE-001", b"no"), ("XX", b"no"), ("XX", b"")])
def test_an_unknown_peer_costs_as_much_as_a_wrong_password(compared, name, password):
    Peers([peer("IE-001", "one")]).authenticate(name, password)
    assert [secret for secret, _ in compared] == [password]
    assert all(is_hashed_secret(hashed) for _, hashed in compared)


def test_the_hash_of_nobody_opens_nothing():
    assert secret_matches(b"", NOBODY_HASH)
    assert Peers([]).authenticate("anyone", b"") is None


def test_the_roles_of_one_peer_have_credentials_of_their_own():
    as_source, as_destination = Peers([peer("IE-001", "source")]), Peers([peer("IE-001", "destination")])
    assert as_source.authenticate("IE-001", b"destination") is None
    assert as_destination.authenticate("IE-001", b"source") is None


def test_what_we_present_to_a_peer_is_not_shown():
    entry = peer("IE-001", "one")
    assert repr(entry) == "<PeerEntry IE-001 https://peer.example/>"
    assert repr(Peers([entry])) == "<Peers IE-001>"
    assert Peers([entry]).entry("IE-001") is entry
    assert Peers([entry]).entries == (entry,)


# -- tokens ------------------------------------------------------------------------------------------------------------

APP = Principal(name="app", users=frozenset({"anna"}))
OPERATOR = Principal(name="control-room", operator=True)


def test_a_token_is_somebodys_or_nobodys():
    entries = [TokenEntry(digest=token_digest(t), principal=p) for t, p in (("app-token", APP), ("op-token", OPERATOR))]
    tokens: Tokens = BearerTokens(entries)
    assert tokens.principal("app-token") == APP
    assert tokens.principal("op-token") == OPERATOR
    assert [tokens.principal(wrong) for wrong in ("", "APP-TOKEN", "app-toke", "\udc80", "ü")] == [None] * 5
    assert repr(tokens) == "<BearerTokens app control-room>"


def test_every_token_is_compared_whichever_fits(monkeypatch):
    seen = []

    def spy(kept: str, given: str) -> bool:
        seen.append(kept)
        return kept == given

    monkeypatch.setattr(directory.hmac, "compare_digest", spy)
    tokens = BearerTokens([TokenEntry(digest=token_digest(str(n)), principal=APP) for n in range(5)])
    tokens.principal("0")
    assert seen == [token_digest(str(n)) for n in range(5)]


def test_a_token_is_kept_as_its_plain_sha256():
    assert token_digest("token") == hashlib.sha256(b"token").hexdigest()


# -- users -------------------------------------------------------------------------------------------------------------


def users(**of_anna: object) -> ConfiguredUsers:
    return ConfiguredUsers([UserEntry(identifier="anna", id_tags=("04A1b2",), **of_anna), UserEntry(identifier="bram")])


async def test_a_user_in_good_standing_may_charge_everywhere():
    service: IdentityService = users()
    assert (await service.check_user("anna", "IE-001", NOW)).allowed
    assert (await service.check_id_tag("04A1b2", NOW)).allowed


@pytest.mark.parametrize("tag", ["04a1b2", "04A1B2", "04A1b2"])
async def test_cards_compare_without_regard_to_case(tag):
    assert (await users().check_id_tag(tag, NOW)).allowed


async def test_nobody_unknown_may_charge():
    answer = await users().check_user("Anna", "IE-001", NOW)
    assert (answer.allowed, answer.refusal_message) == (False, "user Anna is not known here")
    answer = await users().check_id_tag("FF", NOW)
    assert (answer.allowed, answer.refusal_message) == (False, "card FF is not known here")
    assert not answer.blocked and not answer.expired


async def test_a_blocked_user_is_told_so():
    for answer in [
        await users(blocked=True).check_user("anna", "IE-001", NOW),
        await users(blocked=True).check_id_tag("04A1B2", NOW),
    ]:
        assert (answer.allowed, answer.blocked, answer.expired) == (False, True, False)
        assert answer.refusal_message.endswith(" is blocked")


@pytest.mark.parametrize(
    ("since", "until", "allowed", "expired"),
    [
        (0, 1, True, False),
        (1, None, False, False),
        (None, 0, False, True),
        (-2, -1, False, True),
        (None, 1, True, False),
    ],
)
async def test_a_user_is_valid_from_the_first_moment_up_to_the_last(since, until, allowed, expired):
    def at(hours: int | None) -> datetime | None:
        return None if hours is None else NOW + timedelta(hours=hours)

    service = users(valid_from=at(since), valid_until=at(until))
    for answer in [await service.check_user("anna", "IE-001", NOW), await service.check_id_tag("04a1b2", NOW)]:
        assert (answer.allowed, answer.expired) == (allowed, expired)
        assert answer.allowed == (answer.refusal_message == "")


async def test_a_user_may_be_limited_to_some_operators_but_not_kept_from_our_own_stations():
    service = users(allowed_operators=frozenset({"IE-001"}))
    assert (await service.check_user("anna", "IE-001", NOW)).allowed
    answer = await service.check_user("anna", "NL-AMS", NOW)
    assert (answer.allowed, answer.refusal_message) == (False, "user anna may not charge at operator NL-AMS")
    assert (await service.check_id_tag("04A1B2", NOW)).allowed


async def test_a_user_limited_to_no_operator_may_not_roam():
    assert not (await users(allowed_operators=frozenset()).check_user("anna", "IE-001", NOW)).allowed


@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
async def test_only_a_users_own_card_opens(tag, other):
    service = ConfiguredUsers([UserEntry(identifier="anna", id_tags=(tag,))])
    assert (await service.check_id_tag(other, NOW)).allowed == (tag.casefold() == other.casefold())
