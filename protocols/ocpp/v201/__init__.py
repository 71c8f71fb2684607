"""OCPP 2.0.1."""

from __future__ import annotations

from protocols.ocpp.dialect import Commands, Dialect, Reports
from protocols.ocpp.frames import FRAMING_201
from protocols.ocpp.v2 import tables

V201 = Dialect(
    subprotocol="ocpp2.0.1",
    framing=FRAMING_201,
    reports=Reports("v201", tables.REPORTS, frozenset()),
    commands=Commands("v201", tables.COMMANDS, tables.STATUS),
)
