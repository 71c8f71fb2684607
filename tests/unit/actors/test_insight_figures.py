"""What operators ask of a node: what stands open and since when, what was said twice, whose clock is wrong."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import trio

from actors.insight import AGES, CLOCK_BANDS, COUNTED_S, FAR_OFF, OLDEST, Insight
from statecharts.meters import Labels
from statecharts.ports import PeerSeen
from statecharts.station_reports import (
    ConnectorStatus,
    Heartbeat,
    MeterSample,
    MeterValues,
    StationReport,
    StatusNotification,
    TransactionEvent,
    TransactionEventKind,
)
from tests.support.books import CARD
from tests.support.house import APP, EPOCH, House, StationLine
from tests.support.roaming import HOME, Roaming


async def figures(house: House, name: str) -> dict[Labels, float]:
    readings = await Insight(house.context, trio.Event()).readings()
    return {reading.name: dict(reading.samples) for reading in readings}[name]


def duplicates(house: House) -> dict[Labels, int]:
    return dict(house.context.meters.duplicates)


@pytest.mark.parametrize(("hours", "age"), [(0.9, "under_1h"), (1.1, "1h_to_6h"), (7, "6h_to_1d"), (25, "1d_to_3d")])
async def test_a_transaction_is_counted_by_how_long_ago_it_began(
    autojump_clock: object, line: StationLine, hours: float, age: str
) -> None:
    charge = await line.start(CARD)
    for _ in range(10):
        await trio.sleep(hours * 360)
        await line.meter(charge.transaction_id, 1_000)
    assert await figures(line.house, "roamnode_transactions") == {("local", "TxRunning", age): 1}


async def test_ages_go_up_and_the_last_has_no_end(autojump_clock: object, line: StationLine) -> None:
    assert [*AGES.values()] == sorted(AGES.values())
    charge = await line.start(CARD)
    for _ in range(10):
        await trio.sleep(8 * 3_600)
        await line.meter(charge.transaction_id, 1_000)
    assert [age for _, _, age in await figures(line.house, "roamnode_transactions")] == [OLDEST]


async def test_orphans_count_until_somebody_has_decided_on_them(autojump_clock: object, line: StationLine) -> None:
    insight = Insight(line.house.context, trio.Event())
    await line.stop(99, 5_000)
    await line.stop(98, 5_000)
    assert await figures(line.house, "roamnode_orphans") == {("StopTransaction",): 2}
    (orphan, _) = (await line.house.operator.orphans(station=None, kind=None, state="open", cursor=None, limit=9)).items
    await line.house.operator.dismiss_orphan(orphan.id, "a test", "olga")
    await trio.sleep(COUNTED_S)
    found = {reading.name: dict(reading.samples) for reading in await insight.readings()}
    assert found["roamnode_orphans"] == {("StopTransaction",): 1}


# -- clocks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ahead_s", "band"),
    [
        (3, ("under_10s", "ahead")),
        (-59, ("10s_to_1m", "behind")),
        (299, ("1m_to_5m", "ahead")),
        (-86_400, (FAR_OFF, "behind")),
    ],
)
@pytest.mark.parametrize("kind", ["status", "readings"])
async def test_a_station_counts_by_how_far_its_clock_is_off(
    autojump_clock: object, line: StationLine, ahead_s: float, band: Labels, kind: str
) -> None:
    at = line.house.clock.now() + timedelta(seconds=ahead_s)
    reports: dict[str, StationReport] = {
        "status": StatusNotification(
            connector_id=1, status=ConnectorStatus.AVAILABLE, error_code="NoError", timestamp=at
        ),
        "readings": MeterValues(connector_id=1, samples=(MeterSample(timestamp=at, value="7"),)),
    }
    await line.say(reports[kind])
    await line.say(Heartbeat())
    assert await figures(line.house, "roamnode_station_clocks") == {band: 1}
    await line.go_offline()
    await trio.sleep(1)
    assert await figures(line.house, "roamnode_station_clocks") == {}
    await line.come_online()
    assert await figures(line.house, "roamnode_station_clocks") == {}, "its clock may have been set meanwhile"


async def test_an_event_that_says_it_was_queued_tells_nothing_of_a_clock(
    autojump_clock: object, line: StationLine
) -> None:
    long_ago = line.house.clock.now() - timedelta(hours=3)
    event = TransactionEvent(
        kind=TransactionEventKind.STARTED, timestamp=long_ago, offline=True, seq_no=0, reference="T1", trigger="x"
    )
    await line.say(event)
    assert await figures(line.house, "roamnode_station_clocks") == {}


def test_bands_of_clocks_go_up() -> None:
    assert [*CLOCK_BANDS.values()] == sorted(CLOCK_BANDS.values())


async def test_the_clock_of_a_partner_is_shown_once_it_has_answered(
    autojump_clock: object, roaming: Roaming, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "roamnode_peer_clock_ahead_seconds"
    assert await figures(roaming.local, name) == {}
    seen = PeerSeen(date=EPOCH + timedelta(seconds=40), dated_s=10.0)
    monkeypatch.setattr(roaming.back, "seen", lambda: seen)
    assert await figures(roaming.local, name) == {(HOME, "source"): 30}


# -- what was said twice -----------------------------------------------------------------------------------------------


async def test_what_a_station_says_again_counts_as_a_duplicate(autojump_clock: object, line: StationLine) -> None:
    at = line.house.clock.now()
    charge = await line.start(CARD, at=at)
    await line.stop(charge.transaction_id, 5_000, at=at + timedelta(hours=1))
    assert duplicates(line.house) == {}
    assert await line.start(CARD, at=at) == charge
    for _ in range(2):
        await line.stop(charge.transaction_id, 5_000, at=at + timedelta(hours=1))
    assert duplicates(line.house) == {("station", "StartTransaction"): 1, ("station", "StopTransaction"): 2}


async def test_an_end_of_2_x_that_is_said_again_counts_as_a_duplicate(
    autojump_clock: object, line: StationLine
) -> None:
    now = line.house.clock.now()
    common: dict[str, Any] = {"timestamp": now, "reference": "T1", "connector_id": 1, "id_tag": CARD, "trigger": "x"}
    await line.say(TransactionEvent(kind=TransactionEventKind.STARTED, seq_no=0, **common))
    end = TransactionEvent(kind=TransactionEventKind.ENDED, seq_no=1, **common)
    await line.say(end)
    assert duplicates(line.house) == {}
    await line.say(end)
    assert duplicates(line.house) == {("station", "TransactionEvent"): 1}


async def test_what_a_partner_says_again_because_our_answer_was_lost_counts_as_a_duplicate(
    autojump_clock: object, roaming: Roaming
) -> None:
    roaming.there.reply_lost = [False, True]
    charge = await roaming.running()
    roaming.back.reply_lost = [True]
    await roaming.station.stop(charge.number, 5_000)
    await roaming.settled(charge)
    assert duplicates(roaming.local) == {("partner", "requestStartTransaction"): 1}
    assert duplicates(roaming.home) == {("partner", "endTransaction"): 1}


async def test_an_app_that_asks_again_under_its_key_counts_as_a_duplicate(
    autojump_clock: object, roaming: Roaming
) -> None:
    charge = await roaming.ready()
    for _ in range(2):
        await roaming.home.source.start(APP, charge.transaction_id, "my-key")
    assert duplicates(roaming.home) == {("app", "start"): 1}
