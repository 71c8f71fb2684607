"""Quirks: what stations do that OCPP does not allow, counted by vendor and model, bounded, and logged once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from actors.quirks import EVERYTHING_ELSE, Quirks
from statecharts.bounds import QUIRK_MODELS_KEPT, QUIRKS_KEPT, Watermarks
from statecharts.limits import QUIRK_EXAMPLE
from statecharts.oddities import Handling, OddMessage
from tests.support.house import StationLine, kept

AT = datetime(2026, 5, 4, tzinfo=UTC)
ACME = ("Acme", "One")


def odd(*notes: str, action: str = "StartTransaction", payload: str = "{}") -> OddMessage:
    return OddMessage(action=action, payload=payload, notes=notes or ("too long",), handling=Handling.TAKEN)


async def quirks(line: StationLine, **wanted: Any) -> list[Any]:
    asked = {"station": None, "vendor": None, "model": None, "cursor": None, "limit": 99, **wanted}
    return list((await line.house.operator.quirks(**asked)).items)


async def test_what_is_odd_is_counted_by_model_with_its_first_message(
    autojump_clock: object, line: StationLine
) -> None:
    for payload in ("first", "second"):
        await kept(line.house.stations.odd(line.identity, odd(payload=payload)))
    (quirk,) = await quirks(line)
    assert (quirk.vendor, quirk.model, quirk.action, quirk.what) == ("V", "M", "StartTransaction", "too long")
    assert (quirk.times, quirk.stations, quirk.example, quirk.handling) == (2, 1, "first", "taken")
    assert await quirks(line, station=line.identity, vendor="V", model="M") == [quirk]
    assert await quirks(line, station="CS99") == await quirks(line, vendor="W") == await quirks(line, model="N") == []


async def test_the_first_message_of_each_kind_stands_in_the_log_of_its_station(
    autojump_clock: object, line: StationLine
) -> None:
    for note in ("too long", "too long", "too short"):
        await kept(line.house.stations.odd(line.identity, odd(note)))
    page = await line.house.operator.station_log(line.identity, kind="OddMessage")
    assert [each.report["notes"] for each in page.items] == [["too short"], ["too long"]]


async def test_quirks_are_shown_page_by_page(autojump_clock: object, line: StationLine) -> None:
    await kept(line.house.stations.odd(line.identity, odd("b", "a", "c")))
    first = await line.house.operator.quirks(station=None, vendor=None, model=None, cursor=None, limit=2)
    rest = await quirks(line, cursor=first.next_cursor)
    assert [each.what for each in (*first.items, *rest)] == ["a", "b", "c"]


def test_one_that_always_finds_another_quirk_fills_nothing() -> None:
    marks = Watermarks()
    counted = Quirks(marks)
    news = [counted.noticed("CS01", ACME, odd(f"{n:04}", payload="x" * 9_999), AT) for n in range(1_000)]
    found = counted.all()
    assert len(found) == QUIRKS_KEPT.limit + 1
    assert (found[0].what, found[0].times) == (EVERYTHING_ELSE, 1_000 - QUIRKS_KEPT.limit)
    assert sum(news) == QUIRKS_KEPT.limit + 1
    assert len(found[1].example) == QUIRK_EXAMPLE.limit
    assert [seen for bound, seen, _ in marks if bound is QUIRKS_KEPT] == [QUIRKS_KEPT.limit]


def test_stations_that_call_themselves_otherwise_each_time_fill_nothing() -> None:
    counted = Quirks(Watermarks())
    for n in range(QUIRK_MODELS_KEPT.limit * 2):
        counted.noticed("CS01", ("Acme", f"{n:05}"), odd(), AT)
    found = counted.all()
    assert len(found) == QUIRK_MODELS_KEPT.limit + 1
    assert [each.times for each in found if each.model == EVERYTHING_ELSE] == [QUIRK_MODELS_KEPT.limit]


def test_stations_of_a_model_are_counted_together() -> None:
    counted = Quirks(Watermarks())
    news = [counted.noticed(station, ACME, odd(), AT) for station in ("CS01", "CS02", "CS01")]
    (quirk,) = counted.all()
    assert (quirk.times, len(quirk.by_station)) == (3, 2) and news == [True, True, False]
