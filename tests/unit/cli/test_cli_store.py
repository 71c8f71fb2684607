"""What an operator says about the store, to the real program: `migrate`, `check-journal`, `backup`, `copy`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from node import Starter
from protocols.cli.commands import main
from protocols.cli.folders import alone_in

CONFIG = """
pms_identifier = "IE-001"
roles = ["destination"]
data_dir = "{folder}/data"
{database}
"""


class Operator:
    """At a terminal: `says` gives the exit status and what was said."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys
        self.journal = folder / "data" / "journal.db"

    def writes_config(self, database: str = "") -> None:
        (self.folder / "node.toml").write_text(CONFIG.format(folder=self.folder, database=database))

    def says(self, *words: str, config: bool = True) -> tuple[int, str]:
        arguments = [*words, *(["--config", str(self.folder / "node.toml")] if config else [])]
        status = main(Starter(), arguments)
        said = self._capsys.readouterr()
        assert "Traceback" not in said.err
        return status, said.out + said.err


@pytest.fixture(params=["sqlite", "postgresql"])
def operator(request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Operator]:
    operator = Operator(tmp_path, capsys)
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else None
    operator.writes_config(f'database_url = "{url}"' if url else "")
    yield operator


@pytest.fixture
def at_home(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Operator:
    """On SQLite, as by default."""
    operator = Operator(tmp_path, capsys)
    operator.writes_config()
    return operator


def test_the_tables_are_made_and_then_there_is_nothing_to_do(at_home: Operator) -> None:
    status, said = at_home.says("migrate", "--check")
    assert (status, said.startswith("node.py: the store has no tables, and this release needs those of step 0")) == (
        1,
        True,
    )
    assert at_home.says("check-journal") == (1, f"node.py: there is no journal at {at_home.journal}\n")
    status, said = at_home.says("migrate")
    assert (status, said.startswith("the store had no tables, and has those of step 0")) == (0, True)
    for words in (["migrate"], ["migrate", "--check"]):
        status, said = at_home.says(*words)
        assert (status, said.endswith("there is nothing to do\n")) == (0, True)


def test_a_journal_is_checked_and_backed_up_wherever_it_is(operator: Operator) -> None:
    operator.says("migrate")
    assert operator.says("check-journal") == (0, "the journal is as it was written\n")
    backup = operator.folder / "backup.db"
    status, said = operator.says("backup", "--to", str(backup))
    assert (status, said.startswith(f"wrote {backup} and backup.db.head: 0 rows in")) == (0, True)
    assert operator.says("backup", "--to", str(backup)) == (1, f"node.py: {backup} exists already: name a new file\n")


def test_a_store_is_copied_to_a_server_and_back(at_home: Operator, postgres_url: str) -> None:
    at_home.says("migrate")
    status, said = at_home.says("copy", "--from", f"sqlite:///{at_home.journal}", "--to", postgres_url, config=False)
    assert (status, "copied 0 rows in" in said) == (0, True)
    copy = at_home.folder / "copy.db"
    status, said = at_home.says("copy", "--from", postgres_url, "--to", f"sqlite:///{copy}", config=False)
    assert (status, copy.is_file()) == (0, True)


def test_a_copy_into_a_folder_that_is_not_there_is_refused(at_home: Operator) -> None:
    at_home.says("migrate")
    missing = at_home.folder / "mistyped"
    copying = ["copy", "--from", f"sqlite:///{at_home.journal}", "--to", f"sqlite:///{missing}/copy.db"]
    status, said = at_home.says(*copying, config=False)
    assert (status, said.startswith(f"node.py: there is no folder {missing}")) == (1, True)
    assert not missing.exists()


def test_while_a_node_runs_its_store_is_neither_migrated_nor_copied(at_home: Operator) -> None:
    at_home.says("migrate")
    copying = ["copy", "--from", f"sqlite:///{at_home.journal}", "--to", f"sqlite:///{at_home.folder}/copy.db"]
    with alone_in(at_home.journal.parent, "taken"):
        for words, config in ((["migrate"], True), (copying, False)):
            status, said = at_home.says(*words, config=config)
            assert (status, said) == (1, f"node.py: data_dir: another node runs on {at_home.journal.parent}\n")
    assert at_home.says(*copying, config=False)[0] == 0


def test_a_server_that_is_not_there_is_named_without_its_password(at_home: Operator) -> None:
    at_home.writes_config('database_url = "postgresql+psycopg://node:geheim@127.0.0.1:1/roam"')
    for words in (["migrate"], ["check-journal"], ["backup", "--to", "b.db"]):
        status, said = at_home.says(*words)
        assert status == 1
        assert "Connection refused" in said
        assert "geheim" not in said


@pytest.mark.parametrize("url", ["mysql://x:geheim@y/z", "postgres", "sqlite://"])
def test_a_store_that_we_do_not_know_is_refused_in_words(at_home: Operator, url: str) -> None:
    status, said = at_home.says("copy", "--from", url, "--to", f"sqlite:///{at_home.folder}/copy.db", config=False)
    assert (status, "geheim" in said) == (1, False)
    assert "a database is named" in said or "there is nothing to copy" in said
