"""What a station reports beside charging: durable before it is answered, in a log that the operator reads."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
import trio

from actors.records import StoreUnavailable
from actors.station_role import StationRole
from statecharts.station_credentials import TurnedAway, Wrong
from statecharts.station_reports import (
    DataTransferAnswer,
    FirmwareStatus,
    LogStatus,
    NotifyReport,
    PlainReport,
    ReportAnswer,
    ReservationStatus,
    SecurityEvent,
    StationDataTransfer,
    StationReport,
)
from statecharts.vocabulary import Acknowledgement, Refused
from tests.support.books import orphans
from tests.support.house import StationLine

AT = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
LOGGED: list[tuple[StationReport, str, ReportAnswer]] = [
    (SecurityEvent(kind="FirmwareUpdated", timestamp=AT), "SecurityEvent", Acknowledgement()),
    (FirmwareStatus(status="Installed"), "FirmwareStatus", Acknowledgement()),
    (LogStatus(status="Uploaded", request_id=1), "LogStatus", Acknowledgement()),
    (ReservationStatus(reservation_id=1, status="Expired"), "ReservationStatus", Acknowledgement()),
    (NotifyReport(request_id=1, content=({"component": {"name": "Clock"}},)), "NotifyReport", Acknowledgement()),
    (PlainReport(action="ClearedChargingLimit", payload={"x": [1]}), "ClearedChargingLimit", Acknowledgement()),
    (StationDataTransfer(vendor_id="acme"), "StationDataTransfer", DataTransferAnswer(status="UnknownVendorId")),
]


async def entries(line: StationLine, kind: str | None = None) -> list[tuple[str, Any]]:
    page = await line.house.context.ledger.station_log(line.identity, kind=kind, limit=99)
    return [(each.kind, msgspec.json.decode(each.body)) for each in page.items]


@pytest.mark.parametrize(("report", "kind", "answer"), LOGGED, ids=lambda value: type(value).__name__)
async def test_it_is_logged_whole_and_answered(
    autojump_clock: object, line: StationLine, report: StationReport, kind: str, answer: ReportAnswer
) -> None:
    stream = f"station/{line.identity}"
    before = await line.house.journal.load(stream)
    assert await line.say(report) == answer
    assert await entries(line) == [(kind, msgspec.json.decode(msgspec.json.encode(report)))]
    assert await entries(line, kind) == await entries(line)
    assert await orphans(line) == ()
    assert await line.house.journal.load(stream) == before


async def test_who_was_turned_away_in_a_stations_name_is_in_its_log_also_while_it_is_away(
    autojump_clock: object, line: StationLine, nursery: trio.Nursery
) -> None:
    await line.house.restart(nursery)
    door = StationRole(line.house.context)
    door.turned_away(line.identity, TurnedAway(reason=Wrong.PLAIN, address="192.0.2.1", times=3))
    await trio.sleep(1)
    said = {"type": "TurnedAway", "reason": "PlainConnection", "address": "192.0.2.1", "times": 3}
    assert await entries(line, "TurnedAway") == [("TurnedAway", said)]


async def test_it_is_not_answered_before_it_is_durable(
    autojump_clock: object, line: StationLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_: object) -> None:
        raise StoreUnavailable("disk full")

    with monkeypatch.context() as store:
        store.setattr(line.house.journal, "append", away)
        with pytest.raises(Refused, match="disk full"):
            await line.say(SecurityEvent(kind="FirmwareUpdated", timestamp=AT))
    assert await entries(line) == []


async def test_the_log_is_there_after_a_restart(
    autojump_clock: object, line: StationLine, nursery: trio.Nursery
) -> None:
    await line.say(FirmwareStatus(status="Installing"))
    await line.house.restart(nursery)
    assert await entries(line) == [("FirmwareStatus", {"type": "FirmwareStatus", "status": "Installing"})]
