"""The examples are right, complete and explained; the table of keys knows every key."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from actors.directory import Peers
from protocols.cli.config import Config, document, load_config
from protocols.cli.config_checks import SAMPLE_SALT
from protocols.cli.config_sections import Role
from protocols.cli.config_types import table_in
from statecharts.charging import ChargingDeadlines
from statecharts.credentials import secret_matches
from statecharts.source_events import SourceDeadlines

EXAMPLES = Path(__file__).parents[3] / "examples"
ROLES = {
    "source.toml": [Role.SOURCE],
    "destination.toml": [Role.DESTINATION],
    "both.toml": [Role.SOURCE, Role.DESTINATION],
    "verify.toml": [Role.SOURCE, Role.DESTINATION],
}


def salt() -> bytes:
    return b"sixteen bytes of"


@pytest.mark.parametrize("name", ROLES)
def test_examples_load_and_warn_of_nothing_but_their_sample_secrets(name):
    config = load_config(EXAMPLES / name, {})
    assert list(config.roles) == ROLES[name]
    assert {warning.reason for warning in config.warnings()} == {
        "is a secret of the published examples: make one of your own"
    }


@pytest.mark.parametrize("name", ROLES)
def test_no_example_may_be_put_on_the_network_as_it_is(name):
    config = load_config(EXAMPLES / name, {})
    written = re.findall(r'(?:password|token) += +"(.*?)"', (EXAMPLES / name).read_text())
    hashes = (EXAMPLES / name).read_text().count(SAMPLE_SALT)
    assert len(written) + hashes == len(config.warnings())
    assert all(secret.startswith("sample-") for secret in written)


@pytest.mark.parametrize("name", ["source.toml", "destination.toml"])
def test_a_full_example_explains_every_key_of_its_role(name):
    """What belongs to the other role alone is left out, and nothing else; a key may stand in a comment."""
    other = {
        "source.toml": {
            *("ocpp", "authority", "destination_deadlines", "sources", "stations", "parking", "id_tags"),
            *("vendor_handlers", "vendor_id", "message_id", "handler"),
            *("quirks", "vendor", "model", "firmware", "id_tag_length", "id_tag_hex", "idle_close_s"),
            *("start_margin_s", "open_authorizations_per_user_max", "charges_per_card_max"),
        },
        "destination.toml": {
            *("source_deadlines", "destinations", "apps", "local_services_deadline_s"),
            *("valid_from", "valid_until", "allowed_operators"),
        },
    }[name]
    text = (EXAMPLES / name).read_text()
    absent = {key for key, word in keys(Config, other) if not re.search(rf"^(# )?\[*{word}\b", text, re.MULTILINE)}
    assert absent == set()


def keys(model, skipped):
    """Every key of a model, dotted and as its last word, without the tables and keys that are skipped."""
    for name, field in model.model_fields.items():
        if name in skipped:
            continue
        yield name, name
        table = table_in(field.annotation)
        if table is not None:
            yield from ((f"{name}.{key}", word) for key, word in keys(table, skipped))


def test_the_two_single_role_examples_speak_to_each_other():
    source, destination = (load_config(EXAMPLES / name, {}) for name in ("source.toml", "destination.toml"))
    (to_destination,), (to_source,) = source.destination_entries(salt), destination.source_entries(salt)
    at_source, at_destination = Peers([to_destination]), Peers([to_source])
    assert at_destination.authenticate(to_destination.username, to_destination.password.encode()) == "NL-MOT"
    assert at_source.authenticate(to_source.username, to_source.password.encode()) == "IE-001"
    assert f":{destination.http.port}/services/mobiEuropeDestinationService" in to_destination.url
    assert f":{source.http.port}/services/mobiEuropeSourceService" in to_source.url


def test_a_node_can_roam_with_itself():
    config = load_config(EXAMPLES / "both.toml", {})
    (as_source,), (as_destination,) = config.destination_entries(salt), config.source_entries(salt)
    own = config.pms_identifier
    assert (as_source.pms_identifier, as_destination.pms_identifier) == (own, own)
    at_source, at_destination = Peers([as_source]), Peers([as_destination])
    assert at_destination.authenticate(as_source.username, as_source.password.encode()) == own
    assert at_source.authenticate(as_destination.username, as_destination.password.encode()) == own
    assert at_destination.authenticate(as_destination.username, as_destination.password.encode()) is None


def test_the_example_to_verify_has_what_the_commands_beside_it_name():
    """The commands themselves run in a long run of tests/live/test_verify_live.py."""
    page = (EXAMPLES.parent / "docs" / "verify.md").read_text()
    commands = page.partition("## Try it at home")[2].partition("\n## ")[0]
    config = tomllib.loads((EXAMPLES / "verify.toml").read_text())
    (station,), (app,), (user,) = config["stations"], config["apps"], config["users"]
    for partner in (*config["sources"], *config["destinations"]):
        assert f"--own-url {partner['url']} --own-pms {partner['pms_identifier']} " in commands
        assert f"VERIFY_PASSWORD={partner['incoming_password']} " in commands
        assert f"VERIFY_INCOMING_PASSWORD={partner['password']}\n" in commands
    assert f"VERIFY_STATION_PASSWORD={station['password']} VERIFY_APP_TOKEN={app['token']}\n" in commands
    assert f"--service {station['identity']} " in commands and f"--user {user['identifier']} " in commands
    http, ocpp = config["http"]["port"], config["ocpp"]["port"]
    assert f"http://127.0.0.1:{http}/" in commands and f"ws://127.0.0.1:{ocpp}/ocpp" in commands


def test_the_hash_in_an_example_is_of_the_secret_beside_it():
    text = (EXAMPLES / "destination.toml").read_text()
    secret, hashed = re.search(r'# of "(.*?)".*\npassword_hash = "(.*?)"', text).groups()
    config = load_config(EXAMPLES / "destination.toml", {})
    plain = tomllib.loads(text)["stations"][0]["password"]
    assert config.stations[1].password_hash == hashed
    assert secret_matches(secret.encode(), hashed)
    assert not secret_matches(plain.encode(), hashed)


# -- deadlines ---------------------------------------------------------------------------------------------------------

MINIMAL = {"ROAMNODE_PMS_IDENTIFIER": "NL-MOT", "ROAMNODE_ROLES": '["destination"]'}


def test_deadlines_have_the_names_and_defaults_of_the_charts():
    config = load_config(None, MINIMAL)
    assert config.source_deadline_values() == SourceDeadlines()
    assert config.charging_deadlines(connection_timeout_s=120) == ChargingDeadlines()


def test_every_deadline_can_be_set():
    names = list(SourceDeadlines.__struct_fields__)
    environ = {f"ROAMNODE_SOURCE_DEADLINES__{n.upper()}": str(100 + i) for i, n in enumerate(names)}
    config = load_config(None, MINIMAL | environ)
    assert list(msgspec.structs.astuple(config.source_deadline_values())) == [100 + i for i in range(len(names))]


def test_a_start_may_take_as_long_as_its_station_and_the_margin():
    config = load_config(None, MINIMAL | {"ROAMNODE_START_MARGIN_S": "7.5"})
    assert config.charging_deadlines(connection_timeout_s=60).start_s == 67.5


# -- the table of keys -------------------------------------------------------------------------------------------------


def test_every_key_is_in_the_table_with_its_meaning():
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in document().splitlines()[2:]]
    assert all(len(row) == 4 and row[3] not in ("", "None") for row in rows)
    listed = {row[0].strip("`").replace("[]", "") for row in rows}
    tables = {name for name, field in Config.model_fields.items() if str(field.default).startswith(f"{name}=")}
    known = {key for key, _ in keys(Config, set())}
    sections = {key.partition(".")[0] for key in known if "." in key} - listed
    assert listed == known - sections - tables


def test_defaults_in_the_table_are_what_a_node_gets():
    """Every default, read back as TOML, gives the same configuration as leaving the key out."""
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in document().splitlines()[2:]]
    defaults = {row[0].strip("`"): row[1].strip("`") for row in rows if row[1] not in ("", "required")}
    toml = "\n".join(f"{key} = {value}" for key, value in defaults.items() if "[]" not in key)
    config = load_config(None, MINIMAL)
    values = Config(pms_identifier="NL-MOT", **{"roles": ["destination"], **tomllib.loads(toml)})
    assert values == config
    assert len(toml.splitlines()) > 30


def test_units_stand_beside_quantities():
    rows = {row.split("`")[1]: row.split("|")[3].strip() for row in document().splitlines()[2:]}
    assert rows["delivery.parked_after_days"] == "days"
    assert rows["ocpp.call_timeout_s"] == "s"
    assert rows["http.port"] == ""
