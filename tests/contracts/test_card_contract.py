"""What every store does with cards: found again as they were told, forgotten when they are removed, as a plain dict."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from actors.cards import Cards
from actors.directory import ConfiguredUsers
from actors.journal import Journal, open_journal
from actors.node_clock import NodeClock
from actors.store import run_inline
from statecharts.bounds import Watermarks
from statecharts.card_limits import CARDS, CARDS_LOOKED_AT, CARDS_WRITTEN
from statecharts.cards import Card, CardFilter, CardRecord, CardsPut, GroupChange, card_key
from statecharts.directory import UserEntry
from statecharts.vocabulary import Refused
from tests.contracts.conftest import Backend
from tests.contracts.samples import NOON, StoppedClock

FULL = Card(
    id_tag="04a1B2",
    group="FLEET-7",
    blocked=True,
    valid_from=NOON,
    valid_until=NOON + timedelta(days=1),
    label="van \u00fc 12",
)
FILE = ConfiguredUsers([UserEntry(identifier="anna", id_tags=("FILED",))])


class Wall(StoppedClock):
    def wall(self) -> datetime:
        return self.time


async def cards_of(journal: Journal) -> Cards:
    cards = Cards(journal.store, NodeClock(Wall()), FILE, Watermarks())
    await cards.load()
    return cards


def every(cards: Cards, limit: int = 3, **wanted: Any) -> list[CardRecord]:
    """All pages of a list."""
    found, cursor = [], None
    while True:
        page = cards.page(CardFilter(**wanted), cursor=cursor, limit=limit)
        found += page.items
        if (cursor := page.next_cursor) is None:
            return found


async def test_a_card_is_found_again_as_it_was_told(journal: Journal) -> None:
    cards = await cards_of(journal)
    told = await cards.put(FULL, "olga")
    assert told == CardRecord(**msgspec.structs.asdict(FULL), changed_at=NOON, changed_by="olga")
    again = await cards_of(journal)
    assert again.card("04A1b2") == cards.card("04A1B2") == told
    assert every(again) == [told]


async def test_the_newest_word_stands_and_the_same_again_changes_nothing(journal: Journal) -> None:
    cards = await cards_of(journal)
    first = await cards.put(FULL, "olga")
    assert await cards.put(FULL, "bram") == first
    other = await cards.put(msgspec.structs.replace(FULL, id_tag="04A1B2", blocked=False), "bram")
    assert (other.id_tag, other.changed_by, other.blocked) == ("04A1B2", "bram", False)
    assert every(await cards_of(journal)) == [other]


async def test_a_card_that_was_removed_is_what_the_configuration_says(journal: Journal) -> None:
    cards = await cards_of(journal)
    await cards.put(Card(id_tag="filed", blocked=True), "olga")
    assert (await cards.check("FILED", NOON)).blocked
    await cards.remove("Filed")
    for each in (cards, await cards_of(journal)):
        assert (await each.check("FILED", NOON)).allowed
        with pytest.raises(Refused, match="unknown-card"):
            await each.remove("FILED")


async def test_lists_are_filtered_and_go_on_after_what_was_shown(journal: Journal) -> None:
    cards = await cards_of(journal)
    for number in range(10):
        group = "EVEN" if number % 2 == 0 else None
        await cards.put(Card(id_tag=f"aB{number}", group=group, blocked=number > 5, label=f"Van {number}"), "olga")
    tags = [f"aB{number}" for number in range(10)]
    assert [card.id_tag for card in every(cards)] == tags
    assert [card.id_tag for card in every(cards, group="EVEN", blocked=False)] == tags[0:6:2]
    assert [card.id_tag for card in every(cards, text="van 7")] == [tags[7]]
    assert [card.id_tag for card in every(cards, text="Ab3")] == [tags[3]]
    with pytest.raises(Refused, match="cursor-unknown"):
        cards.page(CardFilter(), cursor="nonsense", limit=3)


async def test_there_are_no_more_cards_than_the_bound(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.cards.CARDS", msgspec.structs.replace(CARDS, limit=1))
    cards = await cards_of(journal)
    await cards.put(FULL, "olga")
    with pytest.raises(Refused, match="too-many-cards"):
        await cards.put(Card(id_tag="B"), "olga")
    assert not (await cards.put(msgspec.structs.replace(FULL, blocked=False), "olga")).blocked


async def test_many_cards_are_told_at_once_and_told_again_change_nothing(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.cards.CARDS_WRITTEN", msgspec.structs.replace(CARDS_WRITTEN, limit=3))
    cards = await cards_of(journal)
    await cards.put(Card(id_tag="c1"), "olga")
    many = [FULL, *(Card(id_tag=f"C{number}", group="G") for number in range(9))]
    would = await cards.put_many(many, "bram", dry_run=True)
    assert would == CardsPut(added=9, changed=1, unchanged=0, dry_run=True)
    assert [card.id_tag for card in every(cards)] == ["c1"]
    assert await cards.put_many(many, "bram") == msgspec.structs.replace(would, dry_run=False)
    assert await cards.put_many(many, "olga") == CardsPut(added=0, changed=0, unchanged=10, dry_run=False)
    for each in (cards, await cards_of(journal)):
        shown = every(each)
        assert [card.id_tag for card in shown] == ["04a1B2", *(f"C{number}" for number in range(9))]
        assert all(card.changed_by == "bram" for card in shown)


async def test_too_many_cards_at_once_are_none(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.cards.CARDS", msgspec.structs.replace(CARDS, limit=2))
    cards = await cards_of(journal)
    await cards.put(FULL, "olga")
    with pytest.raises(Refused, match="too-many-cards"):
        await cards.put_many([Card(id_tag="B"), Card(id_tag="C")], "olga")
    assert len(every(cards)) == 1
    assert (await cards.put_many([Card(id_tag="B"), Card(id_tag=FULL.id_tag)], "olga")).added == 1


async def test_a_page_looks_through_a_bounded_number_of_cards(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.cards.CARDS_LOOKED_AT", msgspec.structs.replace(CARDS_LOOKED_AT, limit=4))
    cards = await cards_of(journal)
    await cards.put_many([Card(id_tag=f"A{number}", blocked=number == 7) for number in range(10)], "olga")
    first = cards.page(CardFilter(blocked=True), cursor=None, limit=3)
    assert first.items == () and first.next_cursor is not None
    assert [card.id_tag for card in every(cards, blocked=True)] == ["A7"]
    assert len(every(cards)) == 10


async def test_a_group_is_blocked_renamed_and_ended_as_a_whole(journal: Journal) -> None:
    cards = await cards_of(journal)
    many = [Card(id_tag="A", group="Fleet"), Card(id_tag="B", group="FLEET"), Card(id_tag="C", group="X"), FULL]
    await cards.put_many(many, "olga")
    assert (cards.groups.one("fleet").cards, cards.groups.one("fleet").group) == (2, "Fleet")
    told = await cards.change_group("FLEET", GroupChange(blocked=True), "bram")
    assert told == CardsPut(added=0, changed=2, unchanged=0, dry_run=False)
    assert [card.id_tag for card in every(cards, group="fleet") if card.blocked] == ["A", "B"]
    await cards.change_group("x", GroupChange(group="fleet"), "bram")
    await cards.remove("A")
    for each in (cards, await cards_of(journal)):
        assert each.groups.one("FLEET").cards == 2
        with pytest.raises(Refused, match="unknown-group"):
            each.groups.one("X")
    first = cards.groups.page(cursor=None, limit=1)
    second = cards.groups.page(cursor=first.next_cursor, limit=1)
    assert {page.items[0].group.casefold() for page in (first, second)} == {"fleet", (FULL.group or "").casefold()}
    await cards.change_group("fleet", GroupChange(group=None), "bram")
    with pytest.raises(Refused, match="unknown-group"):
        await cards.change_group("fleet", GroupChange(blocked=False), "bram")
    again = await cards_of(journal)
    assert (again.card("B").group, again.card("B").blocked, again.card("C").blocked) == (None, True, False)


async def test_a_card_whose_row_was_altered_is_blocked_until_it_is_told_again(journal: Journal) -> None:
    await (await cards_of(journal)).put(Card(id_tag="FILED"), "olga")
    await journal.store.write(_alter)
    cards = await cards_of(journal)
    assert (await cards.check("FILED", NOON)).blocked
    await cards.put(Card(id_tag="FILED"), "olga")
    assert (await (await cards_of(journal)).check("filed", NOON)).allowed


def _alter(connection: Connection) -> None:
    connection.execute(text("UPDATE cards SET changed_at = changed_at + 1"))


TAGS = st.sampled_from(["a", "A", "b", "B", "filed", "FILED"])
MOMENTS = st.none() | st.integers(-2, 2).map(lambda hours: NOON + timedelta(hours=hours))
TOLD = st.builds(
    Card,
    id_tag=TAGS,
    group=st.none() | st.just("G"),
    blocked=st.booleans(),
    valid_from=MOMENTS,
    valid_until=MOMENTS,
)


@settings(max_examples=20, deadline=None)  # each opens a store
@given(st.lists(TOLD | TAGS | st.none(), max_size=12), TAGS, st.integers(-3, 3))
async def test_cards_are_as_a_plain_dictionary_of_what_was_told(
    steps: list[Card | str | None], asked: str, hours: int
) -> None:
    """A card is told, a str is removed, None restarts the node."""
    model: dict[str, Card] = {}
    async with open_journal("sqlite://", clock=Wall(), run_sync=run_inline) as journal:
        cards = await cards_of(journal)
        for step in steps:
            if isinstance(step, Card):
                assert (await cards.put(step, "olga")).says(step)
                model[card_key(step.id_tag)] = step
            elif step is None:
                cards = await cards_of(journal)
            elif model.pop(card_key(step), None) is not None:
                await cards.remove(step)
            else:
                with pytest.raises(Refused, match="unknown-card"):
                    await cards.remove(step)
        shown = every(cards, limit=1)
        assert len(shown) == len(model) and all(card.says(model[card.key]) for card in shown)
        verdict, now = await cards.check(asked, NOON + timedelta(hours=hours)), NOON + timedelta(hours=hours)
        card = model.get(card_key(asked))
        if card is None:
            assert verdict.allowed == (card_key(asked) == "filed")
        else:
            begun = card.valid_from is None or card.valid_from <= now
            over = card.valid_until is not None and card.valid_until <= now
            assert verdict.allowed == (begun and not over and not card.blocked)
            assert (verdict.group, verdict.expires_at, verdict.blocked) == (
                card.group,
                card.valid_until,
                card.blocked,
            )


async def test_cards_survive_a_store_that_is_opened_again(backend: Backend, tmp_path: Path) -> None:
    if not backend.durable:
        return
    async with backend.open(tmp_path) as journal:
        told = await (await cards_of(journal)).put(FULL, "olga")
    async with backend.open(tmp_path) as journal:
        assert every(await cards_of(journal)) == [told]
