"""Many cards in one CSV: whatever can be told is told and given back, and where a line is wrong nothing is done."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.http import BODY_BYTES_MAX
from protocols.rest.spreadsheets import rows
from protocols.rest.v1.card_files import COLUMNS, EXAMPLE, _values, cards_in
from statecharts.card_limits import CARDS_FILE, WRONG_LINES_SHOWN
from statecharts.cards import Card, CardRecord, card_key
from tests.unit.rest.fakes import CARD, NOON, World

FILE = "/api/v1/operator/cards.csv"


async def sends(world: World, content: str | bytes, query: str = "", media_type: str = "text/csv") -> Any:
    headers = {"Content-Type": media_type}
    return await world.ask("POST", FILE + query, token="operator-token", data=content, headers=headers)


async def told(world: World, content: str | bytes) -> list[Card]:
    response = await sends(world, content)
    assert response.status_code == 200, await response.get_data()
    ((cards, by, dry_run),) = world.operators.asked
    assert (by, dry_run) == ("operator", False)
    return list(cards)


async def problem(response: Any) -> Any:
    assert response.status_code == 400
    return msgspec.json.decode(await response.get_data())


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\r\n", "\n"])
async def test_a_file_with_any_of_the_columns_in_any_order_is_read(mark: str, end: str) -> None:
    lines = [
        "label,id_tag,blocked,valid_until",
        '"Kühl, ""7""",04A1,TRUE,2030-01-01T01:00:00+01:00',
        ",null,false,",
        "",
    ]
    assert await told(World(), (mark + end.join(lines)).encode()) == [
        Card(id_tag="04A1", label='Kühl, "7"', blocked=True, valid_until=datetime(2030, 1, 1, tzinfo=UTC)),
        Card(id_tag="null"),
    ]


async def test_semicolons_are_read_where_the_header_has_them_alone() -> None:
    assert await told(World(), "id_tag;label\r\nA1;van, blue\r\n") == [Card(id_tag="A1", label="van, blue")]


@pytest.mark.parametrize("value", ["=1+1", "+1", "-1", "@A", "'=1", "''-"])
async def test_no_spreadsheet_computes_what_a_card_says(value: str) -> None:
    card = CardRecord(id_tag=value, group=value, label=value, changed_at=NOON, changed_by="olga")
    content = rows([COLUMNS, _values(card)])
    assert content.decode().split("\r\n")[1] == f"'{value},'{value},false,,,'{value}"
    (found,) = await told(World(), content)
    assert card.says(found)


async def test_the_example_of_the_document_is_one() -> None:
    assert [card.group for card in await told(World(), EXAMPLE)] == ["FLEET-7"]


async def test_every_line_that_is_wrong_is_named_and_nothing_is_done() -> None:
    world = World()
    content = (
        "id_tag,group,blocked,valid_from,valid_until\n"
        "A1,G,,,\n"
        "two words,,,,\n"
        "\n"
        'A2,"a\nb",,,\n'
        "A3,,perhaps,,\n"
        "a1,,,,\n"
        "A4,,,2030-01-02T00:00:00Z,2030-01-01T00:00:00Z\n"
        "A5,,,,2030-01-01T00:00:00\n"
        "A6,,\n"
        ",G,,,\n"
        'A7,"G,,,\n'
    )
    document = await problem(await sends(world, content))
    assert [(each["line"], each["field"]) for each in document["errors"]] == [
        (3, "id_tag"),
        (5, "group"),
        (7, "blocked"),
        (8, "id_tag"),
        (9, "valid_until"),
        (10, "valid_until"),
        (11, ""),
        (12, "id_tag"),
        (13, ""),
    ]
    assert document["errors"][3]["reason"] == "is that of line 2 already"
    assert document["detail"].startswith("Nothing was changed: 9 lines do not fit. The first: line 3, `id_tag`: ")
    assert world.operators.asked == []


@pytest.mark.parametrize(
    "content", ["", "\n\n", "group\nG\n", "id_tag,colour\nA,red\n", "id_tag,id_tag\nA,A\n", '"id_tag\n', "A1\nA2\n"]
)
async def test_a_file_without_a_header_that_names_its_columns_is_refused(content: str) -> None:
    assert (await problem(await sends(World(), content)))["kind"] == "unreadable-file"


async def test_no_more_is_said_of_wrong_lines_than_anybody_reads() -> None:
    document = await problem(await sends(World(), "id_tag\n" + "two words\n" * 1_000))
    assert len(document["errors"]) == WRONG_LINES_SHOWN.limit
    assert "1000 lines do not fit" in document["detail"]


async def test_it_is_a_csv_in_utf_8_no_longer_than_its_own_bound() -> None:
    assert (await sends(World(), "id_tag\nA\n", media_type="application/json")).status_code == 415
    assert (await problem(await sends(World(), "id_tag,label\nA,\u00fc\n".encode("latin-1"))))["kind"] == "not-utf-8"
    lines = "".join(f"{number:020},\r\n" for number in range(CARDS_FILE.limit // 23 - 1))
    assert len(lines) > BODY_BYTES_MAX
    assert len(await told(World(), "id_tag,label\r\n" + lines)) == CARDS_FILE.limit // 23 - 1
    response = await sends(World(), bytes(CARDS_FILE.limit + 1))
    assert response.status_code == 413
    assert str(CARDS_FILE.limit) in msgspec.json.decode(await response.get_data())["detail"]


async def test_what_a_file_was_is_one_entry_of_the_audit_log() -> None:
    world = World()
    await sends(world, EXAMPLE, "?dry_run=true")
    (deed,) = world.operators.trail.deeds
    assert (deed.path, deed.status, world.operators.trail.bodies) == (FILE, 200, [EXAMPLE.encode()])
    ((_, _, dry_run),) = world.operators.asked
    assert dry_run


async def test_all_cards_are_given_as_a_file_over_all_their_pages() -> None:
    world = World()
    response = await world.ask("GET", FILE + "?group=FLEET-7", token="operator-token")
    assert response.content_type == "text/csv; charset=utf-8"
    header, first, second, end = (await response.get_data()).decode().split("\r\n")
    assert header == ",".join(COLUMNS)
    assert first == second == f"{CARD.id_tag},FLEET-7,false,,{NOON.isoformat().replace('+00:00', 'Z')},"
    assert end == ""
    assert [asked[0].group for asked in world.operators.asked] == ["FLEET-7", "FLEET-7"]


MOMENTS = st.none() | st.datetimes(timezones=st.just(UTC))
WORDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=36)
LABELS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40)
CARDS = st.builds(
    CardRecord,
    id_tag=WORDS.filter(lambda tag: "/" not in tag),
    group=st.none() | WORDS,
    blocked=st.booleans(),
    valid_from=MOMENTS,
    valid_until=st.none(),
    label=st.none() | LABELS,
    changed_at=st.just(NOON),
    changed_by=st.just("olga"),
)


@given(st.lists(CARDS, unique_by=lambda card: card_key(card.id_tag)))
def test_what_is_given_can_be_told_again(cards: list[CardRecord]) -> None:
    content = rows([COLUMNS, *map(_values, cards)]).decode()
    found = list(cards_in(content))
    assert all(isinstance(card, Card) and record.says(card) for record, card in zip(cards, found, strict=True))
