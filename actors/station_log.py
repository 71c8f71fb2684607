"""What a station reports beside charging: how it stands in the station's log, and what the station is answered."""

from __future__ import annotations

from datetime import datetime

import msgspec

from actors.records import LogEntry
from statecharts.station_reports import (
    DataTransferAnswer,
    PlainReport,
    ReportAnswer,
    SignCertificate,
    StationDataTransfer,
    StationReport,
    StatusAnswer,
)
from statecharts.vocabulary import Acknowledgement


def log_entry(station: str, report: StationReport, at: datetime) -> LogEntry:
    """The entry for a report that came at this time; a plain one is of the kind of its action."""
    kind = report.action if isinstance(report, PlainReport) else type(report).__name__
    return LogEntry(station=station, kind=kind, at=at, body=msgspec.json.encode(report))


def answer_to(report: StationReport) -> ReportAnswer:
    """What is said to a report that is logged, and with which nobody does more."""
    match report:
        case StationDataTransfer():
            return DataTransferAnswer(status="UnknownVendorId")
        case SignCertificate():
            return StatusAnswer(status="Rejected")
        case _:
            return Acknowledgement()
