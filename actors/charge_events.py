"""What a station's book says to the transactions that its charges are of."""

from __future__ import annotations

from datetime import datetime

from statecharts.charging import Opening, TransactionStarted
from statecharts.station import StationCharge


def started(
    charge: StationCharge, now: datetime, *, accepted: bool, opening: Opening | None = None
) -> TransactionStarted:
    """That a charge has begun, as its transaction is told; `opening` where it is one that this begins."""
    start = charge.start
    return TransactionStarted(
        at=now,
        number=charge.number,
        connector_id=start.connector_id,
        id_tag=start.id_tag,
        timestamp=start.timestamp,
        meter_start_wh=start.meter_start_wh,
        id_tag_accepted=accepted,
        partial=start.partial,
        opening=opening,
    )
