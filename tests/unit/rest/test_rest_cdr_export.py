"""All charge records of a search as one file: every one, a page at a time, and nothing that a spreadsheet computes."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any

import msgspec
import pytest
import trio

from protocols.rest.v1.cdrs import COLUMNS
from statecharts.limits import CDRS_READ
from statecharts.ports import CdrView, Page
from statecharts.vocabulary import refused
from tests.unit.rest.fakes import CDR, World
from tests.unit.rest.test_rest_served import served

EXPORT = "/api/v1/operator/cdrs/export"
MORE_THAN_TWO_PAGES = 2 * CDRS_READ.limit + 1


def records(count: int) -> list[CdrView]:
    later = (CDR.end_timestamp - timedelta(minutes=number) for number in range(count))
    return [
        msgspec.structs.replace(CDR, cdr_id=f"IE-001/{number:012X}", end_timestamp=at, energy_wh=number)
        for number, at in enumerate(later)
    ]


def having(*found: CdrView) -> World:
    world = World()
    world.operators.records = found
    return world


async def exported(world: World, query: str = "", method: str = "GET") -> Any:
    response = await world.ask(method, EXPORT + query, token="operator-token")
    assert response.status_code == 200, await response.get_data()
    return response


async def lines(world: World) -> list[dict[str, str]]:
    content = (await (await exported(world)).get_data()).decode()
    return list(csv.DictReader(io.StringIO(content, newline=""), strict=True))


@pytest.mark.parametrize("count", [0, 1, CDRS_READ.limit, MORE_THAN_TWO_PAGES])
async def test_every_record_is_in_the_file_once_and_in_its_order(count: int) -> None:
    all_of_them = records(count)
    world = having(*all_of_them)
    assert [line["cdr_id"] for line in await lines(world)] == [record.cdr_id for record in all_of_them]
    assert [asked[2] for asked in world.operators.asked] == [CDRS_READ.limit] * max(1, -(-count // CDRS_READ.limit))
    told = msgspec.json.decode(await (await exported(world, "?format=json")).get_data(), type=list[CdrView])
    assert told == all_of_them


async def test_the_file_says_what_it_is_and_has_a_line_of_names() -> None:
    response = await exported(having(CDR), "?since=2026-05-01T00:00:00Z&until=2026-06-01T00:00:00%2B02:00")
    named = 'attachment; filename="charge-records-since-2026-05-01-until-2026-06-01.csv"'
    assert response.headers["Content-Disposition"] == named
    assert response.content_type == "text/csv; charset=utf-8; header=present"
    head, line, end = (await response.get_data()).decode().split("\r\n")
    assert head == ",".join(COLUMNS)
    assert line == (
        "IE-001/0A1B2C3D4E5F,IE-001,0A1B2C3D4E5F,DEMO_001,alice,"
        "2026-05-17T12:00:00Z,2026-05-17T13:00:00Z,12345,acknowledged,"
    )
    assert end == ""


async def test_it_is_searched_as_the_list_is() -> None:
    world = having(CDR)
    query = "?role=source&partner=IE-001&status=conflict&since=2026-05-01T00:00:00Z&until=2026-06-01T00:00:00Z"
    await exported(world, query)
    await world.ask("GET", EXPORT.removesuffix("/export") + query, token="operator-token")
    (file, *_), (page, *_) = world.operators.asked
    assert file == page and len(file) == 5


@pytest.mark.parametrize("value", ["=1+1", "+1", "-1", "@A", "\t=1", "'=1"])
async def test_no_spreadsheet_computes_what_a_partner_wrote(value: str) -> None:
    odd = msgspec.structs.replace(CDR, user_identifier=value, flags=(value, "b"), energy_wh=-5)
    (line,) = await lines(having(odd))
    assert (line["user_identifier"], line["flags"], line["energy_wh"]) == (f"'{value}", f"'{value} b", "-5")


async def test_what_has_commas_quotes_and_lines_in_it_is_one_field() -> None:
    odd = msgspec.structs.replace(CDR, user_identifier='a "b", c\r\nd', energy_wh=None)
    (line,) = await lines(having(odd))
    assert (line["user_identifier"], line["energy_wh"]) == ('a "b", c\r\nd', "")


async def test_head_has_no_body_and_a_wrong_question_no_file() -> None:
    world = having(CDR)
    assert await (await exported(world, method="HEAD")).get_data() == b""
    for query in ("?format=xml", "?limit=5", "?since=yesterday", "?since=2026-02-31T00:00:00Z"):
        assert (await world.ask("GET", EXPORT + query, token="operator-token")).status_code == 400
    assert (await world.ask("GET", EXPORT, token="app-token")).status_code == 403


async def test_a_store_that_is_away_is_told_before_there_is_a_file() -> None:
    world = having()

    async def away(**_: object) -> Page[CdrView]:
        raise refused(503, "store-unavailable", "gone")

    world.operators.cdrs = away  # type: ignore[method-assign]
    response = await world.ask("GET", EXPORT, token="operator-token")
    assert (response.status_code, response.mimetype) == (503, "application/problem+json")


class Unending:
    """Records without end, and how many pages of them were read."""

    def __init__(self) -> None:
        self.read = 0
        self.page = tuple(records(CDRS_READ.limit))

    async def cdrs(self, **_: object) -> Page[CdrView]:
        self.read += 1
        return Page(items=self.page, next_cursor="more")


async def test_no_more_is_read_than_the_client_takes_and_nothing_after_it_hung_up() -> None:
    world, unending = World(), Unending()
    world.operators.cdrs = unending.cdrs  # type: ignore[method-assign]
    async with served(world) as client:
        async with await trio.open_tcp_stream("127.0.0.1", client.base_url.port or 0) as raw:
            request = f"GET {EXPORT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer operator-token\r\n\r\n"
            await raw.send_all(request.encode())
            assert b"200" in await raw.receive_some()
            await comes_to_rest(unending)
        await comes_to_rest(unending)
        assert (await client.get("/health")).status_code == 200


async def comes_to_rest(unending: Unending) -> None:
    """Waits until nothing has been read for a while, which must come: the buffers between us are full, or I am gone."""
    before = -1
    while before != unending.read:
        before = unending.read
        await trio.sleep(0.1)


async def test_a_store_that_goes_away_on_the_way_leaves_no_file_that_looks_whole() -> None:
    world, unending = World(), Unending()

    async def failing(**more: object) -> Page[CdrView]:
        if unending.read:
            raise refused(503, "store-unavailable", "gone")
        return await unending.cdrs(**more)

    world.operators.cdrs = failing  # type: ignore[method-assign]
    async with served(world) as client, await trio.open_tcp_stream("127.0.0.1", client.base_url.port or 0) as raw:
        request = f"GET {EXPORT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer operator-token\r\n\r\n"
        await raw.send_all(request.encode())
        content = b"".join([piece async for piece in raw])
    assert content.count(b"IE-001/") == CDRS_READ.limit
    assert not content.endswith(b"0\r\n\r\n")
