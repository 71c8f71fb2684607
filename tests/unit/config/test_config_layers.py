"""Where a value comes from: the environment, else the file, else the default."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.cli.config import ConfigError, load_config
from protocols.cli.config_environment import overlaid
from statecharts.vocabulary import EnergyUnit

HTTP = '\n[http]\nport = 8111\nhost = "localhost"\n'


def test_the_environment_wins_over_the_file_and_the_file_over_defaults(load, text):
    config = load(text + HTTP, {"ROAMNODE_HTTP__PORT": "8222"})
    assert (config.http.port, config.http.host, config.http.connections_max) == (8222, "localhost", 1000)


def test_the_environment_alone_is_enough():
    environ = {"ROAMNODE_PMS_IDENTIFIER": "NL-MOT", "ROAMNODE_ROLES": '["source"]', "ROAMNODE_ENERGY_UNIT": "kWh"}
    config = load_config(None, environ)
    assert (config.pms_identifier, config.roles, config.energy_unit) == ("NL-MOT", ("source",), EnergyUnit.KWH)


def test_a_variable_reaches_into_a_row(load, text):
    config = load(text, {"ROAMNODE_STATIONS__1__PASSWORD": "out-of-the-environment"})
    assert [s.password.get_secret_value() for s in config.stations] == [
        "password-of-CS01-0123",
        "out-of-the-environment",
    ]


def test_rows_may_be_made_by_variables_in_any_order(load, text):
    rows = [{"identifier": f"user-{number}", "status": "blocked"} for number in range(12)]
    environ = {f"ROAMNODE_USERS__{n}__{k.upper()}": v for n, row in enumerate(rows) for k, v in row.items()}
    config = load(text, dict(reversed(environ.items())))
    assert [user.identifier for user in config.users] == [row["identifier"] for row in rows]


def test_a_whole_table_as_json_comes_before_the_keys_in_it(load, text):
    config = load(text, {"ROAMNODE_LOG__LEVEL": "debug", "ROAMNODE_LOG": '{"format": "json", "level": "error"}'})
    assert (config.log.format, config.log.level) == ("json", "debug")


def test_other_variables_are_none_of_our_business(load, text):
    assert load(text, {"HTTP__PORT": "1", "PATH": "/bin", "roamnode_http__port": "1"}).http.port == 8089


def test_the_environment_of_the_process_is_not_read_behind_our_back(load, text, monkeypatch):
    monkeypatch.setitem(os.environ, "ROAMNODE_HTTP__PORT", "8333")
    monkeypatch.setitem(os.environ, "PMS_IDENTIFIER", "XX-000")
    config = load(text)
    assert (config.http.port, config.pms_identifier) == (8089, "NL-MOT")


@pytest.mark.parametrize("variable", ["ROAMNODE_STATIONS__3__IDENTITY", "ROAMNODE_STATIONS__FIRST__IDENTITY"])
def test_a_row_that_cannot_be_there_is_named_with_its_variable(problems, text, variable):
    ((key, reason),) = problems(text, {variable: "CS04"}).items()
    assert key == variable.removeprefix("ROAMNODE_").lower().replace("__", ".")
    assert reason == f"no such row: rows are numbered from 0, and the next would be 2 (in the environment, {variable})"


def test_an_unknown_variable_is_an_unknown_key(problems, text):
    environ = {"ROAMNODE_HTTP__PROT": "1", "ROAMNODE_HTPP__PORT": "1", "ROAMNODE__ENV_FILE": "x", "ROAMNODE_": "x"}
    assert problems(text, environ) == {
        "http.prot": "unknown key; did you mean port?",
        "htpp": "unknown key; did you mean http?",
        "_env_file": "unknown key",
        "": "unknown key",
    }


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError) as raised:
        load_config(tmp_path / "absent.toml", {})
    assert raised.value.problems == [(str(tmp_path / "absent.toml"), "no such file")]
    assert str(raised.value) == f"{tmp_path}/absent.toml: no such file"


@pytest.mark.parametrize("content", [b'roles = ["source"', b"a = 1\na = 2", b"\xff\xfe", b"[http\n"])
def test_a_file_that_is_not_toml_is_named(tmp_path: Path, content: bytes):
    file = tmp_path / "node.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as raised:
        load_config(file, {})
    ((key, reason),) = raised.value.problems
    assert key == str(file)
    assert reason.startswith("is not TOML: ")


def test_loading_writes_nothing(load, text, tmp_path):
    load(f'data_dir = "{tmp_path}/deep/data"\n{text}')
    assert [path.name for path in tmp_path.iterdir()] == ["node.toml"]


KEYS = st.from_regex(r"[a-z]{1,6}(_[a-z]{1,3})?", fullmatch=True)
VALUES = st.recursive(
    st.text(max_size=8).filter(lambda text: not text.lstrip().startswith(("[", "{"))),
    lambda inner: st.dictionaries(KEYS, inner, min_size=1, max_size=3) | st.lists(inner, min_size=1, max_size=3),
    max_leaves=12,
)


def variables(prefix: str, value: object) -> dict[str, str]:
    """The variables that spell out a value, key by key and row by row."""
    if isinstance(value, str):
        return {prefix: value}
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return {n: v for key, inner in items for n, v in variables(f"{prefix}__{str(key).upper()}", inner).items()}


@given(st.dictionaries(KEYS, VALUES, max_size=4), st.randoms(use_true_random=False))
def test_whatever_a_file_can_say_variables_can_say(values, random):
    spelt = [item for key, value in values.items() for item in variables(f"ROAMNODE_{key.upper()}", value).items()]
    random.shuffle(spelt)
    assert overlaid({}, dict(spelt)) == (values, [])


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_laying_values_over_themselves_changes_nothing(values):
    environ = {f"ROAMNODE_{key.upper()}": v if isinstance(v, str) else json.dumps(v) for key, v in values.items()}
    assert overlaid(values, environ) == (values, [])
