"""Whatever is wrong is said by key and reason, all at once, and no secret is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.cli import config as config_module
from protocols.cli.config import Config, ConfigError, load_config

SECRET = "never-show-this-secret"
WHOLE = "must be a whole number"
URL = "must be a URL that begins with https:// (or http:// on this machine)"
PLAIN = "must be a plain address: credentials have keys of their own, and ? and # mean nothing here"
HTTPS = "must begin with https:// beyond this machine (or set allow_plain_http = true)"
DATABASE = "must read postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"
PMS = "must be 1 to 64 characters without spaces, slashes or colons"
IDENTITY = "must be 1 to 48 characters without spaces, slashes or colons, and not dots alone"
DATE = "must be a date and time: 2026-12-31T00:00:00Z"
ZONE = "must say its time zone: 2026-12-31T00:00:00Z"

SINGLE = [
    ("PMS_IDENTIFIER", "NL MOT", PMS),
    ("PMS_IDENTIFIER", "NL/MOT", PMS),
    ("PMS_IDENTIFIER", "", PMS),
    ("ROLES", "[]", "must not be empty"),
    ("ROLES", "source", 'must be a list: ["...", "..."]'),
    ("DATABASE_URL", f"mysql://us:{SECRET}@db.example/roam", DATABASE),
    ("DATABASE_URL", f"postgresql+asyncpg://us:{SECRET}@db.example/roam", DATABASE),
    ("DATABASE_URL", f"postgresql://us:{SECRET}@db.example", DATABASE),
    ("DATABASE_URL", f"postgresql://us:{SECRET}@db.example:port/roam", DATABASE),
    (
        "DATABASE_URL",
        f"postgresql://us@db.example/roam?password={SECRET}",
        "must have its password before the @, where it is never shown",
    ),
    ("ENERGY_UNIT", "MWh", "must be 'Wh' or 'kWh' (got 'MWh')"),
    ("ALLOW_PLAIN_HTTP", "perhaps", "must be true or false (got 'perhaps')"),
    ("OCPP__UNKNOWN_STATIONS", "accept", "must be 'reject' or 'pending' (got 'accept')"),
    ("START_MARGIN_S", "0", "must be more than 0 (got '0')"),
    ("START_MARGIN_S", "inf", "must be a finite number (got 'inf')"),
    ("START_MARGIN_S", "315360001", "must be 315360000 or less (got '315360001')"),
    ("START_MARGIN_S", "nan", "must be a finite number (got 'nan')"),
    ("OPEN_AUTHORIZATIONS_PER_USER_MAX", "0", "must be 1 or more (got '0')"),
    ("LOG", "loud", "must be a table"),
    ("LOG__FORMAT", "xml", "must be 'console' or 'json' (got 'xml')"),
    ("LOG__LEVEL", "loud", "must be 'debug', 'info', 'warning' or 'error' (got 'loud')"),
    ("HTTP__HOST", "", "must be 1 to 255 printable characters"),
    ("HTTP__PORT", "80a", f"{WHOLE} (got '80a')"),
    ("HTTP__PORT", "1.5", f"{WHOLE} (got '1.5')"),
    ("HTTP__PORT", "65536", "must be 65535 or less (got '65536')"),
    ("HTTP__PORT", "-1", "must be 0 or more (got '-1')"),
    ("HTTP__PUBLIC_URL", "roaming.example.org", URL),
    ("HTTP__PUBLIC_URL", "http://roaming.example.org", HTTPS),
    ("HTTP__TLS_KEY", "/nowhere/node.key", "no such file (got '/nowhere/node.key')"),
    ("OCPP__HEARTBEAT_INTERVAL_S", "0", "must be 1 or more (got '0')"),
    ("OCPP__CALL_TIMEOUT_S", "-3", "must be more than 0 (got '-3')"),
    ("DELIVERY__IN_FLIGHT_MAX", "many", f"{WHOLE} (got 'many')"),
    ("WEBHOOKS__RETRY_CAP_S", "0.5", "must be retry_base_s (5) or more"),
    ("WEBHOOKS__TLS_AUTHORITIES", "/nowhere/ca.pem", "no such file (got '/nowhere/ca.pem')"),
    ("DELIVERY__RETRY_CAP_S", "0.5", "must be retry_base_s (1) or more"),
    ("SOURCE_DEADLINES__START_S", "0", "must be more than 0 (got '0')"),
    ("DESTINATION_DEADLINES__STOP_S", "soon", "must be a number (got 'soon')"),
    ("DESTINATIONS__0__URL", "ftp://ie.example/", URL),
    ("DESTINATIONS__0__URL", "https://", URL),
    ("DESTINATIONS__0__URL", "https://ie.example:99999/", URL),
    ("DESTINATIONS__0__URL", "https://[::1/", URL),
    ("DESTINATIONS__0__URL", f"https://us:{SECRET}@ie.example/", PLAIN),
    ("DESTINATIONS__0__URL", "https://ie.example/?wsdl", PLAIN),
    ("DESTINATIONS__0__URL", "http://ie.example/", HTTPS),
    ("DESTINATIONS__0__URL", "http://127.0.0.1.example/", HTTPS),
    ("SOURCES__0__URL", "http://10.0.0.1/", HTTPS),
    ("DESTINATIONS__0__USERNAME", "a:b", "must be 1 to 255 characters, no colon"),
    ("DESTINATIONS__0__PASSWORD", "fifteen-bytes-x", "must be at least 16 bytes (got 15)"),
    ("DESTINATIONS__0__INCOMING_PASSWORD", "short", "must be at least 16 bytes (got 5)"),
    ("DESTINATIONS__1__PMS_IDENTIFIER", "IE-001", "must be unique, and is the same as destinations.0.pms_identifier"),
    (
        "DESTINATIONS__1__INCOMING_USERNAME",
        "IE-001",
        "must be unique, and is the same as destinations.0.incoming_username",
    ),
    ("USERS__0__STATUS", "gone", "must be 'active' or 'blocked' (got 'gone')"),
    ("USERS__0__VALID_FROM", "tomorrow", f"{DATE} (got 'tomorrow')"),
    ("USERS__0__VALID_FROM", "2026-01-01T00:00:00", f"{ZONE} (got '2026-01-01T00:00:00')"),
    ("USERS__1__IDENTIFIER", "anna", "must be unique, and is the same as users.0.identifier"),
    ("APPS__0__TOKEN", "has a space in the middle", "must consist of letters, digits and -._~+/ only"),
    ("APPS__0__USERS", "[]", "must not be empty"),
    ("APPS__0__USERS", '["*", "anna"]', '"*" is every user: name no others beside it'),
    ("OPERATORS__0__NAME", "app", "must be unique, and is the same as apps.0.name"),
    ("STATIONS__0__IDENTITY", "..", IDENTITY),
    ("STATIONS__0__IDENTITY", "CS:01", IDENTITY),
    ("STATIONS__0__IDENTITY", "x" * 49, IDENTITY),
    ("STATIONS__1__IDENTITY", "cs01", "must be unique, and is the same as stations.0.identity"),
    ("PARKING__0__IDENTIFIER", "CS02", "must be unique, and is the same as stations.1.identity"),
    ("STATIONS__0__PASSWORD", "short", "must be at least 16 bytes (got 5)"),
    ("STATIONS__0__CONNECTORS", "0", "must be 1 or more (got '0')"),
    ("STATIONS__0__LATITUDE", "90.1", "must be 90 or less (got '90.1')"),
    ("STATIONS__0__LONGITUDE", "west", "must be a decimal number (got 'west')"),
    ("STATIONS__0__LONGITUDE", "NaN", "must be a finite number (got 'NaN')"),
    ("STATIONS__0__SERVICE_TYPES", "[]", "must not be empty"),
]


@pytest.mark.parametrize(("variable", "value", "reason"), SINGLE, ids=[f"{n} {v[:24]}" for n, v, _ in SINGLE])
def test_a_wrong_value_is_the_only_problem_and_says_why(problems, text, variable, value, reason):
    found = problems(text, {f"ROAMNODE_{variable}": value})
    key = variable.lower().replace("__", ".")
    assert found == {key: reason}
    assert SECRET not in str(found)


def test_items_of_a_list_are_named_by_their_number(problems, text):
    environ = {
        "ROAMNODE_USERS__0__ID_TAGS": '["fine", "123456789012345678901"]',
        "ROAMNODE_ROLES": '["source", "destination", "observer"]',
        "ROAMNODE_PARKING__0__STATUS": "FULL",
        "ROAMNODE_STATIONS__1__SERVICE_TYPES": '["HEATING"]',
        "ROAMNODE_WEBHOOKS__ALLOWED_NETWORKS": '["10.1.0.0/16", "10.1.2.3/16", "here"]',
    }
    network = 'must be a network or an address: "10.1.0.0/16", "fd00::/8", "192.168.7.7"'
    assert problems(text, environ) == {
        "roles.2": "must be 'source' or 'destination' (got 'observer')",
        "users.0.id_tags.1": "must be 1 to 20 characters without spaces",
        "stations.1.service_types.0": "must be 'EV_CHARGING' or 'PARKING' (got 'HEATING')",
        "webhooks.allowed_networks.1": network,
        "webhooks.allowed_networks.2": network,
        "parking.0.status": "must be 'AVAILABLE', 'IN_USE', 'OUT_OF_SERVICE' or 'UNKNOWN' (got 'FULL')",
    }


def test_what_is_required_is_named(problems):
    assert problems('[[stations]]\n[[destinations]]\n[[apps]]\nname = "app"\n[[parking]]') == {
        **dict.fromkeys(["pms_identifier", "roles"], "is required"),
        **dict.fromkeys([f"destinations.0.{key}" for key in ("pms_identifier", "url", "password")], "is required"),
        "apps.0.users": "is required",
        **dict.fromkeys(
            [f"stations.0.{k}" for k in ("identity", "connectors", "latitude", "longitude")], "is required"
        ),
        **dict.fromkeys([f"parking.0.{key}" for key in ("identifier", "latitude", "longitude")], "is required"),
    }


@pytest.mark.parametrize(
    ("line", "key", "hint"),
    [
        ("pms_identifer = 1", "pms_identifer", "; did you mean pms_identifier?"),
        ("zzz = 1", "zzz", ""),
        ("HTTP.port = 1", "HTTP", "; did you mean http?"),
        ("log.levle = 1", "log.levle", "; did you mean level?"),
        ("_cli_parse_args = true", "_cli_parse_args", ""),
        ("source_deadlines.strat_s = 1", "source_deadlines.strat_s", "; did you mean start_s?"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_known_one(problems, text, line, key, hint):
    assert problems(f"{line}\n{text}") == {key: f"unknown key{hint}"}


def test_an_unknown_key_in_a_row_is_named_with_the_nearest_known_one(problems, text):
    row = f'\n[[users]]\nidentifier = "cees"\nid_tag = "{SECRET}"\n'
    assert problems(text + row) == {"users.2.id_tag": "unknown key; did you mean id_tags?"}


def test_coordinates_are_text_because_they_are_exact(problems, text):
    found = problems(text.replace('latitude = "52.3702"', "latitude = 52.3702", 1))
    assert found == {"stations.0.latitude": 'must be written as text, for exactness: "52.3702"'}


def test_everything_is_said_at_once_under_the_keys_of_the_file(problems, text):
    """Stations 0 and 2 are wrong in themselves; station 3 repeats station 1, and keeps its number."""
    third = '\n[[stations]]\nidentity = "CS03"\nconnectors = 1\nlatitude = "91"\nlongitude = "0"\n'
    fourth = '\n[[stations]]\nidentity = "CS02"\nconnectors = 1\nlatitude = "1"\nlongitude = "0"\n'
    environ = {
        "ROAMNODE_STATIONS__0__PASSWORD": "short",
        "ROAMNODE_HTTP__PORT": "x",
        "ROAMNODE_SOURCES__0__URL": "http://ie.example/",
        "ROAMNODE_OPERATORS__0__TOKEN_SHA256": "0" * 64,
    }
    assert problems(text + third + fourth, environ) == {
        "http.port": f"{WHOLE} (got 'x')",
        "stations.0.password": "must be at least 16 bytes (got 5)",
        "stations.2.latitude": "must be 90 or less (got '91')",
        "stations.3.identity": "must be unique, and is the same as stations.1.identity",
        "stations.3.password": "is required, or password_hash instead",
        "operators.0.token": "cannot stand beside token_sha256: give one of them",
        "sources.0.url": HTTPS,
    }


@pytest.mark.parametrize(
    ("row", "key", "hashed"),
    [
        ('password = "password-of-CS01-0123"\n', "stations.0.password", "password_hash"),
        ('token = "token-of-the-app-1234"\n', "apps.0.token", "token_sha256"),
        ('token = "token-of-control-room"\n', "operators.0.token", "token_sha256"),
        ('incoming_password = "presented-by-ie-001"\n', "destinations.0.incoming_password", "incoming_password_hash"),
        ('incoming_password = "knocking-from-ie-001"\n', "sources.0.incoming_password", "incoming_password_hash"),
    ],
)
def test_nobody_comes_in_without_a_secret(problems, text, row, key, hashed):
    assert problems(text.replace(row, "")) == {key: f"is required, or {hashed} instead"}


@pytest.mark.parametrize(("row", "name"), [("stations.0", "password_hash"), ("apps.0", "token_sha256")])
def test_a_hash_must_be_one(problems, text, row, name):
    found = problems(text, {f"ROAMNODE_{row.replace('.', '__').upper()}__{name.upper()}": SECRET})
    assert list(found) == [f"{row}.{name}"]
    assert SECRET not in str(found)


def test_tokens_are_unique_whether_hashed_or_not(problems, text):
    digest = "ec7ea0e0f4e0c05fc4ac8cd6ab5ec8e3e4d0f0d0"  # no token's digest: only its form is wrong
    assert list(problems(text, {"ROAMNODE_APPS__0__TOKEN_SHA256": digest})) == ["apps.0.token_sha256"]
    found = problems(text, {"ROAMNODE_APPS__0__TOKEN": "token-of-control-room"})
    assert found == {"operators.0.token": "must be unique, and is the same as apps.0.token"}


def test_a_card_belongs_to_one_user_whatever_its_case(problems, text):
    found = problems(text, {"ROAMNODE_USERS__1__ID_TAGS": '["04A1B2C3"]'})
    assert found == {"users.1.id_tags.0": "must be unique, and is the same as users.0.id_tags.0"}


def test_a_user_cannot_expire_before_being_valid(problems, text):
    dates = {"ROAMNODE_USERS__0__VALID_FROM": "2026-02-01T00:00:00Z"}
    found = problems(text, {**dates, "ROAMNODE_USERS__0__VALID_UNTIL": "2026-02-01T01:00:00+01:00"})
    assert found == {"users.0.valid_until": "must be later than valid_from"}


@pytest.mark.parametrize(
    ("role", "table", "needed"), [("source", "sources", "destination"), ("destination", "destinations", "source")]
)
def test_partners_of_a_role_need_the_role(problems, text, role, table, needed):
    found = problems(text, {"ROAMNODE_ROLES": f'["{role}"]'})
    assert found == {table: f'needs the role "{needed}": add it to roles, or remove these partners'}


@pytest.mark.parametrize(
    "url", ["http://localhost:1/x", "http://127.0.0.9/", "http://[::1]:8089/", "https://ie.example/"]
)
def test_plain_http_is_fine_on_this_machine(load, text, url):
    assert load(text, {"ROAMNODE_SOURCES__0__URL": url}).sources[0].url == url


def test_plain_http_beyond_this_machine_must_be_allowed_explicitly(load, text):
    environ = {"ROAMNODE_SOURCES__0__URL": "http://ie.example/", "ROAMNODE_ALLOW_PLAIN_HTTP": "true"}
    assert load(text, environ).allow_plain_http


def test_ports_differ_unless_they_are_free_ones(load, problems, text):
    assert problems(text, {"ROAMNODE_OCPP__PORT": "8089"}) == {"ocpp.port": "must differ from http.port (got 8089)"}
    environ = {"ROAMNODE_HTTP__PEERS_PORT": "9000"}
    assert problems(text, environ) == {"ocpp.port": "must differ from http.peers_port (got 9000)"}
    free = {f"ROAMNODE_{key}": "0" for key in ("HTTP__PORT", "HTTP__PEERS_PORT", "OCPP__PORT")}
    assert load(text, free).http.peers_port == 0


# -- secrets stay secret -----------------------------------------------------------------------------------------------


def test_secrets_are_masked_wherever_a_configuration_is_shown(load, text):
    config = load(text.replace("password-of-CS01-0123", SECRET))
    shown = [repr(config), str(config), config.model_dump_json(), repr(config.source_entries(lambda: b"8 bytes."))]
    assert not any(
        secret in each for each in shown for secret in (SECRET, "report-to-ie-001!", "token-of-the-app-1234")
    )


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("APPS", f'[{{"name": "app", "token": "{SECRET}"'),
        ("APPS", f'[{{"name": "app", "tokn": "{SECRET}", "users": ["*"]}}]'),
        ("STATIONS__0", SECRET),
        ("STATIONS__0__PASSWORD", f'["{SECRET}"]'),
        ("STATIONS__0__PASSWORD__X", SECRET),
        ("APPS__0__TOKEN", f"{SECRET} with spaces"),
    ],
)
def test_no_secret_is_shown_in_a_problem(load, text, variable, value):
    with pytest.raises(ConfigError) as raised:
        load(text, {f"ROAMNODE_{variable}": value})
    assert SECRET not in str(raised.value)
    assert SECRET not in str(raised.value.__context__)


def test_sample_secrets_are_refused_where_others_can_reach_the_node(load, problems, text):
    sample = text.replace("password-of-CS01-0123", "sample-password-of-CS01")
    assert [key for key, _ in load(sample).warnings()] == ["stations.0.password"]
    for variable, value in (("OCPP__HOST", "0.0.0.0"), ("HTTP__PUBLIC_URL", "https://nl.example")):
        found = problems(sample, {f"ROAMNODE_{variable}": value})
        assert found == {"stations.0.password": "is a secret of the published examples: make one of your own"}


# -- warnings ----------------------------------------------------------------------------------------------------------


def test_a_sound_configuration_has_no_warnings(load, text):
    for url in ("us@localhost/roam", "us@/roam?host=/run/postgresql", "us@db.example/roam?sslmode=verify-full"):
        assert load(text, {"ROAMNODE_DATABASE_URL": f"postgresql+psycopg://{url}"}).warnings() == []
    assert load(text).warnings() == []


@pytest.mark.parametrize(
    ("variable", "value", "key"),
    [
        ("DESTINATIONS", "[]", "destinations"),
        ("SOURCES", "[]", "sources"),
        ("STATIONS", "[]", "stations"),
        ("APPS__0__USERS", '["ana"]', "apps.0.users.0"),
        ("HTTP__HOST", "0.0.0.0", "http.host"),
        ("OCPP__HOST", "::", "ocpp.host"),
        ("DATABASE_URL", "postgresql+psycopg://us@db.example/roam?sslmode=require", "database_url"),
    ],
)
def test_what_is_odd_is_a_warning_and_no_problem(load, text, variable, value, key):
    assert [warning.key for warning in load(text, {f"ROAMNODE_{variable}": value}).warnings()] == [key]


def test_what_an_absent_role_would_use_is_a_warning(load, text):
    config = load(text, {"ROAMNODE_ROLES": '["source"]', "ROAMNODE_SOURCES": "[]"})
    assert [warning.key for warning in config.warnings()] == ["stations", "parking"]


# -- anything at all ---------------------------------------------------------------------------------------------------

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.datetimes()
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*Config.model_fields, "x"]), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*Config.model_fields, "x"]), ANYTHING, max_size=6))
def test_nonsense_gives_problems_and_nothing_else(values):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(config_module, "_file_values", lambda path: values)
        try:
            load_config(None, {})
        except ConfigError as error:
            assert all(problem.key and problem.reason for problem in error.problems)
