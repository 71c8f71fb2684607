"""What a station reports beside charging, and what is seen of it: its log."""

from __future__ import annotations

from datetime import datetime

import msgspec

from actors.records import LogEntry
from statecharts.oddities import OddMessage
from statecharts.station_credentials import CertificateIssued, TurnedAway
from statecharts.station_reports import PlainReport, StationReport


def log_entry(
    station: str, report: StationReport | OddMessage | TurnedAway | CertificateIssued, at: datetime
) -> LogEntry:
    """The entry for what came at this time; a plain report is of the kind of its action."""
    kind = report.action if isinstance(report, PlainReport) else type(report).__name__
    return LogEntry(station=station, kind=kind, at=at, body=msgspec.json.encode(report))
