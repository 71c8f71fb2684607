"""`node.py ctl`: a command for every route of operators, bodies made of words, tables that people can read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from protocols.cli.config_environment import TOKEN, URL, overlaid
from protocols.cli.ctl_body import Shapes
from protocols.cli.ctl_client import Node
from protocols.cli.ctl_shown import Showing, relative
from protocols.cli.ctl_table import COMMANDS, PAGING, PREFIX, Column, Command, Gives, Shown, page
from protocols.cli.starter import Unreachable, WrongUse
from tests.contracts.samples import NOON
from tests.unit.rest.fakes import World


@pytest.fixture(scope="module")
def document() -> Any:
    async def ask() -> Any:
        response = await World().ask("GET", "/api/openapi.json", token=None)
        return msgspec.json.decode(await response.get_data())

    return trio.run(ask)


def operation_of(document: Any, command: Command) -> Any:
    return document["paths"][PREFIX + command.path][command.method.lower()]


def test_every_route_of_operators_has_a_command_and_every_command_a_route(document: Any) -> None:
    routes = {
        f"{method.upper()} {path}"
        for path, methods in document["paths"].items()
        for method in methods
        if path.startswith(PREFIX)
    }
    assert {command.route for command in COMMANDS} == routes


def test_no_two_commands_have_one_name() -> None:
    names = [(command.thing, command.verb) for command in COMMANDS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda each: f"{each.thing} {each.verb}")
def test_a_command_takes_what_its_route_takes_and_shows_what_it_gives(document: Any, command: Command) -> None:
    operation = operation_of(document, command)
    queries = [each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"]
    assert sorted(command.filters) == sorted(set(queries) - set(PAGING))
    media_types = [*operation.get("requestBody", {}).get("content", ())]
    assert media_types == ["application/json"] * command.reads + ["text/csv"] * command.uploads
    (good,) = [answer for status, answer in operation["responses"].items() if status.startswith("2")]
    assert (command.gives is Gives.NOTHING) == ("content" not in good)
    if command.columns and command.gives is not Gives.STREAM:
        (media,) = good["content"].values()
        schema = resolved(document, media["schema"])
        if command.gives is Gives.LIST:
            schema = resolved(document, schema["properties"]["items"]["items"])
        for column in command.columns:
            first, *rest = column.path.split(".")
            found = resolved(document, schema["properties"][first])
            assert not rest or "additionalProperties" in found or rest[0] in found["properties"], column.path


def resolved(document: Any, schema: Any) -> Any:
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def test_the_page_shows_every_command() -> None:
    assert all(f"`{command.route}`" in page() for command in COMMANDS)


# -- words -------------------------------------------------------------------------------------------------------------

COMMAND = ("POST", f"{PREFIX}/stations/{{identity}}/commands")
REGISTER = ("POST", f"{PREFIX}/stations")


@pytest.mark.parametrize(
    ("route", "given", "words", "body"),
    [
        (
            COMMAND,
            {"command": "ChangeConfiguration"},
            ["key=Beat", "value=300"],
            {"key": "Beat", "value": "300"},
        ),
        (COMMAND, {"command": "UnlockConnector"}, ["connector_id=2"], {"connector_id": 2}),
        (COMMAND, {"command": "GetConfiguration"}, ["keys[]=A", "keys[]=1"], {"keys": ["A", "1"]}),
        (COMMAND, {"command": "GetConfiguration"}, ['keys=["A"]'], {"keys": ["A"]}),
        (COMMAND, {"command": "Reset"}, ["kind=Soft", "forced=true"], {"kind": "Soft", "forced": True}),
        (COMMAND, {"command": "Reset"}, ["kind=a=b"], {"kind": "a=b"}),
        (COMMAND, {"command": "OfAnotherRelease"}, ["kind=1"], {"kind": "1"}),
        (
            REGISTER,
            {},
            ["identity=007", "location.latitude=52.5", "location.longitude=4"],
            {"identity": "007", "location": {"latitude": 52.5, "longitude": 4}},
        ),
    ],
)
def test_words_become_a_body_of_the_types_that_the_node_wants(
    document: Any, route: tuple[str, str], given: dict[str, str], words: list[str], body: Any
) -> None:
    assert Shapes(document).body(*route, given, words) == given | body


@pytest.mark.parametrize("words", [["nonsense"], ["=1"], ["connector_id=one"], ["connector_id=1.5"]])
def test_a_word_that_cannot_be_meant_is_wrong_use(document: Any, words: list[str]) -> None:
    with pytest.raises(WrongUse):
        Shapes(document).body(*COMMAND, {"command": "UnlockConnector"}, words)


# -- tables ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0 s ago"),
        (179, "179 s ago"),
        (180, "3 min ago"),
        (10_800, "3 h ago"),
        (-600, "in 10 min"),
        (10**6, "11 d ago"),
    ],
)
def test_times_are_told_as_they_pass(seconds: float, told: str) -> None:
    assert relative(NOON - timedelta(seconds=seconds), NOON) == told


def test_a_table_leaves_out_what_nobody_has_and_keeps_words_whole(capsys: pytest.CaptureFixture[str]) -> None:
    items = [
        {"id": 7, "at": "2025-03-01T11:50:00Z", "energy_wh": 12_345, "flags": ["a", "b"], "online": True, "none": None},
        {"id": 10, "energy_wh": 5, "flags": [], "online": False},
    ]
    columns = (
        Column("id", "id", Shown.NUMBER), Column("at", "at", Shown.TIME), Column("energy", "energy_wh", Shown.ENERGY),
        Column("flags", "flags"), Column("online", "online"), Column("none", "none"), Column("far", "a.b.c"),
    )  # fmt: skip
    Showing(NOON).items(items, columns)
    head, first, second = (line.split() for line in capsys.readouterr().out.splitlines())
    assert head == ["id", "at", "energy", "flags", "online"]
    assert first == ["7", "10", "min", "ago", "12.345", "kWh", "a,", "b", "yes"]
    assert second == ["10", "0.005", "kWh", "no"]


def test_a_document_is_shown_value_by_value_whatever_it_holds(capsys: pytest.CaptureFixture[str]) -> None:
    Showing(NOON).one({"a": {"until": "2025-03-01T12:00:40Z"}, "list": [{"b": 1}, {"b": 2}], "texts": ["[x]"], "e": {}})
    told = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert [[name, value.strip()] for name, value in told] == [
        ["a.until", "in 40 s"], ["list.0.b", "1"], ["list.1.b", "2"], ["texts", "[x]"],
    ]  # fmt: skip


def test_in_a_narrow_terminal_a_table_folds_and_loses_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    showing = Showing(NOON)
    monkeypatch.setattr(showing._console, "width", 24)
    showing.items([{"one": "A" * 20, "two": "B" * 20}], (Column("one", "one"), Column("two", "two")))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 24
    assert "".join(lines).count("A") == "".join(lines).count("B") == 20


# -- whom to ask -------------------------------------------------------------------------------------------------------


def test_without_a_token_or_with_a_url_that_is_none_nobody_is_asked(cli: Any, tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.delenv(TOKEN, raising=False)
    assert cli.call("ctl", "peers", "list") == 2
    assert cli.err == [f"node.py: an operator's token is needed: --token-file, {TOKEN}, or a --config with one"]
    assert cli.call("ctl", "--token-file", tmp_path / "none", "peers", "list") == 2
    monkeypatch.setenv(TOKEN, "t" * 20)
    assert cli.call("ctl", "--url", "localhost", "peers", "list") == 2
    assert cli.call("ctl", "--url", "http://127.0.0.1:1", "peers", "list") == 3
    assert len(cli.err) == 1 and "does not answer" in cli.err[0]


# -- files -------------------------------------------------------------------------------------------------------------


def pieces(*content: bytes, cut: bool = False) -> Any:
    def file(_self: Node, path: str, query: dict[str, str]) -> Iterator[bytes]:
        assert (path, query) == (f"{PREFIX}/cdrs/export", {"format": "json"})
        yield from content
        if cut:
            raise Unreachable("it does not answer any more")

    return file


EXPORT = ("ctl", "cdrs", "export", "--format", "json")


def test_a_file_goes_to_stdout_or_where_it_is_wanted(cli: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv(TOKEN, "t" * 20)
    monkeypatch.setattr(Node, "file", pieces(b"[1,\n", b"2]\n"))
    assert cli.call(*EXPORT) == 0
    assert cli.out == ["[1,", "2]"]
    kept = tmp_path / "may.json"
    assert cli.call(*EXPORT, "--to", kept) == 0
    assert (cli.out, kept.read_bytes(), [*tmp_path.iterdir()]) == ([], b"[1,\n2]\n", [kept])
    assert cli.call(*EXPORT, "--to", tmp_path / "none" / "may.json") == 2
    assert cli.err == [f"node.py: {tmp_path}/none/may.json cannot be written: No such file or directory"]


def test_a_file_that_was_cut_short_is_not_there_and_the_one_before_it_still_is(
    cli: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv(TOKEN, "t" * 20)
    monkeypatch.setattr(Node, "file", pieces(b"[1,", cut=True))
    kept = tmp_path / "may.json"
    kept.write_text("before")
    assert cli.call(*EXPORT, "--to", kept) == 3
    assert (kept.read_text(), [*tmp_path.iterdir()]) == ("before", [kept])


def test_what_ctl_reads_of_the_environment_is_no_key_of_a_configuration() -> None:
    assert overlaid({}, {TOKEN: "x", URL: "y"}) == ({}, [])
