"""Many charging cards at once, as CSV (RFC 4180): told in one request, and given back in the same columns."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Annotated, Any

import msgspec
import trio
from msgspec import Meta
from quart import request
from quart_trio.wrappers import TrioResponse as Response

from protocols.rest.auth import principal
from protocols.rest.bodies import CARD_PATH, CSV, answer, invalid
from protocols.rest.problems import FieldError, Problem
from protocols.rest.routes import Routes
from protocols.rest.spreadsheets import guarded, rows, unguarded
from protocols.rest.v1.cards import CardTold, Group, card_told
from statecharts.card_limits import CARDS_READ, WRONG_LINES_SHOWN
from statecharts.cards import Card, CardDoor, CardFilter, CardRecord, CardsPut, card_key

COLUMNS = ("id_tag", "group", "blocked", "valid_from", "valid_until", "label")
TRUTH = {"true": True, "false": False}

EXAMPLE = "id_tag,group,blocked,valid_until,label\r\n04A1B2C3D4,FLEET-7,,2030-01-01T00:00:00Z,van 12\r\n"


class CardLine(CardTold, kw_only=True, forbid_unknown_fields=True):
    """A line: a card and what holds of it from now on. An empty field is as it is by default."""

    id_tag: Annotated[str, Meta(pattern=rf"\A{CARD_PATH}\Z")]


class FileQuery(msgspec.Struct, forbid_unknown_fields=True):
    """With `dry_run` nothing is changed: it is told what would be."""

    dry_run: bool = False


class CardsOfFile(msgspec.Struct, forbid_unknown_fields=True):
    """Of one group, blocked or not."""

    group: Group | None = None
    blocked: bool | None = None


def add_card_files(routes: Routes, operators: CardDoor) -> None:
    """The routes of files of cards, among those of operators."""

    @routes.post(
        "/cards.csv",
        CardsPut,
        reads=str,
        query=FileQuery,
        accepts=(CSV,),
        refuses=("unreadable-file", "too-many-cards"),
        example=EXAMPLE,
    )
    async def put_cards(content: str, asked: FileQuery) -> Response:
        """Says what holds of many cards from now on: all of them, or none where any line is wrong.

        A header line names the columns, in any order: `id_tag`, and any of `group`, `blocked` (true, false),
        `valid_from`, `valid_until`, `label`. Cards that the file does not name stay as they are.
        """
        cards = await _read(content)
        return answer(await operators.put_cards(cards, principal().name, dry_run=asked.dry_run))

    @routes.get("/cards.csv", str, query=CardsOfFile, media_type=CSV)
    async def cards_file(asked: CardsOfFile) -> Response:
        """Gives all cards of the store by their idTag, as a CSV that can be told again."""
        wanted = CardFilter(group=asked.group, blocked=asked.blocked)
        content: Any = b"" if request.method == "HEAD" else _written(operators, wanted)
        response = Response(content, headers={"Cache-Control": "no-store"}, content_type=f"{CSV}; charset=utf-8")
        response.timeout = None  # however many there are: each write has a limit of its own
        return response


# -- what is told ------------------------------------------------------------------------------------------------------


async def _read(content: str) -> list[Card]:
    """The cards of a file; others have the loop meanwhile. Raises `Problem` (400) that names the wrong lines."""
    cards: list[Card] = []
    wrong: list[FieldError] = []
    for number, found in enumerate(cards_in(content)):
        if isinstance(found, Card):
            cards.append(found)
        else:
            wrong += found
        if number % CARDS_READ.limit == 0:
            await trio.lowlevel.checkpoint()
    if wrong:
        raise _refusal(wrong)
    return cards


def _refusal(wrong: list[FieldError]) -> Problem:
    first = wrong[0]
    lines = len({each.line for each in wrong})
    where = f"line {first.line}" + (f", `{first.field}`" if first.field else "")
    told = f"Nothing was changed: {lines} line{'s do' if lines > 1 else ' does'} not fit. The first: {where}: "
    return Problem(400, "unreadable-file", f"{told}{first.reason}.", errors=tuple(wrong[: WRONG_LINES_SHOWN.limit]))


def cards_in(content: str) -> Iterator[Card | tuple[FieldError, ...]]:
    """Each line as a card, or what is wrong with it. Raises `Problem` (400) for a header that is none."""
    lines = _Lines(content)
    seen: dict[str, int] = {}
    try:
        header = _header(next(lines, []))
        for values in lines:
            found = _card_of(header, values)
            if isinstance(found, Card):
                first = seen.setdefault(card_key(found.id_tag), lines.number)
                twice = FieldError(field="id_tag", reason=f"is that of line {first} already")
                found = found if first == lines.number else (twice,)
            yield found if isinstance(found, Card) else tuple(_in_line(each, lines.number) for each in found)
    except csv.Error as error:
        yield (FieldError(field="", reason=f"is no CSV that can be read: {error}", line=lines.number),)


class _Lines:
    """The lines of a CSV that are not empty; `number` is where the one in hand begins, from 1."""

    def __init__(self, content: str) -> None:
        self._reader = csv.reader(io.StringIO(content, newline=""), delimiter=_delimiter(content), strict=True)
        self.number = 1

    def __iter__(self) -> Iterator[list[str]]:
        return self

    def __next__(self) -> list[str]:
        while True:
            self.number = self._reader.line_num + 1
            if values := next(self._reader):
                return values


def _delimiter(content: str) -> str:
    """A comma (RFC 4180); the semicolon of spreadsheets whose decimal mark is the comma, if the header has it alone."""
    header = content.lstrip("\r\n").partition("\n")[0]
    return ";" if ";" in header and "," not in header else ","


def _header(names: Iterable[str]) -> tuple[str, ...]:
    header = tuple(name.strip() for name in names)
    if "id_tag" not in header:
        raise _refusal([_of_header("its first line names the columns, of which `id_tag` is one")])
    for name in header:
        if name not in COLUMNS:
            raise _refusal([_of_header(f"{name[:50]!r} is no column; there are {', '.join(COLUMNS)}")])
        if header.count(name) > 1:
            raise _refusal([_of_header(f"the column `{name}` is there twice")])
    return header


def _of_header(reason: str) -> FieldError:
    return FieldError(field="", reason=reason, line=1)


def _card_of(header: tuple[str, ...], values: list[str]) -> Card | tuple[FieldError, ...]:
    if len(values) != len(header):
        return (FieldError(field="", reason=f"has {len(values)} fields, the header {len(header)}"),)
    told: dict[str, Any] = {name: unguarded(value) for name, value in zip(header, values, strict=True) if value}
    if "blocked" in told:
        told["blocked"] = TRUTH.get(told["blocked"].lower(), told["blocked"])
    try:
        line = msgspec.convert(told, CardLine)
        return card_told(line.id_tag, line)
    except msgspec.ValidationError as error:
        return invalid(error, CardLine, told).errors
    except Problem as no:
        return no.errors


def _in_line(error: FieldError, line: int) -> FieldError:
    return FieldError(field=error.field, reason=error.reason, line=line)


# -- what is given back ------------------------------------------------------------------------------------------------


async def _written(operators: CardDoor, wanted: CardFilter) -> AsyncIterator[bytes]:
    yield rows([COLUMNS])
    cursor: str | None = None
    while True:
        page = await operators.cards(wanted, cursor=cursor, limit=CARDS_READ.limit)
        yield rows(map(_values, page.items))
        await trio.lowlevel.checkpoint()
        cursor = page.next_cursor
        if cursor is None:
            return


def _values(card: CardRecord) -> tuple[str, ...]:
    told = msgspec.to_builtins(card)
    told["blocked"] = "true" if card.blocked else "false"
    return tuple(guarded(told.get(name) or "") for name in COLUMNS)
