"""The first page: how the node is, and what wants somebody's attention; the stream that keeps all pages live."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from quart_trio.wrappers import TrioResponse as Response

from protocols.web.console.desk import Desk
from statecharts.page_limits import RECORDS_PLOTTED
from statecharts.ports import CdrView

A_DAY = timedelta(hours=24)
PAGE = 200
RUNNING = ("TxRunning", "StopTxRequested")


def add_overview(desk: Desk) -> None:
    """The overview and the stream of changes."""

    @desk.get("")
    async def overview() -> Response:
        figures = await _figures(desk)
        orphans = await desk.operators.orphans(station=None, kind=None, state="open", cursor=None, limit=PAGE)
        return desk.page(
            "overview.html",
            resources="transactions stations peers orphans deliveries quarantine everything",
            figures=figures,
            orphans=len(orphans.items),
            orphans_more=orphans.next_cursor is not None,
            ailments=await desk.insight.ailments(),
            hours=await _hours(desk, desk.room.house.now()),
        )

    @desk.get("/changes")
    async def changes() -> Response:
        return desk.streams.of_notices(desk.operators.notices())


async def _figures(desk: Desk) -> dict[str, Any]:
    """The sums of what the node's own metrics say."""
    found: dict[str, dict[tuple[str, ...], float]] = {
        reading.name: dict(reading.samples) for reading in await desk.insight.readings()
    }
    transactions = found.get("roamnode_transactions", {})
    records = found.get("roamnode_charge_records", {})
    peers = found.get("roamnode_peer_state", {})
    online = int(sum(found.get("roamnode_stations_online", {}).values()))
    configured = int(sum(found.get("roamnode_stations_configured", {}).values()))
    return {
        "online": online,
        "configured": configured,
        "offline": max(0, configured - online),
        "running": int(sum(count for (_, state, _), count in transactions.items() if state in RUNNING)),
        "open": int(sum(transactions.values())),
        "undelivered": int(sum(count for (_, status), count in records.items() if status in ("pending", "overdue"))),
        "overdue": int(sum(count for (_, status), count in records.items() if status == "overdue")),
        "parked": int(sum(count for (_, status), count in records.items() if status in ("parked", "conflict"))),
        "aside": int(sum(found.get("roamnode_actors_quarantined", {}).values())),
        "peers": sorted((name, state) for (name, state), is_so in peers.items() if is_so),
    }


async def _hours(desk: Desk, now: datetime) -> list[dict[str, Any]]:
    """Charges that ended in each of the last 24 hours, and their energy (Wh), by both roles."""
    first = now.replace(minute=0, second=0, microsecond=0) - A_DAY + timedelta(hours=1)
    energy_wh: Counter[datetime] = Counter()
    charges: Counter[datetime] = Counter()
    for record in await _records_since(desk, first):
        hour = record.end_timestamp.replace(minute=0, second=0, microsecond=0)
        energy_wh[hour] += max(0, record.energy_wh or 0)
        charges[hour] += 1
    hours = [first + timedelta(hours=number) for number in range(24)]
    return [{"at": hour.timestamp(), "energy_wh": energy_wh[hour], "charges": charges[hour]} for hour in hours]


async def _records_since(desk: Desk, since: datetime) -> list[CdrView]:
    """Each charge once, also where we play both roles in it."""
    found: dict[str, CdrView] = {}
    cursor = None
    for _ in range(RECORDS_PLOTTED.limit // PAGE):
        page = await desk.operators.cdrs(cursor=cursor, limit=PAGE, since=since)
        found |= {record.cdr_id: record for record in page.items}
        cursor = page.next_cursor
        if cursor is None:
            break
    return list(found.values())
