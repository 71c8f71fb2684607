"""Charge records for operators: lists of them, and all of a search as a file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any, Literal

import msgspec
import trio
from quart import request
from quart_trio.wrappers import TrioResponse as Response

from protocols.rest.bodies import (
    CSV,
    ENCODER,
    JSON,
    Cursor,
    Identifier,
    Instant,
    Limit,
    moment,
    page_answer,
    plain,
)
from protocols.rest.routes import Routes
from protocols.rest.spreadsheets import guarded, rows
from statecharts.doors import OperatorDoor
from statecharts.limits import CDRS_READ
from statecharts.ports import CdrView, Page
from statecharts.searches import CdrSearch

COLUMNS = tuple(field.encode_name for field in msgspec.structs.fields(CdrView))

WholeRole = Literal["source", "destination"]
Status = Literal["pending", "overdue", "parked", "acknowledged", "received", "conflict"]


class CdrsQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Of a role, with a partner, of one status, of charges that ended since and before a time."""

    cursor: Cursor | None = None
    limit: Limit = 50
    role: WholeRole | None = None
    partner: Identifier | None = None
    status: Status | None = None
    since: Instant | None = None
    until: Instant | None = None


class CdrsExport(msgspec.Struct, forbid_unknown_fields=True):
    """The same without pages, and how the file is written."""

    format: Literal["csv", "json"] = "csv"
    role: WholeRole | None = None
    partner: Identifier | None = None
    status: Status | None = None
    since: Instant | None = None
    until: Instant | None = None


def add_cdrs(routes: Routes, operators: OperatorDoor) -> None:
    """The routes of charge records, among those of operators."""

    @routes.get("/cdrs", Page[CdrView], query=CdrsQuery, answer_headers=("Link",), refuses=("cursor-unknown",))
    async def cdrs(asked: CdrsQuery) -> Response:
        """Lists charge records, the one that ended last first."""
        return page_answer(await operators.cdrs(cursor=asked.cursor, limit=asked.limit, **_wanted(asked)))

    @routes.get(
        "/cdrs/export",
        str,
        query=CdrsExport,
        media_type=CSV,
        or_gives={JSON: tuple[CdrView, ...]},
        answer_headers=("Content-Disposition",),
    )
    async def export_cdrs(asked: CdrsExport) -> Response:
        """Gives all charge records of a search as a file, the one that ended last first.

        They are read a page at a time while they are sent; what changes meanwhile may be in the file as it was or as it
        is. A file that was cut short ends without its last chunk (HTTP/1.1) or with a reset (HTTP/2).
        """
        pages = _Pages(operators, _wanted(asked))
        await pages.begin()
        content: Any = b"" if request.method == "HEAD" else (_csv if asked.format == "csv" else _json)(pages)
        given = {
            "Cache-Control": "no-store",
            "Content-Disposition": f'attachment; filename="{_file_name(asked)}"',
        }
        media_type = f"{CSV}; charset=utf-8; header=present" if asked.format == "csv" else JSON
        response = Response(content, headers=given, content_type=media_type)
        response.timeout = None  # however many there are: each write has a limit of its own
        return response


def _wanted(asked: CdrsQuery | CdrsExport) -> CdrSearch:
    return {
        "role": asked.role,
        "partner": asked.partner,
        "status": asked.status,
        "since": moment("since", asked.since),
        "until": moment("until", asked.until),
    }


def _file_name(asked: CdrsExport) -> str:
    """`charge-records-since-2026-05-01-until-2026-06-01.csv`: what tells one month's file from another's."""
    bounds = (("since", asked.since), ("until", asked.until))
    return "-".join(["charge-records", *(f"{name}-{at[:10]}" for name, at in bounds if at)]) + f".{asked.format}"


class _Pages:
    """All records of a search, a page at a time. The first is read before the answer has a status."""

    def __init__(self, operators: OperatorDoor, wanted: CdrSearch) -> None:
        self._operators, self._wanted = operators, wanted
        self._ahead: Page[CdrView] | None = None
        self._cursor: str | None = None

    async def begin(self) -> None:
        """Raises `Refused` where the records cannot be read."""
        self._ahead = await self._read()

    async def next(self) -> tuple[CdrView, ...]:
        """The records of the next page; none after the last."""
        await trio.lowlevel.checkpoint()
        page, self._ahead = self._ahead, None
        if page is None:
            if self._cursor is None:
                return ()
            page = await self._read()
        self._cursor = page.next_cursor
        return page.items

    async def _read(self) -> Page[CdrView]:
        return await self._operators.cdrs(cursor=self._cursor, limit=CDRS_READ.limit, **self._wanted)


async def _csv(pages: _Pages) -> AsyncIterator[bytes]:
    yield rows([COLUMNS])
    while records := await pages.next():
        yield rows(map(_cells, records))


async def _json(pages: _Pages) -> AsyncIterator[bytes]:
    before = b"["
    while records := await pages.next():
        yield before + b",\n".join(ENCODER.encode(plain(record)) for record in records)
        before = b",\n"
    yield b"]\n" if before != b"[" else b"[]\n"


def _cells(record: CdrView) -> Iterable[str]:
    told = msgspec.to_builtins(record)
    return (_cell(told.get(name)) for name in COLUMNS)


def _cell(value: Any) -> str:
    """A number as it is, also one below zero; whatever somebody wrote as a text that nobody computes."""
    if isinstance(value, list | tuple):
        return guarded(" ".join(value))
    return guarded(value) if isinstance(value, str) else "" if value is None else str(value)
