"""What every store finds when transactions are searched for: what a look at each of them finds, each once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from random import Random
from typing import Any

import msgspec
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select

from actors import tables
from actors.journal import Journal, open_journal
from actors.ledger import Ledger
from actors.records import Append, Appended
from actors.rows import Row, raw, transaction_row
from actors.store import run_inline
from statecharts.ports import TransactionView
from statecharts.promises import Promise
from statecharts.searches import TransactionSearch
from tests.contracts.samples import StoppedClock, after, append, view
from tests.support.promises import kept

STATES = ("Ready", "TxRunning", "Settled")
FLAGS = ("estimated", "energy-absurd", "silent", "energy_absurd")

VALUES: dict[str, tuple[Any, ...]] = {
    "role": ("source", "local"),
    "state": STATES,
    "users": (("anna",), ("bert", "carl"), ()),
    "station": ("CS01", "CS0_"),
    "connector": ("1", "2"),
    "partner": ("IE-001", "FR-002"),
    "authorization_identifier": ("A1", "A2"),
    "since": (after(0), after(5), after(5.5)),
    "until": (after(5), after(5.5), after(99)),
    "open": (True, False),
    "flagged": (True, False),
    "flag": FLAGS,
}
SEARCHES = st.fixed_dictionaries({}, optional={name: st.sampled_from(each) for name, each in VALUES.items()})

OF_VIEW: dict[str, Callable[[TransactionView, Any], bool]] = {
    "role": lambda view, role: view.role == role,
    "state": lambda view, state: view.state == state,
    "users": lambda view, users: view.user_identifier in users,
    "station": lambda view, station: view.local_service_identifier == station,
    "connector": lambda view, connector: view.connector_identifier == connector,
    "partner": lambda view, partner: view.pms_identifier == partner,
    "authorization_identifier": lambda view, identifier: view.authorization_identifier == identifier,
    "since": lambda view, since: view.created_at >= since,
    "until": lambda view, until: view.created_at < until,
    "open": lambda view, is_open: (view.state != "Settled") == is_open,
    "flagged": lambda view, flagged: bool(view.flags) == flagged,
    "flag": lambda view, flag: flag in view.flags,
}


def wanted(views: list[TransactionView], search: TransactionSearch) -> list[TransactionView]:
    """The same search as one reads it, with a look at every transaction."""
    found = [each for each in views if all(OF_VIEW[name](each, value) for name, value in search.items())]
    return sorted(found, key=lambda each: (each.created_at, f"{each.role}/{each.transaction_id}"), reverse=True)


def any_view(chance: Random, number: int) -> TransactionView:
    """A transaction with something of everything that is searched for, several begun at the same moment."""
    return view(
        number,
        chance.choice(["source", "destination", "local"]),
        state=chance.choice(STATES),
        created_at=after(chance.randrange(10)),
        user_identifier=chance.choice(["anna", "bert", "carl"]),
        local_service_identifier=chance.choice(["CS01", "CS02", "CS0_"]),
        connector_identifier=chance.choice([None, "1", "2"]),
        pms_identifier=chance.choice([None, "IE-001", "FR-002"]),
        authorization_identifier=chance.choice([None, "A1", "A2", "a1"]),
        flags=tuple(chance.sample(FLAGS, chance.choice([0, 0, 1, 2]))),
    )


def appended(shown: TransactionView) -> Append:
    stream = f"{shown.role}/{shown.transaction_id}"
    return append(stream, view=shown, final=shown.state == "Settled")


async def filled(journal: Journal, count: int, seed: int = 7) -> list[TransactionView]:
    views = [any_view(Random(f"{seed}/{number}"), number) for number in range(count)]
    async with trio.open_nursery() as nursery:
        for each in views:
            nursery.start_soon(journal.append, appended(each))
    return views


async def found(ledger: Ledger, search: TransactionSearch, limit: int = 99) -> list[TransactionView]:
    seen: list[TransactionView] = []
    cursor = None
    while True:
        page = await ledger.transactions(cursor=cursor, limit=limit, **search)
        seen += page.items
        cursor = page.next_cursor
        if cursor is None:
            return seen


def pairs() -> Iterator[TransactionSearch]:
    """Every value by itself, and every two values of different parts together."""
    single = [(name, value) for name, values in VALUES.items() for value in values]
    yield from ({name: value} for name, value in single)  # type: ignore[misc]
    yield from (dict(pair) for pair in combinations(single, 2) if pair[0][0] != pair[1][0])  # type: ignore[misc]


async def test_any_two_parts_of_a_search_find_what_a_look_at_all_finds(journal: Journal, ledger: Ledger) -> None:
    views = await filled(journal, 60)
    met = 0
    for search in Random(0).sample([*pairs()], 120):
        expected = wanted(views, search)
        assert await found(ledger, search) == expected, search
        met += bool(expected)
    assert met > 60


async def test_what_has_changed_is_found_as_it_is_now(journal: Journal, ledger: Ledger) -> None:
    await journal.append(append(view=view(flags=("silent",), connector_identifier=None)))
    await journal.append(append(after_seq=1, view=view(connector_identifier="2", state="Settled"), final=True))
    assert (await ledger.transactions(flagged=True, limit=9)).items == ()
    assert (await ledger.transactions(open=True, limit=9)).items == ()
    assert len((await ledger.transactions(connector="2", flagged=False, open=False, limit=9)).items) == 1


async def test_a_row_is_as_the_newest_view_says_whatever_else_has_changed(journal: Journal) -> None:
    """Also where several appends of one transaction share a commit: readings, and what it is searched for."""
    chance = Random(11)
    newest: dict[str, Row] = {}
    shown = {f"local/{number}": any_view(chance, number) for number in range(6)}
    for seq in range(24):
        done: list[Promise[Appended]] = []
        for stream, before in shown.items():
            number = int(stream.partition("/")[2])
            other = any_view(chance, number) if chance.random() < 0.4 else before
            shown[stream] = msgspec.structs.replace(other, version=seq + 1, changed_at=after(seq))
            final = shown[stream].state == "Settled"
            newest[stream] = transaction_row(stream, shown[stream], final)
            done.append(journal.begin(append(stream, seq, view=shown[stream], final=final)))
        if chance.random() < 0.6:
            await all_kept(done)
            assert await journal.store.read(_rows) == newest
    await all_kept(done)
    assert await journal.store.read(_rows) == newest


async def all_kept(done: Sequence[Promise[Appended]]) -> None:
    for each in done:
        await kept(each)


def _rows(connection: Connection) -> dict[str, Row]:
    """The rows of all transactions as they stand, but for where they lie in the journal and its archive."""
    rows = connection.execute(select(*raw(tables.transactions))).mappings()
    return {row["stream"]: {name: row[name] for name in row if name not in ("position", "archived")} for row in rows}


async def test_pages_of_a_search_show_each_once_while_others_begin(journal: Journal, ledger: Ledger) -> None:
    views = await filled(journal, 40)

    async def begin_more() -> None:
        for number in range(100, 140):
            await journal.append(appended(any_view(Random(f"more/{number}"), number)))

    for search in ({}, {"flagged": True}, {"station": "CS01"}, {"open": True, "role": "local"}):
        async with trio.open_nursery() as nursery:
            if search == {}:
                nursery.start_soon(begin_more)
            seen = await found(ledger, search, limit=2)  # type: ignore[arg-type]
        before = [each for each in seen if int(each.transaction_id) < 100]
        assert before == wanted(views, search)  # type: ignore[arg-type]
        assert len({each.transaction_id for each in seen}) == len(seen)


@settings(max_examples=8)
@given(seed=st.integers(0, 999), count=st.integers(0, 40), searches=st.lists(SEARCHES, min_size=15, max_size=30))
async def test_any_search_finds_what_a_look_at_all_finds(
    seed: int, count: int, searches: list[TransactionSearch]
) -> None:
    async with open_journal("sqlite://", clock=StoppedClock(), run_sync=run_inline) as journal:
        views, ledger = await filled(journal, count, seed), Ledger(journal.store)
        for search in searches:
            assert await found(ledger, search, limit=4) == wanted(views, search), search
