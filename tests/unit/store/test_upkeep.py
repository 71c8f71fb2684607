"""A store is migrated, backed up and copied whole, to SQLite and to PostgreSQL and back, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from actors.journal import Journal, check_journal, open_journal
from actors.ledger import Ledger
from actors.migrations import newest_step
from actors.orphans import Orphans
from actors.outbox import Outbox
from actors.records import Alias, Orphan, StoreError
from actors.upkeep import Content, back_up, contents, copy, migrate_at, step_at
from tests.contracts.samples import NOON, StoppedClock, append, delivery, entry, execute, view
from tests.support.postgresql import Server

ODD = "\x00 \x01\x02 'ü' \N{ELECTRIC PLUG} \\ %s :x"


def quiet(_table: str, _done: int) -> None:
    pass


async def fill(url: str) -> None:
    """A store with rows in most tables, and numbers that were given to rows that are no more."""
    async with open_journal(url, clock=StoppedClock()) as journal:
        for number in range(30):
            stream, name = f"source/{number}", f"{number:012X}"
            await journal.append(
                append(
                    stream,
                    0,
                    *[f"{stream} {each}" for each in range(number % 5 + 1)],
                    deliveries=(delivery(f"m{number}", expires_at=NOON if number % 2 else None),),
                    aliases=(Alias(scope=ODD, name=name),),
                    ledger=(entry(f"IE-001/{name}"),),
                    view=view(number, transaction_id=str(number), user_identifier=ODD + str(number)),
                    orphans=(Orphan(station="CS01", kind="StopTransaction", at=NOON, body=b"\x00\xff"),),
                )
            )
        await journal.store.write(execute, "DELETE FROM orphans WHERE id > 5")


async def seen(url: str) -> dict[str, Content]:
    async with open_journal(url, clock=StoppedClock()) as journal:
        return await journal.store.read(contents)


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], str]:
    """URLs of files in this test's folder, by name."""
    return lambda name: f"sqlite:///{tmp_path}/{name}"


# -- copies ------------------------------------------------------------------------------------------------------------


async def test_there_and_back_again_everything_is_the_same(file: Callable[[str], str], postgres_url: str) -> None:
    await fill(file("a"))
    there = await trio.to_thread.run_sync(copy, file("a"), postgres_url, quiet)
    back = await trio.to_thread.run_sync(copy, postgres_url, file("b"), quiet)
    assert await seen(file("a")) == there == await seen(postgres_url) == back == await seen(file("b"))
    assert there["journal"].rows == there["journal"].number == 90
    assert (there["orphans"].rows, there["orphans"].number) == (5, 30)
    assert await check_journal(postgres_url, clock=StoppedClock()) == ()
    assert await check_journal(file("b"), clock=StoppedClock()) == ()


async def goes_on(journal: Journal) -> None:
    """Nothing is numbered anew, and all that was written is found."""
    stored = await journal.append(append("source/4", 5, "after", deliveries=(delivery("new"),)))
    assert stored.position == 91
    assert stored.deliveries[0].id == 31
    await journal.append(append("source/4", 6, orphans=(Orphan(station="CS01", kind="x", at=NOON, body=b""),)))
    assert (await Orphans(journal.store).page(limit=1)).items[0].id == 31
    assert await journal.find(ODD, f"{4:012X}") == "source/4"
    assert await Outbox(journal.store).peers_with_pending() == ("IE-001",)
    page = await Ledger(journal.store).transactions(users=[ODD + "7"], limit=9)
    assert [each.transaction_id for each in page.items] == ["7"]


async def test_a_copy_goes_on_where_its_source_ended(file: Callable[[str], str], postgres_url: str) -> None:
    await fill(file("a"))
    await trio.to_thread.run_sync(copy, file("a"), postgres_url, quiet)
    await trio.to_thread.run_sync(copy, postgres_url, file("b"), quiet)
    for url in (postgres_url, file("b")):
        async with open_journal(url, clock=StoppedClock()) as journal:
            await goes_on(journal)
            assert await journal.check() == ()


def files_of(folder: Path, name: str) -> list[Path]:
    return list(folder.glob(f"{name}*"))


class Interrupted(Exception):
    """Somebody pulls the plug."""


@pytest.mark.parametrize("table", ["aliases", "journal", "transactions"])
async def test_a_copy_that_is_interrupted_leaves_nothing_and_may_be_begun_again(
    file: Callable[[str], str], postgres_url: str, tmp_path: Path, table: str
) -> None:
    def interrupt(name: str, _done: int) -> None:
        if name == table:
            raise Interrupted

    await fill(file("a"))
    for target in (postgres_url, file("b")):
        with pytest.raises(Interrupted):
            await trio.to_thread.run_sync(copy, file("a"), target, interrupt)
    assert not files_of(tmp_path, "b")
    for target in (postgres_url, file("b")):
        assert (await trio.to_thread.run_sync(copy, file("a"), target, quiet))["journal"].rows == 90


async def test_a_target_that_holds_anything_is_refused_and_stays_as_it_was(
    file: Callable[[str], str], postgres_url: str
) -> None:
    await fill(file("a"))
    for url in (postgres_url, file("b")):
        async with open_journal(url, clock=StoppedClock()) as journal:
            await journal.append(append("source/theirs", 0))
        with pytest.raises(StoreError, match=r"is not empty: there are rows in journal|exists already"):
            await trio.to_thread.run_sync(copy, file("a"), url, quiet)
        assert (await seen(url))["journal"].rows == 1


