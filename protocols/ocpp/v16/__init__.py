"""OCPP 1.6 with the security whitepaper's extension: its functional blocks put together."""

from __future__ import annotations

from protocols.ocpp.dialect import Commands, Dialect, Reports
from protocols.ocpp.frames import FRAMING_16
from protocols.ocpp.v16 import (
    core_commands,
    core_reports,
    firmware,
    local_list,
    reservation,
    security,
    smart_charging,
    trigger,
)

_READING_WORDS = frozenset({"context", "format", "measurand", "phase", "location", "unit"})

V16 = Dialect(
    subprotocol="ocpp1.6",
    framing=FRAMING_16,
    reports=Reports(
        "v16",
        (*core_reports.EXCHANGES, *firmware.REPORTS, *security.REPORTS),
        # A word we do not know must cost no reading, no end of a transaction and no status of a connector.
        _READING_WORDS | {"reason", "errorCode"},
    ),
    commands=Commands(
        "v16",
        (
            *core_commands.EXCHANGES,
            *local_list.COMMANDS,
            *reservation.COMMANDS,
            *smart_charging.COMMANDS,
            *trigger.COMMANDS,
            *firmware.COMMANDS,
            *security.COMMANDS,
        ),
        # A station's answer stands as it said it: a word unknown to us is simply not one of acceptance.
        frozenset({"status"}),
    ),
)
