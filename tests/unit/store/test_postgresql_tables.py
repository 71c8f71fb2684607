"""PostgreSQL holds what SQLite holds: the same tables, every text that may come, in the same order."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, select, text

from actors import postgresql, tables
from actors.journal import open_journal
from actors.postgresql import PostgresDatabase, escaped, unescaped
from actors.records import Alias, StoreError
from actors.store import Store
from tests.contracts.samples import StoppedClock, append
from tests.support.postgresql import Server

TEXTS = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\x00\x01\x02"))


@pytest.fixture
def connection(postgres_url: str) -> Iterator[Connection]:
    database = PostgresDatabase(postgres_url)
    with database.writer.connect() as connection:
        yield connection
    database.writer.dispose()


@given(TEXTS, TEXTS)
def test_escaping_loses_nothing_leaves_no_nul_and_keeps_the_order(one: str, other: str) -> None:
    assert unescaped(escaped(one)) == one
    assert "\x00" not in escaped(one)
    assert (one.encode() < other.encode()) == (escaped(one).encode() < escaped(other).encode())


async def test_the_migrations_make_exactly_the_tables_that_the_code_uses(postgres_url: str) -> None:
    store = Store(postgres_url, clock=StoppedClock())
    await store.migrate()

    def differences(connection: Connection) -> list[object]:
        return compare_metadata(MigrationContext.configure(connection), [tables.metadata, postgresql.metadata])

    assert await store.read(differences) == []
    await store.aclose()


async def test_texts_sort_byte_by_byte_whatever_the_language_of_the_server(postgres_url: str) -> None:
    names = ["a", "B", "ä", "Z", "a b", "ab", "a\x00", "a\x01", "\N{ELECTRIC PLUG}"]
    async with open_journal(postgres_url, clock=StoppedClock()) as journal:
        await journal.append(append(aliases=tuple(Alias(scope="s", name=name) for name in names)))
        found = await journal.store.read(
            lambda connection: connection.scalars(select(tables.aliases.c.name).order_by(tables.aliases.c.name)).all()
        )
    assert list(found) == sorted(names, key=str.encode)


def test_every_text_column_is_compared_byte_by_byte(connection: Connection) -> None:
    languages = text(
        "SELECT table_name, column_name FROM information_schema.columns WHERE data_type = 'text'"
        " AND table_schema = 'public' AND table_name <> 'alembic_version' AND collation_name IS DISTINCT FROM 'C'"
    )
    assert connection.execute(languages).all() == []


def test_a_commit_waits_for_the_disk_whatever_the_servers_default_is(
    postgres_server: Server, postgres_database: str, postgres_url: str
) -> None:
    postgres_server.sql(f"ALTER DATABASE {postgres_database} SET synchronous_commit = off")
    try:
        database = PostgresDatabase(postgres_url)
        with database.writer.connect() as connection:
            assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
        database.writer.dispose()
    finally:
        postgres_server.sql(f"ALTER DATABASE {postgres_database} RESET synchronous_commit")


async def test_a_reader_keeps_its_snapshot_and_cannot_write(postgres_url: str) -> None:
    count = "SELECT count(*) FROM aliases"
    async with open_journal(postgres_url, clock=StoppedClock()) as journal:
        with journal.store.database.reader.connect() as reading:
            assert reading.exec_driver_sql(count).scalar() == 0
            await journal.append(append(aliases=(Alias(scope="s", name="n"),)))
            assert reading.exec_driver_sql(count).scalar() == 0
        assert await journal.store.read(lambda reading: reading.exec_driver_sql(count).scalar()) == 1
        with pytest.raises(StoreError, match="read-only transaction"):
            await journal.store.read(lambda reading: reading.exec_driver_sql("DELETE FROM aliases"))


@pytest.mark.parametrize(
    ("options", "reason"),
    [("ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0", "is encoded in SQL_ASCII"), ("", "there is no schema")],
)
async def test_a_database_that_cannot_hold_a_journal_is_refused_in_words(
    postgres_server: Server, worker_id: str, options: str, reason: str
) -> None:
    name = f"unfit_{worker_id}_{len(options)}"
    postgres_server.sql(f"CREATE DATABASE {name} {options}")
    if not options:
        postgres_server.sql("DROP SCHEMA public", name)
    with pytest.raises(StoreError, match=reason):
        async with open_journal(postgres_server.url(name), clock=StoppedClock()):
            pass


async def test_two_schemas_of_one_database_are_two_stores(postgres_server: Server, postgres_url: str) -> None:
    database = postgres_url.partition("?")[0].rpartition("/")[2]
    postgres_server.sql("DROP SCHEMA IF EXISTS other CASCADE", database)
    postgres_server.sql("CREATE SCHEMA other", database)
    other = postgres_url + "&options=-csearch_path%3Dother"
    async with (
        open_journal(postgres_url, clock=StoppedClock()) as ours,
        open_journal(other, clock=StoppedClock()) as theirs,
    ):
        await ours.append(append("source/1", 0, "ours"))
        assert await theirs.load("source/1") == ()
    postgres_server.sql("DROP SCHEMA other CASCADE", database)
