"""The tables, their migrations, and the settings without which a commit would not be durable."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, column, create_engine, insert, table

from actors.journal import open_journal
from actors.ledger import Ledger
from actors.migrations import migrate, newest_step, step_of
from actors.migrations.upgrade import configuration
from actors.records import StoreError, StoreUnavailable
from actors.rows import instant, micros, seal, transaction_row
from actors.store import Store
from actors.tables import metadata
from tests.contracts.samples import StoppedClock, after, append, view
from tests.support import fresh_tables


def differences(connection: Connection) -> list[object]:
    migrate(connection)
    return compare_metadata(MigrationContext.configure(connection), metadata)


def test_the_migrations_make_exactly_the_tables_that_the_code_uses() -> None:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        assert differences(connection) == []
    engine.dispose()


def test_the_newest_step_is_the_last_one_that_alembic_would_take() -> None:
    assert newest_step() == ScriptDirectory.from_config(configuration()).get_current_head()


def test_a_database_is_at_the_step_where_alembic_sees_it() -> None:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        assert step_of(connection) is None
        assert migrate(connection) == (None, newest_step())
        assert step_of(connection) == MigrationContext.configure(connection).get_current_revision() == newest_step()
        assert migrate(connection) == (newest_step(), newest_step())
    engine.dispose()


def test_the_tables_of_the_tests_are_those_that_the_migrations_make() -> None:
    made: list[set[str]] = []
    for way in (migrate, fresh_tables.migrate):
        engine = create_engine("sqlite://")
        with engine.begin() as connection:
            assert way(connection) == (None, newest_step())
            assert way(connection) == (newest_step(), newest_step())
            made.append(set(connection.connection.driver_connection.iterdump()))  # type: ignore[union-attr]
        engine.dispose()
    assert made[0] == made[1]


async def test_migrating_works_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("actors.store.migrate", migrate)
    async with open_journal("sqlite:///here.db", clock=StoppedClock()) as journal:
        await journal.append(append())
    assert (tmp_path / "here.db").exists()


async def test_a_database_of_a_newer_release_is_refused_in_words_for_people(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/journal.db", clock=StoppedClock())
    await store.migrate()
    await store.write(lambda connection: connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="written by another release"):
        await store.migrate()
    await store.aclose()


@pytest.mark.parametrize("content", [None, b"this is no database at all, only a text file"])
async def test_where_there_can_be_no_database_the_cause_is_said(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "journal.db" if content else tmp_path / "missing" / "journal.db"
    if content:
        path.write_bytes(content * 100)
    with pytest.raises(StoreUnavailable, match=r"unable to open|not a database"):
        async with open_journal(f"sqlite:///{path}", clock=StoppedClock()):
            pass


async def test_every_connection_is_set_to_be_durable(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/journal.db", clock=StoppedClock())
    await store.migrate()

    def settings(connection: Connection) -> tuple[object, ...]:
        pragmas = ("journal_mode", "synchronous", "query_only")
        return tuple(connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() for pragma in pragmas)

    full = 2
    assert await store.write(settings) == ("wal", full, 0)
    assert await store.read(settings) == ("wal", full, 1)
    await store.aclose()


async def test_a_reader_keeps_its_snapshot_while_the_writer_commits(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/journal.db", clock=StoppedClock())
    await store.migrate()
    count = "SELECT count(*) FROM aliases"
    with store.database.reader.connect() as reading:
        assert reading.exec_driver_sql(count).scalar() == 0
        await store.write(lambda writing: writing.exec_driver_sql("INSERT INTO aliases VALUES ('s', 'n', 't', x'00')"))
        assert reading.exec_driver_sql(count).scalar() == 0
    assert await store.read(lambda reading: reading.exec_driver_sql(count).scalar()) == 1
    await store.aclose()


@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_times_survive_and_sort_as_microseconds(one: datetime, other: datetime) -> None:
    assert instant(micros(one)) == one
    assert (micros(one) < micros(other)) == (one < other)
    assert micros(one + timedelta(microseconds=1)) == micros(one) + 1


SEALED_BEFORE_0012 = (
    *("stream", "role", "state", "final", "peer", "user", "local_service", "authorization_identifier", "created_at"),
    *("changed_at", "document"),
)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
async def test_transactions_from_before_they_could_be_searched_for_are_found(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: str
) -> None:
    monkeypatch.setattr(import_module("actors.migrations.versions.0012_searches"), "AT_ONCE", 2)
    url = f"sqlite:///{tmp_path}/old.db" if database == "sqlite" else request.getfixturevalue("postgres_url")
    store = Store(url, clock=StoppedClock())

    def write_as_before(connection: Connection) -> None:
        for step, target in ((command.upgrade, "head"), (command.downgrade, "0011")):
            step(configuration(connection), target)
        for number in range(1, 6):
            shown = view(number, connector_identifier="2", flags=("silent", "estimated"))
            row = {name: transaction_row(f"source/{number}", shown, True)[name] for name in SEALED_BEFORE_0012}
            row["checksum"] = seal(b"", *row.values()) if number != 3 else b"altered"
            connection.execute(insert(old_transactions).values(row))

    old_transactions = table("transactions", *(column(name) for name in (*SEALED_BEFORE_0012, "checksum")))
    with store.database.writer.begin() as connection:
        write_as_before(connection)
    await store.aclose()
    async with open_journal(url, clock=StoppedClock()) as journal:
        (damaged,) = await journal.check()
        assert damaged.stream == "transactions/source/3"
        ledger = Ledger(journal.store)
        for search in ({"flag": "estimated"}, {"station": "EVSE-1", "connector": "2"}):
            found = await ledger.transactions(limit=9, since=after(4), **search)  # type: ignore[arg-type]
            assert [each.transaction_id for each in found.items] == ["5", "4"]


PARTS = st.lists(st.none() | st.integers(-(2**63), 2**63 - 1) | st.text() | st.binary(), max_size=4)


@given(PARTS, PARTS)
def test_seals_are_equal_only_for_equal_parts(one: list[object], other: list[object]) -> None:
    assert (seal(*one) == seal(*other)) == (one == other)
    assert seal("ab", "c") != seal("a", "bc")
    assert seal(1) != seal("1") != seal(b"1")