async def test_a_server_on_which_a_node_runs_is_neither_source_nor_target(
    file: Callable[[str], str], postgres_url: str
) -> None:
    await fill(file("a"))
    async with open_journal(postgres_url, clock=StoppedClock()):
        for source, target in ((file("a"), postgres_url), (postgres_url, file("b"))):
            with pytest.raises(StoreError, match="another node runs on this database"):
                await trio.to_thread.run_sync(copy, source, target, quiet)


async def test_what_does_not_arrive_as_it_was_is_noticed_and_nothing_stays(
    file: Callable[[str], str], postgres_server: Server, postgres_url: str, postgres_database: str
) -> None:
    await fill(file("a"))
    await trio.to_thread.run_sync(migrate_at, postgres_url)
    postgres_server.sql(_FORGER, postgres_database)
    try:
        with pytest.raises(StoreError, match="does not give back what was written to it: aliases"):
            await trio.to_thread.run_sync(copy, file("a"), postgres_url, quiet)
    finally:
        postgres_server.sql("DROP FUNCTION forge CASCADE", postgres_database)
    assert (await seen(postgres_url))["aliases"].rows == 0


_FORGER = """
CREATE FUNCTION forge() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN IF NEW.stream = 'source/7' THEN NEW.stream := 'source/8'; END IF; RETURN NEW; END $$;
CREATE TRIGGER forge BEFORE INSERT ON aliases FOR EACH ROW EXECUTE FUNCTION forge()
"""


@pytest.mark.parametrize("url", ["mysql://x/y", "nonsense", "sqlite://", "postgresql+asyncpg://x/y"])
def test_only_databases_that_we_know_are_copied(url: str) -> None:
    with pytest.raises(StoreError, match=r"a database is named|there is nothing to copy"):
        copy(url, "sqlite:////tmp/never", quiet)


# -- backups -----------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/journal.db"
    return str(request.getfixturevalue("postgres_url"))


async def test_a_backup_beside_a_running_node_is_one_moment_of_it(store_url: str, tmp_path: Path) -> None:
    backup = tmp_path / "backup.db"

    async def actor(stream: str) -> None:
        for seq in range(40):
            await journal.append(append(stream, seq, "x" * 2_000, view=view(1, transaction_id=stream)))

    async with open_journal(store_url, clock=StoppedClock()) as journal:
        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(actor, f"source/{number}")
            await journal.append(append("source/begun"))
            written, findings = await trio.to_thread.run_sync(back_up, store_url, backup, quiet)
        assert findings == ()
    assert 1 <= written["journal"].rows <= written["journal"].number <= 801
    assert await seen(f"sqlite:///{backup}") == written
    assert await check_journal(f"sqlite:///{backup}", clock=StoppedClock()) == ()


async def test_a_backup_knows_where_its_journal_ends(store_url: str, tmp_path: Path) -> None:
    async with open_journal(store_url, clock=StoppedClock()) as journal:
        await journal.append(append("source/1", 0, "a", "b"))
        await trio.to_thread.run_sync(back_up, store_url, tmp_path / "backup.db", quiet)
    url = f"sqlite:///{tmp_path}/backup.db"
    async with open_journal(url, clock=StoppedClock()) as restored:
        assert len(await restored.load("source/1")) == 2
        await restored.store.write(execute, "DELETE FROM journal WHERE seq = 2")
    (finding,) = await check_journal(url, clock=StoppedClock())
    assert "cut off before position 2" in str(finding)


async def test_a_backup_of_what_was_damaged_is_made_and_says_so(store_url: str, tmp_path: Path) -> None:
    async with open_journal(store_url, clock=StoppedClock()) as journal:
        await journal.append(append(aliases=(Alias(scope="s", name="n"),)))
        await journal.store.write(execute, "UPDATE aliases SET stream = 'source/2'")
        backup = await trio.to_thread.run_sync(back_up, store_url, tmp_path / "backup.db", quiet)
    assert [each.stream for each in backup.findings] == ["aliases/s/n"]


async def test_a_backup_never_replaces_a_file(store_url: str, tmp_path: Path) -> None:
    await trio.to_thread.run_sync(migrate_at, store_url)
    (tmp_path / "precious").write_text("mine")
    with pytest.raises(StoreError, match="precious exists already"):
        await trio.to_thread.run_sync(back_up, store_url, tmp_path / "precious", quiet)
    with pytest.raises(StoreError, match="No such file"):
        await trio.to_thread.run_sync(back_up, store_url, tmp_path / "no" / "folder", quiet)
    assert (tmp_path / "precious").read_text() == "mine"


# -- steps -------------------------------------------------------------------------------------------------------------


async def test_the_tables_are_made_once_and_an_older_or_newer_store_is_neither_copied_nor_checked(
    store_url: str, tmp_path: Path
) -> None:
    assert (await trio.to_thread.run_sync(migrate_at, store_url))[1] == newest_step()
    assert step_at(store_url) == migrate_at(store_url) == (newest_step(), newest_step())
    async with open_journal(store_url, clock=StoppedClock()) as opened:
        await opened.store.write(execute, "UPDATE alembic_version SET version_num = '0001'")
        try:
            assert step_at(store_url) == ("0001", newest_step())
            with pytest.raises(StoreError, match="has the tables of step 0001, and this release needs"):
                await check_journal(store_url, clock=StoppedClock())
            with pytest.raises(StoreError, match="has the tables of step 0001, and this release needs"):
                await trio.to_thread.run_sync(back_up, store_url, tmp_path / "b.db", quiet)
        finally:
            await opened.store.write(execute, f"UPDATE alembic_version SET version_num = '{newest_step()}'")
