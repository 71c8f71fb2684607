"""OCPP 1.6: its functional blocks put together (the core profile for now)."""

from __future__ import annotations

from protocols.ocpp.dialect import Commands, Dialect, Reports
from protocols.ocpp.v16 import core_commands, core_reports

_READING_WORDS = frozenset({"context", "format", "measurand", "phase", "location", "unit"})

V16 = Dialect(
    subprotocol="ocpp1.6",
    # A word we do not know must cost no reading, no end of a transaction and no status of a connector.
    reports=Reports("v16", core_reports.EXCHANGES, _READING_WORDS | {"reason", "errorCode"}),
    # A station's answer stands as it said it: a word unknown to us is simply not one of acceptance.
    commands=Commands("v16", core_commands.EXCHANGES, frozenset({"status"})),
)
